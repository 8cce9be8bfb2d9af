"""RxNorm in Rich Release Format: concepts, relations, attributes and semantic types of the source RXNORM.

Of the properties, FHIR names `TTY`, `SAB`, `STY`, and relations under their name (RELA, else REL) with the value `CUI:` and the
other concept's number. RxNorm defines no subsumption, so there is no hierarchy.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import itemgetter

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.partition import Partition, Record
from terminology.load.release import BrokenRelease, Release, Row

SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SOURCE = "RXNORM"
LANGUAGES = {"ENG": "en", "SPA": "es"}
WIDTHS = {"RXNCONSO": 18, "RXNREL": 16, "RXNSTY": 6, "RXNSAT": 13}
SECONDARY = ("PSN", "SY", "TMSY", "ET")
"""Types of terms that are other words for what a term of another type names, the best last resort first."""
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition("TTY", "code", description="Types of its terms"),
        PropertyDefinition("SAB", "code", description="Sources that have it"),
        PropertyDefinition("STY", description="Semantic types"),
    )
}
_NAMES, _RELATION, _TYPE, _ATTRIBUTE, _ELSEWHERE = range(5)


def recognise(files: Collection[File]) -> bool:
    """Return whether there is a table of RxNorm's concepts."""
    return _table(files, "RXNCONSO") is not None


def read(files: Files, version: str = "", tell: Callable[[str], None] = lambda _: None) -> Release:
    """Return a release of RxNorm.

    Args:
        files: Its folder `rrf`, or the archive as it is published.
        version: What it is called; empty for the day in the name of the archive, as it is there.
        tell: Is told the name of each file before it is read.

    Raises:
        BrokenRelease: It is not as its format has it.
    """
    tables = {name: found for name in WIDTHS if (found := _table(files.all, name))}
    if "RXNCONSO" not in tables:
        raise BrokenRelease("There is no RXNCONSO.RRF.", files.label)
    joined = files.partition()
    named: set[str] = set()
    for name, reading in {"RXNCONSO": _names, "RXNREL": _relations, "RXNSTY": _types, "RXNSAT": _attributes}.items():
        if name in tables:
            tell(tables[name].base)
            named |= reading(tables[name], joined)
    head = Head(
        url=SYSTEM,
        version=version or _version(files),
        name="RxNorm",
        title="RxNorm",
        language="en",
        value_set="http://www.nlm.nih.gov/research/umls/rxnorm/vs",
        properties={**PROPERTIES, **{one: PropertyDefinition(one) for one in sorted(named)}},
        resource={
            "publisher": "National Library of Medicine (NLM)",
            "copyright": "Sources in RxNorm other than RXNORM itself have licences of their own (UMLS Metathesaurus License).",
        },
    )
    return Release(head, files.digest(tuple(tables.values())), lambda: _rows(joined, tables["RXNCONSO"]))


def _table(files: Collection[File], name: str) -> File | None:
    found = [one for one in files if one.base.upper() == f"{name}.RRF"]
    # The archive has the whole and beside it what can be prescribed today, in a folder of its own.
    return min(found, key=lambda one: ("prescribe" in one.name.lower(), one.name), default=None)


def _version(files: Files) -> str:
    for path in files.paths:
        if found := re.search(r"(?<!\d)\d{8}(?!\d)", path.name):
            return found[0]
    raise BrokenRelease("The name of the archive does not tell the day of the release. Say the version.", files.label)


def _fields(file: File, name: str) -> Iterator[tuple[int, list[str]]]:
    width = WIDTHS[name]
    for number, line in file.lines():
        cells = line.split("|")
        if len(cells) != width + 1:
            reason = f"The row has {len(cells) - 1} columns, and {name} has {width}."
            raise BrokenRelease(reason, file.name, number)
        if not cells[0].isdigit() and not (name == "RXNREL" and not cells[0]):
            raise BrokenRelease(f"'{cells[0]}' is no RXCUI.", file.name, number)
        yield number, cells


def _names(file: File, joined: Partition) -> set[str]:
    for _, row in _fields(file, "RXNCONSO"):
        if row[11] == SOURCE:
            joined.add(row[0], (_NAMES, row[0], row[12], row[14], LANGUAGES.get(row[1], ""), row[16] != "O"))
        else:
            joined.add(row[0], (_ELSEWHERE, row[0], row[11]))
    return set()


def _relations(file: File, joined: Partition) -> set[str]:
    found = set()
    for _, row in _fields(file, "RXNREL"):
        # The second concept has the relation to the first.
        if row[10] == SOURCE and row[0] and row[4] and row[14] != "O":
            name = row[7] or row[3]
            found.add(name)
            joined.add(row[4], (_RELATION, row[4], name, f"CUI:{row[0]}"))
    return found


def _types(file: File, joined: Partition) -> set[str]:
    for _, row in _fields(file, "RXNSTY"):
        joined.add(row[0], (_TYPE, row[0], "STY", row[3]))
    return set()


def _attributes(file: File, joined: Partition) -> set[str]:
    found = set()
    for _, row in _fields(file, "RXNSAT"):
        if row[9] == SOURCE and row[8] and row[10] and row[11] != "O":
            found.add(row[8])
            joined.add(row[0], (_ATTRIBUTE, row[0], row[8], row[10]))
    return found


def _rows(joined: Partition, file: File) -> Iterator[Row]:
    there = False
    for part in joined.parts():
        grouped: dict[str, list[Record]] = {}
        for record in part:
            grouped.setdefault(record[1], []).append(record)
        for code in sorted(grouped, key=int):
            names = [one for one in grouped[code] if one[0] == _NAMES]
            if names:
                there = True
                yield _row(code, names, grouped[code])
    if not there:
        raise BrokenRelease(f"No concept has a term of the source {SOURCE}.", file.name)


def _row(code: str, names: Sequence[Record], records: Sequence[Record]) -> Row:
    names = sorted(names, key=lambda one: (not one[5], _rank(one[2]), one[3]))
    display = names[0][3]
    sources = {one[2] for one in records if one[0] == _ELSEWHERE} | {SOURCE}
    stated = sorted(
        {(one[2], one[3]) for one in records if one[0] in {_RELATION, _TYPE, _ATTRIBUTE}}, key=itemgetter(0, 1)
    )
    properties = [Property("TTY", kind, "code") for kind in sorted({one[2] for one in names})]
    properties += [Property("SAB", source, "code") for source in sorted(sources)]
    properties += [Property(name, value) for name, value in stated]
    others = dict.fromkeys((one[3], one[4]) for one in names if one[3] != display)
    active = any(one[5] for one in names)
    return Row(
        code,
        display,
        designations=tuple(Designation(text, language) for text, language in others),
        properties=tuple(properties),
        inactive=not active,
        status="" if active else "obsolete",
    )


def _rank(kind: str) -> int:
    return SECONDARY.index(kind) + 1 if kind in SECONDARY else 0
