"""The compiled definitions as files: a hot part that every process loads, and lazy parts for terminology, structures and wording.

All are gzipped JSON; `MANIFEST.json` beside them names the source and the hashes. The hot part is the records of
`model.py` as they are, so reading it back needs no mapping; its types stay undecoded until somebody asks for one.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from profiles.definitions.model import Compartment, OperationDefinition, RequiredSet, SearchParameter, TypeDefinition

FORMAT = 2
REMEDY = "Install the package again, or run `fhir-server definitions build`."
CORE = "r4.core.json.gz"
TERMINOLOGY = "r4.terminology.json.gz"
STRUCTURES = "r4.structures.json.gz"
WORDING = "r4.wording.json.gz"
MANIFEST = "MANIFEST.json"

Content = TypeVar("Content")

_STRUCTURE = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Core:
    """The hot part. Lists are in order of their canonical URL or name.

    Attributes:
        format: Version of this file layout.
        fhir_version: Such as `4.0.1`.
        types: JSON of each `TypeDefinition` by type name.
        resource_types: Names of the concrete resource types.
        search_parameters: All, whatever their base.
        compartments: By the compartment's type.
        operations: All.
        required_sets: The required value sets whose members can be listed.
        not_enumerable: Canonical URLs of the required value sets whose members cannot.
    """

    format: int
    fhir_version: str
    types: dict[str, msgspec.Raw]
    resource_types: tuple[str, ...]
    search_parameters: tuple[SearchParameter, ...]
    compartments: tuple[Compartment, ...]
    operations: tuple[OperationDefinition, ...]
    required_sets: tuple[RequiredSet, ...]
    not_enumerable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terminology:
    """The lazy part: CodeSystem, ValueSet and ConceptMap resources by canonical URL, without narrative."""

    code_systems: dict[str, dict[str, Any]]
    value_sets: dict[str, dict[str, Any]]
    concept_maps: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Structures:
    """The other lazy part: JSON of each StructureDefinition resource by canonical URL, without prose.

    Types have their snapshot, profiles and extensions their differential.
    """

    structures: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Wording:
    """The part that is for people only: what the elements of types are, in words.

    Attributes:
        elements: By path, of the type that states it: in short, in full, and why it is a modifier (empty for those that are none).
    """

    elements: dict[str, tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the artifact: its size, its hash, and the hash of what it holds (which no zlib version changes)."""

    bytes: int
    sha256: str
    content_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the artifact was made from and what it consists of.

    Attributes:
        format: Version of the file layout.
        fhir_version: Such as `4.0.1`.
        package: Name and version of the source, such as `hl7.fhir.r4.core#4.0.1`.
        package_sha256: Hash of the source package.
        parts: The files by name.
        counts: How many definitions of each kind there are.
    """

    format: int
    fhir_version: str
    package: str
    package_sha256: str
    parts: dict[str, Part]
    counts: dict[str, int]


def write(folder: Path, name: str, content: Core | Terminology | Structures | Wording) -> Part:
    """Write one part and return its row of the manifest. Equal content gives equal bytes."""
    plain = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode(content)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(plain)
    data = packed.getvalue()
    (folder / name).write_bytes(data)
    return Part(len(data), hashlib.sha256(data).hexdigest(), hashlib.sha256(plain).hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `MANIFEST.json`."""
    plain = msgspec.json.encode(manifest, order="sorted")
    (folder / MANIFEST).write_bytes(msgspec.json.format(plain, indent=2) + b"\n")


def read_core(folder: Path) -> Core:
    """Return the hot part.

    Raises:
        ValueError: The file was written by another version of this code, or is damaged.
        OSError: The file is missing or cannot be read.
    """
    core = _read(folder / CORE, msgspec.json.Decoder(Core))
    if core.format != FORMAT:
        raise ValueError(f"{folder / CORE} has format {core.format}, this version reads {FORMAT}. {REMEDY}")
    return core


def read_terminology(folder: Path) -> Terminology:
    """Return the lazy part. Fails as `read_core` does."""
    return _read(folder / TERMINOLOGY, msgspec.json.Decoder(Terminology, float_hook=Decimal))


def read_structures(folder: Path) -> Structures:
    """Return the part with the StructureDefinitions. Fails as `read_core` does."""
    return _read(folder / STRUCTURES, msgspec.json.Decoder(Structures))


def read_wording(folder: Path) -> Wording:
    """Return the part with what elements are in words. Fails as `read_core` does."""
    return _read(folder / WORDING, msgspec.json.Decoder(Wording))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest. Fails as `read_core` does."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except msgspec.DecodeError as error:
        raise ValueError(f"{folder / MANIFEST} is damaged: {error}. {REMEDY}") from error


def encode_types(types: Mapping[str, TypeDefinition]) -> dict[str, msgspec.Raw]:
    """Return each type as JSON. Elements keep their order: it is the order of the definition."""
    encode = msgspec.json.Encoder().encode
    return {name: msgspec.Raw(encode(types[name])) for name in sorted(types)}


def decode_type(row: msgspec.Raw) -> TypeDefinition:
    """Return one type."""
    return msgspec.json.decode(row, type=TypeDefinition)


def encode_structures(rows: Iterable[dict[str, Any]]) -> Structures:
    """Return StructureDefinitions as they are stored, in order of their canonical URL."""
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return Structures({row["url"]: msgspec.Raw(encode(row)) for row in sorted(rows, key=lambda row: str(row["url"]))})


def decode_structure(row: msgspec.Raw) -> dict[str, Any]:
    """Return one StructureDefinition, a new value each time."""
    return _STRUCTURE(row)


def _read(path: Path, decoder: msgspec.json.Decoder[Content]) -> Content:
    data = path.read_bytes()
    try:
        return decoder.decode(gzip.decompress(data))
    except (gzip.BadGzipFile, zlib.error, EOFError, msgspec.DecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}. {REMEDY}") from error
