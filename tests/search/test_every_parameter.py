"""Every search parameter of every type, asked for over HTTP with a value of a stored resource, finds that resource.

The values come from the official examples; where none has one, it is put into an example or into the least instance of the
type, which the server must accept as valid. What a parameter reads is decided by `naive`, not by the server's own extraction.
On the same record searches are generated for every type; they find what a plain scan finds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.settings import Record
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions, load
from profiles.validate.validator import Validator
from tests.acceptance.test_examples_roundtrip import ARCHIVE, examples
from tests.search import generic
from tests.search.instances import Nursery
from tests.search.loading import pages
from tests.search.saying import joined, sayings
from tests.serving import alone, own

Resource = dict[str, Any]

DEFINITIONS = load()
"""At import, because the types name the tests."""

PAIRS = 3163
SEED = 20261121
SEARCHES = 12
WAITING = 16

SELECTS_NOTHING = {
    ("*", "_query"): "names a query that the server defines; there is none",
}
"""Parameters that no resource can be found by, with the reason."""

NOT_YET = {"_content", "_text"}
"""Codes that the server still refuses. This table may only shrink: what is answered must leave it."""

TOLD: dict[str, Callable[[Resource], str]] = {
    "_filter": lambda resource: f"_id eq {resource['id']}",
    "_text": lambda _: "planted",
    "_content": lambda _: "planted",
}
"""What is asked of parameters without an expression, of the instance that has everything that all types have."""

COMMON = ("_tag", "_security", "_source", "_profile")
EVERYTHING = "planted-common"
ASIDE: dict[str, dict[str, Any]] = {"Subscription": {"status": "off"}}
"""What is planted so that the server has nothing to do with it but to keep it: of a Subscription that is on it asks more."""
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">planted</div>'}

pytestmark = pytest.mark.xdist_group("every-parameter")


@dataclass(frozen=True, slots=True)
class Stored:
    """A server, and the resources in it by type."""

    client: httpx.AsyncClient
    resources: dict[str, list[Resource]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stored(data_dir: Path, mongo_url: SecretStr, test_data: Path) -> AsyncIterator[Stored]:
    settings = own(data_dir, "every", record=Record(references="off", consent="keep"))
    async with alone(settings) as client:
        decoded = [json.decode(raw) for _, raw in examples(test_data / ARCHIVE)]
        published = [one for one in decoded if one["resourceType"] in DEFINITIONS.resource_types]
        resources: dict[str, list[Resource]] = {name: [] for name in DEFINITIONS.resource_types}
        for resource in [*published, *planted(published)]:
            resources[resource["resourceType"]].append(resource)
        turns = asyncio.Semaphore(WAITING)
        for rows, kept in zip(
            resources.values(),
            await asyncio.gather(*(put(client, rows, turns) for rows in resources.values())),
            strict=True,
        ):
            rows[:] = kept
        resources["Organization"].append(json.decode((await client.get("Organization/root")).content))
        yield Stored(client, resources)


def planted(published: list[Resource]) -> Iterator[Resource]:
    """Yield for each parameter that no example has a value for an instance that has one."""
    nursery, validator = Nursery(DEFINITIONS), Validator(DEFINITIONS)
    for resource_type in sorted(DEFINITIONS.resource_types):
        pool = [resource for resource in published if resource["resourceType"] == resource_type]
        least = nursery.least(resource_type)
        bases = [*pool[:1], least]
        for code, parameter in readable(resource_type).items():
            if code in COMMON or any(told(parameter, resource) for resource in pool):
                continue
            grown = [base if told(parameter, base) else nursery.planted(base, parameter) for base in bases]
            fit = [one for one in grown if one and not any(issue.fails for issue in validator.check(one))]
            assert fit, (resource_type, code, grown)
            yield {**fit[-1], **ASIDE.get(resource_type, {}), "id": f"planted-{code}"}
        fit = [base for base in bases if not any(issue.fails for issue in validator.check({**base, "id": "x"}))]
        meta = nursery.least("Meta")
        whole: Resource | None = {**fit[-1], "meta": meta} if meta else fit[-1]
        for code in COMMON:
            whole = nursery.planted(whole, DEFINITIONS.search_parameters(resource_type)[code]) if whole else None
        assert whole
        whole |= ASIDE.get(resource_type, {})
        yield {**whole, **({"text": NARRATIVE} if has_narrative(resource_type) else {}), "id": EVERYTHING}


def has_narrative(resource_type: str) -> bool:
    """Return whether a type is a DomainResource."""
    definition = DEFINITIONS.type(resource_type)
    return definition is not None and "text" in definition.elements


async def put(client: httpx.AsyncClient, rows: list[Resource], turns: asyncio.Semaphore) -> list[Resource]:
    """Store resources, so many at the same time; return them as the server did."""

    async def one(row: Resource) -> Resource:
        async with turns:
            answer = await client.put(f"{row['resourceType']}/{row['id']}", content=json.encode(row))
        assert answer.status_code in {200, 201}, (row["resourceType"], row["id"], answer.text)
        return cast(Resource, json.decode(answer.content))

    return await asyncio.gather(*map(one, rows))


def readable(resource_type: str) -> dict[str, SearchParameter]:
    """Return the parameters of a type that read an element, without those that select nothing."""
    return {
        code: parameter
        for code, parameter in DEFINITIONS.search_parameters(resource_type).items()
        if parameter.expression and (resource_type, code) not in SELECTS_NOTHING and code not in {"_id", "_lastUpdated"}
    }


def told(parameter: SearchParameter, resource: Resource) -> str:
    """Return a search value that selects a resource by the parameter, empty where it has nothing for it."""
    if parameter.code in TOLD:
        return TOLD[parameter.code](resource) if resource.get("id") == EVERYTHING else ""
    if parameter.components and parameter.code == "relationship":
        # Its definition exchanges the expressions of its two components.
        related = resource.get("relatesTo", [])
        return next((f"{one['target']['reference']}${one['code']}" for one in related), "")
    if not parameter.components:
        return next(sayings(parameter, resource), "")
    defined = [DEFINITIONS.search_parameter(one.definition) for one in parameter.components]
    kinds = [one.type if one else "" for one in defined]
    return next(joined(parameter, kinds, resource), "")


@pytest.mark.parametrize("resource_type", sorted(DEFINITIONS.resource_types))
async def test_each_finds_its_resource(stored: Stored, resource_type: str) -> None:
    asked = 0
    for code, parameter in DEFINITIONS.search_parameters(resource_type).items():
        if {(resource_type, code), ("*", code)} & SELECTS_NOTHING.keys():
            continue
        pool = stored.resources[resource_type]
        told_by = [(resource["id"], value) for resource in pool if (value := told(parameter, resource))]
        assert told_by, (resource_type, code, "no resource has a value for it")
        target, text = told_by[0]
        answer = await stored.client.get(resource_type, params={code: text, "_count": 200})
        if code in NOT_YET:
            assert answer.status_code == 400, (resource_type, code, "is answered now: take it out of NOT_YET")
            continue
        assert answer.status_code == 200, (resource_type, code, text, answer.text)
        found = {entry["resource"]["id"] for entry in answer.json().get("entry", [])}
        assert target in found, (resource_type, code, text, target, found)
        asked += 1
    assert asked >= 6


@pytest.mark.parametrize("resource_type", sorted(DEFINITIONS.resource_types))
async def test_generated_searches_find_what_a_plain_scan_finds(stored: Stored, resource_type: str) -> None:
    chance = Random(f"{SEED}{resource_type}")
    pool = stored.resources[resource_type]
    known = [one for one in readable(resource_type).values() if generic.tellable(one, pool)]
    now = datetime.now(UTC)
    for number in range(SEARCHES):
        asked = [chance.choice(known) for _ in range(chance.choice([1, 1, 2]))]
        pairs = [generic.criterion(chance, parameter, pool) for parameter in asked]
        expected = {
            resource["id"]
            for resource in pool
            if all(
                generic.selects(parameter, resource, name.partition(":")[2], text, now)
                for parameter, (name, text) in zip(asked, pairs, strict=True)
            )
        }
        size = str(chance.choice([1 + len(expected) // 2, 200]))
        entries, total = await pages(stored.client, resource_type, [*pairs, ("_count", size)], post=bool(number % 2))
        found = [entry["resource"]["id"] for entry in entries]
        assert set(found) == expected, (resource_type, pairs, set(found) ^ expected)
        assert len(found) == len(expected)
        assert total in {None, len(expected)}


def test_these_are_all_parameters_of_the_specification(definitions: Definitions) -> None:
    pairs = [(name, code) for name in definitions.resource_types for code in definitions.search_parameters(name)]
    assert len(pairs) == PAIRS
