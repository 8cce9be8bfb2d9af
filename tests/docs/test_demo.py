"""The table of docs/demo.md: everybody gets what it says."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import pytest_asyncio

from fhir_server.main import Service, running
from fhir_server.model.errors import FhirError
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings
from smart_auth import accounts, shell

PAGE = Path(__file__).parent.parent.parent / "docs" / "demo.md"
ROW = re.compile(r"^\| `(\w+)` \| (?:`([\w-]+)`)? ?\| `([^`]+)` \| (\d{3}) \|", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(documented: Settings, passwords: dict[str, str]) -> AsyncIterator[Service]:
    async with running(documented) as service:
        yield service


def test_the_table_is_read() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize(("login", "role", "path", "status"), ROWS)
async def test_who_asks_gets_what_the_table_says(
    service: Service, login: str, role: str, path: str, status: str
) -> None:
    person = await accounts.find(service.realm, login)
    acting_as = f"PractitionerRole/{role}" if role else ""
    given: dict[str, Any] = await shell.token(service.realm, "user/*.cruds", person, role=acting_as)
    place, _, query = path.partition("?")
    request = FhirRequest(
        "GET",
        tuple(place.split("/")),
        f"{service.settings.service_base}",
        query=tuple(parse_qsl(query)),
        headers={"authorization": f"Bearer {given['access_token']}"},
    )
    try:
        answered = (await service.receive(request)).status
    except FhirError as error:
        answered = error.status
    assert answered == int(status)
