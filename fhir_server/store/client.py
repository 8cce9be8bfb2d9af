"""The MongoDB client: how the server connects, and what it demands of the other side.

Durability is not negotiable per deployment: every write waits for a majority of journals and every read sees only what a
majority holds, whatever the connection string says. Timeouts and pool sizes of the connection string win over ours.
"""

import importlib.util
from collections.abc import Mapping
from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from fhir_server.settings import Settings
from fhir_server.store import processes

Document = dict[str, Any]

OLDEST = (6, 0)
"""First MongoDB version with everything the store uses (pre-images, clustered transactions, `$$NOW` in updates)."""

PREFERRED: Mapping[str, Any] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 120_000,
    "waitQueueTimeoutMS": 10_000,
}
"""Options that a connection string may override (milliseconds)."""

DURABLE: Mapping[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "retryReads": True,
    "uuidRepresentation": "standard",
}
"""Options that nobody overrides: an acknowledged write survives the loss of a member."""

REPLICATE = (
    "Stop it, start it with `mongod --replSet rs0 …` (or `replication.replSetName: rs0` in mongod.conf), then run once "
    '`mongosh --eval "rs.initiate()"`.'
)
INITIATE = 'Run once `mongosh --eval "rs.initiate()"` against it.'


class MongoUnavailable(Exception):
    """No MongoDB that the server can use. The text names the remedy."""


def connect(url: SecretStr, settings: Settings) -> AsyncMongoClient[Document]:
    """Return a client for `url`; nothing is sent until its first command.

    Args:
        url: Connection string of a replica set or sharded cluster.
        settings: `mongo.pool` bounds the connections.

    Raises:
        MongoUnavailable: The connection string is malformed.
    """
    text = url.get_secret_value()
    stated = {name.lower() for name, _ in parse_qsl(urlsplit(text).query, keep_blank_values=True)}
    preferred = {**PREFERRED, "appname": processes.name(), "maxPoolSize": settings.mongo.pool}
    if ".sock" not in text and importlib.util.find_spec("zstandard"):
        preferred["compressors"] = "zstd"
    options = {name: value for name, value in preferred.items() if name.lower() not in stated}
    try:
        return AsyncMongoClient(text, tz_aware=True, tzinfo=UTC, **options, **DURABLE)
    except (ConfigurationError, ValueError, TypeError) as error:
        raise MongoUnavailable(
            f"the MongoDB connection string is malformed ({error}); the form is "
            "mongodb://user:password@host:27017,host2:27017/?replicaSet=rs0"
        ) from error


async def check(client: AsyncMongoClient[Document], database: str = "fhir") -> None:
    """Return when the deployment behind `client` can hold the record.

    Args:
        client: Where the record is to be.
        database: Its database; the login has to be allowed to list it.

    Raises:
        MongoUnavailable: It cannot be reached, is a standalone, is older than 6.0, takes no writes, or refuses the login.
    """
    try:
        hello = await client.admin.command("hello")
        build = await client.admin.command("buildInfo")
        if hello.get("isWritablePrimary") and ("setName" in hello or hello.get("msg") == "isdbgrid"):
            await client[database].command("listCollections", nameOnly=True)
    except ServerSelectionTimeoutError as error:
        raise MongoUnavailable(_unreachable(client, error)) from error
    except OperationFailure as error:
        raise MongoUnavailable(_refused(error)) from error
    except PyMongoError as error:
        raise MongoUnavailable(f"MongoDB does not answer ({error}); check that it runs and can be reached") from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        if hello.get("isreplicaset"):
            raise MongoUnavailable(f"the replica set was never initiated. {INITIATE}")
        raise MongoUnavailable(
            f"this mongod is a standalone, which has no transactions; the record needs a replica set. {REPLICATE}"
        )
    if tuple(build["versionArray"][:2]) < OLDEST:
        raise MongoUnavailable(
            f"MongoDB {build['version']} is too old; upgrade it to {OLDEST[0]}.{OLDEST[1]} or newer (8.0 is best)"
        )
    if hello.get("msg") != "isdbgrid" and not hello.get("isWritablePrimary"):
        raise MongoUnavailable(
            f"{hello.get('me')} is not the primary; name the whole replica set in FHIR_MONGO__URL "
            f"(…?replicaSet={hello['setName']}) and leave directConnection out"
        )


def _refused(error: OperationFailure) -> str:
    """Return the sentence for a login that does not work or may too little."""
    reason = (error.details or {}).get("errmsg", str(error))
    return (
        f"MongoDB refused the login ({reason}). Correct user, password and authSource in FHIR_MONGO__URL, and give the "
        "user the role readWrite on the database of the record (FHIR_MONGO__DATABASE)"
    )


def _unreachable(client: AsyncMongoClient[Document], error: ServerSelectionTimeoutError) -> str:
    """Return the sentence for a deployment in which no primary was found."""
    servers = client.topology_description.server_descriptions().values()
    refusal = next((server.error for server in servers if isinstance(server.error, OperationFailure)), None)
    if refusal is not None:
        return _refused(refusal)
    if any(server.server_type_name == "RSGhost" for server in servers):
        return f"the replica set was never initiated. {INITIATE}"
    if not servers or "belongs to a set named 'None'" in str(error):
        return (
            "no host of FHIR_MONGO__URL belongs to the replica set it names: it is a standalone mongod, or the set has "
            f"another name. {REPLICATE}"
        )
    if any(server.server_type_name in {"RSSecondary", "RSOther", "RSArbiter"} for server in servers):
        return "the replica set has no primary now; see `rs.status()`: a majority of its members must be up"
    return f"MongoDB cannot be reached ({str(error).split(', Timeout:')[0]}); check that it runs and FHIR_MONGO__URL is right"
