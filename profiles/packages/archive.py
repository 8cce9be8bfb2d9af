"""The files in a gzipped tar archive, read without trusting it (FHIR NPM Package Specification, "Format").

Nothing is written to disk. Still a name that would leave the folder, a link or a device refuses the whole archive: who
sends such a thing is not publishing a guide. What is unpacked is counted as it comes, whatever the headers claim.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MIB = 1 << 20
CHUNK = 64 * 1024


class PackageError(ValueError):
    """A package cannot be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a package may hold, in bytes after unpacking, and in files.

    Attributes:
        total: Of the whole archive. The largest published package of R4 has about 250 MiB.
        file: Of one file.
        files: How many entries.
    """

    total: int = 512 * MIB
    file: int = 64 * MIB
    files: int = 50_000


def files(data: bytes, name: str, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of each regular file, in the order of the archive.

    Args:
        data: The `.tgz` file.
        name: What it is called in messages.
        limits: What it may hold at most.

    Raises:
        PackageError: It is no gzipped tar file, is damaged, is larger than allowed, or holds what no package holds.
    """
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(data)) as plain,
            tarfile.open(fileobj=_Counted(plain, name, limits.total), mode="r|", bufsize=CHUNK) as archive,
        ):
            for number, member in enumerate(archive):
                if number >= limits.files:
                    raise PackageError(
                        f"{name} holds more than {limits.files} files, which no guide does. Raise the limit if it is trusted."
                    )
                content = _content(archive, member, name, limits)
                if content is not None:
                    yield member.name, content
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError, OverflowError) as error:
        raise PackageError(f"{name} is not a gzipped tar file, or damaged: {error}. Download it again.") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, limits: Limits) -> bytes | None:
    path = member.name
    if path.startswith(("/", "\\")) or "\\" in path or "\0" in path or ".." in path.split("/") or path[1:2] == ":":
        raise PackageError(
            f"{name} holds the file {_short(path)}, which lies outside its folder. Do not use this package."
        )
    if member.isdir():
        return None
    if not member.isreg():
        raise PackageError(
            f"{name} holds {_short(path)}, which is a link or a device. A package has regular files only. Do not use it."
        )
    if member.size > limits.file:
        raise PackageError(
            f"{_short(path)} in {name} has {member.size} bytes, and {limits.file} are allowed for a file. "
            "Raise the limit if the package is trusted."
        )
    stream = archive.extractfile(member)
    return stream.read() if stream is not None else None


def _short(path: str) -> str:
    return repr(path if len(path) <= 80 else path[:79] + "…")


class _Counted(io.RawIOBase):
    """A stream that ends in an error when more has come out of it than is allowed."""

    def __init__(self, stream: gzip.GzipFile, name: str, limit: int) -> None:
        self._stream = stream
        self._name = name
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes."""
        data = self._stream.read(min(size if size >= 0 else CHUNK, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise PackageError(
                f"{self._name} unpacks to more than {self._limit} bytes. Raise the limit if the package is trusted."
            )
        return data
