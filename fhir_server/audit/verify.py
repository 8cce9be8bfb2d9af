"""Checks a whole trail: every row against its link, every link against the one before, every seal against the links and its key.

Rows and links are read side by side about in the order of time, and what has met is forgotten, so that memory holds only what is still
looking for its other half. Rows are never decoded: the bytes of a row are found by its length, and hashed.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from struct import Struct
from time import perf_counter
from typing import Any

from fhir_server.audit.chain import (
    EPOCH,
    FIRST,
    LAST,
    MILLISECOND,
    START,
    SUM,
    Row,
    link_hash,
    merkle_root,
    named,
    place,
    seal_hash,
)
from fhir_server.audit.keys import is_signed
from fhir_server.audit.pieces import split
from fhir_server.store.chain import Chain

MOST = 100
"""Faults that are told."""

AHEAD = timedelta(seconds=10)
"""How far links are read ahead of the rows."""

PATIENCE = timedelta(minutes=4)
"""Age at which a row must be in a link, and a link in a seal, when servers run."""

_BEFORE_ID = b"\x02_id\x00" + (LAST - FIRST + 1).to_bytes(4, "little")
_LENGTH = Struct("<i").unpack_from


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was stored.

    Attributes:
        what: What is wrong, in a sentence.
        lane: The lane, empty for a seal or a row without link.
        number: Number of the link in its lane, or of the seal.
        event: Id of the row, where it is one.
    """

    what: str
    lane: str = ""
    number: int = 0
    event: str = ""


@dataclass(slots=True)
class Report:
    """What was checked.

    Attributes:
        rows: Rows of the trail.
        links: Links.
        lanes: Lanes.
        seals: Seals.
        unlinked: Rows without link that should have one.
        unsealed: Links without seal that should have one; the last ones of a server that ended without notice.
        seconds: Time that it took.
        faults: What is wrong, in the order in which it was found; the first 100.
    """

    rows: int = 0
    links: int = 0
    lanes: int = 0
    seals: int = 0
    unlinked: int = 0
    unsealed: int = 0
    seconds: float = 0.0
    faults: list[Fault] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


async def verify(
    chain: Chain, now: datetime, keys: Mapping[str, Mapping[str, Any]], patience: timedelta = PATIENCE
) -> Report:
    """Check the trail.

    Args:
        chain: The trail's links, seals and rows.
        now: The database's time.
        keys: Public keys by id.
        patience: Age at which a row must be in a link, and a link in a seal.

    Raises:
        Unavailable: The database cannot be reached.
    """
    began = perf_counter()
    check = _Check(chain, keys)
    await check.run(now - patience)
    check.report.seconds = perf_counter() - began
    return check.report


@dataclass(slots=True)
class _Lane:
    """What was seen of a lane: its last link, and the links that no seal has covered yet."""

    number: int = 0
    hash: bytes = START
    open: deque[tuple[int, bytes, datetime]] = field(default_factory=deque)


