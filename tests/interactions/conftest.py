"""A running service behind its HTTP edge, one for the session; tests keep apart by their own ids."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr

from tests.serving import alone, own

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    async with alone(own(data_dir, "interactions")) as client:
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
