"""What is wrong with the database and how to mend it: the findings that `fhir-server doctor` prints.

A check reads and changes nothing, unless it may mend what it finds. `CHECKS` is their order.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.settings import Settings
from fhir_server.store import schema
from fhir_server.store.blobs import Blobs
from fhir_server.store.client import Document, MongoUnavailable, check
from fhir_server.store.integrity import flaws
from fhir_server.store.locks import LOCKS, LOCKS_KEPT_SECONDS

Level = Literal["ok", "warning", "error"]

END_OF_LIFE: Mapping[tuple[int, int], date] = {
    (6, 0): date(2025, 7, 31),
    (7, 0): date(2027, 8, 31),
    (8, 0): date(2029, 10, 31),
}
"""Last day of MongoDB's support by release series."""

ZLIB_FIXED: Mapping[tuple[int, int], int] = {(6, 0): 27, (7, 0): 28, (8, 0): 17, (8, 2): 3}
"""First patch release without CVE-2025-14847 (anybody who connects reads server memory through zlib messages)."""

MANAGED = "For production use a replica set of MongoDB 8.0 with three members and set FHIR_MONGO__URL (docs/operate.md)"

GIB = 2**30
LITTLE_SPACE, NO_SPACE = 5 * GIB, GIB
SKEW = timedelta(seconds=2)
SAMPLE = 20
"""Resources of each type whose two forms and versions are compared."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        level: `ok` says that something was looked at and is well.
        text: What was found.
        remedy: What to do; empty for `ok`.
    """

    level: Level
    text: str
    remedy: str = ""


async def findings(client: AsyncMongoClient[Document], settings: Settings, *, mend: bool = False) -> list[Finding]:
    """Return what is to say about the database of `settings`, in a fixed order; never raises for a sick database.

    Args:
        client: Connection to it.
        settings: Effective settings.
        mend: Whether to remove what crashes left and nobody needs.
    """
    try:
        await check(client, settings.mongo.database)
    except MongoUnavailable as error:
        found, _, remedy = str(error).partition(". ")
        return [Finding("error", found, remedy or "See docs/operate.md")]
    subject = _Subject(client, client[settings.mongo.database], settings, mend)
    found_all: list[Finding] = []
    for look in CHECKS:
        try:
            found_all += [finding async for finding in look(subject)]
        except OperationFailure as error:
            # A managed MongoDB may withhold a command from us; that is no illness.
            detail = (error.details or {}).get("errmsg", str(error))
            found_all.append(
                Finding(
                    "warning", f"could not look at {look.__name__.strip('_')}: {detail}", "Grant the user that command"
                )
            )
        except PyMongoError as error:
            found_all.append(Finding("error", f"lost the database while looking ({error})", "Run the command again"))
            break
    return found_all


@dataclass(frozen=True, slots=True)
class _Subject:
    client: AsyncMongoClient[Document]
    database: AsyncDatabase[Document]
    settings: Settings
    mend: bool

    @property
    def embedded(self) -> bool:
        return self.settings.mongo.url is None


async def _version(subject: _Subject) -> AsyncIterator[Finding]:
    build = await subject.client.admin.command("buildInfo")
    series, patch = (build["versionArray"][0], build["versionArray"][1]), build["versionArray"][2]
    ended = END_OF_LIFE.get(series)
    if ended and ended < datetime.now(UTC).date():
        text = f"MongoDB {build['version']} gets no security fixes since {ended:%B %Y}"
        yield Finding("warning", text, MANAGED)
    else:
        yield Finding("ok", f"MongoDB {build['version']}")
    if patch < ZLIB_FIXED.get(series, 0):
        offered = await subject.client.admin.command({"hello": 1, "compression": ["zlib"]})
        if "zlib" in offered.get("compression", ()):
            yield Finding(
                "error",
                f"MongoDB {build['version']} offers zlib compression and has CVE-2025-14847: anybody who connects reads its memory",
                f"Upgrade to {series[0]}.{series[1]}.{ZLIB_FIXED[series]}, or start it with "
                "`--networkMessageCompressors snappy,zstd`",
            )


async def _members(subject: _Subject) -> AsyncIterator[Finding]:
    hello = await subject.client.admin.command("hello")
    if subject.embedded:
        yield Finding("ok", f"embedded mongod in {subject.settings.data_dir.absolute()}, a replica set of one")
        return
    members = len(hello.get("hosts", ()))
    if members == 1:
        yield Finding(
            "warning", f"the replica set {hello['setName']} has one member: no failover, no second copy", MANAGED
        )
    else:
        what = f"replica set {hello['setName']} of {members} members" if members else "sharded cluster"
        yield Finding("ok", what)


