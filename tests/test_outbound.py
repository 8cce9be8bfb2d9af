"""Calling URLs that somebody else has chosen, over real sockets, and the attacks through it."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from fhir_server.outbound import MOST_ANSWER, Outbound, Unreached, refuse_header
from tests.certificates import certificate
from tests.origins import OK, Answering, caller, flood, origin


async def test_a_request_is_sent_as_it_is_asked_for_and_any_answer_comes_back() -> None:
    async with (
        origin(b"HTTP/1.1 418 No\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok") as (port, seen),
        caller() as outbound,
    ):
        answer = await outbound.send(
            "POST",
            f"http://hooks.example:{port}/a b?c=d",
            headers={"Content-Type": "text/plain"},
            content=b"hello",
            seconds=5,
        )
    assert (answer.status, answer.body, answer.headers["x-a"]) == (418, b"ok", "b")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert f"host: hooks.example:{port}".encode() in head.lower()
    assert b"content-length: 5" in head.lower()
    assert body == b"hello"


async def test_a_connection_serves_several_requests() -> None:
    connections = set()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        connections.add(writer.get_extra_info("peername"))
        writer.write(OK)

    async with origin(answer) as (port, seen), caller() as outbound:
        for _ in range(3):
            await outbound.send("POST", f"http://hooks.example:{port}/", seconds=5)
    assert (len(seen), len(connections)) == (3, 1)


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "fd00::1", "0.0.0.0"])
async def test_ssrf_through_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    async with caller(to=("93.184.216.34", address), development=False) as outbound:
        with pytest.raises(Unreached, match="public address"):
            await outbound.send("GET", "https://hooks.example/", seconds=5)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://[::1]/", "https://10.1.1.1:8443/", "https://localhost/", "https://mongo.internal/"],
)
async def test_ssrf_to_an_address_in_the_url_is_refused_before_anything_is_sent(url: str) -> None:
    assert "public address" in Outbound().refuse(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a.example/",
        "//a.example",
        "https://u:p@a.example/",
        "https://a.example/#x",
        "https://a.example:99999/",
        "file:///etc/passwd",
        "https:///x",
        "http://a.example/",
    ],
)
async def test_what_is_no_https_url_is_refused(url: str) -> None:
    assert Outbound().refuse(url)


async def test_dns_rebinding_finds_the_connection_at_the_address_that_was_checked() -> None:
    answers = iter((["127.0.0.1"], ["10.0.0.1"]))

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(answers)

    outbound = Outbound(["127.0.0.0/8"], resolve=resolve)
    async with origin(OK) as (port, seen):
        assert (await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)).status == 200
        await outbound.close()
        with pytest.raises(Unreached, match="public address"):
            await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)
    assert len(seen) == 1


async def test_loopback_is_out_of_bounds_but_for_development_and_what_is_allowed() -> None:
    async with origin(OK) as (port, seen):
        url = f"http://hooks.example:{port}/"
        for allowed in ((), ("other.example",), ("10.0.0.0/8",), (f"hooks.example:{port + 1}",)):
            async with caller(*allowed, development=False) as outbound:
                with pytest.raises(Unreached):
                    await outbound.send("GET", url, seconds=5)
        assert seen == []
        for allowed in (("hooks.example",), ("127.0.0.1",), ("127.0.0.0/8",), (f"HOOKS.example:{port}",)):
            async with caller(*allowed, development=False) as outbound:
                assert (await outbound.send("GET", url, seconds=5)).status == 200


async def test_an_open_redirect_leads_nowhere() -> None:
    async with (
        origin(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n") as (port, seen),
        caller() as outbound,
    ):
        answer = await outbound.send("POST", f"http://hooks.example:{port}/", seconds=5)
        assert answer.status == 302
        with pytest.raises(Unreached, match="public address"):
            async with outbound.stream(f"http://hooks.example:{port}/", seconds=5, most_bytes=10):
                pass
    assert len(seen) == 2


async def test_a_proxy_of_the_environment_sees_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with origin(OK) as (proxy, through), origin(OK) as (port, seen), caller() as outbound:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy}")
        await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)
    assert (len(through), len(seen)) == (0, 1)


async def test_who_never_answers_is_given_up_in_time() -> None:
    answered: list[str] = []

    async def silent(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)
        answered.append("silent")

    async def dripping(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)
        answered.append("dripping")

    for answer in (silent, dripping):
        async with origin(answer) as (port, _), caller() as outbound:
            with pytest.raises(Unreached, match=r"within 0\.3 seconds"):
                await outbound.send("GET", f"http://hooks.example:{port}/", seconds=0.3)
            assert not answered


async def test_an_endless_answer_is_left_where_enough_of_it_was_read() -> None:
    async with origin(flood) as (port, _), caller() as outbound:
        answer = await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)
    assert len(answer.body) == MOST_ANSWER


async def test_endless_headers_are_left_too() -> None:
    async def headers(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-A: " + b"x" * 8000 + b"\r\n")
            await writer.drain()

    async with origin(headers) as (port, _), caller() as outbound:
        with pytest.raises(Unreached):
            await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
async def test_what_is_no_http_is_no_answer(answer: bytes) -> None:
    async def broken(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with origin(broken) as (port, _), caller() as outbound:
        with pytest.raises(Unreached):
            await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)


async def test_a_closed_port_and_an_unknown_name_are_said() -> None:
    async with origin(OK) as (port, _):
        pass
    async with caller() as outbound:
        with pytest.raises(Unreached, match="failed"):
            await outbound.send("GET", f"http://hooks.example:{port}/", seconds=5)
    async with caller(to=()) as outbound:
        with pytest.raises(Unreached, match="nowhere"):
            await outbound.send("GET", "https://hooks.example/", seconds=5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Host", "a"), ("X-A", "a\r\nHost: b"), ("X A", "b"), ("", "b"), ("Content-Length", "3"), ("X-A", "\N{SNOWMAN}")],
)
async def test_request_smuggling_through_a_chosen_header_is_refused(name: str, value: str) -> None:
    assert refuse_header(name, value)
    async with origin(OK) as (port, seen), caller() as outbound:
        with pytest.raises(Unreached):
            await outbound.send("POST", f"http://hooks.example:{port}/", headers={name: value}, seconds=5)
    assert seen == []


async def read(outbound: Outbound, url: str, most: int = 10**6, seconds: float = 5, **headers: str) -> bytes:
    async with outbound.stream(url, headers=headers, seconds=seconds, most_bytes=most) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_stream_follows_redirects_and_leaves_the_secrets_with_the_first_origin() -> None:
    async with origin(OK) as (second, behind), caller() as outbound:
        answer = f"HTTP/1.1 307 T\r\nLocation: http://files.example:{second}/b\r\nContent-Length: 0\r\n\r\n".encode()
        async with origin(answer) as (first, seen):
            assert (
                await read(outbound, f"http://hooks.example:{first}/a", Authorization="Bearer s", Accept="x/y") == b"ok"
            )
    assert b"Bearer s" in seen[0]
    assert b"Bearer s" not in behind[0]
    assert b"x/y" in behind[0]


async def test_a_stream_is_bounded_in_size_time_and_redirects() -> None:
    async def slow(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async def halting(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
        await asyncio.sleep(30)

    cases: list[tuple[Answering | bytes, str]] = [
        (flood, "larger than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "larger than"),
        (slow, "slower than"),
        (halting, "Nothing came"),
        (b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", "leads on"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "status 404"),
    ]
    for answer, why in cases:
        async with origin(answer) as (port, _), caller() as outbound:
            with pytest.raises(Unreached, match=why):
                await read(outbound, f"http://hooks.example:{port}/", seconds=0.3)


async def test_what_fails_at_the_reader_of_a_stream_is_not_taken_for_the_connection() -> None:
    async with origin(OK) as (port, _), caller() as outbound:
        with pytest.raises(OSError, match="disk full"):
            async with outbound.stream(f"http://hooks.example:{port}/", seconds=5, most_bytes=10):
                raise OSError("disk full")


async def test_the_certificate_is_that_of_the_name_and_not_of_the_address(tmp_path: Path) -> None:
    file = certificate(tmp_path, "hooks.example", "127.0.0.9")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    trust = ssl.create_default_context(cafile=str(file))
    async with origin(OK, server) as (port, seen):
        async with caller(trust=trust) as outbound:
            assert (await outbound.send("GET", f"https://hooks.example:{port}/", seconds=5)).status == 200
            with pytest.raises(Unreached, match="ConnectError"):
                await outbound.send("GET", f"https://other.example:{port}/", seconds=5)
        async with caller() as outbound:
            with pytest.raises(Unreached, match="ConnectError"):
                await outbound.send("GET", f"https://hooks.example:{port}/", seconds=5)
    assert len(seen) == 1
