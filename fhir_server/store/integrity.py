"""What must hold in the stored record, checked: both forms of a resource agree, and no version is missing.

A resource is stored twice, native (`r`) for queries and as the exact JSON (`j`) that reads return; its versions are
1 … v without a gap, all but the live one in `<Type>_h`, a deletion being the last of its life. The check may run while
others write: it reads a live document before its history, whose rows never change.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json
from fhir_server.store.blobs import Blobs, slim
from fhir_server.store.codecs import NATIVE
from fhir_server.store.collections import history


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that must not be.

    Attributes:
        resource: `Type/id`.
        text: What is wrong.
    """

    resource: str
    text: str


async def flaws(database: AsyncDatabase[Any], resource_type: str, sample: int | None) -> AsyncIterator[Flaw]:
    """Yield what is wrong with the resources of a type.

    Args:
        database: The record.
        resource_type: Type.
        sample: How many live resources to look at, chosen at random; `None` for all, and the deleted ones too.
    """
    live = database.get_collection(resource_type, codec_options=NATIVE)
    fields = {"v": 1, "r": 1, "j": 1, "jb": 1}
    if sample is None:
        documents: Any = live.find({}, fields)
    else:
        documents = await live.aggregate([{"$sample": {"size": sample}}, {"$project": fields}])
    async for document in documents:
        reference = f"{resource_type}/{document['_id']}"
        if not await _agree(database, document):
            yield Flaw(reference, "the native form and the JSON form differ")
        if document["v"] > 1:
            rows = await _versions(database, resource_type, document["_id"])
            missing = set(range(1, document["v"])) - rows.keys()
            if missing:
                yield Flaw(reference, f"versions {sorted(missing)} are missing from its history")
    if sample is None:
        async for flaw in _deleted(database, resource_type):
            yield flaw


async def _agree(database: AsyncDatabase[Any], document: Mapping[str, Any]) -> bool:
    """Tell whether both forms of a document are the same resource to the last digit."""
    (whole,) = await Blobs(database).attach((document,))
    body = bytes(whole["j"])
    if "jb" in document:
        body = json.encode(slim(json.decode(body)))
    return json.encode(document["r"]) == body


async def _versions(database: AsyncDatabase[Any], resource_type: str, resource_id: str) -> dict[int, bool]:
    """Return the versions in the history of an instance, each with whether it is a deletion."""
    within = {"$gte": f"{resource_id}/", "$lt": f"{resource_id}0"}  # "0" follows "/"
    rows = database[history(resource_type)].find({"_id": within}, {"del": 1}).sort("_id", 1)
    return {int(row["_id"].rpartition("/")[2]): row.get("del", False) async for row in rows}


async def _deleted(database: AsyncDatabase[Any], resource_type: str) -> AsyncIterator[Flaw]:
    """Yield what is wrong with the resources that have a history but no live document."""
    groups = await database[history(resource_type)].aggregate(
        [
            {"$group": {"_id": {"$arrayElemAt": [{"$split": ["$_id", "/"]}, 0]}}},
            {"$lookup": {"from": resource_type, "localField": "_id", "foreignField": "_id", "as": "live"}},
            {"$match": {"live": []}},
        ],
        allowDiskUse=True,
    )
    async for group in groups:
        rows = await _versions(database, resource_type, group["_id"])
        if list(rows) != list(range(1, len(rows) + 1)):
            yield Flaw(f"{resource_type}/{group['_id']}", f"its versions have gaps: {list(rows)}")
        elif not rows[len(rows)] and await database[resource_type].count_documents({"_id": group["_id"]}) == 0:
            yield Flaw(f"{resource_type}/{group['_id']}", f"it is gone without a deletion after version {len(rows)}")
