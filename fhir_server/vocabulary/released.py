"""The large code systems that were loaded from releases (docs/terminology-loading.md)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fhir_server.store import Store
from terminology.catalogue import CodeSystems
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Head

Json = dict[str, Any]

LOADED = "loaded"


class Released(CodeSystems):
    """What is loaded, as this process knows it since the last `refresh`. One instance serves all requests.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._concepts = store.concepts
        self._version = 0
        self._by_url: dict[str, list[CodeSystemProvider]] = {}
        self._turn = asyncio.Lock()

    async def refresh(self) -> None:
        """Learn what is loaded now; it costs one small query.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if await self._concepts.version() == self._version:
            return
        async with self._turn:
            # Asked before the rows: what changes between the two questions is read twice, and not missed.
            version = await self._concepts.version()
            found: dict[str, list[CodeSystemProvider]] = {}
            for row in await self._concepts.rows():
                if row.state == LOADED:
                    found.setdefault(row.head.url, []).append(self._concepts.provider(row))
            self._by_url, self._version = found, version

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return all versions of a code system."""
        return tuple(self._by_url.get(url, ()))

    async def heads(self) -> Sequence[Head]:
        """Return what is said of each version."""
        return tuple(one.head for versions in self._by_url.values() for one in versions)
