"""From what an operator asks for to packages in the order in which they are installed: files, names, and what they depend on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fhir_server.guides.registry import Registry
from profiles.own import package as own
from profiles.packages import versions
from profiles.packages.archive import PackageError
from profiles.packages.package import CORE, Package, read

SUFFIXES = (".tgz", ".tar.gz")

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._\-]{0,120})(?:[@#]([A-Za-z0-9*][A-Za-z0-9.+_\-*]{0,60}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found.

    Attributes:
        packages: Those that were asked for and those that they depend on; what is depended on comes first.
        failures: Why a package that is depended on could not be found where it was looked for, by `name#version`.
    """

    packages: Sequence[Package]
    failures: Mapping[str, str]


class Gathering:
    """Finds packages.

    Args:
        max_bytes: Greatest size of a file.
        folder: Where packages are looked for, or `None`.
        registry: Where packages that are asked for by name come from, with what they depend on; or `None`.
    """

    def __init__(self, max_bytes: int, folder: Path | None, registry: Registry | None) -> None:
        self._installed: tuple[tuple[str, str], ...] = ()
        self._max_bytes = max_bytes
        self._folder = folder
        self._registry = registry
        self._found: dict[str, Package] = {}
        self._fetched: set[str] = set()
        self._failures: dict[str, str] = {}

    async def find(self, asked: Iterable[str]) -> None:
        """Read the packages that are asked for.

        Args:
            asked: Paths of files, or `name@version`.

        Raises:
            PackageError: One of them cannot be read, or is not there.
        """
        for one in asked:
            self._keep(await self._asked(one))

    async def complete(self, installed: Iterable[tuple[str, str]] = ()) -> Gathered:
        """Return what was found, with what it depends on as far as that is found.

        Args:
            installed: Names and versions of what is installed, which fulfils dependencies.

        Raises:
            PackageError: Two different packages have one name and version.
        """
        self._installed = tuple(installed)
        queue = [*self._found.values()]
        for package in queue:  # grows while it is walked
            for name, version in sorted(package.dependencies.items()):
                if not self._fulfilled(name, version):
                    found = await self._depended(package, name, version)
                    if found is not None:
                        self._keep(found)
                        queue.append(found)
        return Gathered(tuple(self._ordered()), self._failures)

    async def _asked(self, one: str) -> Package:
        if (path := _file(one)) is not None:
            return self._read(path)
        named = _NAMED.fullmatch(one)
        if named is None or one.endswith(SUFFIXES) or "/" in one:
            raise PackageError(f"There is no file {one}. Give the path of a package.tgz, or a NAME@VERSION.")
        name, version = named[1], named[2] or "latest"
        if name == CORE:
            raise PackageError(f"{CORE} is part of this server: nothing has to be installed.")
        local = self._local(name, version)
        if local is not None:
            return local
        if name == own.NAME:
            raise PackageError(f"{one} is not what this server comes with, which is {own.package().key}.")
        if self._registry is None:
            where = f" is not in {self._folder}, and" if self._folder else ":"
            raise PackageError(f"{one}{where} no registry is set. Give its file, or set packages.registry.")
        return await self._remote(self._registry, name, version)

    async def _depended(self, package: Package, name: str, version: str) -> Package | None:
        """Return what a package depends on, `None` where it is not found."""
        try:
            local = self._local(name, version)
            if local is None and name != own.NAME and self._registry is not None and package.key in self._fetched:
                return await self._remote(self._registry, name, version)
        except PackageError as error:
            self._failures[f"{name}#{version}"] = str(error)
            return None
        return local

    async def _remote(self, registry: Registry, name: str, version: str) -> Package:
        found = read(await registry.fetch(name, version))
        if found.name != name or not versions.satisfies(found.version, version):
            raise PackageError(
                f"The registry gave {found.key} when asked for {name}@{version}. It is not used; give a file."
            )
        self._fetched.add(found.key)
        return found

    def _local(self, name: str, version: str) -> Package | None:
        """Return the newest package of the folder that is what is wanted; the server's own comes with it, and from nowhere else."""
        if name == own.NAME:
            return own.package() if versions.satisfies(own.VERSION, version) else None
        if self._folder is None:
            return None
        if not self._folder.is_dir():
            raise PackageError(f"{self._folder} is no folder. Correct the setting packages.folder.")
        files = [file for file in sorted(self._folder.iterdir()) if _may_be(file, name)]
        fitting = []
        for file in files:
            package = self._read(file)
            if package.name == name and versions.satisfies(package.version, version):
                fitting.append(package)
        return max(fitting, key=lambda one: ("-" not in one.version, versions.order(one.version)), default=None)

    def _read(self, path: Path) -> Package:
        try:
            size = path.stat().st_size
            if size > self._max_bytes:
                raise PackageError(
                    f"{path} has {size} bytes, and {self._max_bytes} are allowed. Raise packages.max_bytes if it is trusted."
                )
            return read(path)
        except OSError as error:
            raise PackageError(f"{path} cannot be read: {error.strerror or error}.") from error

    def _keep(self, package: Package) -> None:
        other = self._found.setdefault(package.key, package)
        if other.sha256 != package.sha256:
            raise PackageError(f"Two different files are {package.key}. Name one of them.")

    def _fulfilled(self, name: str, version: str) -> bool:
        there = [*self._installed, *((one.name, one.version) for one in self._found.values())]
        return name == CORE or any(one == name and versions.satisfies(other, version) for one, other in there)

    def _ordered(self) -> Iterator[Package]:
        """Yield what was found, each after what it depends on; of those that depend on each other one is first."""
        done: set[str] = set()
        waiting = [(package, False) for package in reversed(self._found.values())]
        while waiting:
            package, ready = waiting.pop()
            if ready:
                yield package
            elif package.key not in done:
                done.add(package.key)
                waiting.append((package, True))
                waiting += [
                    (one, False)
                    for one in reversed(self._found.values())
                    for name, version in package.dependencies.items()
                    if one.name == name and versions.satisfies(one.version, version) and one.key not in done
                ]


def _file(text: str) -> Path | None:
    path = Path(text)
    return path if path.is_file() else None


def _may_be(file: Path, name: str) -> bool:
    return file.name.endswith(SUFFIXES) and file.name.startswith((f"{name}-", f"{name}#", f"{name}@", f"{name}."))
