"""The kinds of background work: one module each, which states it as `JOB`. A worker finds them here and runs them."""

import pkgutil
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.loading.work import Access
from fhir_server.model.channel import Channel
from fhir_server.model.files import Files
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.outbound import Outbound
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
        within: Returns the repository of now within what the job's mandate reaches now; everything that a job does for
            somebody is done within it, and it is asked for anew every few seconds (raises `Forbidden` when it is over).
        answer: Answers a request within a scope as if it had come from outside: checked, audited, never raising.
        handed_out: Leaves rows in the trail of what the job hands out: resource type, patients, keepers, detail.
        files: Where files are kept.
        outbound: Calls URLs that others have chosen.
        channels: How subscribers are notified, by the code of the channel type.
        notify: Tells subscribers what happens, until it is cancelled.
        renew: Makes this process work by the implementation guides that are installed now.
        loading: Lines are loaded with it, within what the job's mandate reaches.
        hours: How long files are given out.
    """

    record: JobRecord
    save: Save
    settings: Jobs
    reindexing: Reindexing
    repository: Callable[[], Repository]
    within: Callable[[], Awaitable[Repository]]
    answer: Callable[[FhirRequest, ScopeFilter], Awaitable[FhirResponse]]
    handed_out: Callable[[str, Collection[str], Collection[str], Mapping[str, str]], Awaitable[None]]
    files: Files
    outbound: Outbound
    channels: Mapping[str, Channel]
    notify: Callable[[], Awaitable[None]]
    renew: Callable[[], Awaitable[object]]
    loading: Access
    hours: float


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job.

    Attributes:
        kind: Its name in the queue.
        run: Does it and returns its result. It may be cancelled at every await, and begun again from its last checkpoint.
        limit: Most jobs of the kind that run at the same time, in all processes together; 0 for any number.
        attempts: Attempts in a row without progress after which it is given up.
        standing: Whether there always is one, which some worker runs beside other jobs: it is queued by itself, and again a moment
            after it ends, however it ended.
    """

    kind: str
    run: Callable[[Work], Awaitable[Mapping[str, Any]]]
    limit: int = 0
    attempts: int = 5
    standing: bool = False


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
