"""The kinds of background work: one module each, which states it as `JOB`. A worker finds them here and runs them."""

import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fhir_server.model.queue import JobRecord
from fhir_server.repository import Repository
from fhir_server.repository.reindexing import Reindexing
from fhir_server.settings import Jobs

LONGEST_REST = 10.0

Save = Callable[[Mapping[str, Any], Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """A job under way.

    Attributes:
        record: The job as it was claimed: payload, checkpoint.
        save: Notes (checkpoint, progress); the next attempt begins with the last checkpoint noted.
        settings: How jobs are to behave.
        reindexing: Indexes stored resources again.
        repository: Returns the repository of now, unrestricted.
        renew: Makes this process work by the implementation guides that are installed now.
    """

    record: JobRecord
    save: Save
    settings: Jobs
    reindexing: Reindexing
    repository: Callable[[], Repository]
    renew: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job.

    Attributes:
        kind: Its name in the queue.
        run: Does it and returns its result. It may be cancelled at every await, and begun again from its last checkpoint.
        limit: Most jobs of the kind that run at the same time, in all processes together; 0 for any number.
        attempts: Attempts in a row without progress after which it is given up.
    """

    kind: str
    run: Callable[[Work], Awaitable[Mapping[str, Any]]]
    limit: int = 0
    attempts: int = 5


def rest(spent: float, share: float) -> float:
    """Return how long to rest after work so that it takes its share of the time: the busier the database, the longer."""
    return min(spent * (1 / share - 1), LONGEST_REST)


def discovered() -> Mapping[str, Job]:
    """Return the jobs of the modules of this folder by kind.

    Raises:
        ValueError: Two modules state the same kind.
    """
    found: dict[str, Job] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        job: Job = import_module(f"{__name__}.{module}").JOB
        if job.kind in found:
            raise ValueError(f"two modules of {__name__} state the job '{job.kind}'")
        found[job.kind] = job
    return found
