"""The official cases of the HL7 terminology ecosystem, over HTTP: all pass but those of a table, and of that table none does.

`FHIR_TX_MODES=general,snomed` runs those of other modes too. One suite or case: `python -m tests.terminology.ecosystem --help`.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.serving import alone, own
from tests.terminology.ecosystem.cases import Suite, suites
from tests.terminology.ecosystem.known import KNOWN
from tests.terminology.ecosystem.likeness import Likeness
from tests.terminology.ecosystem.releases import up
from tests.terminology.ecosystem.runner import Runner

MODES = frozenset(os.environ.get("FHIR_TX_MODES", "general").split(","))
CASES = 311
"""Cases of mode general in the archive."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own(data_dir, "ecosystem")) as opened:
        yield opened


@pytest.fixture(scope="module")
def official(test_data: Path) -> list[Suite]:
    return list(suites(test_data, MODES))


@pytest.mark.parametrize(("stored", "step"), [(True, 1), (False, 4)], ids=["stored", "sent"])
async def test_official_cases(client: httpx.AsyncClient, official: list[Suite], stored: bool, step: int) -> None:
    """All with stored resources; some with resources that come with each request, which is the same from there on."""
    runner = Runner(client, MODES, stored=stored)
    results = [row for suite in official for row in await runner.results(suite, step=step)]
    failed = {row.case.key: row.difference for row in results if row.difference}
    assert {key: told for key, told in failed.items() if key not in KNOWN} == {}
    assert {row.case.key for row in results} & KNOWN.keys() - failed.keys() == set(), (
        "they pass: take them off the table"
    )


def test_all_cases_are_there(official: list[Suite]) -> None:
    cases = [case for suite in official for case in suite.cases]
    assert sum(case.mode == "general" for case in cases) == CASES
    assert KNOWN.keys() <= {case.key for case in cases}
    assert all(KNOWN.values())


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {}),
        ({}, {"a": 1}),
        ({"a": [1, 2]}, {"a": [2, 2]}),
        ({"a": [1]}, {"a": [1, 1]}),
        ({"id": "$instant$"}, {"id": "today"}),
        ({"c": "$choice:x|y$"}, {"c": "x|y"}),
        ({"t": "$external:2:found$"}, {"t": "lost"}),
        ({"a": [{"$optional$": True, "b": 1}]}, {"a": [{"b": 2}]}),
        ({"a": [{"$optional$": "version:5", "b": 1}]}, {"a": []}),
        ({"$count-arrays$": ["a"], "a": [1]}, {"a": [2, 3]}),
    ],
)
def test_what_differs_is_told(expected: object, actual: object) -> None:
    assert Likeness(frozenset({"general"})).difference(expected, actual) != ""


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": [{"b": 1}, {"b": 2}]}, {"a": [{"b": 2}, {"b": 1}]}),
        ({"$optional-properties$": ["x", "y"], "y": 1}, {"x": 5}),
        ({"a": [{"$optional$": True, "b": 1}, {"b": "$$"}]}, {"a": [{"b": "z"}]}),
        ({"a": [{"$optional$": "!tx.fhir.org", "b": 1}]}, {}),
        ({"a": [{"$optional$": "warning:version", "b": 1}]}, {"a": []}),
        ({"c": "$choice:x|y$", "t": "$external:1:me$"}, {"c": "y", "t": "some text"}),
        ({"$count-arrays$": ["a"], "a": [1, 2]}, {"a": [3]}),
        ({"resourceType": "X"}, {"resourceType": "X", "meta": {}, "text": {}}),
    ],
)
def test_what_may_differ_is_let_through(expected: object, actual: object) -> None:
    assert Likeness(frozenset({"general"})).difference(expected, actual) == ""


def test_extensions_that_stand_for_elements_become_the_elements() -> None:
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
    parts = [{"url": "code", "valueCode": "weight"}, {"url": "value", "valueInteger": 5}]
    row = {"code": "A", "extension": [{"url": "urn:other"}, {"url": url, "extension": parts}]}
    assert up(row) == {
        "code": "A",
        "extension": [{"url": "urn:other"}],
        "property": [{"code": "weight", "valueInteger": 5}],
    }
