"""One FHIR package: its manifest and an index of the definitions in it (FHIR NPM Package Specification).

The index is made from the definitions themselves. The `.index.json` of a package repeats it and is often out of date, so
it is asked only whether a file that it lists is missing. Definitions stay compressed until somebody reads one.
"""

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from profiles.packages import versions
from profiles.packages.archive import Limits, PackageError, files

Json = dict[str, Any]

FOLDER = "package/"
EXAMPLES = ("package/example/", "package/examples/")
MANIFEST = "package/package.json"
INDEX = "package/.index.json"
R4 = "4.0"
CORE = "hl7.fhir.r4.core"


class Head(msgspec.Struct, frozen=True):
    """What the index needs of a resource. Members are of any JSON type: examples are not checked here."""

    resourceType: Any = None  # noqa: N815 - the name in the JSON
    id: Any = None
    url: Any = None
    version: Any = None
    kind: Any = None
    type: Any = None
    derivation: Any = None


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A resource in a package; in bytes (`profiles.packages.packed`) an array in this order.

    Attributes:
        file: Its path in the package.
        resource_type: Such as `StructureDefinition`.
        id: Its logical id, or empty.
        url: Its canonical URL without version, or empty.
        version: Its business version, that of the package where it has none.
        kind: StructureDefinition.kind, else empty.
        type: StructureDefinition.type, else empty.
        derivation: StructureDefinition.derivation, else empty.
        packed: Its JSON, compressed.
    """

    file: str
    resource_type: str
    id: str
    url: str
    version: str
    kind: str
    type: str
    derivation: str
    packed: bytes

    def read(self) -> Json:
        """Return the resource, its numbers `int` or `Decimal`: a new value each time."""
        return _DECODE(zlib.decompress(self.packed))


@dataclass(frozen=True, slots=True)
class Package:
    """A package, read whole and unchangeable.

    Attributes:
        name: Package id, such as `hl7.fhir.us.core`.
        version: Such as `6.1.0`.
        title: For people, or empty.
        canonical: The base of the guide's URLs, or empty.
        fhir_versions: Such as `("4.0.1",)`.
        dependencies: Version by package id.
        sha256: Hash of the file.
        definitions: Conformance resources by canonical URL, of each the newest version first.
        instances: Resources without a URL, and the examples if they were asked for, in file name order.
        notes: Sentences about what is odd but does not refuse the package.
    """

    name: str
    version: str
    title: str
    canonical: str
    fhir_versions: tuple[str, ...]
    dependencies: Mapping[str, str]
    sha256: str
    definitions: Mapping[str, tuple[Entry, ...]]
    instances: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def key(self) -> str:
        """Name and version as they are written together: `hl7.fhir.us.core#6.1.0`."""
        return f"{self.name}#{self.version}"

    def find(self, url: str, version: str = "") -> Entry | None:
        """Return the definition of a canonical URL, of that version or the newest, or `None`."""
        found = self.definitions.get(url, ())
        return next((entry for entry in found if not version or entry.version == version), None)

    def of_type(self, resource_type: str) -> Iterator[Entry]:
        """Yield the definitions of one resource type in the order of their URLs."""
        for entries in self.definitions.values():
            yield from (entry for entry in entries if entry.resource_type == resource_type)


def read(source: Path | bytes, limits: Limits | None = None, *, examples: bool = False) -> Package:
    """Return the package in a `.tgz` file.

    Args:
        source: The file's path or its bytes.
        limits: What it may hold at most.
        examples: Whether the resources in its example folder are wanted too.

    Raises:
        PackageError: It is not a package for FHIR R4 (4.0), or is not safe to read.
        OSError: The file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    name = "The package" if isinstance(source, bytes) else source.name
    kept = {
        path: content
        for path, content in files(data, name, limits or Limits())
        if path.endswith(".json") and _wanted(path, examples=examples)
    }
    return assembled(kept, hashlib.sha256(data).hexdigest(), name)


def assembled(content: Mapping[str, bytes], sha256: str, name: str) -> Package:
    """Return the package that is made of files.

    Args:
        content: JSON by path in the package, `package/package.json` among it.
        sha256: What it is told by.
        name: What it is called in messages.

    Raises:
        PackageError: It is not a package for FHIR R4 (4.0).
    """
    kept = dict(content)
    manifest = _manifest(kept.pop(MANIFEST, b""), name)
    index = kept.pop(INDEX, b"")
    notes: list[str] = []
    entries = [entry for path in sorted(kept) if (entry := _entry(path, kept[path], manifest, name, notes))]
    notes += _unlisted(index, {entry.file for entry in entries})
    return Package(
        **manifest,
        sha256=sha256,
        definitions=_by_url(entries),
        instances=tuple(entry for entry in entries if not entry.url or not _own(entry.file)),
        notes=tuple(notes),
    )


