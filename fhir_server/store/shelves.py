"""The concepts of large code systems as documents, and the pieces derived from them: how they lie there, how they are read.

`tx_concept` has a document for each concept: `{_id: version and ordinal, s: version, k: key of the code, c: code where it
differs, d: display, f: definition, g: designations, p: properties, i: inactive, a: abstract, t: status}`; what is empty is
left out. `tx_piece` has `{_id: version/kind/number, b: content}`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from fhir_server.model.errors import Unavailable
from fhir_server.store import direct, failures
from fhir_server.store.codecs import ENVELOPE, native
from fhir_server.store.reads import MAJORITY
from terminology.codesystem.hierarchy import Edges
from terminology.concept import Concept, Designation, Property
from terminology.load.release import Row

CONCEPTS, PIECES = "tx_concept", "tx_piece"
INDEX = "code"
SHIFT = 32
AT_ONCE = 1_000
"""Documents asked for by one command; no answer has more than 16 MB of them."""

STREAMED = 5_000
FIELDS = {"display": "d", "definition": "f"}


class Reading:
    """Concepts and pieces of one version.

    Args:
        database: Where they are.
        key: Of the version.
        canonical: Of the code system, for people.
    """

    def __init__(self, database: AsyncDatabase[Any], key: int, canonical: str) -> None:
        self._database = database
        self._concepts = database[CONCEPTS]
        self._key, self._canonical = key, canonical

    async def find(self, key: str, parents: Edges) -> Sequence[Concept]:
        """Return the concepts of a key."""
        found = await self._ask(CONCEPTS, {"s": self._key, "k": key}, {}, hint=INDEX, sort={"_id": 1})
        return [_concept(doc, parents) for doc in found]

    async def ordinals(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Return the ordinals of keys, as far as they are there; of concepts with one key, that of the first."""
        found: dict[str, int] = {}
        for begin in range(0, len(keys), AT_ONCE):
            wanted = {"s": self._key, "k": {"$in": list(keys[begin : begin + AT_ONCE])}}
            for doc in await self._ask(CONCEPTS, wanted, {"k": 1}, hint=INDEX):
                ordinal = doc["_id"] - (self._key << SHIFT)
                found[doc["k"]] = min(ordinal, found.get(doc["k"], ordinal))
        return found

    async def concepts(self, ordinals: Sequence[int], parents: Edges) -> Sequence[Concept]:
        """Return the concepts of ordinals, in the same order.

        Raises:
            Unavailable: The version was removed meanwhile, or the database cannot be reached.
        """
        base = self._key << SHIFT
        found: dict[int, Concept] = {}
        for begin in range(0, len(ordinals), AT_ONCE):
            wanted = [base + one for one in ordinals[begin : begin + AT_ONCE]]
            for doc in await self._ask(CONCEPTS, {"_id": {"$in": wanted}}, {}):
                found[doc["_id"] - base] = _concept(doc, parents)
        try:
            return [found[one] for one in ordinals]
        except KeyError:
            raise self._removed() from None

    async def pieces(self, kind: str, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return pieces of a kind by number, as far as they are there."""
        wanted = {piece(self._key, kind, one): one for one in numbers}
        found = await self._ask(PIECES, {"_id": {"$in": list(wanted)}}, {})
        return {wanted[doc["_id"]]: doc["b"] for doc in found}

    async def whole(self, kind: str) -> bytes:
        """Return all pieces of a kind, one after the other.

        Raises:
            Unavailable: The version was removed meanwhile, or the database cannot be reached.
        """
        begin = piece(self._key, kind, 0)
        found = await self._ask(PIECES, {"_id": {"$gte": begin, "$lt": f"{begin[:-8]}g"}}, {}, sort={"_id": 1})
        if not found:
            raise self._removed()
        return b"".join(doc["b"] for doc in found)

    async def texts(self, name: str) -> AsyncIterator[tuple[int, str]]:
        """Yield ordinal and `display` or `definition` of all concepts that have one."""
        field, base = FIELDS[name], self._key << SHIFT
        try:
            async for doc in self._concepts.find(of(self._key), {field: 1}, batch_size=STREAMED).sort("_id", 1):
                if field in doc:
                    yield doc["_id"] - base, doc[field]
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def stream(self, parents: Edges) -> AsyncIterator[Concept]:
        """Yield all concepts in the order of the definition."""
        try:
            async for doc in self._concepts.find(of(self._key), batch_size=STREAMED).sort("_id", 1):
                yield _concept(doc, parents)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _ask(
        self, collection: str, wanted: Mapping[str, Any], fields: Mapping[str, int], **more: Any
    ) -> list[dict[str, Any]]:
        """Return the documents that fit."""
        command = {"find": collection, "filter": wanted, "batchSize": 2 * AT_ONCE, "projection": fields, **more}
        try:
            reply = await direct.ask(self._database, {**command, "readConcern": MAJORITY}, ENVELOPE)
            rows: list[dict[str, Any]] = reply["cursor"]["firstBatch"]
            while reply["cursor"]["id"]:
                more = {"getMore": reply["cursor"]["id"], "collection": collection, "batchSize": 2 * AT_ONCE}
                reply = await direct.ask(self._database, more, ENVELOPE)
                rows += reply["cursor"]["nextBatch"]
        except PyMongoError as error:
            raise failures.expected(error) from error
        return rows

    def _removed(self) -> Unavailable:
        return Unavailable(
            f"The code system {self._canonical} was removed or replaced just now. Send the request again."
        )


def of(key: int) -> dict[str, Any]:
    """Return the filter for all concepts of a version."""
    return {"_id": {"$gte": key << SHIFT, "$lt": (key + 1) << SHIFT}}


def pieces_of(key: int) -> dict[str, Any]:
    """Return the filter for all pieces of a version."""
    return {"_id": {"$gte": f"{key:08x}/", "$lt": f"{key:08x}0"}}


def piece(key: int, kind: str, number: int) -> str:
    """Return the id of a piece."""
    return f"{key:08x}/{kind}/{number:08x}"


def document(version: int, ordinal: int, key: str, row: Row) -> dict[str, Any]:
    """Return a concept as a document."""
    doc: dict[str, Any] = {"_id": (version << SHIFT) + ordinal, "s": version, "k": key}
    if row.code != key:
        doc["c"] = row.code
    if row.display:
        doc["d"] = row.display
    if row.definition:
        doc["f"] = row.definition
    if row.designations:
        doc["g"] = [
            [one.value, one.language, one.use, list(one.extensions)][: 4 if one.extensions else 3]
            for one in row.designations
        ]
    if row.properties:
        doc["p"] = [[one.code, _plain(one.value), one.kind] for one in row.properties]
    if row.inactive:
        doc["i"] = True
    if row.abstract:
        doc["a"] = True
    if row.status:
        doc["t"] = row.status
    return doc


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _concept(doc: dict[str, Any], parents: Edges) -> Concept:
    ordinal = doc["_id"] - (doc["s"] << SHIFT)
    return Concept(
        doc.get("c", doc["k"]),
        doc.get("d", ""),
        ordinal,
        doc.get("f", ""),
        tuple(map(_designation, doc["g"])) if "g" in doc else (),
        tuple(map(_property, doc["p"])) if "p" in doc else (),
        tuple(parents.next(ordinal)),
        "i" in doc,
        "a" in doc,
        doc.get("t", ""),
    )


def _designation(row: list[Any]) -> Designation:
    if len(row) == 3:
        return Designation(*row)
    return Designation(row[0], row[1], row[2], tuple(native({"e": row[3]})["e"]))


def _property(row: list[Any]) -> Property:
    code, value, kind = row
    return Property(code, Decimal(value) if kind == "decimal" else value, kind)
