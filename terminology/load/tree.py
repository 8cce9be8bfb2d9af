"""XML files of releases, element by element, without entities and without the whole in memory."""

from collections.abc import Collection, Iterator
from xml.etree import ElementTree as ET
from xml.parsers import expat

from terminology.load.files import CHUNK, File, readable
from terminology.load.release import BrokenRelease

MOST_DEPTH = 100


def elements(file: File, wanted: Collection[str]) -> Iterator[tuple[int, ET.Element]]:
    """Yield each element of the names wanted that stands in no other of them, with the line where it ends.

    Raises:
        BrokenRelease: It is not well-formed, declares entities, or is nested too deeply.
    """
    reader = _Reader(file, frozenset(wanted))
    with readable(file.name), file.open() as raw:
        while chunk := raw.read(CHUNK):
            yield from reader.feed(chunk)
        yield from reader.feed(b"", last=True)


class _Reader:
    """Builds the wanted elements, and forgets everything else."""

    def __init__(self, file: File, wanted: frozenset[str]) -> None:
        self._file, self._wanted = file, wanted
        self._builder: ET.TreeBuilder | None = None
        self._inside, self._depth = 0, 0
        self._done: list[tuple[int, ET.Element]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes, *, last: bool = False) -> list[tuple[int, ET.Element]]:
        """Take more of the file; return the elements that have ended since."""
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            reason = f"The XML is not well-formed: {expat.ErrorString(error.code)}."
            raise BrokenRelease(reason, self._file.name, error.lineno) from None
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            reason = f"The XML is nested more than {MOST_DEPTH} deep."
            raise BrokenRelease(reason, self._file.name, self._parser.CurrentLineNumber)
        if self._builder is None and name in self._wanted:
            self._builder, self._inside = ET.TreeBuilder(), self._depth
        if self._builder is not None:
            self._builder.start(name, attributes)

    def _end(self, name: str) -> None:
        if self._builder is not None:
            self._builder.end(name)
            if self._depth == self._inside:
                self._done.append((self._parser.CurrentLineNumber, self._builder.close()))
                self._builder = None
        self._depth -= 1

    def _data(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)

    def _entity(self, *_: object) -> None:
        raise BrokenRelease(
            "The XML declares entities, which no release does.", self._file.name, self._parser.CurrentLineNumber
        )
