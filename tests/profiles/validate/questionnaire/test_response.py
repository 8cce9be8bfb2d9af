"""Each rule for the items of a response: what it refuses, and what comes close and is right."""

from decimal import Decimal
from typing import Any

import pytest

from profiles.validate.questionnaire.validator import QuestionnaireValidator
from tests.effort import within
from tests.profiles.validate.questionnaire.samples import (
    BOOLEAN,
    COLOURS,
    FHIR,
    GROUP,
    NO,
    SDC,
    URL,
    WHEN_YES,
    YES,
    Json,
    coding,
    ends,
    item,
    kilos,
    limit,
    question,
    sent,
)

CASES: dict[str, tuple[list[Json], list[Json], set[str]]] = {
    # Items
    "an answer to a question": ([question()], [item("1", "a")], ends()),
    "no item at all": ([question()], [], ends()),
    "an item that is not asked": ([question()], [item("3", "a")], ends("item-unknown")),
    "an item without linkId": ([question()], [{"answer": [{"valueString": "a"}]}], ends("item-link")),
    "an item of a group at the top": ([GROUP], [item("1", "a")], ends("item-place")),
    "an item within a group": ([GROUP], [item("g", item=[item("1", "a")])], ends()),
    "items in another order": ([question("1"), question("2")], [item("2", "b"), item("1", "a")], ends("item-order")),
    "items in order with a gap": (
        [question("1"), question("2"), question("3")],
        [item("1", "a"), item("3", "b")],
        ends(),
    ),
    "two items of a question": ([question()], [item("1", "a"), item("1", "b")], ends("item-once")),
    "two items of a repeating group": (
        [question("g", "group", repeats=True, item=[question("1")])],
        [item("g", item=[item("1", "a")]), item("g", item=[item("1", "b")])],
        ends(),
    ),
    "another text": ([question(text="Age?")], [item("1", "9", text="Name?")], ends("item-text")),
    "the same text": ([question(text="Age?")], [item("1", "9", text="Age?")], ends()),
    "a translated text": (
        [
            question(
                text="Age?",
                _text={
                    "extension": [
                        {
                            "url": f"{FHIR}translation",
                            "extension": [
                                {"url": "lang", "valueCode": "de"},
                                {"url": "content", "valueString": "Alter?"},
                            ],
                        }
                    ]
                },
            )
        ],
        [item("1", "9", text="Alter?")],
        ends(),
    ),
    "answers to a group": ([GROUP], [item("g", "a")], ends("answers-none")),
    "answers to a display": ([question(kind="display")], [item("1", "a")], ends("answers-none")),
    "a display that is shown": ([question(kind="display")], [item("1")], ends()),
    "items of a display": ([question(kind="display")], [item("1", item=[item("2")])], ends("items-of-display")),
    "items beneath a question": (
        [question(item=[question("2")])],
        [item("1", item=[item("2", "b")])],
        ends("items-beneath"),
    ),
    "items beneath an answer": (
        [question(item=[question("2")])],
        [item("1", {"valueString": "a", "item": [item("2", "b")]})],
        ends(),
    ),
    "a wrong item beneath an answer": (
        [question(item=[question("2")])],
        [item("1", {"valueString": "a", "item": [item("3", "b")]})],
        ends("item-unknown"),
    ),
    # Required and repeated
    "a required question that is left out": ([question(required=True)], [], ends("item-missing")),
    "a required question without answer": ([question(required=True)], [item("1")], ends("item-missing")),
    "a required group that is left out": ([{**GROUP, "required": True}], [], ends("item-missing")),
    "a required question of a group that is left out": (
        [question("g", "group", item=[question(required=True)])],
        [],
        ends(),
    ),
    "a required question of a group": (
        [question("g", "group", item=[question(required=True)])],
        [item("g", item=[])],
        ends("item-missing"),
    ),
    "a required question beneath an answer": (
        [question(item=[question("2", required=True)])],
        [item("1", "a")],
        ends("item-missing"),
    ),
    "two answers": ([question()], [item("1", "a", "b")], ends("answers-once")),
    "two answers to a repeating question": ([question(repeats=True)], [item("1", "a", "b")], ends()),
    "too few answers": (
        [question(repeats=True, extension=[limit(f"{FHIR}questionnaire-minOccurs", valueInteger=2)])],
        [item("1", "a")],
        ends("item-few"),
    ),
    "too many answers": (
        [question(repeats=True, extension=[limit(f"{FHIR}questionnaire-maxOccurs", valueInteger=2)])],
        [item("1", "a", "b", "c")],
        ends("item-many"),
    ),
    "too many groups": (
        [
            question(
                "g",
                "group",
                repeats=True,
                item=[question()],
                extension=[limit(f"{FHIR}questionnaire-maxOccurs", valueInteger=1)],
            )
        ],
        [item("g", item=[item("1", "a")]), item("g", item=[item("1", "b")])],
        ends("item-many"),
    ),
    # Conditions
    "an answer that is not enabled": (
        [BOOLEAN, question(**WHEN_YES)],
        [item("b", NO), item("1", "a")],
        ends("item-disabled"),
    ),
    "an item without answer that is not enabled": (
        [BOOLEAN, question(**WHEN_YES)],
        [item("b", NO), item("1")],
        ends(),
    ),
    "an answer that is enabled": ([BOOLEAN, question(**WHEN_YES)], [item("b", YES), item("1", "a")], ends()),
    "a required answer that is not enabled": (
        [BOOLEAN, question(required=True, **WHEN_YES)],
        [item("b", NO)],
        ends(),
    ),
    "a required answer that is enabled": (
        [BOOLEAN, question(required=True, **WHEN_YES)],
        [item("b", YES)],
        ends("item-missing"),
    ),
    "an answer within a group that is not enabled": (
        [BOOLEAN, {**GROUP, **WHEN_YES}],
        [item("b", NO), item("g", item=[item("1", "a")])],
        ends("item-disabled"),
    ),
    "a required answer within a group that is not enabled": (
        [BOOLEAN, question("g", "group", item=[question(required=True)], **WHEN_YES)],
        [item("b", NO), item("g")],
        ends(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_are_held_against_their_questions(name: str, questionnaires: QuestionnaireValidator) -> None:
    asked, answered, expected = CASES[name]
    found = questionnaires.check(*sent(asked, answered))
    assert {one.message_id for one in found} == expected
    assert all(one.expression.startswith("QuestionnaireResponse") for one in found)


@pytest.mark.parametrize(
    ("condition", "answers", "enabled"),
    [
        ({"operator": "exists", "answerBoolean": True}, [{"valueInteger": 1}], True),
        ({"operator": "exists", "answerBoolean": False}, [{"valueInteger": 1}], False),
        ({"operator": "exists", "answerBoolean": False}, [], True),
        ({"operator": "=", "answerInteger": 1}, [{"valueInteger": 2}, {"valueInteger": 1}], True),
        ({"operator": "=", "answerInteger": 1}, [], False),
        ({"operator": "!=", "answerInteger": 1}, [{"valueInteger": 2}], True),
        ({"operator": "!=", "answerInteger": 1}, [{"valueInteger": 1}], False),
        ({"operator": "!=", "answerInteger": 1}, [], None),
        ({"operator": ">", "answerDecimal": Decimal("1.5")}, [{"valueInteger": 2}], True),
        ({"operator": ">=", "answerInteger": 2}, [{"valueInteger": 2}], True),
        ({"operator": "<", "answerInteger": 2}, [{"valueInteger": 2}], False),
        ({"operator": "<=", "answerInteger": 2}, [{"valueInteger": 2}], True),
        ({"operator": ">", "answerDate": "2020-01"}, [{"valueDate": "2020-02-03"}], True),
        ({"operator": ">", "answerDate": "2020-01"}, [{"valueDate": "2020"}], None),
        ({"operator": "=", **{f"answer{k[5:]}": v for k, v in kilos(1).items()}}, [kilos(1000, "g")], True),
        ({"operator": "=", "answerCoding": {"code": "red"}}, [coding("red")], None),
        ({"operator": "=", "answerCoding": {"code": "red"}}, [coding("blue")], False),
        ({"operator": "=", "answerCoding": {"code": "red"}}, [{"valueString": "red"}], False),
    ],
)
def test_a_condition_holds_fails_or_cannot_be_told(
    condition: Json, answers: list[Json], enabled: bool | None, questionnaires: QuestionnaireValidator
) -> None:
    kind = {
        "valueCoding": "open-choice",
        "valueString": "open-choice",
        "valueQuantity": "quantity",
        "valueDate": "date",
    }
    first = question("a", kind.get(next(iter(answers[0])), "integer") if answers else "integer", repeats=True)
    second = question(required=True, enableWhen=[{"question": "a", **condition}])
    given = [item("a", *answers)] if answers else []
    left_out = [one.message_id for one in questionnaires.check(*sent([first, second], given))]
    answered = [one.message_id for one in questionnaires.check(*sent([first, second], [*given, item("1", "x")]))]
    assert left_out == (["item-missing"] if enabled else [])
    assert answered == (["item-disabled"] if enabled is False else [])


def test_several_conditions_hold_together_or_one_of_them(questionnaires: QuestionnaireValidator) -> None:
    two = [
        {"question": "b", "operator": "=", "answerBoolean": True},
        {"question": "c", "operator": "=", "answerBoolean": True},
    ]
    asked = [BOOLEAN, question("c", "boolean"), question(enableWhen=two, enableBehavior="all")]
    either = [BOOLEAN, question("c", "boolean"), question(enableWhen=two, enableBehavior="any")]
    given = [item("b", YES), item("c", NO), item("1", "a")]
    assert [one.message_id for one in questionnaires.check(*sent(asked, given))] == ["item-disabled"]
    assert questionnaires.check(*sent(either, given)) == []


def test_a_condition_asks_the_nearest_answer(questionnaires: QuestionnaireValidator) -> None:
    asked = [question("g", "group", repeats=True, item=[BOOLEAN, question(required=True, **WHEN_YES)])]
    given = [
        item("g", item=[item("b", YES), item("1", "a")]),
        item("g", item=[item("b", NO)]),
        item("g", item=[item("b", NO), item("1", "a")]),
        item("g", item=[item("b", YES)]),
    ]
    found = questionnaires.check(*sent(asked, given))
    assert [(one.message_id, one.expression) for one in found] == [
        ("item-disabled", "QuestionnaireResponse.item[2].item[1]"),
        ("item-missing", "QuestionnaireResponse.item[3]"),
    ]


def test_a_condition_may_be_an_expression(questionnaires: QuestionnaireValidator) -> None:
    expression = {
        "url": f"{SDC}enableWhenExpression",
        "valueExpression": {
            "language": "text/fhirpath",
            "expression": "%resource.item.where(linkId='b').answer.value = true",
        },
    }
    asked = [BOOLEAN, question(required=True, extension=[expression])]
    assert [one.message_id for one in questionnaires.check(*sent(asked, [item("b", YES)]))] == ["item-missing"]
    found = questionnaires.check(*sent(asked, [item("b", NO), item("1", "a")]))
    assert [one.message_id for one in found] == ["item-disabled"]
    expression["valueExpression"] = {"language": "text/fhirpath", "expression": "%resource.("}
    assert questionnaires.check(*sent(asked, [item("b", NO)])) == []


def constraint(expression: str, **more: Any) -> Json:
    parts = {"key": "k", "severity": "error", "human": "It adds up", **more}
    rows = [{"url": name, "valueCode" if name == "severity" else "valueString": text} for name, text in parts.items()]
    rows.append({"url": "expression", "valueString": expression})
    return {"url": f"{FHIR}questionnaire-constraint", "extension": rows}


def test_constraints_are_about_the_response_or_about_an_item(questionnaires: QuestionnaireValidator) -> None:
    asked = [question(kind="integer", extension=[constraint("answer.value > 1")])]
    response, find = sent(asked, [item("1", {"valueInteger": 1})])
    assert [(one.message_id, one.expression) for one in questionnaires.check(response, find)] == [
        ("constraint", "QuestionnaireResponse.item[0]")
    ]
    assert questionnaires.check(*sent(asked, [item("1", {"valueInteger": 2})])) == []
    response, find = sent([question(kind="integer")], [item("1", {"valueInteger": 1})])
    found = find(URL)
    found["extension"] = [constraint("item.answer.value.sum() > 1", severity="warning")]
    assert [one.severity for one in questionnaires.check(response, find)] == ["warning"]
    found["extension"] = [constraint("item.answer.value.sum() > 1")]
    assert [one.severity for one in questionnaires.check(response, find)] == ["error"]
    assert [one.severity for one in questionnaires.check({**response, "status": "in-progress"}, find)] == ["warning"]


def test_expressions_that_take_for_ever_have_a_second_for_all_of_them(questionnaires: QuestionnaireValidator) -> None:
    endless = "answer.value.length().repeat($this + {}).count() > 0"
    asked = [question(str(one), extension=[constraint(endless.format(one + 1))]) for one in range(100)]
    with within(3):
        found = questionnaires.check(*sent(asked, [item(str(one), "a") for one in range(100)]))
    assert not any(one.fails for one in found)


@pytest.mark.parametrize(
    ("status", "severity"), [("completed", "error"), ("amended", "error"), ("in-progress", "warning")]
)
def test_what_is_required_may_be_missing_while_it_is_in_progress(
    status: str, severity: str, questionnaires: QuestionnaireValidator
) -> None:
    found = questionnaires.check(*sent([question(required=True)], [], status=status))
    assert [one.severity for one in found] == [severity]


def test_a_contained_questionnaire_has_its_value_sets_beside_it(questionnaires: QuestionnaireValidator) -> None:
    colours = {
        "resourceType": "ValueSet",
        "id": "colours",
        "status": "active",
        "compose": {"include": [{"system": COLOURS, "concept": [{"code": "red"}]}]},
    }
    asked = {
        "resourceType": "Questionnaire",
        "id": "asked",
        "status": "active",
        "item": [question(kind="choice", answerValueSet="#colours")],
    }
    response, find = sent([], [item("1", coding("green"))], questionnaire="#asked", contained=[asked, colours])
    assert [one.message_id for one in questionnaires.check(response, find)] == ["answer-set"]
    response["item"] = [item("1", coding("red"))]
    assert questionnaires.check(response, find) == []


def test_responses_in_a_bundle_are_checked_where_they_are(questionnaires: QuestionnaireValidator) -> None:
    response, find = sent([question()], [item("2", "a")])
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{}, {"resource": response}]}
    found = questionnaires.check(bundle, find)
    assert [one.expression for one in found] == ["Bundle.entry[1].resource/*QuestionnaireResponse/null*/.item[0]"]


@pytest.mark.parametrize(
    ("questionnaire", "expected"),
    [(None, "questionnaire-absent"), ("http://example.org/other", "questionnaire-unknown")],
)
def test_answers_to_what_is_not_known_are_not_checked(
    questionnaire: str | None, expected: str, questionnaires: QuestionnaireValidator
) -> None:
    response, find = sent([question()], [item("2", "a")], questionnaire=questionnaire)
    found = questionnaires.check(response, find)
    assert [one.message_id for one in found] == [expected]
    assert not any(one.fails for one in found)


def test_thousands_of_items_options_and_conditions_take_a_moment(questionnaires: QuestionnaireValidator) -> None:
    many = range(2_000)
    options = [coding(str(one)) for one in many]
    asked = [question("a", "choice", repeats=True, answerOption=options)]
    asked += [
        question(
            f"q{one}", enableWhen=[{"question": "a", "operator": "=", "answerCoding": {"system": COLOURS, "code": "x"}}]
        )
        for one in many
    ]
    given = [item("a", *(coding(str(one)) for one in many)), *(item(f"z{one}", "a") for one in many)]
    with within(5):
        found = questionnaires.check(*sent(asked, given))
    assert {one.message_id for one in found} == {"item-unknown"}
    assert len(found) == 1_000
