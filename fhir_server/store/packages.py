"""The packages of implementation guides that are installed: a row for each, its content in parts, and a number that tells of changes.

A row is first *installing*: its content and its resources are on their way. It becomes *installed* in the transaction that
writes the last of them, which raises the number too; so whoever sees the number changed sees whole packages only. What was cut
off stays *installing* until somebody installs it again or removes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pymongo import WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from fhir_server.store import failures
from fhir_server.store.codecs import ENVELOPE
from fhir_server.store.numbers import Numbers

ROWS, PARTS = "packages", "package_parts"
META, KEY = "meta", "packages"
PART = 8 * 2**20
"""Bytes of a part; a document holds less than 16 MiB."""
NAMESPACE_EXISTS = 48
DAY_MS = 24 * 3600 * 1000

State = Literal["installing", "installed", "removing"]


@dataclass(frozen=True, slots=True)
class Served:
    """A definition of a package that is stored as a resource.

    Attributes:
        resource_type: Its type.
        id: Logical id that it has here.
        url: Its canonical URL without version.
        version: Its business version.
    """

    resource_type: str
    id: str
    url: str
    version: str


@dataclass(frozen=True, slots=True)
class PackageRow:
    """What is known of a package without reading its content.

    Attributes:
        name: Package id.
        version: Its version.
        title: For people, or empty.
        state: Whether it is whole.
        sha256: Hash of the file that it was installed from.
        digest: Hash of the stored content, the same for every archive of the same files.
        size: Bytes of the stored content.
        dependencies: Version by package id.
        served: The resources made of it, in the order in which they are written.
        notes: Sentences about what is odd in it.
    """

    name: str
    version: str
    title: str
    state: State
    sha256: str
    digest: str
    size: int
    dependencies: Mapping[str, str]
    served: Sequence[Served] = ()
    notes: Sequence[str] = ()

    @property
    def key(self) -> str:
        """Name and version, `name#version`."""
        return f"{self.name}#{self.version}"


class Packages:
    """The packages in one database."""

    def __init__(self, database: AsyncDatabase[Any], numbers: Numbers | None = None) -> None:
        self._numbers = numbers or Numbers(database)
        options: dict[str, Any] = {
            "codec_options": ENVELOPE,
            "write_concern": WriteConcern("majority", j=True),
            "read_concern": ReadConcern("majority"),
        }
        self._rows = database.get_collection(ROWS, **options)
        self._parts = database.get_collection(PARTS, **options)
        self._meta = database.get_collection(META, **options)

    async def version(self) -> int:
        """Return the number, which every change of what is installed raises.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return await self._numbers.version(KEY)

    async def rows(self, session: AsyncClientSession | None = None) -> list[PackageRow]:
        """Return the rows of all packages in the order of their keys, those that are not whole among them.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            found = await self._rows.find({}, session=session).sort("_id", 1).to_list()
        except PyMongoError as error:
            raise failures.outward(error, session) from error
        return [_row(row) for row in found]

    async def content(self, row: PackageRow) -> bytes | None:
        """Return the content of a package, `None` where it is not what was stored: damaged, or removed meanwhile.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            parts = await self._parts.find(_parts_of(row.digest)).sort("_id", 1).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        content = b"".join(part["content"] for part in parts)
        return content if hashlib.sha256(content).hexdigest() == row.digest else None

    async def keep(self, digest: str, content: bytes) -> None:
        """Store a content, before the row that names it; what no row has named for a day is deleted.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._prepare()
            named = await self._rows.distinct("digest")
            old = {"$lt": ["$at", {"$subtract": ["$$NOW", DAY_MS]}]}
            await self._parts.delete_many({"digest": {"$nin": [*named, digest]}, "$expr": old})
            for number, at in enumerate(range(0, len(content), PART)):
                part = {"digest": digest, "content": content[at : at + PART]}
                change = {"$set": part, "$currentDate": {"at": True}}
                await self._parts.update_one({"_id": f"{digest}/{number:08}"}, change, upsert=True)
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def add(self, row: PackageRow, session: AsyncClientSession) -> None:
        """Store the row of a package in a transaction.

        Raises:
            PyMongoError: As the transaction takes it.
        """
        await self._rows.replace_one({"_id": row.key}, _document(row), upsert=True, session=session)

    async def enter(self, key: str, state: State, session: AsyncClientSession) -> None:
        """Change the state of a package in a transaction; the number is raised with it.

        Raises:
            PyMongoError: As the transaction takes it.
        """
        await self._rows.update_one({"_id": key}, {"$set": {"state": state}}, session=session)
        await self._meta.update_one({"_id": KEY}, {"$inc": {"version": 1}}, upsert=True, session=session)

    async def forget(self, row: PackageRow) -> None:
        """Delete a package that is not installed.

        Raises:
            Unavailable: The database cannot be reached.
        """
        try:
            await self._rows.delete_one({"_id": row.key})
            await self._parts.delete_many(_parts_of(row.digest))
        except PyMongoError as error:
            raise failures.expected(error) from error

    async def _prepare(self) -> None:
        """Create the collection of the rows, which are written in transactions: there it would be too late (see `unit_of_work`)."""
        try:
            await self._rows.database.create_collection(ROWS, check_exists=False)
        except OperationFailure as error:
            if error.code != NAMESPACE_EXISTS:
                raise


def _parts_of(digest: str) -> dict[str, Any]:
    return {"_id": {"$gte": f"{digest}/", "$lt": f"{digest}0"}}


def _document(row: PackageRow) -> dict[str, Any]:
    """Return a row as a document; names of packages have dots, so they cannot be names of members."""
    return {
        "_id": row.key,
        "name": row.name,
        "version": row.version,
        "title": row.title,
        "state": row.state,
        "sha256": row.sha256,
        "digest": row.digest,
        "size": row.size,
        "dependencies": [[name, version] for name, version in row.dependencies.items()],
        "served": [[one.resource_type, one.id, one.url, one.version] for one in row.served],
        "notes": list(row.notes),
    }


def _row(doc: Mapping[str, Any]) -> PackageRow:
    return PackageRow(
        doc["name"],
        doc["version"],
        doc["title"],
        doc["state"],
        doc["sha256"],
        doc["digest"],
        doc["size"],
        dict(doc["dependencies"]),
        tuple(Served(*one) for one in doc["served"]),
        tuple(doc["notes"]),
    )
