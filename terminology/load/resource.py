"""CodeSystem resources in files, too large or too many to be stored as resources."""

import json
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from typing import Any

from terminology.codesystem import statements
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row

Json = dict[str, Any]
Decode = Callable[[bytes], Any]

ENDINGS = (".json", ".xml")
LISTED = frozenset({"complete", "fragment", "example"})


def decoded(data: bytes) -> Any:
    """Return what JSON says, numbers with their digits.

    Raises:
        ValueError: It is none.
    """
    return json.loads(data, parse_float=Decimal)


def recognise(files: Collection[File]) -> bool:
    """Return whether there is one file with a CodeSystem."""
    found = [one for one in files if one.base.lower().endswith(ENDINGS)]
    if len(found) != 1 or len(files) != 1:
        return False
    with found[0].open() as raw:
        return b"CodeSystem" in raw.read(4000)


def read(files: Files, decode: Decode = decoded, url: str = "", version: str = "") -> Release:
    """Return the release that the one file with a CodeSystem is.

    Args:
        files: With that file.
        decode: Gives the resource that bytes say, or raises ValueError.
        url: Instead of its own.
        version: Instead of its own.

    Raises:
        BrokenRelease: It is none, or has no concepts.
    """
    found = [one for one in files.all if one.base.lower().endswith(ENDINGS)]
    if len(found) != 1:
        raise BrokenRelease(f"There are {len(found)} files of resources, and one CodeSystem is read.", files.label)
    [file] = found
    try:
        resource = decode(file.read())
    except (ValueError, RecursionError) as error:
        raise BrokenRelease(f"The file is no resource: {error}", file.name, getattr(error, "lineno", 0)) from None
    said = {**({"url": url} if url else {}), **({"version": version} if version else {})}
    if not isinstance(resource, dict):
        raise BrokenRelease("The file is no resource.", file.name)
    return of({**resource, **said}, files.digest((file,)), file.name)


def of(resource: Json, digest: str, name: str = "") -> Release:
    """Return the release that a CodeSystem resource is.

    Args:
        resource: It; nobody changes it from here on.
        digest: SHA-256 of what it comes from.
        name: Of the file, for messages.

    Raises:
        BrokenRelease: It is no CodeSystem with concepts.
    """
    if resource.get("resourceType") != "CodeSystem" or not isinstance(resource.get("url"), str):
        raise BrokenRelease("The resource is no CodeSystem with a URL.", name)
    if resource.get("content") not in LISTED:
        raise BrokenRelease(
            f"The content of the CodeSystem is '{resource.get('content')}', so its concepts are elsewhere. Load their release.",
            name,
        )
    hierarchy = statements.hierarchy(resource)
    head = statements.head(resource, hierarchy)
    if not hierarchy.rows:
        raise BrokenRelease("The CodeSystem lists no concepts.", name)

    def rows() -> Iterator[Row]:
        meaning = statements.Meaning(head.properties)
        for ordinal, stated in enumerate(hierarchy.rows):
            one = meaning.concept(stated, ordinal, hierarchy.parents[ordinal])
            above = tuple(hierarchy.rows[parent]["code"] for parent in one.parents)
            yield Row(
                one.code, one.display, one.definition, one.designations, one.properties, above,
                one.inactive, one.abstract, one.status,
            )  # fmt: skip

    return Release(head, digest, rows)
