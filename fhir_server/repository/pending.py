"""The writes of one unit of work before they go out together: a transaction bundle or a conditional interaction."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from fhir_server.access.scope_filter import Letter
from fhir_server.audit.footprint import Row
from fhir_server.intake import Draft
from fhir_server.store import Change, Clock, Live, Mark, Stamp, Unit

Key = tuple[str, str]

Drafted = Mapping[Key, tuple[dict[str, Any], Draft]]
"""Drafts that were made ahead, each with the very resource that it was made of."""

NONE_DRAFTED: Drafted = MappingProxyType({})


@dataclass(slots=True)
class Pending:
    """What a unit of work has gathered.

    Attributes:
        unit: The open MongoDB transaction.
        moment: `lastUpdated` of all its writes.
        clock: Gives each of them its tie-break.
        drafted: Drafts that were made ahead.
        mark: On what it deletes.
        changes: Writes that were not sent yet.
        known: Current versions that were read ahead, with the letter that they are needed for; `None` for an instance that is
            not there within the scope.
        unused: Instances that are not there and never were.
        created: Instances that it creates; references to them are fulfilled.
        deleted: Instances that it deletes; no reference to them may remain.
        needed: Referenced instances that must exist, each with a draft that refers to it.
        answered: Responses that are held against their Questionnaires when all is written, which may bring them.
        places: FHIRPath location of each of its resources, where that is not the resource itself.
        held: Those of its resources that a hold is or was on.
        rows: What its entries leave in the audit trail.
    """

    unit: Unit
    moment: datetime
    clock: Clock
    drafted: Drafted
    mark: Mark
    changes: list[Change] = field(default_factory=list)
    known: dict[tuple[str, str, Letter], Live | None] = field(default_factory=dict)
    unused: set[Key] = field(default_factory=set)
    created: set[Key] = field(default_factory=set)
    deleted: set[Key] = field(default_factory=set)
    needed: dict[Key, Draft] = field(default_factory=dict)
    answered: list[Draft] = field(default_factory=list)
    places: dict[Key, str] = field(default_factory=dict)
    held: list[Key] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def writing(self) -> AbstractAsyncContextManager[Stamp]:
        """Return a context that gives the stamp of one of its writes; the unit of work as a whole counts as in flight."""
        return nullcontext(Stamp(self.moment, self.clock.order()))

    def add(self, changes: Sequence[Change]) -> None:
        """Take writes that go out with the next flush."""
        self.changes += changes

    def take(self) -> list[Change]:
        """Return the writes that were not sent yet and forget them."""
        taken, self.changes = self.changes, []
        return taken


def by_type(instances: Iterable[tuple[Key, Letter]]) -> dict[tuple[str, Letter], list[str]]:
    """Return the ids of instances by their type and the letter that they are needed for."""
    asked: dict[tuple[str, Letter], list[str]] = {}
    for (resource_type, resource_id), letter in instances:
        asked.setdefault((resource_type, letter), []).append(resource_id)
    return asked
