"""What makes a facility reach a patient of another one, and what forbids it: rows that follow from resources.

`relations` has a row for each resource that makes a treatment relationship, `objections` one for each Consent by which a patient
denies that the record is shared. Both are written in the unit of work of their resource and hold ids and times only.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import IndexModel, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures
from fhir_server.store.creation import create
from fhir_server.store.reads import PART_OF

RELATIONS, OBJECTIONS = "relations", "objections"
EVERYBODY = "*"
"""Recipient of an objection to everybody."""


@dataclass(frozen=True, slots=True)
class Tie:
    """One relationship that a resource makes.

    Attributes:
        who: `Organization/id`, `PractitionerRole/id` or `Practitioner/id`.
        start: First moment.
        end: First moment after it.
        purposes: Codes of purposes that it is limited to, empty for any.
    """

    who: str
    start: datetime
    end: datetime
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Objection:
    """A patient's denial to share.

    Attributes:
        patient: The patient.
        custodian: Facility that keeps the patient's record.
        who: Recipients, as in `Tie`, or `EVERYBODY`.
        start: First moment.
        end: First moment after it.
        purposes: Codes of purposes that it is limited to, empty for any.
    """

    patient: str
    custodian: str
    who: tuple[str, ...]
    start: datetime
    end: datetime
    purposes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Keeper:
    """Where a resource belongs.

    Attributes:
        custodian: Organization that keeps it.
        organization: Organization that it states to be part of, empty for none.
        patient: Patient in whose compartment it is, empty for none or several.
    """

    custodian: str
    organization: str = ""
    patient: str = ""


class Relations:
    """The rows of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        options: dict[str, Any] = {
            "write_concern": WriteConcern("majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        self._relations = database.get_collection(RELATIONS, **options)
        self._objections = database.get_collection(OBJECTIONS, **options)

    async def open(self) -> None:
        """Create the collections and indexes; inside a transaction that would be too late (see `unit_of_work`)."""
        for name in (RELATIONS, OBJECTIONS):
            await create(self._database, name)
        by_who = IndexModel([("ties.w", 1), ("ties.to", 1)], name="who")
        await self._relations.create_indexes([by_who, IndexModel("via", name="via", sparse=True)])
        await self._objections.create_indexes([IndexModel([("w", 1), ("f", 1), ("to", 1)], name="who")])

    async def related(self, who: Collection[str], purpose: str, now: datetime) -> frozenset[str]:
        """Return the patients with whom one of these has a relationship now.

        Args:
            who: Facilities, a role and a person, as in `Tie`.
            purpose: Code of the purpose that the caller has.
            now: The time.

        Raises:
            Unavailable: The database cannot be reached.
        """
        tie = {
            "w": {"$in": sorted(who)},
            "to": {"$gt": now},
            "from": {"$lte": now},
            "pu": {"$in": [None, purpose]},
        }
        try:
            cursor = self._relations.find({"ties": {"$elemMatch": tie}}, {"_id": 0, "p": 1}, batch_size=10_000)
            return frozenset([patient async for row in cursor for patient in row["p"]])
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def objections(self, who: Collection[str], custodians: Collection[str], now: datetime) -> Sequence[Objection]:
        """Return the objections to one of these, or to everybody, that hold now or later, of patients of some facilities.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not custodians:
            return ()
        where = {
            "w": {"$in": sorted({*who, EVERYBODY})},
            "f": {"$in": sorted(custodians)},
            "to": {"$gt": now},
        }
        try:
            rows = await self._objections.find(where, batch_size=10_000).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [
            Objection(row["p"], row["f"], tuple(row["w"]), row["from"], row["to"], tuple(row.get("pu", ())))
            for row in rows
        ]

    async def relate(
        self, source: str, patients: Collection[str], ties: Sequence[Tie], session: AsyncClientSession, via: str = ""
    ) -> None:
        """Make these the relationships that a resource makes, instead of those that it made before.

        Args:
            source: `Type/id`.
            patients: Patients of the relationships; of none, and without ties, the row goes.
            ties: The relationships.
            session: Of the unit of work.
            via: Resource that the relationships depend on besides, `Type/id`.
        """
        if not patients or not ties:
            await self._relations.delete_one({"_id": source}, session=session)
            return
        row: dict[str, Any] = {"p": sorted(patients), "ties": [_tie(one) for one in ties]}
        row |= {"via": via} if via else {}
        await self._relations.replace_one({"_id": source}, row, upsert=True, session=session)

    async def end_via(self, via: str, session: AsyncClientSession) -> None:
        """End all relationships that depend on a resource."""
        await self._relations.delete_many({"via": via}, session=session)

    async def object(self, source: str, objection: Objection | None, session: AsyncClientSession) -> None:
        """Make this the objection of a Consent, instead of the one that it was before; `None` for no objection."""
        if objection is None:
            await self._objections.delete_one({"_id": source}, session=session)
            return
        row: dict[str, Any] = {
            "p": objection.patient,
            "f": objection.custodian,
            "w": list(objection.who),
            "from": objection.start,
            "to": objection.end,
        }
        row |= {"pu": list(objection.purposes)} if objection.purposes else {}
        await self._objections.replace_one({"_id": source}, row, upsert=True, session=session)

    async def documents(
        self, resource_type: str, where: Mapping[str, Any], session: AsyncClientSession
    ) -> Sequence[Mapping[str, Any]]:
        """Return live documents of a unit's own making or finding, without their wire form, for what is derived of them."""
        return await self._database[resource_type].find(where, {"j": 0}, session=session).to_list()


def _tie(tie: Tie) -> dict[str, Any]:
    row: dict[str, Any] = {"w": tie.who, "from": tie.start, "to": tie.end}
    return row | ({"pu": list(tie.purposes)} if tie.purposes else {})


def keeper(row: Mapping[str, Any]) -> Keeper:
    """Return where a live resource belongs (`reads.KEEPERS`)."""
    found = (str(row["r"].get(name, {}).get("reference", "")).partition("/") for name in PART_OF)
    organization = next((one for kind, _, one in found if kind == "Organization"), "")
    return Keeper(row.get("f", ""), organization, row.get("p", ""))
