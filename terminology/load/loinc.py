"""LOINC as the release in CSV files: terms, parts, answers and answer lists, their hierarchy, and words in other languages.

Properties have the names that FHIR's page on LOINC gives them. Where the file of links to parts is there, the axes are Codings of
parts, otherwise the texts of the main table.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.partition import Partition, Record
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.table import quoted

Json = dict[str, Any]

SYSTEM = "http://loinc.org"
AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS")
TEXTS = (
    "VersionLastChanged", "CLASSTYPE", "ORDER_OBS", "HL7_ATTACHMENT_STRUCTURE", "VersionFirstReleased", "PanelType",
    "ValidHL7AttachmentRequest", "HL7_FIELD_SUBFIELD_ID", "EXAMPLE_UCUM_UNITS", "DisplayName", "CONSUMER_NAME",
)  # fmt: skip
NEEDED = ("LOINC_NUM", *AXES, "STATUS", "SHORTNAME", "LONG_COMMON_NAME")
MORE = (*TEXTS, "DefinitionDescription", "RELATEDNAMES2", "EXTERNAL_COPYRIGHT_NOTICE")
TYPES = {"COMPONENT": "COMPONENT", "PROPERTY": "PROPERTY", "TIME": "TIME_ASPCT", "SYSTEM": "SYSTEM", "SCALE": "SCALE_TYP",
         "METHOD": "METHOD_TYP", "CLASS": "CLASS"}  # fmt: skip
"""Axis by the type of a part."""
PRIMARY = "primary"
ANSWER = ("AnswerListId", "AnswerListName", "AnswerStringId", "SequenceNumber", "DisplayText")
VARIANT = (
    "LOINC_NUM",
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "SHORTNAME",
    "LONG_COMMON_NAME",
)
USE = "http://loinc.org"
COPYRIGHT = (
    "This material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc. and the LOINC "
    "Committee and is available at no cost under the license at http://loinc.org/license."
)
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition("STATUS", "code", description="ACTIVE, TRIAL, DISCOURAGED or DEPRECATED"),
        *(PropertyDefinition(axis, "Coding", description="Part of the fully specified name") for axis in AXES),
        *(PropertyDefinition(name) for name in TEXTS),
        PropertyDefinition("copyright", "code", description="LOINC, or 3rdParty"),
        PropertyDefinition("answer-list", "code", description="Answer lists of a term"),
        PropertyDefinition("answers-for", "code", description="Terms that an answer list is for"),
        PropertyDefinition("LIST", "code", description="Answer lists that an answer is in"),
        PropertyDefinition("LG", "code", description="Groups that a term is in"),
        PropertyDefinition("PartTypeName", "code", description="Type of a part"),
    )
}
_TERM, _PART, _LIST, _PARENT, _VARIANT, _AXIS, _MEMBER, _FOR, _NODE = range(9)


def recognise(files: Collection[File]) -> bool:
    """Return whether there is LOINC's main table."""
    return _file(files, "loinc.csv") is not None


def read(files: Files, version: str = "", tell: Callable[[str], None] = lambda _: None) -> Release:
    """Return a release of LOINC, with a ValueSet for each answer list.

    Args:
        files: The archive as it is published, or what is in it.
        version: What it is called; empty for what the name of the archive says, else for the latest change of a term.
        tell: Is told the name of each file before it is read.

    Raises:
        BrokenRelease: It is not as its format has it.
    """
    main = _file(files.all, "loinc.csv")
    if main is None:
        raise BrokenRelease("There is no Loinc.csv.", files.label)
    joined = files.partition()
    readers: dict[str, Callable[[File, Partition], object]] = {
        "loinc.csv": _terms,
        "part.csv": _parts,
        "loincpartlink_primary.csv": _axes,
        "answerlist.csv": _answers,
        "loincanswerlistlink.csv": _lists,
        "grouploincterms.csv": _groups,
        "componenthierarchybysystem.csv": _hierarchy,
        "multiaxialhierarchy.csv": _hierarchy,
    }
    chosen = [file for name in readers if (file := _file(files.all, name))]
    if _file(files.all, "componenthierarchybysystem.csv"):
        chosen = [one for one in chosen if one.base.lower() != "multiaxialhierarchy.csv"]
    languages = _languages(files.all)
    latest = ""
    for file in chosen:
        tell(file.base)
        found = readers[file.base.lower()](file, joined)
        latest = found if isinstance(found, str) else latest
    for file, tag in languages:
        tell(file.base)
        _variants(file, tag, joined)
    head = Head(
        url=SYSTEM,
        version=version or _version(files, latest),
        name="LOINC",
        title="LOINC Code System",
        language="en",
        case_sensitive=False,
        hierarchy="is-a",
        value_set="http://loinc.org/vs",
        properties=PROPERTIES,
        resource={"publisher": "Regenstrief Institute, Inc.", "copyright": COPYRIGHT},
    )
    digest = files.digest((*chosen, *(file for file, _ in languages)))
    answers = _file(files.all, "answerlist.csv")
    return Release(
        head, digest, lambda: _rows(joined, main), lambda: _value_sets(answers, head.version) if answers else ()
    )


