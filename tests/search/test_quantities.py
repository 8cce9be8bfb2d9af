"""Quantities in different units: the same amount is found whatever unit it was written in (R4 3.1.1.4.11)."""

from collections.abc import AsyncIterator
from decimal import Decimal
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from fhir_server.model import json
from fhir_server.search.expression import Criterion
from fhir_server.search.params import Param, params
from fhir_server.search.reading import Reading
from fhir_server.search.types import quantity
from profiles.definitions.registry import load
from terminology.ucum.ucum import Ucum
from tests.search.shelf import Shelf
from tests.serving import alone, own

UCUM = "http://unitsofmeasure.org"
UNITS = Ucum.load()
READING = Reading(units=UNITS)

Found = tuple[str, dict[str, Any]]


def value_quantity() -> Param:
    return params("Observation", load())["value-quantity"]


def amount(value: Any, code: str, **more: Any) -> Found:
    return "Quantity", {"value": Decimal(str(value)), "code": code, "system": UCUM, **more}


def found(text: str, *values: Found) -> bool:
    criterion = quantity.parse(value_quantity(), "", [text], READING)
    assert isinstance(criterion, Criterion)
    return quantity.matches(criterion, quantity.entries(values, value_quantity(), READING))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (amount("5.4", "mg"), {"u": "mg", "s": UCUM, "lo": 5.4, "hi": 5.4, "cu": "g", "clo": 0.0054, "chi": 0.0054}),
        (amount("5.4", "mg{dry}"), {"u": "mg{dry}", "s": UCUM, "lo": 5.4, "hi": 5.4, "cu": "g", "clo": 0.0054, "chi": 0.0054}),
        (amount("37", "Cel"), {"u": "Cel", "s": UCUM, "lo": 37.0, "hi": 37.0, "cu": "K", "clo": 310.15, "chi": 310.15}),
        (amount("5.4", "mgs"), {"u": "mgs", "s": UCUM, "lo": 5.4, "hi": 5.4}),
        (amount("5.4", "mg", system="urn:other"), {"u": "mg", "s": "urn:other", "lo": 5.4, "hi": 5.4}),
        (("Quantity", {"value": Decimal("5.4"), "unit": "mg"}), {"n": "mg", "lo": 5.4, "hi": 5.4}),
        (("Quantity", {"code": "mg", "system": UCUM}), {"u": "mg", "s": UCUM}),
        (("Age", {"value": 2, "code": "wk", "system": UCUM}), {"u": "wk", "s": UCUM, "lo": 2.0, "hi": 2.0, "cu": "s", "clo": 1209600.0, "chi": 1209600.0}),
        (
            amount("2", "kg", comparator=">="),
            {"u": "kg", "s": UCUM, "lo": 2.0, "hi": inf, "cu": "g", "clo": 2000.0, "chi": inf},
        ),
        (
            amount("7", "[pH]", comparator="<="),
            {"u": "[pH]", "s": UCUM, "lo": -inf, "hi": 7.0, "cu": "m-3", "clo": 6.02214076e19, "chi": inf},
        ),
        (
            ("Range", {"low": amount(1, "g")[1], "high": amount(2, "kg")[1]}),
            {"u": "g", "s": UCUM, "lo": 1.0, "hi": 2.0, "cu": "g", "clo": 1.0, "chi": 2000.0},
        ),
        (
            ("Range", {"low": amount(1, "g")[1], "high": amount(2, "mL")[1]}),
            {"u": "g", "s": UCUM, "lo": 1.0, "hi": 2.0},
        ),
        (
            ("Range", {"high": amount(2, "kg")[1]}),
            {"u": "kg", "s": UCUM, "lo": -inf, "hi": 2.0, "cu": "g", "clo": -inf, "chi": 2000.0},
        ),
        (("Range", {}), {}),
        (
            ("SampledData", {"origin": amount(10, "mV")[1], "factor": Decimal("0.5"), "data": "-2 E 4"}),
            {"u": "mV", "s": UCUM, "lo": 9.0, "hi": 12.0, "cu": "C-1.g.m2.s-2", "clo": 9.0, "chi": 12.0},
        ),
        (("SampledData", {"origin": amount(10, "mV")[1], "data": "E"}), {"u": "mV", "s": UCUM}),
        (("Money", {"value": Decimal(3), "currency": "EUR"}), {"u": "EUR", "s": "urn:iso:std:iso:4217", "lo": 3.0, "hi": 3.0}),
        (amount("1e400", "mg"), {"u": "mg", "s": UCUM, "lo": inf, "hi": inf, "cu": "g", "clo": inf, "chi": inf}),
        (amount("-1e400", "mg"), {"u": "mg", "s": UCUM, "lo": -inf, "hi": -inf, "cu": "g", "clo": -inf, "chi": -inf}),
        (amount("1e4000", "mg"), {"u": "mg", "s": UCUM, "lo": inf, "hi": inf}),
    ],
)  # fmt: skip
def test_entries_hold_the_canonical_form_where_there_is_one(value: Found, stored: dict[str, Any]) -> None:
    assert quantity.entries([value], value_quantity(), READING) == [stored]


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("5.4|mg", amount("0.0054", "g"), True),
        ("5.4|mg", amount("5400", "ug"), True),
        ("5.4|mg", amount("0.0054", "mg"), False),
        ("0.0054|g", amount("5.4", "mg"), True),
        ("5.4|mg{dry}", amount("0.0054", "g{wet}"), True),
        # The implicit precision is that of the number as written: 5.35 mg up to but without 5.45 mg.
        ("5.4|mg", amount("0.00535", "g"), True),
        ("5.4|mg", amount("0.00545", "g"), False),
        ("5.4|mg", amount("0.005449999", "g"), True),
        ("5.40|mg", amount("0.00544", "g"), False),
        ("0.005|g", amount("5.4", "mg"), True),
        ("ne5.4|mg", amount("0.0054", "g"), False),
        ("ne5.4|mg", amount("0.0055", "g"), True),
        ("ne5.4|mg", amount("1", "L"), False),
        ("gt5|mg", amount("0.005", "g"), False),
        ("gt5|mg", amount("0.0050001", "g"), True),
        ("ge5|mg", amount("0.005", "g"), True),
        ("lt1|kg", amount("999", "g"), True),
        ("le1|kg", amount("1000", "g"), True),
        ("sa1|kg", amount("1000", "g", comparator=">"), True),
        ("sa1|kg", amount("1000", "g", comparator=">="), False),
        ("eb1|kg", amount("1000", "g", comparator="<"), True),
        ("ap1|kg", amount("910", "g"), True),
        ("ap1|kg", amount("890", "g"), False),
        ("37|Cel", amount("98.6", "[degF]"), True),
        ("gt100|[degF]", amount("37.7", "Cel"), False),
        ("gt100|[degF]", amount("37.8", "Cel"), True),
        ("120|mm[Hg]", amount("15.9987", "kPa"), True),
        ("5|mmol/L", amount("5000", "umol/L"), True),
        ("5|m[IU]/mL", amount("5", "[IU]/L"), True),
        ("5|m[IU]/mL", amount("5", "[iU]/L"), True),
        ("5|m[IU]/mL", amount("5", "k[iU]/m3"), True),
        ("5|[CFU]", amount("5", "[PFU]"), False),
        ("50|%", amount("0.5", "1"), True),
        ("72|/min", amount("1.2", "Hz"), True),
        # More of a pH is less acid.
        ("7.4|[pH]", amount("40", "nmol/L"), True),
        ("7.4|[pH]", amount("7.35", "[pH]"), True),
        ("7.4|[pH]", amount("7.45", "[pH]"), False),
        ("gt7.4|[pH]", amount("30", "nmol/L"), True),
        ("gt7.4|[pH]", amount("50", "nmol/L"), False),
        ("lt7.4|[pH]", amount("50", "nmol/L"), True),
        ("ge7|[pH]", amount("100", "nmol/L"), True),
        ("sa7|[pH]", amount("100", "nmol/L", comparator="<"), True),
        ("gt50|nmol/L", amount("7", "[pH]"), True),
        ("lt50|nmol/L", amount("7", "[pH]", comparator=">"), True),
        ("gt200|nmol/L", amount("7", "[pH]", comparator=">"), False),
        # What is no unit of UCUM is compared by its code, as before.
        ("5|mgs", amount("5", "mgs"), True),
        ("5|mgs", amount("5", "mg"), False),
        ("1e300|mg", amount("1e297", "g"), True),
        ("gt1e300|mg", amount("1e400", "mg"), True),
        ("gt1e300|mg", amount("1e4000", "mg"), True),
        ("gt1|mg", ("Range", {"low": amount(1, "ug")[1], "high": amount(1, "g")[1]}), True),
        ("5.4|mg", ("Quantity", {"value": Decimal("0.0054"), "code": "g"}), False),
        ("5.4|mg", ("Quantity", {"value": Decimal("0.0054"), "code": "g", "system": "urn:other"}), False),
    ],
)
def test_amounts_are_compared_across_units(text: str, value: Found, expected: bool) -> None:
    number, code = text.split("|")
    assert found(f"{number}|{UCUM}|{code}", value) is expected


