"""What the database examines for searches of a large record, measured by its own profiler while the server answers them.

The figures are the design's, for 200,000 observations; a search may examine twice as much, no more. None sorts in memory and
none walks a collection. `PLANS_OBSERVATIONS` sets the size; bounds that grow with the record shrink with it.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.access import privileges
from fhir_server.access.granted import Granted
from fhir_server.access.principal import Principal
from fhir_server.access.standing import Standing
from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.model.query import ANYTHING, Where
from fhir_server.search.compile import plan
from fhir_server.search.expression import OwnedBy
from fhir_server.search.layout import indexes
from fhir_server.search.parse import parse
from fhir_server.settings import Mongo, Search, Settings
from fhir_server.store import Store
from profiles.definitions.registry import Definitions
from smart_auth.scopes.grammar import parse as scopes
from tests.search import census
from tests.search.census import CODES, FACILITIES, HOT, LOINC, RARE

FULL = 200_000
OBSERVATIONS = int(os.environ.get("PLANS_OBSERVATIONS", FULL))
SHARE = OBSERVATIONS / FULL
SLACK = 2
MOST_PROFILED = 64 * 2**20

DOCTOR = privileges.of([f"{privileges.HL7_ROLE}|doctor"], {})

Json = dict[str, Any]

pytestmark = pytest.mark.xdist_group("plans")


@dataclass(frozen=True, slots=True)
class Cost:
    """What the database examined for one request."""

    keys: int
    docs: int
    returned: int
    sorted: bool
    plans: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nation:
    """The record, a server on it, and its store."""

    client: httpx.AsyncClient
    database: AsyncDatabase[Json]
    store: Store

    async def cost(self, work: Callable[[], Awaitable[object]]) -> Cost:
        """Return what the database examined for some work."""
        await self.database.command("profile", 0)
        await self.database.drop_collection("system.profile")
        await self.database.create_collection("system.profile", capped=True, size=MOST_PROFILED)
        await self.database.command("profile", 2)
        await work()
        await self.database.command("profile", 0)
        rows = await self.database["system.profile"].find({"keysExamined": {"$exists": True}}).to_list()
        rows = [row for row in rows if row["ns"].partition(".")[2] in {"Observation", "Patient", "Encounter"}]
        return Cost(
            sum(row["keysExamined"] for row in rows),
            sum(row["docsExamined"] for row in rows),
            sum(row.get("nreturned", 0) for row in rows),
            any(row.get("hasSortStage", False) for row in rows),
            tuple(str(row.get("planSummary")) for row in rows),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def nation(data_dir: Path, mongo_url: SecretStr, definitions: Definitions) -> AsyncIterator[Nation]:
    name = f"plans_{uuid4().hex[:8]}"
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=name, cache_gb=0.25))
    async with AsyncMongoClient[Json](mongo_url.get_secret_value(), tz_aware=True) as mongo:
        database = mongo[name]
        await census.settle(database, definitions, OBSERVATIONS)
        app = create_app(settings, running)
        store = await Store.open(database, lambda resource_type: indexes(resource_type, definitions))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://localhost/fhir/", timeout=60
            ) as client,
        ):
            yield Nation(client, database, store)
        await store.close()
        await mongo.drop_database(name)
        await mongo.drop_database(f"{name}_audit")


def code(*codes: str) -> str:
    return ",".join(f"{LOINC}|{one}" for one in codes)


def above(value: int) -> tuple[str, str]:
    return "component-code-value-quantity", f"{code(census.PART)}$gt{value}"


SEARCHES: dict[str, tuple[str, list[tuple[str, str]], float, float]] = {
    # name: (type, search, keys, documents). Without a total; pages of 50.
    "patient, code and dates": (
        "Observation",
        [("patient", "p7"), ("code", code(HOT)), ("date", "ge2020-06"), ("date", "lt2021-06"), ("_sort", "-date")],
        12,
        12,
    ),
    "patient and code": ("Observation", [("patient", "p7"), ("code", code(HOT))], 51, 51),
    "patient": ("Observation", [("patient", "p7")], 51, 51),
    "patient and category": ("Observation", [("patient", "p7"), ("category", "laboratory")], 166, 166),
    "hot code": ("Observation", [("code", code(HOT)), ("_sort", "-date")], 51, 51),
    "hot code, ascending": ("Observation", [("code", code(HOT)), ("_sort", "date")], 51, 51),
    "five codes": ("Observation", [("code", code(HOT, *CODES[:4])), ("_sort", "-date")], 56, 51),
    "rare code": ("Observation", [("code", code(RARE)), ("_sort", "-date")], 51, 51),
    "rare code and category": ("Observation", [("code", code(RARE)), ("category", "vital-signs")], 85, 85),
    "name prefix": ("Patient", [("family", "mull")], 162, 159),
    "name prefix and birth date": ("Patient", [("family", "muller7"), ("birthdate", "1937-08-08")], 11, 11),
    "identifier": ("Patient", [("identifier", "urn:example:mrn|m-7")], 2, 1),
    "by name": ("Patient", [("_sort", "family")], 51, 51),
    "chain with 159 patients": ("Observation", [("subject:Patient.family", "mull"), ("_sort", "-date")], 367, 209),
    "latest": ("Observation", [("_sort", "-_lastUpdated")], 51, 51),
    "changed since": ("Observation", [("_lastUpdated", "ge2020-01-01T00:10:00Z")], 51, 51),
    "encounter": ("Observation", [("encounter", "Encounter/e7")], 51, 51),
    "hot component": ("Observation", [("component-code", code(census.PART))], 51, 51),
    "hot component with a value that many have": ("Observation", [above(140)], 255, 255),
    "hot component with a value that few have": ("Observation", [above(180)], 5_100, 5_100),
    "hot component with a value, in a year": (
        "Observation",
        [above(180), ("date", "ge2020"), ("date", "lt2021")],
        5_100,
        5_100,
    ),
    "hot component or code": ("Observation", [("combo-code", code(census.PART))], 53, 51),
    "hot code or component": ("Observation", [("combo-code", code(HOT))], 53, 51),
    "hot code or component without system": ("Observation", [("combo-code", HOT)], 53, 51),
    "several of one encounter": ("Observation", [("encounter", "e7,e8,e9")], 60, 51),
}
"""What the design measured, or for what it did not, keys that hardly pass those of a page."""

SORTED = {"name prefix", "identifier"}
"""What selects few documents by an index that knows nothing of their order: all of them are examined, and sorted."""


@pytest.mark.parametrize("name", SEARCHES)
async def test_examines_hardly_more_than_it_returns(nation: Nation, name: str) -> None:
    resource_type, pairs, keys, docs = SEARCHES[name]
    cost = await nation.cost(lambda: search(nation, resource_type, [*pairs, ("_total", "none")]))
    assert_within(cost, keys, docs, few=name in SORTED)


async def search(nation: Nation, resource_type: str, pairs: list[tuple[str, str]]) -> Json:
    """Return the first page; there must be something on it."""
    answer = await nation.client.get(f"{resource_type}?{urlencode(pairs)}")
    assert answer.status_code == 200, answer.text
    bundle: Json = answer.json()
    assert bundle.get("entry") or bundle["total"]
    return bundle


def assert_within(cost: Cost, keys: float, docs: float, *, few: bool = False) -> None:
    assert cost.keys <= SLACK * keys + 2, cost
    assert cost.docs <= SLACK * docs + 2, cost
    assert not cost.sorted or few, cost
    assert not any("COLLSCAN" in one for one in cost.plans), cost


async def test_what_overlaps_a_span_of_time(nation: Nation) -> None:
    """677 keys and 298 documents for 218 encounters, some of which began long before."""
    pairs = [("date", "ge2021-02-01"), ("date", "lt2021-02-13"), ("_count", "1000"), ("_total", "none")]
    bundle: Json = {}

    async def work() -> None:
        bundle.update(await search(nation, "Encounter", pairs))

    cost = await nation.cost(work)
    found = len(bundle["entry"])
    assert found > 100
    assert_within(cost, 677 / 218 * found, 298 / 218 * found)


async def test_patients_who_have_a_hot_code(nation: Nation) -> None:
    """22,450 keys to know the patients, then a page of them."""
    cost = await has_hot_code(nation)
    keys = 22_450 * SHARE + census.PATIENTS
    assert_within(cost, keys, keys)


async def test_patients_who_have_a_hot_code_are_known_without_reading_documents(nation: Nation) -> None:
    cost = await has_hot_code(nation)
    assert_within(cost, 22_450 * SHARE + census.PATIENTS, census.PATIENTS)


async def test_the_first_question_for_what_an_index_selects_is_not_tried_with_others(nation: Nation) -> None:
    """Each trial of an index of all patients walked 10,000 keys, of all that asked at once: seconds, for the first of them."""
    await nation.database.command({"planCacheClear": "Observation"})
    asked = [("_has:Observation:patient:component-code", code(census.PART)), ("_total", "none")]
    await nation.cost(lambda: search(nation, "Patient", asked))
    (row,) = await nation.database["system.profile"].find({"command.aggregate": "Observation"}).to_list()
    assert not row.get("fromMultiPlanner")
    assert row["planSummary"].startswith("IXSCAN { s.component-code: 1")


async def has_hot_code(nation: Nation) -> Cost:
    """Return the cost of the patients who have an observation of the hot code."""
    pairs = [("_has:Observation:patient:code", code(HOT)), ("_total", "none")]
    return await nation.cost(lambda: search(nation, "Patient", pairs))


async def test_a_count_reads_no_document(nation: Nation) -> None:
    for pairs, keys in (
        ([("code", code(HOT))], 22_651),
        ([("code", code(HOT)), ("date", "ge2021-01"), ("date", "lt2021-10")], 5_377),
    ):
        cost = await nation.cost(partial(search, nation, "Observation", [*pairs, ("_summary", "count")]))
        assert cost.keys <= SLACK * keys * SHARE
        assert cost.docs == 0


async def test_page_101_costs_as_much_as_the_first(nation: Nation) -> None:
    for pairs in ([("code", code(HOT))], [("code", code(HOT, *CODES[:4]))], [("_sort", "-_lastUpdated")], []):
        bundle = await search(nation, "Observation", [*pairs, ("_total", "none"), ("_count", "5")])
        for _ in range(99):
            bundle = (await nation.client.get(following(bundle))).json()
        cost = await nation.cost(partial(nation.client.get, following(bundle)))
        assert cost.returned == 6
        assert_within(cost, 10, 6)


def following(bundle: Json) -> str:
    return next(str(link["url"]) for link in bundle["link"] if link["relation"] == "next")


SCOPES: dict[str, tuple[list[tuple[str, str]], int, float, float]] = {
    # name: (search, facilities, keys, documents)
    "hot code in one": ([("code", code(HOT))], 1, 295, 295),
    "hot code in a district": ([("code", code(HOT))], 10, 474, 465),
    "hot code in a region": ([("code", code(HOT))], 50, 649, 51),
    "hot code in half of the nation": ([("code", code(HOT))], 200, 98, 51),
    "hot code in most": ([("code", code(HOT))], 300, 60, 51),
    "rare code in a district": ([("code", code(RARE))], 10, 365, 51),
    "rare code in a region": ([("code", code(RARE))], 50, 365, 51),
    "everything in one": ([], 1, 51, 51),
    "everything in a district": ([], 10, 62, 51),
    "everything in a region": ([], 50, 101, 51),
    "everything in half of the nation": ([], 200, 251, 51),
    "everything in most": ([], 300, 70, 63),
    "patient and code in a district": ([("patient", "p7"), ("code", code(HOT))], 10, 51, 51),
}


@pytest.mark.parametrize("name", SCOPES)
async def test_a_facility_subtree(nation: Nation, definitions: Definitions, name: str) -> None:
    pairs, facilities, keys, docs = SCOPES[name]
    # Every n-th facility, so that small ones are among them; the median one alone.
    step = FACILITIES // facilities
    chosen = sorted(f"facility-{(number * step + FACILITIES // 2) % FACILITIES}" for number in range(facilities))
    scope = Where("clause", {"f": {"$in": chosen} if facilities > 1 else chosen[0]})
    request = parse("Observation", tuple(pairs), definitions, Search(), strict=True)
    cost = await nation.cost(lambda: nation.store.find(plan(request, scope & ANYTHING, None, definitions)))
    assert_within(cost, keys, docs)


STANDINGS: dict[str, tuple[list[tuple[str, str]], Callable[[], Standing], float, float]] = {
    # name: (search, standing, keys, documents)
    "hot code with labels": ([("code", code(HOT))], lambda: custody(50), 653, 51),
    "rare code with labels": ([("code", code(RARE))], lambda: custody(50), 365, 51),
    "everything with labels": ([], lambda: custody(50), 101, 52),
    "patient and code with labels": ([("patient", "p7"), ("code", code(HOT))], lambda: custody(50), 51, 51),
    "hot code or 50 patients": ([("code", code(HOT))], lambda: broken(50), 402, 374),
    "rare code or 50 patients": ([("code", code(RARE))], lambda: broken(50), 368, 51),
    "everything or 50 patients": ([], lambda: broken(50), 109, 52),
    "patient and code or 50 patients": ([("patient", "p7"), ("code", code(HOT))], lambda: broken(50), 51, 51),
    "hot code or 300 patients": ([("code", code(HOT))], lambda: broken(300), 664, 664),
    "rare code or 300 patients": ([("code", code(RARE))], lambda: broken(300), 729, 392),
    "everything or 300 patients": ([], lambda: broken(300), 900, 900),
    "hot code in a network": ([("code", code(HOT))], lambda: network(0), 653, 60),
    "everything in a network": ([], lambda: network(0), 101, 60),
    "hot code in a network, 300 objecting": ([("code", code(HOT))], lambda: network(300), 653, 60),
    "everything in a network, 300 objecting": ([], lambda: network(300), 101, 60),
    "hot code, 50 related": ([("code", code(HOT))], lambda: related(50), 1067, 200),
    "rare code, 50 related": ([("code", code(RARE))], lambda: related(50), 368, 60),
    "everything, 50 related": ([], lambda: related(50), 300, 300),
    "everything, 300 related": ([], lambda: related(300), 300, 300),
}  # fmt: skip


def places(number: int, start: int = 0) -> frozenset[str]:
    """Return every n-th facility, so that small ones are among them."""
    step = FACILITIES // number
    return frozenset(f"facility-{(start + one * step + FACILITIES // 2) % FACILITIES}" for one in range(number))


def people(number: int) -> frozenset[str]:
    return frozenset(f"p{one * 16}" for one in range(number))


def custody(number: int) -> Standing:
    return Standing("facility-1", DOCTOR, OwnedBy(places(number)))


def related(patients: int) -> Standing:
    others = places(50, 3)
    return replace(custody(10), related=others, patients=people(patients))


def broken(patients: int) -> Standing:
    return replace(custody(10), glass=dict.fromkeys(people(patients), datetime.max.replace(tzinfo=UTC)))


def network(objecting: int) -> Standing:
    return replace(custody(10), network=places(40, 3), objecting=people(objecting))


@pytest.mark.parametrize("name", STANDINGS)
async def test_what_a_standing_adds_to_a_search(nation: Nation, definitions: Definitions, name: str) -> None:
    pairs, standing, keys, docs = STANDINGS[name]
    who = Principal("staff", "app", "u", scopes("user/*.rs").resources)
    scope = Granted(who, definitions, Search(), standing()).where("Observation", "s")
    request = parse("Observation", tuple(pairs), definitions, Search(), strict=True)
    cost = await nation.cost(lambda: nation.store.find(plan(request, scope, None, definitions)))
    assert_within(cost, keys, docs)
