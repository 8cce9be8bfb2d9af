"""Requests to URLs that somebody else has chosen, without being made to reach into this network (SSRF).

Where a name leads is looked up here, once for each connection. Every address that it has must be a public one, or one that
the operator has allowed, and the connection goes to an address that was checked; a name server that answers differently the
second time changes nothing. No proxy of the environment is used, and nothing that is sent back is believed to be small.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from smart_auth.fetch import fault, is_public

if TYPE_CHECKING:  # it takes a tenth of a second to import, and most servers never call anybody
    import httpcore

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; the rest is left with whoever sends it."""

MOST_REDIRECTS = 5
SLOWEST = 1024
"""Bytes per second that a download brings on average, or it is given up."""

KEPT = 15.0
"""Seconds that a connection is kept for the next request to the same host."""

PORTS = {"http": 80, "https": 443}
FRAMING = frozenset({"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect"})
"""Headers that belong to the connection, and to nobody who asks for a request."""

DEFAULTS = {"Accept-Encoding": "identity", "User-Agent": "Aquifer"}

NOT_PUBLIC = "The URL does not lead to a public address, nor to one that the setting outbound.allowed names."
NOT_SECURE = "The URL must begin with https://."

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Headers = Mapping[str, str]


class Unreached(Exception):
    """No answer came of it. The text is a sentence that may be told to whoever chose the URL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: Headers by lower-case name; of repeated ones the last.
        body: The first `MOST_ANSWER` bytes.
    """

    status: int
    headers: Headers
    body: bytes


