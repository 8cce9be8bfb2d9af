"""A package as bytes of our own: small, quick to read, and without what nobody asks for again (examples, pictures, pages).

A published archive takes its time to unpack, and processes start often. The form has a number; what is of another number is
refused, never guessed at.
"""

from types import MappingProxyType

import msgspec

from profiles.packages.archive import PackageError
from profiles.packages.package import Entry, Package

FORM = 1


class Whole(msgspec.Struct, frozen=True):
    """A `Package`, its definitions in their order."""

    form: int
    name: str
    version: str
    title: str
    canonical: str
    fhir_versions: tuple[str, ...]
    dependencies: dict[str, str]
    definitions: list[Entry]
    instances: tuple[Entry, ...]
    notes: tuple[str, ...]


def pack(package: Package) -> bytes:
    """Return a package as bytes, the same ones whichever archive the same files were in."""
    whole = Whole(
        FORM,
        package.name,
        package.version,
        package.title,
        package.canonical,
        package.fhir_versions,
        dict(sorted(package.dependencies.items())),
        [entry for entries in package.definitions.values() for entry in entries],
        package.instances,
        package.notes,
    )
    return _ENCODE(whole)


def unpack(data: bytes, sha256: str = "") -> Package:
    """Return the package that `pack` was given.

    Args:
        data: What `pack` returned.
        sha256: Hash of the file that it was read from.

    Raises:
        PackageError: The bytes are of another form, or damaged.
    """
    try:
        whole = _DECODE(data)
    except msgspec.DecodeError as error:
        raise PackageError(
            f"A stored package cannot be read: {error}. Remove it and install it from its file again."
        ) from error
    if whole.form != FORM:
        raise PackageError(
            f"{whole.name}#{whole.version} was stored in form {whole.form}, and this release reads form {FORM}. "
            "Install it from its file again."
        )
    definitions: dict[str, list[Entry]] = {}
    for entry in whole.definitions:
        definitions.setdefault(entry.url, []).append(entry)
    return Package(
        whole.name,
        whole.version,
        whole.title,
        whole.canonical,
        whole.fhir_versions,
        MappingProxyType(whole.dependencies),
        sha256,
        MappingProxyType({url: tuple(entries) for url, entries in definitions.items()}),
        whole.instances,
        whole.notes,
    )


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Whole).decode
