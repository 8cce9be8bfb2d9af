"""Facilities in one deployment that share nothing (HI-2), and somebody who works at two of them in different roles (HI-7)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE
from fhir_server.access.scope_filter import Unrestricted
from fhir_server.demo import course, registration
from fhir_server.demo.people import person
from fhir_server.settings import Record
from tests.access.house import Caller, House, Json, observation, opened
from tests.access.record import reference, resource
from tests.access.twins import organization
from tests.search.asking import search
from tests.search.selections import PARAMETERS

SEED = 20261121
REQUESTS = 200
PATIENT = 8

pytestmark = pytest.mark.xdist_group("two_facilities")


def role(name: str, where: str, code: str) -> Json:
    system = HL7_ROLE if code == "doctor" else OWN_ROLE
    return resource(
        "PractitionerRole", name, active=True, organization=reference(f"Organization/{where}"),
        code=[{"coding": [{"system": system, "code": code}]}],
    )  # fmt: skip


def theirs() -> list[Json]:
    """Return the record of a patient of the demo, without what all facilities share."""
    somebody = person(PATIENT)
    return [*registration.resources(somebody, "dr01"), *course.resources(somebody, ("dr01",))]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """Facilities without any affiliation: one without a record, one with a small one, one with that of the demo."""
    async with opened(data_dir) as house:
        free = replace(house.service.repository, rules=Record(references="off"))
        places = ("east", "north", "west")
        east, north, west = (replace(free, scope=Unrestricted("the test's own work", name)) for name in places)
        for name in places:
            await free.update("Organization", name, organization(name))
        await east.update("PractitionerRole", "east-doctor", role("east-doctor", "east", "doctor"))
        for one in (role("doctor", "north", "doctor"), role("desk", "north", "front-desk")):
            await north.update("PractitionerRole", one["id"], one)
        for one in (role("administrator", "west", "administrator"), role("west-doctor", "west", "doctor")):
            await west.update("PractitionerRole", one["id"], one)
        await north.update("Patient", "eve", resource("Patient", "eve", name=[{"family": "Eve"}]))
        await north.update("Observation", "eve-lab", observation("eve-lab", "eve"))
        for one in theirs():
            await west.update(one["resourceType"], one["id"], one)
        await house.add_staff("hedy", "east-doctor", "doctor", "administrator", "desk", "west-doctor")
        yield house


def questions(chance: Random, records: dict[str, list[Json]]) -> list[str]:
    """Return random requests that would find what is kept at the other facility."""
    kinds = sorted(records)
    asked = []
    for _ in range(REQUESTS):
        kind = chance.choice(kinds)
        one = chance.choice(records[kind])
        name = f"{kind}/{one['id']}"
        way = chance.choice(
            ["read", "vread", "history", "search", "search", "count", "estimate", "id", "compartment", "all"]
        )
        known = kind in PARAMETERS
        query = urlencode(search(chance, kind, records[kind])) if known else f"_id={one['id']}"
        asked.append(
            {
                "read": name,
                "vread": f"{name}/_history/1",
                "history": f"{name}/_history",
                "search": f"{kind}?{query}&_total=accurate",
                "count": f"{kind}?{query}&_summary=count",
                "estimate": f"{kind}?_id={one['id']}&_total=estimate",
                "id": f"{kind}?_id={one['id']}&_include=*&_revinclude=*&_total=accurate",
                "compartment": f"Patient/p{PATIENT:04d}/{kind}?_total=accurate",
                "all": f"?_type={kind}&_id={one['id']}&_total=accurate",
            }[way]
        )
    return asked


async def test_HI_2_staff_of_one_facility_find_nothing_of_another_and_no_count_tells(house: House) -> None:
    records: dict[str, list[Json]] = {}
    for one in theirs():
        records.setdefault(one["resourceType"], []).append(one)
    doctor = await house.as_("user/*.cruds", user="hedy", role="east-doctor")
    control = await house.as_("user/*.cruds", user="hedy", role="west-doctor")
    found_by_control = 0
    for path in questions(Random(SEED), records):
        assert await found(doctor, path) == 0, path
        found_by_control += await found(control, path) > 0
    assert found_by_control > REQUESTS / 2


async def found(caller: Caller, path: str) -> int:
    """Return how much an answer tells: resources, or their number."""
    answer = await caller.get(path)
    if answer.status_code == 404:
        return 0
    assert answer.status_code == 200, (path, answer.text)
    body: dict[str, Any] = answer.json()
    return int(body.get("total", 0)) + len(body.get("entry", [])) if body["resourceType"] == "Bundle" else 1


CLINICAL = ("Patient/eve", "Observation/eve-lab")


async def test_HI_7_the_role_of_an_administrator_elsewhere_opens_no_clinical_data(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user="hedy", role="doctor")
    administrator = await house.as_("user/*.cruds", user="hedy", role="administrator")
    for path in CLINICAL:
        assert await doctor.status(path) == 200
    for path in (*CLINICAL, *(f"{one['resourceType']}/{one['id']}" for one in theirs()[:8])):
        assert await administrator.status(path) in {403, 404}, path
        kind, _, name = path.partition("/")
        answer = await administrator.get(f"{kind}?_id={name}&_total=accurate")
        assert answer.status_code == 403 or answer.json()["total"] == 0, path
    assert (await administrator.put(observation("eve-lab", "eve", status="amended"))).status_code in {403, 404}
    assert (await doctor.get("Observation/eve-lab")).json()["status"] == "final"


async def test_HI_7_what_the_doctor_was_shown_is_closed_to_the_same_person_as_an_administrator(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user="hedy", role="doctor")
    administrator = await house.as_("user/*.cruds", user="hedy", role="administrator")
    bundle = (await doctor.get("Observation?_count=1&_sort=_id")).json()
    for link in bundle["link"]:
        if link["relation"] != "self":
            assert (await administrator.get(link["url"])).status_code in {400, 403, 404, 410}
    assert await administrator.status("Organization/west") == 200


async def test_HI_7_the_desk_registers_and_reads_no_results(house: House) -> None:
    desk = await house.as_("user/*.cruds", user="hedy", role="desk")
    assert await desk.status("Patient/eve") == 200
    assert await desk.status("Observation/eve-lab") in {403, 404}
