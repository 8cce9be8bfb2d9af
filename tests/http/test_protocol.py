"""What reaches a real server over TCP: pipelines, chunks, broken and endless requests."""

import asyncio

import httpx
import pytest

from fhir_server.model import json


async def _talk(port: int, *sent: bytes, until_closed: bool = True) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in sent:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read() if until_closed else reader.read(65536), 10)
    finally:
        writer.close()


def _head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


CLOSE = "Connection: close"
JSON = "Content-Type: application/fhir+json"


async def test_serves_pipelined_requests_in_order(port: int) -> None:
    answer = await _talk(
        port,
        _head("GET", "/fhir/Patient/slow") + _head("HEAD", "/fhir/Patient/2") + _head("GET", "/fhir/Patient/3", CLOSE),
    )
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.index(b'"slow"') < answer.index(b'"3"')
    assert b'"2"' not in answer
    assert b"\r\nserver:" not in answer.lower()


async def test_stops_a_chunked_body_at_the_limit_and_still_answers(port: int) -> None:
    async def endless() -> object:
        for _ in range(2000):
            yield b" " * 65536

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        headers = {"Content-Type": "application/fhir+json"}
        response = await client.post("/fhir/Patient", content=endless(), headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 413
        assert "200,000 bytes" in response.text
        assert (await client.get("/fhir/Patient/1")).status_code == 200


async def test_reads_a_body_in_many_chunks(port: int) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"a":', b"1", b"}")) + b"0\r\n\r\n"
    answer = await _talk(
        port, _head("POST", "/fhir/Patient", JSON, "Transfer-Encoding: chunked", CLOSE), body[:7], body[7:]
    )
    assert b'"body":"{\\"a\\":1}"' in answer


async def test_asks_for_the_body_only_when_it_will_read_it(port: int) -> None:
    wanted = _head("POST", "/fhir/Patient", JSON, "Content-Length: 2", "Expect: 100-continue")
    assert (await _talk(port, wanted, until_closed=False)).startswith(b"HTTP/1.1 100 Continue")
    too_much = _head("POST", "/fhir/Patient", JSON, "Content-Length: 999999999", "Expect: 100-continue")
    assert (await _talk(port, too_much, until_closed=False)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /fhir/Patient/1 HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /fhir/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /fhir HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST /fhir HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"POST /fhir HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_answers_what_is_not_http_with_an_outcome_and_closes(port: int, raw: bytes) -> None:
    answer = await _talk(port, raw)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400"), answer
    assert json.decode(body)["resourceType"] == "OperationOutcome"


async def test_ends_a_request_whose_head_never_ends(port: int) -> None:
    answer = await _talk(
        port, b"GET /fhir/Patient/1 HTTP/1.1\r\nHost: localhost\r\n", *[b"X-A: " + b"a" * 20_000 + b"\r\n"] * 4
    )
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"64 KiB" in answer


async def test_a_long_head_that_fits_is_read(port: int) -> None:
    answer = await _talk(port, _head("GET", "/fhir/Patient?name=" + "a" * 40_000, CLOSE))
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_header_value_cannot_smuggle_another_header(port: int) -> None:
    answer = await _talk(port, _head("GET", "/fhir/Patient/1", "X-Request-Id: a\rSet-Cookie: x=1", CLOSE))
    assert b"set-cookie" not in answer.lower().split(b"\r\n\r\n")[0]


async def test_head_and_body_arrive_together(port: int) -> None:
    answer = await _talk(port, _head("GET", "/fhir/Patient/1"), until_closed=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.decode(body)["path"] == ["Patient", "1"]
    assert b"content-length: %d" % len(body) in head


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("HEAD", "/fhir/Patient/1", 200), ("GET", "/fhir/Patient/same", 304), ("DELETE", "/fhir/Patient/void", 204)],
)
async def test_the_head_of_an_answer_without_a_body_does_not_wait_for_one(
    port: int, method: str, path: str, status: int
) -> None:
    answer = await _talk(port, _head(method, path), until_closed=False)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.endswith(b"\r\n\r\n")
