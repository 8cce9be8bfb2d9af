"""Notifications to message brokers, on sockets of loopback, and brokers that misbehave."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fhir_server.channels.message import Brokers
from fhir_server.model.channel import Notification, Undelivered
from tests.certificates import certificate
from tests.channels.brokers import Taken, amqp, broker, nats, real_nats, silent

BODY = b'{"resourceType":"Bundle","type":"history"}'
EVENT = Notification("s1", "event-notification", "application/fhir+json", BODY, (("X", "1"),), 4, 6, 5.0)
HEARTBEAT = Notification("s1", "heartbeat", "", b"", seconds=5.0)
TOLD = {
    "X": "1",
    "Fhir-Subscription": "Subscription/s1",
    "Fhir-Notification": "event-notification",
    "Fhir-Events": "4-6",
    "Content-Type": "application/fhir+json",
}


@asynccontextmanager
async def speaking(*urls: str) -> AsyncIterator[Brokers]:
    brokers = Brokers(urls, "fhir.")
    try:
        yield brokers
    finally:
        await brokers.close()


def place(taken: Taken, subject: str, scheme: str = "") -> str:
    """Return the endpoint of a subject: without login, and perhaps by another scheme."""
    was, _, rest = taken.url.partition("://")
    return f"{scheme or was}://{rest.rpartition('@')[2]}/{subject}"


def jetstream(taken: Taken) -> str:
    return taken.url.replace("nats://", "jetstream://")


SERVERS = ("nats on a socket", "nats-server") if shutil.which("nats-server") else ("nats on a socket",)
"""What speaks the protocol: always ours, and the real one beside it where it is installed."""


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Taken]:
    if request.param == "nats-server":
        async with real_nats() as taken:
            yield taken
    else:
        async with broker("nats", nats) as taken:
            yield taken


async def until(taken: Taken, number: int) -> None:
    async with asyncio.timeout(5):
        while len(taken.messages) < number:  # noqa: ASYNC110 - the server is another process
            await asyncio.sleep(0.01)


async def test_nats_has_each_message_in_its_order_over_one_connection(server: Taken) -> None:
    async with speaking(server.url) as brokers:
        for number in range(20):
            notification = Notification(
                "s1", "event-notification", "text/plain", str(number).encode(), (), number + 1, number + 1
            )
            await brokers.deliver(place(server, "fhir.lab.results"), notification)
        await brokers.deliver(place(server, "fhir.lab.results"), EVENT)
        await brokers.deliver(place(server, "fhir.lab.results"), HEARTBEAT)
        await until(server, 22)
    assert [content for _, _, content in server.messages] == [
        *(str(number).encode() for number in range(20)),
        BODY,
        b"",
    ]
    subject, headers, _ = server.messages[20]
    assert (subject, headers) == ("fhir.lab.results", TOLD)
    assert server.logins in {0, 1}


async def test_jetstream_acknowledges_what_a_stream_keeps_and_nothing_else(server: Taken) -> None:
    async with speaking(jetstream(server)) as brokers:
        await brokers.deliver(place(server, "fhir.kept.a", "jetstream"), EVENT)
        with pytest.raises(Undelivered, match="no stream") as raised:
            await brokers.deliver(place(server, "fhir.lost", "jetstream"), EVENT)
        assert not raised.value.permanent
        await until(server, 1)
    assert server.messages[0] == ("fhir.kept.a", TOLD, BODY)


async def test_nats_that_does_not_take_a_message_for_its_size_will_never(server: Taken) -> None:
    large = Notification("s1", "event-notification", "text/plain", b"x" * 2_000_000, (), 1, 1)
    async with speaking(server.url) as brokers:
        with pytest.raises(Undelivered, match="larger than") as raised:
            await brokers.deliver(place(server, "fhir.a"), large)
        assert raised.value.permanent
        await brokers.deliver(place(server, "fhir.a"), EVENT)
        await until(server, 1)


async def test_amqp_has_each_message_in_a_queue_that_there_is() -> None:
    async with broker("amqp", amqp) as taken, speaking(taken.url) as brokers:
        await brokers.deliver(place(taken, "fhir.results"), EVENT)
        with pytest.raises(Undelivered, match="no queue"):
            await brokers.deliver(place(taken, "fhir.others"), EVENT)
        await brokers.deliver(place(taken, "fhir.results"), HEARTBEAT)
    assert [content for _, _, content in taken.messages] == [BODY, b""]
    assert taken.messages[0][1] == {**TOLD, "mode": 2}
    assert taken.logins == 1


@pytest.mark.parametrize("scheme", ["nats", "jetstream", "amqp"])
async def test_a_broker_that_hangs_is_given_up_in_time(scheme: str) -> None:
    async with broker(scheme, silent) as taken, speaking(taken.url) as brokers:
        with pytest.raises(Undelivered, match=r"within 0\.3 seconds"):
            await brokers.deliver(place(taken, "fhir.results"), Notification("s", "heartbeat", "", b"", seconds=0.3))


@pytest.fixture(scope="module", name="certificate")
def broker_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("broker"), "bus.example")


@asynccontextmanager
async def encrypted(scheme: str, certificate: Path) -> AsyncIterator[Taken]:
    """Yield what a broker takes in secret: NATS says hello before that, AMQP after it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    serving = broker("amqps", amqp, tls) if scheme == "amqps" else broker(scheme, partial(nats, tls=tls))
    async with serving as taken:
        yield taken


