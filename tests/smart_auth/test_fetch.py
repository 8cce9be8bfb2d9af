"""Fetching what a client points to, and the attacks through it."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from smart_auth import fetch
from smart_auth.fetch import Guarded, is_public
from smart_auth.key_sets import Unfetched

URL = "https://app.example/jwks"


def resolving(*addresses: str) -> fetch.Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def origin(seen: list[httpx.Request], **answer: object) -> httpx.MockTransport:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        content = answer.pop("content", b'{"keys":[]}')
        assert isinstance(content, bytes)
        return httpx.Response(**{"status_code": 200, "stream": httpx.ByteStream(content), **answer})  # type: ignore[arg-type]

    return httpx.MockTransport(handle)


async def test_a_document_comes_with_its_cache_control() -> None:
    seen: list[httpx.Request] = []
    get = Guarded(resolve=resolving("93.184.216.34"), transport=origin(seen, headers={"Cache-Control": "max-age=60"}))
    document = await get(URL)
    assert document.value == {"keys": []}
    assert document.cache_control == "max-age=60"
    assert seen[0].headers["accept"] == "application/json"


async def test_dns_rebinding_finds_the_connection_at_the_address_that_was_checked() -> None:
    seen: list[httpx.Request] = []
    await Guarded(resolve=resolving("93.184.216.34"), transport=origin(seen))(URL)
    assert seen[0].url.host == "93.184.216.34"
    assert seen[0].headers["host"] == "app.example"
    assert seen[0].extensions["sni_hostname"] == "app.example"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
async def test_ssrf_to_a_private_address_is_refused(address: str) -> None:
    seen: list[httpx.Request] = []
    assert not is_public(address)
    with pytest.raises(Unfetched, match="public address"):
        await Guarded(resolve=resolving(address), transport=origin(seen))(URL)
    assert seen == []


async def test_ssrf_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(Unfetched, match="public address"):
        await Guarded(resolve=resolving("93.184.216.34", "10.0.0.1"), transport=origin([]))(URL)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://app.example/jwks",
        "https://",
        "//app.example/jwks",
        "https://user:pw@app.example/",
        "https://app.example/#x",
        "https://app.example/" + "x" * 3000,
        "https://app.example:99999999/",
        "https://[/",
    ],
)
async def test_only_plain_absolute_urls_are_fetched(url: str) -> None:
    with pytest.raises(Unfetched):
        await Guarded(resolve=resolving("93.184.216.34"), transport=origin([]))(url)


async def test_scheme_downgrade_is_refused() -> None:
    with pytest.raises(Unfetched, match="https"):
        await Guarded(resolve=resolving("93.184.216.34"), transport=origin([]))("http://app.example/jwks")


async def test_development_reaches_this_machine_and_still_no_other_private_one() -> None:
    seen: list[httpx.Request] = []
    await Guarded(development=True, resolve=resolving("127.0.0.1"), transport=origin(seen))("http://localhost:9/jwks")
    assert seen[0].url.host == "127.0.0.1"
    with pytest.raises(Unfetched, match="public address"):
        await Guarded(development=True, resolve=resolving("10.0.0.1"), transport=origin(seen))(URL)


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 302, "headers": {"Location": "http://169.254.169.254/"}},
        {"status_code": 404},
        {"content": b"not json"},
        {"content": b"x" * 300_000},
        {"headers": {"Content-Encoding": "gzip"}, "content": b"\x1f\x8b"},
    ],
)
async def test_what_is_no_plain_json_document_is_refused_and_no_redirect_followed(answer: dict[str, object]) -> None:
    seen: list[httpx.Request] = []
    with pytest.raises(Unfetched):
        await Guarded(resolve=resolving("93.184.216.34"), transport=origin(seen, **answer))(URL)
    assert len(seen) == 1


async def test_a_slow_origin_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return ()

    monkeypatch.setattr(fetch, "SECONDS", 0.01)
    with pytest.raises(Unfetched, match="Nothing came back"):
        await Guarded(resolve=resolve)(URL)
