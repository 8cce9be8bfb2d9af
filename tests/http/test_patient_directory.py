"""What the pages of the authorization server learn of patients."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.patient_directory import Directory
from fhir_server.main import running
from fhir_server.settings import Mongo, Settings
from smart_auth.records import Link, User
from smart_auth.store import Chart
from tests.smart_auth.clock import START

ANN = User("u", "ann", "Ann", "patient", START, links=(Link("Patient/ann", "ann"), Link("RelatedPerson/r", "cy")))
DOC = User("d", "doc", "Doc", "staff", START, links=(Link("Practitioner/doc"),))
PATIENTS = (
    {"id": "ann", "name": [{"given": ["Ann"], "family": "Lee"}], "birthDate": "1980-02-01"},
    {
        "id": "bo",
        "name": [{"text": "Bo Lee", "given": ["Bo"], "family": "Lee"}],
        "identifier": [{"system": "urn:mrn", "value": "A-17"}],
    },
    {"id": "cy"},
)

HOUSES = (
    {"resourceType": "Organization", "id": "east", "name": "East Clinic", "partOf": {"reference": "Organization/root"}},
    {"resourceType": "Organization", "id": "ward", "name": "Ward", "partOf": {"reference": "Organization/east"}},
    {
        "resourceType": "Organization",
        "id": "shut",
        "name": "Shut",
        "active": False,
        "partOf": {"reference": "Organization/root"},
    },
    {"resourceType": "Organization", "id": "alien", "name": "Alien"},
    {"resourceType": "Practitioner", "id": "doc", "name": [{"given": ["Doc"], "family": "Grey"}]},
    {
        "resourceType": "PractitionerRole",
        "id": "nurse",
        "code": [{"text": "Ward nurse"}],
        "organization": {"reference": "Organization/east"},
    },
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def directory(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Directory]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"directory_{uuid4().hex[:8]}", cache_gb=0.25))
    async with running(settings) as service:
        for patient in PATIENTS:
            await service.repository.update("Patient", str(patient["id"]), {"resourceType": "Patient", **patient})
        for number, who in (("1", "ann"), ("2", "ann"), ("3", "bo")):
            encounter = {
                "resourceType": "Encounter",
                "id": f"e{number}",
                "status": "finished",
                "class": {"code": "AMB", "display": "ambulatory"},
                "subject": {"reference": f"Patient/{who}"},
                "period": {"start": f"2026-01-0{number}T08:00:00Z"},
            }
            await service.repository.update("Encounter", f"e{number}", encounter)
        for resource in HOUSES:
            await service.repository.update(str(resource["resourceType"]), str(resource["id"]), dict(resource))
        answer = service._pipeline.answer
        yield Directory(answer, service.grants, "https://a.example/fhir")


async def test_a_patient_sees_the_own_record_and_those_of_whom_the_person_acts_for(directory: Directory) -> None:
    assert await directory.patients(ANN, "", "") == [Chart("ann", "Ann Lee", "1980-02-01"), Chart("cy", "Patient cy")]
    assert [await directory.may_open(ANN, "", one) for one in ("ann", "cy", "bo", "nobody")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("lee", ["ann", "bo"]),
        ("ann lee", ["ann"]),
        ("1980-02-01", ["ann"]),
        ("A-17", ["bo"]),
        ("a,b|c$d\\", []),
        ("", []),
    ],
)
async def test_staff_find_whom_they_search_and_nobody_without_words(
    directory: Directory, words: str, found: list[str]
) -> None:
    assert [chart.id for chart in await directory.patients(DOC, "", words)] == found


async def test_organizations_at_and_below_the_root_are_public(directory: Directory) -> None:
    assert [one["id"] for one in await directory.organizations()] == ["root", "east", "ward"]


async def test_a_person_is_told_the_roles_by_what_they_are_called(directory: Directory) -> None:
    links = (Link("Practitioner/doc"), Link("PractitionerRole/nurse"), Link("PractitionerRole/gone"))
    assert await directory.roles(replace(DOC, links=links)) == [
        Chart("PractitionerRole/nurse", "Ward nurse", "East Clinic"),
        Chart("PractitionerRole/gone", "PractitionerRole/gone"),
    ]


async def test_a_patient_is_recognized_by_who_may_open_the_record(directory: Directory) -> None:
    assert await directory.patient(ANN, "", "ann") == Chart("ann", "Ann Lee", "1980-02-01")
    assert await directory.patient(ANN, "", "bo") is None
    assert await directory.patient(DOC, "", "nobody") is None


async def test_an_encounter_belongs_to_its_patient(directory: Directory) -> None:
    asked = (("ann", "e1"), ("ann", "e3"), ("bo", "e3"), ("ann", "e1,e3"), ("", "e1"))
    assert [await directory.has_encounter(DOC, "", *one) for one in asked] == [True, False, True, False, False]
    assert not await directory.has_encounter(ANN, "", "bo", "e3")


async def test_patient_switching_with_several_ids_in_one_is_refused(directory: Directory) -> None:
    for patient in ("ann,bo", "../ann", "", "ann?x=1", "ann/_history"):
        assert not await directory.may_open(DOC, "", patient)
        assert await directory.encounters(DOC, "", patient) == []


async def test_staff_may_open_everybody_that_there_is(directory: Directory) -> None:
    assert await directory.may_open(DOC, "", "bo")
    assert not await directory.may_open(DOC, "", "nobody")


async def test_encounters_are_those_of_the_patient_the_newest_first(directory: Directory) -> None:
    assert await directory.encounters(DOC, "", "ann") == [
        Chart("e2", "ambulatory", "2026-01-02"),
        Chart("e1", "ambulatory", "2026-01-01"),
    ]
    assert await directory.encounters(ANN, "", "bo") == []
