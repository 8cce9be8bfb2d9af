"""Files with FHIR data, in the order in which they can be loaded, cut into portions that are sent one by one."""

import gzip
import hashlib
import lzma
import re
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_server.loading import order
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from profiles.xml.reader import Reader, UnreadableError

LINES = 250
"""Lines of NDJSON that are sent together."""

JSON_ENDINGS = (".json", ".json.gz")
XML_ENDINGS = (".xml", ".xml.gz")
LINE_ENDINGS = (".ndjson", ".ndjson.gz", ".jsonl", ".jsonl.gz")
READ_ENDINGS = JSON_ENDINGS + XML_ENDINGS + LINE_ENDINGS
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

_FIRST_NAMES = ("hospitalInformation", "practitionerInformation")


@dataclass(frozen=True, slots=True)
class Source:
    """One file to load.

    Attributes:
        path: Where it can be read now.
        name: How to call it: its path, or `archive.tar.xz!member`.
    """

    path: Path
    name: str

    def content_hash(self) -> str:
        """Return the SHA-256 of the file, in hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Portion:
    """What is sent in one request.

    Attributes:
        ordinal: Number of the portion in its file, from 0.
        bundle: A batch or transaction as it was found, or the transaction that the resources were put into.
        places: Where each entry stands in the file, such as `line 17`; empty for a transaction, which stands or falls whole.
        fallback: Whether the entries are independent, so that they may be sent one by one when one is refused.
        problems: (place, reason) of what could not be read at all.
    """

    ordinal: int
    bundle: dict[str, Any]
    places: tuple[str, ...] = ()
    fallback: bool = False
    problems: tuple[tuple[str, str], ...] = field(default=())


def find(paths: Sequence[Path], scratch: Path) -> list[Source]:
    """Return the files below the paths, those first that others refer to.

    Args:
        paths: Files, folders (searched through) and tar archives (unpacked into `scratch`).
        scratch: Folder for unpacked files; the caller removes it.

    Raises:
        FileNotFoundError: A path is not there, is not of a known kind, or holds nothing to load.
    """
    found: list[Source] = []
    for path in paths:
        before = len(found)
        if path.is_dir():
            files = (file for file in path.rglob("*") if file.name.endswith(READ_ENDINGS) and file.is_file())
            found += [Source(file, str(file)) for file in files]
        elif not path.exists():
            raise FileNotFoundError(f"{path} is not there.")
        elif path.name.endswith(ARCHIVE_ENDINGS):
            found += _unpack(path, scratch)
        elif path.name.endswith(READ_ENDINGS):
            found.append(Source(path, str(path)))
        if len(found) == before:
            raise FileNotFoundError(
                f"{path} holds nothing to load. Give files or folders with .json, .xml, .ndjson (also .gz) or tar archives of them."
            )
    return sorted(found, key=lambda source: (rank(source.name), source.name))


def rank(name: str) -> int:
    """Return the place of a file in the order of loading: shared resources first, patients, then what refers to much."""
    base = name.rsplit("!", 1)[-1].rsplit("/", 1)[-1]
    for position, prefix in enumerate(_FIRST_NAMES):
        if base.startswith(prefix):
            return position
    if not base.endswith(LINE_ENDINGS):
        return 50
    return 2 + order.rank(stem(name))


def stem(name: str) -> str:
    """Return what a file is named before its first dot or hyphen: of NDJSON the type, as exports name their files."""
    return re.split(r"[.\-]", name.rsplit("!", 1)[-1].rsplit("/", 1)[-1])[0]


def portions(source: Source, reader: Reader) -> Iterator[Portion]:
    """Yield what a file holds. What cannot be read is named in `problems`.

    Args:
        source: The file.
        reader: Reads XML.
    """
    if source.path.name.endswith(LINE_ENDINGS):
        yield from _lines(source.path)
        return
    try:
        data = _bytes(source.path)
        is_xml = source.path.name.endswith(XML_ENDINGS)
        yield _document(reader.read(data) if is_xml else json.parse(data, "file"))
    except (BadRequest, UnreadableError, OSError, EOFError, lzma.LZMAError) as error:
        yield Portion(0, _transaction([]), problems=(("", str(error)),))


def resources(source: Source, reader: Reader) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Yield each resource of a file as it is, with its place; in place of one that cannot be read, the reason.

    Args:
        source: The file.
        reader: Reads XML.
    """
    for portion in portions(source, reader) if source.path.name.endswith(LINE_ENDINGS) else ():
        yield from zip(portion.places, (entry["resource"] for entry in portion.bundle["entry"]), strict=True)
        yield from portion.problems
    if not source.path.name.endswith(LINE_ENDINGS):
        try:
            data = _bytes(source.path)
            yield "", reader.read(data) if source.path.name.endswith(XML_ENDINGS) else json.parse(data, "file")
        except (BadRequest, UnreadableError, OSError, EOFError, lzma.LZMAError) as error:
            yield "", str(error)


