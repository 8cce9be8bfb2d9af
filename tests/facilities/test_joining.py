"""Joining a network rewrites no document, whatever there is of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.main import running
from fhir_server.settings import Settings
from loadtests import joining

FACILITIES = 60
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("documents", [300, 3_000])
async def test_HI_3_joining_touches_no_record_and_is_felt_at_once(
    settings: Settings, database: AsyncDatabase[Any], documents: int
) -> None:
    async with running(settings) as service:
        await joining.fill(service, database, FACILITIES, documents)
        assert (await service.repository.house.now()).sharing("facility-7", NOW).network == frozenset()
        found = await joining.join(service, database, FACILITIES)
        others = {f"facility-{number}" for number in range(FACILITIES)} - {"facility-7"}
        assert (await service.repository.house.now()).sharing("facility-7", NOW).network == others
    assert found.same
    assert found.commands > FACILITIES, "the profiler was on"
    assert found.documents >= documents
    assert set(found.touched.values()) == {0}, "a join looks at no Patient and no Observation"
