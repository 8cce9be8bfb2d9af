"""Setting up the users of an embedded mongod."""

import asyncio

import pytest
from pydantic import SecretStr

from fhir_server.store import accounts


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_is_closed_whenever_the_set_up_is_cancelled(turns: int, mongo_url: SecretStr) -> None:
    """While it connects, works, or closes: after so many turns of the loop."""
    opened = []
    ending = asyncio.Event()

    async def use() -> None:
        async with accounts._client(mongo_url.get_secret_value()) as client:
            opened.append(client)
            await client.admin.command("ping")
            ending.set()

    task = asyncio.create_task(use())
    await ending.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert opened[0]._closed
