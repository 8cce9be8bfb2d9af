"""What staff reach by where they stand: role, custody, agreement, relationship, label, glass."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_server.access.granted import Granted
from fhir_server.access.principal import Principal
from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE, ROLES, of
from fhir_server.access.scope_filter import Letter
from fhir_server.access.standing import FREE, Standing
from fhir_server.search.expression import Nothing, OwnedBy
from fhir_server.search.match import matches
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions, load
from smart_auth.scopes.grammar import parse

WHO = Principal("staff", "app", "u", parse("user/*.cruds").resources)
DOCTOR = of([f"{HL7_ROLE}|doctor"], {})
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

HERE = Standing("a", DOCTOR, OwnedBy(frozenset({"a", "a-ward"})))
MINE: dict[str, Any] = {"_id": "1", "f": "a", "p": "ann"}
THEIRS: dict[str, Any] = {"_id": "2", "f": "b", "p": "bo"}


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


@pytest.fixture
def reach(definitions: Definitions) -> Any:
    def reaches(standing: Standing, document: dict[str, Any], letter: Letter = "r", kind: str = "Observation") -> bool:
        return matches(Granted(WHO, definitions, Search(), standing).expression(kind, letter), document)

    return reaches


def test_staff_reach_what_the_own_facility_and_those_below_it_keep_and_nothing_else(reach: Any) -> None:
    assert reach(HERE, MINE)
    assert reach(HERE, {**MINE, "f": "a-ward"}, "u")
    assert not reach(HERE, THEIRS)
    assert not reach(HERE, {"_id": "3", "p": "ann"})


@pytest.mark.parametrize("label", ["PSY", "HIV"])
def test_an_agreement_for_the_network_does_not_open_what_a_label_restricts(reach: Any, label: str) -> None:
    member = replace(HERE, network=frozenset({"b"}))
    assert reach(member, THEIRS)
    assert not reach(member, {**THEIRS, "sl": [label]})
    assert reach(replace(member, patients=frozenset({"bo"})), {**THEIRS, "sl": [label]})


def test_an_agreement_for_relationships_opens_only_patients_with_one(reach: Any) -> None:
    related = replace(HERE, related=frozenset({"b"}))
    assert not reach(related, THEIRS)
    treating = replace(related, patients=frozenset({"bo"}))
    assert reach(treating, THEIRS)
    assert reach(treating, {**THEIRS, "p": "cy", "ps": ["bo", "cy"]})
    assert not reach(treating, {**THEIRS, "p": "cy"})
    assert not reach(treating, {**THEIRS, "f": "c"})


def test_a_patient_who_objects_is_reached_by_no_agreement_but_by_breaking_the_glass(reach: Any) -> None:
    objecting = replace(
        HERE, network=frozenset({"b"}), patients=frozenset({"bo"}), objecting=frozenset({"bo"})
    )  # fmt: skip
    assert not reach(objecting, THEIRS)
    assert reach(replace(objecting, glass={"bo": NOON}), THEIRS)


def test_the_own_facility_is_reached_whoever_objects_to_networks(reach: Any) -> None:
    assert reach(replace(HERE, objecting=frozenset({"ann"})), MINE)


def test_breaking_the_glass_opens_labels_too_and_one_patient_only(reach: Any) -> None:
    broken = replace(HERE, glass={"bo": NOON})
    assert reach(broken, {**THEIRS, "sl": ["V"]})
    assert not reach(broken, {**THEIRS, "p": "cy"})


@pytest.mark.parametrize("letter", ["c", "u", "d"])
def test_nothing_of_another_facility_is_written_by_whatever_opens_it(reach: Any, letter: Letter) -> None:
    wide = replace(
        HERE, network=frozenset({"b"}), related=frozenset({"b"}), patients=frozenset({"bo"}), glass={"bo": NOON}
    )
    assert reach(wide, THEIRS)
    assert not reach(wide, THEIRS, letter)


def test_a_patient_is_not_reached_because_one_with_a_relationship_is_linked_to_it(reach: Any) -> None:
    treating = replace(HERE, related=frozenset({"b"}), patients=frozenset({"bo"}))
    assert reach(treating, {"_id": "bo", "f": "b", "p": "bo"}, kind="Patient")
    assert not reach(treating, {"_id": "cy", "f": "b", "p": "cy", "ps": ["bo", "cy"]}, kind="Patient")


CLINICAL = ("Observation", "Condition", "DiagnosticReport", "DocumentReference", "MedicationRequest", "Binary", "List")


@pytest.mark.parametrize("role", ["front-desk", "billing", "administrator", "privacy-officer", "ict"])
@pytest.mark.parametrize("kind", CLINICAL)
def test_HI_7_who_does_not_treat_opens_no_clinical_data(definitions: Definitions, role: str, kind: str) -> None:
    standing = replace(HERE, privileges=of([f"{OWN_ROLE}|{role}"], {}))
    granted = Granted(WHO, definitions, Search(), standing)
    assert [letter for letter in "cruds" if granted.expression(kind, letter) != Nothing()] == []  # type: ignore[arg-type]


def test_a_role_whose_code_nobody_knows_gives_the_directory_only(definitions: Definitions) -> None:
    granted = Granted(WHO, definitions, Search(), replace(HERE, privileges=of(["urn:other|doctor", ""], {})))
    seen = {kind for kind in definitions.resource_types if granted.expression(kind, "r") != Nothing()}
    assert {"Organization", "Practitioner", "ValueSet"} <= seen
    assert seen.isdisjoint({*CLINICAL, "Patient", "Appointment", "Task", "AuditEvent"})
    known = of(["urn:other|doctor"], {"urn:other|doctor": "nurse"})
    assert known.areas == of([f"{HL7_ROLE}|nurse"], {}).areas


def test_several_roles_add_up() -> None:
    both = of([f"{OWN_ROLE}|billing", f"{OWN_ROLE}|privacy-officer"], {})
    assert both.has_duty("audit")
    assert both.allow("finance", "d")
    assert not both.allow("clinical", "r")


def test_no_role_gives_a_letter_that_there_is_none_of() -> None:
    assert {letter for role in ROLES.values() for letters in role.areas.values() for letter in letters} <= set("cruds")


def test_whole_types_are_for_those_whom_nothing_but_scopes_restricts(definitions: Definitions) -> None:
    assert Granted(WHO, definitions, Search(), FREE).covers("r")
    assert not Granted(WHO, definitions, Search(), HERE).covers("r")
