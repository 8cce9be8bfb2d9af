"""Attempts that wait for each other, so that no number of them at one moment is more than the throttle lets pass.

A failure is counted when the proof was looked at; whoever sent a thousand guesses at once would have them all looked at before
the first one counts. Hence one attempt at a time for an account from one site, and a few for a network. Each process takes
its own turns: so many more guesses pass as there are processes. It also bounds the memory of hashes (RFC 9106: 64 MiB each).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from smart_auth import opaque
from smart_auth.errors import slow_down
from smart_auth.throttle import Attempt, network, site

AT_ONCE = 4
"""Attempts of all networks whose proofs are looked at at the same moment."""

FROM_ONE_NETWORK = 2
MOST_WAITING = 32
SECONDS = 2


class Turns:
    """The attempts of one process."""

    def __init__(self) -> None:
        self._accounts: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._networks: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._all = asyncio.Semaphore(AT_ONCE)
        self._here: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, attempt: Attempt) -> AsyncIterator[None]:
        """Wait for the turn of an attempt; check the throttle, look at the proof and count the failure inside.

        Raises:
            OAuthError: `slow_down`; too many of this network wait already.
        """
        place = network(attempt.address)
        if self._here[place] >= MOST_WAITING:
            raise slow_down(SECONDS)
        account = f"{attempt.what} {opaque.digest(attempt.account)} {site(attempt.address)}"
        lock = self._accounts.setdefault(account, asyncio.Lock())
        few = self._networks.setdefault(place, asyncio.Semaphore(FROM_ONE_NETWORK))
        self._here[place] += 1
        try:
            async with lock, few, self._all:
                yield
        finally:
            self._here[place] -= 1
            if not self._here[place]:
                del self._here[place]
