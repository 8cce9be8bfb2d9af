"""Getting a document from a URL that somebody else has chosen, without being made to reach into this network (SSRF).

The name is resolved here, every address it has must be public, and the connection goes to the address that was checked, so
that a name server cannot answer differently the second time. No redirect is followed, no proxy of the environment used.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from smart_auth.key_sets import Document, Unfetched

if TYPE_CHECKING:  # it takes a tenth of a second to import, and most servers never fetch anything
    import httpx

SECONDS = 5.0
MOST_BYTES = 256 * 1024
MOST_URL = 2_048

_NAT64 = ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Guarded:
    """A fetcher that reaches public addresses over HTTPS only.

    Args:
        development: Also reach loopback addresses, and those without TLS.
        resolve: Host and port to addresses; the system's resolver by default.
        transport: What carries the request; httpx's own by default.
    """

    def __init__(
        self,
        *,
        development: bool = False,
        resolve: Resolve | None = None,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._development = development
        self._resolve = resolve or _resolved
        self._transport = transport

    async def __call__(self, url: str) -> Document:
        """Return the JSON document at a URL.

        Raises:
            Unfetched: The URL is not one that is reached from here, or nothing usable came back.
        """
        import httpx

        try:
            async with asyncio.timeout(SECONDS):
                return await self._get(url)
        except TimeoutError:
            raise Unfetched(f"Nothing came back within {SECONDS:.0f} seconds.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise Unfetched(f"The key set could not be fetched ({type(error).__name__}).") from error

    async def _get(self, url: str) -> Document:
        import httpx

        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
        if why := fault(url):
            raise Unfetched(why)
        addresses = await self._resolve(host, port)
        local = self._development and bool(addresses) and all(ip_address(one).is_loopback for one in addresses)
        if not addresses or not (local or all(is_public(one) for one in addresses)):
            raise Unfetched("The URL does not lead to a public address.")
        if parts.scheme != "https" and not local:
            raise Unfetched("The URL must begin with https://.")
        address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        target = httpx.URL(url).copy_with(host=address)
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=SECONDS) as client,
            client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response,
        ):
            return await _document(response)


def fault(url: str) -> str:
    """Return the sentence that says why a URL is never fetched, empty where it may be; where it leads is not looked at."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or len(url) > MOST_URL:
        return "The URL must be an absolute https URL."
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "The URL must have neither a user name nor a fragment."
    return ""


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, also where IPv6 wraps an IPv4 address."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        if found in _NAT64:
            return False
    return found.is_global and not found.is_multicast


async def _resolved(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


async def _document(response: "httpx.Response") -> Document:
    if response.status_code != HTTPStatus.OK:
        raise Unfetched(f"The answer had status {response.status_code} instead of 200.")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unfetched("The answer is compressed, although that was not asked for.")
    body = b""
    async for part in response.aiter_raw():
        body += part
        if len(body) > MOST_BYTES:
            raise Unfetched(f"The answer is larger than {MOST_BYTES:,} bytes.")
    value: Any = json.loads(body)
    return Document(value, response.headers.get("cache-control", ""))
