"""Number and quantity parameters (R4 3.1.1.4.6, 3.1.1.4.11)."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.params import params
from fhir_server.search.types import number, quantity
from profiles.definitions.registry import Definitions

UCUM = "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("text", "stored", "expected"),
    [
        ("100", "99.5", True),
        ("100", "100.49", True),
        ("100", "100.5", False),
        ("100", "99.4999", False),
        ("100.00", "99.995", True),
        ("100.00", "99.99", False),
        ("100.00", "100.005", False),
        ("1e2", "100", True),
        ("1e2", "149", True),
        ("1.00e2", "100.4", True),
        ("1.00e2", "101", False),
        ("5.40e-3", "0.005395", True),
        ("5.40e-3", "0.0053949", False),
        ("lt100", "99.99", True),
        ("lt100", "100", False),
        ("le100", "100", True),
        ("le100", "100.4", False),
        ("gt100", "100.4", True),
        ("gt100", "100", False),
        ("ge100", "100", True),
        ("ge100", "99.9", False),
        ("ne100", "99.4", True),
        ("ne100", "100.2", False),
        ("ne100", "100.5", True),
        ("sa100", "100.1", True),
        ("sa100", "100", False),
        ("eb100", "99.9", True),
        ("ap100", "110", True),
        ("ap100", "110.1", False),
        ("ap-100", "-91", True),
        ("-5", "-5.4", True),
        ("0.8", "0.75", True),
        ("0.8", "0.85", False),
        ("gt8e-1", "0.81", True),
        ("2", "2", True),
        ("2.0", "2", True),
        ("2.5", "2", False),
        ("2.5", "3", False),
        ("0", "0.4", True),
        ("+1", "1", True),
    ],
)
def test_prefixes_and_implicit_precision(definitions: Definitions, text: str, stored: str, expected: bool) -> None:
    param = params("RiskAssessment", definitions)["probability"]
    criterion = number.parse(param, "", [text])
    assert isinstance(criterion, Criterion)
    assert number.matches(criterion, number.entries([("decimal", Decimal(stored))], param)) is expected


def test_a_range_is_compared_as_a_whole(definitions: Definitions) -> None:
    param = params("RiskAssessment", definitions)["probability"]
    stored = number.entries([("Range", {"low": {"value": Decimal("0.2")}, "high": {"value": Decimal("0.4")}})], param)
    assert stored == [{"lo": 0.2, "hi": 0.4}]
    for text, expected in {
        "gt0.3": True,
        "lt0.3": True,
        "0.3": False,
        "ge0.4": False,
        "le0.4": True,
        "eb0.5": True,
    }.items():
        criterion = number.parse(param, "", [text])
        assert isinstance(criterion, Criterion)
        assert number.matches(criterion, stored) is expected, text


@pytest.mark.parametrize(
    "text",
    ["", "x", "1,2", "1.", ".5", "1e", "0x1", "1e9999", "9" * 40, "NaN", "inf", "ge", "\u0661", "1 ", "--1", "1e301"],
)
def test_what_is_no_number_is_refused(definitions: Definitions, text: str) -> None:
    with pytest.raises(InvalidParameter, match="Write a number such as 100"):
        number.parse(params("RiskAssessment", definitions)["probability"], "", [text])


@given(
    st.from_regex(r"[+-]?[0-9]{1,34}(\.[0-9]{1,34})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["", "ne", "ap", "gt"]),
)
def test_every_number_has_a_range(text: str, prefix: str) -> None:
    found = number.within(prefix + text)
    if abs(Decimal(text)) > number.LARGEST:
        assert found is None
    else:
        assert found is not None
        assert found.low <= found.high


def amount(value: Any, code: str = "mg", system: str = UCUM, **more: Any) -> tuple[str, Any]:
    return "Quantity", {"value": Decimal(str(value)), "code": code, "system": system, **more}


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        (f"5.4|{UCUM}|mg", amount("5.44"), True),
        (f"5.4|{UCUM}|mg", amount("5.45"), False),
        (f"5.4|{UCUM}|mg", amount("5.4", "g"), False),
        (f"5.4|{UCUM}|mg", amount("5.4", system="urn:other"), False),
        (f"5.4|{UCUM}|mg", ("Quantity", {"value": Decimal("5.4"), "unit": "mg"}), False),
        ("5.4||mg", amount("5.4"), True),
        ("5.4||mg", ("Quantity", {"value": Decimal("5.4"), "unit": "mg"}), True),
        ("5.4||milligram", amount("5.4", unit="milligram"), True),
        ("5.4||g", amount("5.4", unit="milligram"), False),
        ("5.4", amount("5.4"), True),
        (f"5.4|{UCUM}|", amount("5.4", "g"), True),
        (f"le5.4|{UCUM}|mg", amount("5.4"), True),
        (f"ap5.4|{UCUM}|mg", amount("5.9"), True),
        ("5.4", ("Quantity", {"code": "mg", "system": UCUM}), False),
        ("ne5.4", ("Quantity", {"code": "mg", "system": UCUM}), False),
        ("lt1", amount("5", comparator="<"), True),
        ("ge5", amount("5", comparator="<"), False),
        ("gt100", amount("5", comparator=">="), True),
        ("gt5", amount("5", comparator="<="), False),
        ("10", ("Money", {"value": Decimal(10), "currency": "EUR"}), True),
        ("10|urn:iso:std:iso:4217|EUR", ("Money", {"value": Decimal(10), "currency": "EUR"}), True),
        ("10||USD", ("Money", {"value": Decimal(10), "currency": "EUR"}), False),
        ("gt3", ("Range", {"low": {"value": Decimal(2), "code": "a", "system": UCUM}}), True),
        ("lt1||a", ("Range", {"low": {"value": Decimal(2), "code": "a", "system": UCUM}}), False),
        ("gt11", ("SampledData", {"origin": {"value": 10}, "factor": Decimal("0.5"), "data": "1 2 E 3"}), True),
        ("gt12", ("SampledData", {"origin": {"value": 10}, "factor": Decimal("0.5"), "data": "1 2 E 3"}), False),
    ],
)
def test_quantities(definitions: Definitions, text: str, value: tuple[str, Any], expected: bool) -> None:
    param = params("Observation", definitions)["value-quantity"]
    criterion = quantity.parse(param, "", [text])
    assert isinstance(criterion, Criterion)
    assert quantity.matches(criterion, quantity.entries([value], param)) is expected


@pytest.mark.parametrize("text", ["mg", "5|mg", "5|a|b|c", "|a|b", "5 mg"])
def test_what_is_no_quantity_is_refused(definitions: Definitions, text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"Write number, number\|system\|code or number\|\|unit"):
        quantity.parse(params("Observation", definitions)["value-quantity"], "", [text])
