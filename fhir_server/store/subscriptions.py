"""The register of Subscriptions, their events, and how far the versions of the record were gone through for them.

A row of `subscriptions` is written in the unit of work of its Subscription, and says besides how many events there were and how
many the subscriber was told of. `events` has one row for each event, under the id `<run>/<number>`: a run is one life of a
Subscription, and no two events of it can have one number. `outbox` has a single row, the position in the order of all versions;
events are stored in the transaction that moves it on from where it was found, so that each version is gone through once, whoever
dies meanwhile and however many try.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ASCENDING, IndexModel, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.creation import create

REGISTER, EVENTS, OUTBOX, TICKETS = "subscriptions", "subscription_events", "outbox", "subscription_tickets"
POSITION = "position"
KEPT_SECONDS = 24 * 3600
"""So long the row of a Subscription outlives it, for processes that have it in memory."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """How far the versions of the record were gone through: those up to (`lu`, `o`) were.

    Attributes:
        last_updated: `lu` of the last one.
        order: `o` of the last one.
        number: How often it was moved on; whoever moves it must have seen this.
    """

    last_updated: datetime
    order: int
    number: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a subscriber is to be told of: one version of one resource.

    Attributes:
        run: The life of the Subscription that it belongs to.
        number: Its number there, from 1.
        resource_type: Type of the resource.
        id: Its logical id.
        version: Its version.
        method: What made that: POST, PUT, PATCH or DELETE.
        at: When.
    """

    run: str
    number: int
    resource_type: str
    id: str
    version: int
    method: str
    at: datetime


class Moved(Exception):
    """Somebody else has gone through versions meanwhile; nothing was stored."""


