"""For whom the glass was broken: who reaches which patient without a relationship, why, and until when (product.md 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import IndexModel, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures

COLLECTION = "glass"


@dataclass(frozen=True, slots=True)
class Broken:
    """One break of the glass.

    Attributes:
        id: Its id.
        patient: The one patient.
        custodian: Facility that keeps the patient's record.
        user: User who did it.
        role: PractitionerRole that the user works as, as `PractitionerRole/id`.
        facility: Facility that the user acts for.
        at: When.
        until: First moment at which it no longer holds.
        reason: What the user gave as the reason.
        code: Code of the purpose.
        task: The privacy officer's, as `Task/id`.
    """

    id: str
    patient: str
    custodian: str
    user: str
    role: str
    facility: str
    at: datetime
    until: datetime
    reason: str
    code: str
    task: str


_NAMES = {
    "id": "_id", "patient": "p", "custodian": "f", "user": "u", "role": "w", "facility": "by", "at": "at", "until": "until",
    "reason": "reason", "code": "code", "task": "task",
}  # fmt: skip


class Glass:
    """The rows of one database. They stay when they have ended: the privacy officer asks for them."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._rows = database.get_collection(
            COLLECTION, write_concern=WriteConcern("majority", j=True), read_concern=ReadConcern("majority")
        )

    async def open(self) -> None:
        """Create the collection and its indexes; inside a transaction that would be too late (see `unit_of_work`)."""
        await self._rows.create_indexes(
            [
                IndexModel([("u", 1), ("w", 1), ("until", 1)], name="user"),
                IndexModel([("p", 1), ("at", -1)], name="patient"),
            ]
        )

    async def of(self, user: str, role: str, now: datetime) -> Sequence[Broken]:
        """Return what holds now for a user who works in a role.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            rows = await self._rows.find({"u": user, "w": role, "until": {"$gt": now}}).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [Broken(**{name: row[short] for name, short in _NAMES.items()}) for row in rows]

    async def put(self, broken: Broken, session: AsyncClientSession) -> None:
        """Keep a break of the glass when the unit of the session commits."""
        row = {short: getattr(broken, name) for name, short in _NAMES.items()}
        await self._rows.insert_one(row, session=session)

    async def end(self, user: str, role: str, patient: str, now: datetime, session: AsyncClientSession) -> int:
        """End what holds now for a user, role and patient; return how many that were."""
        live = {"u": user, "w": role, "p": patient, "until": {"$gt": now}}
        answer = await self._rows.update_many(live, {"$set": {"until": now}}, session=session)
        return answer.modified_count
