"""Work that is done later, by whichever process has time: the record of a job, and the port to put jobs into the queue.

A job is of a *kind*, which says what is to be done, and has a *payload*, which says to what. Whoever works on it holds a
*lease* that ends by itself when the process does. The *attempt* is the fence: it grows with every claim, and nobody may
finish a job with the attempt of an earlier one. The *checkpoint* is where the next attempt goes on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

State = Literal["queued", "leased", "done", "failed", "cancelled"]

LIVE: frozenset[State] = frozenset({"queued", "leased"})
"""States of a job that still has something to do."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as it stands in the queue.

    Attributes:
        id: Its id.
        kind: What is to be done.
        state: queued, leased, done, failed (given up after its attempts) or cancelled.
        payload: To what.
        created: When it was put into the queue, database time.
        due: When somebody may claim it: the time it was put off to, or the end of the lease. `None` once it has ended.
        ended: When it came to its end.
        worker: Who claimed it last.
        attempt: How often it was claimed. Only the worker of the last claim may write to it.
        failures: Attempts in a row that ended without any progress.
        checkpoint: Where an attempt goes on, empty for the beginning.
        progress: What there is to tell about how far it is.
        result: What it came to.
        error: Why the last attempt failed, empty if none did.
        cancel_requested: Whether somebody wants it to stop.
        mandate: Under whose rights it is done (`access.mandate`), empty for the server's own work.
    """

    id: str
    kind: str
    state: State
    payload: Mapping[str, Any]
    created: datetime
    due: datetime | None = None
    ended: datetime | None = None
    worker: str = ""
    attempt: int = 0
    failures: int = 0
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cancel_requested: bool = False
    mandate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether it still has something to do."""
        return self.state in LIVE


class Lost(Exception):
    """The lease is over: another worker has the job, or it has ended. What was done since must not be reported."""


class Queue(Protocol):
    """Where jobs are put and looked up."""

    async def enqueue(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        key: str = "",
        run_at: datetime | None = None,
        mandate: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """Put a job into the queue and return it; with a key, return the live job of that key where there is one.

        Args:
            kind: What is to be done.
            payload: To what.
            key: Only one live job has it.
            run_at: When it is due, by default at once.
            mandate: Under whose rights, by default the server's own.
        """
        ...

    async def get(self, job_id: str) -> JobRecord | None:
        """Return a job, or `None` where there is none of that id (any more)."""
        ...

    async def jobs(self, kind: str, states: Collection[State], most: int) -> Sequence[JobRecord]:
        """Return jobs of a kind in these states, the newest first."""
        ...

    async def listed(self, kinds: Collection[str], states: Collection[State], most: int) -> Sequence[JobRecord]:
        """Return jobs of these kinds, of all where none is named, in these states, the newest first."""
        ...

    async def retry(self, job_id: str) -> JobRecord | None:
        """Make a job due that was given up, as if it had not failed yet; return `None` where it was not given up."""
        ...

    async def cancel(self, job_id: str) -> JobRecord | None:
        """Stop a job: at once where nobody works on it, else when its worker hears of it; return it as it then stands."""
        ...


class Leases(Protocol):
    """What a worker does with jobs."""

    async def enqueue(self, kind: str, payload: Mapping[str, Any], *, key: str = "") -> JobRecord:
        """Put a job into the queue and return it; with a key, return the live job of that key where there is one."""
        ...

    async def claim(self, worker: str, limits: Mapping[str, int], lease: float) -> JobRecord | None:
        """Return a job that is now the worker's own for `lease` seconds, or `None` where nothing is due.

        Args:
            worker: Who claims.
            limits: The kinds to claim, each with the most jobs of it that may be leased at the same time by all workers
                together; 0 for any number.
            lease: Seconds.
        """
        ...

    async def heartbeat(self, job: JobRecord, lease: float) -> bool:
        """Extend the lease; return whether somebody wants the job to stop.

        Raises:
            Lost: It is not the worker's any more.
        """
        ...

    async def checkpoint(
        self, job: JobRecord, checkpoint: Mapping[str, Any], progress: Mapping[str, Any], lease: float
    ) -> bool:
        """Note where the next attempt goes on, and extend the lease; return whether somebody wants the job to stop.

        Raises:
            Lost: It is not the worker's any more; nothing was noted.
        """
        ...

    async def finish(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        """End a job with its result.

        Raises:
            Lost: It is not the worker's any more.
        """
        ...

    async def fail(self, job: JobRecord, error: str, attempts: int) -> JobRecord:
        """End an attempt that failed: the job is due again after a growing pause, or has failed for good.

        Args:
            job: The job.
            error: Why, without anything of patients.
            attempts: Attempts in a row without progress after which it has failed for good.

        Raises:
            Lost: It is not the worker's any more.
        """
        ...

    async def release(self, job: JobRecord) -> None:
        """Give a job back unfinished, to be claimed at once.

        Raises:
            Lost: It is not the worker's any more.
        """
        ...

    async def stop(self, job: JobRecord) -> None:
        """End a job that somebody wanted to stop.

        Raises:
            Lost: It is not the worker's any more.
        """
        ...

    async def clear_dead(self) -> int:
        """Make due what processes of this machine that are gone still hold a lease of; return how many."""
        ...
