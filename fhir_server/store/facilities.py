"""What the hierarchy is made of, read as of one moment, and the number that tells that it has changed.

Two rows of `meta` count up: the version of the hierarchy, and the epoch of all that is known of tokens and of who may reach
what (`store.authorization`). A unit that changes either of them raises them itself, so that no process relies on what was
before once the unit has committed. Units that raise the same row collide, and one of them begins again: what a unit has read
of the hierarchy still holds when it commits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import commands, direct, failures
from fhir_server.store.authorization import EPOCH, META

KEY = "facilities"
LOCK = "reach"
"""Name of the lock that units hold which change what somebody may reach."""

AT_ONCE = 500

ORGANIZATION, AFFILIATION, LOCATION = "Organization", "OrganizationAffiliation", "Location"
NEEDED: Mapping[str, Mapping[str, int]] = {
    name: {f"r.{element}": 1 for element in elements}
    for name, elements in {
        ORGANIZATION: ("id", "active", "type", "name", "partOf", "extension"),
        AFFILIATION: ("id", "active", "period", "organization", "participatingOrganization", "code", "extension"),
        LOCATION: ("id", "name", "physicalType", "partOf"),
    }.items()
}
"""What the hierarchy goes by, of each type."""

Resource = Mapping[str, Any]


Versions = Mapping[str, int]
"""Ids of resources, each with the version that somebody has read already."""


@dataclass(frozen=True, slots=True)
class Read:
    """The resources of one type, without what the hierarchy does not need.

    Attributes:
        versions: Those that there are.
        changed: Those of another version than was known.
    """

    versions: Versions
    changed: Mapping[str, Resource]


@dataclass(frozen=True, slots=True)
class Census:
    """What the hierarchy is made of, as of one moment, and which version of it that is."""

    version: int
    organizations: Read
    affiliations: Read


class Facilities:
    """The hierarchy of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._meta = database[META]

    async def open(self) -> None:
        """Create the rows; inside a transaction that would be too late (see `unit_of_work`)."""
        for key in (KEY, EPOCH):
            await self._meta.update_one({"_id": key}, {"$setOnInsert": {"n": 0}}, upsert=True)

    async def version(self) -> int:
        """Return the version of now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            row = await self._meta.find_one({"_id": KEY})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return int(row["n"]) if row else 0

    async def read(self, organizations: Versions, affiliations: Versions) -> Census:
        """Return what has changed, as of one moment.

        Args:
            organizations: What is known of Organizations.
            affiliations: What is known of affiliations.

        Raises:
            Unavailable: The database cannot be reached.
        """
        plain = self._database.with_options(read_concern=ReadConcern(), read_preference=ReadPreference.PRIMARY)
        try:
            async with self._database.client.start_session(snapshot=True) as session:
                row = await plain[META].find_one({"_id": KEY}, session=session)
                found = [
                    await _changed(plain, ORGANIZATION, organizations, session),
                    await _changed(plain, AFFILIATION, affiliations, session),
                ]
        except PyMongoError as error:
            raise failures.expected(error) from error
        return Census(int(row["n"]) if row else 0, *found)

    async def one(self, resource_type: str, resource_id: str, session: AsyncClientSession) -> Resource | None:
        """Return what the hierarchy needs of a resource as the unit of the session sees it, `None` where it is not there."""
        row = await self._database[resource_type].find_one({"_id": resource_id}, NEEDED[resource_type], session=session)
        return row["r"] if row else None

    async def referring(
        self, resource_type: str, parameters: Sequence[str], target: str, session: AsyncClientSession
    ) -> list[Resource]:
        """Return what the hierarchy needs of the resources of which a reference parameter leads to a target `Type/id`."""
        found = {"rf": target, "$or": [{f"s.{parameter}": target} for parameter in parameters]}
        rows = await self._database[resource_type].find(found, NEEDED[resource_type], session=session).to_list()
        return [row["r"] for row in rows]

    async def kept(self, organization: str, types: Sequence[str], session: AsyncClientSession | None) -> Sequence[str]:
        """Return the types of the resources that are in the custody of an Organization, itself left out.

        Args:
            organization: Its id.
            types: Where to look, sorted.
            session: Of the unit of work whose own writes count.
        """

        def where(name: str) -> dict[str, Any]:
            return {"f": organization} | ({"_id": {"$ne": organization}} if name == ORGANIZATION else {})

        if session is None:
            return [row["t"] for row in await commands.united(self._database, types, where)]
        asked = ((name, self._database[name].find_one(where(name), {"_id": 1}, session=session)) for name in types)
        return [name for name, found in asked if await found]

    async def alike(self, own: Collection[str], others: Collection[str]) -> int:
        """Return how many Patients of some facilities share an identifier with a Patient of others.

        Raises:
            Unavailable: The database cannot be reached.
        """
        there = {"$in": sorted(others)}
        try:
            rows = self._database["Patient"].find({"f": {"$in": sorted(own)}}, {"_id": 0, "s.identifier": 1})
            count = 0
            waiting: list[frozenset[str]] = []
            async for row in rows:
                waiting.append(frozenset(_texts(row.get("s", {}).get("identifier"))))
                if len(waiting) == AT_ONCE:
                    count += await self._shared(waiting, there)
                    waiting = []
            return count + await self._shared(waiting, there)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _shared(self, patients: Sequence[frozenset[str]], there: Mapping[str, Any]) -> int:
        every = sorted(frozenset[str]().union(*patients))
        if not every:
            return 0
        found = {"s.identifier": {"$in": every}, "f": there}
        known: set[str] = set()
        async for row in self._database["Patient"].find(found, {"_id": 0, "s.identifier": 1}):
            known.update(_texts(row["s"]["identifier"]))
        return sum(not one.isdisjoint(known) for one in patients)

    async def raise_version(self, session: AsyncClientSession) -> None:
        """Tell, when the unit of the session commits, that the hierarchy has changed, and with it what somebody may reach."""
        await raise_version(self._database, session)

    async def raise_epoch(self, session: AsyncClientSession) -> None:
        """Tell, when the unit of the session commits, that what somebody may reach has changed."""
        await _raise(self._database, [EPOCH], session)


async def raise_version(database: AsyncDatabase[Any], session: AsyncClientSession) -> None:
    """Do what `Facilities.raise_version` does."""
    await _raise(database, [KEY, EPOCH], session)


async def _raise(database: AsyncDatabase[Any], keys: Sequence[str], session: AsyncClientSession) -> None:
    updates = [{"q": {"_id": {"$in": keys}}, "u": {"$inc": {"n": 1}}, "multi": True}]
    await direct.ask(database, {"update": META, "updates": updates}, session=session)


def _texts(value: Any) -> Sequence[str]:
    """Return the index entries of a parameter, which are one text or several."""
    return [value] if isinstance(value, str) else value or ()


async def _changed(
    database: AsyncDatabase[Any], resource_type: str, known: Versions, session: AsyncClientSession
) -> Read:
    rows = database[resource_type].find({}, {"v": 1}, session=session)
    versions = {row["_id"]: int(row["v"]) async for row in rows}
    new = [one for one, version in versions.items() if known.get(one) != version]
    wanted = {"_id": {"$in": new}} if known else {}  # the first time it is all of them
    changed = database[resource_type].find(wanted, NEEDED[resource_type], session=session) if new else None
    return Read(versions, {row["_id"]: row["r"] async for row in changed} if changed else {})
