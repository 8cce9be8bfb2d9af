"""A process that has the program loaded and bears processes of `fhir-server`: to load it takes longer than most commands do.

It is asked over a socket: a line of JSON with arguments, environment and folder, along with three open files. It answers with
the number of the new process, and with its exit code when it has ended.
"""

import gc
import json
import os
import random
import select
import signal
import socket
import sys
from typing import Any


def main(address: str) -> None:
    """Bear processes until whoever started us is gone, which closes our standard input; in such a process, be the command."""
    from fhir_server.cli import app
    from fhir_server.http import logs, serving  # noqa: F401 - commands import these when they run
    from fhir_server.main import running, working  # noqa: F401
    from profiles.definitions import registry

    registry.load()
    gc.collect()
    gc.freeze()
    if _is_new(address):
        app()


def _is_new(address: str) -> bool:
    """Return whether we are a new process; otherwise there will be no more of them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        os.write(1, b"ready\n")
        while True:
            waiting, _, _ = select.select([listener.fileno(), 0], [], [])
            if 0 in waiting:
                return False
            connection, _ = listener.accept()
            with connection:
                if os.fork():
                    continue
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                text, files, _, _ = socket.recv_fds(connection, 2**16, 3)
                while not text.endswith(b"\n"):
                    text += connection.recv(2**16)
                if child := os.fork():
                    _wait(connection, child, files)
            _become(json.loads(text), files)
            return True


def _wait(connection: socket.socket, child: int, files: list[int]) -> None:
    """Tell of a process, and of its end; do not return."""
    for file in files:
        os.close(file)
    try:
        connection.sendall(f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    finally:
        os._exit(0)


def _become(asked: dict[str, Any], files: list[int]) -> None:
    """Take on what a process has from whoever starts it."""
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.argv = ["fhir-server", *asked["arguments"]]
    random.seed()
