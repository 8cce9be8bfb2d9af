"""CVX, the vaccine codes of the CDC: the table with pipes (cvx.txt) and the XML file."""

from collections.abc import Collection, Iterator

from terminology.concept import Designation, Head, Property, PropertyDefinition
from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease, Release, Row
from terminology.load.tree import elements

SYSTEM = "http://hl7.org/fhir/sid/cvx"
COLUMNS = ("CVX code", "short description", "full name", "notes", "status", "non-vaccine", "last updated")
FEWEST = 5
USUAL = frozenset({"Active", "Inactive", "Pending", "Non-US", "Never Active"})
NOT_USED = frozenset({"Inactive", "Never Active"})
TAGS = ("CVXCode", "ShortDescription", "FullVaccinename", "Notes", "Status", "", "LastUpdated")
PROPERTIES = {
    one.code: one
    for one in (
        PropertyDefinition("vaccineStatus", "code", description="Active, Inactive, Pending, Non-US or Never Active"),
        PropertyDefinition("notes", description="Of the CDC"),
        PropertyDefinition("nonVaccine", "boolean", description="Whether it says that no vaccine was given"),
        PropertyDefinition("lastUpdated", description="Day of the last change"),
    )
}


def recognise(files: Collection[File]) -> bool:
    """Return whether there is a file of CVX."""
    return _file(files) is not None


def read(files: Files, version: str = "") -> Release:
    """Return a release of CVX.

    Args:
        files: One of its files.
        version: What it is called; empty for the day of the latest change in it, as YYYYMMDD.

    Raises:
        BrokenRelease: It is not as its format has it.
    """
    file = _file(files.all)
    if file is None:
        raise BrokenRelease("There is neither cvx.txt nor an XML file of CVX.", files.label)
    found = list(_rows(file))
    latest = max(
        (_day(str(one.value)) for row in found for one in row.properties if one.code == "lastUpdated"), default=""
    )
    head = Head(
        url=SYSTEM,
        version=version or latest,
        name="CVX",
        title="Vaccine Administered (CVX)",
        language="en",
        value_set="http://hl7.org/fhir/ValueSet/vaccine-code",
        properties=PROPERTIES,
        count=len(found),
        resource={"publisher": "Centers for Disease Control and Prevention (CDC)"},
    )
    return Release(head, files.digest((file,)), lambda: iter(found))


def _file(files: Collection[File]) -> File | None:
    for file in files:
        name = file.base.lower()
        if name.startswith("cvx") and name.endswith((".txt", ".xml")):
            return file
        if name.endswith(".xml"):
            with file.open() as raw:
                if b"<CVXCodes" in raw.read(2000):
                    return file
    return None


def _rows(file: File) -> Iterator[Row]:
    seen: set[str] = set()
    for line, cells in _in_xml(file) if file.base.lower().endswith(".xml") else _in_text(file):
        row = _row(file, line, cells)
        if row.code in seen:
            raise BrokenRelease(f"The code {row.code} is there twice.", file.name, line)
        seen.add(row.code)
        yield row


def _in_text(file: File) -> Iterator[tuple[int, list[str]]]:
    for line, text in file.lines():
        cells = [one.strip() for one in text.split("|")]
        if not FEWEST <= len(cells) <= len(COLUMNS):
            reason = (
                f"The row has {len(cells)} columns, and {FEWEST} to {len(COLUMNS)} are right: {', '.join(COLUMNS)}."
            )
            raise BrokenRelease(reason, file.name, line)
        yield line, cells


def _in_xml(file: File) -> Iterator[tuple[int, list[str]]]:
    for line, element in elements(file, {"CVXInfo"}):
        yield line, [(element.findtext(tag) or "").strip() if tag else "" for tag in TAGS]


def _row(file: File, line: int, cells: list[str]) -> Row:
    code, short, full, notes, status, other, updated = [*cells, "", ""][: len(COLUMNS)]
    if not code or not (short or full):
        raise BrokenRelease("The row has no code, or no description.", file.name, line)
    if status not in USUAL:
        raise BrokenRelease(f"'{status}' is no status: {', '.join(sorted(USUAL))} are.", file.name, line)
    properties = [Property("vaccineStatus", status, "code")]
    if notes:
        properties.append(Property("notes", notes))
    if other:
        properties.append(Property("nonVaccine", other.lower() in {"true", "1", "yes"}, "boolean"))
    if updated:
        properties.append(Property("lastUpdated", updated))
    return Row(
        code,
        short or full,
        designations=(Designation(full, "en"),) if full and full != short else (),
        properties=tuple(properties),
        inactive=status in NOT_USED,
        status=status,
    )


def _day(text: str) -> str:
    """Return a day, which the CDC writes as 2010/05/28 or 5/28/2010, as YYYYMMDD."""
    pieces = text.replace("-", "/").split("/")
    if len(pieces) != 3 or not all(one.isdigit() for one in pieces):
        return ""
    year, month, day = pieces if len(pieces[0]) == 4 else (pieces[2], pieces[0], pieces[1])
    return f"{year}{month.zfill(2)}{day.zfill(2)}"
