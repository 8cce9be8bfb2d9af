"""What was loaded before: a file of JSON lines in the data directory, so that an interrupted load goes on where it was.

A file is known by the hash of its content; path, size and time of change save computing that hash again.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field

from fhir_server.cli.sources import Source
from fhir_server.settings import Settings


@dataclass(slots=True)
class Known:
    """One file of earlier runs.

    Attributes:
        refused: By portion, the places that were refused; of a file that is no NDJSON.
        line: Of NDJSON the last line that was sent with all before it.
        lines: Numbers of those of them that were refused.
        finished: Whether all was sent.
    """

    refused: dict[int, frozenset[str]] = field(default_factory=dict)
    line: int = 0
    lines: set[int] = field(default_factory=set)
    finished: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything in the file is stored."""
        return self.finished and not self.lines and not any(self.refused.values())

    def reach(self, line: int, refused: Collection[int], mended: Collection[int]) -> None:
        """Note lines of NDJSON that were sent; what older releases noted of its portions counts no more."""
        self.refused.clear()
        self.line = max(self.line, line)
        self.lines.update(refused)
        self.lines.difference_update(mended)


class Ledger:
    """The record of one target database.

    Args:
        settings: They name the data directory and the database.
        facility: Custodian of this run; the same file for another facility is another load.
        fresh: Whether to forget earlier runs.
    """

    def __init__(self, settings: Settings, facility: str, *, fresh: bool = False) -> None:
        url = settings.mongo.url.get_secret_value() if settings.mongo.url else ""
        target = hashlib.sha256(f"{url} {settings.mongo.database} {facility}".encode()).hexdigest()[:12]
        self._path = settings.data_dir / f"load-{target}.jsonl"
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fresh:
            self._path.unlink(missing_ok=True)
        self._files: dict[str, Known] = {}
        self._hashes: dict[tuple[str, int, int], str] = {}
        self._read()

    def content(self, source: Source) -> str:
        """Return the hash of a file's content, computed only where path, size or time of change are new."""
        status = source.path.stat()
        stamp = (source.name, status.st_size, 0 if "!" in source.name else status.st_mtime_ns)
        if stamp not in self._hashes:
            self._hashes[stamp] = source.content_hash()
            self._write({"name": stamp[0], "size": stamp[1], "changed": stamp[2], "hash": self._hashes[stamp]})
        return self._hashes[stamp]

    def known(self, content: str) -> Known:
        """Return what is known of the file with this content."""
        return self._files.setdefault(content, Known())

    def sent(self, content: str, portion: int, refused: frozenset[str]) -> None:
        """Record a portion and which of its places were refused (`all` for a bundle that was refused whole)."""
        self.known(content).refused[portion] = refused
        self._write({"hash": content, "portion": portion, "refused": sorted(refused)})

    def reached(self, content: str, line: int, refused: Collection[int], mended: Collection[int] = ()) -> None:
        """Record the last line of NDJSON that was sent with all before it, and which of them were or are no longer refused."""
        self.known(content).reach(line, refused, mended)
        self._write({"hash": content, "line": line, "refused": sorted(refused), "mended": sorted(mended)})

    def finished(self, content: str) -> None:
        """Record that all portions of a file were sent."""
        self.known(content).finished = True
        self._write({"hash": content, "finished": True})

    def _write(self, row: dict[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def _read(self) -> None:
        if not self._path.exists():
            return
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if "name" in row:
                self._hashes[row["name"], row["size"], row["changed"]] = row["hash"]
            elif "portion" in row:
                self.known(row["hash"]).refused[row["portion"]] = frozenset(row["refused"])
            elif "line" in row:
                self.known(row["hash"]).reach(row["line"], row["refused"], row["mended"])
            elif row.get("finished"):
                self.known(row["hash"]).finished = True
