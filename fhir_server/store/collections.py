"""Names, indexes and lazy creation of the collections `<Type>` and `<Type>_h`.

A collection is made when its first resource is about to be written, always before and never inside a transaction
(creating an index during one stalls every other writer of the collection). Several processes may do so at once.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.model.query import IndexSpec
from fhir_server.store import failures
from fhir_server.store.creation import create

IndexesOf = Callable[[str], Sequence[IndexSpec]]

# Data of one type compresses to 60 % of what the default compressor leaves (storage.md B1).
ENGINE = {"wiredTiger": {"configString": "block_compressor=zstd"}}

HISTORY_INDEXES = (
    IndexSpec("updated", (("lu", -1), ("o", -1))),
    IndexSpec("patient_updated", (("p", 1), ("lu", -1))),
)

_CHANGED_INDEX = {85, 86}  # IndexOptionsConflict, IndexKeySpecsConflict
_HISTORY = "_h"


def history(resource_type: str) -> str:
    """Return the name of the collection of superseded versions and tombstones."""
    return resource_type + _HISTORY


class Collections:
    """Which collections there are, as far as this process knows."""

    def __init__(self, database: AsyncDatabase[Any], indexes_of: IndexesOf) -> None:
        self._database = database
        self._indexes_of = indexes_of
        self._present: set[str] = set()
        self._ready: set[str] = set()
        self._turn = asyncio.Lock()
        self._put_off: frozenset[str] = frozenset()

    async def put_off(self, resource_types: Iterable[str]) -> frozenset[str]:
        """Have the collections of these types without indexes, as far as they are empty, until `make_up`; return which.

        Should this process end meanwhile, whoever uses such a type next makes its indexes.
        """
        try:
            for name in resource_types:
                if await self._database[name].find_one({}, {"_id": 1}) is None:
                    await create(self._database, name, storageEngine=ENGINE)
                    await self._database[name].drop_indexes()
                    self.leave_off({name})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return self._put_off

    def leave_off(self, resource_types: Collection[str]) -> None:
        """Do not make the indexes of these types, which another process has put off."""
        self._put_off |= {*resource_types}
        self._ready -= {*resource_types}

    async def make_up(self) -> None:
        """Make the indexes that were put off."""
        waiting, self._put_off = self._put_off, frozenset()
        self._ready -= waiting
        for name in sorted(waiting):
            await self.ensure((name,))

    async def types(self) -> list[str]:
        """Return the resource types that have ever been stored, sorted; asks the database, for others create them too."""
        try:
            names = await self._database.list_collection_names()
        except PyMongoError as error:
            raise failures.expected(error) from error
        self._present = {name for name in names if name[0].isupper() and not name.endswith(_HISTORY)}
        return sorted(self._present)

    def all_ready(self, resource_types: Iterable[str]) -> bool:
        """Return whether `ensure` has nothing to do."""
        return self._ready.issuperset(resource_types)

    def knows(self, resource_type: str) -> bool:
        """Return whether this process knows that a type is there."""
        return resource_type in self._ready or resource_type in self._present

    async def ensure(self, resource_types: Iterable[str]) -> None:
        """Create what is missing: collections and indexes of these types."""
        missing = set(resource_types) - self._ready
        if not missing:
            return
        async with self._turn:
            missing -= self._ready
            try:
                specs = {name: () if name in self._put_off else self._indexes_of(name) for name in missing}
                await asyncio.gather(*(self._create(name, specs[name]) for name in missing))
                await asyncio.gather(*(self._create(history(name), HISTORY_INDEXES) for name in missing))
            except PyMongoError as error:
                raise failures.expected(error) from error
            self._ready |= missing
            self._present |= missing

    async def settled(self) -> None:
        """Return when this process is not creating anything.

        A transaction that is open meanwhile could not go on: its snapshot knows nothing of the new collection.
        """
        if self._turn.locked():
            async with self._turn:
                pass

    async def ensure_if_present(self, resource_type: str) -> bool:
        """Bring the indexes of a type up to date before it is searched; return whether it is there to be searched."""
        if resource_type in self._ready:
            return True
        if resource_type not in self._present and resource_type not in await self.types():
            return False
        await self.ensure((resource_type,))
        return True

    async def exchange(self, resource_type: str, prefix: str, specs: Sequence[IndexSpec]) -> None:
        """Make these the only indexes of a type's live resources whose names begin with the prefix.

        They are built beside the writers, those that are there already are left alone, and those no longer wanted go first.
        """
        if not await self.ensure_if_present(resource_type):
            return
        wanted = {spec.name for spec in specs}
        try:
            cursor = await self._database[resource_type].list_indexes()
            there = [index["name"] for index in await cursor.to_list()]
            for name in there:
                if name.startswith(prefix) and name not in wanted:
                    await self._database[resource_type].drop_index(name)
            if specs:
                await self._index(resource_type, specs)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _create(self, name: str, specs: Sequence[IndexSpec]) -> None:
        await create(self._database, name, storageEngine=ENGINE)
        if specs:
            await self._index(name, specs)

    async def _index(self, name: str, specs: Sequence[IndexSpec]) -> None:
        """Create all indexes with one command; one whose definition has changed is replaced."""
        command = {"createIndexes": name, "indexes": [_definition(spec) for spec in specs]}
        try:
            await self._database.command(command)
        except OperationFailure as error:
            if error.code not in _CHANGED_INDEX:
                raise
            await self._replace_changed(name, specs)
            await self._database.command(command)

    async def _replace_changed(self, name: str, specs: Sequence[IndexSpec]) -> None:
        """Drop the indexes that have a wanted name but not the wanted definition."""
        wanted = {spec.name: _definition(spec) for spec in specs}
        cursor = await self._database[name].list_indexes()
        async for index in cursor:
            definition = wanted.get(index["name"])
            if definition and _differs(index, definition):
                await self._database[name].drop_index(index["name"])


def _definition(spec: IndexSpec) -> dict[str, Any]:
    return {"name": spec.name, "key": dict(spec.keys), **spec.options}


def _differs(index: Mapping[str, Any], definition: Mapping[str, Any]) -> bool:
    """Return whether an index is not as defined. The order of its keys counts, that of nothing else does."""
    if list(index["key"].items()) != list(definition["key"].items()):
        return True
    return any(index.get(option) != value for option, value in definition.items() if option != "key")
