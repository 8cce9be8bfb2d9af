"""Generated searches over Synthea records: the running server against the second telling of R4 search in `oracle`.

Records are loaded by transaction through HTTP, with a supplement for what Synthea never writes. Each search runs by GET or
POST and is followed through all of its pages; the ids, the total and the order must be those that a plain scan over the
JSON gives.
"""

import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.model import json
from fhir_server.settings import Mongo, Settings
from tests.search import filters, supplement
from tests.search.asking import Pairs, search
from tests.search.oracle import Resource, key, selects
from tests.search.selections import PARAMETERS

BUNDLES = 6
SEED = 20261121
SEARCHES = 26
FILTERS = 20
"""For each type."""

pytestmark = pytest.mark.xdist_group("differential")


@dataclass(frozen=True, slots=True)
class Record:
    """A server that has been filled, and what it was filled with, as it should have stored it."""

    client: httpx.AsyncClient
    resources: dict[str, list[Resource]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(data_dir: Path, mongo_url: SecretStr, test_data: Path) -> AsyncIterator[Record]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"differential_{uuid4().hex[:8]}", cache_gb=0.25))
    app = create_app(settings, running)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost/fhir/", timeout=60) as client,
    ):
        resources: dict[str, list[Resource]] = {}
        for bundle in [*synthea(test_data), supplement.bundle(Random(SEED))]:
            for resource in await load(client, bundle):
                resources.setdefault(resource["resourceType"], []).append(resource)
        resources["Organization"].append((await client.get("Organization/root")).json())
        yield Record(client, resources)


def synthea(test_data: Path) -> Iterator[dict[str, Any]]:
    """Yield the smallest of the first bundles."""
    path = test_data / "synthea" / "synthea-r4-smart-part1.tar.xz"
    with tarfile.open(path) as archive:
        smallest = {member.name for member in sorted(islice(archive, 30), key=lambda member: member.size)[:BUNDLES]}
    with tarfile.open(path) as archive:
        for member in islice(archive, 30):
            if member.name in smallest:
                file = archive.extractfile(member)
                assert file is not None
                yield json.decode(file.read())


async def load(client: httpx.AsyncClient, bundle: dict[str, Any]) -> list[Resource]:
    """Post a transaction; return its resources as they should be stored: with their ids, and references to them."""
    answer = await client.post("", content=json.encode(bundle), headers={"Content-Type": "application/fhir+json"})
    assert answer.status_code == 200, answer.text[:2000]
    given: dict[str, str] = {}
    stored: list[Resource] = []
    for asked, got in zip(bundle["entry"], answer.json()["entry"], strict=True):
        *_, resource_type, resource_id = urlsplit(got["response"]["location"]).path.split("/_history")[0].split("/")
        given[asked["fullUrl"]] = f"{resource_type}/{resource_id}"
        meta = {**asked["resource"].get("meta", {}), "lastUpdated": got["response"]["lastModified"]}
        stored.append({**asked["resource"], "id": resource_id, "meta": meta})
    return [linked(resource, given) for resource in stored]


def linked(value: Any, given: dict[str, str]) -> Any:
    """Return the value with the references that the server has put in place of `urn:uuid:…`."""
    if isinstance(value, dict):
        return {
            name: given.get(inner, inner) if name == "reference" and isinstance(inner, str) else linked(inner, given)
            for name, inner in value.items()
        }
    return [linked(inner, given) for inner in value] if isinstance(value, list) else value


async def pages(client: httpx.AsyncClient, resource_type: str, pairs: Pairs, *, post: bool) -> tuple[list[str], int]:
    """Return the ids of all pages in order, and the total that the first page states."""
    if post:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await client.post(f"{resource_type}/_search", content=urlencode(pairs), headers=form)
    else:
        answer = await client.get(f"{resource_type}?{urlencode(pairs)}")
    found: list[str] = []
    total = -1
    while True:
        assert answer.status_code == 200, (resource_type, pairs, answer.text)
        bundle = answer.json()
        total = bundle["total"] if total < 0 else total
        found += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        if "next" not in links:
            return found, total
        answer = await client.get(links["next"])


def assert_sorted(sort: str, ids: list[str], by_id: dict[str, Resource]) -> None:
    """Check that nobody comes before somebody who precedes it in the order asked for; missing values come last."""
    for before, after in pairwise(ids):
        for one in filter(None, sort.split(",")):
            code, descending = one.removeprefix("-"), one.startswith("-")
            first, second = (key(by_id[each], code, descending=descending) for each in (before, after))
            if first != second:
                assert first is not None, (sort, code, before, after)
                assert second is None or (first > second if descending else first < second), (sort, code, first, second)
                break


@pytest.mark.parametrize("resource_type", sorted(PARAMETERS))
async def test_the_server_finds_what_a_plain_scan_finds(record: Record, resource_type: str) -> None:
    chance = Random(f"{SEED}{resource_type}")
    pool = record.resources[resource_type]
    by_id = {resource["id"]: resource for resource in pool}
    telling = 0
    for number in range(SEARCHES):
        pairs = search(chance, resource_type, pool)
        now = datetime.now(UTC)
        criteria = [pair for pair in pairs if pair[0] != "_sort"]
        expected = {one["id"] for one in pool if all(selects(one, name, text, now) for name, text in criteria)}
        size = max(1, len(expected) // chance.choice([1, 2, 3, 5]) + chance.choice([0, 1]))
        asked = [*pairs, ("_count", str(size)), ("_total", "accurate")]
        found, total = await pages(record.client, resource_type, asked, post=bool(number % 2))
        assert len(found) == len(set(found)), (pairs, "twice on the pages")
        assert set(found) == expected, (pairs, size, [by_id.get(one, one) for one in set(found) ^ expected][:3])
        assert total == len(expected), pairs
        assert_sorted(dict(pairs).get("_sort", ""), found, by_id)
        telling += 0 < len(expected) < len(pool)
    assert telling >= SEARCHES // 8


@pytest.mark.parametrize("resource_type", sorted(PARAMETERS))
async def test_a_filter_finds_what_a_plain_scan_finds(record: Record, resource_type: str) -> None:
    chance = Random(f"{SEED}{resource_type}filter")
    pool = record.resources[resource_type]
    telling = 0
    for number in range(FILTERS):
        text, means = filters.generate(chance, resource_type, pool)
        now = datetime.now(UTC)
        expected = {one["id"] for one in pool if means(one, now)}
        asked = [("_filter", text), ("_count", "1000"), ("_total", "accurate")]
        found, total = await pages(record.client, resource_type, asked, post=bool(number % 2))
        assert set(found) == expected, (text, [one for one in pool if one["id"] in set(found) ^ expected][:3])
        assert total == len(found) == len(expected), text
        telling += 0 < len(expected) < len(pool)
    assert telling >= FILTERS // 4


def test_every_type_of_parameter_is_asked_for() -> None:
    kinds = {kind.partition(" ")[0] for rows in PARAMETERS.values() for kind, _ in rows.values()}
    assert {
        "string",
        "token",
        "code",
        "reference",
        "date",
        "number",
        "quantity",
        "uri",
        "canonical",
        "composite",
    } <= kinds
    assert SEARCHES * len(PARAMETERS) > 300
