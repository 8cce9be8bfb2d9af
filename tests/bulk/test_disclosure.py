"""Whose records an export hands out stands in the trail, so that each patient has an account of it."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.bulk.conftest import CLIENT, PATIENTS, Registry
from tests.bulk.test_inferno import GROUP, client, manifest

__all__ = ["client"]

EVERYBODY = frozenset(f"p{number}" for number in range(PATIENTS))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def steward(registry: Registry) -> Any:
    """A service that reads the trail."""
    await registry.register("siem", "system/AuditEvent.rs system/Patient.rs")
    shown = {"Authorization": f"Bearer {await registry.token('system/AuditEvent.rs system/Patient.rs', 'siem')}"}
    async with httpx.AsyncClient(base_url=f"{registry.base}/", headers=shown, timeout=60) as client:
        yield client


@pytest.mark.parametrize("path", ["$export", "Patient/$export", GROUP])
async def test_AU_5_each_patient_is_told_of_an_export(
    path: str, registry: Registry, client: httpx.AsyncClient, steward: httpx.AsyncClient
) -> None:
    body = await manifest(client, path, _type="Patient,Observation,Practitioner")
    job = body["output"][0]["url"].partition("job=")[2].partition("&")[0]

    events = registry.service.store.trail.database["events"]
    rows = [row async for row in events.find({"k": "$export", "c": CLIENT, "x.job": job})]
    named: dict[str, set[str]] = {}
    for row in rows:
        named.setdefault(row["rt"], set()).update(row.get("ps", ()) or [row["p"]])
    assert named == {"Patient": {*EVERYBODY}, "Observation": {*EVERYBODY}}, "a Practitioner is no patient"
    assert {row["x"]["file"] for row in rows} == {
        one["url"].partition("name=")[2] for one in body["output"] if one["type"] != "Practitioner"
    }

    account = (await steward.get("Patient/p3/$accounting-of-disclosures")).json()
    told = [part for row in account["parameter"] if row["name"] == "disclosure" for part in row["part"]]
    shown = {part["valueReference"]["reference"].partition("/")[2] for part in told if part["name"] == "event"}
    assert {row["_id"] for row in rows if "p3" in (row.get("ps") or [row["p"]])} <= shown


async def test_AU_5_an_export_of_some_tells_nobody_else(registry: Registry, client: httpx.AsyncClient) -> None:
    body = await manifest(client, "Group/facility.east/$export", _type="Observation", organizeOutputBy="Patient")
    job = body["output"][0]["url"].partition("job=")[2].partition("&")[0]
    events = registry.service.store.trail.database["events"]
    rows = [row async for row in events.find({"k": "$export", "c": CLIENT, "x.job": job})]
    assert {one for row in rows for one in row.get("ps", ()) or [row["p"]]} == {"p0", "p2", "p4"}
