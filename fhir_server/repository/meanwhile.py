"""Who saw what of some records since a moment: rows of the audit trail, for who undoes a link that was wrong."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fhir_server.model import ids
from fhir_server.repository.door import Repository

MOST = 1000
"""Rows that are told; the trail has all."""

CLOCKS = timedelta(days=1)
"""How far the clock that a row has its id from may be behind the one that it has its time from."""

SEEING = ("R", "E")
OWN = ("$link", "$unlink", "$merge", "$unmerge", "$match")
"""Operations of those who deal with the link itself."""


async def seen(repository: Repository, patients: Collection[str], since: datetime) -> Sequence[Mapping[str, Any]]:
    """Return the rows of all reads and searches that showed anything of these records, the newest first.

    Raises:
        TooCostly: The trail took too long.
        Unavailable: The database cannot be reached.
    """
    whose = {"$in": sorted(patients)}
    saw = {
        "_id": {"$gte": ids.least(since - CLOCKS)},
        "t": {"$gte": since},
        "a": {"$in": SEEING},
        "oc": "0",
        "k": {"$nin": OWN},
    }
    return await repository.store.trail.find({"$or": [{"p": whose, **saw}, {"ps": whose, **saw}]}, MOST)
