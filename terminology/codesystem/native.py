"""`Native`: a catalogue of the code systems that are known without loading anything: grammars, and lists of standards bodies."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from terminology.catalogue import CodeSystems, whole
from terminology.codesystem import bcp47, mime, ucum
from terminology.codesystem.grammar import Grammar
from terminology.codesystem.provider import CodeSystemProvider
from terminology.codesystem.standards import LISTS
from terminology.concept import Head

Json = dict[str, Any]

MAKERS: Mapping[str, Callable[[], CodeSystemProvider]] = {
    ucum.URL: ucum.Units,
    bcp47.URL: bcp47.Languages,
    mime.URL: mime.MediaTypes,
    **LISTS,
}
"""What makes each code system, by its system URI."""


class Native(CodeSystems):
    """Code systems that are made at the first use, and kept. One instance serves all requests of a process."""

    def __init__(self) -> None:
        self._made: dict[str, CodeSystemProvider] = {}

    async def code_systems(self, url: str) -> Sequence[CodeSystemProvider]:
        """Return the version of a code system that is known here."""
        if url not in MAKERS:
            return ()
        if url not in self._made:
            # Reading a table takes up to a quarter of a second, which other requests do not have to wait for.
            made = await asyncio.to_thread(_made, url)
            self._made.setdefault(url, made)
        found = self._made[url]
        return () if found.head.count == 0 and not found.head.compositional else (found,)

    async def heads(self) -> Sequence[Head]:
        """Return what is said of each code system."""
        return [found.head for url in MAKERS for found in await self.code_systems(url)]

    async def systems_of(self, value_set: str) -> Sequence[str]:
        """Return the code systems of which a value set has all codes."""
        # The lists of standards bodies name none, and to make them takes time.
        made = [one.head for url in MAKERS if url not in LISTS for one in await self.code_systems(url)]
        return whole(made, value_set)


def _made(url: str) -> CodeSystemProvider:
    provider = MAKERS[url]()
    if isinstance(provider, Grammar):
        provider.prepare()
    return provider