class Outbound:
    """Sends requests to where they may go.

    Args:
        allowed: Hosts (`hooks.hospital.internal`, `hooks.hospital.internal:8443`) and networks (`10.20.0.0/16`) that may be
            reached although they are not public, also without TLS.
        development: Reach loopback addresses too, also without TLS.
        resolve: Host and port to addresses; the system's resolver by default.
        trust: What certificates are checked with; those of the system, or of SSL_CERT_FILE, by default.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        development: bool = False,  # noqa: FBT001, FBT002 - as the setting is handed over
        *,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._networks = tuple(network for one in allowed if (network := as_network(one)))
        self._hosts = frozenset(one.lower() for one in allowed if not as_network(one))
        self._development = development
        self._resolve = resolve or resolved
        self._trust = trust
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    def refuse(self, url: str) -> str:
        """Return the sentence that says why a URL is never called, empty where it may be, as far as its text tells."""
        try:
            if why := fault(url):
                return why
            parts = urlsplit(url)
            host, port = _place(parts)
        except ValueError:
            return "The URL must be an absolute https URL."
        if self._named(host, port):
            return ""
        try:
            address = str(ip_address(host))
        except ValueError:
            bare = host in {"localhost", ""} or host.endswith((".localhost", ".internal", ".local"))
            if bare and not self._development and not self._networks:
                return NOT_PUBLIC
            return "" if parts.scheme == "https" or self._development or self._networks else NOT_SECURE
        if not self._reachable(address):
            return NOT_PUBLIC
        return "" if parts.scheme == "https" or self._inside(address) else NOT_SECURE

    async def addresses(self, host: str, port: int, *, secure: bool) -> Sequence[str]:
        """Return the addresses of a host that a connection may go to now; at least one.

        Raises:
            Unreached: It has none, or one of those it has is out of bounds.
        """
        try:
            found = await self._resolve(host, port)
        except OSError:
            raise Unreached("The name of the host leads nowhere.") from None
        if not found:
            raise Unreached("The name of the host leads nowhere.")
        if self._named(host.lower(), port):
            return found
        if not all(self._reachable(one) for one in found):
            raise Unreached(NOT_PUBLIC)
        if not secure and not all(self._inside(one) for one in found):
            raise Unreached(NOT_SECURE)
        return found

    async def send(
        self, method: str, url: str, *, headers: Headers | None = None, content: bytes = b"", seconds: float
    ) -> Answer:
        """Send a request and return the answer, whatever its status is; redirects are not followed.

        Args:
            method: HTTP method.
            url: Where to.
            headers: Those of the content; the ones of the connection are this module's.
            content: The body.
            seconds: Time for everything together.

        Raises:
            Unreached: No answer came.
        """
        self._check(url)
        try:
            async with asyncio.timeout(seconds), self._opened(method, url, headers or {}, content) as response:
                body = b""
                async with aclosing(_chunks(response)) as parts:
                    async for part in parts:
                        body += part
                        if len(body) >= MOST_ANSWER:
                            break
                return Answer(response.status, _headers(response), body[:MOST_ANSWER])
        except TimeoutError:
            raise Unreached(f"No whole answer came within {seconds:g} seconds.") from None

    @asynccontextmanager
    async def stream(
        self, url: str, *, headers: Headers | None = None, seconds: float, most_bytes: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield what is at a URL, piece by piece and as it is sent, without decompressing it; redirects are followed and checked.

        Args:
            url: Where from.
            headers: Those of the request; `Authorization` and `Cookie` go to the first origin only.
            seconds: Longest silence.
            most_bytes: Most bytes that are taken.

        Raises:
            Unreached: The status is not 200, it is silent or slower than `SLOWEST`, or there is more than that; while it is read too.
        """
        given = dict(headers or {})
        for _ in range(MOST_REDIRECTS + 1):
            self._check(url)
            async with AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(seconds):
                        response = await stack.enter_async_context(self._opened("GET", url, given))
                except TimeoutError:
                    raise Unreached(f"No answer came within {seconds:g} seconds.") from None
                if response.status == HTTPStatus.OK:
                    stated = _headers(response).get("content-length", "")
                    if stated.isdecimal() and int(stated) > most_bytes:
                        raise Unreached(f"It is larger than {most_bytes:,} bytes.")
                    async with aclosing(_paced(response, seconds, most_bytes)) as pieces:
                        yield pieces
                    return
                after = _redirect(response, url)
            if not after:
                raise Unreached(f"The answer had status {response.status} instead of 200.")
            if _origin(after) != _origin(url):
                given = {name: text for name, text in given.items() if name.lower() not in {"authorization", "cookie"}}
            url = after
        raise Unreached(f"It leads on to other URLs more than {MOST_REDIRECTS} times.")

    async def close(self) -> None:
        """Close the connections that are kept."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def _check(self, url: str) -> None:
        if why := self.refuse(url):
            raise Unreached(why)

    @asynccontextmanager
    async def _opened(
        self, method: str, url: str, headers: Headers, content: bytes = b""
    ) -> AsyncIterator["httpcore.Response"]:
        """Yield the answer once its headers are there, the body unread."""
        import httpcore

        if why := next(filter(None, (refuse_header(*one) for one in headers.items())), ""):
            raise Unreached(why)
        parts = urlsplit(url)
        pool = self._pools.get(parts.scheme) or self._pool(secure=parts.scheme == "https")
        try:
            host = (parts.hostname or "").encode("idna")
        except UnicodeError:
            raise Unreached("The URL names a host that there cannot be.") from None
        place = b"[%b]" % host if b":" in host else host
        sent = [(b"Host", place + b":%d" % parts.port if parts.port else place)]
        chosen = {name.lower() for name in headers}
        named = {name: value for name, value in DEFAULTS.items() if name.lower() not in chosen} | dict(headers)
        sent += [(name.encode(), value.strip().encode("latin-1")) for name, value in named.items()]
        if content or method not in {"GET", "HEAD"}:
            sent.append((b"Content-Length", b"%d" % len(content)))
        target = httpcore.URL(scheme=parts.scheme.encode(), host=host, port=parts.port, target=_target(parts))
        async with AsyncExitStack() as stack:
            try:
                opened = pool.stream(method, target, headers=sent, content=content)
                response = await stack.enter_async_context(opened)
            except _broken() as error:
                raise Unreached(f"The connection failed ({type(error).__name__}).") from error
            yield response

    def _pool(self, *, secure: bool) -> "httpcore.AsyncConnectionPool":
        import httpcore

        if secure and self._trust is None:
            import httpx

            self._trust = httpx.create_ssl_context()
        self._pools["https" if secure else "http"] = pool = httpcore.AsyncConnectionPool(
            ssl_context=self._trust,
            max_connections=None,
            max_keepalive_connections=64,
            keepalive_expiry=KEPT,
            network_backend=_pinned(self, secure=secure),
        )
        return pool

    def _named(self, host: str, port: int) -> bool:
        return host in self._hosts or f"{host}:{port}" in self._hosts

    def _inside(self, address: str) -> bool:
        """Return whether the operator has allowed an address."""
        found = ip_address(address.partition("%")[0])
        if self._development and found.is_loopback:
            return True
        return any(found in network for network in self._networks)

    def _reachable(self, address: str) -> bool:
        return is_public(address) or self._inside(address)


def refuse_header(name: str, value: str) -> str:
    """Return the sentence that says why a header is not sent, empty where it may be."""
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        return f"'{name[:60]}' is not the name of a header."
    if name.lower() in FRAMING or name.lower().startswith("proxy-"):
        return f"The header {name} belongs to the connection and cannot be chosen."
    if any((ord(character) < 32 and character != "\t") or ord(character) in range(127, 160) for character in value):
        return f"The value of the header {name} has control characters."
    return (
        "" if all(ord(character) < 256 for character in value) else f"The header {name} has characters beyond Latin-1."
    )


def as_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return what an address or a network is written as, or `None` for a host."""
    try:
        return ip_network(text)
    except ValueError:
        return None


