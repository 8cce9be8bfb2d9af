"""Generated searches over Synthea records: the running server against the second telling of R4 search in `oracle`.

Records are loaded by transaction through HTTP, with a supplement for what Synthea never writes. Each search runs by GET or
POST and is followed through all of its pages; the ids, the total and the order must be those that a plain scan over the
JSON gives.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.search import filters, kin, package, several, supplement
from tests.search.asking import PREFIXES, chain, criterion, search
from tests.search.kin import Kin
from tests.search.loading import load, pages, synthea
from tests.search.oracle import Resource, elements, key, selects
from tests.search.selections import PARAMETERS
from tests.search.several import Asked, Compartments
from tests.search.test_every_parameter import SEARCHES as EVERY_TYPE
from tests.serving import alone, own

BUNDLES = 6
SEED = 20261121
SEARCHES = 110
FILTERS = 20
CHAINS = 12
"""For each type."""

QUANTITIES = 150
"""Searches by a quantity of an Observation."""

SEVERAL = 60
"""Searches of several types, and as many of each kind of compartment."""

KIN = 8
"""For each parameter with values in a hierarchy."""

IN_HIERARCHIES = (
    "Claim", "Condition", "Encounter", "Location", "Observation", "Organization", "Procedure",
)  # fmt: skip
SUBSUMES = {"below": "ss", "above": "sb"}
"""The operators of a filter that say the same."""

QUANTITATIVE = (
    "value-quantity", "component-value-quantity", "combo-value-quantity", "code-value-quantity",
    "component-code-value-quantity", "combo-code-value-quantity",
)  # fmt: skip
UNUSUAL = tuple(
    f"{where}{what}"
    for where in ("", "component.")
    for what in ("valueQuantity.comparator", "valueSampledData", "valueRatio")
)
"""Values that stand for more than one number, or for none that is searched."""

UNLINKED = {"Patient", "Practitioner", "ValueSet"}
"""Types of which no resource here refers to another."""

pytestmark = pytest.mark.xdist_group("differential")


@dataclass(frozen=True, slots=True)
class Record:
    """A server that has been filled, what it was filled with as it should have stored it, and what that makes up."""

    client: httpx.AsyncClient
    resources: dict[str, list[Resource]]
    compartments: Compartments
    kin: Kin


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(data_dir: Path, mongo_url: SecretStr, test_data: Path) -> AsyncIterator[Record]:
    async with alone(own(data_dir, "differential")) as client:
        resources: dict[str, list[Resource]] = {}
        for bundle in [*synthea(test_data, BUNDLES), supplement.bundle(Random(SEED))]:
            for resource in await load(client, bundle):
                resources.setdefault(resource["resourceType"], []).append(resource)
        resources["Organization"].append((await client.get("Organization/root")).json())
        published = package.read(test_data)
        yield Record(client, resources, several.compartments(resources, published), kin.kin(published.above, resources))


def assert_sorted(sort: str, ids: list[str], by_id: dict[str, Resource]) -> None:
    """Check that nobody comes before somebody who precedes it in the order asked for; missing values come last."""
    for before, after in pairwise(ids):
        for one in filter(None, sort.split(",")):
            code, descending = one.removeprefix("-"), one.startswith("-")
            first, second = (key(by_id[each], code, descending=descending) for each in (before, after))
            if first != second:
                assert first is not None, (sort, code, before, after)
                assert second is None or (first > second if descending else first < second), (
                    sort,
                    by_id[before],
                    by_id[after],
                )
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
        entries, total = await pages(record.client, resource_type, asked, post=bool(number % 2))
        found = [entry["resource"]["id"] for entry in entries]
        assert len(found) == len(set(found)), (pairs, "twice on the pages")
        assert set(found) == expected, (pairs, size, [by_id.get(one, one) for one in set(found) ^ expected][:3])
        assert total == len(expected), pairs
        assert_sorted(dict(pairs).get("_sort", ""), found, by_id)
        telling += 0 < len(expected) < len(pool)
    assert telling >= SEARCHES // 8


async def test_limits_samples_and_ratios_are_found_as_a_plain_scan_finds_them(record: Record) -> None:
    """Each comparator, and rows of samples, with each prefix and in other units; what is a ratio is found by none."""
    chance = Random(f"{SEED}quantities")
    pool = record.resources["Observation"]
    special = [one for one in pool if any(elements(one, path) for path in UNUSUAL)]
    assert len(special) > 50
    asked = telling = 0
    forms = {prefix: 0 for prefix in PREFIXES if prefix}
    for number in range(QUANTITIES):
        code = QUANTITATIVE[number % len(QUANTITATIVE)]
        name, text = criterion(chance, "Observation", special, [code])
        now = datetime.now(UTC)
        expected = {one["id"] for one in pool if selects(one, name, text, now)}
        entries, total = await pages(record.client, "Observation", [(name, text), ("_count", "1000")], post=False)
        found = {entry["resource"]["id"] for entry in entries}
        assert found == expected, (name, text, [one for one in special if one["id"] in found ^ expected][:2])
        assert total == len(expected)
        asked += 1
        for prefix in forms:
            forms[prefix] += f"${prefix}" in text or text.startswith(prefix)
        telling += bool({one["id"] for one in special} & expected)
    assert telling > asked // 2
    assert min(forms.values()) > 0, forms


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
        entries, total = await pages(record.client, resource_type, asked, post=bool(number % 2))
        found = [entry["resource"]["id"] for entry in entries]
        assert set(found) == expected, (text, [one for one in pool if one["id"] in set(found) ^ expected][:3])
        assert total == len(found) == len(expected), text
        telling += 0 < len(expected) < len(pool)
    assert telling >= FILTERS // 4


@pytest.mark.parametrize("resource_type", sorted(PARAMETERS))
async def test_a_chain_finds_what_a_plain_scan_finds(record: Record, resource_type: str) -> None:
    """Forwards from the type, and by `_has` back to it."""
    chance = Random(f"{SEED}{resource_type}chain")
    for number in range(CHAINS):
        code, target, name, text, chained = chain(chance, resource_type, record.resources)
        if not code:
            assert resource_type in UNLINKED
            return
        now = datetime.now(UTC)
        paths = PARAMETERS[resource_type][code][1]
        chosen = {f"{target}/{one['id']}" for one in record.resources[target] if selects(one, name, text, now)}
        forward = {
            one["id"]
            for one in record.resources[resource_type]
            if any(value.get("reference") in chosen for value in elements(one, paths))
        }
        inner, wanted = search(chance, resource_type, record.resources[resource_type])[0]
        sources = [one for one in record.resources[resource_type] if selects(one, inner, wanted, now)]
        led = {value.get("reference") for one in sources for value in elements(one, paths)}
        backward = {one["id"] for one in record.resources[target] if f"{target}/{one['id']}" in led}
        for path, pair, expected in (
            (resource_type, (chained, text), forward),
            (target, (f"_has:{resource_type}:{code}:{inner}", wanted), backward),
        ):
            entries, total = await pages(record.client, path, [pair, ("_count", "1000")], post=bool(number % 2))
            assert {entry["resource"]["id"] for entry in entries} == expected, (path, pair)
            assert total in {None, len(expected)}


@pytest.mark.parametrize("resource_type", IN_HIERARCHIES)
async def test_what_is_above_and_below_is_what_a_walk_over_the_definitions_finds(
    record: Record, resource_type: str
) -> None:
    """Asked of the type, in a filter, and at the end of a chain; at times beside another criterion."""
    chance = Random(f"{SEED}{resource_type}kin")
    pool = record.resources[resource_type]
    asked = [one for _ in range(KIN) for one in kin.criteria(chance, resource_type, pool, record.kin)]
    telling = 0
    for number, (name, text) in enumerate(asked):
        now = datetime.now(UTC)
        chosen = [one for one in pool if selects(one, *record.kin.spelt(name, text), now)]
        code, _, modifier = name.partition(":")
        searches = [(resource_type, [(name, text)], {one["id"] for one in chosen})]
        more = search(chance, resource_type, pool)[0]
        searches.append(
            (resource_type, [(name, text), more], {one["id"] for one in chosen if selects(one, *more, now)})
        )
        if "|" in text and "," not in text:
            filtered = f'{code} {SUBSUMES[modifier]} "{text}"'
            searches.append((resource_type, [("_filter", filtered)], {one["id"] for one in chosen}))
        link = kin.LINKS.get(resource_type)
        if link:
            source, reference, path = link
            places = {f"{resource_type}/{one['id']}" for one in chosen}
            led = {
                one["id"]
                for one in record.resources[source]
                if any(value.get("reference") in places for value in elements(one, path))
            }
            searches.append((source, [(f"{reference}:{resource_type}.{name}", text)], led))
        for path, pairs, expected in searches:
            asking = [*pairs, ("_count", "40"), ("_total", "accurate")]
            entries, total = await pages(record.client, path, asking, post=bool(number % 2))
            found = [entry["resource"]["id"] for entry in entries]
            assert set(found) == expected, (path, pairs, set(found) ^ expected)
            assert total == len(found) == len(expected), (path, pairs)
        telling += 0 < len(chosen) < len(pool)
    assert len(asked) >= KIN
    assert telling >= len(asked) // 4


async def assert_finds(record: Record, asked: Asked, chance: Random, *, post: bool) -> bool:
    """Check what a search of several types finds and in what order; return whether it tells some from others."""
    expected = several.told(asked, record.resources, record.compartments, datetime.now(UTC))
    size = max(1, len(expected) // chance.choice([1, 2, 3])) + chance.choice([0, 1])
    pairs = [*asked.pairs, ("_count", str(size)), ("_total", "accurate")]
    entries, total = await pages(record.client, asked.path, pairs, post=post)
    found = [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in entries]
    assert set(found) == expected, (asked, sorted(set(found) ^ expected)[:5])
    assert total == len(found) == len(expected), asked
    by_id = {f"{name}/{one['id']}": one for name in asked.types for one in record.resources[name]}
    assert_sorted(asked.sort, found, by_id)
    return 0 < len(expected) < len(by_id)


async def test_a_search_of_several_types_finds_what_a_plain_scan_finds(record: Record) -> None:
    chance = Random(f"{SEED}several")
    telling = 0
    for number in range(SEVERAL):
        asked = several.of_types(chance, record.resources, list(record.resources), "")
        telling += await assert_finds(record, asked, chance, post=bool(number % 2))
    assert telling >= SEVERAL // 6


@pytest.mark.parametrize("code", ["Device", "Encounter", "Patient", "Practitioner", "RelatedPerson"])
async def test_a_compartment_holds_what_its_definition_says(record: Record, code: str) -> None:
    chance = Random(f"{SEED}{code}compartment")
    telling = 0
    for number in range(SEVERAL):
        asked = several.of_compartment(chance, record.resources, record.compartments, code)
        telling += await assert_finds(record, asked, chance, post=bool(number % 2))
    assert telling >= SEVERAL // 8


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
    assert (SEARCHES + FILTERS) * len(PARAMETERS) + EVERY_TYPE * 146 > 3_000