def test_without_system_or_code_nothing_is_converted() -> None:
    assert not found("5.4||mg", amount("0.0054", "g"))
    assert not found("5.4", amount("0.0054", "g"))
    assert not found(f"5.4|{UCUM}|", amount("0.0054", "g"))
    assert not found("5.4|urn:other|mg", amount("0.0054", "g"))
    assert found("5.4||mg", amount("5.4", "mg"))


FAMILIES = [
    ["ng", "ug", "mg", "g", "kg", "[lb_av]", "[oz_av]"],
    ["Cel", "[degF]", "K", "mK"],
    ["s", "min", "h", "d", "wk", "a"],
]


@settings(deadline=None)
@given(st.data(), st.sampled_from(FAMILIES), st.sampled_from(["", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]))
def test_asking_in_another_unit_gives_the_same_answer(data: st.DataObject, family: list[str], prefix: str) -> None:
    """A value that is asked for in its own unit is told apart like the same value written in another one."""
    own, other = data.draw(st.sampled_from(family)), data.draw(st.sampled_from(family))
    asked, written = data.draw(st.decimals(-999, 999, places=1)), data.draw(st.decimals(-999, 999, places=2))
    converted = UNITS.convert(written, own, other)
    assert converted is not None
    exact = Decimal(converted.numerator) / Decimal(converted.denominator)
    if exact.as_integer_ratio() != converted.as_integer_ratio():
        return
    text = f"{prefix}{asked}|{UCUM}|{own}"
    assert found(text, amount(written, own)) is found(text, amount(exact, other))


