"""Plain tables, with a mapping that says which column is what.

A column is the `code`, `display`, `definition`, `parent`, `inactive`, `abstract` or `status` of a concept, a `designation:xx` in a
language, or a `property:NAME`. Without a mapping, the first line has to name the columns so.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.table import columns_of, quoted

ENDINGS = (".csv", ".tsv", ".txt")
PLAIN = frozenset({"code", "display", "definition", "parent", "inactive", "abstract", "status"})
DESIGNATION, PROPERTY = "designation:", "property:"
KEYS = frozenset({
    "url", "version", "name", "title", "copyright", "publisher", "language", "hierarchyMeaning", "caseSensitive", "content",
    "valueSet", "delimiter", "encoding", "separator", "columns", "types",
})  # fmt: skip
YES, NO = frozenset({"true", "1", "yes", "y", "x"}), frozenset({"", "false", "0", "no", "n"})


def _truth(text: str) -> bool:
    if text.lower() in YES | NO:
        return text.lower() in YES
    raise ValueError


TYPES: Mapping[str, Callable[[str], Any]] = {
    "string": str, "code": str, "dateTime": str, "integer": int, "decimal": Decimal, "boolean": _truth,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        columns: Column by what it is: `code`, `designation:de`, `property:NAME`, …
        types: FHIR type by name of a property; string where none is given.
        delimiter: Between cells; empty to find it.
        separator: Between several parents or values of a property in one cell; empty where there is one only.
        encoding: Of the text.
        head: What is said of the code system, as CodeSystem has it.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ""
    separator: str = ""
    encoding: str = "utf-8-sig"
    head: Mapping[str, Any] = field(default_factory=dict)


def mapping(data: bytes, name: str) -> Columns:
    """Return the mapping that a JSON file says.

    Raises:
        BrokenRelease: It is none.
    """
    try:
        made = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenRelease(f"The mapping is no JSON: {error}.", name) from None
    if (
        not isinstance(made, dict)
        or not isinstance(made.get("columns", {}), dict)
        or not isinstance(made.get("types", {}), dict)
    ):
        raise BrokenRelease(
            "A mapping is an object with `columns`, an object, and what is said of the code system.", name
        )
    if unknown := sorted(set(made) - KEYS):
        raise BrokenRelease(f"A mapping has no '{unknown[0]}'. It may have: {', '.join(sorted(KEYS))}.", name)
    columns, types = made.get("columns", {}), made.get("types", {})
    if wrong := [one for one in columns if one not in PLAIN and not one.startswith((DESIGNATION, PROPERTY))]:
        raise BrokenRelease(f"A column cannot be '{wrong[0]}'. {_choices()}", name)
    if wrong := [one for one in types.values() if one not in TYPES]:
        raise BrokenRelease(f"A property cannot be of type '{wrong[0]}': {', '.join(TYPES)} are possible.", name)
    head = {key: made[key] for key in made if key not in {"columns", "types", "delimiter", "encoding", "separator"}}
    return Columns(
        columns,
        types,
        str(made.get("delimiter", "")),
        str(made.get("separator", "")),
        str(made.get("encoding", "utf-8-sig")),
        head,
    )


def recognise(files: Collection[File]) -> bool:
    """Return whether there is one table that names its columns as concepts have them."""
    tables = [one for one in files if one.base.lower().endswith(ENDINGS)]
    return len(tables) == 1 and "code" in columns_of(tables[0], _delimiter(tables[0], ""))


def read(files: Files, how: Columns, url: str = "", version: str = "") -> Release:
    """Return what a table says.

    Args:
        files: With one table.
        how: What its columns are.
        url: System URI, empty where the mapping says it.
        version: What it is called, empty where the mapping says it.

    Raises:
        BrokenRelease: The table or the mapping does not fit.
    """
    tables = [one for one in files.all if one.base.lower().endswith(ENDINGS)]
    if len(tables) != 1:
        raise BrokenRelease(f"There are {len(tables)} tables, and one is read.", files.label)
    [file] = tables
    said = how.head
    if not (url or said.get("url")):
        raise BrokenRelease(
            "The URL of the code system is not said: neither by an option nor by the mapping.", file.name
        )
    delimiter = _delimiter(file, how.delimiter)
    columns = how.columns or {name: name for name in columns_of(file, delimiter, how.encoding) if _usable(name)}
    if "code" not in columns:
        raise BrokenRelease(f"No column is the code. {_choices()}", file.name, 1)
    names = [one.removeprefix(PROPERTY) for one in columns if one.startswith(PROPERTY)]
    head = Head(
        url=url or str(said["url"]),
        version=version or str(said.get("version", "")),
        name=str(said.get("name", "")),
        title=str(said.get("title", "")),
        content=str(said.get("content", "complete")),
        case_sensitive=said.get("caseSensitive") is not False,
        language=str(said.get("language", "")),
        hierarchy=str(said.get("hierarchyMeaning", "is-a" if "parent" in columns else "")),
        value_set=str(said.get("valueSet", "")),
        properties={name: PropertyDefinition(name, how.types.get(name, "string")) for name in names},
        resource={key: said[key] for key in ("copyright", "publisher") if key in said},
    )
    # The mapping is part of what the concepts come from.
    digest = files.digest((file,)) + str(sorted(columns.items())) + str(sorted(how.types.items())) + how.separator
    return Release(head, _hashed(digest), lambda: _rows(file, columns, how, delimiter))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _usable(name: str) -> bool:
    return name in PLAIN or name.startswith((DESIGNATION, PROPERTY))


def _choices() -> str:
    return f"It is {', '.join(sorted(PLAIN))}, {DESIGNATION}xx for a language, or {PROPERTY}NAME."


def _delimiter(file: File, said: str) -> str:
    if said:
        return {"tab": "\t", "\\t": "\t"}.get(said, said)[:1]
    number, line = next(file.lines(), (1, ""))
    counts = {one: line.count(one) for one in ("\t", ";", "|", ",")}
    return max(counts, key=lambda one: counts[one]) if any(counts.values()) and number else ","


def _rows(file: File, columns: Mapping[str, str], how: Columns, delimiter: str) -> Iterator[Row]:
    seen: set[str] = set()
    order = tuple(columns)
    for number, cells in quoted(file, tuple(columns.values()), delimiter=delimiter, encoding=how.encoding):
        row = {name: cell.strip() for name, cell in zip(order, cells, strict=True)}
        code = row["code"]
        if not code or code in seen:
            reason = f"The code {code} is there twice." if code else "The row has no code."
            raise BrokenRelease(reason, file.name, number)
        seen.add(code)
        yield Row(
            code,
            row.get("display", ""),
            row.get("definition", ""),
            tuple(_designations(row)),
            tuple(_properties(row, how, file, number)),
            tuple(_several(row.get("parent", ""), how)),
            _flag(row, "inactive", file, number),
            _flag(row, "abstract", file, number),
            row.get("status", ""),
        )


def _designations(row: Mapping[str, str]) -> Iterator[Designation]:
    for name, text in row.items():
        if name.startswith(DESIGNATION) and text:
            yield Designation(text, name.removeprefix(DESIGNATION))


def _properties(row: Mapping[str, str], how: Columns, file: File, line: int) -> Iterator[Property]:
    for name, cell in row.items():
        if name.startswith(PROPERTY):
            code = name.removeprefix(PROPERTY)
            kind = how.types.get(code, "string")
            for text in _several(cell, how):
                try:
                    yield Property(code, TYPES[kind](text), kind)
                except (ValueError, InvalidOperation):
                    raise BrokenRelease(f"'{text}' is no {kind}, as the property {code} is.", file.name, line) from None


def _several(cell: str, how: Columns) -> Iterator[str]:
    for text in cell.split(how.separator) if how.separator else (cell,):
        if text.strip():
            yield text.strip()


def _flag(row: Mapping[str, str], name: str, file: File, line: int) -> bool:
    try:
        return _truth(row.get(name, ""))
    except ValueError:
        raise BrokenRelease(f"'{row[name]}' is neither true nor false, as {name} is.", file.name, line) from None
