"""Closure tables of callers (R4 "Maintaining a Closure Table"): begun, added to, and told again from a version on."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.model.errors import NotFound, Unprocessable
from fhir_server.store import Store
from fhir_server.store.closures import Table
from fhir_server.store.unit_of_work import Unit
from terminology import closure
from terminology.closure import Relation
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept

Json = dict[str, Any]
Concepts = Mapping[str, tuple[CodeSystemProvider, Sequence[Concept]]]
"""Concepts of code systems, by the URL of the code system."""

MOST_TABLES = 100
"""Of one caller."""
MOST_CONCEPTS = 100_000
"""In one table."""


class Closing:
    """The closure tables of a record. Every caller has tables of his own: what names there are of others is not told.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, who: Principal, name: str) -> Json:
        """Begin a table, or begin it anew, and return a ConceptMap without rows that has its version.

        Raises:
            Unprocessable: The caller has too many.
        """
        store, owner = self._store, _owner(who)
        before = await store.closures.find(owner, name)

        async def work(unit: Unit) -> Table:
            if before is None and await store.closures.count(owner, unit.session) >= MOST_TABLES:
                raise Unprocessable(
                    f"There are {MOST_TABLES} closure tables of yours here already, which is the most. Begin one of them anew under "
                    "the name that it has.",
                    expression="http.name",
                )
            return await store.closures.begin(owner, name, store.clock.now(), unit.session)

        table = await store.transact(work)
        if before is not None:
            await store.closures.forget(before.key)
        return self._answer(name, table, ())

    async def add(self, who: Principal, name: str, concepts: Concepts) -> Json:
        """Add concepts to a table, all or none, and return a ConceptMap with what is new because of them.

        Raises:
            NotFound: There is no such table.
            Unprocessable: It would be too large.
        """
        store, owner = self._store, _owner(who)

        async def work(unit: Unit) -> tuple[Table, list[Relation]]:
            table = await store.closures.find(owner, name, unit.session)
            if table is None:
                raise _unknown(name)
            added, found = [], []
            for system, (provider, given) in concepts.items():
                known = await store.closures.members(table, system, unit.session)
                there = {one.code for one in known}
                new = list({one.code: one for one in given if one.code not in there}.values())
                found += await closure.relations(provider, known, new)
                added += [closure.entry(provider, one) for one in new]
            if not added:
                return table, []
            if table.count + len(added) > MOST_CONCEPTS:
                raise Unprocessable(
                    f"The closure table '{name[:100]}' would have {table.count + len(added):,} concepts; at most "
                    f"{MOST_CONCEPTS:,} are kept in one. Begin another table.",
                    expression="http.concept",
                )
            raised = await store.closures.raised(table, len(added), store.clock.now(), unit.session)
            await store.closures.add(raised, added, found, unit.session)
            return raised, found

        table, found = await store.transact(work)
        return self._answer(name, table, found)

    async def since(self, who: Principal, name: str, version: int) -> Json:
        """Return a ConceptMap with all that is new in a table after one of its versions.

        Raises:
            NotFound: There is no such table.
            Unprocessable: There is no such version, or the table was begun anew since.
        """
        table = await self._store.closures.find(_owner(who), name)
        if table is None:
            raise _unknown(name)
        if version > table.version:
            raise Unprocessable(
                f"The closure table '{name[:100]}' has no version {version} yet; the current one is {table.version}.",
                expression="http.version",
            )
        if version < table.begun:
            raise Unprocessable(
                f"The closure table '{name[:100]}' was begun anew at version {table.begun}, so what is new since version {version} "
                f"does not make what you have complete. Empty your own table, and ask for all that is new since {table.begun}.",
                expression="http.version",
            )
        return self._answer(name, table, await self._store.closures.since(table, version))

    def _answer(self, name: str, table: Table, found: Sequence[Relation]) -> Json:
        date = self._store.clock.now().isoformat(timespec="seconds")
        return closure.concept_map(name, table.version, date, found)


def _owner(who: Principal) -> str:
    return f"{who.client_id}\n{who.user_id}\n{who.facility}"


def _unknown(name: str) -> NotFound:
    return NotFound(
        f"There is no closure table '{name[:100]}' of yours. Begin it: send its name alone, then its concepts.",
        expression="http.name",
    )