@pytest.mark.parametrize("scheme", ["tls+nats", "tls+jetstream", "amqps"])
async def test_a_broker_takes_messages_in_secret(
    scheme: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    subject = "fhir.results" if scheme == "amqps" else "fhir.kept.results"
    async with encrypted(scheme, certificate) as taken, speaking(taken.url) as brokers:
        await brokers.deliver(place(taken, subject), EVENT)
        await brokers.deliver(place(taken, subject), EVENT)
    assert [content for _, _, content in taken.messages] == [BODY] * 2
    assert taken.logins == 1


@pytest.mark.parametrize("scheme", ["tls+nats", "tls+jetstream", "amqps"])
async def test_a_broker_that_does_not_prove_who_it_is_gets_neither_login_nor_message(
    scheme: str, certificate: Path
) -> None:
    async with encrypted(scheme, certificate) as taken, speaking(taken.url) as brokers:
        with pytest.raises(Undelivered, match="cannot be reached") as raised:
            await brokers.deliver(place(taken, "fhir.results"), EVENT)
    assert not raised.value.permanent
    assert (taken.logins, taken.messages) == (0, [])


@pytest.mark.parametrize("scheme", ["tls+nats", "tls+jetstream"])
async def test_a_downgrade_by_who_takes_the_wish_for_encryption_away_gets_neither_login_nor_message(
    scheme: str,
) -> None:
    heard = b""

    async def open_nats(taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(b'INFO {"server_id":"a","version":"2.9.10","max_payload":65536,"headers":true,"proto":1}\r\n')
        heard = await reader.read()

    async with broker(scheme, open_nats) as taken, speaking(taken.url) as brokers:
        with pytest.raises(Undelivered, match="does not encrypt, so nothing was said to it") as raised:
            await brokers.deliver(place(taken, "fhir.results"), EVENT)
        await asyncio.sleep(0.1)
    assert not raised.value.permanent
    assert heard == b""


@pytest.mark.parametrize(("scheme", "serve"), [("nats", nats), ("amqp", amqp)])
async def test_a_broker_that_was_away_takes_messages_again_when_it_is_back(scheme: str, serve: Any) -> None:
    async with broker(scheme, silent) as away:
        pass
    async with speaking(away.url) as brokers:
        with pytest.raises(Undelivered, match="cannot be reached") as raised:
            await brokers.deliver(place(away, "fhir.results"), EVENT)
        assert not raised.value.permanent
        assert "secret" not in raised.value.reason

    connections = 0

    async def dying(taken: Taken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await serve(taken, reader, writer)

    async with broker(scheme, dying) as taken, speaking(taken.url) as brokers:
        with pytest.raises(Undelivered):
            await brokers.deliver(place(taken, "fhir.results"), EVENT)
        await brokers.deliver(place(taken, "fhir.results"), EVENT)
    assert len(taken.messages) == 1


@pytest.mark.parametrize(("scheme", "serve"), [("nats", nats), ("amqp", amqp)])
async def test_a_wrong_login_is_undelivered(scheme: str, serve: Any) -> None:
    async with broker(scheme, serve) as taken, speaking(taken.url.replace("secret", "wrong")) as brokers:
        with pytest.raises(Undelivered):
            await brokers.deliver(place(taken, "fhir.results"), EVENT)
    assert taken.messages == []


KNOWN = ("nats://me:secret@bus.example", "jetstream://bus.example:4333", "amqp://me:secret@rabbit.example/clinic")


@pytest.mark.parametrize(
    ("endpoint", "headers", "why"),
    [
        ("", [], "names no broker"),
        ("nats://evil.example:4222/fhir.a", [], "names no broker"),
        ("nats://bus.example:4333/fhir.a", [], "names no broker"),
        ("nats://me:secret@bus.example/fhir.a", [], "names no broker"),
        ("amqp://rabbit.example/fhir.a", [], "names no broker"),
        ("nats://bus.example:99999/fhir.a", [], "names no broker"),
        ("nats://bus.example/$SYS.REQ.SERVER.PING", [], "begins with 'fhir.'"),
        ("nats://bus.example/fhir.>", [], "begins with 'fhir.'"),
        ("nats://bus.example/fhir.*", [], "begins with 'fhir.'"),
        ("nats://bus.example/fhir.", [], "begins with 'fhir.'"),
        ("nats://bus.example/fhir.a b", [], "begins with 'fhir.'"),
        ("jetstream://bus.example:4333/$JS.API.STREAM.DELETE.KEPT", [], "begins with 'fhir.'"),
        ("amqp://rabbit.example/clinic/orders", [], "begins with 'fhir.'"),
        ("nats://bus.example/fhir.a", ["Nats-Rollup: all"], "act upon"),
        ("amqp://rabbit.example/clinic/fhir.a", ["BCC: orders"], "act upon"),
        ("amqp://rabbit.example/clinic/fhir.a", ["x-delay: 1"], "act upon"),
        ("nats://bus.example/fhir.a", ["X: a\r\nNats-Rollup: all"], "control characters"),
    ],
)
def test_ssrf_and_escapes_to_what_else_a_broker_has_are_refused(endpoint: str, headers: list[str], why: str) -> None:
    assert why in Brokers(KNOWN, "fhir.").refuse(
        {"channel": {"type": "message", "endpoint": endpoint, "header": headers}}
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "nats://bus.example/fhir.a.b",
        "nats://BUS.example:4222/fhir.a",
        "jetstream://bus.example:4333/fhir.a",
        "amqp://rabbit.example:5672/clinic/fhir.a-b",
    ],
)
def test_a_broker_of_the_operator_is_not_refused(endpoint: str) -> None:
    assert (
        Brokers(KNOWN, "fhir.").refuse({"channel": {"type": "message", "endpoint": endpoint, "header": ["Tenant: a"]}})
        == ""
    )


async def test_a_broker_that_is_not_configured_any_more_is_given_up_for_good() -> None:
    with pytest.raises(Undelivered, match="names no broker") as raised:
        await Brokers((), "fhir.").deliver("nats://bus.example/fhir.a", EVENT)
    assert raised.value.permanent