async def test_sorting_goes_by_the_canonical_value(shelf: Shelf) -> None:
    def observation(name: str, *components: Found, **value: Any) -> dict[str, Any]:
        parts = [{"valueQuantity": {**part, "value": float(part["value"])}} for _, part in components]
        return {"resourceType": "Observation", "id": name, **({"component": parts} if parts else {}), **value}

    await shelf.put(
        observation("a", valueQuantity={"value": 1, "code": "g", "system": UCUM}),
        observation("b", valueQuantity={"value": 900, "code": "mg", "system": UCUM}),
        observation("c", valueQuantity={"value": 2, "code": "kg", "system": UCUM}),
        observation("d", valueQuantity={"value": 0.95, "unit": "tablets"}),
        observation("e", valueQuantity={"code": "g", "system": UCUM}),
        observation("f", amount(5, "mg"), amount(3, "kg")),
        observation("g", amount(4, "mg"), amount(1, "kg")),
    )
    assert await shelf.ids("Observation", "_sort=value-quantity&value-quantity:missing=false") == [
        "b",
        "d",
        "a",
        "c",
        "e",
    ]
    assert await shelf.ids("Observation", "_sort=-value-quantity&value-quantity:missing=false") == [
        "c",
        "a",
        "d",
        "b",
        "e",
    ]
    assert (await shelf.ids("Observation", "_sort=component-value-quantity"))[:2] == ["g", "f"]
    assert (await shelf.ids("Observation", "_sort=-component-value-quantity"))[:2] == ["f", "g"]
    pages = await shelf.walk("Observation", "_sort=value-quantity&_count=2")
    assert pages == [["b", "d"], ["a", "c"], ["e", "f"], ["g"]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own(data_dir, "quantities")) as client:
        for name, (_, value) in MEASURED.items():
            observation = {
                "resourceType": "Observation", "id": name, "status": "final",
                "code": {"text": "a measurement"}, "valueQuantity": value,
            }  # fmt: skip
            headers = {"Content-Type": "application/fhir+json"}
            answer = await client.put(f"Observation/{name}", content=json.encode(observation), headers=headers)
            assert answer.status_code == 201, answer.text
        yield client


