"""The files of a release where they lie: single, in folders, in zip or tar archives; nothing in them is trusted.

Zip files are read in place. Tar archives cannot be, so their files are put into a scratch folder under names of ours.
A path that leads out of its folder, a link, an encrypted file or one that unpacks to far more than releases do refuses the whole.
"""

import hashlib
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Self

from terminology.load.partition import Partition
from terminology.load.release import BrokenRelease

CHUNK = 1 << 20
LONGEST_LINE = 64 << 20
MOST_FILES = 100_000
MOST_BYTES = 64 << 30
PLAIN_BYTES = 256 << 20
"""Up to here an archive may unpack to, whatever its own size."""
MOST_TIMES = 150
"""How many times its own size an archive may unpack to beyond; tables of text come to about 20."""
TARS = (".tar", ".tgz", ".tar.gz", ".tar.xz", ".txz", ".tar.bz2")
DAMAGED = (
    OSError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
    LZMAError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release.

    Attributes:
        name: Path in the folder or archive, with `/`.
        size: In bytes.
        open: Opens it for reading.
        archive: What it is packed in, `None` where it lies open.
    """

    name: str
    size: int
    open: Callable[[], IO[bytes]]
    archive: Path | None = None

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rsplit("/", 1)[-1]

    def lines(self, encoding: str = "utf-8-sig") -> Iterator[tuple[int, str]]:
        """Yield number, from 1, and text of each line that is not empty, without its end.

        Raises:
            BrokenRelease: It is damaged, or not text in this encoding.
        """
        for first, block in self.blocks(encoding):
            for number, line in enumerate(block, first):
                if bare := line.rstrip("\r"):
                    yield number, bare

    def blocks(self, encoding: str = "utf-8-sig") -> Iterator[tuple[int, list[str]]]:
        """Yield lines many at a time, with the number of the first; each may end in a carriage return.

        Raises:
            BrokenRelease: It is damaged, or not text in this encoding.
        """
        first, rest, decode = 1, b"", encoding
        with readable(self.name), self.open() as raw:
            while chunk := raw.read(CHUNK):
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    lines = self._decoded(whole, decode, first).split("\n")
                    yield first, lines
                    first, decode = first + len(lines), encoding.removesuffix("-sig")
                elif len(rest) > LONGEST_LINE:
                    raise BrokenRelease(f"The line has more than {LONGEST_LINE:,} bytes.", self.name, first)
        if rest:
            yield first, [self._decoded(rest, decode, first)]

    def _decoded(self, data: bytes, encoding: str, first: int) -> str:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            reason = f"The text is not in {encoding.removesuffix('-sig').upper()}: {error.reason}. Convert the file."
            raise BrokenRelease(reason, self.name, first + data.count(b"\n", 0, error.start)) from None

    def read(self, most: int = 512 << 20) -> bytes:
        """Return the whole content.

        Raises:
            BrokenRelease: It is damaged, or larger than `most` bytes.
        """
        if self.size > most:
            raise BrokenRelease(f"The file has {self.size:,} bytes, and {most:,} are read at once.", self.name)
        with readable(self.name), self.open() as raw:
            return raw.read()


class Files:
    """Everything that lies at the paths given; to be used in a `with`, which removes the scratch folder at its end.

    Args:
        paths: Files, folders and archives.
        most: Bytes that archives may unpack to.
    """

    def __init__(self, paths: Sequence[Path], most: int = MOST_BYTES) -> None:
        self._paths = tuple(paths)
        self._most = most
        self._stack = ExitStack()
        self.all: tuple[File, ...] = ()
        self._scratch = Path()
        self._partitions = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="release-")))
            self.all = tuple(file for path in self._paths for file in self._at(path, stack))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def label(self) -> str:
        """What the release is called in messages."""
        return ", ".join(path.name for path in self._paths)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where it was taken from."""
        return self._paths

    def partition(self) -> Partition:
        """Return a place to bring rows together in, for as long as the files are open."""
        self._partitions += 1
        made = Partition(self._scratch / f"joined-{self._partitions}")
        self._stack.callback(made.close)
        return made

    def digest(self, chosen: Sequence[File] = ()) -> str:
        """Return the SHA-256 of what is read: of the chosen files, of all where none are chosen, or of the archives with them."""
        made = hashlib.sha256()
        taken = sorted(chosen or self.all, key=lambda one: one.name)
        for archive in dict.fromkeys(one.archive for one in taken if one.archive):
            _hash(made, archive.name, _opening(archive))
        for file in taken:
            if not file.archive:
                _hash(made, file.name, file.open)
        return made.hexdigest()

    def _at(self, path: Path, stack: ExitStack) -> Iterator[File]:
        if path.is_dir():
            yield from _in_folder(path)
        elif not path.is_file():
            raise BrokenRelease("There is no such file or folder.", str(path))
        elif path.name.lower().endswith(TARS):
            yield from self._in_tar(path)
        elif zipfile.is_zipfile(path):
            with readable(path.name):
                archive = stack.enter_context(zipfile.ZipFile(path))
            yield from self._in_zip(path, archive)
        else:
            yield File(path.name, path.stat().st_size, _opening(path))

    def _in_zip(self, path: Path, archive: zipfile.ZipFile) -> Iterator[File]:
        entries = [one for one in archive.infolist() if not one.is_dir()]
        budget = _Budget(path, self._most)
        for entry in entries:
            _refuse_path(entry.filename, path.name)
            if entry.flag_bits & 0x1:
                raise BrokenRelease(
                    f"{entry.filename} is encrypted. Unpack the archive, and load the folder.", path.name
                )
            budget.take(entry.file_size)
        for entry in entries:
            yield File(entry.filename, entry.file_size, partial(archive.open, entry), path)

    def _in_tar(self, path: Path) -> Iterator[File]:
        budget = _Budget(path, self._most)
        folder = Path(tempfile.mkdtemp(dir=self._scratch))
        with readable(path.name), tarfile.open(path, "r|*", bufsize=CHUNK) as archive:
            for number, member in enumerate(archive):
                _refuse_path(member.name, path.name)
                if member.isdir():
                    continue
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise BrokenRelease(f"{member.name} is a link or a device, which no release has.", path.name)
                budget.take(0)
                place = folder / str(number)
                _copy(stream, place, budget)
                yield File(member.name.removeprefix("./"), member.size, _opening(place), path)


class _Budget:
    """Counts what comes out of an archive."""

    def __init__(self, path: Path, most: int) -> None:
        self._name = path.name
        self._left = min(most, max(PLAIN_BYTES, MOST_TIMES * path.stat().st_size))
        self._files = MOST_FILES

    def take(self, size: int) -> None:
        """Count a file of `size` bytes, or with 0 one whose bytes are counted as they come."""
        self._files -= 1
        self.spend(size)
        if self._files < 0:
            raise BrokenRelease(f"The archive holds more than {MOST_FILES:,} files, which no release does.", self._name)

    def spend(self, size: int) -> None:
        """Count bytes."""
        self._left -= size
        if self._left < 0:
            raise BrokenRelease(
                "The archive unpacks to far more than its size lets expect. If it is trusted, unpack it, and load the folder.",
                self._name,
            )


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what a damaged file or archive raises into one sentence."""
    try:
        yield
    except BrokenRelease:
        raise
    except DAMAGED as error:
        raise BrokenRelease(f"The file cannot be read, or is damaged: {error}. Download it again.", name) from error


def _in_folder(path: Path) -> Iterator[File]:
    root = path.resolve()
    for place in sorted(root.rglob("*")):
        if place.is_file() and not place.is_symlink():
            yield File(place.relative_to(root).as_posix(), place.stat().st_size, _opening(place))


def _refuse_path(name: str, archive: str) -> None:
    parts = PurePosixPath(name).parts
    if not name or name.startswith(("/", "\\")) or "\\" in name or "\0" in name or ".." in parts or name[1:2] == ":":
        raise BrokenRelease(f"The archive holds {name[:80]!r}, which lies outside its folder. Do not use it.", archive)


def _copy(stream: IO[bytes], place: Path, budget: _Budget) -> None:
    with place.open("wb") as target:
        while chunk := stream.read(CHUNK):
            budget.spend(len(chunk))
            target.write(chunk)


def _hash(made: "hashlib._Hash", name: str, opened: Callable[[], IO[bytes]]) -> None:
    made.update(f"{name}\0".encode())
    with readable(name), opened() as raw:
        while chunk := raw.read(CHUNK):
            made.update(chunk)


def _opening(place: Path) -> Callable[[], IO[bytes]]:
    """Return what opens a file."""
    return lambda: place.open("rb")
