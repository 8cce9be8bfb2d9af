"""Seals: every minute one process of all signs how far every lane has come, when every row that is due is in a link.

Whoever finds rows that nobody has linked, because their process died between storing and linking them, links them in its own
lane. How far that has been looked at is in each seal, so nothing is looked at twice.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from fhir_server.audit.chain import EPOCH, ID, START, Row, first_id, link_id, merkle_root, place, seal
from fhir_server.audit.keys import SigningKey
from fhir_server.audit.lane import Lane
from fhir_server.audit.pieces import split
from fhir_server.model.errors import FhirError
from fhir_server.store.chain import Chain

GRACE = timedelta(seconds=90)
"""Age at which a row is linked by others: a transaction lives no longer than 60 s, and a lane links within one."""

SKEW = timedelta(minutes=3)
"""How much earlier than the last seal a link may say that it was made, and yet be stored after it."""

AT_ONCE = 1000


class Sealer:
    """Seals the lanes of all processes.

    Args:
        chain: Where seals are kept.
        clock: The database's time.
        lane: That of this process.
        key: What seals are signed with.
        every: Seconds from seal to seal.
    """

    def __init__(self, chain: Chain, clock: Callable[[], datetime], lane: Lane, key: SigningKey, every: float) -> None:
        self._chain = chain
        self._clock = clock
        self._lane = lane
        self._key = key
        self._every = every

    async def keep(self, *, alone: bool) -> None:
        """Publish the key, and seal for as long as this runs.

        Args:
            alone: Whether no other process works on this record, so that what is not linked now never will be.
        """
        log = structlog.get_logger("audit")
        is_published = False
        grace = timedelta() if alone else GRACE
        while True:
            try:
                if not is_published:
                    await self.publish()
                    is_published = True
                if await self._is_due():
                    await self.seal(grace)
                    grace = GRACE
            except FhirError as error:
                log.warning("seal_failed", error=type(error).__name__)
            await asyncio.sleep(self._every)

    async def publish(self) -> None:
        """Publish the public key, where it is not yet."""
        await self._chain.publish({"_id": self._key.id, "t": self._clock(), "jwk": dict(self._key.public)})

    async def close(self) -> None:
        """Seal what this process has linked; a database that is gone is left alone."""
        with contextlib.suppress(FhirError):
            await self.seal()

    async def seal(self, grace: timedelta = GRACE) -> bool:
        """Link what others left, and seal; return whether there was something to seal and this process did it.

        Args:
            grace: Age at which rows that are not linked are linked here.

        Raises:
            Unavailable: The database cannot be reached.
        """
        last = await self._chain.last_seal()
        began = last["w"] if last else EPOCH
        until = max(began, self._clock() - grace)
        await self._adopt(began, until)
        grown = await self._grown(last)
        if not grown:
            return False
        heads: list[Row] = []
        for lane, links in groupby(grown, key=lambda row: place(row["_id"])[0]):
            *_, head = links
            heads.append({"l": lane, "n": place(head["_id"])[1], "h": bytes(head["h"])})
        number = int(last["_id"]) + 1 if last else 1
        root = merkle_root([bytes(row["h"]) for row in grown])
        row = seal(number, self._clock(), until, heads, root, bytes(last["h"]) if last else START)
        return await self._chain.seal({**row, "kid": self._key.id, "sig": self._key.sign(row["h"])})

    async def _is_due(self) -> bool:
        last = await self._chain.last_seal()
        return last is None or self._clock() - last["t"] >= timedelta(seconds=0.8 * self._every)

    async def _adopt(self, began: datetime, until: datetime) -> None:
        """Link the rows of a stretch of time that nobody has linked."""
        await self._lane.flush()
        after, last = first_id(began), first_id(until)
        due = await self._chain.count_events(after, last)
        if not due:
            return
        low, high = _packed(after), _packed(last)
        linked: set[bytes] = set()
        for ids in await self._chain.ids_since(began - SKEW if began > EPOCH else began):
            linked.update(one for at in range(0, len(ids), ID) if low < (one := ids[at : at + ID]) <= high)
            await asyncio.sleep(0)
        if len(linked) >= due:
            return
        left = [one for one in await self._chain.event_ids(after, last) if _packed(one) not in linked]
        if left:
            structlog.get_logger("audit").warning("rows_linked_for_others", count=len(left))
        for start in range(0, len(left), AT_ONCE):
            async for piece in self._chain.raw_events(left[start : start + AT_ONCE]):
                self._lane.take([*split(piece)])
            await self._lane.flush()

    async def _grown(self, last: Row | None) -> list[Row]:
        """Return the links that no seal covers, by lane and number."""
        recent = await self._chain.heads_since(last["t"] - SKEW if last else EPOCH)
        heads = {head["l"]: head["n"] for head in last["heads"]} if last else {}
        found: list[Row] = []
        for lane, rows in groupby(
            sorted(recent, key=lambda row: str(row["_id"])), key=lambda row: place(row["_id"])[0]
        ):
            links = [*rows]
            if last and lane not in heads:
                covering = await self._chain.seal_of(lane)
                heads[lane] = next((head["n"] for head in covering["heads"] if head["l"] == lane), 0) if covering else 0
            known = heads.get(lane, 0)
            new = [row for row in links if place(row["_id"])[1] > known]
            if new and place(new[0]["_id"])[1] > known + 1:  # it was made long before it was stored
                new = await self._chain.stretch(link_id(lane, known + 1), new[-1]["_id"])
            found += new
        return found


def _packed(event_id: str) -> bytes:
    return bytes.fromhex(event_id.replace("-", ""))
