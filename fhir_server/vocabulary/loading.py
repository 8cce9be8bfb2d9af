"""Releases of code systems come and go: their concepts into the store of concepts, and what else is told of them as resources.

Concepts count when all of them are there. Then a CodeSystem without concepts (`content` = not-present) tells that the version is
here, beside the ValueSets and ConceptMaps of the release; the CodeSystem is written last, so a load that was cut off is seen.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any

from fhir_server.guides.serving import MOST_BYTES as MOST_OF_RESOURCE
from fhir_server.model import json
from fhir_server.model.errors import Conflict, Gone, NotFound
from fhir_server.repository import Repository
from fhir_server.store import Store
from fhir_server.store.loading import Progress
from fhir_server.store.systems import SystemRow
from profiles.packages.package import Package
from terminology.concept import Head
from terminology.load.derived import Derived
from terminology.load.release import Release, Row
from terminology.load.resource import LISTED, of

Json = dict[str, Any]
Begin = Callable[[], Repository]
"""Gives a repository for one unit of work, which leaves a row in the audit trail."""

LOADED = "loaded"
CODE_SYSTEM = "CodeSystem"
TYPES = (CODE_SYSTEM, "ValueSet", "ConceptMap")
TAG = "https://aquifer.example/fhir/CodeSystem/release"
"""System of the tag that resources of a release have."""
MARK = 40
MOST, MOST_BYTES = 100, 4 * 2**20
"""Resources, and bytes of them, of one transaction."""
MOST_PROPERTIES = 1_000
OWN = frozenset({"id", "meta", "text", "contained", "concept", "filter", "content", "count", "resourceType"})
"""Elements of a CodeSystem that are not taken over from the one in a release."""

_UNFIT = re.compile(r"[^A-Za-z0-9]+", re.ASCII)


@dataclass(slots=True)
class Tally:
    """What has been seen of a release.

    Attributes:
        concepts: All.
        inactive: Of them.
        designations: Other words.
        properties: Statements.
        edges: Relations to concepts right above.
    """

    concepts: int = 0
    inactive: int = 0
    designations: int = 0
    properties: int = 0
    edges: int = 0

    def counted(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows as they are, counting them."""
        for row in rows:
            self.concepts += 1
            self.inactive += row.inactive
            self.designations += len(row.designations)
            self.properties += len(row.properties)
            self.edges += len(row.parents)
            yield row


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load came to.

    Attributes:
        head: Of the code system.
        tally: Of its concepts; all zero but the concepts where nothing was to be done.
        resources: How many resources were written by type.
        notes: Sentences on resources that could not be.
        resumed: Concepts that an earlier load had stored.
        unchanged: Whether the version was loaded from the same before.
        seconds: How long it took.
        described: The CodeSystem that tells of it; empty where it was only checked.
    """

    head: Head
    tally: Tally
    resources: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    resumed: int = 0
    unchanged: bool = False
    seconds: float = 0.0
    described: Json = field(default_factory=dict)


class Loading:
    """Loads and drops code systems.

    Args:
        store: The database.
        begin: Gives a repository for each unit of work.
    """

    def __init__(self, store: Store, begin: Begin) -> None:
        self._store = store
        self._begin = begin

    async def rows(self) -> list[SystemRow]:
        """Return a row for each version that is loaded or on its way.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return [row for row in await self._store.concepts.rows() if row.state != "dropping"]

    async def load(self, release: Release, progress: Callable[[Progress], None] = lambda _: None) -> Loaded:
        """Load a release beside the versions that are there, or finish a load of it that was cut off.

        Args:
            release: It.
            progress: Is told of progress.

        Raises:
            BrokenRelease: It is not as releases are. Nothing of it stays.
            Conflict: Another process loads the same version.
            Unavailable: The database cannot be reached.
        """
        began, tally = monotonic(), Tally()
        rows = release.rows
        done = await self._store.concepts.load(replace(release, rows=lambda: tally.counted(rows())), progress)
        head = done.row.head
        tally.concepts, tally.edges = head.count, done.row.edges
        written: dict[str, int] = {}
        notes: list[str] = []
        described = self.described(head, done.row.digest)
        if not await self._stored(described):
            await self._write(release, described, written, notes)
        await self._store.concepts.sweep()
        return Loaded(head, tally, written, tuple(notes), done.resumed, done.unchanged, monotonic() - began, described)

    @staticmethod
    def checked(release: Release, progress: Callable[[int], None] = lambda _: None) -> Loaded:
        """Read a whole release as `load` does, and write nothing.

        Args:
            release: It.
            progress: Is told how many concepts have been read.

        Raises:
            BrokenRelease: It is not as releases are.
        """
        began, tally, derived = monotonic(), Tally(), Derived()
        for row in tally.counted(release.rows()):
            if not derived.add(row) % 1_000:
                progress(tally.concepts)
        for _ in derived.pieces():
            pass
        resources: dict[str, int] = {}
        for one in release.resources():
            resources[one["resourceType"]] = resources.get(one["resourceType"], 0) + 1
        return Loaded(replace(release.head, count=tally.concepts), tally, resources, seconds=monotonic() - began)

    async def drop(self, url: str, version: str = "") -> tuple[Head, int]:
        """Drop a version with the resources of its release; return it, and how many resources there were.

        Its concepts stop counting at once, and are deleted later: requests that began before may still read them.

        Args:
            url: Of the code system.
            version: May be empty where only one is loaded.

        Raises:
            NotFound: It is not loaded.
            Conflict: Several versions are loaded, or resources refer to those of the release.
            Unavailable: The database cannot be reached.
        """
        row = named(await self.rows(), url, version)
        mark, count = _mark(row.head), 0
        for kind in reversed(TYPES):
            while found := await self._begin().matches(kind, (("_tag", f"{TAG}|{mark}"),), MOST):
                names = [_id_of(one.body) for one in found]
                await self._begin().exclusively([], [kind], partial(_delete, kind, names))
                count += len(names)
        await self._store.concepts.drop(row)
        await self._store.concepts.sweep()
        return row.head, count

    def described(self, head: Head, digest: str) -> Json:
        """Return the CodeSystem that tells of a version without its concepts."""
        stated = {key: value for key, value in (head.resource or {}).items() if key not in OWN}
        properties = [
            {
                "code": one.code,
                **({"uri": one.uri} if one.uri else {}),
                **({"description": one.description} if one.description else {}),
                "type": one.kind,
            }
            for one in list(head.properties.values())[:MOST_PROPERTIES]
        ]
        made: Json = {
            "resourceType": CODE_SYSTEM,
            "id": _id(head.name or "code-system", CODE_SYSTEM, head.url, head.version),
            "meta": {"tag": [{"system": TAG, "code": _mark(head)}]},
            **stated,
            "url": head.url,
            "version": head.version,
            "name": head.name or _name(head),
            "title": head.title,
            "status": head.status if head.status in {"draft", "active", "retired", "unknown"} else "unknown",
            "language": head.language,
            "caseSensitive": head.case_sensitive,
            "valueSet": head.value_set,
            "hierarchyMeaning": head.hierarchy,
            "compositional": head.compositional,
            "content": "not-present",
            "count": head.count,
            "property": properties,
            "identifier": [*stated.get("identifier", ()), {"system": TAG, "value": digest}],
        }
        return {key: value for key, value in made.items() if value not in ("", [], None)}

    async def _stored(self, described: Json) -> bool:
        try:
            stored = json.decode((await self._begin().read(CODE_SYSTEM, described["id"])).body)
        except (NotFound, Gone):
            return False
        return all(stored.get(name) == described.get(name) for name in ("identifier", "count"))

    async def _write(self, release: Release, described: Json, written: dict[str, int], notes: list[str]) -> None:
        """Write the resources of a release in transactions, what tells that it is whole last."""
        tag = described["meta"]["tag"]
        intake = self._begin().intake
        batch: list[Json] = []
        size = 0
        for resource in release.resources():
            kind, url, version = resource["resourceType"], resource.get("url", ""), resource.get("version", "")
            made = {**resource, "id": _id(resource.get("name") or "", kind, url, version), "meta": {"tag": tag}}
            found = next((one for one in intake.check(made) if one.fails), None)
            if found is not None:
                notes.append(f"{kind} {url} is not stored: {found.text}")
                continue
            batch.append(made)
            size += len(json.encode(made))
            if len(batch) >= MOST or size >= MOST_BYTES:
                await self._put(batch, written)
                batch, size = [], 0
        await self._put([*batch, described], written)

    async def _put(self, batch: Sequence[Json], written: dict[str, int]) -> None:
        await self._begin().exclusively([], {one["resourceType"] for one in batch}, partial(_update, batch))
        for one in batch:
            written[one["resourceType"]] = written.get(one["resourceType"], 0) + 1


