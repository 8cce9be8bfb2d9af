"""Attacks by bulk imports: lines beyond the scopes, lines that overwrite what cannot be seen, other clients' imports, people."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.model import json
from tests.access.house import Caller, House, Json, observation, opened

PATIENCE = 60.0


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir, of=working) as house:
        system = await house.as_("system/*.cruds")
        for name in ("ann", "bo"):
            assert (await system.put({"resourceType": "Patient", "id": name})).status_code == 201
        assert (await system.put(observation("of-bo", "bo", "social-history"))).status_code == 201
        yield house


async def sent(house: House, caller: Caller, *rows: Json) -> httpx.Response:
    """Return the answer to an import of lines."""
    headers = {"Authorization": f"Bearer {caller.token}", "Content-Type": "application/fhir+ndjson"}
    body = b"".join(json.encode(row) + b"\n" for row in rows)
    return await house.client.post("/fhir/$import", content=body, headers=headers)


async def ended(caller: Caller, kicked: httpx.Response) -> httpx.Response:
    assert kicked.status_code == 202, kicked.text
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await caller.get(kicked.headers["content-location"])
            if found.status_code != 202:
                return found
            await asyncio.sleep(0.05)


async def outcomes(caller: Caller, manifest: Json) -> list[Json]:
    (row,) = manifest["error"]
    return [*map(json.decode, (await caller.get(row["url"])).content.splitlines())]


async def test_lines_beyond_the_scopes_are_refused_and_leave_a_trace(house: House) -> None:
    narrow = await house.as_("system/Observation.cu?category=laboratory system/Patient.r")
    manifest = (
        await ended(
            narrow,
            await sent(
                house,
                narrow,
                observation("in-1", "ann"),
                observation("in-2", "ann", "social-history"),
                {"resourceType": "Patient", "id": "in-3"},
                observation("of-bo", "bo"),
            ),
        )
    ).json()
    assert manifest["output"] == [{"count": 1}]
    wrong = [one["issue"][0]["diagnostics"] for one in await outcomes(narrow, manifest)]
    assert wrong == ["Line 2, Observation/in-2", "Line 3, Patient/in-3", "Line 4, Observation/of-bo"]
    system = await house.as_("system/*.cruds")
    assert (await system.get("Observation/of-bo")).json()["category"][0]["coding"][0]["code"] == "social-history"
    assert await system.status("Patient/in-3") == 404
    trail = await system.get("AuditEvent?subtype=$import&outcome=4")
    assert trail.json()["entry"], "who tries what is not allowed is told of"


async def test_imports_of_others_are_not_there(house: House) -> None:
    one, other = await house.registered("system/*.cruds"), await house.registered("system/*.cruds")
    kicked = await sent(house, one, {"resourceType": "Patient", "id": "in-own", "gender": "m"})
    location = kicked.headers["content-location"]
    assert await other.status(location) == 404
    assert (await other.ask("DELETE", location)).status_code == 404
    manifest = (await ended(one, kicked)).json()
    assert len(await outcomes(one, manifest)) == 1
    assert await other.status(manifest["error"][0]["url"]) == 404


async def test_patients_and_who_may_only_read_import_nothing(house: House) -> None:
    row = {"resourceType": "Patient", "id": "in-none"}
    for caller in (await house.as_("patient/*.cruds", patient="ann"), await house.as_("system/*.rs")):
        assert (await sent(house, caller, row)).status_code == 403
    assert (await house.client.post("/fhir/$import", content=b"{}")).status_code in {401, 415}
