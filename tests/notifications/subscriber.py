"""A subscriber on loopback: an HTTP server that keeps what it is sent, or does not take it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fhir_server.model import json

PATIENCE = 20.0
JSON = "application/fhir+json"
GUIDE = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A request."""

    method: str
    name: str
    headers: dict[str, str]
    body: bytes

    @property
    def bundle(self) -> Json:
        found: Json = json.decode(self.body)
        return found

    @property
    def kind(self) -> str:
        """Why it was sent; empty where it is no notification of the guide."""
        return str(told(self.bundle)["type"]) if b"notification" in self.body or b"handshake" in self.body else ""


@dataclass
class Subscriber:
    """What was sent to the names below a port."""

    port: int = 0
    got: list[Sent] = field(default_factory=list)
    status: Callable[[Sent], int | Awaitable[int]] = lambda _: 200

    def place(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def of(self, name: str, kind: str = "event-notification") -> list[Sent]:
        """Return what a name was sent and took."""
        return [one for one in self.got if one.name == name and one.kind == kind]

    async def until(self, name: str, count: int, kind: str = "event-notification") -> list[Sent]:
        """Return what a name was sent when it is so much."""
        await eventually(lambda: len(self.of(name, kind)) >= count)
        return self.of(name, kind)

    async def numbers(self, name: str, last: int) -> list[int]:
        """Return the numbers of the events that a name was told of when the last one is there."""
        await eventually(lambda: last in self._numbers(name))
        return self._numbers(name)

    def _numbers(self, name: str) -> list[int]:
        return [number for one in self.of(name) for number in numbers(one.bundle)]

    def subscription(
        self,
        name: str,
        topic: str = "urn:aquifer:topic:change",
        filters: tuple[str, ...] = ("Observation?",),
        content: str = "id-only",
        media: str = JSON,
        **channel: Any,
    ) -> Json:
        """Return a Subscription to a topic."""
        extensions = [{"url": f"{GUIDE}backport-filter-criteria", "valueString": text} for text in filters]
        return {
            "resourceType": "Subscription",
            "meta": {"profile": [f"{GUIDE}backport-subscription"]},
            "status": "requested",
            "reason": "test",
            "criteria": topic,
            **({"_criteria": {"extension": extensions}} if extensions else {}),
            "channel": {
                "type": "rest-hook",
                "endpoint": self.place(name),
                "payload": media,
                "_payload": {"extension": [{"url": f"{GUIDE}backport-payload-content", "valueCode": content}]},
                **channel,
            },
        }

    def plain(self, name: str, criteria: str, **channel: Any) -> Json:
        """Return a Subscription of R4, whose criteria are a search."""
        return {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "test",
            "criteria": criteria,
            "channel": {"type": "rest-hook", "endpoint": self.place(name), **channel},
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a connection."""
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, path, _ = first.split(" ")
                sent = Sent(method, path.removeprefix("/"), headers, body)
                status = self.status(sent)
                status = status if isinstance(status, int) else await status
                if status < 300:
                    self.got.append(sent)
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Subscriber]:
    """Yield a subscriber."""
    found = Subscriber()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


async def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in the server
            await asyncio.sleep(0.02)


def told(bundle: Json) -> Json:
    """Return the Parameters of a notification by name; of those that repeat, the last."""
    rows = bundle["entry"][0]["resource"]["parameter"]
    return {row["name"]: next((row[key] for key in row if key.startswith("value")), row.get("part")) for row in rows}


def events(bundle: Json) -> list[Json]:
    """Return the events of a notification by the names of their parts."""
    rows = bundle["entry"][0]["resource"]["parameter"]
    return [
        {part["name"]: next(part[key] for key in part if key.startswith("value")) for part in row["part"]}
        for row in rows
        if row["name"] == "notification-event"
    ]


def numbers(bundle: Json) -> list[int]:
    """Return the numbers of the events of a notification."""
    return [int(one["event-number"]) for one in events(bundle)]


def focuses(bundle: Json) -> list[str]:
    """Return what the events are about, as `Type/id`; empty where that is not said."""
    return ["/".join(one.get("focus", {"reference": ""})["reference"].split("/")[-2:]) for one in events(bundle)]


def observation(code: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:codes", "code": code}]},
        **more,
    }
