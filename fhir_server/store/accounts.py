"""The users of the embedded mongod and the passwords they have: made once, kept in `<data_dir>/secrets`.

| user | may |
|---|---|
| `admin` | everything; logs in only here, to set up, after a start and when a database is added |
| `app` | read and write the record; in the audit database insert and find, nothing else; read server status |
| `audit` | read the audit database |
"""

import asyncio
import json
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pymongo import AsyncMongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from fhir_server.store import trail
from fhir_server.store.client import Document, MongoUnavailable
from fhir_server.store.mongod import SET, Mongod, url

VERSION = 2
"""Raised when the roles below or the collections of the trail change: directories are brought up to date at the next start."""

READY_SECONDS = 120
LOST_SECONDS = 0.5
"""How long a member may be without its configuration before we ask whether it knows itself."""

UNAUTHORIZED, ALREADY_INITIALIZED, NOT_A_MEMBER, ROLE_EXISTS, USER_EXISTS = 13, 23, 93, 51002, 51003
"""Codes of MongoDB's errors."""


class Ended(MongoUnavailable):
    """The mongod that ran a moment ago is gone."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Passwords, and how far the database knows them.

    Attributes:
        admin: Password of `admin`.
        app: Password of `app`.
        audit: Password of `audit`.
        version: `VERSION` of the roles as they stand in the database; 0 before the first set-up.
        databases: Record databases that `app` may use.
    """

    admin: str
    app: str
    audit: str
    version: int = 0
    databases: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Accounts(version={self.version}, databases={self.databases})"

    @classmethod
    def open(cls, root: Path, *, fresh: bool) -> Self:
        """Return the accounts of a data directory; make passwords and the member key where there are none yet.

        Args:
            root: The data directory.
            fresh: No database was ever started there, so new passwords are in order.

        Raises:
            MongoUnavailable: There is a database but no passwords for it.
        """
        folder = root / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / "mongo.key").exists():
            write_secret(folder / "mongo.key", secrets.token_urlsafe(72).replace("_", "+").replace("-", "/"))
        file = folder / "mongo.json"
        if file.exists():
            return cls(**{**(stored := json.loads(file.read_text())), "databases": tuple(stored["databases"])})
        if not fresh:
            raise MongoUnavailable(
                f"{root / 'mongo'} holds a database but {file} with its passwords is missing; restore that file from the backup"
            )
        made = cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        made.save(root)
        return made

    def save(self, root: Path) -> None:
        """Write the accounts to `root`."""
        fields = ("admin", "app", "audit", "version", "databases")
        write_secret(root / "secrets" / "mongo.json", json.dumps({name: getattr(self, name) for name in fields}))

    def covers(self, database: str) -> bool:
        """Tell whether the users as they stand serve `database`."""
        return self.version == VERSION and database in self.databases


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner reads; it is there whole or not at all, also after a power cut."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


async def ready(mongod: Mongod, accounts: Accounts, database: str, *, started: bool) -> Accounts:
    """Bring a running mongod to where `app` can work, and return the accounts as they then stand.

    Every step looks before it acts, so a set-up that was cut short is finished by the next process.

    Args:
        mongod: The one that runs.
        accounts: The passwords.
        database: Record database that `app` is to use.
        started: It was just started, so a majority write has to prove it.

    Raises:
        Ended: It ended meanwhile.
        MongoUnavailable: It does not become writable, or holds other users than ours.
    """
    async with _client(url(mongod.address, "", "", direct=True), patience_ms=500) as anonymous:
        await _primary(anonymous, mongod, accounts)
        if not accounts.version:
            await _found(anonymous, mongod, accounts)
    if accounts.covers(database) and not started:
        return accounts
    async with _client(url(mongod.address, "admin", accounts.admin)) as admin:
        if not accounts.covers(database):
            accounts = replace(
                accounts, version=VERSION, databases=tuple(dict.fromkeys((*accounts.databases, database)))
            )
            await _grant(admin, accounts)
            accounts.save(mongod.root)
        await admin.admin.command(
            {"appendOplogNote": 1, "data": {"ready": SET}, "writeConcern": {"w": "majority", "j": True}}
        )
    return accounts


@asynccontextmanager
async def _client(where: str, patience_ms: int = 5_000) -> AsyncIterator[AsyncMongoClient[Document]]:
    """Yield a client that is closed also when this is cancelled while it connects."""
    options: Document = {"serverSelectionTimeoutMS": patience_ms, "maxPoolSize": 2, "appname": "aquifer-setup"}
    client: AsyncMongoClient[Document] = AsyncMongoClient(where, **options)
    try:
        yield client
    finally:
        closing = asyncio.ensure_future(client.close())
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:  # it came while closing, which ends all the same
            await closing
            raise