MEASURED = {
    "mg": amount("5.4", "mg"),
    "g": amount("0.0054", "g"),
    "ug": amount("5400", "ug"),
    "near": amount("0.00544", "g"),
    "more": amount("0.00545", "g"),
    "none": ("Quantity", {"value": Decimal("5.4"), "unit": "mg"}),
    "other": amount("5.4", "mL"),
    "fever": amount("39.2", "Cel"),
    "fieber": amount("102.56", "[degF]"),
}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ([("value-quantity", f"5.4|{UCUM}|mg")], "g mg near ug"),
        ([("value-quantity", f"0.00540|{UCUM}|g")], "g mg ug"),
        ([("value-quantity", f"5400|{UCUM}|ug")], "g mg ug"),
        ([("value-quantity", f"gt5.4|{UCUM}|mg")], "more near"),
        ([("value-quantity", f"ne5.4|{UCUM}|mg")], "more"),
        ([("value-quantity", f"5.4|{UCUM}|mg,5.4|{UCUM}|mL")], "g mg near other ug"),
        ([("value-quantity", f"ge5.4|{UCUM}|mg"), ("value-quantity", f"lt5.445|{UCUM}|mg")], "g mg near ug"),
        ([("value-quantity", "5.4||mg")], "mg none"),
        ([("value-quantity", "5.4")], "mg none other"),
        ([("value-quantity", f"39.2|{UCUM}|Cel")], "fever fieber"),
        ([("value-quantity", f"gt102|{UCUM}|[degF]")], "fever fieber"),
        ([("value-quantity", f"312.4|{UCUM}|K")], "fever fieber"),
        ([("combo-value-quantity", f"5.45|{UCUM}|mg")], "more"),
    ],
)
async def test_a_search_in_one_unit_finds_what_was_written_in_another(
    client: httpx.AsyncClient, query: list[tuple[str, str]], names: str
) -> None:
    for answer in (
        await client.get(f"Observation?{urlencode(query)}"),
        await client.post(
            "Observation/_search",
            content=urlencode(query),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert answer.status_code == 200, answer.text
        assert sorted(entry["resource"]["id"] for entry in answer.json().get("entry", [])) == names.split()


async def test_a_conditional_request_compares_amounts_too(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "Observation",
        content=json.encode({"resourceType": "Observation", "status": "final", "code": {"text": "x"}}),
        headers={
            "Content-Type": "application/fhir+json",
            "If-None-Exist": urlencode([("value-quantity", f"5.45|{UCUM}|mg"), ("status", "final")]),
        },
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["location"].endswith("/Observation/more/_history/1")
