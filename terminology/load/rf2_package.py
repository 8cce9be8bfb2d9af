"""Which files of RF2 packages are read, and which edition and version of SNOMED CT they are."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from terminology.load.files import File, Files
from terminology.load.release import BrokenRelease
from terminology.load.table import tabbed

SYSTEM = "http://snomed.info/sct"
CORE = "900000000000207008"
INTERNATIONAL = "INT"
DATE = 8
ASSOCIATION, ATTRIBUTE = "AssociationReference", "AttributeValue"
UNREAD = frozenset({"RefsetDescriptor", "DescriptionType", "ModuleDependency", "OWLExpression"})
"""Kinds of reference sets that say nothing of concepts for users."""

_NAME = re.compile(
    r"x?(?P<type>sct2|der2)_(?P<content>[A-Za-z]+)_(?P<sub>[A-Za-z]*?)(?P<kind>Full|Snapshot|Delta)(?:-[A-Za-z-]+)?"
    r"_(?P<space>[A-Za-z0-9]+)_(?P<date>\d{8})\.txt",
    re.ASCII,
)
_TABLES = frozenset({"Concept", "Description", "TextDefinition", "Relationship", "RelationshipConcreteValues"})


@dataclass(frozen=True, slots=True)
class Table:
    """A file of RF2, told by its name.

    Attributes:
        file: It.
        content: Concept, Description, …; Language, Refset or ModuleDependency.
        sub: What kind of reference set, such as `Simple` or `AssociationReference`.
        kind: Full, Snapshot or Delta.
        space: Country or namespace, such as `INT` or `US1000124`.
        date: Of the release, as YYYYMMDD.
    """

    file: File
    content: str
    sub: str
    kind: str
    space: str
    date: str


@dataclass(frozen=True, slots=True)
class Package:
    """What is read.

    Attributes:
        tables: The files.
        version: Canonical version: edition and date.
        until: No state after this day counts.
        dated: Whether a component may have several states in the files.
    """

    tables: tuple[Table, ...]
    version: str
    until: str
    dated: bool

    @property
    def files(self) -> tuple[File, ...]:
        """All files that are read."""
        return tuple(one.file for one in self.tables)

    def of(self, content: str) -> tuple[File, ...]:
        """Return the files of one content."""
        return tuple(one.file for one in self.tables if one.content == content)

    def target(self, file: File) -> str:
        """Return the column of a reference set that says what a concept is associated with, empty where there is none."""
        sub = next(one.sub for one in self.tables if one.file is file)
        return {ASSOCIATION: "targetComponentId", "Association": "targetComponentId", ATTRIBUTE: "valueId"}.get(sub, "")

    def states(self, file: File, columns: Sequence[str]) -> Iterator[tuple[int, bool, tuple[str, ...]]]:
        """Yield line number, whether it is active, and the columns of each state that had come into effect.

        Args:
            file: It.
            columns: The first three are `id`, `effectiveTime` and `active`.

        Raises:
            BrokenRelease: It is not as RF2 has it.
        """
        known: dict[str, bool] = {}
        active = {"1": True, "0": False}
        for number, row in tabbed(file, columns):
            time = row[1]
            if time not in known:
                if len(time) != DATE or not time.isdigit():
                    raise BrokenRelease(f"The effective time '{time}' is no day as YYYYMMDD.", file.name, number)
                known[time] = time <= self.until
            if row[2] not in active:
                raise BrokenRelease(f"A state is active, 1 or 0, and not '{row[2]}'.", file.name, number)
            if known[time]:
                yield number, active[row[2]], row


def recognise(files: Iterable[File]) -> bool:
    """Return whether there are files of RF2."""
    return any((match := _NAME.fullmatch(file.base)) and match["content"] == "Concept" for file in files)


def package(files: Files, date: str, module: str) -> Package:
    """Return what is read of the files.

    Args:
        files: All there are.
        date: State at that day, empty for the newest.
        module: SCTID of the edition's module, empty to find it.

    Raises:
        BrokenRelease: There is no table of concepts, or only a delta.
    """
    if date and not re.fullmatch(r"\d{8}", date, re.ASCII):
        raise BrokenRelease(f"The day '{date}' is not as YYYYMMDD.", files.label)
    tables = [table for file in files.all if (table := _table(file))]
    chosen: list[Table] = []
    for space in sorted({one.space for one in tables}):
        chosen += _choose([one for one in tables if one.space == space], date)
    concepts = [one for one in chosen if one.content == "Concept"]
    if not concepts:
        raise BrokenRelease(
            "There is no table of concepts (sct2_Concept_…), so this is no release of SNOMED CT.", files.label
        )
    if all(one.kind == "Delta" for one in concepts):
        raise BrokenRelease(
            "These files are a delta only. Name the release that it changes with it, so that both are read together.",
            files.label,
        )
    if not any(one.content == "Description" for one in chosen):
        raise BrokenRelease("There is no table of descriptions (sct2_Description_…).", files.label)
    newest = max(one.date for one in concepts)
    until = date or newest
    dated = any(one.kind != "Snapshot" for one in chosen) or len(concepts) > 1
    edition = module or _edition(concepts, [one for one in chosen if one.content == "ModuleDependency"])
    return Package(tuple(chosen), f"{SYSTEM}/{edition}/version/{until}", until, dated)


def _table(file: File) -> Table | None:
    match = _NAME.fullmatch(file.base)
    if not match:
        return None
    content, sub = match["content"], match["sub"]
    if match["type"] == "der2" or content.endswith("Refset"):
        # Language, or any reference set with what is said of its members in columns of its own.
        content = {"Language": "Language", "ModuleDependency": "ModuleDependency"}.get(sub, "Refset")
        if content == "Refset" and (sub in UNREAD or sub.startswith("MRCM")):
            return None
    elif content not in _TABLES:
        return None
    return Table(file, content, sub, match["kind"], match["space"], match["date"])


def _choose(tables: list[Table], date: str) -> list[Table]:
    """Return what is read of one country or namespace: a snapshot with the deltas after it, or the full release."""
    snapshots = [one for one in tables if one.kind == "Snapshot"]
    full = [one for one in tables if one.kind == "Full"]
    newest = max((one.date for one in snapshots if one.content in _TABLES), default="")
    if full and (not snapshots or (date and date < newest)):
        base = full
        newest = max(one.date for one in full)
    else:
        base = [one for one in snapshots if one.date == newest] or snapshots
    if date and base and base is not full and date < newest:
        raise BrokenRelease(
            f"The snapshot is of {newest}, and tells nothing of {date}. Load the full release.", base[0].file.name
        )
    return [*base, *(one for one in tables if one.kind == "Delta" and one.date > newest)]


def _edition(concepts: list[Table], dependencies: list[Table]) -> str:
    """Return the module of the edition: of the extension if there is one, the one that others do not build on."""
    counted: Counter[str] = Counter()
    extensions = [one for one in concepts if one.space != INTERNATIONAL]
    if not extensions:
        return CORE
    for table in extensions:
        counted.update(module for _, (module,) in tabbed(table.file, ("moduleId",)))
    digits = {one.space.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") for one in extensions}
    own = {one for one in counted if any(space and one[-10:-3] == space for space in digits)} or set(counted)
    needed: set[str] = set()
    columns = ("moduleId", "referencedComponentId", "active")
    for table in dependencies:
        needed.update(
            target for _, (module, target, active) in tabbed(table.file, columns) if active == "1" and module != target
        )
    top = (own - needed) or own
    if not top:
        raise BrokenRelease(
            "No concept names its module. Say the edition with the option for it.", concepts[0].file.name
        )
    return max(top, key=lambda one: (counted[one], one))