_DECODE = msgspec.json.Decoder(Json, float_hook=Decimal).decode
_HEAD = msgspec.json.Decoder(Head).decode


def _wanted(path: str, *, examples: bool) -> bool:
    return _own(path) or (examples and path.startswith(EXAMPLES))


def _own(path: str) -> bool:
    return path.startswith(FOLDER) and "/" not in path.removeprefix(FOLDER)


def _manifest(content: bytes, name: str) -> dict[str, Any]:
    """Return the facts of package.json as the fields of `Package`."""
    if not content:
        raise PackageError(
            f"{name} holds no package/package.json, so it is not a FHIR package. Give the guide's package.tgz."
        )
    try:
        row = msgspec.json.decode(_text(content), type=Json)
    except msgspec.DecodeError as error:
        raise PackageError(
            f"package.json in {name} is not a JSON object: {error}. Download the package again."
        ) from error
    for key in ("name", "version"):
        if not isinstance(row.get(key), str) or not row[key]:
            raise PackageError(f"package.json in {name} has no '{key}', so nobody can refer to it. Ask its publisher.")
    dependencies = _texts(row.get("dependencies"))
    said = row.get("fhirVersions", row.get("fhir-version-list", []))
    fhir_versions = tuple(str(version) for version in said) if isinstance(said, list) else (str(said),)
    if not any(version == R4 or version.startswith(f"{R4}.") for version in fhir_versions) and (
        fhir_versions or CORE not in {row["name"], *dependencies}
    ):
        found = ", ".join(fhir_versions) or "no version"
        raise PackageError(
            f"{row['name']}#{row['version']} is for FHIR {found} (fhirVersions in package.json), and this server is for "
            "R4 (4.0.1). Use the package of the same guide for R4."
        )
    return {
        "name": row["name"],
        "version": row["version"],
        "title": str(row.get("title", "")),
        "canonical": str(row.get("canonical", "")),
        "fhir_versions": fhir_versions,
        "dependencies": MappingProxyType(dependencies),
    }


def _texts(value: object) -> dict[str, str]:
    return {key: one for key, one in value.items() if isinstance(one, str)} if isinstance(value, dict) else {}


def _entry(path: str, content: bytes, manifest: Mapping[str, Any], name: str, notes: list[str]) -> Entry | None:
    """Return the index entry of a file, or `None` for JSON that is no resource."""
    plain = _text(content)
    try:
        head = _HEAD(plain)
    except msgspec.DecodeError as error:
        if not isinstance(error, msgspec.ValidationError) and _own(path):
            raise PackageError(f"{path} in {name} is not JSON: {error}. Download the package again.") from error
        notes.append(f"{path} is not read: {error}.")
        return None
    if not isinstance(head.resourceType, str):
        return None

    def text(value: object) -> str:
        return value if isinstance(value, str) else ""

    url, _, version = text(head.url).partition("|")
    structure = head.resourceType == "StructureDefinition"
    return Entry(
        file=path,
        resource_type=head.resourceType,
        id=text(head.id),
        url=url,
        version=version or text(head.version) or str(manifest["version"]),
        kind=text(head.kind) if structure else "",
        type=text(head.type) if structure else "",
        derivation=text(head.derivation) if structure else "",
        packed=zlib.compress(plain, 1),
    )


def _text(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf")


def _by_url(entries: list[Entry]) -> Mapping[str, tuple[Entry, ...]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.url and _own(entry.file):
            found.setdefault(entry.url, []).append(entry)
    ordered = {
        url: tuple(sorted(rows, key=lambda entry: versions.order(entry.version), reverse=True))
        for url, rows in sorted(found.items())
    }
    return MappingProxyType(ordered)


def _unlisted(index: bytes, present: set[str]) -> Iterator[str]:
    """Yield a sentence for each file that `.index.json` lists and the package lacks."""
    if not index:
        return
    try:
        rows = msgspec.json.decode(_text(index), type=Json).get("files", [])
    except msgspec.DecodeError as error:
        yield f".index.json is not read: {error}."
        return
    for row in rows if isinstance(rows, list) else ():
        name = row.get("filename") if isinstance(row, dict) else None
        if isinstance(name, str) and f"{FOLDER}{name}" not in present:
            yield f".index.json lists {name[:80]}, which is not in the package."
