"""The search part of stored documents, read and rewritten in batches beside the writers.

A rewrite is guarded by the version that was read: where a writer came first, its document was indexed by the writer. It
touches nothing but the search fields, so it makes no version, and `r` and `j` stay as they were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import Conflict
from fhir_server.store import failures
from fhir_server.store.blobs import Blobs
from fhir_server.store.clock import EPOCH, MILLISECOND
from fhir_server.store.codecs import ENVELOPE, NATIVE, encode, native
from fhir_server.store.collections import history

FIELDS = ("s", "rf", "p", "ps", "d", "dh", "dl", "k", "c", "gt", "sv", "sl")
"""What is derived from the resource: the search part (`search.index`), the gate and the labels that restrict."""

RESTRICTING = frozenset({"gt", "sl", "sv"})
"""What of that is made anew of superseded versions, which are found by their instance only."""

MOST = 200


@dataclass(frozen=True, slots=True)
class Indexed:
    """A live resource with its search part.

    Attributes:
        id: Logical id.
        vid: Version.
        fields: The search part as stored.
        body: Exact JSON.
        place: Where it stands in the order of its batch, for the next one to begin after.
    """

    id: str
    vid: int
    fields: Mapping[str, Any]
    body: bytes
    place: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A new search part for a version."""

    id: str
    vid: int
    fields: Mapping[str, Any]


class Reindexing:
    """Batches in one database."""

    def __init__(self, database: AsyncDatabase[Any], blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def batch(self, resource_type: str, after: str, most: int = MOST) -> list[Indexed]:
        """Return the next live resources of a type by id, at least one where there are any, at most one answer full.

        Raises:
            Unavailable: The database cannot be reached.
        """
        rows = await self._batch(resource_type, {"_id": {"$gt": after}}, {"_id": 1}, "_id_", most)
        return [_indexed(row, row["_id"]) for row in rows]

    async def containers(self, resource_type: str, contained_type: str, after: str, most: int = MOST) -> list[Indexed]:
        """Return the next live resources of a type that contain one of another, those first that were updated least lately.

        One that is updated meanwhile comes again.

        Raises:
            Unavailable: The database cannot be reached.
        """
        where: dict[str, Any] = {"c": {"$exists": True}, "c.t": contained_type}
        if after:
            milliseconds, order = map(int, after.split("/"))
            moment = EPOCH + milliseconds * MILLISECOND
            where |= {"lu": {"$gte": moment}, "$or": [{"lu": {"$gt": moment}}, {"o": {"$gt": order}}]}
        rows = await self._batch(resource_type, where, {"lu": 1, "o": 1}, "contained", most)
        return [_indexed(row, f"{(row['lu'] - EPOCH) // MILLISECOND}/{row['o']}") for row in rows]

    async def _batch(
        self, resource_type: str, where: Mapping[str, Any], order: Mapping[str, int], index: str, most: int
    ) -> list[Mapping[str, Any]]:
        command = {
            "find": resource_type,
            "filter": where,
            "projection": dict.fromkeys((*FIELDS, "v", "lu", "o", "j", "jb"), 1),
            "sort": order,
            "limit": most,
            "batchSize": most,
            "hint": index,
        }
        try:
            reply = await self._database.command(command, codec_options=NATIVE)
            cursor = reply["cursor"]
            if cursor["id"]:  # more than the 16 MB that fit an answer; the rest is the next batch
                await self._database.command({"killCursors": resource_type, "cursors": [cursor["id"]]})
            return list(await self._blobs.attach(cursor["firstBatch"]))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def rewrite(self, resource_type: str, rewrites: Sequence[Rewrite]) -> int:
        """Replace search parts; return how many. Those of versions that are no longer current are passed over.

        Raises:
            Conflict: The documents could not be written; what was written stays.
            Unavailable: The database cannot be reached.
        """
        if not rewrites:
            return 0
        statements = [
            {
                "q": {"_id": one.id, "v": one.vid},
                "u": {
                    "$set": dict(one.fields),
                    **({"$unset": dict.fromkeys(absent, 1)} if (absent := _absent(one.fields)) else {}),
                },
            }
            for one in rewrites
        ]
        try:
            reply = await self._database.command(
                {"update": resource_type, "updates": statements, "ordered": False},
                codec_options=ENVELOPE,
                write_concern=WriteConcern("majority", j=True),
            )
        except PyMongoError as error:
            raise failures.expected(error) from error
        if reply.get("writeErrors"):
            raise Conflict(f"{len(reply['writeErrors'])} of {len(rewrites)} documents could not be indexed anew.")
        if reply.get("writeConcernError"):
            raise Conflict("The database did not confirm that documents were indexed anew.")
        return int(reply["nModified"])

    async def past(self, resource_type: str, after: str, version: int, most: int = MOST) -> list[Indexed]:
        """Return the next superseded versions of a type, by id and version.

        Args:
            resource_type: The type.
            after: Where the one before stands.
            version: Only those that an earlier extraction than this has made; 0 for all.
            most: How many at most.

        Raises:
            Unavailable: The database cannot be reached.
        """
        where: dict[str, Any] = {"_id": {"$gt": after}, "del": {"$exists": False}}
        if version:
            where["sv"] = {"$lt": version}
        rows = await self._batch(history(resource_type), where, {"_id": 1}, "_id_", most)
        return [_indexed({"v": int(row["_id"].rpartition("/")[2]), **row}, row["_id"]) for row in rows]

    async def restrict(self, resource_type: str, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Set what keeps superseded versions from somebody.

        Args:
            resource_type: The type.
            rows: Of each version those of the fields `RESTRICTING` that it should have.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if not rows:
            return
        statements = [
            {
                "q": {"_id": row},
                "u": {
                    "$set": dict(fields),
                    **({"$unset": dict.fromkeys(absent, 1)} if (absent := RESTRICTING - fields.keys()) else {}),
                },
            }
            for row, fields in rows.items()
        ]
        command = {"update": history(resource_type), "updates": statements, "ordered": False}
        try:
            await self._database.command(command, write_concern=WriteConcern("majority", j=True))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def estimate(self, resource_type: str) -> int:
        """Return about how many live resources of a type there are."""
        try:
            return int(await self._database[resource_type].estimated_document_count())
        except PyMongoError as error:
            raise failures.expected(error) from error


def same(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether a search part is the one that is stored, as BSON sees it."""
    return dict(before) == native(encode(after))


def _indexed(row: Mapping[str, Any], place: str) -> Indexed:
    return Indexed(row["_id"], row["v"], {name: row[name] for name in FIELDS if name in row}, row["j"], place)


def _absent(fields: Mapping[str, Any]) -> list[str]:
    return [name for name in FIELDS if name not in fields]
