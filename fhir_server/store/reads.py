"""Reading current versions by id: concurrent requests with the same filter share one `find`.

Nothing here sees a version that a majority of the members does not hold yet.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

from bson.codec_options import CodecOptions
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, PyMongoError

from fhir_server.model.query import Where
from fhir_server.store import direct, failures
from fhir_server.store.codecs import BARE, RAW, encode
from fhir_server.store.documents import BODY
from fhir_server.store.grouping import Grouped

Doc = Mapping[str, Any]
Found = Mapping[str, Doc]

MOST_ASKS = 256
MOST_IDS = 1000
MOST_IDS_OF_ONE = 100  # who asks for more has a find of its own
MOST_LANES = 1000
WIDTH = 1

MAJORITY = {"level": "majority"}

PART_OF = ("organization", "managingOrganization", "providedBy")
"""Elements by which what belongs to a facility says so."""

# What a lane reads: projection and how it is decoded.
BODIES = "bodies"
WHOLE = "whole"
IDS = "ids"
KEEPERS = "keepers"
_SHAPES: Mapping[str, tuple[Mapping[str, int] | None, CodecOptions[Any]]] = {
    BODIES: (BODY, BARE),
    WHOLE: (None, RAW),
    IDS: ({"_id": 1}, BARE),
    KEEPERS: ({"f": 1, "p": 1, **{f"r.{name}.reference": 1 for name in PART_OF}}, BARE),
}


def matching(base: Mapping[str, Any], where: Where) -> Mapping[str, Any]:
    """Return the filter for documents that fit both; `where` is not `NOTHING`."""
    return {"$and": [base, where.clause]} if where.kind == "clause" else base


class Reads:
    """The read side by id, one lane for each (shape, type, filter) that is being asked for."""

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database
        self._lanes: dict[tuple[str, str, bytes], Grouped[Sequence[str], Found]] = {}
        self._encoded: dict[int, tuple[Where, bytes]] = {}

    async def one(self, shape: str, resource_type: str, resource_id: str, where: Where) -> Doc | None:
        """Return the live document in that shape, or `None`; grouped with what others ask."""
        if where.kind == "nothing":
            return None
        found = await self._lane(shape, resource_type, where).ask((resource_id,))
        return found.get(resource_id)

    def ask(self, shape: str, resource_type: str, ids: Collection[str], where: Where) -> Awaitable[Found]:
        """Return what `many` will: at least the documents of these ids, maybe others. Needs no task to be waited for."""
        if where.kind == "nothing" or not 0 < len(ids) <= MOST_IDS_OF_ONE:
            return self.many(shape, resource_type, ids, where)
        return self._lane(shape, resource_type, where).ask(tuple(ids))

    async def many(
        self,
        shape: str,
        resource_type: str,
        ids: Collection[str],
        where: Where,
        session: AsyncClientSession | None = None,
    ) -> dict[str, Doc]:
        """Return the live documents by id, of those that are there; grouped unless there is a session or many ids."""
        if where.kind == "nothing" or not ids:
            return {}
        if session is None and len(ids) <= MOST_IDS_OF_ONE:
            found = await self.ask(shape, resource_type, ids, where)
            return {one: found[one] for one in ids if one in found}
        wanted, documents = list(ids), {}
        for start in range(0, len(wanted), MOST_IDS):
            part = wanted[start : start + MOST_IDS]
            try:
                documents.update(await self._find(shape, resource_type, part, where, session))
            except PyMongoError as error:
                raise failures.outward(error, session) from error
        return documents

    async def close(self) -> None:
        """Wait for what is on the wire."""
        for lane in list(self._lanes.values()):
            await lane.close()

    def _lane(self, shape: str, resource_type: str, where: Where) -> Grouped[Sequence[str], Found]:
        key = (shape, resource_type, self._filter(where) if where.kind == "clause" else b"")
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) > MOST_LANES:
                self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.idle}

            async def run(asks: Sequence[Sequence[str]]) -> Sequence[Found]:
                found = await self._answer(shape, resource_type, asks, where)
                return [found] * len(asks)

            lane = self._lanes[key] = Grouped(run, MOST_ASKS, WIDTH)
        return lane

    def _filter(self, where: Where) -> bytes:
        """Return a filter as bytes, which equal filters share. Concurrent requests mostly bring one and the same object."""
        kept = self._encoded.get(id(where))
        if kept is None:
            if len(self._encoded) > MOST_LANES:
                self._encoded.clear()
            # The object is kept too: while it is, no other one can have its id.
            kept = self._encoded[id(where)] = (where, bytes(encode(where.clause).raw))
        return kept[1]

    async def _answer(self, shape: str, resource_type: str, asks: Sequence[Sequence[str]], where: Where) -> Found:
        ids = list(asks[0] if len(asks) == 1 else {one: None for ask in asks for one in ask})
        try:
            try:
                return await self._find(shape, resource_type, ids, where)
            except ConnectionFailure:
                return await self._find(
                    shape, resource_type, ids, where
                )  # a new primary, or a connection that was closed
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _find(
        self,
        shape: str,
        resource_type: str,
        ids: list[str],
        where: Where,
        session: AsyncClientSession | None = None,
    ) -> dict[str, Doc]:
        projection, options = _SHAPES[shape]
        command: dict[str, Any] = {
            "find": resource_type,
            "filter": matching({"_id": ids[0] if len(ids) == 1 else {"$in": ids}}, where),
            "batchSize": len(ids) + 1,  # one more than can come, so that the answer is complete and the cursor closed
        }
        if projection:
            command["projection"] = projection
        if session is None:
            command["readConcern"] = MAJORITY
        reply = await direct.ask(self._database, command, options, session)
        cursor = reply["cursor"]
        found = {doc["_id"]: doc for doc in cursor["firstBatch"]}
        if cursor["id"]:  # more than the 16 MB that fit an answer: ask for each half
            await direct.ask(self._database, {"killCursors": resource_type, "cursors": [cursor["id"]]}, session=session)
            for half in (ids[::2], ids[1::2]):
                found.update(await self._find(shape, resource_type, half, where, session))
        return found
