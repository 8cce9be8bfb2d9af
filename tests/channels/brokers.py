"""Message brokers on loopback: as much of the NATS protocol and of AMQP 0-9-1 as a client needs that publishes, and a real NATS where there is one."""

import asyncio
import json
import shutil
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pamqp import body, commands, frame, header
from pamqp.heartbeat import Heartbeat


@dataclass
class Taken:
    """What a broker has.

    Attributes:
        url: Where it listens, with login.
        messages: Subject or queue, headers and body, in their order; a real NATS tells of them a moment later.
        logins: How often somebody logged in.
    """

    url: str = ""
    messages: list[tuple[str, dict[str, Any], bytes]] = field(default_factory=list)
    logins: int = 0


Serve = Callable[[Taken, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def broker(scheme: str, serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Taken]:
    """Yield what a broker takes that speaks so, encrypted from the beginning where that is asked for."""
    taken = Taken()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(taken, reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    taken.url = f"{scheme}://me:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield taken
    finally:
        server.close()


async def silent(taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the connection, and say nothing."""
    await reader.read()


async def nats(
    taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None = None
) -> None:
    """Speak as a NATS server with a stream over `fhir.kept.>`, which takes 64 KiB at most, and perhaps asks for TLS."""
    info = {"server_id": "a", "version": "2.9.10", "max_payload": 65536, "headers": True, "proto": 1}
    writer.write(f"INFO {json.dumps({**info, 'tls_required': tls is not None})}\r\n".encode())
    if tls:
        await writer.drain()
        await writer.start_tls(tls)
    inbox = ""
    while line := (await reader.readline()).decode().split():
        match line:
            case ["CONNECT", *said]:
                login = json.loads(" ".join(said))
                if (login.get("user"), login.get("pass")) != ("me", "secret"):
                    writer.write(b"-ERR 'Authorization Violation'\r\n")
                    return
                taken.logins += 1
            case ["PING"]:
                writer.write(b"PONG\r\n")
            case ["SUB", _, number]:
                inbox = number
            case ["PUB", subject, *reply, size]:
                await _published(taken, reader, writer, (subject, {}, reply, inbox), 0, int(size))
            case ["HPUB", subject, *reply, head, size]:
                await _published(taken, reader, writer, (subject, {}, reply, inbox), int(head), int(size))
        await writer.drain()


async def _published(
    taken: Taken,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    message: tuple[str, dict[str, Any], list[str], str],
    head: int,
    size: int,
) -> None:
    subject, headers, reply, inbox = message
    content = (await reader.readexactly(size + 2))[:-2]
    for line in content[:head].decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name:
            headers[name] = value.strip()
    if not reply:
        taken.messages.append((subject, headers, content[head:]))
    elif subject.startswith("fhir.kept."):
        taken.messages.append((subject, headers, content[head:]))
        said = json.dumps({"stream": "KEPT", "seq": len(taken.messages)})
        writer.write(f"MSG {reply[0]} {inbox} {len(said)}\r\n{said}\r\n".encode())
    else:
        refusal = "NATS/1.0 503\r\n\r\n"
        writer.write(f"HMSG {reply[0]} {inbox} {len(refusal)} {len(refusal)}\r\n{refusal}\r\n".encode())


@asynccontextmanager
async def real_nats() -> AsyncIterator[Taken]:
    """Yield what a real NATS server takes of some subjects, with a stream over `fhir.kept.>`."""
    from nats.aio.client import Client
    from nats.aio.msg import Msg

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["-js", "-sd", folder, "-a", "127.0.0.1", "-p", str(port), "--user", "me", "--pass", "secret"]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            shutil.which("nats-server") or "", *options, stdout=quiet, stderr=quiet
        )
        taken = Taken(f"nats://me:secret@127.0.0.1:{port}")
        client = Client()
        try:
            await client.connect(taken.url, max_reconnect_attempts=100, reconnect_time_wait=0.05)  # type: ignore[arg-type] # a part of a second is one

            async def note(message: Msg) -> None:
                taken.messages.append((message.subject, dict(message.headers or {}), message.data))

            await client.jetstream().add_stream(name="KEPT", subjects=["fhir.kept.>"])
            for subject in ("fhir.lab.>", "fhir.kept.>", "fhir.a"):
                await client.subscribe(subject, cb=note)
            await client.flush()
            yield taken
        finally:
            await client.close()
            process.terminate()
            await process.wait()


async def amqp(  # noqa: C901 - a table of what is answered to what
    taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Speak as an AMQP broker that has the queue `fhir.results` and no other."""

    def say(method: Any, channel: int = 0) -> None:
        writer.write(frame.marshal(method, channel))

    await reader.readexactly(8)
    say(
        commands.Connection.Start(
            mechanisms="PLAIN",
            locales="en_US",
            server_properties={"capabilities": {"publisher_confirms": True, "basic.nack": True}},
        )
    )
    queue, properties, tag = "", header.ContentHeader(), 0
    while True:
        channel, method = await _frame(reader)
        match method:
            case commands.Connection.StartOk():
                if b"me\x00secret" not in method.response.encode():
                    return
                taken.logins += 1
                say(commands.Connection.Tune(channel_max=10, frame_max=131072, heartbeat=0))
            case commands.Connection.Open():
                say(commands.Connection.OpenOk())
            case commands.Connection.Close():
                say(commands.Connection.CloseOk())
                await writer.drain()
                return
            case commands.Channel.Open():
                say(commands.Channel.OpenOk(), channel)
            case commands.Channel.Close():
                say(commands.Channel.CloseOk(), channel)
            case commands.Confirm.Select():
                say(commands.Confirm.SelectOk(), channel)
            case commands.Basic.Publish():
                queue, tag = method.routing_key, tag + 1
            case header.ContentHeader():
                properties = method
                if not method.body_size:
                    _answer(taken, say, (channel, tag, queue), properties, b"")
            case body.ContentBody():
                _answer(taken, say, (channel, tag, queue), properties, method.value)
        await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, Any]:
    head = await reader.readexactly(7)
    rest = await reader.readexactly(int.from_bytes(head[3:7], "big") + 1)
    _, channel, method = frame.unmarshal(head + rest)
    return (channel, method) if not isinstance(method, Heartbeat) else (channel, None)


def _answer(
    taken: Taken,
    say: Callable[..., None],
    place: tuple[int, int, str],
    properties: header.ContentHeader,
    content: bytes,
) -> None:
    channel, tag, queue = place
    found = properties.properties
    if queue == "fhir.results":
        taken.messages.append(
            (queue, {**(found.headers or {}), "Content-Type": found.content_type, "mode": found.delivery_mode}, content)
        )
    else:
        say(commands.Basic.Return(312, "NO_ROUTE", "", queue), channel)
        say(properties, channel)
        if content:
            say(body.ContentBody(content), channel)
    say(commands.Basic.Ack(tag), channel)
