"""`fhir-server` in processes of its own, as its users start it, borne by one that has it loaded (`tests.nursery`)."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from fhir_server.model import json

ROOT = Path(__file__).parent.parent
PATIENCE = 400.0


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.decode(self.out.encode())


@dataclass
class Process:
    """A process.

    Attributes:
        pid: Its number.
        out: What it writes to standard output.
    """

    pid: int
    out: IO[bytes]
    _connection: socket.socket
    _code: int | None = field(default=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._code is None:
            self.send(signal.SIGKILL)
            self.wait()
        self.out.close()

    def send(self, number: int) -> None:
        """Send a signal."""
        if self._code is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return the exit code when the process has ended."""
        if self._code is None:
            self._connection.settimeout(seconds)
            self._code = int(_line(self._connection))
            self._connection.close()
        return self._code

    async def ended(self) -> int:
        """Return the exit code when the process has ended, let others work meanwhile, and read no more of it."""
        code = await asyncio.to_thread(self.wait)
        self.out.close()
        return code


class Nursery:
    """The process that bears them."""

    def __init__(self, address: str) -> None:
        self._address = address

    def start(
        self,
        *arguments: str | Path,
        environment: Mapping[str, str],
        stdin: IO[Any] | None = None,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
    ) -> Process:
        """Start `fhir-server` with arguments; what it prints is read at `Process.out` if it is not to go elsewhere."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self._address)
        asked = {"arguments": list(map(str, arguments)), "environment": dict(environment), "folder": str(Path.cwd())}
        reading, writing = os.pipe()
        with Path(os.devnull).open("r+b") as nothing, os.fdopen(writing, "wb") as printed:
            files = [(stdin or nothing).fileno(), (stdout or printed).fileno(), (stderr or nothing).fileno()]
            socket.send_fds(connection, [b" "], files)
            connection.sendall(json.encode(asked) + b"\n")
            pid = int(_line(connection))
        return Process(pid, os.fdopen(reading, "rb"), connection)

    def run(self, *arguments: str | Path, environment: Mapping[str, str], typed: str = "") -> Ended:
        """Run `fhir-server` with arguments to its end.

        Args:
            arguments: What stands behind the name of the program.
            environment: All variables.
            typed: What it reads from standard input.
        """
        with tempfile.TemporaryFile() as keys, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            keys.write(typed.encode())
            keys.seek(0)
            with self.start(*arguments, environment=environment, stdin=keys, stdout=out, stderr=err) as process:
                code = process.wait()
            return Ended(code, _written(out), _written(err))

    @contextmanager
    def serving(
        self, *options: str | Path, environment: Mapping[str, str], stderr: IO[Any] | None = None
    ) -> Iterator[tuple[Process, Any]]:
        """Yield a server at a port of its own and what it announces; it is gone afterwards, whatever happens."""
        arguments = ("serve", "--port", "0", "--json", *options)
        with self.start(*arguments, environment=environment, stderr=stderr) as process:
            said = process.out.readline()
            assert said, f"the server ended with {process.wait()}"
            yield process, json.decode(said)


@contextmanager
def nursing() -> Iterator[Nursery]:
    """Yield a nursery."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/nursery"
        command = [sys.executable, "-c", f"from tests.nursery import main; main({address!r})"]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield Nursery(address)
            process.stdin.close()


def _line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        one = connection.recv(1)
        assert one, "the process that waits for it is gone"
        found += one
    return found


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