class _Check:
    """One run."""

    def __init__(self, chain: Chain, keys: Mapping[str, Mapping[str, Any]]) -> None:
        self.report = Report()
        self._chain = chain
        self._keys = keys
        self._lanes: dict[str, _Lane] = {}
        self._expected: dict[bytes, str] = {}
        self._met_none: dict[bytes, bytes] = {}
        self._links: AsyncIterator[Row] = chain.all_rows()
        self._seals: AsyncIterator[Row] = chain.all_seals()
        self._ahead: Row | None = None
        self._seal: Row | None = None
        self._seal_number = 0
        self._seal_hash = START

    async def run(self, due: datetime) -> None:
        """Check everything; what was stored after `due` may still lack its link."""
        self._seal = await anext(self._seals, None)
        async for piece in self._chain.all_raw_events():
            # First what is expected of them: a row that is met before its link has to be remembered.
            await self._take_links(_moment(_last_id(piece)) + AHEAD)
            self._take_rows(piece)
        await self._take_links(None)
        while self._seal:  # of these some head was not reached
            await self._take_seal(self._seal)
        altered = await self._tell_expected()
        self._tell_unlinked(due, altered)
        report = self.report
        report.lanes = len(self._lanes)
        report.unsealed = sum(moment < due for lane in self._lanes.values() for _, _, moment in lane.open)

    def _take_rows(self, piece: bytes) -> None:
        """Match rows with what links expect. The loop that decides how fast all this is."""
        expected, met_none, hashed, length = self._expected.pop, self._met_none, sha256, _LENGTH
        end_of_name = piece.index
        at, end, count = 0, len(piece), 0
        while at < end:
            at = end_of_name(0, at) + 1
            following = at + length(piece, at)[0]
            row = piece[at:following]
            digest = hashed(row).digest()
            if expected(digest, None) is None:
                met_none[digest] = row[FIRST:LAST]
            at = following
            count += 1
        self.report.rows += count

    async def _take_links(self, until: datetime | None) -> None:
        """Read links that were made up to a moment."""
        while True:
            row = self._ahead or await anext(self._links, None)
            if row is None:
                return
            if until and row["t"] > until:
                self._ahead = row
                return
            self._ahead = None
            self._take_link(row)
            while self._seal and self._is_reached(self._seal):
                await self._take_seal(self._seal)

    def _take_link(self, row: Row) -> None:
        name, number = place(row["_id"])
        lane = self._lanes.setdefault(name, _Lane())
        self.report.links += 1
        if number != lane.number + 1:
            self._fault(
                f"Link {lane.number + 1} is missing; the next one that there is is {number}.", name, lane.number + 1
            )
        elif bytes(row["p"]) != lane.hash:
            self._fault("The link does not follow the one before it.", name, number)
        if link_hash(row) != bytes(row["h"]):
            self._fault("The link was altered.", name, number)
        lane.number, lane.hash = number, bytes(row["h"])
        lane.open.append((number, lane.hash, row["t"]))
        sums, link_id = bytes(row["s"]), str(row["_id"])
        expected, met_none = self._expected, self._met_none
        digests = [sums[at : at + SUM] for at in range(0, len(sums), SUM)]
        if met_none:
            digests = [digest for digest in digests if met_none.pop(digest, None) is None]
        expected.update(dict.fromkeys(digests, link_id))

    def _is_reached(self, seal: Row) -> bool:
        """Return whether all links that a seal covers were read."""
        return all(head["l"] in self._lanes and self._lanes[head["l"]].number >= head["n"] for head in seal["heads"])

    async def _take_seal(self, row: Row) -> None:
        self.report.seals += 1
        number = int(row["_id"])
        if number != self._seal_number + 1:
            self._fault(f"Seal {self._seal_number + 1} is missing; the next one that there is is {number}.", "", number)
        elif bytes(row["p"]) != self._seal_hash:
            self._fault(f"Seal {number} does not follow the one before it.", "", number)
        digest = seal_hash(row)
        key = self._keys.get(row["kid"])
        if digest != bytes(row["h"]):
            self._fault(f"Seal {number} was altered.", "", number)
        elif key is None or not is_signed(key, digest, bytes(row["sig"])):
            self._fault(f"Seal {number} is not signed by a key of this deployment ({row['kid']}).", "", number)
        self._compare(row, number)
        self._seal_number, self._seal_hash = number, bytes(row["h"])
        self._seal = await anext(self._seals, None)

    def _compare(self, row: Row, number: int) -> None:
        """Compare a seal with the links that it covers."""
        leaves: list[bytes] = []
        is_whole = True
        for head in row["heads"]:
            lane = self._lanes.setdefault(head["l"], _Lane())
            covered: list[tuple[int, bytes, datetime]] = []
            while lane.open and lane.open[0][0] <= head["n"]:
                covered.append(lane.open.popleft())
            leaves += [one for _, one, _ in covered]
            if not covered or covered[-1][0] != head["n"]:
                last = covered[-1][0] if covered else min(lane.number, head["n"] - 1)
                self._fault(f"The lane ends too early: seal {number} has its link {head['n']}.", head["l"], last + 1)
                is_whole = False
            elif covered[-1][1] != bytes(head["h"]):
                self._fault(f"The link is not the one that seal {number} has.", head["l"], head["n"])
        if is_whole and merkle_root(leaves) != bytes(row["root"]):
            self._fault(f"Seal {number} covers other links than there are.", "", number)

    async def _tell_expected(self) -> set[str]:
        """Tell of rows that links stand for and that were not met; return the ids of those that were altered."""
        altered: set[str] = set()
        for digest, link_id in [*self._expected.items()]:
            if len(self.report.faults) >= MOST:
                break
            lane, number = place(link_id)
            link = await self._chain.row(link_id)
            sums = bytes(link["s"]) if link else b""
            index = next((at // SUM for at in range(0, len(sums), SUM) if sums[at : at + SUM] == digest), None)
            if link is None or index is None:
                self._fault("The link has changed while it was checked.", lane, number)
                continue
            event = [*named(bytes(link["i"]))][index]
            there = [row async for piece in self._chain.raw_events([event]) for row in split(piece)]
            if not there:
                self._fault(f"Row {index + 1} of the link was removed.", lane, number, event)
            elif sha256(there[0]).digest() != digest:
                altered.add(event)
                self._fault(f"Row {index + 1} of the link was altered.", lane, number, event)
        return altered

    def _tell_unlinked(self, due: datetime, altered: set[str]) -> None:
        """Tell of rows that are in no link, though they are old enough."""
        ids = [one.decode("ascii", "replace") for one in self._met_none.values()]
        late = sorted(one for one in ids if one not in altered and _moment(one.encode()) < due)
        self.report.unlinked = len(late)
        if late:
            self._fault(f"{len(late)} rows are in no link; the first one is named.", event=late[0])

    def _fault(self, what: str, lane: str = "", number: int = 0, event: str = "") -> None:
        if len(self.report.faults) < MOST:
            self.report.faults.append(Fault(what, lane, number, event))


def _last_id(piece: bytes) -> bytes:
    """Return the id of the last row, by which it is decided how far links are read; nothing else rests on it."""
    at = piece.rfind(_BEFORE_ID) + len(_BEFORE_ID)
    return piece[at : at + LAST - FIRST]


def _moment(event_id: bytes) -> datetime:
    """Return when an id was made (RFC 9562 5.7); of what is no such id, the beginning of time."""
    try:
        return EPOCH + int(event_id[:13].replace(b"-", b""), 16) * MILLISECOND
    except (ValueError, OverflowError):
        return EPOCH