def _file(files: Collection[File], name: str) -> File | None:
    return next((one for one in files if one.base.lower() == name), None)


def _version(files: Files, latest: str) -> str:
    for path in files.paths:
        if found := re.search(r"(?<![\d.])2\.\d{2}(?!\d)", path.name):
            return found[0]
    if not latest:
        raise BrokenRelease("Neither the name of the archive nor its terms tell the version. Say it.", files.label)
    return latest


def _terms(file: File, joined: Partition) -> str:
    latest = (0, 0)
    for number, row in quoted(file, NEEDED, MORE):
        code = row[0]
        if not re.fullmatch(r"\d{1,7}-\d", code):
            raise BrokenRelease(f"'{code}' is no LOINC code.", file.name, number)
        joined.add(code, (_TERM, code, row))
        if found := re.fullmatch(r"(\d+)\.(\d+)", row[len(NEEDED)]):
            latest = max(latest, (int(found[1]), int(found[2])))
    return f"{latest[0]}.{latest[1]:02}" if latest > (0, 0) else ""


def _parts(file: File, joined: Partition) -> None:
    columns = ("PartNumber", "PartTypeName", "PartName", "PartDisplayName", "Status")
    for _, row in quoted(file, columns):
        joined.add(row[0], (_PART, *row))


def _axes(file: File, joined: Partition) -> None:
    columns = ("LoincNumber", "PartNumber", "PartName", "PartTypeName", "LinkTypeName")
    for _, (code, part, name, kind, link) in quoted(file, columns):
        if link.lower() == PRIMARY and kind in TYPES:
            joined.add(code, (_AXIS, code, TYPES[kind], part, name))


def _answers(file: File, joined: Partition) -> None:
    previous = ""
    for _, (group, name, answer, _, text) in quoted(file, ANSWER):
        if group != previous:
            joined.add(group, (_LIST, group, name))
            previous = group
        if answer:
            joined.add(answer, (_MEMBER, answer, text, group))


def _lists(file: File, joined: Partition) -> None:
    for _, (code, group) in quoted(file, ("LoincNumber", "AnswerListId")):
        joined.add(code, (_FOR, code, "answer-list", group))
        joined.add(group, (_FOR, group, "answers-for", code))


def _groups(file: File, joined: Partition) -> None:
    for _, (group, code) in quoted(file, ("GroupId", "LoincNumber")):
        joined.add(code, (_FOR, code, "LG", group))


def _hierarchy(file: File, joined: Partition) -> None:
    for _, (parent, code, text) in quoted(file, ("IMMEDIATE_PARENT", "CODE", "CODE_TEXT")):
        joined.add(code, (_NODE, code, text))
        if parent:
            joined.add(code, (_PARENT, code, parent))


def _languages(files: Collection[File]) -> list[tuple[File, str]]:
    """Return the files with words in other languages, each with its tag."""
    listed = _file(files, "linguisticvariants.csv")
    tags: dict[str, str] = {}
    if listed:
        for _, (key, language, country) in quoted(listed, ("ID", "ISO_LANGUAGE", "ISO_COUNTRY")):
            tags[key] = f"{language}-{country}" if country else language
    named = ((one, re.fullmatch(r"([a-z]{2})([A-Z]{2})(\d+)LinguisticVariant\.csv", one.base)) for one in files)
    found = [(one, tags.get(match[3], f"{match[1]}-{match[2]}")) for one, match in named if match]
    return sorted(found, key=lambda one: one[0].base)


def _variants(file: File, tag: str, joined: Partition) -> None:
    for _, row in quoted(file, VARIANT[:1], (*VARIANT[1:], "LinguisticVariantDisplayName")):
        code, *axes, short, long, display = row
        texts = [one for one in (display, long, ":".join(axes) if any(axes) else "", short) if one]
        if texts:
            joined.add(code, (_VARIANT, code, tag, tuple(dict.fromkeys(texts))))