def large(package: Package) -> Iterator[Release]:
    """Yield the code systems of a package that are too large for a stored resource."""
    for entries in package.definitions.values():
        for entry in entries:
            if entry.resource_type == CODE_SYSTEM and len(zlib.decompress(entry.packed)) > MOST_OF_RESOURCE:
                resource = entry.read()
                if resource.get("content") in LISTED:
                    yield of(resource, hashlib.sha256(entry.packed).hexdigest(), entry.file)


def named(rows: Sequence[SystemRow], url: str, version: str) -> SystemRow:
    """Return the row of a version.

    Raises:
        NotFound: It is not there.
        Conflict: Several are meant.
    """
    found = [row for row in rows if row.head.url == url and (not version or row.head.version == version)]
    if len(found) == 1 or (found and version):
        return found[-1]
    if found:
        choices = ", ".join(row.head.canonical for row in found)
        raise Conflict(f"Several versions of {url} are loaded. Say which one: {choices}.")
    there = ", ".join(row.head.canonical for row in rows) or "none"
    raise NotFound(f"{url}{f'|{version}' if version else ''} is not loaded. Loaded are: {there}.")


async def _update(batch: Sequence[Json], bound: Repository) -> None:
    await bound.expect([((one["resourceType"], one["id"]), "u") for one in batch], {})
    for one in batch:
        await bound.update(one["resourceType"], one["id"], one)


async def _delete(kind: str, names: Sequence[str], bound: Repository) -> None:
    await bound.expect([((kind, name), "d") for name in names], {})
    for name in names:
        await bound.delete(kind, name)


def _mark(head: Head) -> str:
    return hashlib.sha256(head.canonical.encode()).hexdigest()[:MARK]


def _id(name: str, kind: str, url: str, version: str) -> str:
    """Return the logical id of a resource of a release: always the same for the same canonical."""
    mark = hashlib.sha256(f"{kind}|{url}|{version}".encode()).hexdigest()[:16]
    return f"{_UNFIT.sub('-', name)[:40].strip('-').lower()}-{mark}".lstrip("-")


def _id_of(body: bytes) -> str:
    name: str = json.decode(body)["id"]
    return name


def _name(head: Head) -> str:
    pieces = [one for one in _UNFIT.split(head.url.rstrip("/").rsplit("/", 1)[-1]) if one]
    return "".join(one[:1].upper() + one[1:] for one in pieces) or "CodeSystem"
