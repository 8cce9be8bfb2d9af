"""What subscribers may see at this moment: the mandates of their Subscriptions, compiled, and asked for anew every two seconds."""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.notifications.register import Subscribed
from fhir_server.repository import Repository

FRESH = 2.0
"""Seconds for which a mandate is taken to reach what it did."""

Scopes = Callable[[Mapping[str, Any], datetime], Awaitable[ScopeFilter]]
"""Mandate, and when it was given, to what it reaches now; raises `Forbidden` when it is over."""

Telling = Callable[[str, ScopeFilter], AbstractAsyncContextManager[Repository]]
"""Yields the repository within a scope; what is read there for a Subscription leaves a row in the trail before it is told."""


@dataclass(slots=True)
class Reaches:
    """What subscribers may see.

    Attributes:
        scopes: Compiles mandates.
    """

    scopes: Scopes
    _known: dict[tuple[str, datetime], tuple[float, ScopeFilter]] = field(default_factory=dict)

    async def scope(self, one: Subscribed) -> ScopeFilter:
        """Return what the mandate of a Subscription reaches now.

        Raises:
            Forbidden: It is over.
            Unavailable: The database cannot be reached.
        """
        now = time.monotonic()
        known = self._known.get((one.run, one.given))
        if known and now - known[0] < FRESH:
            return known[1]
        self._known = {key: value for key, value in self._known.items() if now - value[0] < FRESH}
        found = await self.scopes(one.mandate, one.given)
        self._known[one.run, one.given] = now, found
        return found

    async def repository(self, one: Subscribed, whole: Repository) -> Repository:
        """Return a repository within what the mandate of a Subscription reaches now; raises like `scope`."""
        return replace(whole, scope=await self.scope(one))
