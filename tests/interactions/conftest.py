"""A running service behind its HTTP edge, one for the session; tests keep apart by their own ids."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.settings import Mongo, Settings

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"interactions_{uuid4().hex[:8]}", cache_gb=0.25))
    app = create_app(settings, running)
    headers = {"Content-Type": "application/fhir+json"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://localhost/fhir/", headers=headers, timeout=60
        ) as client,
    ):
        yield client


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "name": [{"family": "Lovelace", "given": ["Ada"]}], **more}


def said(response: httpx.Response) -> str:
    """Return all texts of an OperationOutcome, so that tests can assert on the wording."""
    body = response.json()
    assert body["resourceType"] == "OperationOutcome", body
    return " ".join(issue["details"]["text"] for issue in body["issue"])


def codes(response: httpx.Response) -> list[str]:
    return [issue["code"] for issue in response.json()["issue"]]
