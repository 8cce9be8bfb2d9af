"""Code systems are the same for all: nobody but administrators of the house adds to them, and only with the scopes for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from pydantic import SecretStr

from tests.access.house import ADMINISTRATOR, Caller, House
from tests.access.network import Json, settled

SHOP = "https://clinic.example/CodeSystem/shop"
SENT: Json = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": "system", "valueUri": SHOP},
        {"name": "concept", "valueCoding": {"code": "a", "display": "A"}},
    ],
}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        yield house


async def tried(caller: Caller) -> int:
    return (await caller.ask("POST", "CodeSystem/$import", SENT)).status_code


async def test_nobody_but_an_administrator_with_the_scopes_adds_to_a_code_system(house: House) -> None:
    assert await tried(await house.as_("user/*.cruds", user="u-doc-alpha", role="doc-alpha")) == 403
    assert await tried(await house.as_("user/CodeSystem.us", user=ADMINISTRATOR)) == 403
    assert await house.service.releases.rows() == []
    assert await tried(await house.as_("user/CodeSystem.crus", user=ADMINISTRATOR)) == 200
    assert [row.head.url for row in await house.service.releases.rows()] == [SHOP]