async def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses that the system knows for a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


def _pinned(outbound: Outbound, *, secure: bool) -> "httpcore.AsyncNetworkBackend":
    """Return what opens connections: to addresses that were checked, and nowhere else."""
    import httpcore

    class Pinned(httpcore.AsyncNetworkBackend):
        def __init__(self) -> None:
            self._plain = httpcore.AnyIOBackend()

        async def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
            local_address: str | None = None,
            socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
        ) -> httpcore.AsyncNetworkStream:
            addresses = await outbound.addresses(host, port, secure=secure)
            for address in addresses[:-1]:
                with suppress(httpcore.ConnectError):
                    return await self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
            return await self._plain.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    return Pinned()


async def _chunks(response: "httpcore.Response") -> AsyncGenerator[bytes]:
    """Yield the body as it comes.

    Raises:
        Unreached: The connection broke.
    """
    try:
        async for piece in response.aiter_stream():
            yield piece
    except _broken() as error:
        raise Unreached(f"The connection broke ({type(error).__name__}).") from error


async def _paced(response: "httpcore.Response", seconds: float, most_bytes: int) -> AsyncGenerator[bytes]:
    """Yield the body while it comes fast enough and is not too large; the time that the reader takes does not count."""
    taken, waited = 0, 0.0
    async with aclosing(_chunks(response)) as pieces:
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(seconds):
                    piece = await anext(pieces, b"")
            except TimeoutError:
                raise Unreached(f"Nothing came for {seconds:g} seconds.") from None
            if not piece:
                return
            taken += len(piece)
            waited += time.monotonic() - began
            if taken > most_bytes:
                raise Unreached(f"It is larger than {most_bytes:,} bytes.")
            if waited > seconds + taken / SLOWEST:
                raise Unreached(f"It comes slower than {SLOWEST:,} bytes per second.")
            yield piece


def _broken() -> tuple[type[Exception], ...]:
    """Return what a connection that does not come about, or ends before the answer does, raises."""
    import httpcore

    return httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError


def _headers(response: "httpcore.Response") -> Headers:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}


def _redirect(response: "httpcore.Response", url: str) -> str:
    """Return where an answer points to instead, empty where it does not."""
    if response.status not in {301, 302, 303, 307, 308}:
        return ""
    location = _headers(response).get("location", "")
    return urljoin(url, location) if location else ""


def _place(parts: SplitResult) -> tuple[str, int]:
    """Return host and port of a URL.

    Raises:
        ValueError: The port is not a number up to 65535.
    """
    return (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme, 0)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, *_place(parts)


def _target(parts: SplitResult) -> bytes:
    """Return path and query as a request line has them."""
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    return (f"{path}?{quote(parts.query, safe='/?%:@!$&()*+,;=~')}" if parts.query else path).encode()
