"""A package registry as FHIR has it (FHIR NPM Package Specification): `/NAME/VERSION` is a package, `/NAME` tells which there are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from profiles.packages import versions
from profiles.packages.archive import PackageError

if TYPE_CHECKING:  # it takes a tenth of a second to import, and most processes never fetch anything
    import httpx

LISTING_BYTES = 16 * 2**20


class Registry:
    """One registry.

    Args:
        url: Its base.
        max_bytes: Greatest size of a package file.
        seconds: Time that one answer may take.
    """

    def __init__(self, url: str, max_bytes: int, seconds: float) -> None:
        self._url = url.rstrip("/")
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def fetch(self, name: str, version: str) -> bytes:
        """Return the file of a package.

        Args:
            name: Package id.
            version: A version, a pattern such as `4.0.x`, or `latest`.

        Raises:
            PackageError: It is not there, is too large, or the registry cannot be reached.
        """
        exact = version
        if version in versions.ANY or version.rsplit(".", maxsplit=1)[-1] in versions.WILD:
            exact = await self._newest(name, version)
        what = f"{name}@{exact}"
        return await self._get(f"{quote(name, safe='')}/{quote(exact, safe='')}", what, self._max_bytes)

    async def _newest(self, name: str, wanted: str) -> str:
        body = await self._get(quote(name, safe=""), name, LISTING_BYTES)
        try:
            listing = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise PackageError(f"The registry {self._url} does not tell which versions of {name} there are.") from error
        tags, there = listing.get("dist-tags"), listing.get("versions")
        latest = tags.get("latest") if isinstance(tags, dict) else None
        if wanted in versions.ANY and isinstance(latest, str):
            return latest
        names = [str(one) for one in there] if isinstance(there, dict) else []
        fitting = [one for one in names if versions.satisfies(one, wanted)]
        if not fitting:
            raise PackageError(f"The registry {self._url} has no version {wanted or 'at all'} of {name}.")
        return max(fitting, key=lambda one: ("-" not in one, versions.order(one)))

    async def _get(self, path: str, what: str, limit: int) -> bytes:
        """Return the body at a path below the base, as far as it is not too large."""
        import httpx

        try:
            async with asyncio.timeout(self._seconds), self._answer(path) as answer:
                if answer.status_code == HTTPStatus.NOT_FOUND:
                    raise PackageError(f"The registry {self._url} has no {what}. See there for its name and versions.")
                if answer.status_code != HTTPStatus.OK:
                    raise PackageError(f"The registry {self._url} answers {answer.status_code} when asked for {what}.")
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > limit:
                        raise PackageError(
                            f"{what} has more than {limit} bytes. Raise packages.max_bytes if it is trusted."
                        )
                return bytes(body)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL) as error:
            reason = (
                "within the time allowed" if isinstance(error, TimeoutError) else f"({type(error).__name__}: {error})"
            )
            raise PackageError(
                f"{what} could not be fetched from {self._url} {reason}. Give its file, or set packages.registry."
            ) from error

    @asynccontextmanager
    async def _answer(self, path: str) -> "AsyncIterator[httpx.Response]":
        import httpx

        async with (
            httpx.AsyncClient(follow_redirects=True, max_redirects=5, timeout=self._seconds) as client,
            client.stream("GET", f"{self._url}/{path}") as answer,
        ):
            yield answer
