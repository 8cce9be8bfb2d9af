"""Which Patients a human has confirmed to be one person: one row for each, with its confirmed links, both ways.

The rows are what access goes by. `Patient.link` tells of them, but anybody who may write a Patient may write that; a row is
written by `$link` and `$merge` only, in the same transaction as the Patients.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.creation import create

COLLECTION = "patient_links"
MOST = 50
"""Patients that can be one person; where more are joined, what is farther away is not reached."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """One link of a Patient.

    Attributes:
        other: The Patient that is the same person.
        kind: `seealso` for records that stay apart, `replaces` and `replaced-by` for a duplicate (Patient.link.type).
        by: User who confirmed it.
        at: When.
        person: Person that joins both, empty for none.
        before: Version of this Patient before it was linked.
    """

    other: str
    kind: str
    by: str
    at: datetime
    person: str = ""
    before: int = 0


class PatientLinks:
    """The rows of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._rows = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))

    async def open(self) -> None:
        """Create the collection; inside a transaction that would be too late (see `unit_of_work`)."""
        await create(self._database, COLLECTION)

    async def of(
        self, patients: Collection[str], session: AsyncClientSession | None = None
    ) -> Mapping[str, Sequence[Confirmed]]:
        """Return the links of some Patients, by patient; without those that have none.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not patients:
            return {}
        try:
            cursor = self._rows.find({"_id": {"$in": sorted(patients)}, "links.0": {"$exists": True}}, session=session)
            return {row["_id"]: [_confirmed(one) for one in row["links"]] async for row in cursor}
        except PyMongoError as error:
            raise failures.outward(error, session) from error

    async def reached(
        self, patients: Collection[str], session: AsyncClientSession | None = None, most: int = MOST
    ) -> frozenset[str]:
        """Return the Patients and all that links lead to from them, over several steps; never more than `most` further ones.

        Raises:
            Unavailable: The database cannot be reached.
        """
        found, nearest = set(patients), set(patients)
        room = len(found) + most
        while nearest:
            links = await self.of(nearest, session)
            new = sorted({one.other for each in links.values() for one in each} - found)
            nearest = set(new[: room - len(found)])
            found |= nearest
        return frozenset(found)

    async def put(self, patient: str, link: Confirmed, session: AsyncClientSession) -> None:
        """Add a link of one Patient; the caller does so for both."""
        await self.take(patient, link.other, session)
        change = {"$push": {"links": _row(link)}}
        await self._rows.update_one({"_id": patient}, change, upsert=True, session=session)

    async def take(self, patient: str, other: str, session: AsyncClientSession) -> None:
        """Remove the link of one Patient to another."""
        await self._rows.update_one({"_id": patient}, {"$pull": {"links": {"id": other}}}, session=session)


def _row(link: Confirmed) -> dict[str, Any]:
    row = {"id": link.other, "kind": link.kind, "by": link.by, "at": link.at, "person": link.person, "v": link.before}
    return {name: value for name, value in row.items() if value not in ("", 0)}


def _confirmed(row: Mapping[str, Any]) -> Confirmed:
    return Confirmed(row["id"], row["kind"], row.get("by", ""), row["at"], row.get("person", ""), int(row.get("v", 0)))
