"""Rows of several tables brought together by their key, with a small part of them in memory at a time (a partitioned join)."""

import marshal
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

PARTS = 61
AT_ONCE = 2_000
LENGTH = 8

Record = tuple[Any, ...]


class Partition:
    """Takes records one by one, and gives them back in parts: all records of a key are in the same part.

    Args:
        folder: For its files; nobody else writes there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._files = [(folder / str(number)).open("w+b") for number in range(PARTS)]
        self._waiting: list[list[Record]] = [[] for _ in range(PARTS)]

    def add(self, key: str, record: Record) -> None:
        """Take a record of texts, numbers, `None` and tuples of them.

        Args:
            key: What it is brought together by.
            record: It.
        """
        part = crc32(key.encode()) % PARTS
        waiting = self._waiting[part]
        waiting.append(record)
        if len(waiting) >= AT_ONCE:
            self._flush(part)

    def parts(self) -> Iterator[list[Record]]:
        """Yield the records of each part, in the order in which they were taken; can be repeated."""
        for number, file in enumerate(self._files):
            self._flush(number)
            file.seek(0)
            found: list[Record] = []
            while head := file.read(LENGTH):
                found += marshal.loads(file.read(int.from_bytes(head, "big")))  # noqa: S302 - bytes that `_flush` wrote
            yield found

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def _flush(self, part: int) -> None:
        if waiting := self._waiting[part]:
            data = marshal.dumps(waiting)
            self._files[part].seek(0, os.SEEK_END)
            self._files[part].write(len(data).to_bytes(LENGTH, "big") + data)
            self._waiting[part] = []
