"""Subscriptions over websockets, through a server that neither writes nor works: any process may hold the connection."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fhir_server.http.app import create_app
from fhir_server.http.serving import config
from fhir_server.main import running
from fhir_server.model import json
from fhir_server.settings import Settings
from tests.notifications.subscriber import Json, Subscriber, focuses, observation, told


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other(own_settings: Settings, client: httpx.AsyncClient) -> AsyncIterator[str]:
    """Yield the address of another server of the same record, without a worker."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = config(create_app(own_settings, running))
        settings.loop = "none"
        server = uvicorn.Server(settings)
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def subscribed(client: httpx.AsyncClient, subscriber: Subscriber, code: str, content: str = "id-only") -> str:
    """Return the id of a Subscription to Observations of a code, by websocket."""
    asked = subscriber.subscription("socket", filters=(f"Observation?code={code}",), content=content)
    asked["channel"] = {name: value for name, value in asked["channel"].items() if name != "endpoint"} | {
        "type": "websocket"
    }
    answer = await client.post("Subscription", json=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def ticket(client: httpx.AsyncClient, subscription: str) -> Mapping[str, Any]:
    answer = await client.get(f"Subscription/{subscription}/$get-ws-binding-token")
    assert answer.status_code == 200, answer.text
    return {
        row["name"]: next(value for name, value in row.items() if name != "name") for row in answer.json()["parameter"]
    }


@asynccontextmanager
async def bound(client: httpx.AsyncClient, place: str, subscription: str) -> AsyncIterator[ClientConnection]:
    given = await ticket(client, subscription)
    url = httpx.URL(given["websocket-url"]).copy_with(scheme="ws", netloc=place.encode())
    async with connect(str(url), proxy=None) as connection:
        await connection.send(f"bind-with-token: {given['token']}")
        yield connection


async def heard(connection: ClientConnection) -> Json:
    async with asyncio.timeout(20):
        found: Json = json.decode(await connection.recv(decode=False))
    return found


async def active(client: httpx.AsyncClient, subscription: str) -> None:
    async with asyncio.timeout(20):
        while (await client.get(f"Subscription/{subscription}")).json()["status"] != "active":  # noqa: ASYNC110 - another process says so
            await asyncio.sleep(0.05)


async def write(client: httpx.AsyncClient, code: str) -> str:
    answer = await client.post("Observation", json=observation(code))
    assert answer.status_code == 201, answer.text
    return f"Observation/{answer.json()['id']}"


async def test_a_connection_anywhere_has_the_handshake_and_every_event_in_order(
    client: httpx.AsyncClient, subscriber: Subscriber, other: str
) -> None:
    one = await subscribed(client, subscriber, "ws-a", "full-resource")
    async with bound(client, other, one) as connection:
        assert told(await heard(connection))["type"] == "handshake"
        await active(client, one)
        made = [await write(client, "ws-a") for _ in range(5)]
        seen: list[str] = []
        while len(seen) < 5:
            bundle = await heard(connection)
            seen += focuses(bundle)
            assert all(entry["resource"]["code"]["coding"][0]["code"] == "ws-a" for entry in bundle["entry"][1:])
    assert seen == made


async def test_what_happened_while_nobody_was_connected_is_told_after_the_next_binding(
    client: httpx.AsyncClient, subscriber: Subscriber, other: str
) -> None:
    one = await subscribed(client, subscriber, "ws-b")
    async with bound(client, other, one) as connection:
        await heard(connection)
        await active(client, one)
        first = await write(client, "ws-b")
        assert focuses(await heard(connection)) == [first]
    later = [await write(client, "ws-b") for _ in range(3)]
    async with asyncio.timeout(20):
        while await numbered(client, one) < 4:  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.05)
    seen: list[str] = []
    async with bound(client, other, one) as connection:
        assert told(await heard(connection))["type"] == "handshake"
        while len(seen) < 3 or seen[-1] != later[-1]:
            seen += focuses(await heard(connection))
    assert seen[-3:] == later
    assert seen in (later, [first, *later])  # the first connection may have been gone before it had said what it had


async def numbered(client: httpx.AsyncClient, subscription: str) -> int:
    """Return how many events there have been."""
    bundle = (await client.get(f"Subscription/{subscription}/$status")).json()
    return int(told({"entry": bundle["entry"]})["events-since-subscription-start"])


async def test_a_subscription_that_is_deleted_ends_its_connection(
    client: httpx.AsyncClient, subscriber: Subscriber, other: str
) -> None:
    one = await subscribed(client, subscriber, "ws-c")
    async with bound(client, other, one) as connection:
        await heard(connection)
        assert (await client.delete(f"Subscription/{one}")).status_code in {200, 204}
        with pytest.raises(ConnectionClosed) as raised:
            await heard(connection)
    assert raised.value.rcvd
    assert raised.value.rcvd.code == 1008


async def test_a_guessed_token_binds_nothing(client: httpx.AsyncClient, subscriber: Subscriber, other: str) -> None:
    await subscribed(client, subscriber, "ws-d")
    async with connect(f"ws://{other}/fhir/$subscriptions-ws", proxy=None) as connection:
        await connection.send("bind-with-token: " + "a" * 43)
        with pytest.raises(ConnectionClosed) as raised:
            await heard(connection)
    assert raised.value.rcvd
    assert raised.value.rcvd.code == 1008


async def test_a_websocket_with_an_endpoint_or_headers_is_refused(
    client: httpx.AsyncClient, subscriber: Subscriber
) -> None:
    for more in ({"endpoint": "https://a.example/"}, {"header": ["A: b"], "endpoint": None}):
        asked = subscriber.subscription("socket")
        asked["channel"] = {
            name: value for name, value in (asked["channel"] | {"type": "websocket"} | more).items() if value
        }
        answer = await client.post("Subscription", json=asked)
        assert answer.status_code == 422, answer.text
