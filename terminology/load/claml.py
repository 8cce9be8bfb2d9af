"""Classifications in ClaML 2 and 3, as WHO and national bodies publish ICD-10 and its kin."""

from collections.abc import Collection, Iterator
from xml.etree import ElementTree as ET

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.tree import elements

ICD_10 = "http://hl7.org/fhir/sid/icd-10"
PREFERRED, LONG = "preferred", "preferredLong"
DEFINITION = "definition"
SYNONYMS = frozenset({LONG, "preferredAbbreviated", "introduction", "inclusion", "index"})
SYNONYM = {"system": "http://terminology.hl7.org/CodeSystem/designation-usage", "code": "synonym", "display": "Synonym"}
RUBRICS = ("inclusion", "exclusion", "note", "coding-hint", "text", "introduction", "modifierlink", "footnote")
GROUPING = frozenset({"chapter", "block"})
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition("kind", "code", description="chapter, block, category or another kind of class"),
        PropertyDefinition("usage", "code", description="dagger, aster, optional"),
        *(PropertyDefinition(name, description=f"Rubrics of the kind {name}") for name in RUBRICS),
    )
}


def recognise(files: Collection[File]) -> bool:
    """Return whether there is a file in ClaML."""
    return _file(files) is not None


def read(files: Files, url: str = "", version: str = "") -> Release:
    """Return a release of a classification.

    Args:
        files: With one in ClaML.
        url: Its system URI; empty for ICD-10 where the title says so.
        version: What it is called, empty for what the file says.

    Raises:
        BrokenRelease: It is not as its format has it, or the system is not known.
    """
    file = _file(files.all)
    if file is None:
        raise BrokenRelease("There is no file in ClaML.", files.label)
    title, stated, language = _title(file)
    if not url and "ICD-10" not in title.upper():
        raise BrokenRelease(f"The title '{title}' does not tell the code system. Say its URL.", file.name)
    head = Head(
        url=url or ICD_10,
        version=version or stated,
        name="".join(one for one in title if one.isascii() and one.isalnum()) or "Classification",
        title=title,
        language=language,
        case_sensitive=False,
        hierarchy="is-a",
        properties=PROPERTIES,
    )
    return Release(head, files.digest((file,)), lambda: _rows(file, language))


def _file(files: Collection[File]) -> File | None:
    for file in files:
        if file.base.lower().endswith(".xml"):
            with file.open() as raw:
                if b"<ClaML" in raw.read(4000):
                    return file
    return None


def _title(file: File) -> tuple[str, str, str]:
    title, language = "", ""
    for _, element in elements(file, {"Title", "Class", "Meta"}):
        if element.tag == "Title":
            title = element.get("name", "") or " ".join((element.text or "").split())
            return title, element.get("version", ""), language
        if element.tag == "Meta" and element.get("name") == "lang":
            language = element.get("value", "")
        if element.tag == "Class":
            break
    raise BrokenRelease("The file has no title before its classes.", file.name)


def _rows(file: File, language: str) -> Iterator[Row]:
    seen: set[str] = set()
    modifiers: dict[str, list[tuple[str, str]]] = {}
    classes = elements(file, {"Class", "ModifierClass"})
    for _, element in classes:
        if element.tag == "ModifierClass":
            words = next(_texts(element, PREFERRED), "")
            modifiers.setdefault(element.get("modifier", ""), []).append((element.get("code", ""), words))
    for line, element in elements(file, {"Class"}):
        row = _row(file, line, element, language)
        for made in (row, *_modified(row, element, modifiers)):
            if made.code in seen:
                if made is row:
                    raise BrokenRelease(f"The class {made.code} is there twice.", file.name, line)
                continue
            seen.add(made.code)
            yield made


def _row(file: File, line: int, element: ET.Element, language: str) -> Row:
    code, kind = element.get("code", ""), element.get("kind", "")
    display = next(_texts(element, PREFERRED), "") or next(_texts(element, LONG), "")
    if not code or not display:
        raise BrokenRelease(f"The class {code or 'without a code'} has no preferred words.", file.name, line)
    properties = [Property("kind", kind, "code")]
    if usage := element.get("usage"):
        properties.append(Property("usage", usage, "code"))
    for name in RUBRICS:
        properties += [Property(name, text) for text in _texts(element, name)]
    return Row(
        code=code,
        display=display,
        definition=next(_texts(element, DEFINITION), ""),
        designations=tuple(
            Designation(text, language, SYNONYM) for name in (LONG, "inclusion") for text in _texts(element, name)
        ),
        properties=tuple(properties),
        parents=tuple(dict.fromkeys(one.get("code", "") for one in element.findall("SuperClass"))),
        abstract=kind in GROUPING,
    )


def _modified(row: Row, element: ET.Element, modifiers: dict[str, list[tuple[str, str]]]) -> Iterator[Row]:
    """Yield the codes that modifiers add below a class: fourth and fifth characters that are said once for many."""
    for link in element.findall("ModifiedBy"):
        if link.get("all") == "false":
            allowed = {one.get("code", "") for one in link.findall("ValidModifierClass")}
        else:
            allowed = set()
        for suffix, words in modifiers.get(link.get("code", ""), ()):
            if not allowed or suffix in allowed:
                yield Row(
                    f"{row.code}{suffix}",
                    f"{row.display}: {words}",
                    properties=(Property("kind", "category", "code"),),
                    parents=(row.code,),
                )


def _texts(element: ET.Element, kind: str) -> Iterator[str]:
    for rubric in element.findall("Rubric"):
        if rubric.get("kind") == kind:
            for label in rubric.findall("Label"):
                if text := " ".join("".join(label.itertext()).split()):
                    yield text
