"""NDJSON as Apache Parquet: a row for each resource, with columns that are the same in every file of a type.

The first columns are those that every type has; `resource` holds all of the resource. The others are its top-level elements as R4
defines them, in that order: primitive ones as values, lists of primitive ones as lists, all else as JSON. Nothing depends on what
is in the file, so that files of one type, of now and of next year, are one table.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from fhir_server.model import json
from fhir_server.model.errors import NotSupported
from profiles.definitions.registry import Definitions

if TYPE_CHECKING:
    import pyarrow as pa

MEDIA = "application/vnd.apache.parquet"
SUFFIX = "parquet"

HEAD = ("id", "resourceType", "versionId", "lastUpdated", "patient", "resource")
"""Columns of every type."""

PATIENTS = ("patient", "subject", "beneficiary", "individual", "for", "candidate")
"""Elements that refer to the patient whom a resource is about, the first one that does."""

AT_ONCE = 6 * 2**20
"""Bytes of JSON that become one group of rows; so much is held of it, several times over."""

COMPRESSION = "zstd"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column for a top-level element.

    Attributes:
        name: The JSON member.
        kind: boolean, integer, decimal, string; `json` for what is no primitive.
        several: Whether it holds a list of them.
    """

    name: str
    kind: str
    several: bool


def require() -> None:
    """Refuse to write Parquet where the library for it is not installed.

    Raises:
        NotSupported: It is not.
    """
    try:
        import_module("pyarrow")  # 40 MB of memory that only those pay who ask for this format
    except ImportError:
        raise NotSupported(
            "Parquet is not installed here. Leave _outputFormat out for application/fhir+ndjson, or have the operator install "
            "aquifer[parquet].",
            expression="http._outputFormat",
        ) from None


async def parquet(blocks: AsyncIterator[bytes], resource_type: str, definitions: Definitions) -> AsyncIterator[bytes]:
    """Yield a Parquet file.

    Args:
        blocks: NDJSON of resources of the type, whole lines in each block.
        resource_type: The type; empty where there are several, whose files have the first columns only.
        definitions: R4's own, so that columns do not depend on what is installed.

    Raises:
        NotSupported: The library for it is not installed.
    """
    require()
    writer = _Writer(resource_type, definitions)
    waiting: list[bytes] = []
    size = 0
    async for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= AT_ONCE:
            if done := await asyncio.to_thread(writer.add, waiting):
                yield done
            waiting, size = [], 0
    if waiting and (done := await asyncio.to_thread(writer.add, waiting)):
        yield done
    yield await asyncio.to_thread(writer.close)


@lru_cache(maxsize=256)
def columns(resource_type: str, definitions: Definitions) -> tuple[Column, ...]:
    """Return the columns of a type behind those that every type has."""
    found = definitions.type(resource_type)
    if found is None:
        return ()
    return tuple(
        Column(name, _kind(definitions, element.type), element.array)
        for name, element in found.elements.items()
        if name not in HEAD
    )


class _Sink:
    """What a writer writes into, until it is taken out."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._place = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._place += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._place

    def flush(self) -> None:
        """Do nothing: what is written is there."""

    def close(self) -> None:
        """Do nothing: what is written is taken out afterwards."""

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


class _Writer:
    def __init__(self, resource_type: str, definitions: Definitions) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        self._columns = columns(resource_type, definitions)
        self._kinds = {one.name: one.kind for one in self._columns}
        self._schema = _schema(self._columns)
        self._sink = _Sink()
        self._file = pa.PythonFile(self._sink, mode="w")
        self._writer = ParquetWriter(self._file, self._schema, compression=COMPRESSION)

    def add(self, blocks: Iterable[bytes]) -> bytes:
        """Write a group of rows, and return what is to go out."""
        import pyarrow as pa

        lines = [line for block in blocks for line in block.split(b"\n") if line]
        rows: dict[str, list[Any]] = {name: [None] * len(lines) for name in self._schema.names}
        kinds = self._kinds
        for place, line in enumerate(lines):
            members = _members.decode(line)
            _begin(rows, place, line, members)
            for name, raw in members.items():
                if kind := kinds.get(name):
                    rows[name][place] = _READ[kind](raw)
        arrays = [pa.array(rows[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def close(self) -> bytes:
        """End the file, and return what is to go out."""
        self._writer.close()
        self._file.flush()
        return self._sink.take()


def _schema(shown: Iterable[Column]) -> "pa.Schema":
    import pyarrow as pa

    types: Mapping[str, Any] = {
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "decimal": pa.float64(),
        "string": pa.string(),
        "json": pa.string(),
    }
    head = [(name, pa.timestamp("ms", tz="UTC") if name == "lastUpdated" else pa.string()) for name in HEAD]
    # A list of what is no primitive is one text, as it is in JSON.
    rest = [
        (one.name, pa.list_(types[one.kind]) if one.several and one.kind != "json" else types[one.kind])
        for one in shown
    ]
    return pa.schema([*head, *rest])


def _begin(rows: Mapping[str, list[Any]], place: int, line: bytes, members: Mapping[str, json.Raw]) -> None:
    """Fill the columns that every type has."""
    resource_type = json.decode(members["resourceType"])
    resource_id = json.decode(members["id"]) if "id" in members else None
    meta = json.decode(members["meta"]) if "meta" in members else {}
    moment = meta.get("lastUpdated")
    rows["id"][place] = resource_id
    rows["resourceType"][place] = resource_type
    rows["versionId"][place] = meta.get("versionId")
    rows["lastUpdated"][place] = datetime.fromisoformat(moment) if moment else None
    rows["patient"][place] = resource_id if resource_type == "Patient" else _patient(members)
    rows["resource"][place] = line.decode()


def _patient(members: Mapping[str, json.Raw]) -> str | None:
    for name in PATIENTS:
        held = json.decode(members[name]) if name in members else None
        text = held.get("reference", "") if isinstance(held, dict) else ""
        before, _, patient = text.partition("Patient/")
        if patient and (not before or before.endswith("/")):
            return str(patient.partition("/")[0])
    return None


def _kind(definitions: Definitions, type_name: str) -> str:
    if type_name in {"integer", "positiveInt", "unsignedInt"}:
        return "integer"
    if type_name in {"boolean", "decimal"}:
        return type_name
    found = definitions.type(type_name)
    return "string" if found is not None and found.kind == "primitive" else "json"


def _text(raw: json.Raw) -> str:
    return bytes(raw).decode()


_members = msgspec.json.Decoder(dict[str, json.Raw])
_READ: Mapping[str, Callable[[json.Raw], Any]] = {
    **dict.fromkeys(("boolean", "integer", "string"), json.decode),
    "decimal": msgspec.json.decode,
    "json": _text,
}
"""What a member is as a value of its column; of a decimal as the nearest double, since `resource` has all its digits."""
