"""Running compiled queries over live resources: a page, a count, and who refers to a resource."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.model.errors import TooCostly
from fhir_server.model.query import Distinct, Examined, Query, Where
from fhir_server.model.stored import Hit, Stored
from fhir_server.store import commands, direct, failures, moving
from fhir_server.store.blobs import Blobs
from fhir_server.store.codecs import BARE
from fhir_server.store.collections import Collections
from fhir_server.store.documents import BODY, ENTRY, ID, stored
from fhir_server.store.examining import examine
from fhir_server.store.grouping import Grouped
from fhir_server.store.moving import Stretch
from fhir_server.store.reads import MAJORITY

TOO_BIG = 17217
"""Error of MongoDB: what is different makes more than 16 MB."""

NO_TEXTS = (None, False, "")
"""What a field of references holds where it holds none."""

MOST_TARGETS = 1000  # of one question


class Searches:
    """The search side of one store; see `Store` for what each method returns."""

    def __init__(
        self, database: AsyncDatabase[Any], collections: Collections, blobs: Blobs, time_limit_ms: int
    ) -> None:
        self._database = database
        self._collections = collections
        self._blobs = blobs
        self._time_limit_ms = time_limit_ms
        self._referred = Grouped(self._any_referred, MOST_TARGETS)

    async def close(self) -> None:
        """Wait until everything asked is answered."""
        await self._referred.close()

    async def find(self, query: Query, session: AsyncClientSession | None) -> list[Hit]:
        """Return one page."""
        name, docs = query.resource_type, await self._asked(query, ENTRY, session)
        try:
            return [Hit(name, doc["_id"], doc["j"], doc) for doc in docs]
        except KeyError:  # a large one, whose content is a file
            return [Hit(name, doc["_id"], doc["j"], doc) for doc in await self._blobs.attach(docs)]

    async def versions(self, query: Query, session: AsyncClientSession | None) -> list[Stored]:
        """Return one page with what there is to know of the versions."""
        docs = await self._asked(query, BODY, session)
        return [stored(query.resource_type, doc) for doc in await self._blobs.attach(docs)]

    async def rows(self, query: Query, session: AsyncClientSession | None) -> list[Mapping[str, Any]]:
        """Return `_id` and the fields that the query names of each document, without the resources."""
        return [*await self._asked(query, ID, session)]

    async def examined(self, query: Query) -> list[Examined]:
        """Return what the database does for a query."""
        if not await self._collections.ensure_if_present(query.resource_type):
            return []
        return await examine(self._database, query, self._time_limit_ms)

    async def moved(self, resource_type: str, where: Where, stretch: Stretch) -> list[Mapping[str, Any]]:
        """Return where resources of a stretch stood that were changed since."""
        return await moving.moved(self._database, resource_type, where, stretch, self._time_limit_ms)

    async def distinct(self, query: Distinct, session: AsyncClientSession | None) -> list[str]:
        """Return the different texts of a field."""
        name = query.resource_type
        if query.where.kind == "nothing" or not await self._collections.ensure_if_present(name):
            return []
        # `p` is never an array; without $unwind the database can read its values from an index.
        unwind = [{"$unwind": f"${query.field}"}] if query.field != "p" else []
        start = [{"$match": {"_id": {"$regex": f"^{re.escape(query.prefix)}"}}}] if query.prefix else []
        options: dict[str, Any] = {"hint": query.hint} if query.hint else {}
        try:
            cursor = await self._database[name].aggregate(
                [
                    {"$match": query.where.clause},
                    *unwind,
                    {"$group": {"_id": f"${query.field}"}},
                    *start,
                    # Told apart from texts below: here it would be asked before the grouping, and have the database try
                    # every index of the field against the one that selects, to its end, before the first answer.
                    {"$limit": query.limit + len(NO_TEXTS)},
                ],
                session=session,
                maxTimeMS=self._time_limit_ms,
                batchSize=query.limit + len(NO_TEXTS),
                **options,
            )
            found = [row["_id"] for row in await cursor.to_list()]
            return [each for each in found if each not in NO_TEXTS][: query.limit]
        except PyMongoError as error:
            raise failures.outward(error, session) from error

    async def values(self, resource_type: str, field: str, session: AsyncClientSession | None) -> Sequence[str]:
        """Return the different texts of a field, by skipping through an index where one begins with it."""
        if not await self._collections.ensure_if_present(resource_type):
            return []
        # Not an aggregation: that does not skip through an index of arrays.
        command = {"distinct": resource_type, "key": field, "query": {}, "maxTimeMS": self._time_limit_ms}
        try:
            answer = await self._database.command(command, session=session)
        except PyMongoError as error:
            if isinstance(error, OperationFailure) and error.code == TOO_BIG:
                raise TooCostly(
                    f"The {resource_type} resources have too many different codes to look at each of them. Name a smaller set.",
                    expression="http.query",
                ) from None
            raise failures.outward(error, session) from error
        return [text for text in answer["values"] if isinstance(text, str)]

    async def count(
        self, resource_type: str, where: Where, limit: int | None, session: AsyncClientSession | None
    ) -> int:
        """Return how many there are, up to the limit."""
        if where.kind == "nothing":
            return 0
        most = [{"$limit": limit}] if limit is not None else []
        # Without a condition, the keys of one index are counted and no document is read.
        options: dict[str, Any] = {"hint": "_id_"} if where.kind == "anything" else {}
        try:
            cursor = await self._database[resource_type].aggregate(
                [{"$match": where.clause}, *most, {"$count": "n"}],
                session=session,
                maxTimeMS=self._time_limit_ms,
                **options,
            )
            rows = await cursor.to_list()
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return rows[0]["n"] if rows else 0

    async def referrers(
        self, target: str, ignoring: Collection[tuple[str, str]], session: AsyncClientSession | None
    ) -> tuple[str, str] | None:
        """Return one that refers to the target `Type/id`."""
        if session is None:
            if not await self._referred.ask(target):
                return None
            found = await self._united(lambda name: _referring(name, target, ignoring))
            return (found["t"], found["_id"]) if found else None
        try:
            for name in await self._collections.types():
                where = _referring(name, target, ignoring)
                if row := await self._database[name].find_one(where, {"_id": 1}, session=session):
                    return name, row["_id"]
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return None

    async def _any_referred(self, targets: Sequence[str]) -> list[bool]:
        """Return, for every one of the targets, whether anything refers to any of them: mostly nothing does."""
        found = await self._united(lambda _: {"rf": {"$in": [*targets]}})
        return [found is not None] * len(targets)

    async def _united(self, where_of: Callable[[str], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Return type (`t`) and `_id` of one resource of any type that fits the filter of its type."""
        try:
            rows = await commands.united(self._database, await self._collections.types(), where_of, 1)
        except PyMongoError as error:
            raise failures.expected(error) from error
        return next(iter(rows), None)

    async def referred(self, targets: Sequence[str], session: AsyncClientSession | None) -> bool:
        """Return whether anything refers to any of the targets `Type/id`."""
        parts = [targets[start : start + MOST_TARGETS] for start in range(0, len(targets), MOST_TARGETS)]
        try:
            for name in await self._collections.types():
                for part in parts:
                    if await self._database[name].find_one({"rf": {"$in": part}}, {"_id": 1}, session=session):
                        return True
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return False

    async def _asked(
        self, query: Query, projection: Mapping[str, int], session: AsyncClientSession | None
    ) -> Sequence[Mapping[str, Any]]:
        """Return these fields, and those that the query names, of each document."""
        if query.where.kind == "nothing" or not query.limit or await self._is_empty(query, session):
            return []
        try:
            return await self._documents(query, {**projection, **dict.fromkeys(query.fields, 1)}, session)
        except PyMongoError as error:
            raise failures.outward(error, session) from error

    async def _is_empty(self, query: Query, session: AsyncClientSession | None) -> bool:
        """Return whether a type that this process knows nothing of is not there, or has nothing that fits the query.

        To ask that costs as much as the search of one resource, where to list all collections costs ten times as much. What fits may
        be there, because others have stored it: then its indexes are seen to before it is searched.
        """
        if self._collections.knows(query.resource_type):
            return not await self._collections.ensure_if_present(query.resource_type)
        command = {"find": query.resource_type, "filter": query.where.clause, "projection": ID, "limit": 1}
        try:
            reply = await direct.ask(
                self._database, {**command, "singleBatch": True, "maxTimeMS": self._time_limit_ms}, session=session
            )
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return not (reply["cursor"]["firstBatch"] and await self._collections.ensure_if_present(query.resource_type))

    async def _documents(
        self, query: Query, projection: Mapping[str, int], session: AsyncClientSession | None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the documents of a query, and where they are fewer than its limit, those of what follows it."""
        if query.computed:
            return await self._computed(query, projection, session)
        command = {**commands.find(query, projection), "maxTimeMS": self._time_limit_ms}
        docs = await self._page(command, session)
        if query.then is None or len(docs) >= query.limit:
            return docs
        rest = replace(query.then, limit=query.limit - len(docs))
        return [*docs, *await self._documents(rest, projection, session)]

    async def _computed(
        self, query: Query, projection: Mapping[str, Any], session: AsyncClientSession | None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the documents of a query whose sort keys are computed."""
        level = ReadConcern("majority") if session is None else None
        options: dict[str, Any] = {"hint": query.hint} if query.hint else {}
        collection = self._database[query.resource_type].with_options(codec_options=BARE, read_concern=level)
        cursor = await collection.aggregate(
            commands.pipeline(query, projection),
            session=session,
            maxTimeMS=self._time_limit_ms,
            **options,
        )
        return await cursor.to_list()

    async def _page(self, command: dict[str, Any], session: AsyncClientSession | None) -> Sequence[Mapping[str, Any]]:
        """Return the documents of a find command, mostly in one answer."""
        if session is None:
            command["readConcern"] = MAJORITY
        reply = await direct.ask(self._database, command, BARE, session)
        docs: list[Mapping[str, Any]] = reply["cursor"]["firstBatch"]
        if not reply["cursor"]["id"]:
            return docs
        # More than the 16 MB that fit an answer: the page is read again through a cursor, so that it is one page.
        collection = command["find"]
        await direct.ask(
            self._database, {"killCursors": collection, "cursors": [reply["cursor"]["id"]]}, session=session
        )
        cursor = self._database.get_collection(collection, codec_options=BARE).find(
            command["filter"],
            command["projection"],
            sort=command.get("sort"),
            limit=command["limit"],
            hint=command.get("hint"),
            max_time_ms=self._time_limit_ms,
            session=session,
        )
        return await cursor.to_list()


def _referring(resource_type: str, target: str, ignoring: Collection[tuple[str, str]]) -> dict[str, Any]:
    ignored = [one for name, one in ignoring if name == resource_type]
    return {"rf": target, "_id": {"$nin": ignored}} if ignored else {"rf": target}
