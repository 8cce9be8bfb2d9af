"""What access adds to searches: patients, labels, disclosure; the filter and the evaluation in memory agree."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.query import ANYTHING, NOTHING
from fhir_server.search import effective
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import Cleared, Disclosed, Expression, Not, OfPatients, Withdrawn
from fhir_server.search.match import matches
from fhir_server.search.parse import parse
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(seconds=1), NOW - timedelta(seconds=1)

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "plain", "p": "ann"},
    {"_id": "several", "p": "ann", "ps": ["ann", "bo"]},
    {"_id": "nobody"},
    {"_id": "psychiatry", "p": "bo", "sl": ["PSY"]},
    {"_id": "two-labels", "p": "bo", "sl": ["HIV", "PSY"]},
    {"_id": "held", "p": "ann", "held": True},
    {"_id": "later", "p": "ann", "va": SOON},
    {"_id": "visible", "p": "ann", "va": BEFORE},
    {"_id": "now", "p": "ann", "va": NOW},
    {"_id": "draft", "p": "ann", "gt": "preliminary"},
    {"_id": "wrong", "p": "ann", "gt": "error"},
    {"_id": "withdrawn", "p": "ann", "gt": "error", "wd": True},
    {"_id": "withdrawn-held", "p": "ann", "gt": "error", "wd": True, "held": True},
]

OPEN = {"plain", "several", "nobody", "psychiatry", "two-labels", "visible", "now"}
SELECTIONS = [
    (OfPatients(frozenset({"bo"})), {"several", "psychiatry", "two-labels"}),
    (OfPatients(frozenset({"ann", "bo"})), {each["_id"] for each in DOCUMENTS} - {"nobody"}),
    (OfPatients(frozenset()), set()),
    (Not(OfPatients(frozenset({"ann"}))), {"nobody", "psychiatry", "two-labels"}),
    (Cleared(frozenset()), {each["_id"] for each in DOCUMENTS} - {"psychiatry", "two-labels"}),
    (Cleared(frozenset({"PSY"})), {each["_id"] for each in DOCUMENTS} - {"two-labels"}),
    (Cleared(frozenset({"PSY", "HIV"})), {each["_id"] for each in DOCUMENTS}),
    (Disclosed(NOW), OPEN),
    (Disclosed(NOW, frozenset({"preliminary"})), OPEN | {"draft"}),
    (Withdrawn(), {"withdrawn"}),
    (Disclosed(SOON), OPEN | {"later"}),
]


@pytest.mark.parametrize(("expression", "wanted"), SELECTIONS)
async def test_the_filter_and_the_evaluation_in_memory_select_the_same(
    expression: Expression, wanted: set[str], definitions: Definitions, database: AsyncDatabase[Any]
) -> None:
    rows = database["Observation"]
    await rows.insert_many([dict(each) for each in DOCUMENTS])
    where = compiled(expression, "Observation", definitions)
    assert where != ANYTHING
    found = set() if where == NOTHING else {row["_id"] for row in await rows.find(where.clause).to_list()}
    assert found == wanted
    assert {each["_id"] for each in DOCUMENTS if matches(expression, each)} == wanted


STAMPED: list[dict[str, Any]] = [
    {"_id": f"{written}-{number}", "lu": at, **later}
    for written, at in (("before", BEFORE), ("now", NOW), ("soon", SOON))
    for number, later in enumerate([{}, {"va": BEFORE}, {"va": SOON}, {"op": NOW}, {"va": BEFORE, "op": SOON}])
]


@pytest.mark.parametrize("prefix", ["eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"])
@pytest.mark.parametrize("moment", [BEFORE, NOW, SOON])
async def test_when_a_patient_could_first_see_it_is_the_latest_of_its_moments(
    prefix: str, moment: datetime, definitions: Definitions, database: AsyncDatabase[Any]
) -> None:
    """The filter agrees with `_lastUpdated` itself of documents that were written at the latest of the moments."""
    rows = database["Observation"]
    await rows.insert_many([dict(each) for each in STAMPED])
    plain = parse(
        "Observation", (("_lastUpdated", f"{prefix}{moment.isoformat()}"),), definitions, Search(), strict=True
    )
    expression = effective.expression(plain.expression)
    assert expression != plain.expression
    latest = {each["_id"]: max(each[name] for name in ("lu", "va", "op") if name in each) for each in STAMPED}
    wanted = {name for name, at in latest.items() if matches(plain.expression, {"_id": name, "lu": at})}
    where = compiled(expression, "Observation", definitions)
    assert {row["_id"] for row in await rows.find(where.clause).to_list()} == wanted
    assert {each["_id"] for each in STAMPED if matches(expression, each)} == wanted
