"""Tables of WHO: the linearization of ICD-11 (SimpleTabulation), and the metadata files of ICD-10."""

import re
from collections.abc import Collection, Iterator

from terminology.concept import Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.table import cells, columns_of, quoted

ICD_11, ICD_10 = "http://id.who.int/icd/release/11/mms", "http://hl7.org/fhir/sid/icd-10"
NEEDED = ("Linearization URI", "Code", "Title", "ClassKind")
OPTIONAL = ("Foundation URI", "BlockId", "DepthInKind", "IsResidual", "ChapterNo", "isLeaf")
KINDS = frozenset({"chapter", "block", "category"})
CODES = re.compile(r"icd10(\d{4})\w*_codes\.txt", re.IGNORECASE)
FEWEST = 9
PROPERTIES_11 = {
    one.code: one
    for one in (
        PropertyDefinition("kind", "code", description="chapter, block or category"),
        PropertyDefinition("chapter", "code", description="Number of the chapter"),
        PropertyDefinition("linearizationUri", description="Of the entity in this linearization"),
        PropertyDefinition("foundationUri", description="Of the entity in the foundation"),
        PropertyDefinition("residual", "boolean", description="Whether it stands for what is not classified elsewhere"),
    )
}
PROPERTIES_10 = {
    one.code: one
    for one in (
        PropertyDefinition("kind", "code", description="chapter, block or category"),
        PropertyDefinition("terminal", "boolean", description="Whether nothing is below it"),
    )
}


def recognise(files: Collection[File]) -> bool:
    """Return whether there is a table of ICD-11 or ICD-10."""
    return _eleven(files) is not None or _ten(files) is not None


def read(files: Files, url: str = "", version: str = "") -> Release:
    """Return a release of ICD-11 or ICD-10.

    Args:
        files: With the tables.
        url: System URI, empty for that of WHO's own classification.
        version: What it is called, empty for what names of files or URIs tell.

    Raises:
        BrokenRelease: It is not as its format has it.
    """
    eleven = _eleven(files.all)
    if eleven:
        head = Head(
            url=url or ICD_11,
            version=version or _release(eleven),
            name="ICD11MMS",
            title="International Classification of Diseases, 11th Revision, Mortality and Morbidity Statistics",
            hierarchy="is-a",
            properties=PROPERTIES_11,
            resource={"publisher": "World Health Organization (WHO)"},
        )
        return Release(head, files.digest((eleven,)), lambda: _rows_11(eleven))
    file = _ten(files.all)
    if file is None:
        raise BrokenRelease(
            "There is neither a simple tabulation of ICD-11 nor a file of codes of ICD-10.", files.label
        )
    beside = {kind: _beside(files.all, file, kind) for kind in ("chapters", "blocks")}
    match = CODES.fullmatch(file.base)
    head = Head(
        url=url or ICD_10,
        version=version or (match[1] if match else ""),
        name="ICD10",
        title="International Statistical Classification of Diseases and Related Health Problems, 10th Revision",
        case_sensitive=False,
        hierarchy="is-a",
        properties=PROPERTIES_10,
        resource={"publisher": "World Health Organization (WHO)"},
    )
    chosen = (file, *(one for one in beside.values() if one))
    return Release(head, files.digest(chosen), lambda: _rows_10(file, beside["chapters"], beside["blocks"]))


def _eleven(files: Collection[File]) -> File | None:
    for file in files:
        if file.base.lower().endswith((".txt", ".tsv", ".csv")):
            with file.open() as raw:
                if b"Linearization URI" in raw.read(1000):
                    return file
    return None


def _ten(files: Collection[File]) -> File | None:
    return next((one for one in files if CODES.fullmatch(one.base)), None)


def _beside(files: Collection[File], codes: File, kind: str) -> File | None:
    names = {
        codes.base.lower().replace("_codes", f"_{each}")
        for each in ((kind,) if kind == "chapters" else (kind, "groups"))
    }
    return next((one for one in files if one.base.lower() in names), None)


