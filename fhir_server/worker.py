"""The loop that does background work: claim a job, run it while the heart beats, say what became of it.

A worker that is killed leaves a lease that ends by itself, or sooner, when another process of the machine finds it gone. One
that ends in order gives its jobs back. One that was stopped for longer than its lease learns at its next heartbeat that the
job is another's, and drops it.
"""

import asyncio
import contextlib
import random
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Protocol

import structlog

from fhir_server.jobs import Job, Save, Work
from fhir_server.model.background import ended
from fhir_server.model.errors import FhirError
from fhir_server.model.queue import JobRecord, Leases, Lost

LEASE = 30.0
PATIENT = 1.0  # seconds between two looks into an empty queue, on average
CLEARING = 5.0
TIDYING = 5.0
"""Seconds that the run of a job has to tidy up when it is ended."""

REFUSED = frozenset({409, 429})
"""Statuses of refusals that may not come again: of what another did at the same moment, or too much at once."""

log = structlog.get_logger("worker")


class Prepare(Protocol):
    """Makes the work of a claimed job."""

    def __call__(self, record: JobRecord, save: Save) -> Work:
        """Return it."""
        ...


class Cancelled(Exception):
    """Somebody wants the job to stop."""


class Worker:
    """Runs jobs.

    Args:
        leases: The queue.
        jobs: What can be run, by kind.
        prepare: Gives a job what it needs.
        name: Names a part of this process as the holder of leases.
        concurrency: Most jobs that it runs at the same time.
        limits: Most jobs of a kind that all workers run at the same time, where it is another number than the kind's own.
        lease: Seconds after which others may take over from a worker that is silent.
    """

    def __init__(
        self,
        leases: Leases,
        jobs: Mapping[str, Job],
        prepare: Prepare,
        name: Callable[[str], str],
        *,
        concurrency: int,
        limits: Mapping[str, int] = MappingProxyType({}),
        lease: float = LEASE,
    ) -> None:
        self._limits = limits
        self._leases = leases
        self._jobs = jobs
        self._prepare = prepare
        self._name = name
        self._concurrency = concurrency
        self._lease = lease

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs until the context ends; what is not finished then is given back."""
        limits = {kind: self._limits.get(kind, row.limit) for kind, row in self._jobs.items() if not row.standing}
        loops = [
            asyncio.create_task(self._loop(self._name(str(number)), limits), name=f"worker {number}")
            for number in range(self._concurrency)
        ]
        if self._concurrency:
            standing = [kind for kind, row in self._jobs.items() if row.standing]
            loops += [
                asyncio.create_task(self._loop(self._name(kind), {kind: 1}, standing=kind), name=f"worker {kind}")
                for kind in standing
            ]
        try:
            yield
        finally:
            await ended(*loops)

    async def _loop(self, name: str, limits: Mapping[str, int], standing: str = "") -> None:
        """Run jobs of these kinds one after the other; `standing` names the one that there always is."""
        cleared = seen = 0.0
        while True:
            job = None
            try:
                if time.monotonic() - cleared > CLEARING:
                    cleared = time.monotonic()
                    await self._leases.clear_dead()
                if standing and time.monotonic() - seen > CLEARING:
                    seen = time.monotonic()
                    await self._leases.enqueue(standing, {}, key=standing)
                job = await self._leases.claim(name, limits, self._lease)
                if job is not None:
                    await self._do(job, self._jobs[job.kind])
                    if not standing:
                        continue
            except Lost:
                log.warning("job_lost", job=job.id if job else "", kind=job.kind if job else "")
            except FhirError as error:  # the database is away; who waits for a job waits on
                log.warning("queue_unavailable", kind=job.kind if job else "", error=type(error).__name__)
            except Exception as error:  # noqa: BLE001 - a fault in one job must not end the work on others
                _log_fault("worker_failed", job, error)
            # Apart from one another, so that workers do not all look at the same moment.
            await asyncio.sleep(random.uniform(0.5, 1.5) * PATIENT)  # noqa: S311 - jitter

    async def _do(self, record: JobRecord, job: Job) -> None:
        """Run a claimed job to one of its ends.

        Raises:
            Lost: It is another's by now.
        """
        if record.failures >= job.attempts:
            failed = await self._leases.fail(record, record.error or "Its process ended each time.", job.attempts)
            log.error("job_given_up", job=record.id, kind=record.kind, state=failed.state)
            return
        run = asyncio.create_task(self._run(record, job), name=f"{record.kind} {record.id}")
        try:
            result = await self._attended(record, run)
        except Lost:
            raise
        except Cancelled:
            await self._leases.stop(record)
            log.info("job_cancelled", job=record.id, kind=record.kind)
        except asyncio.CancelledError:
            with contextlib.suppress(Lost, FhirError):
                await self._leases.release(record)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, it ended this attempt
            expected = isinstance(error, FhirError)
            if not expected:
                _log_fault("job_failed", record, error)
            # The text of a fault may hold patient data; that of our own refusals does not.
            text = str(error) if expected else f"A fault of the server ({type(error).__name__}); it was logged."
            after = await self._leases.fail(record, text, 1 if _is_final(error) else job.attempts)
            log.warning(
                "job_attempt_failed", job=record.id, kind=record.kind, attempt=record.attempt, state=after.state
            )
        else:
            await self._leases.finish(record, result)
            log.info("job_done", job=record.id, kind=record.kind, attempt=record.attempt, **_figures(result))

    async def _run(self, record: JobRecord, job: Job) -> Mapping[str, Any]:
        async def save(checkpoint: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
            if await self._leases.checkpoint(record, checkpoint, progress, self._lease):
                raise Cancelled

        return await job.run(self._prepare(record, save))

    async def _attended(self, record: JobRecord, run: asyncio.Task[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Return the result of a run, while the lease is kept; end the run where it is lost or somebody wants that."""
        try:
            while True:
                done, _ = await asyncio.wait([run], timeout=self._lease / 3)
                if done:
                    return run.result()
                # While the database is away nothing can be lost to others either; the run finds out by itself.
                with contextlib.suppress(FhirError):
                    if await self._leases.heartbeat(record, self._lease):
                        raise Cancelled
        finally:
            await ended(run, patient=TIDYING)


def _is_final(error: Exception) -> bool:
    """Return whether what is refused now will be refused again."""
    return isinstance(error, FhirError) and 400 <= error.status < 500 and error.status not in REFUSED


def _figures(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a result is short enough for a log line."""
    return {name: value for name, value in result.items() if isinstance(value, int)}


def _log_fault(event: str, job: JobRecord | None, error: Exception) -> None:
    # Neither the message nor the locals are logged: they may hold patient data.
    frames = traceback.format_tb(error.__traceback__)
    log.error(event, kind=job.kind if job else "", error=type(error).__name__, at=frames)