def _rows(joined: Partition, main: File) -> Iterator[Row]:
    for part in joined.parts():
        grouped: dict[str, list[list[Record]]] = {}
        for record in part:
            if (group := grouped.get(record[1])) is None:
                group = grouped[record[1]] = [[] for _ in range(_NODE + 1)]
            group[record[0]].append(record)
        for code in sorted(grouped):
            group = grouped[code]
            if len(group[_TERM]) > 1:
                raise BrokenRelease(f"The code {code} is there twice.", main.name)
            if row := _row(code, group):
                yield row


def _row(code: str, group: Sequence[Sequence[Record]]) -> Row | None:
    parents = tuple(dict.fromkeys(one[2] for one in group[_PARENT]))
    linked = [Property(name, value, "code") for _, _, name, value in group[_FOR]]
    if group[_TERM]:
        return _term(code, group, parents, linked)
    if group[_PART]:
        _, _, kind, name, display, status = group[_PART][0]
        others = (Designation(name, "en"),) if name and name != display else ()
        stated = (Property("PartTypeName", kind, "code"), Property("STATUS", status, "code"))
        return Row(code, display or name, "", others, stated, parents, status == "DEPRECATED", status=status)
    if group[_LIST]:
        return Row(code, group[_LIST][0][2], properties=tuple(linked), parents=parents, abstract=True)
    if group[_MEMBER]:
        lists = dict.fromkeys(one[3] for one in group[_MEMBER])
        return Row(code, group[_MEMBER][0][2], properties=tuple(Property("LIST", one, "code") for one in lists))
    if group[_NODE]:
        return Row(code, group[_NODE][0][2], parents=parents, abstract=True)
    return None


def _term(code: str, group: Sequence[Sequence[Record]], parents: tuple[str, ...], linked: list[Property]) -> Row:
    row: Mapping[str, str] = dict(zip((*NEEDED, *MORE), group[_TERM][0][2], strict=True))
    parts = {axis: (part, name) for _, _, axis, part, name in group[_AXIS]}
    properties = [Property("STATUS", row["STATUS"], "code")]
    for axis in AXES:
        if axis in parts:
            part, name = parts[axis]
            properties.append(Property(axis, {"system": SYSTEM, "code": part, "display": name}, "Coding"))
        elif row[axis]:
            properties.append(Property(axis, row[axis]))
    properties += [Property(name, row[name]) for name in TEXTS if row[name]]
    properties.append(Property("copyright", "3rdParty" if row["EXTERNAL_COPYRIGHT_NOTICE"] else "LOINC", "code"))
    display = row["LONG_COMMON_NAME"] or row["SHORTNAME"] or row["COMPONENT"]
    return Row(
        code,
        display,
        row["DefinitionDescription"],
        tuple(_designations(row, display, group[_VARIANT])),
        (*properties, *linked),
        parents,
        row["STATUS"] == "DEPRECATED",
        status=row["STATUS"],
    )


def _designations(row: Mapping[str, str], display: str, variants: Sequence[Record]) -> Iterator[Designation]:
    full = ":".join(row[axis] for axis in AXES[:6])
    words = {"SHORTNAME": row["SHORTNAME"], "DisplayName": row["DisplayName"], "FullySpecifiedName": full.rstrip(":")}
    for use, text in words.items():
        if text and text != display:
            yield Designation(text, "en", {"system": USE, "code": use})
    for text in row["RELATEDNAMES2"].split(";"):
        if text.strip():
            yield Designation(text.strip(), "en", {"system": USE, "code": "RELATEDNAMES2"})
    for _, _, tag, texts in variants:
        for text in texts:
            yield Designation(text, tag)


def _value_sets(file: File, version: str) -> Iterator[Json]:
    """Yield a ValueSet for each answer list; those that another organization defines have no answers here."""
    name, group = "", ""
    answers: list[Json] = []
    for _, (key, title, answer, _, text) in quoted(file, ANSWER):
        if key != group:
            if answers:
                yield _value_set(group, name, answers, version)
            group, name, answers = key, title, []
        if answer:
            answers.append({"code": answer, "display": text})
    if answers:
        yield _value_set(group, name, answers, version)


def _value_set(group: str, title: str, answers: list[Json], version: str) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": f"{SYSTEM}/vs/{group}",
        "version": version,
        "name": group.replace("-", "_"),
        "title": title,
        "status": "active",
        "copyright": COPYRIGHT,
        "compose": {"include": [{"system": SYSTEM, "version": version, "concept": answers}]},
    }
