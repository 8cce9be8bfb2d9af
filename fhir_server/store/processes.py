"""The processes that write to a record: how they are told apart, which of them are gone, and what those leave behind.

MongoDB keeps a transaction whose client has vanished for a minute, and with it the documents it wrote. Nobody else can write
these meanwhile. So whoever finds a process gone ends its sessions.
"""

import contextlib
import os
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

SESSIONS: CodecOptions[dict[str, Any]] = CodecOptions(uuid_representation=UuidRepresentation.STANDARD)


def host() -> str:
    """Return a name for the set of processes whose ids can be told apart: host, and container where there are some."""
    space = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()[:64]} {space.readlink() if space.is_symlink() else ''}".rstrip()


def name(pid: int | None = None) -> str:
    """Return the name under which a process of this host, by default our own, is known to MongoDB (at most 128 bytes)."""
    return f"aquifer {host()} {pid or os.getpid()}"


def runs(pid: int) -> bool:
    """Return whether a process of this host is there; one that has ended but was not buried is not."""
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def end_sessions(client: AsyncMongoClient[Any], pids: Collection[int]) -> None:
    """End what processes of this host that are gone were doing; where MongoDB forbids that, it ends after a minute.

    Args:
        client: Of the same MongoDB user as theirs; one's own sessions one may see and end without further rights.
        pids: Processes that are gone.
    """
    admin = client.get_database("admin", SESSIONS, read_concern=ReadConcern("local"))
    names = [name(pid) for pid in pids]
    with contextlib.suppress(OperationFailure):
        operations = await admin.aggregate(
            [
                {"$currentOp": {"allUsers": False, "idleSessions": True}},
                {"$match": {"appName": {"$in": names}, "lsid": {"$exists": True}}},
                {"$project": {"lsid": 1}},
            ]
        )
        sessions = [{"id": operation["lsid"]["id"]} async for operation in operations]
        if sessions:
            await admin.command("killSessions", sessions, codec_options=SESSIONS)