def _delimiter(file: File) -> str:
    return "\t" if len(columns_of(file)) > 1 else ","


def _release(file: File) -> str:
    for _, (uri,) in quoted(file, NEEDED[:1], delimiter=_delimiter(file)):
        if found := re.search(r"/release/11/(\d{4}-\d{2})/", uri):
            return found[1]
    return ""


def _rows_11(file: File) -> Iterator[Row]:
    stack: list[tuple[int, int, str]] = []
    seen: set[str] = set()
    for line, row in quoted(file, NEEDED, OPTIONAL, _delimiter(file)):
        uri, code, title, kind, foundation, block, depth, residual, chapter, _ = row
        if kind not in KINDS:
            raise BrokenRelease(f"'{kind}' is no kind of class: {', '.join(sorted(KINDS))} are.", file.name, line)
        if depth and not depth.isdigit():
            raise BrokenRelease(f"The depth '{depth}' is no number.", file.name, line)
        words = title.lstrip("- ")
        code = code or block or (chapter if kind == "chapter" else "")
        if not code or not words:
            raise BrokenRelease("The row has no code and no block, or no title.", file.name, line)
        if code in seen:
            raise BrokenRelease(f"The code {code} is there twice.", file.name, line)
        seen.add(code)
        # Dashes before the title count from the chapter; where there are none, depth counts within the kind.
        level = (title[: len(title) - len(words)].count("-"), 0)
        if not level[0] and kind != "chapter":
            level = ({"block": 1, "category": 2}[kind], int(depth or 1))
        while stack and stack[-1][:2] >= level:
            stack.pop()
        properties = [Property("kind", kind, "code"), Property("linearizationUri", uri)]
        properties += [Property("chapter", chapter, "code")] if chapter else []
        properties += [Property("foundationUri", foundation)] if foundation else []
        properties += [Property("residual", True, "boolean")] if residual.lower() == "true" else []
        parents = (stack[-1][2],) if stack else ()
        yield Row(code, words, properties=tuple(properties), parents=parents, abstract=kind != "category")
        stack.append((*level, code))


def _rows_10(codes: File, chapters: File | None, blocks: File | None) -> Iterator[Row]:
    around: dict[str, str] = {}
    if chapters:
        for line, row in _fields(chapters, 2):
            number = str(int(row[0])) if row[0].isdigit() else ""
            if not number:
                raise BrokenRelease(f"'{row[0]}' is no number of a chapter.", chapters.name, line)
            yield Row(number, row[1], properties=(Property("kind", "chapter", "code"),), abstract=True)
    if blocks:
        for _, (first, last, chapter, title, *_) in _fields(blocks, 4):
            around[first] = code = f"{first}-{last}"
            parents = (str(int(chapter)),) if chapters and chapter.isdigit() else ()
            yield Row(code, title, properties=(Property("kind", "block", "code"),), parents=parents, abstract=True)
    seen: set[str] = set()
    for line, row in _fields(codes, FEWEST):
        level, place, _, chapter, block, _, code, bare, title, *_ = row
        if level not in {"3", "4", "5"} or place not in {"T", "N"}:
            raise BrokenRelease("A row begins with the level, 3 to 5, and T or N.", codes.name, line)
        if code in seen or not code or not title:
            raise BrokenRelease(f"The code '{code}' is there twice, or it or its title is empty.", codes.name, line)
        seen.add(code)
        above = around.get(block, "") or (chapters and chapter.isdigit() and str(int(chapter)))
        if level != "3":
            above = next((one for one in (code[:5], code[:3]) if one != code and one in seen), "") if bare else ""
        properties = (Property("kind", "category", "code"), Property("terminal", place == "T", "boolean"))
        yield Row(code, title, properties=properties, parents=(str(above),) if above else ())


def _fields(file: File, fewest: int) -> Iterator[tuple[int, list[str]]]:
    for line, row in cells(file, ";"):
        if len(row) < fewest:
            raise BrokenRelease(f"The row has {len(row)} columns, and at least {fewest} are needed.", file.name, line)
        yield line, [one.strip() for one in row]
