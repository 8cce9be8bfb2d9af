"""ICD-10-CM: the tabular list in XML, with the list of codes that come with it, and the order file as plain text.

The tabular list has chapters, blocks and codes with their notes; codes with a seventh character are told by rules at the codes above
them. Where the list of codes lies beside, exactly the codes it names are made by those rules; otherwise all that the rules allow.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.tree import elements

SYSTEM = "http://hl7.org/fhir/sid/icd-10-cm"
LENGTH, PLACE = 7, 6
NOTES = {
    "includes": "inclusion",
    "excludes1": "excludes1",
    "excludes2": "excludes2",
    "codeFirst": "codeFirst",
    "useAdditionalCode": "useAdditionalCode",
    "codeAlso": "codeAlso",
    "notes": "note",
}
KIND, BILLABLE, ORDER = "kind", "billable", "order"
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition(KIND, "code", description="chapter, block or code"),
        PropertyDefinition(BILLABLE, "boolean", description="Whether it is a code for claims: nothing is below it"),
        *(
            PropertyDefinition(code, description=f"Notes under '{tag}' of the tabular list")
            for tag, code in NOTES.items()
        ),
    )
}
INCLUSION = {
    "system": "http://terminology.hl7.org/CodeSystem/designation-usage",
    "code": "synonym",
    "display": "Synonym",
}

_ORDER = re.compile(r"(\d{5}) (\w{3,7}) +([01]) (.{60}) (.+)")
_PLAIN = re.compile(r"[A-Z]\w{2,7}|[A-Z]\w{2}-[A-Z]\w{2}|\d{1,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Seventh:
    """Seventh characters that the codes below may take, with what they say."""

    characters: Mapping[str, str]


def recognise(files: Collection[File]) -> bool:
    """Return whether there is a tabular list or an order file."""
    return _tabular(files) is not None or _ordered(files) is not None


def read(files: Files, version: str = "") -> Release:
    """Return a release of ICD-10-CM.

    Args:
        files: The tabular list with or without the list of codes, or an order file.
        version: What it is called; empty for the year that the files name, and the month where it is another than October.

    Raises:
        BrokenRelease: It is not as its format has it.
    """
    tabular, ordered = _tabular(files.all), _ordered(files.all)
    if tabular is None and ordered is None:
        raise BrokenRelease("There is neither a tabular list in XML nor an order file.", files.label)
    named = next((one for one in files.all if re.search(r"code-?list.*\.txt$", one.base, re.IGNORECASE)), None)
    chosen = tuple(one for one in ((tabular, named) if tabular else (ordered,)) if one)
    head = Head(
        url=SYSTEM,
        version=version or _version(tabular or chosen[0]),
        name="ICD10CM",
        title="International Classification of Diseases, 10th Revision, Clinical Modification",
        language="en",
        case_sensitive=False,
        hierarchy="is-a",
        value_set="http://hl7.org/fhir/sid/icd-10-cm?fhir_vs",
        properties=PROPERTIES,
        resource={"publisher": "National Center for Health Statistics (NCHS)"},
    )
    if tabular:
        codes = _codes(named) if named else None
        return Release(head, files.digest(chosen), lambda: _tabular_rows(tabular, named, codes))
    return Release(head, files.digest(chosen), lambda: _ordered_rows(chosen[0]))


def dotted(code: str) -> str:
    """Return a code with its dot, which files of ICD-10-CM leave out."""
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 and "-" not in code and "." not in code else code


def _tabular(files: Collection[File]) -> File | None:
    return next((one for one in files if one.base.lower().endswith(".xml") and _names(one, b"<ICD10CM.tabular")), None)


def _names(file: File, mark: bytes) -> bool:
    with file.open() as raw:
        return mark in raw.read(2000)


def _ordered(files: Collection[File]) -> File | None:
    return next((one for one in files if re.fullmatch(r"icd10cm[-_]order[-_].*\.txt", one.base.lower())), None)


def _version(file: File) -> str:
    month = re.search(r"(january|april)", file.base.lower())
    year = re.search(r"20\d\d", file.base)
    if not year and file.base.lower().endswith(".xml"):
        with file.open() as raw:
            year = re.search(r"(?<=<version>)\s*20\d\d", raw.read(2000).decode("utf-8", "replace"))
    if not year:
        raise BrokenRelease("Neither the name nor the content of the file tells the year. Say the version.", file.name)
    return year[0].strip() + {"january": "-01", "april": "-04", "": ""}[month[1] if month else ""]


def _codes(file: File) -> frozenset[str]:
    found = set()
    for number, line in file.lines():
        code = line.strip()
        if not _PLAIN.fullmatch(code):
            raise BrokenRelease(f"'{code[:40]}' is no code.", file.name, number)
        found.add(code.replace(".", ""))
    return frozenset(found)


def _tabular_rows(file: File, named: File | None, codes: frozenset[str] | None) -> Iterator[Row]:
    seen: set[str] = set()
    for line, chapter in elements(file, {"chapter"}):
        for row in _chapter(file, line, chapter, codes):
            if row.code in seen:
                # A block of one code has the same name as that code: the code is what counts, and stands in its place.
                raise BrokenRelease(f"The code {row.code} is there twice.", file.name, line)
            seen.add(row.code)
            yield row
    missing = {dotted(one) for one in codes or ()} - seen
    if missing and named:
        raise BrokenRelease(
            f"{len(missing)} codes that it names are not in the tabular list, such as {', '.join(sorted(missing)[:5])}.",
            named.name,
        )


def _chapter(file: File, line: int, chapter: ET.Element, codes: frozenset[str] | None) -> Iterator[Row]:
    name = _text(chapter, "name", file, line)
    yield _row(chapter, name, (), "chapter", file, line)
    sections = chapter.findall("section")
    ranges = {section.get("id", "") for section in sections}
    for section in sections:
        code = section.get("id", "")
        diagnoses = section.findall("diag")
        single = any(one.findtext("name") == code for one in diagnoses)
        # Some blocks lie within a larger one: C00-C14 within C00-C96.
        above = _around(code, ranges) or name
        if not single:
            yield _row(section, code, (above,), "block", file, line)
        for diagnosis in diagnoses:
            yield from _diagnosis(diagnosis, above if single else code, None, codes, file, line)


def _around(code: str, ranges: Collection[str]) -> str:
    first, _, last = code.partition("-")
    last = last or first
    wider = [
        other
        for other in ranges
        if other != code and "-" in other and other.partition("-")[0] <= first and last <= other.partition("-")[2]
    ]
    return min(wider, key=lambda one: (one.partition("-")[2], one.partition("-")[0]), default="") if wider else ""


def _diagnosis(  # noqa: PLR0917 - where it stands
    diagnosis: ET.Element,
    above: str,
    seventh: _Seventh | None,
    codes: frozenset[str] | None,
    file: File,
    line: int,
) -> Iterator[Row]:
    code = _text(diagnosis, "name", file, line)
    stated = diagnosis.find("sevenChrDef")
    if stated is not None:
        seventh = _Seventh(
            {one.get("char", ""): " ".join((one.text or "").split()) for one in stated.iter("extension")}
        )
    below = diagnosis.findall("diag")
    bare = code.replace(".", "")
    extended = list(_extended(bare, seventh, codes, leaf=not below)) if seventh else []
    row = _row(diagnosis, code, (above,), "code", file, line, billable=not below and not extended)
    yield row
    for extra, says in extended:
        yield Row(
            dotted(extra),
            f"{row.display}, {says}",
            properties=(Property(KIND, "code", "code"), Property(BILLABLE, True, "boolean")),
            parents=(code,),
        )
    for one in below:
        yield from _diagnosis(one, code, seventh, codes, file, line)


def _extended(bare: str, seventh: _Seventh, codes: frozenset[str] | None, *, leaf: bool) -> Iterator[tuple[str, str]]:
    """Yield the codes with a seventh character right below a code, the gap filled by `X`."""
    if len(bare) >= LENGTH:
        return
    filled = bare.ljust(PLACE, "X")
    for character, says in seventh.characters.items():
        made = f"{filled}{character}"
        if made in codes if codes is not None else leaf:
            yield made, says


def _row(  # noqa: PLR0917 - what it is
    element: ET.Element,
    code: str,
    parents: tuple[str, ...],
    kind: str,
    file: File,
    line: int,
    *,
    billable: bool = False,
) -> Row:
    properties = [Property(KIND, kind, "code")]
    if kind == "code":
        properties.append(Property(BILLABLE, billable, "boolean"))
    for tag, name in NOTES.items():
        properties += [Property(name, text) for text in _notes(element, tag)]
    return Row(
        code=code,
        display=_text(element, "desc", file, line),
        designations=tuple(Designation(text, "en", INCLUSION) for text in _notes(element, "inclusionTerm")),
        properties=tuple(properties),
        parents=parents,
        abstract=kind != "code",
    )


def _notes(element: ET.Element, tag: str) -> Iterator[str]:
    for group in element.findall(tag):
        for note in group.findall("note"):
            if text := " ".join("".join(note.itertext()).split()):
                yield text


def _text(element: ET.Element, tag: str, file: File, line: int) -> str:
    text = " ".join((element.findtext(tag) or "").split())
    if not text:
        raise BrokenRelease(f"A {element.tag} in the chapter that ends here has no {tag}.", file.name, line)
    return text


def _ordered_rows(file: File) -> Iterator[Row]:
    above: list[str] = []
    for number, line in file.lines():
        match = _ORDER.fullmatch(line.rstrip())
        if not match:
            raise BrokenRelease(
                "The row is not as the order file has it: number, code, 0 or 1, short and long words.",
                file.name,
                number,
            )
        _, code, billable, short, long = match.groups()
        while above and not code.startswith(above[-1]):
            above.pop()
        yield Row(
            dotted(code),
            long.strip(),
            designations=(Designation(short.strip(), "en"),) if short.strip() != long.strip() else (),
            properties=(Property(KIND, "code", "code"), Property(BILLABLE, billable == "1", "boolean")),
            parents=(dotted(above[-1]),) if above else (),
        )
        above.append(code)
