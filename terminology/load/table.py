"""Tables in text files: columns by name, with the line told where a row is not as its format has it."""

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from terminology.load.files import File
from terminology.load.release import BrokenRelease

MOST_FIELD = 1 << 20


def tabbed(file: File, columns: Sequence[str], encoding: str = "utf-8-sig") -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield line number and the named columns of each row of a table with tabs and a line of names, nothing quoted (RF2).

    Raises:
        BrokenRelease: A column is missing, a row has more or fewer, or the text cannot be read.
    """
    width, take = 0, _taking((), ())
    for first, block in file.blocks(encoding):
        for number, line in enumerate(block, first):
            cells = line.rstrip("\r").split("\t")
            if len(cells) == width:
                yield number, take(cells)
            elif not width:
                width, take = len(cells), _taking(_names(cells, columns, file), columns)
            elif cells != [""]:
                reason = f"The row has {len(cells)} columns, and the first line names {width}."
                raise BrokenRelease(reason, file.name, number)
    if not width:
        raise BrokenRelease("The file is empty.", file.name)


def quoted(
    file: File, columns: Sequence[str], optional: Sequence[str] = (), delimiter: str = ",", encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield line number and the named columns of each row of a CSV file with a line of names (RFC 4180).

    Args:
        file: It.
        columns: What it has to have.
        optional: What it may have; empty text where it has not. They follow the others.
        delimiter: Between cells.
        encoding: Of the text.

    Raises:
        BrokenRelease: A column is missing, a row has more or fewer, a quote is open, or the text cannot be read.
    """
    rows = cells(file, delimiter, encoding)
    names = _names(next(rows, (1, []))[1], columns, file)
    width, there = len(names), [one for one in optional if one in names]
    take = _taking(names, [*columns, *there])
    place = {name: number for number, name in enumerate([*columns, *there])}
    for number, row in rows:
        if len(row) != width:
            raise BrokenRelease(f"The row has {len(row)} columns, and the first line names {width}.", file.name, number)
        taken = take(row)
        if len(there) != len(optional):
            taken = tuple(taken[place[name]] if name in place else "" for name in (*columns, *optional))
        yield number, taken


def cells(file: File, delimiter: str = ",", encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row of a CSV file that is not empty.

    Raises:
        BrokenRelease: A quote is open or misplaced, or the text cannot be read.
    """
    csv.field_size_limit(MOST_FIELD)
    at = 1

    def plain() -> Iterator[str]:
        nonlocal at
        for number, line in file.lines(encoding):
            at = number
            yield f"{line}\n"

    try:
        for row in csv.reader(plain(), delimiter=delimiter, strict=True):
            if row:
                yield at, row
    except csv.Error as error:
        raise BrokenRelease(f"The row is no valid CSV: {error}.", file.name, at) from None


def columns_of(file: File, delimiter: str = "\t", encoding: str = "utf-8-sig") -> list[str]:
    """Return the names in the first line of a table."""
    return next(cells(file, delimiter, encoding), (1, []))[1]


def _names(found: Sequence[str], wanted: Sequence[str], file: File) -> list[str]:
    names = [name.strip() for name in found]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise BrokenRelease(
            f"The first line does not name the column {', '.join(missing)}. It names: {', '.join(names)[:300] or 'nothing'}.",
            file.name,
            1,
        )
    return names


def _taking(names: Sequence[str], wanted: Sequence[str]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    places = [names.index(name) for name in wanted]
    if len(places) < 2:
        return lambda row: tuple(row[place] for place in places)
    return itemgetter(*places)
