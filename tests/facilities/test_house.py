"""The hierarchy follows what is written, on every process, and nothing is asked while nothing has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio

from fhir_server.facilities.house import House
from fhir_server.facilities.nodes import ORG_LEVEL
from fhir_server.main import Service, running
from fhir_server.model.errors import Unprocessable
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings
from fhir_server.store.authorization import EPOCH, META

Json = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="session")
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with running(settings) as service:
        yield service


def house(service: Service) -> House:
    return House(service.store.facilities, "root", ZoneInfo("UTC"))


def organization(name: str, parent: str = "", level: str = "") -> Json:
    found: Json = {"resourceType": "Organization", "id": name, "active": True, "name": name}
    if level:
        found["type"] = [{"coding": [{"system": ORG_LEVEL, "code": level}]}]
    if parent:
        found["partOf"] = {"reference": f"Organization/{parent}"}
    return found


async def epoch(service: Service) -> int:
    row = await service.store._database[META].find_one({"_id": EPOCH})
    assert row
    return int(row["n"])


async def put(service: Service, resource: Json) -> None:
    await service.repository.update(resource["resourceType"], resource["id"], resource)


async def test_it_follows_what_any_process_writes(service: Service, settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(running(settings))
        here, there = house(service), house(other)
        assert len(await there.tree(await epoch(other))) == 1
        await put(service, organization("land", level="sovereign"))
        await put(service, organization("east", "land", "region"))
        for one in (here, there):
            assert (await one.tree(await epoch(service))).below("land") == {"land", "east"}
        await service.repository.delete("Organization", "east")
        assert (await there.tree(await epoch(other))).below("land") == {"land"}
        assert (await there.now()).below("land") == {"land"}


async def test_nothing_is_asked_while_the_epoch_is_the_same(service: Service) -> None:
    here = house(service)
    now = await epoch(service)
    first = await here.tree(now)
    await service.store._database["Organization"].insert_one({"_id": "sneaked", "v": 1, "r": {"id": "sneaked"}})
    assert await here.tree(now) is first
    assert await here.tree(now + 1) is first  # somebody else's standing has changed, not the hierarchy
    await put(service, organization("land"))
    assert "land" in await here.tree(now + 2)


@pytest.mark.parametrize(
    "written",
    [
        organization("clinic"),
        {"resourceType": "OrganizationAffiliation", "id": "one", "active": False},
        {"resourceType": "PractitionerRole", "id": "role"},
    ],
    ids=lambda one: str(one["resourceType"]),
)
async def test_every_way_to_write_what_a_standing_rests_on_raises_the_epoch(service: Service, written: Json) -> None:
    kind, name = written["resourceType"], written["id"]
    seen = await epoch(service)

    async def raised() -> bool:
        nonlocal seen
        before, seen = seen, await epoch(service)
        return seen > before

    await put(service, written)
    assert await raised()
    await service.repository.patch(kind, name, lambda found: {**found, "active": False})
    assert await raised()
    await service.repository.delete(kind, name)
    assert await raised()
    for way in ("batch", "transaction"):
        resource = {**written, "active": way == "transaction"}
        entry = {"resource": resource, "request": {"method": "PUT", "url": f"{kind}/{name}"}}
        bundle = {"resourceType": "Bundle", "type": way, "entry": [entry]}
        answer = await service.dispatch(FhirRequest("POST", (), "http://x/fhir", resource=bundle))
        assert answer.status == 200, answer.body
        assert await raised()


async def test_a_new_address_is_no_other_hierarchy_and_a_new_place_in_it_is_one(service: Service) -> None:
    level = {"coding": [{"system": ORG_LEVEL, "code": "facility"}]}
    clinic = {**organization("clinic", "land"), "type": [level], "name": "Clinic"}
    for one in (organization("land"), organization("east"), clinic):
        await put(service, one)
    seen = await epoch(service)
    await put(
        service,
        {**clinic, "language": "en", "address": [{"city": "Aue"}], "telecom": [{"system": "phone", "value": "1"}]},
    )
    assert await epoch(service) == seen
    others: tuple[Json, ...] = (
        {"partOf": {"reference": "Organization/east"}},
        {"name": "Clinic of the East"},
        {"active": False},
        {"type": []},
        {"partOf": {"reference": "Organization/land"}},
    )
    for changed in others:
        clinic = {name: value for name, value in {**clinic, **changed}.items() if value != []}
        await put(service, clinic)
        before, seen = seen, await epoch(service)
        assert seen > before, changed
    assert "clinic" in (await house(service).now()).below("land")


async def test_places_stay_without_circles_whoever_changes_them(service: Service) -> None:
    def place(place_id: str, upper: str = "", **more: Any) -> Json:
        return {
            "resourceType": "Location",
            "id": place_id,
            **({"partOf": {"reference": f"Location/{upper}"}} if upper else {}),
            **more,
        }

    for one in (place("house"), place("ward", "house"), place("room", "ward", name="Room")):
        await put(service, one)
    await put(service, place("room", "ward", name="Another name"))
    with pytest.raises(Unprocessable, match="part of itself"):
        await put(service, place("house", "room"))
    room = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "ro"}]}
    site = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "si"}]}
    await put(service, place("room", "ward", physicalType=room))
    await put(service, place("ward", "house", physicalType=site))
    with pytest.raises(Unprocessable, match="physicalType"):
        await put(service, place("house", physicalType=room))


async def test_a_refused_unit_raises_nothing(service: Service) -> None:
    before = await epoch(service)
    entries = [
        {"resource": organization("clinic"), "request": {"method": "PUT", "url": "Organization/clinic"}},
        {"resource": organization("ward", "nowhere"), "request": {"method": "PUT", "url": "Organization/ward"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = await service.dispatch(FhirRequest("POST", (), "http://x/fhir", resource=bundle))
    assert answer.status == 422
    assert await epoch(service) == before


async def test_many_writers_at_once_each_raise_it(service: Service) -> None:
    before = await epoch(service)
    await asyncio.gather(*(put(service, organization(f"clinic-{number}")) for number in range(40)))
    assert await epoch(service) >= before + 40
    assert len(await house(service).now()) == 41


async def test_what_comes_back_under_its_id_is_read_again(service: Service) -> None:
    here = house(service)
    await put(service, organization("land", level="sovereign"))
    await put(service, organization("east", "land", "region"))
    assert (await here.now()).above("east") == ("land",)
    await service.repository.delete("Organization", "east")
    await put(service, organization("east", level="network"))
    now = await here.now()
    assert now.above("east") == ()
    assert now.level("east") == "network"
    assert now.below("land") == {"land"}
