"""Who has accepted a membership, and for which side: a row for each OrganizationAffiliation that somebody has accepted.

The rows are what counts. Anybody of a directory may write the resource while it is not in force; a row is written by `$invite` and
`$accept` only, with the terms that were accepted, so that nobody's word stands for terms that came later.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.creation import create

COLLECTION = "acceptances"

Side = Literal["network", "member"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The word of one side.

    Attributes:
        user: Account of who gave it.
        person: Who that is in the record, as `Type/id`; empty for nobody.
        at: When.
    """

    user: str
    person: str
    at: datetime

    def is_of(self, user: str, person: str) -> bool:
        """Return whether it was given by this person."""
        return self.user == user or bool(person and person == self.person)


class Acceptances:
    """The rows of one database."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._rows = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))

    async def open(self) -> None:
        """Create the collection; inside a transaction that would be too late (see `unit_of_work`)."""
        await create(self._database, COLLECTION)

    async def read(self, affiliation: str, terms: str, session: AsyncClientSession) -> Mapping[Side, Acceptance]:
        """Return who has accepted these terms of an affiliation."""
        row = await self._rows.find_one({"_id": affiliation, "terms": terms}, session=session)
        return {side: Acceptance(**one) for side, one in row["sides"].items()} if row else {}

    async def write(
        self, affiliation: str, terms: str, sides: Mapping[Side, Acceptance], session: AsyncClientSession
    ) -> None:
        """Keep who has accepted these terms, in place of what was accepted before."""
        rows = {side: {"user": one.user, "person": one.person, "at": one.at} for side, one in sides.items()}
        row = {"_id": affiliation, "terms": terms, "sides": rows}
        await self._rows.replace_one({"_id": affiliation}, row, upsert=True, session=session)
