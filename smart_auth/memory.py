"""The store in memory: for tests, and for a demonstration in one process. It keeps the promises of `AuthStore` there."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from smart_auth.audit import SecurityEvent
from smart_auth.records import Grant, User
from smart_auth.store import FINDABLE, R, Record, changed


class MemoryStore:
    """Implements `AuthStore`. No method waits, so that each is one step for everybody else.

    Attributes:
        events: The audit trail.
    """

    def __init__(self) -> None:
        self.events: list[SecurityEvent] = []
        self._records: dict[tuple[type[Any], str], Record] = {}
        self._names: dict[str, datetime] = {}
        self._counts: dict[str, tuple[int, datetime, datetime]] = {}
        self._epoch = 0

    async def get(self, kind: type[R], record_id: str) -> R | None:
        """Return the record, or `None`."""
        return cast("R | None", self._records.get((kind, record_id)))

    async def find(self, kind: type[R], /, **fields: str) -> Sequence[R]:
        """Return records by indexed fields."""
        unknown = fields.keys() - set(FINDABLE.get(kind, ()))
        if unknown:
            raise ValueError(f"{kind.__name__} is not found by {unknown}")
        found = [
            record
            for (one, _), record in sorted(self._records.items(), key=lambda item: item[0][1])
            if one is kind and all(getattr(record, name) == value for name, value in fields.items())
        ]
        return cast("list[R]", found)

    async def add(self, record: Record) -> bool:
        """Keep a new record."""
        key = (type(record), record.id)
        taken = isinstance(record, User) and any(
            isinstance(other, User) and other.login == record.login for other in self._records.values()
        )
        if key in self._records or taken:
            return False
        self._records[key] = record
        return True

    async def swap(self, before: R, after: R, *, felt: bool = False, seen: Collection[str] = ()) -> bool:
        """Write a record in place of another."""
        key = (type(before), before.id)
        there = self._records.get(key)
        names: list[str] = [*changed(before, after)]
        if there is None or any(getattr(there, name) != getattr(before, name) for name in (*names, *seen)):
            return False
        self._records[key] = replace(there, **{name: getattr(after, name) for name in names})
        self._epoch += felt
        return True

    async def end_grants(self, at: datetime, why: str, **fields: str) -> int:
        """Revoke live grants."""
        grants = [
            record
            for record in self._records.values()
            if isinstance(record, Grant)
            and record.ended is None
            and all(getattr(record, name) == value for name, value in fields.items())
        ]
        for grant in grants:
            self._records[Grant, grant.id] = replace(grant, ended=at, why=why)
        self._epoch += bool(grants)
        return len(grants)

    async def once(self, name: str, until: datetime) -> bool:
        """Return whether a name is new."""
        if name in self._names:
            return False
        self._names[name] = until
        return True

    async def count(self, name: str, now: datetime, until: datetime) -> int:
        """Count one more."""
        number, ends, _ = self._counts.get(name, (0, until, now))
        if ends <= now:
            number, ends = 0, until
        self._counts[name] = (number + 1, ends, now)
        return number + 1

    async def counted(self, name: str, now: datetime) -> tuple[int, datetime | None]:
        """Return how many were counted."""
        number, ends, last = self._counts.get(name, (0, now, now))
        return (number, last) if number and ends > now else (0, None)

    async def forget(self, name: str) -> None:
        """Begin to count anew."""
        self._counts.pop(name, None)

    async def epoch(self) -> int:
        """Return the epoch."""
        return self._epoch

    async def record(self, event: SecurityEvent) -> None:
        """Write an event."""
        self.events.append(event)
