"""Packages come and go: content first, then the resources in transactions, and the last of them makes it count.

Whatever cuts an installation off, the same command takes it up again: the ids are chosen once and kept in the row of the package,
what is written already is left alone, and no process works by a package before it is whole.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fhir_server.guides import adding, serving
from fhir_server.guides.adding import Parameter
from fhir_server.guides.serving import GUIDE, PARAMETER, Candidate, Key
from fhir_server.guides.shelf import Shelf
from fhir_server.model import json
from fhir_server.model.errors import Conflict, Gone, NotFound
from fhir_server.model.query import ANYTHING
from fhir_server.repository import Repository
from fhir_server.store import PackageRow, Served, Store, Unit
from profiles.packages import versions
from profiles.packages.library import Missing
from profiles.packages.package import CORE, Package
from profiles.packages.packed import pack

Json = dict[str, Any]
Begin = Callable[[], Repository]
"""Gives a repository for one unit of work of this program, which leaves a row in the audit trail."""

LOCK = "packages"
MOST = 100
MOST_BYTES = 4 * 2**20
"""Resources, and bytes of them, of one transaction: the database gives each a minute."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation came to.

    Attributes:
        key: `name#version`.
        was_there: Whether it was installed before, so that nothing was done.
        resources: How many resources it has by type.
        parameters: What became of its search parameters, in the order of their URLs.
        notes: Sentences on what is odd in the package, and on what is not served.
        missing: Dependencies that are not installed.
    """

    key: str
    was_there: bool
    resources: Mapping[str, int]
    parameters: Sequence[Parameter]
    notes: Sequence[str]
    missing: Sequence[Missing]


class Installation:
    """Installs and removes packages.

    Args:
        store: The database.
        shelf: Is told.
        begin: Gives a repository for each unit of work.
    """

    def __init__(self, store: Store, shelf: Shelf, begin: Begin) -> None:
        self._store = store
        self._packages = store.packages
        self._shelf = shelf
        self._begin = begin

    async def rows(self) -> list[PackageRow]:
        """Return what there is of packages, installed or not whole, each guide's versions in their order.

        Raises:
            Unavailable: The database cannot be reached.
        """
        return sorted(await self._packages.rows(), key=lambda row: (row.name, versions.order(row.version)))

    async def install(self, package: Package) -> Installed:
        """Install a package, or what an installation that was cut off left out; mend its content where it is there.

        Raises:
            Conflict: Another package of this name and version is installed, or it is the R4 core package.
            Unavailable: The database cannot be reached.
        """
        if package.name == CORE:
            raise Conflict(f"{package.key} is part of this server: nothing has to be installed.")
        content = pack(package)
        digest = hashlib.sha256(content).hexdigest()
        row = await self._row(package.key)
        if row and row.state == "installed" and row.digest != digest:
            raise Conflict(
                f"{row.key} is installed already, from a file with other content: SHA-256 {row.sha256}, and this one "
                f"has {package.sha256}. Remove it first: `fhir-server package remove {row.name}@{row.version}`."
            )
        was_there = row is not None and row.state == "installed"
        if row and was_there:
            await self._mend(row, content)
        else:
            if row and (row.digest != digest or row.state == "removing"):
                await self.remove(row.name, row.version)
                row = None
            await self._packages.keep(digest, content)
            await self._complete(package, row, digest, len(content))
        await self._shelf.refresh()
        return await self.told(package.key, was_there=was_there)

    async def remove(self, name: str, version: str = "", *, force: bool = False) -> PackageRow:
        """Remove a package with its resources, which stay in the history as deleted; return what it was.

        Args:
            name: Package id.
            version: Its version; may be empty where only one is there.
            force: Although another installed package depends on it.

        Raises:
            NotFound: There is no such package.
            Conflict: Several are meant, another package depends on it, or resources refer to what is in it.
            Unavailable: The database cannot be reached.
        """
        row = _named(await self.rows(), name, version)
        # What refers to others goes first, and search parameters together: composites name each other.
        first = [one for one in row.served if one.resource_type in {GUIDE, PARAMETER}]
        rest = [one for one in reversed(row.served) if one.resource_type not in {GUIDE, PARAMETER}]

        async def leave(bound: Repository) -> None:
            session = _unit(bound).session
            if not force and row.state == "installed":
                _refuse_dependents(row, await self._packages.rows(session))
            await self._packages.enter(row.key, "removing", session)
            await _delete(first, bound)

        await self._begin().exclusively([LOCK], _types(first), leave)
        for batch in _batches(rest, dict.fromkeys(rest, 0)):
            await self._begin().exclusively([], _types(batch), partial(_delete, batch))
        await self._packages.forget(row)
        await self._shelf.refresh()
        for other in await self._packages.rows():
            if other.state == "installed":
                await self._renew(await adding.awaiting(other.served, self._begin()))
        return row

    async def told(self, key: str, *, was_there: bool) -> Installed:
        """Return what an installation has come to by now.

        Args:
            key: `name#version`.
            was_there: Whether it was installed before.

        Raises:
            Conflict: It was removed meanwhile.
            Unavailable: The database cannot be reached.
        """
        row = await self._row(key)
        if row is None:
            raise Conflict(f"{key} was removed while it was installed. Install it again.")
        library = self._shelf.library
        missing = [one for one in library.missing() if one.package == key]
        counts = Counter(one.resource_type for one in row.served)
        parameters = await adding.told(row.served, self._begin())
        return Installed(key, was_there, dict(sorted(counts.items())), parameters, row.notes, missing)

    async def _row(self, key: str) -> PackageRow | None:
        return next((row for row in await self._packages.rows() if row.key == key), None)

    async def _complete(self, package: Package, row: PackageRow | None, digest: str, size: int) -> None:
        """Write what is not written yet of a package, and make it count."""
        intake = self._begin().intake
        found, notes = serving.candidates(package, intake)
        begun = row is not None
        row = row or await self._entered(package, digest, size, found, notes)
        if row.state == "installed":
            return
        made = serving.resources(package, found, row.served, intake.reading.base)
        if begun:
            made = [pair for pair in made if not await self._written(*pair)]
        sizes = {one: len(json.encode(resource)) for one, resource in made}
        by_served = dict(made)
        for batch in _batches([*by_served], sizes):
            await self._batch(row.key, [(one, by_served[one]) for one in batch])

        async def count(bound: Repository) -> None:
            if await self._unfinished(row.key, bound):
                await self._packages.enter(row.key, "installed", _unit(bound).session)

        await self._begin().exclusively([LOCK], [], count)

    async def _mend(self, row: PackageRow, content: bytes) -> None:
        """Store the content of an installed package again if it is damaged."""
        if await self._packages.content(row) is not None:
            return
        await self._packages.keep(row.digest, content)

        async def tell(bound: Repository) -> None:
            await self._packages.enter(row.key, row.state, _unit(bound).session)

        await self._begin().exclusively([LOCK], [], tell)

    async def _batch(self, key: str, rows: Sequence[tuple[Served, Json]]) -> None:
        async def put(bound: Repository) -> None:
            if await self._unfinished(key, bound):
                await _put(bound, rows)

        await self._begin().exclusively([LOCK], _types([one for one, _ in rows]), put)

    async def _unfinished(self, key: str, bound: Repository) -> bool:
        """Return whether a package still is on its way, as a unit of work sees it that nobody else changes packages beside.

        Raises:
            Conflict: Somebody removes it.
        """
        found = {one.key: one.state for one in await self._packages.rows(_unit(bound).session)}.get(key, "removing")
        if found == "removing":
            raise Conflict(f"{key} is being removed by somebody else. Install it again when that is done.")
        return found == "installing"

    async def _entered(
        self, package: Package, digest: str, size: int, found: Sequence[Candidate], notes: Sequence[str]
    ) -> PackageRow:
        """Choose ids, and store the row of a package; return it."""
        wanted: set[Key] = {(one.entry.resource_type, name) for one in found for name in one.names}
        await self._store.prepare({kind for kind, _ in wanted})

        async def enter(bound: Repository) -> PackageRow:
            rows = await self._packages.rows(_unit(bound).session)
            other = next((one for one in rows if one.key == package.key), None)
            if other is not None and other.digest == digest and other.state != "removing":
                return other  # somebody installs it just now
            taken = {(one.resource_type, one.id) for other in rows for one in other.served}
            taken |= await self._store.exists(wanted, lambda _: ANYTHING, _unit(bound).session)
            row = PackageRow(
                package.name,
                package.version,
                package.title,
                "installing",
                package.sha256,
                digest,
                size,
                package.dependencies,
                serving.choose(found, taken),
                (*package.notes, *notes),
            )
            await self._packages.add(row, _unit(bound).session)
            return row

        return await self._begin().exclusively([LOCK], [], enter)

    async def _written(self, one: Served, resource: Json) -> bool:
        """Return whether a resource is stored as it is to be."""
        try:
            stored: Json = json.decode((await self._begin().read(one.resource_type, one.id)).body)
        except (NotFound, Gone):
            return False
        return _bare(stored) == _bare(resource)

    async def _renew(self, served: Sequence[Served]) -> None:
        """Write search parameters once more, so that they are added."""
        rows = []
        for one in served:
            stored = await self._begin().read(one.resource_type, one.id)
            rows.append((one, json.decode(stored.body)))
        if rows:
            await self._begin().exclusively([], {PARAMETER}, lambda bound: _put(bound, rows))


def _unit(bound: Repository) -> Unit:
    if bound.pending is None:
        raise RuntimeError("Packages are changed in units of work.")
    return bound.pending.unit


async def _put(bound: Repository, rows: Sequence[tuple[Served, Json]]) -> None:
    await bound.expect([((one.resource_type, one.id), "u") for one, _ in rows], {})
    for one, resource in rows:
        await bound.update(one.resource_type, one.id, resource)


async def _delete(served: Sequence[Served], bound: Repository) -> None:
    await bound.expect([((one.resource_type, one.id), "d") for one in served], {})
    for one in served:
        await bound.delete(one.resource_type, one.id)


def _batches(served: Sequence[Served], sizes: Mapping[Served, int]) -> Iterator[list[Served]]:
    """Yield what is written together: so many and so much of it, but all search parameters, which may name each other."""
    batch: list[Served] = []
    size = 0
    for one in served:
        together = bool(batch) and batch[-1].resource_type == one.resource_type == PARAMETER
        if batch and not together and (len(batch) >= MOST or size + sizes[one] > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += sizes[one]
    if batch:
        yield batch


def _types(served: Sequence[Served]) -> set[str]:
    return {one.resource_type for one in served}


def _bare(resource: Json) -> Json:
    """Return a resource without what the server sets, as JSON has it: order aside."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in {"versionId", "lastUpdated"}}
    return {**{name: value for name, value in resource.items() if name != "meta"}, **({"meta": meta} if meta else {})}


def _named(rows: Sequence[PackageRow], name: str, version: str) -> PackageRow:
    found = [row for row in rows if row.name == name and (not version or row.version == version)]
    if len(found) == 1:
        return found[0]
    if found:
        choices = ", ".join(f"{row.name}@{row.version}" for row in found)
        raise Conflict(f"Several versions of {name} are there. Say which one: {choices}.")
    there = ", ".join(f"{row.name}@{row.version}" for row in rows) or "none"
    raise NotFound(f"The package {name}{f'@{version}' if version else ''} is not there. Installed are: {there}.")


def _refuse_dependents(row: PackageRow, rows: Sequence[PackageRow]) -> None:
    """Refuse to remove what another package needs."""
    others = [one for one in rows if one.key != row.key and one.state == "installed"]
    needing = [
        one.key
        for one in others
        for name, version in one.dependencies.items()
        if name == row.name
        and versions.satisfies(row.version, version)
        and not any(other.name == name and versions.satisfies(other.version, version) for other in others)
    ]
    if needing:
        raise Conflict(
            f"{', '.join(needing)} depends on {row.key}. Remove it first, or remove {row.key} all the same with --force."
        )
