"""A release of a code system, as its files tell it: a head, and a stream of concepts that never has to fit into memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from terminology.concept import Designation, Head, Property

Json = dict[str, Any]


class BrokenRelease(Exception):
    """A file of a release is not as its format has it.

    Args:
        reason: A sentence for users.
        file: Name of the file in the release.
        line: Of the file, from 1; 0 where it is not about one line.
    """

    def __init__(self, reason: str, file: str = "", line: int = 0) -> None:
        self.reason, self.file, self.line = reason, file, line
        where = f"{file}, line {line}: " if line else f"{file}: " if file else ""
        super().__init__(f"{where}{reason}")


@dataclass(frozen=True, slots=True)
class Row:
    """A concept of a release.

    Attributes:
        code: Unique in the release.
        display: Preferred words.
        definition: Or empty.
        designations: Other words.
        properties: What is stated of it; not its parents.
        parents: Codes right above it; they may come later in the stream.
        inactive: Whether it is not to be used any more.
        abstract: Whether it only groups others.
        status: As the release words it, or empty.
    """

    code: str
    display: str
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()
    parents: tuple[str, ...] = ()
    inactive: bool = False
    abstract: bool = False
    status: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """One version of one code system, ready to be loaded.

    Attributes:
        head: Of the code system; `count` may be 0 where it is not known before.
        digest: SHA-256 of what it is read from: an interrupted load goes on only with the same.
        rows: Opens the stream of concepts from its beginning, in an order that is always the same.
        resources: ValueSets and ConceptMaps that come with the release.
        base: Version that a delta is applied to, empty for a full release.
        removed: Codes that a delta takes away.
    """

    head: Head
    digest: str
    rows: Callable[[], Iterator[Row]]
    resources: Callable[[], Iterable[Json]] = tuple
    base: str = ""
    removed: frozenset[str] = frozenset()
