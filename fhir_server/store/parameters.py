"""Which search parameters a deployment has added to those of FHIR: one document, with a version that every change raises.

One document, because whoever reads it has all of it as of one version, and because two units that change it at the same time
collide and one begins again: what a unit checked against it still holds when the unit commits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.store import failures
from fhir_server.store.numbers import Numbers
from fhir_server.store.transactions import Again

COLLECTION = "meta"
KEY = "search-parameters"
TRIES = 20

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Register:
    """The document.

    Attributes:
        version: Raised by every change.
        rows: One for each parameter, as plain data (`search.edition` says what is in it).
    """

    version: int
    rows: Sequence[Row]


class Parameters:
    """The register of one database."""

    def __init__(self, database: AsyncDatabase[Any], numbers: Numbers | None = None) -> None:
        self._numbers = numbers or Numbers(database)
        self._meta = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))

    async def open(self) -> None:
        """Create the empty register; inside a transaction that would be too late (see `unit_of_work`)."""
        await self._meta.update_one({"_id": KEY}, {"$setOnInsert": {"version": 0, "rows": []}}, upsert=True)

    async def version(self) -> int:
        """Return the version of now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._numbers.version(KEY)

    async def read(self, session: AsyncClientSession | None = None) -> Register:
        """Return the register of now, or as the transaction of a session sees it."""
        try:
            row = await self._meta.find_one({"_id": KEY}, session=session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return Register(int(row["version"]), row["rows"]) if row else Register(0, ())

    async def write(self, register: Register, session: AsyncClientSession) -> None:
        """Put the register in place of the one before it, in a transaction that has read that one."""
        before = {"_id": KEY, "version": register.version - 1}
        answer = await self._meta.update_one(before, _changed(register), session=session)
        if not answer.matched_count:
            raise Again

    async def change(self, made_of: Callable[[Register], Sequence[Row] | None]) -> Register:
        """Replace the rows by what a function makes of the register, again where somebody else came first.

        Args:
            made_of: Returns the new rows, or `None` to leave them as they are.

        Returns:
            The register as it then is.

        Raises:
            Conflict: Others kept coming first.
        """
        for _ in range(TRIES):
            register = await self.read()
            rows = made_of(register)
            if rows is None:
                return register
            changed = Register(register.version + 1, rows)
            try:
                answer = await self._meta.update_one({"_id": KEY, "version": register.version}, _changed(changed))
            except PyMongoError as error:
                raise failures.expected(error) from error
            if answer.matched_count:
                return changed
        raise Conflict("The search parameters are being changed by others all the time. Try again.")


def _changed(register: Register) -> Mapping[str, Any]:
    return {"$set": {"version": register.version, "rows": list(register.rows)}}
