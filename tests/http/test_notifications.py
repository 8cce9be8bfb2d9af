"""Notifications over websockets, through a real server and a real client, and clients that misbehave."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fhir_server.http import notifications, sockets
from fhir_server.http.notifications import Notifications
from fhir_server.http.serving import config
from fhir_server.model.channel import Notification
from fhir_server.model.errors import NotFound, Unavailable

JSON = "application/fhir+json"


@dataclass
class Told:
    """What there is to tell: a `Feed` of this process.

    Attributes:
        events: Bodies by Subscription; the number of an event is its place.
        tokens: The Subscriptions that a token is for.
        gone: Subscriptions that are not served any more.
        away: Whether the database is.
        heartbeat: Seconds between two heartbeats.
        has: Number of the last event that the subscriber is known to have, by Subscription.
    """

    events: dict[str, list[bytes]] = field(default_factory=lambda: {"s1": []})
    tokens: dict[str, list[str]] = field(default_factory=lambda: {"t1": ["s1"]})
    gone: set[str] = field(default_factory=set)
    away: bool = False
    heartbeat: float = 1000.0
    seconds: float = 20.0
    has: dict[str, int] = field(default_factory=dict)

    async def bound(self, token: str) -> Sequence[str]:
        if self.away:
            raise Unavailable("The database is away.")
        return self.tokens.get(token, ())

    async def opening(self, subscription: str) -> Notification | None:
        body = json.dumps({"handshake": subscription}).encode()
        after = self.has.get(subscription, 0)
        return None if subscription in self.gone else Notification(subscription, "handshake", JSON, body, (), 0, after)

    async def marks(self, subscriptions: Collection[str]) -> Mapping[str, object]:
        if self.away:
            raise Unavailable("The database is away.")
        return {one: (len(self.events[one]), one in self.gone) for one in subscriptions}

    async def following(self, subscription: str, after: int, quiet: float) -> Notification | None:
        if subscription in self.gone:
            raise NotFound("It is off.")
        if self.away:
            raise Unavailable("The database is away.")
        events = self.events[subscription]
        if after < len(events):
            return Notification(
                subscription, "event-notification", JSON, events[after], (), after + 1, after + 1, self.seconds
            )
        return (
            Notification(subscription, "heartbeat", JSON, b'"beat"', (), 0, after) if quiet >= self.heartbeat else None
        )

    async def taken(self, subscription: str, run: str, number: int) -> None:
        if self.away:
            raise Unavailable("The database is away.")
        self.has[subscription] = number


@asynccontextmanager
async def serving(told: Told | None, most: int = 10) -> AsyncIterator[tuple[str, Notifications, uvicorn.Server]]:
    """Yield the address of a server, what serves its websockets, and the server."""
    served = Notifications(lambda: told, most)

    async def app(
        scope: uvicorn._types.Scope, receive: uvicorn._types.ASGIReceiveCallable, send: uvicorn._types.ASGISendCallable
    ) -> None:
        assert scope["type"] == "websocket"
        await served(scope, receive, send)  # type: ignore[arg-type] # uvicorn and starlette name the same shapes differently

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = config(app)  # type: ignore[arg-type] # the same
        settings.lifespan = "off"
        settings.loop = "none"
        server = uvicorn.Server(settings)
        running = asyncio.create_task(server._serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", served, server
        finally:
            server.should_exit = server.force_exit = True
            await running


@asynccontextmanager
async def connected(place: str, *tokens: str, path: str = "/fhir/$subscriptions-ws") -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{place}{path}", proxy=None, compression=None) as client:
        for token in tokens:
            await client.send(f"bind-with-token: {token}")
            assert json.loads(await client.recv())["handshake"]
        yield client


async def deaf(client: ClientConnection) -> None:
    async with asyncio.timeout(5):
        while True:
            await client.recv()


async def reason(client: ClientConnection) -> tuple[int, str]:
    """Return how the server ends a connection."""
    with pytest.raises(ConnectionClosed) as raised:
        await deaf(client)
    assert raised.value.rcvd
    return raised.value.rcvd.code, raised.value.rcvd.reason


async def test_who_binds_with_a_token_has_a_handshake_and_then_each_event_in_order() -> None:
    told = Told()
    told.events["s1"] = [b'"1"', b'"2"']
    async with serving(told) as (place, _, _), connected(place, "t1") as client:
        assert [await client.recv(), await client.recv()] == ['"1"', '"2"']
        for number in range(3, 20):
            told.events["s1"].append(f'"{number}"'.encode())
        async with asyncio.timeout(3):
            assert [await client.recv() for _ in range(17)] == [f'"{number}"' for number in range(3, 20)]


async def test_one_connection_serves_several_subscriptions_and_tokens() -> None:
    told = Told({"s1": [], "s2": [], "s3": []}, {"t1": ["s1"], "t2": ["s1", "s2"]})
    async with serving(told) as (place, _, _), connected(place, "t1", "t2") as client:
        told.events["s2"].append(b'"b"')
        assert await client.recv() == '"b"'
        told.events["s3"].append(b'"never"')
        told.events["s1"].append(b'"a"')
        assert await client.recv() == '"a"'


async def test_without_payload_the_id_is_told_as_r4_has_it() -> None:
    told = Told({"s1": [b""]})
    async with serving(told) as (place, _, _), connected(place, "t1") as client:
        assert await client.recv() == "ping s1"


async def test_a_quiet_connection_has_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "CHECK_SECONDS", 0.1)
    async with serving(Told(heartbeat=0.2)) as (place, _, _), connected(place, "t1") as client:
        assert [await client.recv(), await client.recv()] == ['"beat"', '"beat"']


async def test_while_the_database_is_away_the_connection_stays_and_nothing_is_lost() -> None:
    told = Told()
    async with serving(told) as (place, _, _), connected(place, "t1") as client:
        told.away = True
        told.events["s1"].append(b'"1"')
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                pytest.fail(str(await client.recv()))
        told.away = False
        assert await client.recv() == '"1"'


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("bind-with-token: guessed", "not valid"),
        ("bind-with-token:", "not valid"),
        ("bind s1", "bound by 'bind-with-token: TOKEN'"),
        ("bind-with-token: gone", "not there any more"),
    ],
)
async def test_who_has_no_token_that_counts_hears_nothing(said: str, why: str) -> None:
    told = Told(tokens={"t1": ["s1"], "gone": ["s9"]}, gone={"s9"})
    told.events["s1"].append(b'"secret"')
    async with serving(told) as (place, _, _), connected(place) as client:
        await client.send(said)
        code, text = await reason(client)
    assert (code, why in text) == (1008, True)


async def test_a_subscription_that_ends_ends_its_connection() -> None:
    told = Told()
    async with serving(told) as (place, _, _), connected(place, "t1") as client:
        told.gone.add("s1")
        assert await reason(client) == (1008, "It is off.")


async def test_who_never_binds_and_who_never_stops_to_talk_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "BIND_SECONDS", 0.3)
    async with serving(Told()) as (place, served, _):
        async with connected(place) as client:
            assert "Send 'bind-with-token: TOKEN'" in (await reason(client))[1]
        async with connected(place, "t1") as client:
            for _ in range(70):
                await client.send("hello")
            assert "60 messages" in (await reason(client))[1]
        async with connected(place, "t1") as client:
            await client.send("x" * 10_000)
            assert (await reason(client))[0] == 1009
        await until(served, 0)


async def until(served: Notifications, number: int) -> None:
    async with asyncio.timeout(10):
        while served.open != number:  # noqa: ASYNC110 - the state of a server
            await asyncio.sleep(0.02)


async def had(told: Told, number: int) -> None:
    async with asyncio.timeout(10):
        while told.has.get("s1", 0) != number:  # noqa: ASYNC110 - the server is told
            await asyncio.sleep(0.01)


async def test_what_a_subscriber_has_is_known_when_it_has_answered() -> None:
    told = Told()
    told.events["s1"] += [b'"1"', b'"2"']
    async with serving(told) as (place, *_):
        async with connected(place, "t1") as client:
            assert [await client.recv(), await client.recv()] == ['"1"', '"2"']
            await had(told, 2)
            told.events["s1"].append(b'"3"')
            assert await client.recv() == '"3"'
            await had(told, 3)
        told.events["s1"].append(b'"4"')
        async with connected(place, "t1") as client:
            assert await client.recv() == '"4"'


async def test_what_was_written_to_a_connection_that_broke_comes_again() -> None:
    told = Told()
    told.events["s1"] += [b'"1"', b'"2"']
    async with serving(told) as (place, served, _):
        reader, writer = await raw(place, "t1")
        while b'"2"' not in await reader.read(1000):  # it came, and nobody says so
            pass
        writer.write(
            bytes([0x8A, 0x80 | 8, 0, 0, 0, 0]) + (99).to_bytes(8, "big")
        )  # the answer to a ping that was none
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await until(served, 0)
        assert told.has == {}
        async with connected(place, "t1") as client:
            assert [await client.recv(), await client.recv()] == ['"1"', '"2"']
            await had(told, 2)


async def raw(place: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that is bound and then answers nothing."""
    reader, writer = await asyncio.open_connection(*place.split(":"), limit=1024)
    host = b"GET /fhir/$subscriptions-ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(host + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    text = f"bind-with-token: {token}".encode()
    writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # a text, masked with zeros
    return reader, writer


