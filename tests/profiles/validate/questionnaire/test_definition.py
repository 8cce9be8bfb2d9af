"""Each rule for a questionnaire itself that the invariants of R4 do not have."""

from typing import Any

import pytest

from profiles.validate.questionnaire.validator import QuestionnaireValidator

Json = dict[str, Any]

FHIR = "http://hl7.org/fhir/StructureDefinition/"


def nothing(canonical: str) -> None:
    """Find nothing."""


def question(link: str, kind: str = "string", **more: Any) -> Json:
    return {"linkId": link, "type": kind, **more}


def when(asked: str, operator: str = "=", **answer: Any) -> Json:
    return {"enableWhen": [{"question": asked, "operator": operator, **(answer or {"answerString": "x"})}]}


CASES: dict[str, tuple[list[Json], list[str]]] = {
    "a condition on an earlier question": ([question("a"), question("b", **when("a"))], []),
    "a condition on nothing": ([question("a", **when("z"))], ["enable-when-unknown"]),
    "a condition on itself": ([question("a", **when("a"))], ["enable-when-self"]),
    "a condition on what is within": (
        [question("a", "group", item=[question("b")], **when("b"))],
        ["enable-when-within"],
    ),
    "a condition on a later question": ([question("a", **when("b")), question("b")], ["enable-when-later"]),
    "a condition on a group": (
        [question("g", "group", item=[question("a")]), question("b", **when("g"))],
        ["enable-when-unanswered"],
    ),
    "a condition that a group exists": (
        [question("g", "group", item=[question("a")]), question("b", **when("g", "exists", answerBoolean=True))],
        [],
    ),
    "a comparison with another type": (
        [question("a"), question("b", **when("a", answerInteger=1))],
        ["enable-when-type"],
    ),
    "a comparison of a number with a number": (
        [question("a", "integer"), question("b", **when("a", ">", answerDecimal=1))],
        [],
    ),
    "an order of codes": (
        [question("a", "choice"), question("b", **when("a", ">", answerCoding={"code": "x"}))],
        ["enable-when-order"],
    ),
    "an option of another type": ([question("a", "integer", answerOption=[{"valueString": "1"}])], ["option-type"]),
    "options of several types": (
        [question("a", "choice", answerOption=[{"valueString": "1"}, {"valueCoding": {"code": "1"}}])],
        [],
    ),
    "an option twice": (
        [question("a", "choice", answerOption=[{"valueString": "1"}, {"valueString": "1"}])],
        ["option-duplicate"],
    ),
    "an initial value of another type": ([question("a", initial=[{"valueInteger": 1}])], ["initial-type"]),
    "an initial value": ([question("a", initial=[{"valueString": "1"}])], []),
    "a contained value set that is not there": (
        [question("a", "choice", answerValueSet="#colours")],
        ["value-set-contained"],
    ),
    "a least quantity and no greatest": (
        [
            question(
                "a",
                "quantity",
                extension=[
                    {
                        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-minQuantity",
                        "valueQuantity": {"value": 1, "unit": "kg"},
                    }
                ],
            )
        ],
        [],
    ),
    "bounds that nothing is within": (
        [
            question(
                "a",
                "integer",
                extension=[
                    {"url": f"{FHIR}minValue", "valueInteger": 2},
                    {"url": f"{FHIR}maxValue", "valueInteger": 1},
                ],
            )
        ],
        ["bounds"],
    ),
    "a constraint that is no expression": (
        [
            question(
                "a",
                extension=[
                    {
                        "url": f"{FHIR}questionnaire-constraint",
                        "extension": [{"url": "expression", "valueString": "answer.("}],
                    }
                ],
            )
        ],
        ["expression-unusable"],
    ),
    "an expression that only backtracking can do": (
        [question("a", extension=[{"url": f"{FHIR}regex", "valueString": "(?=a)b"}])],
        ["regex-unusable"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_questionnaires_ask_what_can_be_answered(name: str, questionnaires: QuestionnaireValidator) -> None:
    items, expected = CASES[name]
    questionnaire = {"resourceType": "Questionnaire", "status": "active", "item": items}
    assert [one.message_id for one in questionnaires.check(questionnaire, nothing)] == expected


def test_conditions_that_lead_in_a_circle_end(questionnaires: QuestionnaireValidator) -> None:
    inner = question("a", "group", item=[question("b", "group", item=[question("a", **when("b"))])])
    questionnaire = {"resourceType": "Questionnaire", "status": "active", "item": [inner, question("c", **when("a"))]}
    assert questionnaires.check(questionnaire, nothing)


def test_depth_is_refused(questionnaires: QuestionnaireValidator) -> None:
    deep: Json = question("x")
    for index in range(5_000):
        deep = question(str(index), "group", item=[deep])
    questionnaire = {"resourceType": "Questionnaire", "status": "active", "item": [deep]}
    assert [one.message_id for one in questionnaires.check(questionnaire, nothing)] == ["too-much"]
