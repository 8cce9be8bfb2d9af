"""Exports as Apache Parquet, over HTTP."""

import io
from collections.abc import AsyncIterator

import httpx
import pyarrow.parquet as pq
import pytest_asyncio

from fhir_server.bulk.parquet import HEAD, MEDIA
from tests.bulk.conftest import PATIENTS, Json, Registry
from tests.bulk.test_inferno import SYSTEM, manifest


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(registry: Registry) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token."""
    shown = {"Authorization": f"Bearer {await registry.token()}"}
    async with httpx.AsyncClient(base_url=f"{registry.base}/", headers=shown, timeout=60) as client:
        yield client


async def rows(client: httpx.AsyncClient, body: Json) -> dict[str, list[Json]]:
    """Return the rows of all files by type."""
    found: dict[str, list[Json]] = {}
    for file in body["output"]:
        answer = await client.get(file["url"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == MEDIA
        table = pq.read_table(io.BytesIO(answer.content))
        assert (table.num_rows, len(answer.content)) == (file["count"], file["fileSize"])
        assert tuple(table.schema.names[: len(HEAD)]) == HEAD
        found.setdefault(file["type"], []).extend(table.to_pylist())
    return found


async def test_an_export_as_parquet_has_a_row_for_each_resource(client: httpx.AsyncClient) -> None:
    body = await manifest(client, SYSTEM, _type="Patient,Observation", _outputFormat=MEDIA)
    found = await rows(client, body)
    everybody = {f"p{number}" for number in range(PATIENTS)}
    assert {row["id"] for row in found["Patient"]} >= everybody
    assert {row["patient"] for row in found["Observation"]} == everybody
    assert len(found["Observation"]) == 3 * PATIENTS
    assert {row["valueInteger"] for row in found["Observation"]} >= {0, 1, 2}


async def test_an_export_of_nothing_as_parquet_has_no_files(client: httpx.AsyncClient) -> None:
    body = await manifest(client, SYSTEM, _type="Immunization", _outputFormat="parquet")
    assert body["output"] == []
