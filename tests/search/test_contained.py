"""Generated searches of what the official examples contain: the running server against a plain scan over their JSON."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.settings import Record
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from tests.acceptance.test_examples_roundtrip import ARCHIVE, examples
from tests.search import generic
from tests.search.loading import Pairs, pages
from tests.serving import alone, own

Resource = dict[str, Any]

SEED = 20261121
SEARCHES = 3
"""For each type of which something is contained."""

LEAST = 20
"""Types of which the examples contain something that the scan can tell."""


@dataclass(frozen=True, slots=True)
class Contained:
    """A server with the examples that contain something; and what they contain, by type and by the end of its fullUrl."""

    client: httpx.AsyncClient
    pools: dict[str, dict[str, Resource]]
    alone: dict[str, dict[str, Resource]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stored(data_dir: Path, mongo_url: SecretStr, test_data: Path) -> AsyncIterator[Contained]:
    async with alone(own(data_dir, "contained", record=Record(references="off"))) as client:
        pools: dict[str, dict[str, Resource]] = {}
        root = "Organization/root"
        whole: dict[str, dict[str, Resource]] = {"Organization": {root: json.decode((await client.get(root)).content)}}
        for _, raw in examples(test_data / ARCHIVE):
            resource = json.decode(raw)
            if "contained" not in resource:
                continue
            place = f"{resource['resourceType']}/{resource['id']}"
            answer = await client.put(place, content=raw)
            assert answer.status_code == 201, (place, answer.text)
            whole.setdefault(resource["resourceType"], {})[place] = resource
            for one in resource["contained"]:
                pools.setdefault(one["resourceType"], {})[f"{place}#{one['id']}"] = one
        yield Contained(client, pools, whole)


def asked(chance: Random, parameters: list[SearchParameter], pool: list[Resource]) -> list[tuple[SearchParameter, Any]]:
    chosen = [chance.choice(parameters) for _ in range(chance.choice([1, 1, 2]))]
    return [(parameter, generic.criterion(chance, parameter, pool)) for parameter in chosen]


async def found(stored: Contained, resource_type: str, pairs: Pairs, *, post: bool) -> list[str]:
    entries, total = await pages(stored.client, resource_type, [*pairs, ("_total", "accurate")], post=post)
    assert total == len(entries), (resource_type, pairs)
    urls = [entry["fullUrl"].removeprefix("http://localhost/fhir/") for entry in entries]
    assert len(urls) == len({*urls}), (resource_type, pairs, "twice on the pages")
    return sorted(urls)


async def test_generated_searches_of_several_types_find_what_is_contained(
    stored: Contained, definitions: Definitions
) -> None:
    told = telling = 0
    names = sorted(stored.pools)
    for first, second in zip(names, [*names[1:], names[0]], strict=True):
        chance = Random(f"{SEED}{first}{second}")
        rows = {**stored.pools[first], **stored.pools[second]}
        one, other = (definitions.search_parameters(name) for name in (first, second))
        common = [
            code
            for code in sorted(one.keys() & other.keys())
            if one[code].type == other[code].type
            and all(
                generic.tellable(of[code], [*stored.pools[name].values()])
                for name, of in ((first, one), (second, other))
            )
        ]
        told += bool(common)
        now = datetime.now(UTC)
        for code in common:
            of = {first: one[code], second: other[code]}
            name, text = generic.criterion(chance, one[code], [*stored.pools[first].values()])
            wanted = sorted(
                place
                for place, row in rows.items()
                if generic.selects(of[row["resourceType"]], row, name.partition(":")[2], text, now)
            )
            pairs = [("_type", f"{first},{second}"), (name, text), ("_contained", "true"), ("_count", "3")]
            got = await found(stored, "", [*pairs, ("_containedType", "contained")], post=False)
            assert got == wanted, pairs
            assert await found(stored, "", pairs, post=False) == sorted(
                {place.partition("#")[0] for place in wanted}
            ), pairs
            telling += 0 < len(wanted) < len(rows)
    assert told >= LEAST // 2
    assert telling >= told // 2


async def test_generated_searches_find_what_is_contained(stored: Contained, definitions: Definitions) -> None:
    told = telling = 0
    for resource_type, pool in sorted(stored.pools.items()):
        chance = Random(f"{SEED}{resource_type}")
        known = definitions.search_parameters(resource_type).values()
        inside, alone = [*pool.values()], stored.alone.get(resource_type, {})
        parameters = [
            one for one in known if generic.tellable(one, inside) and generic.tellable(one, [*inside, *alone.values()])
        ]
        told += bool(parameters)
        now = datetime.now(UTC)
        for number in range(SEARCHES if parameters else 0):
            criteria = asked(chance, parameters, inside)
            rows = {**pool, **alone}
            fulfilled = {
                place
                for place, resource in rows.items()
                if all(
                    generic.selects(one, resource, name.partition(":")[2], text, now) for one, (name, text) in criteria
                )
            }
            wanted = sorted(fulfilled & pool.keys())
            shown = {
                ("true", "contained"): wanted,
                ("true", "container"): sorted({place.partition("#")[0] for place in wanted}),
                ("both", "contained"): sorted(fulfilled),
                ("both", "container"): sorted({place.partition("#")[0] for place in fulfilled}),
            }
            pairs = [pair for _, pair in criteria]
            for (contained, kind), expected in shown.items():
                size = str(chance.choice([1 + len(expected) // 2, 2, 200]))
                more = [("_contained", contained), ("_containedType", kind), ("_count", size)]
                got = await found(stored, resource_type, [*pairs, *more], post=bool(number % 2))
                assert got == expected, (resource_type, pairs, more)
            telling += 0 < len(wanted) < len(pool)
    assert told >= LEAST
    assert telling >= told * SEARCHES // 6
