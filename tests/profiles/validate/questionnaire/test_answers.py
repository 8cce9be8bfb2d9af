"""Each rule for the value of an answer: what it refuses, and what comes close and is right."""

from decimal import Decimal

import pytest

from profiles.validate.questionnaire.validator import QuestionnaireValidator
from tests.profiles.validate.questionnaire.samples import (
    COLOURS,
    FHIR,
    RED,
    SDC,
    UCUM,
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
    found = questionnaires.check(*sent(asked, answered))
    assert {one.message_id for one in found} == expected
    assert all(one.expression.startswith("QuestionnaireResponse") for one in found)


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
        response, find = sent(asked, [item("1", coding(code))])
        return [one.message_id for one in questionnaires.check(response, find, {"http://example.org/c": colours})]

    assert found("red") == []
    assert found("green") == expected
