"""The queue of jobs: one collection, leases that end by themselves, and a fence against whoever comes late.

A claim is one find-and-modify over what is due: a queued job whose time has come, or a leased one whose lease has ended.
Every later word of a worker is guarded by (id, attempt), so that of two who believe to have a job only the last to claim it
is heard. Time is the database's.

A row has `due` while it is live, `ended` afterwards (the database removes it a month later), `key` while it is live, where
only one live job of a key may be, and `slot` while it is leased: `reindex/0` is the first of the places that jobs of a kind
may take at the same time. Keys and slots are unique by index, which is what makes both exact between processes.
"""

import os
import random
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import IndexModel, WriteConcern
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError

from fhir_server.model import ids
from fhir_server.model.queue import JobRecord, Lost, State
from fhir_server.store import failures, processes
from fhir_server.store.changes import Extra
from fhir_server.store.clock import Clock

COLLECTION = "jobs"
KEPT_SECONDS = 30 * 24 * 3600
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 600_000
MOST_ERROR = 2_000
TRIES = 8

ENDING = ("due", "key", "slot", "cancel")
"""What a job that has ended no longer has."""

_WORKER = re.compile(r"(?P<host>.*) (?P<pid>\d+)(?:/\S+)?")


def worker_name(part: str = "") -> str:
    """Return the name of this process, and of a part of it, as a worker."""
    return f"{processes.host()} {os.getpid()}{f'/{part}' if part else ''}"


