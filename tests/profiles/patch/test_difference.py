"""What a difference says, and its promise: applied as a patch to the one resource it gives the other."""

import json
import os
import random
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest

from fhir_server.model.json import decode, encode
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.patch.difference import difference
from profiles.patch.editing import apply
from profiles.patch.operations import MOST_OPERATIONS, read
from profiles.xml.writer import Writer

Json = dict[str, Any]
ROUNDS = int(os.environ.get("DIFFERENCE_ROUNDS", "1"))
PAIRS = int(os.environ.get("DIFFERENCE_PAIRS", "2"))


@pytest.fixture(scope="module")
def engine(definitions: Definitions) -> Engine:
    return Engine(definitions)


def patched(engine: Engine, before: Json, after: Json) -> tuple[Json, Json]:
    patch = difference(before, after, engine.model)
    return apply(read(decode(encode(patch)), engine, before["resourceType"]), before), patch


def said(engine: Engine, before: Json, after: Json) -> list[str]:
    """Return the operations in short, after looking whether they do what they should."""
    found, patch = patched(engine, before, after)
    assert found == after
    rows = []
    for row in patch.get("parameter", ()):
        parts = {part["name"]: part for part in row["part"]}
        words = [parts["type"]["valueCode"], parts["path"]["valueString"]]
        words += [
            str(parts[name][key]) for name, key in (("name", "valueString"), ("index", "valueInteger")) if name in parts
        ]
        rows.append(" ".join(words))
    return rows


def test_the_shortest_way_is_told(engine: Engine) -> None:
    before: Json = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"family": "Grey", "given": ["Ann", "Bea"]}, {"text": "old"}],
        "birthDate": "1970-01-01",
        "contact": [{"name": {"text": "x"}, "gender": "male"}],
    }
    assert said(engine, before, before) == []
    assert said(engine, before, {**before, "active": False}) == ["replace Patient.active"]
    assert said(engine, before, {key: value for key, value in before.items() if key != "birthDate"}) == [
        "delete Patient.birthDate"
    ]
    renamed = deepcopy(before)
    renamed["name"][0]["given"] = ["Ann", "Clara", "Bea"]
    renamed["name"].append({"text": "new"})
    renamed["gender"] = "female"
    assert said(engine, before, renamed) == [
        "insert Patient.name 2",
        "insert Patient.name[0].given 1",
        "add Patient gender",
    ]
    swapped = {**before, "contact": [{"name": {"text": "y"}, "gender": "female", "relationship": [{"text": "z"}]}]}
    assert said(engine, before, swapped) == [
        "add Patient.contact[0] relationship",
        "replace Patient.contact[0].name",
        "replace Patient.contact[0].gender",
    ]


def test_digits_types_and_extensions_of_primitives_count(engine: Engine) -> None:
    def observed(**value: Any) -> Json:
        found: Json = decode(encode({"resourceType": "Observation", "status": "final", **value}))
        return found

    told: Json = {"valueQuantity": {"value": 1}}
    others: list[Json] = [
        {"valueQuantity": {"value": 2}},
        {"valueString": "1"},
        {"_valueString": {"extension": [{"url": "u:x"}]}},
        {},
    ]
    for other in others:
        for one, two in ((told, other), (other, told)):
            assert said(engine, observed(**one), observed(**two))
    digits = decode(b'{"resourceType":"Observation","valueQuantity":{"value":1.0}}')
    more = decode(b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}')
    found, _ = patched(engine, digits, more)
    assert encode(found) == encode(more)
    given: Json = {
        "resourceType": "Patient",
        "name": [{"given": ["A", None], "_given": [None, {"extension": [{"url": "u:x"}]}]}],
    }
    for other in ({"given": ["A"]}, {"given": ["B", "C"], "_given": [{"id": "x"}, None]}, {"family": "D"}):
        for one, two in ((given, {**given, "name": [other]}), ({**given, "name": [other]}, given)):
            assert said(engine, one, two)


def exact(resource: Json) -> str:
    """Return a text that differs where values do, be it by a digit, and not where members stand in another order."""
    return json.dumps(resource, sort_keys=True, default=str)


def scrambled(value: Any, chance: random.Random) -> Any:
    """Return a value with members and items missing, twice, or in another order; it need not be valid, but has nothing empty."""
    if isinstance(value, dict):
        kept = {
            key: scrambled(one, chance) for key, one in value.items() if chance.random() > 0.15 or key == "resourceType"
        }
        plain = {key: one for key, one in kept.items() if f"_{key}" not in value and not key.startswith("_")}
        return plain or value
    if isinstance(value, list):
        rows = [scrambled(one, chance) for one in value if chance.random() > 0.2] or value[:1]
        if chance.random() < 0.3:
            rows.insert(chance.randrange(len(rows) + 1), deepcopy(chance.choice(value)))
        if chance.random() < 0.2:
            chance.shuffle(rows)
        return rows
    return value


def pairs(examples: dict[str, Json]) -> Iterator[tuple[Json, Json]]:
    by_type: dict[str, list[Json]] = {}
    for one in examples.values():
        if len(encode(one)) < 100_000:
            by_type.setdefault(one["resourceType"], []).append(one)
    for rows in by_type.values():
        for one, other in list(pairwise(rows))[:PAIRS]:
            yield one, other
            yield other, one
    chance = random.Random(6)
    for _ in range(ROUNDS):
        for rows in by_type.values():
            for one in rows[:PAIRS]:
                yield one, scrambled(one, chance)
                yield scrambled(one, chance), one


def test_a_difference_applied_gives_the_other_for_every_type(
    engine: Engine, examples: dict[str, Json], definitions: Definitions
) -> None:
    writer, count = Writer(definitions), 0
    for before, after in pairs(examples):
        patch = difference(before, after, engine.model)
        if len(patch.get("parameter", ())) > MOST_OPERATIONS:
            continue
        count += 1
        found = apply(read(patch, engine, before["resourceType"]), before)
        assert exact(found) == exact(after), (before["resourceType"], before.get("id"))
        if count % 50 == 0:
            assert writer.write(patch), "it has a form in XML: every value is of a type that Parameters take"
    assert count > 400


def test_resources_of_two_types_are_not_compared(engine: Engine) -> None:
    with pytest.raises(ValueError, match="one type"):
        difference({"resourceType": "Patient"}, {"resourceType": "Person"}, engine.model)


def test_long_lists_that_differ_everywhere_take_bounded_time(engine: Engine) -> None:
    one = {"resourceType": "List", "entry": [{"item": {"display": f"a{n}"}} for n in range(3_000)]}
    two = {"resourceType": "List", "entry": [{"item": {"display": f"b{n}"}} for n in range(3_000)]}
    assert len(difference(one, two, engine.model)["parameter"]) == 3_000
