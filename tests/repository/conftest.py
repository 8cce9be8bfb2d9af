"""A running service with its worker behind its HTTP edge, on a database of its own for each module."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.settings import Jobs, Settings
from tests.serving import alone, own

Json = dict[str, Any]

PATIENCE = 30.0


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "parameters", jobs=Jobs(concurrency=2, reindex_share=1))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own_settings, working) as client:
        yield client


def parameter(
    code: str, expression: str, kind: str = "token", base: tuple[str, ...] = ("Patient",), **more: Any
) -> Json:
    return {
        "resourceType": "SearchParameter",
        "url": f"http://example.org/fhir/SearchParameter/{code}",
        "name": "Test",
        "status": "active",
        "description": "A parameter of a test.",
        "code": code,
        "base": list(base),
        "type": kind,
        "expression": expression,
        **more,
    }


async def put(client: httpx.AsyncClient, resource_type: str, resource_id: str, **elements: Any) -> httpx.Response:
    body = {"resourceType": resource_type, "id": resource_id, **elements}
    response = await client.put(f"{resource_type}/{resource_id}", json=body)
    assert response.status_code in {200, 201}, response.text
    return response


async def added(client: httpx.AsyncClient, body: Json) -> str:
    """Create a search parameter, wait until it is active, and return the id of its resource."""
    response = await client.post("SearchParameter", json=body)
    assert response.status_code == 201, response.text
    await complete(client, body["base"][0], body["code"])
    return str(response.json()["id"])


async def complete(client: httpx.AsyncClient, resource_type: str, code: str) -> None:
    """Wait until a type can be searched by a parameter."""
    async with asyncio.timeout(PATIENCE):
        while (response := await client.get(resource_type, params={f"{code}:missing": "true"})).status_code != 200:
            assert "transient" in response.text, response.text
            await asyncio.sleep(0.02)


async def found(client: httpx.AsyncClient, search: str) -> list[str]:
    """Return what a search finds, as `Type/id`, sorted."""
    response = await client.get(search)
    assert response.status_code == 200, response.text
    rows = [entry["resource"] for entry in response.json().get("entry", [])]
    return sorted(f"{row['resourceType']}/{row['id']}" for row in rows)


def said(response: httpx.Response) -> str:
    """Return all texts of an OperationOutcome."""
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    return " ".join(issue["details"]["text"] for issue in body["issue"])
