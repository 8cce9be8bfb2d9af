"""What the edge makes of requests and of answers, through ASGI."""

import gzip
import re
import zlib
from collections.abc import Iterator

import httpx
import pytest
import structlog
from starlette.types import Message, Scope, Send

from fhir_server.http.app import Application
from fhir_server.model import json

FHIR_JSON = "application/fhir+json; charset=utf-8"
SEND = {"Content-Type": "application/fhir+json"}


def refused(response: httpx.Response, status: int, code: str, words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == FHIR_JSON
    outcome = json.decode(response.content)
    assert outcome["resourceType"] == "OperationOutcome"
    issue = outcome["issue"][0]
    assert issue["code"] == code
    assert words in issue["details"]["text"]
    assert issue["details"]["text"].endswith((".", ")"))


async def test_passes_on_the_request_as_it_was_meant(client: httpx.AsyncClient) -> None:
    response = await client.get(
        "/fhir/Patient/a%2Fb/_history/?name=M%C3%BCller+Sr&code=a%26b%3Dc&_x&&code=2",
        headers={"If-None-Match": 'W/"1"'},
    )
    seen = response.json()
    assert (seen["method"], seen["path"]) == ("GET", ["Patient", "a/b", "_history"])
    assert seen["query"] == [["name", "Müller Sr"], ["code", "a&b=c"], ["_x", ""], ["code", "2"]]
    assert seen["base"] == "http://127.0.0.1/fhir"
    assert seen["headers"]["if-none-match"] == 'W/"1"'


@pytest.mark.parametrize("url", ["/fhir", "/fhir/", "/fhir?_count=1"])
async def test_the_base_itself_has_no_segments(client: httpx.AsyncClient, url: str) -> None:
    assert (await client.get(url)).json()["path"] == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"/fhir/Patient/%zz", "'%'"),
        (b"/fhir/Patient/%2", "'%'"),
        (b"/fhir/Patient/%ff%fe", "UTF-8"),
        (b"/fhir//Patient", "empty segment"),
        (b"/fhir/Patient?name=%", "'%'"),
        (b"/fhir/Patient?name=%C3", "UTF-8"),
        (b"/fhir/Patient?%ED%A0%80=1", "UTF-8"),
    ],
)
async def test_refuses_urls_that_cannot_be_decoded(client: httpx.AsyncClient, raw: bytes, words: str) -> None:
    url = client.base_url.copy_with(raw_path=raw)
    refused(await client.send(httpx.Request("GET", url)), 400, "invalid", words)