def part(portion: Portion, places: frozenset[str]) -> Portion:
    """Return the portion with only the entries at these places; a transaction stays whole."""
    if not portion.places:
        return portion
    kept = [
        (entry, place) for entry, place in zip(portion.bundle["entry"], portion.places, strict=True) if place in places
    ]
    bundle = {**portion.bundle, "entry": [entry for entry, _ in kept]}
    return Portion(portion.ordinal, bundle, tuple(place for _, place in kept), portion.fallback, portion.problems)


def _document(resource: dict[str, Any]) -> Portion:
    """Return the portion that a JSON or XML file is: a bundle to process, a bundle to take apart, or one resource to store."""
    if resource.get("resourceType") == "Bundle":
        kind, entries = resource.get("type"), resource.get("entry", [])
        if kind == "transaction" or not isinstance(entries, list):
            return Portion(0, resource)
        rows = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)]
        if kind == "batch":
            return Portion(0, resource, tuple(f"entry {index}" for index in range(len(entries))))
        if kind in {"collection", "searchset"}:
            places = tuple(f"entry {index}" for index in range(len(rows)))
            return Portion(
                0, _transaction([_entry(row["resource"], row.get("fullUrl")) for row in rows]), places, fallback=True
            )
    return Portion(0, _transaction([_entry(resource)]), ("",), fallback=True)


def _lines(path: Path) -> Iterator[Portion]:
    entries: list[dict[str, Any]] = []
    places: list[str] = []
    problems: list[tuple[str, str]] = []
    ordinal = 0
    opener = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entries.append(_entry(json.parse(line, "line")))
                places.append(f"line {number}")
            except BadRequest as error:
                problems.append((f"line {number}", str(error)))
            if len(entries) + len(problems) >= LINES:
                yield Portion(ordinal, _transaction(entries), tuple(places), fallback=True, problems=tuple(problems))
                entries, places, problems, ordinal = [], [], [], ordinal + 1
    if entries or problems:
        yield Portion(ordinal, _transaction(entries), tuple(places), fallback=True, problems=tuple(problems))


def _entry(resource: dict[str, Any], full_url: object = None) -> dict[str, Any]:
    """Return a transaction entry that keeps the id, or lets the server choose one where there is none."""
    resource_type, resource_id = resource.get("resourceType", ""), resource.get("id")
    request = (
        {"method": "PUT", "url": f"{resource_type}/{resource_id}"}
        if resource_id
        else {"method": "POST", "url": resource_type}
    )
    return {**({"fullUrl": full_url} if isinstance(full_url, str) else {}), "resource": resource, "request": request}


def _transaction(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _bytes(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()


def _unpack(archive: Path, scratch: Path) -> list[Source]:
    """Return the files of an archive. Members are written under names of our own, so none can leave the folder."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    found = []
    with tarfile.open(archive) as tar:
        for number, member in enumerate(tar):
            if not member.isfile() or not member.name.endswith(READ_ENDINGS):
                continue
            content = tar.extractfile(member)
            if content is None:
                continue
            target = folder / f"{number:06d}-{member.name.rsplit('/', 1)[-1][-80:]}"
            with target.open("wb") as file:
                while block := content.read(2**20):
                    file.write(block)
            found.append(Source(target, f"{archive}!{member.name}"))
    return found
