"""Issues of terminology operations: their rows, and that the table of messages holds together."""

from string import Formatter

import terminology.issue as table
from terminology.issue import INACTIVE, NOT_IN_VALUE_SET, STATUS, Message, TxError, alternatives, joined, outcome

MESSAGES = [value for value in vars(table).values() if isinstance(value, Message)] + list(STATUS.values())


def test_a_finding_has_text_coding_message_id_and_both_kinds_of_place() -> None:
    found = NOT_IN_VALUE_SET.issue("Coding.code", codes="'http://x#a'", value_set="http://vs|1")
    assert outcome([found]) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id",
                        "valueString": "None_of_the_provided_codes_are_in_the_value_set_one",
                    }
                ],
                "severity": "error",
                "code": "code-invalid",
                "details": {
                    "coding": [{"system": "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type", "code": "not-in-vs"}],
                    "text": "The provided code 'http://x#a' was not found in the value set 'http://vs|1'",
                },
                "location": ["Coding.code"],
                "expression": ["Coding.code"],
            }
        ],
    }


def test_a_finding_about_the_whole_has_no_place() -> None:
    row = INACTIVE.issue(code="a", status="retired").row
    assert "location" not in row
    assert "expression" not in row


def test_every_message_can_be_said_with_the_names_in_its_text() -> None:
    for message in MESSAGES:
        names = {name for _, name, _, _ in Formatter().parse(message.text) if name}
        said = message.issue(**dict.fromkeys(names, "{x}"))
        assert said.text
        assert "message-id" in str(said.row) or not message.id


def test_values_are_not_read_as_texts_with_names() -> None:
    assert "{code}" in INACTIVE.issue(code="{code}", status="x").text


def test_an_error_says_all_its_reasons() -> None:
    one, other = INACTIVE.issue(code="a", status="x"), INACTIVE.issue(code="b", status="x")
    assert str(TxError(one, other)) == f"{one.text}; {other.text}"


def test_texts_and_choices_are_put_together() -> None:
    assert joined(["b", "a", "b"]) == "a; b"
    assert [alternatives(["a"]), alternatives(["a", "b"]), alternatives(["a", "b", "c"])] == [
        "a",
        "a or b",
        "a, b or c",
    ]
