"""Spreading a record over the shards of a cluster: which commands that takes, why, and their execution.

Resources of the patient compartment and their history are spread by patient, so that what is asked of one patient is asked of one
shard, and what is written for one patient is one shard's transaction. The patient is hashed, for the bounds of chunks stand in the
configuration of the cluster. With zones of residency the zone comes first: then all documents of a zone lie on its shards.
Everything else is small, or is asked as a whole, and stays on the primary shard.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.model.errors import NotSupported, Unavailable
from fhir_server.store import failures
from fhir_server.store.collections import history
from fhir_server.store.trail import EVENTS, audit_database

INDEX = "shard"
"""Name of the index that the shard key needs."""

BY_PATIENT: Mapping[str, Any] = {"p": "hashed", "_id": 1}
BY_ZONE: Mapping[str, Any] = {"rg": 1, **BY_PATIENT}
BY_ID: Mapping[str, Any] = {"_id": "hashed"}
BY_FILE: Mapping[str, Any] = {"files_id": 1, "n": 1}
CHUNKS = "blobs.chunks"

UNAUTHORIZED = 13
ROUTER = "isdbgrid"

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do.

    Attributes:
        why: For the operator.
        shell: The same for mongosh.
        database: Where the command is run.
        command: What is run.
    """

    why: str
    shell: str
    database: str
    command: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is to be spread, and how.

    Attributes:
        database: Of the record.
        types: Resource types of the patient compartment that are stored.
        zones: The shards of each zone of residency (`record.zone`); none to spread over all.
        large: Whether there is large content; its chunks have the index that they need, which is unique.
        audited: Whether there is a trail.
    """

    database: str
    types: Sequence[str]
    zones: Mapping[str, Sequence[str]] = field(default_factory=dict)
    large: bool = True
    audited: bool = True

    @property
    def key(self) -> Mapping[str, Any]:
        """The shard key of resources."""
        return BY_ZONE if self.zones else BY_PATIENT


def plan(layout: Layout) -> tuple[Act, ...]:
    """Return what is to be done, in order; doing it twice changes nothing."""
    record, audit = layout.database, audit_database(layout.database)
    acts = [
        Act(
            "What is not spread stays on the primary shard of the database.",
            f'sh.enableSharding("{record}")',
            "admin",
            {"enableSharding": record},
        )
    ]
    acts += [
        Act(
            f"{shard} keeps what has to stay in the zone {zone}; all of its members must stand there.",
            f'sh.addShardToZone("{shard}", "{zone}")',
            "admin",
            {"addShardToZone": shard, "zone": zone},
        )
        for zone, shards in sorted(layout.zones.items())
        for shard in shards
    ]
    for name in layout.types:
        for collection in (name, history(name)):
            acts += _spread(
                record, collection, layout.key, f"{collection}: what is asked of one patient is asked of one shard."
            )
            acts += [_zoned(record, collection, zone) for zone in sorted(layout.zones)]
    if layout.large:
        acts += _spread(record, CHUNKS, BY_FILE, "Large content, by file.")[1:]
    if layout.audited:
        acts.append(
            Act("The trail, beside the record.", f'sh.enableSharding("{audit}")', "admin", {"enableSharding": audit})
        )
        acts += _spread(audit, EVENTS, BY_ID, "Rows of the trail, evenly.")
    return tuple(acts)


async def stored(database: AsyncDatabase[Any], names: Collection[str]) -> list[str]:
    """Return which of these collections there are, sorted.

    Raises:
        Unavailable: The database cannot be reached.
    """
    try:
        return sorted({*names} & {*await database.list_collection_names()})
    except PyMongoError as error:
        raise failures.expected(error) from error


async def require_router(client: AsyncMongoClient[Any]) -> None:
    """Return when the client is connected to a `mongos`.

    Raises:
        NotSupported: It is a replica set.
        Unavailable: It cannot be reached.
    """
    try:
        hello = await client.admin.command("hello")
    except PyMongoError as error:
        raise failures.expected(error) from error
    if hello.get("msg") != ROUTER:
        what = f"the replica set {hello['setName']}" if "setName" in hello else "a single mongod"
        raise NotSupported(
            f"This is {what}, which has no shards. Make it the first shard of a sharded cluster (docs/scale.md), name its mongos in "
            "FHIR_MONGO__URL, and run this again; `fhir-server shard plan` tells what will be done."
        )


async def apply(client: AsyncMongoClient[Any], acts: Sequence[Act]) -> None:
    """Do it, through a `mongos`.

    Raises:
        NotSupported: It is no sharded cluster.
        Unavailable: The cluster refuses; the text says what and why. What was done stays, and may be done again.
    """
    await require_router(client)
    for act in acts:
        try:
            await client[act.database].command(dict(act.command))
        except OperationFailure as error:
            reason = (error.details or {}).get("errmsg", str(error))
            remedy = (
                "Give this user the role clusterManager, or do it in mongosh." if error.code == UNAUTHORIZED else ""
            )
            raise Unavailable(f"`{act.shell}` was refused: {reason}. {remedy}".rstrip()) from error
        except PyMongoError as error:
            raise failures.expected(error) from error


def _spread(database: str, collection: str, key: Mapping[str, Any], why: str) -> list[Act]:
    place = f'db.getSiblingDB("{database}").getCollection("{collection}")'
    index = {"key": dict(key), "name": INDEX}
    return [
        Act(
            f"The index that this needs, built beside the writers ({collection}).",
            f'{place}.createIndex({_shell(key)}, {{name: "{INDEX}"}})',
            database,
            {"createIndexes": collection, "indexes": [index]},
        ),
        Act(
            why,
            f'sh.shardCollection("{database}.{collection}", {_shell(key)})',
            "admin",
            {"shardCollection": f"{database}.{collection}", "key": dict(key)},
        ),
    ]


def _zoned(database: str, collection: str, zone: str) -> Act:
    low: Document = {"rg": zone, "p": MinKey(), "_id": MinKey()}
    high: Document = {"rg": zone, "p": MaxKey(), "_id": MaxKey()}
    bounds = ", ".join(f'{{rg: "{zone}", p: {end}, _id: {end}}}' for end in ("MinKey()", "MaxKey()"))
    return Act(
        f"{collection} of the zone {zone} lies on its shards.",
        f'sh.updateZoneKeyRange("{database}.{collection}", {bounds}, "{zone}")',
        "admin",
        {"updateZoneKeyRange": f"{database}.{collection}", "min": low, "max": high, "zone": zone},
    )


def _shell(key: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value!r}".replace("'", '"') for name, value in key.items()) + "}"
