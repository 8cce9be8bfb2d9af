"""Files that jobs make and requests hand out: one port, wherever they lie (GridFS, a folder, an S3-compatible store)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FileStat:
    """What is known of a file without reading it.

    Attributes:
        name: Its name, e.g. `export/0123456789abcdef/Patient-0.ndjson`.
        size: Bytes.
        modified: When it was written.
    """

    name: str
    size: int
    modified: datetime


class Files(Protocol):
    """Where files are kept. A name is segments of `[A-Za-z0-9._-]`, separated by `/`."""

    async def write(self, name: str, parts: AsyncIterator[bytes]) -> int:
        """Write a file, in place of one of this name, and return its size; it is there when it is whole, or not at all.

        Raises:
            Unavailable: The storage cannot be reached, or is full.
        """
        ...

    async def stat(self, name: str) -> FileStat | None:
        """Return what is known of a file, `None` where there is none.

        Raises:
            Unavailable: The storage cannot be reached.
        """
        ...

    def read(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of a file from `start` to before `end`; a reader keeps its file when it is removed meanwhile, if it can.

        Raises:
            NotFound: There is none of this name (any more).
            Unavailable: The storage cannot be reached.
        """
        ...

    def list(self, prefix: str) -> AsyncIterator[FileStat]:
        """Yield the files whose names begin so.

        Raises:
            Unavailable: The storage cannot be reached.
        """
        ...

    async def remove(self, prefix: str) -> int:
        """Remove the files whose names begin so, and return how many; none is no error.

        Raises:
            Unavailable: The storage cannot be reached.
        """
        ...
