"""Codes without their system: found in the order of an index, whatever systems there are and whoever stores a new one."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.access.scope_filter import Letter
from fhir_server.main import Service, running
from fhir_server.model.request import Pairs
from fhir_server.search.bare import MOST_SYSTEMS
from fhir_server.search.expression import Expression, OwnedBy
from fhir_server.search.parse import parse
from fhir_server.settings import Mongo, Settings
from tests.repository.stated import Stated

Json = dict[str, Any]
Database = AsyncDatabase[Json]
HOT = 300
PAGE = 10
BASE = "http://localhost/fhir"
LOINC, LOCAL = "http://loinc.org", "urn:local"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Any, mongo_url: Any) -> AsyncIterator[Service]:
    """Observations of one frequent code, mostly in LOINC, and some of codes that begin alike or differ."""
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"spelling_{uuid4().hex[:8]}", cache_gb=0.25))
    async with running(settings) as service:
        for number in range(HOT):
            system = {"system": LOINC if number % 10 else LOCAL} if number % 25 else {}
            code = "8867-4" if number % 7 else ("8867-40" if number % 2 else "9279-1")
            await put(service, number, {**system, "code": code})
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def database(service: Service, mongo_url: Any) -> AsyncIterator[Database]:
    async with AsyncMongoClient[Json](mongo_url.get_secret_value()) as client:
        yield client[service.settings.mongo.database]


async def put(service: Service, number: int, *codings: Json, parts: Sequence[Json] = ()) -> None:
    moment = f"2026-01-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:00Z"
    resource: Json = {
        "resourceType": "Observation",
        "id": f"o{number:03d}",
        "status": "final",
        "code": {"coding": [*codings]},
        "effectiveDateTime": moment,
        **({"component": [{"code": {"coding": [part]}} for part in parts]} if parts else {}),
    }
    await service.repository.update("Observation", f"o{number:03d}", resource)


async def found(service: Service, query: str, count: int = 1000) -> list[str]:
    pairs: Pairs = tuple((name, value) for name, _, value in (pair.partition("=") for pair in query.split("&")))
    asked = (*pairs, ("_count", str(count)))
    request = parse("Observation", asked, service.definitions, service.settings.search, strict=True)
    return [stored.id for stored in (await service.repository.search(request, BASE)).matches]


async def commands(database: Database, service: Service, query: str) -> list[Json]:
    """Return what the database did for a page of a search, as its profiler tells."""
    await database.command({"profile": 0})
    await database.drop_collection("system.profile")
    await database.command({"profile": 2})
    assert len(await found(service, query, PAGE)) == PAGE
    await database.command({"profile": 0})
    cursor = database["system.profile"].find({"command.find": "Observation"}).sort("ts")
    return [row async for row in cursor]


@pytest.mark.parametrize("more", ["", "&_sort=date", "&status=final", "&_lastUpdated=gt2020-01-01"])
async def test_a_page_reads_no_more_than_it_shows_and_sorts_nothing(
    service: Service, database: Database, more: str
) -> None:
    await found(service, "code=8867-4")
    *questions, page = await commands(database, service, f"code=8867-4{more}")
    index = "IXSCAN { s.code: 1, d: -1, o: -1, f: 1, p: 1 }"
    assert [(row["nreturned"], row["planSummary"]) for row in questions] == [(0, index)]
    assert questions[0]["keysExamined"] <= 6
    assert questions[0]["docsExamined"] == 0
    assert page["planSummary"] == ", ".join([index] * 3)  # merged by date: two systems, and none
    assert not page.get("hasSortStage")
    assert page["docsExamined"] <= PAGE + 1
    assert page["keysExamined"] <= PAGE + 8


async def test_what_selects_less_leads(service: Service, database: Database) -> None:
    for query in ("_id=o001,o002,o003,o004,o005,o006,o008,o009,o010,o011,o012,o013&code=8867-4",):
        assert len(await commands(database, service, query)) == 1


async def test_all_systems_are_found_in_the_order_of_the_range(service: Service) -> None:
    spelt = await found(service, "code=8867-4")
    every = [await found(service, f"code={text}|8867-4") for text in (LOINC, LOCAL, "")]
    assert all(every)
    assert set(spelt) == {one for part in every for one in part}
    # Or'ed with what is no code of this kind, the range is read: the same, in the same order.
    assert [one for one in await found(service, "code=8867-4,urn:nothing|") if one in set(spelt)] == spelt
    both = await found(service, f"code=8867-4,{LOINC}|9279-1")
    assert set(both) == {*spelt, *await found(service, f"code={LOINC}|9279-1")}
    assert await found(service, "code=nothing") == []
    assert await found(service, "code=8867-4&code:not=8867-4") == []


async def test_a_system_that_another_process_has_stored_is_found_at_once(service: Service, database: Database) -> None:
    before = set(await found(service, "code=8867-4"))
    row = await database["Observation"].find_one({"_id": "o001"})
    assert row is not None
    row |= {"_id": "elsewhere", "s": {**row["s"], "code": ["8867-4|urn:new", "1|urn:other"]}}
    await database["Observation"].insert_one(row)
    assert set(await found(service, "code=8867-4")) == {*before, "elsewhere"}
    assert (await found(service, "code=8867-4")).count("elsewhere") == 1
    await database["Observation"].delete_one({"_id": "elsewhere"})
    assert set(await found(service, "code=8867-4")) == before


async def test_codes_of_parts_are_spelt_out_beside_those_of_the_whole(service: Service, database: Database) -> None:
    for number in range(2 * PAGE):
        of = ({"system": LOINC, "code": "8480-6"}, {"system": LOCAL, "code": "8480-6"}, {"code": "8480-60"})[number % 3]
        await put(service, 700 + number, {"code": "panel"}, parts=[of, {"system": LOINC, "code": "8462-4"}])
        await put(service, 800 + number, {"system": LOCAL, "code": "8480-6" if number % 2 else "8480-7"})
    inside = {f"o{700 + number}" for number in range(2 * PAGE) if number % 3 != 2}
    whole = {f"o{800 + number}" for number in range(2 * PAGE) if number % 2}
    assert set(await found(service, "component-code=8480-6")) == inside
    assert set(await found(service, "code=8480-6")) == whole
    assert set(await found(service, "combo-code=8480-6")) == inside | whole
    assert set(await found(service, "combo-code=8480-7")) == {f"o{800 + number}" for number in range(0, 2 * PAGE, 2)}
    assert await found(service, "combo-code=nothing") == []
    assert set(await found(service, f"combo-code=8480-6,{LOINC}|8462-4")) == {
        *inside, *whole, *(f"o{700 + number}" for number in range(2 * PAGE))
    }  # fmt: skip
    *_, page = await commands(database, service, "component-code=8480-6")
    assert page["planSummary"] == ", ".join(["IXSCAN { s.component-code: 1, d: -1, o: -1, f: 1 }"] * 2)
    assert not page.get("hasSortStage")
    assert page["keysExamined"] <= PAGE + 4


class Facilitywise(Stated):
    """A grant for what some facilities keep."""

    def __init__(self, *facilities: str) -> None:
        super().__init__(",".join(sorted(facilities)))
        self._facilities = frozenset(facilities)

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        return OwnedBy(self._facilities)


async def test_a_grant_for_facilities_limits_what_is_spelt_out(service: Service) -> None:
    every = await found(service, "code=8867-4")
    for facility, expected in (("root", every), ("elsewhere", [])):
        scoped = replace(service.repository, scope=Facilitywise(facility))
        asked = (("code", "8867-4"), ("_count", "1000"))
        request = parse("Observation", asked, service.definitions, service.settings.search, strict=True)
        assert [stored.id for stored in (await scoped.search(request, BASE)).matches] == expected


async def test_a_code_of_many_systems_is_read_as_a_range(service: Service, database: Database) -> None:
    for number in range(MOST_SYSTEMS + 5):
        await put(service, 500 + number, {"system": f"urn:many:{number}", "code": "many"})
    await put(service, 600, *({"system": f"urn:several:{number}", "code": "many"} for number in range(3)))
    for _ in range(2):
        assert len(await found(service, "code=many")) == MOST_SYSTEMS + 6
    (page,) = await commands(database, service, "code=many")
    assert page["nreturned"] == PAGE + 1