async def test_a_subscriber_that_does_not_read_is_cut_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LINGER_SECONDS", 0.1)
    told = Told({"s1": [b'"%b"' % (b"x" * 2_000_000)] * 20, "s2": []}, {"t1": ["s1"], "t2": ["s2"]}, seconds=0.4)
    async with serving(told) as (place, served, server):
        _, writer = await raw(place, "t1")
        await until(served, 1)
        async with connected(place, "t2") as client:
            told.events["s2"].append(b'"on time"')
            async with asyncio.timeout(10):
                assert await client.recv() == '"on time"'
            await until(served, 1)
            async with asyncio.timeout(5):  # nothing waits in the memory of the server for somebody to read it
                while len(server.server_state.connections) > 1:  # noqa: ASYNC110 - the state of a server
                    await asyncio.sleep(0.02)
        writer.close()


async def flood(writer: asyncio.StreamWriter, message: bytes) -> None:
    async with asyncio.timeout(20):
        while True:
            writer.write(message * 5000)
            await writer.drain()


async def test_a_flood_of_pings_whose_answers_are_not_read_is_cut() -> None:
    async with serving(Told()) as (place, served, _):
        reader, writer = await asyncio.open_connection(*place.split(":"), limit=1024)
        head = b"GET /fhir/$subscriptions-ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(head + b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        ping = bytes([0x89, 0x80 | 125, 0, 0, 0, 0]) + b"x" * 125
        with pytest.raises(ConnectionError):
            await flood(writer, ping)
        await until(served, 0)
        writer.close()


async def test_more_connections_than_there_may_be_and_other_paths_are_refused_as_http() -> None:
    async with serving(Told(), most=1) as (place, _, _), connected(place, "t1"):
        with pytest.raises(InvalidStatus) as raised:
            async with connected(place):
                pass
        assert raised.value.response.status_code == 503
        assert b"too many websockets" in (raised.value.response.body or b"")
        with pytest.raises(InvalidStatus) as raised:
            async with connected(place, path="/fhir/Patient"):
                pass
        assert raised.value.response.status_code == 404
    async with serving(None) as (place, _, _):
        with pytest.raises(InvalidStatus) as raised:
            async with connected(place):
                pass
        assert raised.value.response.status_code == 503


@pytest.mark.parametrize("head", [{"Sec-WebSocket-Version": "12"}, {f"X-{number}": "a" for number in range(200)}])
async def test_a_broken_handshake_is_answered_and_leaves_nothing_open(head: dict[str, str]) -> None:
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
    }
    async with serving(Told()) as (place, served, _), httpx.AsyncClient() as client:
        answer = await client.get(f"http://{place}/fhir/$subscriptions-ws", headers={**upgrade, **head})
        assert answer.status_code in {400, 426, 431}
    assert served.open == 0