async def test_refuses_more_parameters_than_anybody_needs(client: httpx.AsyncClient) -> None:
    body = "a=1&" * 10_001
    response = await client.post(
        "/fhir/Patient/_search", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    refused(response, 400, "invalid", "10000 parameters")


async def test_an_encoded_mount_is_not_the_api(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir%2FPatient")
    refused(response, 404, "not-found", "The FHIR API is at /fhir")


async def test_headers_sent_twice_are_joined_and_names_are_lower_case(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir/Patient/1", headers=[("If-Match", 'W/"1"'), ("IF-MATCH", 'W/"2"')])
    assert response.json()["headers"]["if-match"] == 'W/"1", W/"2"'


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8080"])
async def test_open_mode_does_not_answer_a_foreign_name_pointed_at_loopback(
    client: httpx.AsyncClient, host: str
) -> None:
    refused(await client.get("/fhir/Patient/1", headers={"Host": host}), 403, "forbidden", "only this machine")
    assert (await client.get("/openapi.json", headers={"Host": host})).status_code == 403


@pytest.mark.parametrize("host", ["a b", "localhost/evil", "localhost:99999999", "[::1", "a,b"])
async def test_refuses_a_host_header_that_is_none(client: httpx.AsyncClient, host: str) -> None:
    refused(await client.get("/fhir/Patient/1", headers={"Host": host}), 400, "invalid", "Host header")


@pytest.mark.parametrize("host", ["localhost:8080", "[::1]:8080", "127.9.9.9", "fhir.localhost"])
async def test_names_the_base_as_the_client_does(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/fhir/Patient/1", headers={"Host": host})).json()["base"] == f"http://{host}/fhir"


# Request ids


@pytest.mark.parametrize("wished", ["req-1", "9c5b94b1-35ad-49bb-b118-8e8fc24abf80", "a.b/c:d=+e"])
async def test_echoes_a_sane_request_id(client: httpx.AsyncClient, wished: str) -> None:
    response = await client.get("/fhir/Patient/1", headers={"X-Request-Id": wished})
    assert response.headers["x-request-id"] == wished == response.json()["id"]


@pytest.mark.parametrize("wished", [b"a\r\nSet-Cookie: x=1", b"a\nb", b"{}", b"x" * 129, b"", "ü".encode(), b"a b"])
async def test_replaces_a_request_id_that_could_break_out_of_a_header_or_a_log(app: Application, wished: bytes) -> None:
    sent: list[Message] = []
    async with app.router.lifespan_context(app):
        await app(_scope(headers=[(b"x-request-id", wished)]), _nothing, _into(sent))
    headers = dict(sent[0]["headers"])
    assert re.fullmatch(rb"[0-9a-f]{16}", headers[b"x-request-id"])


# Representations


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/*",
        "application/fhir+json",
        "Application/FHIR+JSON;q=0.1",
        "application/json; charset=utf-8",
        "application/fhir+json; fhirVersion=4.0",
        'application/fhir+json; fhirVersion="4.0"',
        "application/fhir+xml;q=0.5, application/fhir+json",
        "application/fhir+xml;q=0, */*",
        "application/json, application/fhir+xml",
        "application/json;q=0, */*",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        " , */*",
        "",
    ],
)
async def test_answers_in_json_to_everyone_who_takes_it(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.get("/fhir/Patient/1", headers={"Accept": accept})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == FHIR_JSON


@pytest.mark.parametrize(
    ("accept", "words"),
    [
        ("text/html", "names no representation that is offered. Use application/fhir+json or application/fhir+xml"),
        ("text/turtle", "names no representation"),
        ("application/fhir+json;q=0", "names no representation"),
        ("application/fhir+json;q=nonsense", "names no representation"),
        ("application/fhir+json; fhirVersion=5.0", "FHIR 4.0, not '5.0'"),
        ("nonsense", "names no representation"),
    ],
)
async def test_refuses_who_takes_neither_json_nor_xml(client: httpx.AsyncClient, accept: str, words: str) -> None:
    refused(await client.get("/fhir/Patient/1", headers={"Accept": accept}), 406, "not-supported", words)


@pytest.mark.parametrize("wished", ["json", "application/json", "application/fhir%2Bjson", "application/fhir+json"])
async def test_format_counts_more_than_accept(client: httpx.AsyncClient, wished: str) -> None:
    response = await client.get(f"/fhir/Patient/1?_format={wished}", headers={"Accept": "application/fhir+xml"})
    assert response.status_code == 200
    assert response.headers["content-type"] == FHIR_JSON


@pytest.mark.parametrize("wished", ["ttl", "html", ""])
async def test_refuses_a_format_that_is_not_offered(client: httpx.AsyncClient, wished: str) -> None:
    refused(await client.get(f"/fhir/Patient/1?_format={wished}"), 406, "not-supported", "_format")


async def test_what_has_no_form_in_xml_is_told_in_json(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir/Patient/1", headers={"Accept": "application/fhir+xml"})
    refused(response, 406, "not-supported", "'None' is not a resource type of FHIR R4. Ask for application/fhir+json")
    assert response.headers["content-type"] == FHIR_JSON


async def test_a_failure_is_told_in_xml_where_xml_was_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir/Patient/crash?_format=xml")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/fhir+xml; charset=utf-8"
    assert '<severity value="fatal"/>' in response.text
    assert "Smith" not in response.text


@pytest.mark.parametrize("query", ["_format=json&_format=xml", "_pretty=true&_pretty=false", "_pretty=yes", "_pretty="])
async def test_refuses_presentation_parameters_that_are_not_clear(client: httpx.AsyncClient, query: str) -> None:
    refused(await client.get(f"/fhir/Patient/1?{query}"), 400, "invalid", "_")


async def test_pretty_indents_also_refusals(client: httpx.AsyncClient) -> None:
    assert b"\n" not in (await client.get("/fhir/Patient/1")).content
    assert b'\n  "method"' in (await client.get("/fhir/Patient/1?_pretty=true")).content
    assert b'\n  "issue"' in (await client.get("/fhir/Patient/gone?_pretty=true")).content


async def test_people_at_a_browser_get_indented_json(client: httpx.AsyncClient) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert b"\n" in (await client.get("/fhir/Patient/1", headers=accept)).content
    assert b"\n" not in (await client.get("/fhir/Patient/1?_pretty=false", headers=accept)).content


@pytest.mark.parametrize(
    ("method", "url", "content_type", "words"),
    [
        ("POST", "/fhir/Patient", "text/plain", "Send application/fhir+json or application/json"),
        ("PUT", "/fhir/Patient/1", "application/fhir+turtle", "or application/fhir+xml"),
        ("POST", "/fhir/Patient", "", "no Content-Type"),
        ("POST", "/fhir/Patient", "application/fhir+json; charset=latin-1", "UTF-8"),
        ("POST", "/fhir/Patient", "application/fhir+json; fhirVersion=3.0", "FHIR 4.0, not '3.0'"),
        ("POST", "/fhir/Patient", "application/json-patch+json", "not read here"),
        ("PATCH", "/fhir/Patient/1", "application/json", "application/json-patch+json"),
        ("PATCH", "/fhir/Patient/1", "application/merge-patch+json", "application/json-patch+json"),
        ("POST", "/fhir/Patient/_search", "application/json", "application/x-www-form-urlencoded"),
        ("POST", "/fhir/Patient", "application/x-www-form-urlencoded", "not read here"),
    ],
)
async def test_refuses_media_types_that_are_not_read(
    client: httpx.AsyncClient, method: str, url: str, content_type: str, words: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    refused(await client.request(method, url, content=b"{}", headers=headers), 415, "not-supported", words)


@pytest.mark.parametrize(
    ("method", "url", "content_type"),
    [
        ("POST", "/fhir/Patient", "application/fhir+json"),
        ("POST", "/fhir", "application/json;charset=UTF-8"),
        ("PUT", "/fhir/Patient/1", 'application/fhir+json; fhirVersion=4.0; charset="utf-8"'),
        ("PATCH", "/fhir/Patient/1", "application/json-patch+json"),
        ("PATCH", "/fhir/Patient/1", "application/fhir+json"),
        ("POST", "/fhir/Patient/_search", "application/x-www-form-urlencoded"),
    ],
)
async def test_takes_bodies_of_the_right_type(
    client: httpx.AsyncClient, method: str, url: str, content_type: str
) -> None:
    response = await client.request(method, url, content=b"a=1", headers={"Content-Type": content_type})
    assert response.status_code == 200, response.text
    assert response.json()["body"] == "a=1"


async def test_a_post_without_body_needs_no_media_type(client: httpx.AsyncClient) -> None:
    assert (await client.post("/fhir/Patient/_search?name=a")).status_code == 200


async def test_a_search_form_may_hold_the_presentation(client: httpx.AsyncClient) -> None:
    response = await client.post("/fhir/Patient/_search", data={"name": "a", "_pretty": "true"})
    assert b"\n" in response.content
    response = await client.post("/fhir/Patient/_search", data={"name": "a", "_format": "ttl"})
    refused(response, 406, "not-supported", "_format")


# Bodies


async def test_reads_gzip_bodies_of_several_members(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}")
    response = await client.post("/fhir/Patient", content=body, headers=SEND | {"Content-Encoding": "gzip"})
    assert response.json()["body"] == '{"a":1}'


@pytest.mark.parametrize(
    "body",
    [b"not gzip", gzip.compress(b"x" * 500)[:-9], gzip.compress(b"x")[:3], gzip.compress(b"x") + b"rest"],
    ids=["no gzip", "cut off", "only a beginning", "something behind"],
)
async def test_refuses_damaged_gzip(client: httpx.AsyncClient, body: bytes) -> None:
    response = await client.post("/fhir/Patient", content=body, headers=SEND | {"Content-Encoding": "gzip"})
    refused(response, 400, "invalid", "gzip")


async def test_refuses_a_gzip_bomb_without_inflating_it(client: httpx.AsyncClient) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(64)) + packer.flush()
    assert len(bomb) < 100_000
    response = await client.post("/fhir/Patient", content=bomb, headers=SEND | {"Content-Encoding": "gzip"})
    refused(response, 413, "too-long", "200,000 bytes")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_refuses_encodings_that_are_not_read(client: httpx.AsyncClient, encoding: str) -> None:
    response = await client.post("/fhir/Patient", content=b"{}", headers=SEND | {"Content-Encoding": encoding})
    refused(response, 415, "not-supported", "Content-Encoding")
    assert response.headers["accept-encoding"] == "gzip"


async def test_refuses_a_body_above_the_limit_by_its_announced_length(app: Application) -> None:
    async def never() -> Message:
        raise AssertionError("the body was read")

    sent: list[Message] = []
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"200001")]
    async with app.router.lifespan_context(app):
        await app(_scope("POST", b"/fhir/Patient", headers), never, _into(sent))
    assert sent[0]["status"] == 413


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"", b"5, 5", "٣".encode()])
async def test_refuses_a_length_that_is_no_number(app: Application, length: bytes) -> None:
    sent: list[Message] = []
    headers = [(b"content-type", b"application/fhir+json"), (b"content-length", length)]
    async with app.router.lifespan_context(app):
        await app(_scope("POST", b"/fhir/Patient", headers), _nothing, _into(sent))
    assert sent[0]["status"] == 400