async def _initiate(anonymous: AsyncMongoClient[Document], mongod: Mongod) -> None:
    """Make the mongod a replica set of one; nobody needs to log in while it has no users."""
    try:
        members = [{"_id": 0, "host": mongod.address}]
        await anonymous.admin.command("replSetInitiate", {"_id": SET, "members": members})
    except OperationFailure as error:
        if error.code not in {ALREADY_INITIALIZED, UNAUTHORIZED}:
            raise


async def _primary(anonymous: AsyncMongoClient[Document], mongod: Mongod, accounts: Accounts) -> None:
    """Wait until the member takes writes; initiate the set where it is new, mend its address where that has changed."""
    began = time.monotonic()
    lost = began + LOST_SECONDS
    while (now := time.monotonic()) < began + READY_SECONDS:
        try:
            hello = await anonymous.admin.command("hello")
        except AutoReconnect:
            if not mongod.is_running():
                raise Ended(f"mongod ended while it started; see {mongod.log}") from None
            continue
        if hello.get("isWritablePrimary"):
            if mongod.address in hello["hosts"]:
                return
            raise MongoUnavailable(
                f"{mongod.root} was moved while its mongod ran; stop every process that uses it, then start again"
            )
        if "setName" not in hello and not accounts.version:
            await _initiate(anonymous, mongod)
        elif "setName" not in hello and now > lost:
            lost = now + LOST_SECONDS
            await _readdress(mongod, accounts)
        await asyncio.sleep(0.01)
    raise MongoUnavailable(f"mongod did not become writable within {READY_SECONDS} s; see {mongod.log}")


async def _readdress(mongod: Mongod, accounts: Accounts) -> None:
    """Give the member its new address: the data directory was moved, or another program took its port."""
    async with _client(url(mongod.address, "admin", accounts.admin, direct=True)) as admin:
        try:
            await admin.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code != NOT_A_MEMBER:  # merely not ready yet
                return
            config = (await admin.admin.command("replSetGetConfig"))["config"]
            config["members"][0]["host"] = mongod.address
            await admin.admin.command("replSetReconfig", config, force=True)


async def _found(anonymous: AsyncMongoClient[Document], mongod: Mongod, accounts: Accounts) -> None:
    """Create `admin` as the first user, the one thing MongoDB lets an anonymous local caller do."""
    try:
        await anonymous.admin.command("createUser", "admin", pwd=accounts.admin, roles=["root"])
    except OperationFailure as error:
        if error.code not in {UNAUTHORIZED, USER_EXISTS}:
            raise
        try:
            async with _client(url(mongod.address, "admin", accounts.admin)) as admin:
                await admin.admin.command("ping")
        except PyMongoError:
            raise MongoUnavailable(
                f"the database in {mongod.data} already has users that the passwords in {mongod.root / 'secrets'} do not "
                "fit; restore both from the same backup, or use an empty data directory"
            ) from error


async def _grant(admin: AsyncMongoClient[Document], accounts: Accounts) -> None:
    """Write roles and users so that they serve all of `accounts.databases`."""
    audits = [{"db": f"{name}_audit", "collection": ""} for name in accounts.databases]
    roles: dict[str, Document] = {
        "status": {
            "privileges": [{"resource": {"cluster": True}, "actions": ["serverStatus", "replSetGetStatus"]}],
            "roles": [],
        },
        "auditWriter": {
            "privileges": [
                {"resource": audit, "actions": ["find", "insert", "listCollections", "listIndexes"]} for audit in audits
            ],
            "roles": [],
        },
    }
    for name, role in roles.items():
        await _upsert(admin, "Role", name, ROLE_EXISTS, role)
    records: list[Any] = [{"role": "readWrite", "db": name} for name in accounts.databases]
    readers: list[Any] = [{"role": "read", "db": audit["db"]} for audit in audits]
    await _upsert(
        admin, "User", "app", USER_EXISTS, {"pwd": accounts.app, "roles": [*records, "auditWriter", "status"]}
    )
    await _upsert(admin, "User", "audit", USER_EXISTS, {"pwd": accounts.audit, "roles": readers})
    for audit in audits:
        # By `app` it could not be done: who may create an index may create one that lets rows expire.
        await trail.create(admin[audit["db"]])


async def _upsert(admin: AsyncMongoClient[Document], kind: str, name: str, exists: int, body: Document) -> None:
    """Create a role or user, or bring the existing one to the same state."""
    try:
        await admin.admin.command(f"create{kind}", name, **body)
    except OperationFailure as error:
        if error.code != exists:
            raise
        await admin.admin.command(f"update{kind}", name, **body)
