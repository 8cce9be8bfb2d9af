"""Holds on resources: what is read and written of stored documents to keep them (`held`, `hb`).

A hold is no version: it changes two fields of the current document, and `held` of all superseded versions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.store import failures
from fhir_server.store.clock import Clock
from fhir_server.store.collections import history

PATIENCE = 10.0

Doc = Mapping[str, Any]


class Holding:
    """The fields in one database."""

    def __init__(self, database: AsyncDatabase[Any], clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def nodes(
        self, resource_type: str, ids: Sequence[str], elements: Sequence[str], session: AsyncClientSession
    ) -> list[Doc]:
        """Return `_id`, `gt`, `held`, `hb` and some elements of the current versions."""
        return await self._find(resource_type, {"_id": {"$in": [*ids]}}, elements, session)

    async def referring(
        self, resource_type: str, targets: Sequence[str], elements: Sequence[str], session: AsyncClientSession
    ) -> list[Doc]:
        """Return the same of those that refer to any of the targets."""
        return await self._find(resource_type, {"rf": {"$in": [*targets]}}, elements, session)

    async def named_by_held(self, resource_types: Sequence[str], target: str) -> bool:
        """Return whether something that is held refers to the target."""
        try:
            for name in resource_types:
                if await self._database[name].find_one({"rf": target, "held": True}, {"_id": 1}):
                    return True
        except PyMongoError as error:
            raise failures.expected(error) from error
        return False

    async def mark(
        self,
        resource_type: str,
        resource_id: str,
        by: Sequence[str],
        session: AsyncClientSession,
        *,
        held: bool,
        opens: bool,
    ) -> None:
        """Set by what a resource is held, and whether it is, with all that it was before.

        Args:
            resource_type: Type.
            resource_id: Id.
            by: What holds it, as `Type/id`.
            session: Of the unit of work.
            held: Whether it is held.
            opens: Whether it was held until now and is no longer: patients can see it from this moment on (`op`).
        """
        change: dict[str, dict[str, Any]] = {"$set": {}, "$unset": {}}
        change["$set" if by else "$unset"]["hb"] = [*by]
        change["$set" if held else "$unset"]["held"] = True
        if opens:
            change["$set"]["op"] = self._clock.now()
        past: dict[str, Any] = {"$set": {"held": True}} if held else {"$unset": {"held": True}}
        if opens:
            past["$set"] = {"op": change["$set"]["op"]}
        of_it = {"_id": {"$gt": f"{resource_id}/", "$lt": f"{resource_id}0"}}
        try:
            await self._database[resource_type].update_one(
                {"_id": resource_id}, {name: fields for name, fields in change.items() if fields}, session=session
            )
            await self._database[history(resource_type)].update_many(of_it, past, session=session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error

    async def quiet(self) -> None:
        """Return when no write is in flight that has begun before now; after ten seconds in any case."""
        await self._clock.quiet(PATIENCE)

    async def _find(
        self, resource_type: str, condition: Doc, elements: Sequence[str], session: AsyncClientSession
    ) -> list[Doc]:
        fields = {"gt": 1, "held": 1, "hb": 1, **{f"r.{name}": 1 for name in elements}}
        try:
            return await self._database[resource_type].find(condition, fields, session=session).to_list()
        except PyMongoError as error:
            raise failures.outward(error, session) from error