async def test_a_client_that_goes_away_while_sending_gets_nothing(app: Application) -> None:
    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(messages)

    sent: list[Message] = []
    headers = [(b"content-type", b"application/fhir+json"), (b"transfer-encoding", b"chunked")]
    async with app.router.lifespan_context(app):
        await app(_scope("POST", b"/fhir/Patient", headers), receive, _into(sent))
    assert sent == []
    assert 'fhir_requests_total{interaction="create",resource_type="Patient",status="499"} 1.0' in _metrics(app)


# Answers


async def test_head_is_get_without_body(client: httpx.AsyncClient) -> None:
    got, headed = await client.get("/fhir/Patient/large"), await client.head("/fhir/Patient/large")
    assert headed.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"]
    assert headed.headers["etag"] == got.headers["etag"]


async def test_compresses_large_answers_for_those_who_take_it(client: httpx.AsyncClient) -> None:
    packed = await client.get("/fhir/Patient/large", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 1000 < len(packed.content)
    assert "Accept-Encoding" in packed.headers["vary"]
    for encodings in ("identity", "gzip;q=0", "", "br"):
        plain = await client.get("/fhir/Patient/large", headers={"Accept-Encoding": encodings})
        assert "content-encoding" not in plain.headers
        assert plain.content == packed.content
    assert "content-encoding" not in (await client.get("/fhir/Patient/gone")).headers


@pytest.mark.parametrize(("url", "status"), [("/fhir/Patient/same", 304), ("/fhir/Patient/void", 204)])
async def test_answers_without_body_have_no_content_headers(client: httpx.AsyncClient, url: str, status: int) -> None:
    response = await client.get(url)
    assert response.status_code == status
    assert not {"content-length", "content-type"} & set(response.headers)


async def test_data_is_neither_cached_nor_run_nor_framed(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/fhir/Patient/1")).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_a_bug_is_a_500_without_insides_in_answer_and_log(client: httpx.AsyncClient) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/fhir/Patient/crash", headers={"X-Request-Id": "r1"})
    refused(response, 500, "exception", "X-Request-Id")
    assert "Smith" not in response.text
    assert logs[0]["request"] == "r1"
    assert logs[0]["error"] == "RuntimeError"


async def test_refuses_unknown_methods_with_those_it_knows(client: httpx.AsyncClient) -> None:
    response = await client.request("PROPFIND", "/fhir/Patient")
    refused(response, 405, "not-supported", "GET, HEAD, POST")
    assert "PATCH" in response.headers["allow"]


# Binary content


async def test_binary_content_goes_out_as_itself_and_cannot_be_run(client: httpx.AsyncClient) -> None:
    response = await client.get("/fhir/Binary/page")
    assert response.content == b"<b>hi</b>"
    assert response.headers["content-type"] == "text/html"
    assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert response.headers["x-security-context"] == "Patient/1"
    assert response.headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/json", "text/html, application/fhir+json"])
async def test_binary_goes_out_as_resource_when_fhir_is_named(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.get("/fhir/Binary/page", headers={"Accept": accept})
    assert response.json()["resourceType"] == "Binary"
    assert response.headers["content-type"] == FHIR_JSON


@pytest.mark.parametrize(
    ("method", "url", "expected"), [("POST", "/fhir/Binary", None), ("PUT", "/fhir/Binary/b1", "b1")]
)
async def test_binary_content_comes_in_as_itself(
    client: httpx.AsyncClient, method: str, url: str, expected: str | None
) -> None:
    headers = {"Content-Type": "image/png", "X-Security-Context": "Patient/7"}
    resource = (await client.request(method, url, content=b"\x89PNG", headers=headers)).json()["resource"]
    assert (resource["contentType"], resource["data"]) == ("image/png", "iVBORw==")
    assert resource["securityContext"] == {"reference": "Patient/7"}
    assert resource.get("id") == expected


def _scope(
    method: str = "GET", path: bytes = b"/fhir/Patient/1", headers: list[tuple[bytes, bytes]] | None = None
) -> Scope:
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), *(headers or [])],
    }


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _into(sent: list[Message]) -> Send:
    async def send(message: Message) -> None:
        sent.append(message)

    return send


def _metrics(app: Application) -> str:
    return app.metrics.render("")[1].decode()
