"""What of a resource is stored for search: entries, patients, dates, sort keys, references."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.search.chosen import PARTS, PRIMARY_CODES, PRIMARY_DATES, SORT_KEYS
from fhir_server.search.index import Indexer, references
from fhir_server.search.params import LAST, param, params, routes
from fhir_server.search.types import token
from profiles.definitions.registry import Definitions
from tests.search.naive import evaluate

Resource = dict[str, Any]


def observation(**members: Any) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


def ref(text: str) -> dict[str, str]:
    return {"reference": text}


def test_an_observation(indexer: Indexer, examples: dict[str, Resource]) -> None:
    assert indexer.entries(examples["Observation/f001"]) == {
        "p": "f001",
        "d": datetime(2013, 4, 2, 8, 30, 10, tzinfo=UTC),
        "dh": datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
        "dl": True,
        "rf": ["Patient/f001", "Practitioner/f005"],
        "s": {
            "code": ["15074-8|http://loinc.org"],
            "code:text": ["glucose [moles/volume] in blood"],
            "identifier": ["6323|http://www.bmc.nl/zorgportal/identifiers/observations"],
            "performer": ["Practitioner/f005"],
            "status": "final",
            "value-quantity": [
                {
                    "lo": 6.3,
                    "hi": 6.3,
                    "u": "mmol/L",
                    "s": "http://unitsofmeasure.org",
                    "n": "mmol/l",
                    "cu": "m-3",
                    "clo": 3.7939486788e24,
                    "chi": 3.7939486788e24,
                }
            ],
        },
    }


def test_a_patient_is_in_its_own_compartment_and_has_sort_keys(indexer: Indexer, examples: dict[str, Resource]) -> None:
    found = indexer.entries(examples["Patient/example"])
    assert found["p"] == "example"
    assert "ps" not in found
    assert found["d"] == datetime(1974, 12, 25, tzinfo=UTC)
    assert "dl" not in found
    assert found["k"] == {"family": {"a": "chalmers", "z": "windsor"}, "given": {"a": "james", "z": "peter"}}
    assert found["s"]["deceased"] == "false"
    assert found["s"]["family"] == ["chalmers\nChalmers", "windsor\nWindsor"]
    assert found["rf"] == ["Organization/1"]


def test_sort_keys_of_a_missing_value_come_last_in_either_direction(indexer: Indexer) -> None:
    found = indexer.entries({"resourceType": "Patient", "id": "nameless"})
    assert found["k"] == {code: {"a": LAST, "z": ""} for code in ("family", "given")}
    assert LAST > "ﻞ" > "zz"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        # What p says is not said again.
        ({"subject": ref("Patient/1")}, {"p": "1"}),
        ({"subject": ref("Patient/1/_history/3")}, {"p": "1"}),
        ({"subject": ref("https://example.org/fhir/Patient/1")}, {"p": "1"}),
        # Nobody's.
        ({}, {}),
        ({"subject": ref("Group/1")}, {"subject": "Group/1"}),
        (
            {"subject": ref("https://elsewhere.example/Patient/1")},
            {
                "subject": "https://elsewhere.example/Patient/1",
                "patient": "https://elsewhere.example/Patient/1",
            },
        ),
        # A performer may be a patient too: p comes from the subject first.
        (
            {"subject": ref("Patient/1"), "performer": [ref("Patient/2"), ref("Practitioner/3")]},
            {"p": "1", "ps": ["1", "2"], "performer": ["Patient/2", "Practitioner/3"]},
        ),
        # p says nothing of a subject that is not there, or not a patient.
        ({"performer": [ref("Patient/2")]}, {"p": "2", "subject": False, "patient": False, "performer": ["Patient/2"]}),
        (
            {"subject": ref("Group/1"), "performer": [ref("Patient/2")]},
            {"p": "2", "subject": "Group/1", "patient": False, "performer": ["Patient/2"]},
        ),
        # What else the reference says stays.
        (
            {"subject": {"reference": "Patient/1", "identifier": {"system": "urn:x", "value": "7"}}},
            {"p": "1", "subject": ["Patient/1", "#7|urn:x"], "patient": ["Patient/1", "#7|urn:x"]},
        ),
    ],
)
def test_patients_of_an_observation(indexer: Indexer, members: Resource, expected: Resource) -> None:
    found = indexer.entries(observation(**members))
    codes = ("subject", "patient", "performer")
    said = {name: found[name] for name in ("p", "ps") if name in found}
    assert said | {code: found["s"][code] for code in codes if code in found["s"]} == expected


def test_an_appointment_is_in_the_compartments_of_all_its_patients(indexer: Indexer) -> None:
    actors = ["Practitioner/3", "Patient/2", "Patient/1", "Patient/2"]
    found = indexer.entries(
        {
            "resourceType": "Appointment",
            "status": "booked",
            "start": "2024-03-01T10:00:00Z",
            "participant": [{"actor": ref(actor), "status": "accepted"} for actor in actors],
        }
    )
    assert (found["p"], found["ps"]) == ("2", ["2", "1"])
    assert found["s"]["patient"] == ["Patient/2", "Patient/1"]
    assert found["rf"] == ["Patient/1", "Patient/2", "Practitioner/3"]


def test_a_linked_patient_comes_after_the_patient_itself(indexer: Indexer) -> None:
    link = [{"other": ref("Patient/old"), "type": "replaces"}]
    found = indexer.entries({"resourceType": "Patient", "id": "new", "link": link})
    assert (found["p"], found["ps"]) == ("new", ["new", "old"])


def test_the_beneficiary_is_the_patient_of_a_coverage(indexer: Indexer) -> None:
    found = indexer.entries(
        {
            "resourceType": "Coverage",
            "status": "active",
            "policyHolder": ref("Patient/mother"),
            "subscriber": ref("Patient/mother"),
            "beneficiary": ref("Patient/child"),
            "payor": [ref("Organization/1")],
        }
    )
    assert (found["p"], found["ps"]) == ("child", ["child", "mother"])
    assert "beneficiary" not in found["s"]
    assert found["s"]["policy-holder"] == "Patient/mother"


def test_every_example_is_in_the_compartments_that_its_references_say(
    indexer: Indexer, definitions: Definitions, examples: dict[str, Resource]
) -> None:
    compared = 0
    for name, resource in examples.items():
        codes = definitions.compartments["Patient"].members.get(resource["resourceType"], ())
        known = definitions.search_parameters(resource["resourceType"])
        expected = {resource["id"]} if resource["resourceType"] == "Patient" else set()
        for code in codes:
            for value in evaluate(known[code].expression, resource) if code in known else ():
                text = value.get("reference", "")
                if text.startswith("Patient/"):
                    expected.add(text.split("/")[1])
        found = indexer.entries(resource)
        assert set(found.get("ps", [found["p"]] if "p" in found else [])) == expected, name
        compared += len(expected)
    assert compared > 300


@pytest.mark.parametrize(
    ("effective", "expected"),
    [
        ({}, {}),
        (
            {"effectiveDateTime": "2024-03-01"},
            {"d": "2024-03-01T00:00:00+00:00", "dh": "2024-03-01T23:59:59.999000+00:00"},
        ),
        (
            {"effectiveDateTime": "2024-03-01T10:00:00+05:30"},
            {"d": "2024-03-01T04:30:00+00:00", "dh": "2024-03-01T04:30:00.999000+00:00"},
        ),
        (
            {"effectiveDateTime": "2024-03"},
            {"d": "2024-03-01T00:00:00+00:00", "dh": "2024-03-31T23:59:59.999000+00:00", "dl": "True"},
        ),
        (
            {"effectivePeriod": {"start": "2024-03-01T10:00:00Z", "end": "2024-03-02T09:59:59Z"}},
            {"d": "2024-03-01T10:00:00+00:00", "dh": "2024-03-02T09:59:59.999000+00:00"},
        ),
        (
            {"effectiveTiming": {"event": ["2024-03-05", "2024-03-01"]}},
            {"d": "2024-03-01T00:00:00+00:00", "dh": "2024-03-05T23:59:59.999000+00:00", "dl": "True"},
        ),
    ],
)
def test_the_primary_date(indexer: Indexer, effective: Resource, expected: Mapping[str, str]) -> None:
    found = indexer.entries(observation(**effective))
    shown = {
        name: found[name].isoformat() if name != "dl" else str(found[name])
        for name in ("d", "dh", "dl")
        if name in found
    }
    assert shown == expected
    assert "date" not in found["s"]


def test_references_are_all_local_ones_wherever_they_are() -> None:
    resource = observation(
        subject=ref("Patient/1/_history/2"),
        encounter=ref("https://example.org/fhir/Encounter/5"),
        performer=[ref("Practitioner/9"), ref("#inside"), ref("urn:uuid:6a1fcd0e-0b29-4b05-8b5d-8d2f3a9a7a55")],
        device=ref("https://elsewhere.example/fhir/Device/1"),
        focus=[{"identifier": {"value": "7"}}, ref("Patient?identifier=7")],
        contained=[{"resourceType": "Device", "id": "inside", "owner": ref("Organization/2")}],
        extension=[{"url": "urn:x", "extension": [{"url": "y", "valueReference": ref("Practitioner/9")}]}],
    )
    expected = ["Encounter/5", "Organization/2", "Patient/1", "Practitioner/9"]
    assert references(resource, "https://example.org/fhir") == expected
    assert references(resource) == expected[1:]


def test_a_bundle_answers_for_itself_not_for_its_entries(indexer: Indexer) -> None:
    composition = {"resourceType": "Composition", "id": "c", "subject": ref("Patient/1"), "identifier": {"value": "7"}}
    found = indexer.entries({"resourceType": "Bundle", "type": "document", "entry": [{"resource": composition}]})
    assert found["s"] == {"composition": "Composition/c", "type": "document"}
    assert found["rf"] == ["Composition/c"]


def test_local_canonicals_are_references_too(indexer: Indexer) -> None:
    found = indexer.entries(
        {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": "Questionnaire/1"}
    )
    assert found["s"]["questionnaire"] == "Questionnaire/1"
    assert found["rf"] == ["Questionnaire/1"]


def test_every_reference_entry_that_is_local_is_in_rf(
    indexer: Indexer, definitions: Definitions, examples: dict[str, Resource]
) -> None:
    for name, resource in examples.items():
        found = indexer.entries(resource)
        for code, row in params(resource["resourceType"], definitions).items():
            entries = found["s"].get(code, []) if row.type == "reference" else []
            for entry in entries if isinstance(entries, list) else [entries or ""]:
                if entry[:1].isupper():
                    assert entry in found["rf"], (name, code)


def test_scalars_are_scalars_in_every_example(
    indexer: Indexer, definitions: Definitions, examples: dict[str, Resource]
) -> None:
    """One array in a field of a compound index would make the index multikey for ever."""
    for name, resource in examples.items():
        found = indexer.entries(resource)
        assert isinstance(found.get("p", ""), str), name
        assert isinstance(found.get("d", datetime.now(UTC)), datetime), name
        assert found.keys() <= {"s", "p", "ps", "d", "dh", "dl", "k", "rf", "c", "gt"}, name
        assert ("c" in found) == ("contained" in resource), name
        for code, entries in found["s"].items():
            told, _, beside = code.partition(":")
            row = param(resource["resourceType"], told, definitions)
            assert row is not None
            if beside:
                assert isinstance(entries, list), (name, code)
                assert beside in token.FACETS
                continue
            assert row.stored, (name, code)
            ranged = row.type in {"date", "number", "quantity"}
            assert isinstance(entries, list) or not (row.array or ranged), (name, code)
            assert isinstance(entries, str | bool) or row.array or ranged or row.type in {"reference", "special"}, (
                name,
                code,
            )


def test_unions_select_what_their_parts_select(definitions: Definitions) -> None:
    for resource_type, unions in PARTS.items():
        known = definitions.search_parameters(resource_type)
        for code, parts in unions.items():
            together = {one for part in parts for one in routes(resource_type, known[part], definitions)}
            assert set(routes(resource_type, known[code], definitions)) == together, (resource_type, code)
            assert {known[part].type for part in parts} == {known[code].type}


def test_the_tables_name_parameters_that_fit(definitions: Definitions) -> None:
    for resource_type, code in PRIMARY_DATES.items():
        row = param(resource_type, code, definitions)
        assert row is not None
        assert (row.type, row.array, row.primary_date, row.stored) == ("date", False, True, False), resource_type
    for resource_type, code in PRIMARY_CODES.items():
        row = param(resource_type, code, definitions)
        assert row is not None
        assert (row.type, row.primary_code, set(row.value_types)) == ("token", True, {"CodeableConcept"}), resource_type
    for resource_type, codes in SORT_KEYS.items():
        assert {params(resource_type, definitions)[code].type for code in codes} == {"string"}


def test_the_sentence_about_a_parameter_is_that_of_its_type(definitions: Definitions) -> None:
    row = param("Procedure", "date", definitions)
    assert row is not None
    assert row.description == "When the procedure was performed"


def test_bindings_are_those_of_code_elements(definitions: Definitions) -> None:
    found = {code: row.bindings for code, row in params("Observation", definitions).items() if row.bindings}
    assert found == {"status": ("http://hl7.org/fhir/ValueSet/observation-status",)}


def test_a_contained_resource_is_indexed_as_one_that_stands_alone(indexer: Indexer) -> None:
    device = {"resourceType": "Device", "id": "d", "owner": ref("Organization/2"), "patient": ref("Patient/1")}
    found = indexer.entries(observation(contained=[device], device=ref("#d"), focus=[ref("#d"), ref("Patient/3")]))
    alone = indexer.entries(device)
    assert found["c"] == [{"t": "Device", "_id": "d", **alone, "s": {**alone["s"], "_by": ["device", "focus"]}}]
    assert "c" not in alone


def test_a_contained_patient_is_no_patient_of_the_record(indexer: Indexer) -> None:
    inside = [
        {"resourceType": "Patient", "id": "p", "name": [{"family": "Inside"}]},
        {"resourceType": "Observation", "id": "o", "subject": ref("#p"), "hasMember": [ref("#")]},
    ]
    found = indexer.entries({**observation(contained=inside, subject=ref("#p"), hasMember=[ref("#o")]), "id": "7"})
    patient, other = found["c"]
    assert not {"p", "k"} & patient.keys()
    assert patient["s"]["family"] == ["inside\nInside"]
    # To what is inside of the same resource nothing leads, but there is a reference, and its type is known.
    assert other["s"]["subject"] == other["s"]["patient"] == ""
    assert "p" not in other
    assert other["s"]["has-member"] == ["Observation/7"]
    assert other["rf"] == ["Observation/7"]
