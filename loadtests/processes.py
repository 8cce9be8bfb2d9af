"""The processes that are measured: the server, its mongod, and a trivial application under the same HTTP server."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SERVER = "from fhir_server.cli import app; app()"


@dataclass(frozen=True, slots=True)
class Process:
    """A process on this machine.

    Attributes:
        pid: Its id.
        address: Where it listens; port 0 where that does not matter.
        seconds: How long it took from start to ready.
    """

    pid: int
    address: tuple[str, int]
    seconds: float = 0

    def cpu(self) -> float:
        """Return the CPU seconds that it has used, and those that do its work with it."""
        return sum(_cpu(one) for one in (self.pid, *_children(self.pid)))

    def memory(self) -> int:
        """Return its resident memory in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def server(data_dir: Path, auth: str = "open", workers: int = 1) -> Iterator[Process]:
    """Run `fhir-server serve` on a free port of the loopback address."""
    command = [sys.executable, "-c", SERVER, "serve", "--auth", auth, "--port", "0", "--json"]
    command += ["--data-dir", str(data_dir), "--workers", str(workers)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            port = int(said["url"].rpartition(":")[2])
            yield Process(process.pid, ("127.0.0.1", port), time.perf_counter() - start)
        finally:
            process.terminate()
            process.wait(60)


def token(data_dir: Path) -> str:
    """Return an access token that reaches everything."""
    command = [sys.executable, "-c", SERVER, "token", "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def trivial() -> Iterator[Process]:
    """Run an application that answers every request with the same two kilobytes, under the same HTTP server."""
    with subprocess.Popen([sys.executable, "-m", "loadtests.trivial"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Process(process.pid, ("127.0.0.1", int(process.stdout.readline())))
        finally:
            process.terminate()
            process.wait(30)


def mongod(data_dir: Path) -> Process:
    """Return the embedded mongod of a data directory.

    Raises:
        LookupError: None is running there.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"mongod") and any(word.startswith(str(data_dir).encode() + b"/") for word in words):
            return Process(int(entry.name), ("", 0))
    raise LookupError(f"no mongod runs in {data_dir}")


@contextmanager
def cpu_of(processes: dict[str, Process], used: dict[str, float]) -> Iterator[None]:
    """Add the CPU seconds that processes use meanwhile to `used`."""
    before = {name: process.cpu() for name, process in processes.items()}
    yield
    for name, process in processes.items():
        used[name] = process.cpu() - before[name]
