"""The packages that are installed together, several versions of one guide side by side, and what a canonical means there.

R4 leaves to the server which definition a canonical without version means (R4 References §2.3.0.6 "Canonical URLs"). Here:
`url|version` is that version and no other. A bare `url` means, for a definition of a package, what this package or the
versions that it depends on define; where they do not, or for a bare `url` of a client, the newest version installed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from profiles.packages import versions
from profiles.packages.package import CORE, Entry, Package


@dataclass(frozen=True, slots=True)
class Found:
    """A definition and the package that it is in."""

    entry: Entry
    package: Package

    @property
    def canonical(self) -> str:
        """URL and version, which name this definition alone."""
        return f"{self.entry.url}|{self.entry.version}"


@dataclass(frozen=True, slots=True)
class Missing:
    """A dependency that no installed package fulfils.

    Attributes:
        package: Who depends, `name#version`.
        name: On which package.
        version: Of this version.
        instead: The newest other version that is installed, which bare canonicals then mean; empty where there is none.
    """

    package: str
    name: str
    version: str
    instead: str = ""

    @property
    def key(self) -> str:
        """What is missing, as `name#version`."""
        return f"{self.name}#{self.version}"


class Library:
    """An immutable set of packages. Adding one makes another library.

    Attributes:
        packages: By `name#version`, in that order.
    """

    def __init__(self, packages: Iterable[Package] = ()) -> None:
        ordered = sorted(packages, key=lambda package: (package.name, versions.order(package.version)))
        self.packages: Mapping[str, Package] = MappingProxyType({package.key: package for package in ordered})
        self._by_url: dict[str, list[Found]] = {}
        for package in self.packages.values():
            for url, entries in package.definitions.items():
                self._by_url.setdefault(url, []).extend(Found(entry, package) for entry in entries)
        for found in self._by_url.values():
            found.sort(key=_age, reverse=True)
        self._scopes: dict[str, tuple[Package, ...]] = {}

    def with_(self, package: Package) -> "Library":
        """Return a library with one more package; one of the same name and version is replaced."""
        return Library(({**self.packages, package.key: package}).values())

    def without(self, key: str) -> "Library":
        """Return a library without the package called `name#version`."""
        return Library(package for package in self.packages.values() if package.key != key)

    def find(self, canonical: str, within: Package | None = None, resource_type: str = "") -> Found | None:
        """Return what a canonical means, or `None` where it is not installed.

        Args:
            canonical: `url` or `url|version`; a fragment is left aside.
            within: The package whose definition says the canonical; its own dependencies come first.
            resource_type: What it must be, such as `StructureDefinition`; anything where empty.
        """
        url, _, version = canonical.partition("#")[0].partition("|")
        found = [
            row
            for row in self._by_url.get(url, ())
            if (not version or row.entry.version == version)
            and (not resource_type or row.entry.resource_type == resource_type)
        ]
        if within is not None and len(found) > 1:
            for package in self.scope(within):
                for row in found:
                    if row.package is package:
                        return row
        return found[0] if found else None

    def versions(self, url: str, resource_type: str) -> tuple[Found, ...]:
        """Return every definition of a canonical URL and a resource type, the newest first."""
        return tuple(row for row in self._by_url.get(url, ()) if row.entry.resource_type == resource_type)

    def all(self, resource_type: str) -> Iterator[Found]:
        """Yield every definition of a resource type, in the order of URL, the newest first."""
        for url in sorted(self._by_url):
            yield from (row for row in self._by_url[url] if row.entry.resource_type == resource_type)

    def scope(self, package: Package) -> tuple[Package, ...]:
        """Return a package and all that it depends on, the nearest first."""
        known = self._scopes.get(package.key)
        if known is None:
            reached: dict[str, Package] = {package.key: package}
            queue = [package]
            for one in queue:  # grows while it is walked
                for name, version in sorted(one.dependencies.items()):
                    depended = self.dependency(name, version)
                    if depended is not None and depended.key not in reached:
                        reached[depended.key] = depended
                        queue.append(depended)
            known = self._scopes[package.key] = tuple(reached.values())
        return known

    def dependency(self, name: str, version: str) -> Package | None:
        """Return the newest installed package that fulfils a dependency, or `None`."""
        fitting = [
            package
            for package in self.packages.values()
            if package.name == name and versions.satisfies(package.version, version)
        ]
        return fitting[-1] if fitting else None

    def missing(self) -> tuple[Missing, ...]:
        """Return the dependencies that are not installed, in order. The R4 core package is always there."""
        newest = {package.name: package.version for package in self.packages.values()}
        return tuple(
            Missing(package.key, name, version, newest.get(name, ""))
            for package in self.packages.values()
            for name, version in sorted(package.dependencies.items())
            if name != CORE and self.dependency(name, version) is None
        )


def _age(found: Found) -> tuple[versions.Key, versions.Key, str]:
    return versions.order(found.entry.version), versions.order(found.package.version), found.package.name
