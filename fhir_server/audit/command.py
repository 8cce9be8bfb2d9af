"""Rows of what an operator does to the whole record from the command line, where no service runs that keeps the trail."""

import getpass
import os
import socket

from fhir_server.audit.codes import shape
from fhir_server.audit.lane import Lane
from fhir_server.model import ids
from fhir_server.settings import Settings
from fhir_server.store import Trail
from fhir_server.store.chain import Chain

PROGRAM = "fhir-server"


async def tell(trail: Trail, settings: Settings, kind: str, **facts: str) -> None:
    """Store the row of a command and link it; nothing where no trail is kept.

    Args:
        trail: Of the record; it is opened and closed.
        settings: Of the deployment.
        kind: `BACKUP` or `RESTORE`.
        facts: What there is to say of it, in codes and ids. Which login gives the command on which machine is said by itself.

    Raises:
        Unavailable: The trail does not take it.
    """
    if not settings.keeps_trail:
        return
    await trail.open()
    row = ids.new()
    moment = ids.moment(row)
    lane = Lane(Chain(trail.database), lambda: moment)
    trail.follow(lane.take)
    who = f"{_login()} on {socket.gethostname()}"
    told = {"t": moment, "k": kind, "a": shape(kind).action, "oc": "0", "c": PROGRAM, "who": who, "x": facts}
    try:
        await trail.add({"_id": row, **told})
    finally:
        await trail.close()
        await lane.close()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container there may be a number only
        return str(os.getuid())
