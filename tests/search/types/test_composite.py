"""Composite parameters: what stands together is found together, for every composite of R4 and every official example."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from random import Random
from typing import Any

import pytest

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.index import Indexer
from fhir_server.search.match import matches
from fhir_server.search.params import params
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from tests.search import naive, oracle
from tests.search.shelf import Shelf

Resource = dict[str, Any]
Group = list[list[Any]]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
SYSTOLIC, DIASTOLIC = f"{LOINC}|8480-6", f"{LOINC}|8462-4"

SWAPPED = {"relationship": ("target", "code")}
"""R4 gives the parts of this one each the expression of the other."""


def composites(definitions: Definitions, resource_type: str) -> dict[str, SearchParameter]:
    rows = definitions.search_parameters(resource_type)
    return {code: row for code, row in rows.items() if row.type == "composite"}


def groups(row: SearchParameter, resource: Resource) -> list[Group]:
    """Return the values of each part for each base element that has all of them, by a naive reading."""
    found: list[Group] = []
    expressions = SWAPPED.get(row.code) or [part.expression for part in row.components]
    for base in naive.evaluate(row.expression, resource):
        values = [
            naive.evaluate(text.replace("%resource", resource["resourceType"]), resource)
            if text.startswith("%resource")
            else naive.evaluate(text.replace("DateTime", "dateTime"), {**base, "resourceType": ""})
            for text in expressions
        ]
        if all(values):
            found.append(values)
    return found


def readable(value: Any) -> bool:
    """Whether a token can be read of a member of a choice (`Group.characteristic.value`)."""
    return not isinstance(value, dict) or value.keys().isdisjoint({"value", "low", "high", "reference"})


def kind(row: SearchParameter, part: int, value: Any, definitions: Definitions) -> str:
    """Return the kind of a part's value as the oracle names it; empty where the part cannot be asked for it."""
    defined = definitions.search_parameter(row.components[part].definition)
    assert defined is not None
    if defined.type == "token":
        if isinstance(value, str | bool):
            return "code"
        return "token" if value.keys() & {"coding", "code"} else ""
    return {"quantity": "quantity" if isinstance(value, dict) and "value" in value else ""}.get(
        defined.type, defined.type
    )


def asked(name: str, value: Any) -> str:
    """Return a query text that the value fulfils."""
    match name:
        case "token":
            coding = value.get("coding", [value])[0]
            return f"{coding.get('system', '')}|{coding['code']}" if "code" in coding else ""
        case "quantity":
            return f"{value['value']}|{value.get('system', '')}|{value.get('code', value.get('unit', ''))}"
        case "reference":
            return str(value.get("reference", ""))
        case "date":
            return str(value.get("start", "") if isinstance(value, dict) else value)
    return oracle_text(value)


def oracle_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def fulfils(row: SearchParameter, group: Group, texts: tuple[str, ...], definitions: Definitions) -> bool:
    return all(
        any(
            oracle.MATCHES[name](value, "", text, "", NOW)
            for value in values
            if (name := kind(row, part, value, definitions))
        )
        for part, (values, text) in enumerate(zip(group, texts, strict=True))
    )


def pool(examples: dict[str, Resource], row: SearchParameter, resource_type: str) -> list[tuple[Resource, list[Group]]]:
    # The oracle knows no comparators in values.
    told = [one for one in examples.values() if one["resourceType"] == resource_type and "'comparator'" not in str(one)]
    found = [(one, groups(row, one)) for one in told]
    return [(one, there) for one, there in found if there]


def queries(
    row: SearchParameter, found: list[tuple[Resource, list[Group]]], definitions: Definitions
) -> Iterator[tuple[str, ...]]:
    """Yield what is asked of a parameter: the values of one element, and mixtures of the values of two."""
    chance = Random(row.url)
    every = [group for _, there in found for group in there]
    for group in every:
        other = chance.choice(every)
        for values in (group, [chance.choice(pair) for pair in zip(group, other, strict=True)]):
            one = [chance.choice(part) for part in values]
            texts = tuple(
                asked(name, value) if (name := kind(row, part, value, definitions)) else ""
                for part, value in enumerate(one)
            )
            if all(texts):
                yield texts


