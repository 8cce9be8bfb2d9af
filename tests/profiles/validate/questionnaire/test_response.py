"""Each rule for the answers to a questionnaire: what it refuses, and what comes close and is right."""

from decimal import Decimal
from time import process_time
from typing import Any

import pytest

from profiles.validate.questionnaire.validator import QuestionnaireValidator

Json = dict[str, Any]

URL = "http://example.org/Questionnaire/q"
FHIR = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
COLOURS = "http://example.org/colours"
UCUM = "http://unitsofmeasure.org"


def question(link: str = "1", kind: str = "string", **more: Any) -> Json:
    return {"linkId": link, "type": kind, **more}


def item(link: str = "1", *answers: Any, **more: Any) -> Json:
    """An item of a response; an answer is its value as a string, or an object."""
    rows = [one if isinstance(one, dict) else {"valueString": one} for one in answers]
    return {"linkId": link, **({"answer": rows} if rows else {}), **more}


def limit(url: str, **value: Any) -> Json:
    return {"url": url, **value}


def coding(code: str, system: str = COLOURS, **more: Any) -> Json:
    return {"valueCoding": {"system": system, "code": code, **more}}


def kilos(value: Any, code: str = "kg") -> Json:
    return {"valueQuantity": {"value": value, "unit": code, "system": UCUM, "code": code}}


GROUP = question("g", "group", item=[question("1"), question("2")])
BOOLEAN = question("b", "boolean")
YES, NO = {"valueBoolean": True}, {"valueBoolean": False}
WHEN_YES: Json = {"enableWhen": [{"question": "b", "operator": "=", "answerBoolean": True}]}
RED = question(
    kind="choice", answerOption=[coding("red", display="Red"), coding("blue"), {"valueString": "none of them"}]
)


