"""A replica set of three members on this machine, each a mongod of its own, with elections that are quick."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from fhir_server.store.mongod import find

SET = "rs3"
SIZE = 3
ELECTION_MS = 2_000
HEARTBEAT_MS = 300
FROZEN = 5
"""Seconds."""

PATIENCE = 120.0

Document = dict[str, Any]


class Members:
    """The members, by their ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Connection string of the set."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._processes)
        return f"mongodb://{hosts}/?replicaSet={SET}"

    async def primary(self, other_than: int = 0) -> int:
        """Return the port of the member that takes writes, once there is one other than the one named."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for port in [port for port, process in self._processes.items() if process.poll() is None]:
                    with contextlib.suppress(PyMongoError):
                        hello = await self._ask(port, {"hello": 1})
                        if hello.get("isWritablePrimary") and port != other_than:
                            return port
                await asyncio.sleep(0.02)

    async def step_down(self, port: int) -> None:
        """Make the primary give up its office; for some seconds it may not have it again."""
        await self._ask(port, {"replSetStepDown": FROZEN, "secondaryCatchUpPeriodSecs": FROZEN - 1})

    async def kill(self, port: int) -> None:
        """End a member as by a power cut."""
        process = self._processes[port]
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)

    async def revive(self, port: int) -> None:
        """Start a member that was killed, on what it has on disk; return when it follows again."""
        self._start(port)
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(PyMongoError):
                    hello = await self._ask(port, {"hello": 1})
                    if hello.get("secondary") or hello.get("isWritablePrimary"):
                        return
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have all of them run, with a primary, while inside."""
        try:
            for port in _free_ports(SIZE):
                self._start(port)
            ports = [*self._processes]
            members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(ports)]
            times = {"electionTimeoutMillis": ELECTION_MS, "heartbeatIntervalMillis": HEARTBEAT_MS}
            config = {"_id": SET, "members": members, "settings": times}
            async with asyncio.timeout(PATIENCE):
                while True:
                    with contextlib.suppress(PyMongoError):
                        await self._ask(ports[0], {"replSetInitiate": config})
                        break
                    await asyncio.sleep(0.05)
            await self.primary()
            yield
        finally:
            for process in self._processes.values():
                process.kill()
            for process in self._processes.values():
                process.wait()

    def _start(self, port: int) -> None:
        data = self._folder / str(port)
        data.mkdir(exist_ok=True)
        command = [
            str(find(None)),
            *("--dbpath", str(data), "--replSet", SET, "--bind_ip", "127.0.0.1", "--port", str(port)),
            *("--nounixsocket", "--logpath", str(data / "log"), "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"),
            *("--networkMessageCompressors", "snappy,zstd", "--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]
        self._processes[port] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
        )

    @staticmethod
    async def _ask(port: int, command: Document) -> Document:
        # In a thread, for the driver's asynchronous client leaves sockets open where nobody listens.
        return await asyncio.to_thread(_asked, port, command)


def _asked(port: int, command: Document) -> Document:
    patience: Document = {"serverSelectionTimeoutMS": 1_000, "connectTimeoutMS": 2_000}
    with MongoClient[Document]("127.0.0.1", port, directConnection=True, **patience) as client:
        return client.admin.command(command)


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