def test_every_composite_finds_what_stands_together_in_the_examples(
    definitions: Definitions, indexer: Indexer, examples: dict[str, Resource], shelf: Shelf
) -> None:
    tried: dict[str, int] = {}
    for resource_type in sorted({one["resourceType"] for one in examples.values()}):
        for code, row in composites(definitions, resource_type).items():
            found = pool(examples, row, resource_type)
            documents = {one["id"]: indexer.entries(one) for one, _ in found}
            for texts in queries(row, found, definitions):
                value = "$".join(texts)
                request = shelf.request_of(resource_type, [(code, value)])
                expected = {
                    one["id"] for one, there in found if any(fulfils(row, each, texts, definitions) for each in there)
                }
                got = {name for name, document in documents.items() if matches(request.expression, document)}
                assert got == expected, (resource_type, code, value)
                tried[code] = tried.get(code, 0) + 1
    assert {
        "code-value-quantity",
        "component-code-value-quantity",
        "context-type-value",
        "relationship",
    } <= tried.keys()
    assert sum(tried.values()) > 500, tried


def test_missing_says_whether_all_parts_stand_together(
    definitions: Definitions, indexer: Indexer, examples: dict[str, Resource], shelf: Shelf
) -> None:
    told = {True: 0, False: 0}
    for resource in examples.values():
        resource_type = resource["resourceType"]
        for code, row in composites(definitions, resource_type).items():
            choice = code == "characteristic-value"
            found = [group for group in groups(row, resource) if not choice or any(map(readable, group[1]))]
            there = bool(found) or sampled(row, resource)
            document = indexer.entries(resource)
            for absent in (True, False):
                request = shelf.request_of(resource_type, [(f"{code}:missing", "true" if absent else "false")])
                assert matches(request.expression, document) == (there != absent), (resource["id"], code)
            told[there] += 1
    assert min(told.values()) > 100


def sampled(row: SearchParameter, resource: Resource) -> bool:
    """Whether a `quantity` part reads sampled data, as its own parameter does (`value-quantity`)."""
    bases = naive.evaluate(row.expression, resource)
    return "value-quantity" in row.code and any("valueSampledData" in base for base in bases)


def reading(code: str, value: float, unit: str = "mm[Hg]") -> Resource:
    return {
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
    }


def panel(name: str, systolic: float, diastolic: float, **more: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
        "component": [reading("8480-6", systolic), reading("8462-4", diastolic)],
        **more,
    }


@pytest.fixture
async def ward(shelf: Shelf) -> Shelf:
    """A few observations in a database."""
    text = {"resourceType": "Observation", "id": "text", "status": "final", "code": {"coding": [{"code": "a$b"}]}}
    await shelf.put(
        panel("high", 160, 90),
        panel("low", 110, 70, effectiveDateTime="2026-01-01"),
        panel("wide", 155, 50),
        {**reading("8480-6", 21.0, "kPa"), "resourceType": "Observation", "id": "single", "status": "final"},
        {**text, "valueString": "cost: 5$, or 6"},
    )
    return shelf


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"component-code-value-quantity={SYSTOLIC}$gt150", {"high", "wide"}),
        (f"component-code-value-quantity={DIASTOLIC}$gt150", set()),
        (f"component-code-value-quantity={DIASTOLIC}$90", {"high"}),
        (f"component-code-value-quantity={DIASTOLIC}$12|{UCUM}|kPa", {"high"}),
        ("component-code-value-quantity=8462-4$lt60|http://unitsofmeasure.org|mm[Hg]", {"wide"}),
        (f"component-code-value-quantity={SYSTOLIC}$160,{DIASTOLIC}$70", {"high", "low"}),
        (f"component-code-value-quantity={SYSTOLIC}$gt150&component-code-value-quantity={DIASTOLIC}$lt60", {"wide"}),
        (f"component-code-value-quantity={SYSTOLIC}$gt150|{UCUM}|kg", set()),
        (f"code-value-quantity={SYSTOLIC}$gt150|{UCUM}|mm[Hg]", {"single"}),
        (f"code-value-quantity={LOINC}|85354-9$gt1", set()),
        (f"code-value-quantity={SYSTOLIC}$21,{LOINC}|85354-9$gt1,urn:x|y$3", {"single"}),
        (f"combo-code-value-quantity={SYSTOLIC}$gt150|{UCUM}|mm[Hg]", {"single", "high", "wide"}),
        (r"code-value-string=a\$b$cost: 5\$\, or", {"text"}),
        (r"code-value-string=|a\$b$COST", {"text"}),
        ("code-value-string=urn:x|a$cost", set()),
        ("code-value-quantity:missing=false", {"single"}),
        ("code-value-quantity:missing=true", {"high", "low", "wide", "text"}),
        ("component-code-value-quantity:missing=true", {"single", "text"}),
        ("combo-code-value-quantity:missing=true", {"text"}),
        ("combo-code-value-quantity:missing=false", {"single", "high", "low", "wide"}),
        (f'_filter=component-code-value-quantity%20eq%20"{SYSTOLIC}$gt150"', {"high", "wide"}),
        (f'_filter=not%20(combo-code-value-quantity%20eq%20"{SYSTOLIC}$gt1")', {"text"}),
        ("_filter=code-value-quantity%20pr%20true", {"single"}),
        ("_filter=code-value-quantity%20pr%20false", {"high", "low", "wide", "text"}),
    ],
)
async def test_what_a_search_finds_in_the_database(ward: Shelf, query: str, expected: set[str]) -> None:
    assert set(await ward.ids("Observation", query.replace("+", "%2B"))) == expected
    request = ward.request("Observation", query)
    documents = [document async for document in ward.database["Observation"].find({}, {"_id": 1, "s": 1})]
    assert {document["_id"] for document in documents if matches(request.expression, document)} == expected


