"""The official R4 tests of FHIRPath (FHIR/fhir-test-cases): all but those that `exceptions.json` explains."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.moments import Moment
from profiles.fhirpath.shapes import Rules
from profiles.fhirpath.syntax import Amount
from profiles.fhirpath.values import Item, Node

SUITE = "testsuites/fhirpath-tests-r4.json"
EXCEPTIONS: dict[str, str] = json.loads((Path(__file__).parent / "exceptions.json").read_text())

Json = dict[str, Any]


@pytest.fixture(scope="module")
def cases(test_data: Path) -> list[Json]:
    found: list[Json] = json.loads((test_data / SUITE).read_text())
    return found


def test_the_official_tests_pass_but_for_the_exceptions(
    cases: list[Json], inputs: dict[str, Json], engine: Engine
) -> None:
    reasons = [(case["name"], _failure(case, inputs, engine)) for case in cases]
    failed = {name: reason for name, reason in reasons if reason}
    assert len(cases) == 935
    assert {name: reason for name, reason in failed.items() if name not in EXCEPTIONS} == {}
    assert EXCEPTIONS.keys() == failed.keys(), "an exception passes: take it from the list"
    assert sum(not reason for _, reason in reasons) >= 930


def _failure(case: Json, inputs: dict[str, Json], engine: Engine) -> str:
    """Return why a test fails, nothing where it passes."""
    resource = inputs[case.get("inputfile") or "patient-example.xml"]
    invalid = case["expressionAttrs"].get("invalid")
    try:
        rules = Rules(ordered=case.get("checkOrderedFunctions") == "true")
        found = engine.compile(case["expression"], resource["resourceType"], rules).nodes(resource)
    except FhirPathError as error:
        # What fails when it runs may be refused earlier; what is no sentence or has no sense must be refused before.
        return "" if invalid in {"execution", error.when} else f"{error.when}: {error}"
    if invalid:
        return f"it should fail ({invalid}), but gives {[_shown(item) for item in found]}"
    if case.get("predicate") == "true":
        found = [bool(found)]
    return _difference([_shown(item) for item in found], case)


def _difference(found: list[tuple[str, str]], case: Json) -> str:
    expected = [(output.get("type"), output.get("value") or "") for output in case["outputs"]]
    if case.get("ordered") == "false":
        found, expected = sorted(found), sorted(expected)
    same = len(found) == len(expected) and all(
        (kind is None or kind == own) and _same(text, value, own)
        for (own, text), (kind, value) in zip(found, expected, strict=True)
    )
    return "" if same else f"found {found}, expected {expected}"


def _same(text: str, expected: str, kind: str) -> bool:
    return text == expected or (kind == "decimal" and Decimal(text) == Decimal(expected))


def _shown(item: Item) -> tuple[str, str]:
    """Return an item as the suite writes it: its type and its text."""
    match item:
        case Node():
            text = str(item.value).lower() if isinstance(item.value, bool) else str(item.value)
            return item.type.name, f"@{text}" if item.type.name in {"date", "dateTime", "instant"} else text
        case Moment():
            return item.kind[0].lower() + item.kind[1:], item.literal.removesuffix("T")
        case Amount():
            return "Quantity", f"{item.value:f} '{item.unit}'"
        case bool():
            return "boolean", str(item).lower()
        case int():
            return "integer", str(item)
        case Decimal():
            return "decimal", f"{item:f}"
        case _:
            return "string", str(item)


def test_every_exception_has_a_reason() -> None:
    assert all(len(reason) > 40 for reason in EXCEPTIONS.values())
    assert len(EXCEPTIONS) <= 5