def ends(*found: str) -> set[str]:
    return set(found)


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
    # Types and options
    "an answer of another type": ([question()], [item("1", {"valueInteger": 1})], ends("answer-type")),
    "an answer without value": ([question()], [item("1", {"item": []})], ends("answer-empty")),
    "an option": ([RED], [item("1", coding("red"))], ends()),
    "an option of another type": ([RED], [item("1", "none of them")], ends()),
    "an option with another display": ([RED], [item("1", coding("red", display="Rouge"))], ends("answer-display")),
    "no option": ([RED], [item("1", coding("green"))], ends("answer-option")),
    "an option of another system": ([RED], [item("1", coding("red", "http://other.org"))], ends("answer-option")),
    "a string that is no option": ([RED], [item("1", "some")], ends("answer-option")),
    "a type that no option has": ([RED], [item("1", {"valueInteger": 1})], ends("answer-option-type")),
    "free text to an open choice": ([{**RED, "type": "open-choice"}], [item("1", "violet")], ends()),
    "no option of an open choice": (
        [{**RED, "type": "open-choice"}],
        [item("1", coding("green"))],
        ends("answer-option"),
    ),
    "an integer that is no option": (
        [question(kind="integer", answerOption=[{"valueInteger": 1}, {"valueInteger": 2}])],
        [item("1", {"valueInteger": 3})],
        ends("answer-option"),
    ),
    "an option that excludes others": (
        [
            question(
                kind="choice",
                repeats=True,
                answerOption=[
                    coding("red"),
                    coding("none") | {"extension": [limit(f"{FHIR}questionnaire-optionExclusive", valueBoolean=True)]},
                ],
            )
        ],
        [item("1", coding("red"), coding("none"))],
        ends("answer-exclusive"),
    ),
    "a code of the value set": (
        [question(kind="choice", answerValueSet="http://hl7.org/fhir/ValueSet/administrative-gender")],
        [item("1", coding("female", "http://hl7.org/fhir/administrative-gender"))],
        ends(),
    ),
    "no code of the value set": (
        [question(kind="choice", answerValueSet="http://hl7.org/fhir/ValueSet/administrative-gender")],
        [item("1", coding("woman", "http://hl7.org/fhir/administrative-gender"))],
        ends("answer-set"),
    ),
    "a value set that nobody knows": (
        [question(kind="choice", answerValueSet="http://example.org/unknown")],
        [item("1", coding("a"))],
        ends("answer-set-unchecked"),
    ),
    # Limits
    "too long": ([question(maxLength=3)], [item("1", "abcd")], ends("answer-long")),
    "long enough": ([question(maxLength=4)], [item("1", "abcd")], ends()),
    "too short": (
        [question(extension=[limit(f"{FHIR}minLength", valueInteger=3)])],
        [item("1", "ab")],
        ends("answer-short"),
    ),
    "a line break": ([question()], [item("1", "a\nb")], ends("answer-line")),
    "a line break in a text": ([question(kind="text")], [item("1", "a\nb")], ends()),
    "another format": (
        [question(extension=[limit(f"{FHIR}regex", valueString="[0-9]+")])],
        [item("1", "12a")],
        ends("answer-pattern"),
    ),
    "too small": (
        [question(kind="integer", extension=[limit(f"{FHIR}minValue", valueInteger=3)])],
        [item("1", {"valueInteger": 2})],
        ends("answer-less"),
    ),
    "too late": (
        [question(kind="date", extension=[limit(f"{FHIR}maxValue", valueDate="2022-06")])],
        [item("1", {"valueDate": "2022-07-01"})],
        ends("answer-more"),
    ),
    "late, but not surely too late": (
        [question(kind="date", extension=[limit(f"{FHIR}maxValue", valueDate="2022-06")])],
        [item("1", {"valueDate": "2022"})],
        ends(),
    ),
    "too heavy in another unit": (
        [question(kind="quantity", extension=[limit(f"{SDC}maxQuantity", **kilos(2))])],
        [item("1", kilos(2001, "g"))],
        ends("answer-more"),
    ),
    "as heavy as may be in another unit": (
        [question(kind="quantity", extension=[limit(f"{SDC}maxQuantity", **kilos(2))])],
        [item("1", kilos(2000, "g"))],
        ends(),
    ),
    "a length for a weight": (
        [question(kind="quantity", extension=[limit(f"{SDC}maxQuantity", **kilos(2))])],
        [item("1", kilos(1, "m"))],
        ends("answer-measure"),
    ),
    "too many decimal places": (
        [question(kind="decimal", extension=[limit(f"{FHIR}maxDecimalPlaces", valueInteger=1)])],
        [item("1", {"valueDecimal": Decimal("1.25")})],
        ends("answer-digits"),
    ),
    "another unit": (
        [
            question(
                kind="quantity",
                extension=[limit(f"{FHIR}questionnaire-unitOption", valueCoding={"system": UCUM, "code": "kg"})],
            )
        ],
        [item("1", kilos(1, "g"))],
        ends("answer-unit"),
    ),
    "another media type": (
        [question(kind="attachment", extension=[limit(f"{FHIR}mimeType", valueCode="image/*")])],
        [item("1", {"valueAttachment": {"contentType": "text/plain"}})],
        ends("answer-media"),
    ),
    "a media type of those": (
        [question(kind="attachment", extension=[limit(f"{FHIR}mimeType", valueCode="image/*")])],
        [item("1", {"valueAttachment": {"contentType": "image/png"}})],
        ends(),
    ),
    "too large an attachment": (
        [question(kind="attachment", extension=[limit(f"{FHIR}maxSize", valueDecimal=Decimal(2))])],
        [item("1", {"valueAttachment": {"contentType": "text/plain", "data": "QUJD"}})],
        ends("answer-size"),
    ),
    "another target": (
        [
            question(
                kind="reference",
                extension=[limit(f"{FHIR}questionnaire-referenceResource", valueCode="Practitioner")],
            )
        ],
        [item("1", {"valueReference": {"reference": "Patient/1"}})],
        ends("answer-target"),
    ),
    "another target than a type that is named as a profile": (
        [
            question(
                kind="reference",
                extension=[limit(f"{FHIR}questionnaire-referenceProfile", valueCanonical=f"{FHIR}Practitioner")],
            )
        ],
        [item("1", {"valueReference": {"reference": "Patient/1"}})],
        ends("answer-target"),
    ),
    "a target that is to conform to a profile": (
        [
            question(
                kind="reference",
                extension=[limit(f"{FHIR}questionnaire-referenceProfile", valueCanonical="http://example.org/mine")],
            )
        ],
        [item("1", {"valueReference": {"reference": "Patient/1"}})],
        ends(),
    ),
    "a malformed uuid": (
        [question(kind="url")],
        [item("1", {"valueUri": "urn:uuid:1"})],
        ends("answer-uri"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_are_held_against_their_questions(name: str, questionnaires: QuestionnaireValidator) -> None:
    asked, answered, expected = CASES[name]
    found = questionnaires.check(*_sent(asked, answered))
    assert {one.message_id for one in found} == expected
    assert all(one.expression.startswith("QuestionnaireResponse") for one in found)


def _sent(asked: list[Json], answered: list[Json], **more: Any) -> Any:
    questionnaire = {"resourceType": "Questionnaire", "url": URL, "status": "active", "item": asked}
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": "completed", "item": answered}
    return {**response, **more}, {URL: questionnaire}.get


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
    left_out = [one.message_id for one in questionnaires.check(*_sent([first, second], given))]
    answered = [one.message_id for one in questionnaires.check(*_sent([first, second], [*given, item("1", "x")]))]
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
    assert [one.message_id for one in questionnaires.check(*_sent(asked, given))] == ["item-disabled"]
    assert questionnaires.check(*_sent(either, given)) == []


def test_a_condition_asks_the_nearest_answer(questionnaires: QuestionnaireValidator) -> None:
    asked = [question("g", "group", repeats=True, item=[BOOLEAN, question(required=True, **WHEN_YES)])]
    given = [
        item("g", item=[item("b", YES), item("1", "a")]),
        item("g", item=[item("b", NO)]),
        item("g", item=[item("b", NO), item("1", "a")]),
        item("g", item=[item("b", YES)]),
    ]
    found = questionnaires.check(*_sent(asked, given))
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
    assert [one.message_id for one in questionnaires.check(*_sent(asked, [item("b", YES)]))] == ["item-missing"]
    found = questionnaires.check(*_sent(asked, [item("b", NO), item("1", "a")]))
    assert [one.message_id for one in found] == ["item-disabled"]
    expression["valueExpression"] = {"language": "text/fhirpath", "expression": "%resource.("}
    assert questionnaires.check(*_sent(asked, [item("b", NO)])) == []


def constraint(expression: str, **more: Any) -> Json:
    parts = {"key": "k", "severity": "error", "human": "It adds up", **more}
    rows = [{"url": name, "valueCode" if name == "severity" else "valueString": text} for name, text in parts.items()]
    rows.append({"url": "expression", "valueString": expression})
    return {"url": f"{FHIR}questionnaire-constraint", "extension": rows}


def test_constraints_are_about_the_response_or_about_an_item(questionnaires: QuestionnaireValidator) -> None:
    asked = [question(kind="integer", extension=[constraint("answer.value > 1")])]
    response, find = _sent(asked, [item("1", {"valueInteger": 1})])
    assert [(one.message_id, one.expression) for one in questionnaires.check(response, find)] == [
        ("constraint", "QuestionnaireResponse.item[0]")
    ]
    assert questionnaires.check(*_sent(asked, [item("1", {"valueInteger": 2})])) == []
    response, find = _sent([question(kind="integer")], [item("1", {"valueInteger": 1})])
    found = find(URL)
    found["extension"] = [constraint("item.answer.value.sum() > 1", severity="warning")]
    assert [one.severity for one in questionnaires.check(response, find)] == ["warning"]
    found["extension"] = [constraint("item.answer.value.sum() > 1")]
    assert [one.severity for one in questionnaires.check(response, find)] == ["error"]
    assert [one.severity for one in questionnaires.check({**response, "status": "in-progress"}, find)] == ["warning"]


def test_expressions_that_take_for_ever_have_a_second_for_all_of_them(questionnaires: QuestionnaireValidator) -> None:
    endless = "answer.value.length().repeat($this + {}).count() > 0"
    asked = [question(str(one), extension=[constraint(endless.format(one + 1))]) for one in range(100)]
    before = process_time()
    found = questionnaires.check(*_sent(asked, [item(str(one), "a") for one in range(100)]))
    assert process_time() - before < 3
    assert not any(one.fails for one in found)


@pytest.mark.parametrize(
    ("status", "severity"), [("completed", "error"), ("amended", "error"), ("in-progress", "warning")]
)
def test_what_is_required_may_be_missing_while_it_is_in_progress(
    status: str, severity: str, questionnaires: QuestionnaireValidator
) -> None:
    found = questionnaires.check(*_sent([question(required=True)], [], status=status))
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
    response, find = _sent([], [item("1", coding("green"))], questionnaire="#asked", contained=[asked, colours])
    assert [one.message_id for one in questionnaires.check(response, find)] == ["answer-set"]
    response["item"] = [item("1", coding("red"))]
    assert questionnaires.check(response, find) == []


@pytest.mark.parametrize(
    ("total", "expected"), [(1, ["answer-set"]), (2, ["answer-set-unchecked"]), (None, ["answer-set"])]
)
def test_an_expansion_says_what_is_in_it_and_if_it_is_whole_what_is_not(
    total: int | None, expected: list[str], questionnaires: QuestionnaireValidator
) -> None:
    contains = [{"system": COLOURS, "code": "red"}]
    expansion = {"timestamp": "2026", "contains": contains, **({"total": total} if total else {})}
    colours = {"resourceType": "ValueSet", "url": "http://example.org/c", "status": "active", "expansion": expansion}
    asked = [question(kind="choice", answerValueSet="http://example.org/c")]

    def found(code: str) -> list[str]:
        sent, find = _sent(asked, [item("1", coding(code))])
        return [one.message_id for one in questionnaires.check(sent, find, {"http://example.org/c": colours})]

    assert found("red") == []
    assert found("green") == expected


def test_responses_in_a_bundle_are_checked_where_they_are(questionnaires: QuestionnaireValidator) -> None:
    response, find = _sent([question()], [item("2", "a")])
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
    response, find = _sent([question()], [item("2", "a")], questionnaire=questionnaire)
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
    before = process_time()
    found = questionnaires.check(*_sent(asked, given))
    assert process_time() - before < 5
    assert {one.message_id for one in found} == {"item-unknown"}
    assert len(found) == 1_000