def test_the_entries_of_an_element_stay_together(indexer: Indexer) -> None:
    stored = indexer.entries(panel("x", 160, 90))["s"]["component-code-value-quantity"]
    assert [(entry["a"], entry["b"][0]["lo"]) for entry in stored] == [
        (["8480-6|http://loinc.org"], 160.0),
        (["8462-4|http://loinc.org"], 90.0),
    ]


def test_a_part_outside_of_the_element_belongs_to_each(indexer: Indexer, shelf: Shelf) -> None:
    sequence = {
        "resourceType": "MolecularSequence",
        "id": "s",
        "coordinateSystem": 0,
        "referenceSeq": {"chromosome": {"coding": [{"code": "7"}]}},
        "variant": [{"start": 10, "end": 20}, {"start": 100, "end": 200}],
    }
    document = indexer.entries(sequence)
    for starts, ends in product((10, 100), (20, 200)):
        query = f"chromosome-variant-coordinate=7${starts}${ends}"
        assert matches(shelf.request("MolecularSequence", query).expression, document) == (ends == starts * 2)
    assert not matches(shelf.request("MolecularSequence", "chromosome-variant-coordinate=8$10$20").expression, document)


def test_joined_parameters_are_not_stored(definitions: Definitions) -> None:
    joined = {code for code, row in params("Observation", definitions).items() if row.joined}
    assert joined == {"code-value-concept", "code-value-date", "code-value-quantity"}
    assert not any(params("Observation", definitions)[code].stored for code in joined)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("code-value-quantity=8480-6", "'8480-6' is not a valid value of the composite parameter 'code-value-quantity'. Write [code]$[value-quantity]"),
        ("code-value-quantity=a$5$6", "'a$5$6' is not a valid value of the composite parameter 'code-value-quantity'."),
        ("code-value-quantity=$5", "'$5' is not a valid value"),
        (r"code-value-quantity=a\$5", r"'a\$5' is not a valid value"),
        ("component-code-value-quantity=a$high", "In 'component-code-value-quantity': 'high' is not a valid value of the quantity parameter"),
        ("code-value-quantity=a|b|c$5", "In 'code-value-quantity': 'a|b|c' is not a valid value of the token parameter 'code'."),
        ("code-value-quantity:not=a$5", "The composite parameter 'code-value-quantity' has no modifier 'not'. It takes :missing."),
        ("_sort=code-value-quantity", "Observation cannot be sorted by 'code-value-quantity'."),
    ],
)  # fmt: skip
def test_refusals(shelf: Shelf, query: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        shelf.request("Observation", query)
    assert str(caught.value).startswith(text)
