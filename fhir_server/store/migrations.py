"""The steps by which a record of an earlier release becomes one of this release, in their order.

A step leads from one schema version to the next, never back. It runs while servers of the release before go on reading and writing,
so it only adds: what it replaces goes in the step of a later release. It may be cut off anywhere and run again, also by two
processes at once. And it never touches resources: what a client has stored stays as it was sent, version for version.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

META = "meta"
ROW = "schema"
RECORD = "record"
FIRST = 1
"""Version of a record to which no step was applied, and with which a new one begins."""


class Ground:
    """What a step may work on: everything of a record but its resources.

    Args:
        database: Of the record.
    """

    def __init__(self, database: AsyncDatabase[Any]) -> None:
        self._database = database

    def collection(self, name: str) -> AsyncCollection[Any]:
        """Return a collection.

        Raises:
            ValueError: It holds resources or their history.
        """
        if name[0].isupper():
            raise ValueError(f"{name} holds resources, which a migration does not touch")
        return self._database[name]


@dataclass(frozen=True, slots=True)
class Step:
    """A step.

    Attributes:
        to: The schema version to which it leads, from the one before.
        title: What it does, for the operator.
        run: Does it.
    """

    to: int
    title: str
    run: Callable[[Ground], Awaitable[None]]


async def _name(ground: Ground) -> None:
    row = {"id": str(uuid4())}
    await ground.collection(META).update_one({"_id": RECORD}, {"$setOnInsert": row}, upsert=True)


STEPS: tuple[Step, ...] = (
    Step(2, "Give the record an id, by which its backups can be told from those of others.", _name),
)


def pending(version: int) -> tuple[Step, ...]:
    """Return the steps that a record of this version lacks."""
    return tuple(step for step in STEPS if step.to > version)


async def migrate(database: AsyncDatabase[Any], version: int, told: Callable[[Step], None] = lambda _: None) -> None:
    """Apply the steps that a record of this version lacks; each counts as soon as it is done.

    Args:
        database: Of the record.
        version: That it has.
        told: Hears of each step that is done.
    """
    ground = Ground(database)
    for step in pending(version):
        await step.run(ground)
        # Another process may be further by now.
        done = await database[META].update_one({"_id": ROW, "version": step.to - 1}, {"$set": {"version": step.to}})
        if done.modified_count:
            structlog.get_logger("fhir_server.store").info("migrated", version=step.to)
        told(step)