class Jobs:
    """The queue in one database (`model.queue.Queue` and `model.queue.Leases`)."""

    def __init__(self, database: AsyncDatabase[Any], clock: Clock) -> None:
        self._rows = database.get_collection(COLLECTION, write_concern=WriteConcern("majority", j=True))
        self._clock = clock

    async def open(self) -> None:
        """Create the indexes."""
        await self._rows.create_indexes(
            [
                _where_present("due"),
                _where_present("key", unique=True),
                _where_present("slot", unique=True),
                IndexModel([("kind", 1), ("created", -1)], name="kind"),
                IndexModel([("created", -1)], name="created"),
                IndexModel([("ended", 1)], name="expiry", expireAfterSeconds=KEPT_SECONDS),
            ]
        )

    def row(self, kind: str, payload: Mapping[str, Any]) -> tuple[str, Extra]:
        """Return the id of a new job, and the change that queues it together with other changes of a unit."""
        doc = self._new(kind, payload)
        return doc["_id"], Extra(COLLECTION, doc)

    async def enqueue(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        key: str = "",
        run_at: datetime | None = None,
        mandate: Mapping[str, Any] | None = None,
    ) -> JobRecord:
        """Queue a job (see `Queue`)."""
        doc = {**self._new(kind, payload, key, run_at), **({"mandate": dict(mandate)} if mandate else {})}
        try:
            for _ in range(TRIES):
                try:
                    await self._rows.insert_one(doc)
                except DuplicateKeyError:
                    if there := await self._rows.find_one({"key": key}):
                        return _record(there)
                else:
                    return _record(doc)
        except PyMongoError as error:
            raise failures.expected(error) from error
        raise failures.expected(DuplicateKeyError(f"the key {key} comes and goes"))

    async def get(self, job_id: str) -> JobRecord | None:
        """Return a job."""
        try:
            row = await self._rows.find_one({"_id": job_id})
        except PyMongoError as error:
            raise failures.expected(error) from error
        return _record(row) if row else None

    async def jobs(self, kind: str, states: Collection[State], most: int) -> Sequence[JobRecord]:
        """Return jobs of a kind, the newest first."""
        return await self.listed([kind], states, most)

    async def listed(self, kinds: Collection[str], states: Collection[State], most: int) -> Sequence[JobRecord]:
        """Return jobs of these kinds, of all where none is named, the newest first."""
        condition = {"state": {"$in": list(states)}, **({"kind": {"$in": list(kinds)}} if kinds else {})}
        try:
            rows = await self._rows.find(condition).sort([("created", -1), ("_id", -1)]).limit(most).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        return [_record(row) for row in rows]

    async def retry(self, job_id: str) -> JobRecord | None:
        """Make a job due that was given up; its checkpoint stays."""
        again: list[Mapping[str, Any]] = [
            {"$set": {"state": "queued", "failures": 0, "due": "$$NOW"}},
            {"$unset": ["ended"]},
        ]
        row = await self._change({"_id": job_id, "state": "failed"}, again)
        return _record(row) if row else None

    async def cancel(self, job_id: str) -> JobRecord | None:
        """Stop a job, or ask its worker to."""
        ended = _ended({"state": "cancelled"})
        row = await self._change({"_id": job_id, "state": "queued"}, ended)
        row = row or await self._change({"_id": job_id, "state": "leased"}, [{"$set": {"cancel": True}}])
        return _record(row) if row else await self.get(job_id)

    async def claim(self, worker: str, limits: Mapping[str, int], lease: float) -> JobRecord | None:
        """Lease what has been due longest."""
        for _ in range(TRIES):
            slots = await self._free_slots(limits)
            # A job whose lease has ended keeps its slot, so it may be claimed even where no slot is free.
            free = [kind for kind in limits if kind in slots]
            due = {
                "$expr": {"$lte": ["$due", "$$NOW"]},
                "due": {"$exists": True},
                "kind": {"$in": list(limits)},
                "$or": [{"state": "leased"}, {"state": "queued", "kind": {"$in": free}}],
            }
            try:
                row = await self._rows.find_one_and_update(
                    due, _claimed(worker, slots, lease), sort=[("due", 1)], return_document=True
                )
            except DuplicateKeyError:
                continue  # another worker took the slot meanwhile
            except PyMongoError as error:
                raise failures.expected(error) from error
            return _record(row) if row else None
        return None

    async def heartbeat(self, job: JobRecord, lease: float) -> bool:
        """Extend the lease."""
        row = await self._mine(job, [{"$set": {"due": _later(lease * 1000)}}])
        return bool(row.get("cancel"))

    async def checkpoint(
        self, job: JobRecord, checkpoint: Mapping[str, Any], progress: Mapping[str, Any], lease: float
    ) -> bool:
        """Note how far the job is; whoever gets this far has not failed."""
        noted = {"checkpoint": {"$literal": dict(checkpoint)}, "progress": {"$literal": dict(progress)}}
        row = await self._mine(job, [{"$set": {**noted, "failures": 0, "due": _later(lease * 1000)}}])
        return bool(row.get("cancel"))

    async def finish(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        """End a job that is done."""
        await self._mine(job, _ended({"state": "done", "result": {"$literal": dict(result)}, "error": ""}))

    async def fail(self, job: JobRecord, error: str, attempts: int) -> JobRecord:
        """End an attempt: again later, twice as late as the last time, or never."""
        spread = random.uniform(0.5, 1)  # noqa: S311 - jitter
        pause = {"$min": [LONGEST_PAUSE_MS, {"$multiply": [FIRST_PAUSE_MS, {"$pow": [2, "$failures"]}]}]}
        given_up = {"$gte": ["$failures", attempts]}
        row = await self._mine(
            job,
            [
                {"$set": {"failures": {"$add": ["$failures", 1]}, "error": {"$literal": error[:MOST_ERROR]}}},
                {
                    "$set": {
                        "state": {"$cond": [given_up, "failed", "queued"]},
                        "ended": {"$cond": [given_up, "$$NOW", "$$REMOVE"]},
                        "due": {"$cond": [given_up, "$$REMOVE", _later({"$multiply": [spread, pause]})]},
                        "key": {"$cond": [given_up, "$$REMOVE", "$key"]},
                    }
                },
                {"$unset": ["slot"]},
            ],
        )
        return _record(row)

    async def release(self, job: JobRecord) -> None:
        """Give a job back; that is no failure."""
        await self._mine(job, [{"$set": {"state": "queued", "due": "$$NOW"}}, {"$unset": ["slot"]}])

    async def stop(self, job: JobRecord) -> None:
        """End a job that was cancelled."""
        await self._mine(job, _ended({"state": "cancelled"}))

    async def clear_dead(self) -> int:
        """Make due what workers of this machine that are gone have leased."""
        try:
            held = await self._rows.find({"state": "leased", "due": {"$exists": True}}, {"worker": 1}).to_list()
            gone = [row["_id"] for row in held if _is_gone(row["worker"])]
            if not gone:
                return 0
            workers = [row["worker"] for row in held if row["_id"] in gone]
            changed = await self._rows.update_many(
                {"_id": {"$in": gone}, "worker": {"$in": workers}, "state": "leased"}, [{"$set": {"due": "$$NOW"}}]
            )
        except PyMongoError as error:
            raise failures.expected(error) from error
        return changed.modified_count

    def _new(
        self, kind: str, payload: Mapping[str, Any], key: str = "", run_at: datetime | None = None
    ) -> dict[str, Any]:
        now = self._clock.now()
        row = {"_id": ids.new(), "kind": kind, "state": "queued", "payload": dict(payload), "created": now}
        return {**row, "due": run_at or now, "attempt": 0, "failures": 0, **({"key": key} if key else {})}

    async def _free_slots(self, limits: Mapping[str, int]) -> dict[str, str]:
        """Return a free slot of each kind that has one, empty for a kind without a limit."""
        try:
            rows = await self._rows.find({"slot": {"$exists": True}}, {"slot": 1}).to_list()
        except PyMongoError as error:
            raise failures.expected(error) from error
        taken = {row["slot"] for row in rows}
        free: dict[str, str] = {}
        for kind, limit in limits.items():
            places = [f"{kind}/{place}" for place in range(limit)] if limit else [""]
            open_places = [place for place in places if place not in taken]
            if open_places:
                free[kind] = random.choice(open_places)  # noqa: S311 - so that two who claim at once seldom meet
        return free

    async def _mine(self, job: JobRecord, update: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Change a job that this attempt holds, and return it."""
        row = await self._change({"_id": job.id, "attempt": job.attempt, "state": "leased"}, update)
        if row is None:
            raise Lost(job.id)
        return row

    async def _change(
        self, condition: Mapping[str, Any], update: Sequence[Mapping[str, Any]]
    ) -> Mapping[str, Any] | None:
        try:
            row: Mapping[str, Any] | None = await self._rows.find_one_and_update(
                condition, update, return_document=True
            )
        except PyMongoError as error:
            raise failures.expected(error) from error
        return row


def _claimed(worker: str, slots: Mapping[str, str], lease: float) -> list[Mapping[str, Any]]:
    """Return the update of a claim. A lease that had ended counts as a failure of the attempt before."""
    was_leased = {"$eq": ["$state", "leased"]}
    branches = [{"case": {"$eq": ["$kind", kind]}, "then": slot} for kind, slot in slots.items() if slot]
    new_slot: Any = {"$switch": {"branches": branches, "default": "$$REMOVE"}} if branches else "$$REMOVE"
    return [
        {
            "$set": {
                "state": "leased",
                "worker": {"$literal": worker},
                "attempt": {"$add": ["$attempt", 1]},
                "failures": {"$add": ["$failures", {"$cond": [was_leased, 1, 0]}]},
                "slot": {"$cond": [was_leased, "$slot", new_slot]},
                "due": _later(lease * 1000),
            }
        }
    ]


def _ended(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"$set": {**fields, "ended": "$$NOW"}}, {"$unset": list(ENDING)}]


def _where_present(field: str, *, unique: bool = False) -> IndexModel:
    return IndexModel([(field, 1)], name=field, unique=unique, partialFilterExpression={field: {"$exists": True}})


def _later(milliseconds: Any) -> dict[str, Any]:
    return {"$add": ["$$NOW", {"$toLong": milliseconds}]}


def _is_gone(worker: str) -> bool:
    """Return whether a worker was a process of this machine that has ended."""
    named = _WORKER.fullmatch(worker)
    return named is not None and named["host"] == processes.host() and not processes.runs(int(named["pid"]))


def _record(row: Mapping[str, Any]) -> JobRecord:
    return JobRecord(
        id=row["_id"],
        kind=row["kind"],
        state=row["state"],
        payload=row["payload"],
        created=row["created"],
        due=row.get("due"),
        ended=row.get("ended"),
        worker=row.get("worker", ""),
        attempt=row["attempt"],
        failures=row["failures"],
        checkpoint=row.get("checkpoint", {}),
        progress=row.get("progress", {}),
        result=row.get("result", {}),
        error=row.get("error", ""),
        cancel_requested=row.get("cancel", False),
        mandate=row.get("mandate", {}),
    )