async def _clock(subject: _Subject) -> AsyncIterator[Finding]:
    asked = datetime.now(UTC)
    told = (await subject.client.admin.command("hello", codec_options=subject.client.codec_options))["localTime"]
    heard = datetime.now(UTC)
    skew = max(asked - told, told - heard, timedelta())
    if skew > SKEW:
        text = f"the clocks of this machine and of the database differ by {skew.total_seconds():.1f} s"
        yield Finding("warning", text, "Run NTP on both; lastUpdated follows the database's clock, logs this machine's")
    else:
        yield Finding("ok", "the clocks of this machine and of the database agree")


async def _space(subject: _Subject) -> AsyncIterator[Finding]:
    stats = await subject.database.command("dbStats")
    total = int(stats.get("fsTotalSize", 0))
    if not total:
        return
    free = total - int(stats["fsUsedSize"])
    text = f"{free / GIB:.1f} of {total / GIB:.1f} GB free where the database lies; the record takes {stats['totalSize'] / GIB:.2f} GB"
    if free < NO_SPACE:
        yield Finding("error", text, "Free or add disk space now: MongoDB stops when the disk is full")
    elif free < max(LITTLE_SPACE, total // 20):
        yield Finding("warning", text, "Free or add disk space")
    else:
        yield Finding("ok", text)


async def _schema(subject: _Subject) -> AsyncIterator[Finding]:
    row = await subject.database["meta"].find_one({"_id": "schema"})
    if await schema.restoring(subject.database):
        yield Finding(
            "error",
            "the record is being restored, or its restore was cut off; nothing is served of it",
            "Wait for `fhir-server restore`, or run it again with the same file",
        )
    elif row is None:
        yield Finding("ok", f"database {subject.database.name} is empty")
    elif row["version"] > schema.VERSION:
        yield Finding(
            "error",
            f"the record has schema version {row['version']}, this program knows versions up to {schema.VERSION}",
            "Install the release that wrote it, or a newer one",
        )
    else:
        yield Finding("ok", f"schema version {row['version']}")


async def _files(subject: _Subject) -> AsyncIterator[Finding]:
    """Look for large content that no version names (a crash between upload and commit leaves it)."""
    blobs, found = Blobs(subject.database), 0
    if subject.mend and (removed := await blobs.sweep()):
        yield Finding("ok", f"removed {removed} files of large content that belonged to no resource")
    async for files in blobs.orphans():
        found += len(files)
    if found:
        text = f"{found} files of large content belong to no resource (left by crashes)"
        yield Finding(
            "warning",
            text,
            "They only take space; a running server removes them within a day, `fhir-server doctor --mend` now",
        )
    else:
        yield Finding("ok", "no orphaned files")


async def _locks(subject: _Subject) -> AsyncIterator[Finding]:
    """Look for what crashed writers left: lock documents that should have expired."""
    expired = datetime.now(UTC) - timedelta(seconds=LOCKS_KEPT_SECONDS) - timedelta(minutes=10)
    left = await subject.database[LOCKS].count_documents({"at": {"$lt": expired}})
    if left:
        text = f"{left} locks of conditional creates were not removed after {LOCKS_KEPT_SECONDS // 60} minutes"
        yield Finding("warning", text, "Check that `ttlMonitorEnabled` of MongoDB is true; they block nothing")
    else:
        yield Finding("ok", "no stale locks")


async def _secrets(subject: _Subject) -> AsyncIterator[Finding]:
    """Look at who else may read the embedded database's passwords and files."""
    if not subject.embedded:
        return
    root = subject.settings.data_dir.absolute()
    for path in (root / "mongo", root / "secrets", *sorted((root / "secrets").glob("*"))):
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding("error", f"others may read {path}", f"chmod -R go= {root}")
            return
    yield Finding("ok", "only the server's user reads the database files and passwords")


async def _integrity(subject: _Subject) -> AsyncIterator[Finding]:
    names = await subject.database.list_collection_names()
    types = sorted(name for name in names if name[0].isupper() and not name.endswith("_h"))
    flawed = False
    for name in types:
        async for flaw in flaws(subject.database, name, SAMPLE):
            flawed = True
            yield Finding("error", f"{flaw.resource}: {flaw.text}", "Restore it from a backup, or write it again")
    if not flawed:
        yield Finding("ok", f"forms and versions of up to {SAMPLE} resources of each of {len(types)} types agree")


CHECKS: tuple[Callable[[_Subject], AsyncIterator[Finding]], ...] = (
    _version,
    _members,
    _clock,
    _space,
    _schema,
    _files,
    _locks,
    _secrets,
    _integrity,
)
