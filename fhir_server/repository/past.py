"""One page of history, with the horizon up to which nothing can be added any more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fhir_server.model import instant
from fhir_server.model.errors import NotFound
from fhir_server.model.query import ANYTHING, Where
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Stored
from fhir_server.search import page
from fhir_server.search.page import Cursor, Sealing
from fhir_server.search.types.date import Interval
from fhir_server.store import Position, Store

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """Whose history, and which part of it.

    Attributes:
        type_name: Resource type, empty for all.
        id: Logical id, empty for all of the type.
        since: Only versions made at or after this moment.
        at: Only versions that were current at some moment of this interval.
        count: Most versions of the page.
        cursor: Token of the page, empty for the first.
        seen: Whether `since` asks for what became visible to patients since, too.
    """

    type_name: str
    id: str
    since: datetime | None
    at: Interval | None
    count: int
    cursor: str
    seen: bool = False

    @property
    def place(self) -> str:
        """What a paging link belongs to, as `page` asks for it."""
        return f"{self.type_name}/{self.id}/_history"

    @property
    def applied(self) -> Pairs:
        """The restrictions that a paging link belongs to."""
        since = (("_since", instant.text(self.since)),) if self.since else ()
        return (*since, *((("_at", str(self.at)),) if self.at else ()))


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of versions, newest first.

    Attributes:
        versions: The versions.
        total: Number of all versions, where it is known.
        horizon: Every version up to this moment is visible; a good next `_since`.
        next: Token of the next page, empty on the last.
    """

    versions: Sequence[Stored]
    total: int | None
    horizon: datetime
    next: str


async def past(
    store: Store,
    request: HistoryRequest,
    where_of: Callable[[str], Where],
    *,
    sealing: Sealing,
    session: Any,
) -> HistoryPage:
    """Return a page of history.

    The horizon is that of the first page on all pages. Versions newer than it are shown, too: it says only how far a later
    `_since` need not look back.

    Raises:
        NotFound: The instance never existed.
        InvalidParameter: The paging link is not ours.
        Gone: The paging link has expired.
    """
    cursor = page.decode(request, sealing)
    position, horizon = None, None
    if cursor:
        moment, tie_break, horizon = cursor.values
        position = Position(moment, tie_break)
    horizon = horizon or await store.horizon()
    found = await store.history(
        request.type_name or None,
        request.id or None,
        where_of,
        since=request.since,
        at=(request.at.low, request.at.high + MILLISECOND) if request.at else None,
        after=position,
        seen=request.seen,
        count=request.count + 1,
        session=session,
    )
    if not found and request.id and not cursor:
        await _require(store, request, where_of(request.type_name), session)
    versions = found[: request.count]
    following = ""
    if len(found) > request.count:
        end = Position.of(versions[-1])
        following = page.encode(Cursor((end.last_updated, end.order, horizon)), request, sealing)
    total = await _total(store, request, versions, where_of, complete=not following and not cursor)
    return HistoryPage(versions, total, horizon, following)


async def _require(store: Store, request: HistoryRequest, where: Where, session: Any) -> None:
    """Refuse the history of what never was; an empty period of what was is an empty bundle."""
    if await store.read(request.type_name, request.id, where, session):
        return
    if await store.last_version(request.type_name, request.id, where, session):
        return
    raise NotFound(f"There is no {request.type_name}/{request.id}, and there never was.")


async def _total(
    store: Store,
    request: HistoryRequest,
    versions: Sequence[Stored],
    where_of: Callable[[str], Where],
    *,
    complete: bool,
) -> int | None:
    """Return the number of all versions where it costs nothing: the page holds all, or version numbers count them."""
    if complete:
        return len(versions)
    if request.id and not request.since and not request.at and where_of(request.type_name) == ANYTHING:
        return versions[0].vid if versions and not request.cursor else None
    return None
