"""What the scopes of a token reach, over a stored record."""

from dataclasses import replace
from typing import Any

import pytest

from fhir_server.access.granted import Check, Granted
from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import Letter
from fhir_server.search.expression import Anything, Nothing
from fhir_server.search.index import Indexer
from fhir_server.search.match import matches
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions, load
from smart_auth.scopes.grammar import parse

SEARCH = Search()
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
HERS = Principal("patient", "app", "u", (), patient="ann", own=frozenset({"ann"}))
STAFF = replace(HERS, audience="staff", own=frozenset())
SYSTEM = replace(HERS, audience="system", patient="", own=frozenset())


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


def granted(definitions: Definitions, scope: str, who: Principal = HERS) -> Granted:
    return Granted(replace(who, scopes=parse(scope).resources), definitions, SEARCH)


def observation(patient: str, category: str = "laboratory", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{category}",
        "status": "final",
        "code": {"text": "x"},
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def reaches(filter_: Granted, resource: dict[str, Any], letter: Letter, definitions: Definitions) -> bool:
    document = {"_id": resource["id"], **Indexer(definitions).entries(resource)}
    return matches(filter_.expression(resource["resourceType"], letter), document)


@pytest.mark.parametrize("scope", ["patient/Observation.rs", "patient/*.read", "user/Observation.rs"])
def test_a_patient_reaches_the_own_record_and_no_other(definitions: Definitions, scope: str) -> None:
    filter_ = granted(definitions, scope)
    assert reaches(filter_, observation("ann"), "r", definitions)
    assert not reaches(filter_, observation("bo"), "r", definitions)
    assert not reaches(filter_, observation("ann"), "u", definitions)


def test_staff_reach_the_launch_patient_by_patient_scopes_and_everybody_by_user_scopes(
    definitions: Definitions,
) -> None:
    assert not reaches(granted(definitions, "patient/*.rs", STAFF), observation("bo"), "r", definitions)
    assert reaches(granted(definitions, "user/*.rs", STAFF), observation("bo"), "r", definitions)


def test_a_context_reaches_nothing_for_whom_it_is_not(definitions: Definitions) -> None:
    for scope, who in (
        ("system/*.cruds", HERS),
        ("system/*.cruds", STAFF),
        ("user/*.cruds", SYSTEM),
        ("patient/*.cruds", SYSTEM),
        ("patient/*.cruds", replace(STAFF, patient="")),
        ("user/*.cruds", replace(HERS, own=frozenset())),
    ):
        for kind in ("Observation", "Patient", "Practitioner"):
            assert granted(definitions, scope, who).expression(kind, "r") == Nothing()


def test_a_system_reaches_everything_of_its_scopes(definitions: Definitions) -> None:
    filter_ = granted(definitions, "system/Observation.rs", SYSTEM)
    assert filter_.expression("Observation", "s") == Anything()
    assert filter_.expression("Observation", "c") == Nothing()
    assert filter_.expression("Patient", "r") == Nothing()


def test_granular_scopes_are_or_ed_and_their_criteria_and_ed(definitions: Definitions) -> None:
    filter_ = granted(
        definitions,
        f"patient/Observation.rs?category={CATEGORY}|laboratory patient/Observation.rs?category={CATEGORY}|vital-signs"
        " patient/Observation.rs?category=survey&status=amended",
    )
    assert reaches(filter_, observation("ann"), "s", definitions)
    assert reaches(filter_, observation("ann", "vital-signs"), "s", definitions)
    assert not reaches(filter_, observation("ann", "survey"), "s", definitions)
    assert reaches(filter_, observation("ann", "survey", status="amended"), "s", definitions)
    assert not reaches(filter_, observation("bo"), "s", definitions)


def test_scope_escalation_by_criteria_that_cannot_be_read_reaches_nothing(definitions: Definitions) -> None:
    for query in ("nonsense=1", "date=yesterday", "_count=5", "_include=Observation:subject"):
        filter_ = granted(definitions, f"patient/Observation.rs?{query}")
        assert filter_.expression("Observation", "r") == Nothing()
        assert not reaches(filter_, observation("ann"), "r", definitions)


def test_a_group_shows_one_patient_to_another_and_is_reached_by_staff_only(definitions: Definitions) -> None:
    assert granted(definitions, "patient/*.rs").expression("Group", "r") == Nothing()
    assert granted(definitions, "user/Group.rs", STAFF).expression("Group", "r") == Anything()


@pytest.mark.parametrize(("kind", "element"), [("Device", "patient"), ("Task", "for")])
def test_devices_and_tasks_of_the_patient_are_part_of_the_record(
    definitions: Definitions, kind: str, element: str
) -> None:
    filter_ = granted(definitions, f"patient/{kind}.rs")
    for patient, expected in (("ann", True), ("bo", False)):
        me = {"reference": f"Patient/{patient}"}
        resource = {"resourceType": kind, "id": "x", element: me, **({"owner": me} if kind == "Task" else {})}
        assert reaches(filter_, resource, "s", definitions) is expected


def test_what_records_refer_to_can_be_read_and_only_the_directory_searched(definitions: Definitions) -> None:
    filter_ = granted(definitions, "patient/*.cruds")
    for kind, searched in (("Practitioner", True), ("Organization", True), ("Medication", False)):
        assert filter_.expression(kind, "r") == Anything()
        assert (filter_.expression(kind, "s") == Anything()) is searched
        for letter in ("c", "u", "d"):
            assert filter_.expression(kind, letter) == Nothing()


@pytest.mark.parametrize("kind", ["SearchParameter", "MessageHeader", "Bundle", "Contract", "Slot"])
def test_other_types_in_nobody_s_record_are_not_reached_by_patients(definitions: Definitions, kind: str) -> None:
    for letter in ("c", "r", "u", "d", "s"):
        assert granted(definitions, "patient/*.cruds user/*.cruds").expression(kind, letter) == Nothing()


def test_the_person_can_be_read_whatever_the_scopes_are(definitions: Definitions) -> None:
    filter_ = granted(definitions, "patient/Observation.rs", replace(HERS, fhir_user="RelatedPerson/r1"))
    assert reaches(filter_, {"resourceType": "RelatedPerson", "id": "r1"}, "r", definitions)
    assert not reaches(filter_, {"resourceType": "RelatedPerson", "id": "r2"}, "r", definitions)
    assert filter_.expression("RelatedPerson", "s") == Nothing()


def test_a_type_that_no_scope_speaks_of_is_another_thing_than_an_instance_outside(definitions: Definitions) -> None:
    filter_ = granted(definitions, "patient/Observation.rs")
    assert filter_.speaks_of("Observation", "r")
    assert not filter_.speaks_of("Observation", "c")
    assert not filter_.speaks_of("Condition", "r")


@pytest.mark.parametrize(
    ("kind", "name", "value", "says"),
    [
        ("Observation", "category", f"{CATEGORY}|laboratory", ""),
        ("Observation", "date", "ge2020", ""),
        ("*", "_tag", "a|b", ""),
        ("*", "category", "x", "not every type"),
        ("Observation", "clinical-status", "x", "has no search parameter"),
        ("Observation", "_count", "5", "has no search parameter"),
        ("Observation", "date", "yesterday", "date"),
        ("Observation", "category", ",", "says nothing"),
    ],
)
def test_criteria_are_checked_when_they_are_asked_for(
    definitions: Definitions, kind: str, name: str, value: str, says: str
) -> None:
    found = Check(definitions, SEARCH)(kind, name, value)
    assert (says in found) if says else found == ""