class Subscriptions:
    """The rows of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        concern = WriteConcern("majority", j=True)
        self._database = database
        self._rows = database.get_collection(REGISTER, write_concern=concern)
        self._events = database.get_collection(EVENTS, write_concern=concern)
        self._outbox = database.get_collection(OUTBOX, write_concern=concern)
        self._tickets = database.get_collection(TICKETS, write_concern=concern)

    async def open(self) -> None:
        """Create the collections; inside a transaction that would be too late (see `unit_of_work`)."""
        for name in (REGISTER, EVENTS, OUTBOX, TICKETS):
            await create(self._database, name)
        await self._rows.create_indexes(
            [
                IndexModel([("changed", ASCENDING)], name="changed"),
                IndexModel([("gone", ASCENDING)], name="expiry", expireAfterSeconds=KEPT_SECONDS),
            ]
        )
        await self._events.create_indexes([IndexModel([("until", ASCENDING)], name="expiry", expireAfterSeconds=0)])
        await self._tickets.create_indexes([IndexModel([("until", ASCENDING)], name="expiry", expireAfterSeconds=0)])

    async def row(self, subscription: str, session: AsyncClientSession | None = None) -> Row | None:
        """Return the row of a Subscription."""
        try:
            found: Row | None = await self._rows.find_one({"_id": subscription}, session=session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return found

    async def rows(self, ids: Collection[str]) -> list[Row]:
        """Return the rows of Subscriptions."""
        try:
            return await self._rows.find({"_id": {"$in": [*ids]}}).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def marks(self, ids: Collection[str]) -> dict[str, object]:
        """Return what changes of Subscriptions with each event, and when they are written, by id.

        Raises:
            Unavailable: The database cannot be reached.
        """
        fields = {"run": 1, "number": 1, "changed": 1, "gone": 1}
        try:
            rows = await self._rows.find({"_id": {"$in": [*ids]}}, fields).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return {row["_id"]: row for row in rows}

    async def changed(self, since: datetime | None) -> list[Row]:
        """Return the rows that were changed at or after a moment, or all."""
        try:
            return await self._rows.find({"changed": {"$gte": since}} if since else {}).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def write(self, row: Row, session: AsyncClientSession) -> None:
        """Put a row in place of what is there of its Subscription, as far as it says something."""
        said = {name: value for name, value in row.items() if name != "_id"}
        absent = {} if "gone" in row else {"$unset": {"gone": ""}}
        await self._rows.update_one({"_id": row["_id"]}, {"$set": said, **absent}, upsert=True, session=session)

    async def note(self, subscription: str, run: str, **fields: Any) -> None:
        """Note how deliveries of a run go, in its row.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._rows.update_one({"_id": subscription, "run": run}, {"$set": fields})
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def delivered(self, subscription: str, run: str, number: int, at: datetime) -> None:
        """Note that the subscriber was told of all events up to one."""
        fields = {"failures": 0, "tried": None, "sent": at}
        try:
            await self._rows.update_one(
                {"_id": subscription, "run": run}, {"$max": {"delivered": number}, "$set": fields}
            )
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def place(self, first: datetime) -> Place:
        """Return how far versions were gone through; the first time it begins at a moment."""
        new = {"lu": first, "o": 0, "number": 0}
        try:
            row: Row | None = await self._outbox.find_one_and_update(
                {"_id": POSITION}, {"$setOnInsert": new}, upsert=True, return_document=True
            )
        except PyMongoError as error:
            raise failures.expected(error) from error
        found: Row = row or new
        return Place(_utc(found["lu"]), found["o"], found["number"])

    async def move(
        self,
        place: Place,
        to: tuple[datetime, int],
        found: Mapping[str, Sequence[Event]],
        until: datetime,
        session: AsyncClientSession,
    ) -> dict[str, int]:
        """Move on, and store events under the next numbers of their Subscriptions; return those that they had before.

        Args:
            place: Where it was found.
            to: `lu` and `o` of the last version that was gone through.
            found: Events by Subscription, in their order; their numbers are of no account.
            until: When the rows may go.
            session: Of a unit of work.

        Raises:
            Moved: It is not there any more.
        """
        moved = await self._outbox.update_one(
            {"_id": POSITION, "number": place.number},
            {"$set": {"lu": to[0], "o": to[1]}, "$inc": {"number": 1}},
            session=session,
        )
        if not moved.matched_count:
            raise Moved
        before: dict[str, int] = {}
        rows: list[dict[str, Any]] = []
        for subscription, events in found.items():
            run = events[0].run
            row = await self._rows.find_one_and_update(
                {"_id": subscription, "run": run},
                {"$inc": {"number": len(events)}},
                projection={"number": 1},
                session=session,
            )
            if row is None:  # deleted, and perhaps begun anew
                continue
            before[subscription] = row["number"]
            rows += [_event_row(one, row["number"] + place, until) for place, one in enumerate(events, 1)]
        if rows:
            await self._events.insert_many(rows, session=session)
        return before

    async def events(self, run: str, first: int, last: int, most: int) -> list[Event]:
        """Return events of a run by number, at most so many of those from `first` to `last`.

        Raises:
            Unavailable: The database cannot be reached.
        """
        span = {"$gte": _event_id(run, first), "$lte": _event_id(run, last)}
        try:
            found = await self._events.find({"_id": span}).sort("_id", ASCENDING).limit(most).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [_event(row) for row in found]

    async def hand_out(self, token: str, subscriptions: Sequence[str], until: datetime) -> None:
        """Keep what a token to bind a connection is for; `token` is its hash.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._tickets.insert_one({"_id": token, "subscriptions": [*subscriptions], "until": until})
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def handed_out(self, token: str, now: datetime) -> list[str]:
        """Return what a token is for, by its hash; nothing where there is none, or it is over."""
        try:
            row = await self._tickets.find_one({"_id": token, "until": {"$gt": now}})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return list(row["subscriptions"]) if row else []


def kept_until(now: datetime, days: float) -> datetime:
    """Return when what is stored now may go."""
    return now + timedelta(days=days)


def _event_id(run: str, number: int) -> str:
    return f"{run}/{number:012d}"


def _event_row(event: Event, number: int, until: datetime) -> dict[str, Any]:
    return {
        "_id": _event_id(event.run, number),
        "t": event.resource_type,
        "i": event.id,
        "v": event.version,
        "m": event.method,
        "lu": event.at,
        "until": until,
    }


def _event(row: Row) -> Event:
    run, _, number = row["_id"].partition("/")
    return Event(run, int(number), row["t"], row["i"], row["v"], row["m"], _utc(row["lu"]))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
