"""Writes of SearchParameter resources enter what they say into the register of search parameters, in the same unit of work.

So a parameter is refused together with its resource, never afterwards; two that clash cannot be added at the same time; and
the job that makes a parameter complete is queued if and only if the resource is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.model.errors import Unprocessable
from fhir_server.repository.pending import Key
from fhir_server.search import backfill, custom
from fhir_server.search.edition import Added
from fhir_server.store import Change, Create, Delete, Register, Store, Unit, Update
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions
from profiles.issue import Issue


@dataclass(frozen=True, slots=True)
class Parameters:
    """Enters search parameters.

    Attributes:
        store: The database.
        own: FHIR's own definitions.
        published: Whether the resources are those of guides, which are stored although their parameters cannot be added.
    """

    store: Store
    own: Definitions
    published: bool = False

    async def enter(self, changes: Iterable[Change], unit: Unit, places: Mapping[Key, str]) -> None:
        """Bring the register up to what these changes of a unit make of the SearchParameter resources.

        Args:
            changes: All changes of the unit, of any type.
            unit: The unit, in which they are written already.
            places: FHIRPath location of each resource in its bundle.

        Raises:
            Unprocessable: A parameter cannot be compiled, clashes with another one, or is needed by one.
        """
        own = [change for change in changes if concerns(change)]
        if not own:
            return
        register = await self.store.parameters.read(unit.session)
        before = {row["id"]: Added.of(row) for row in register.rows}
        after, issues = self._after(before, own, register.version + 1, places)
        if issues:
            raise Unprocessable(f"{len(issues)} findings refuse a search parameter.", issues=issues)
        if after == before:
            return
        job, queued = self.store.jobs.row(backfill.KIND, _work(before, after))
        rows = [(replace(one, job=job) if one not in before.values() else one).row() for one in after.values()]
        await unit.apply([queued])
        await self.store.parameters.write(Register(register.version + 1, rows), unit.session)

    def _after(
        self, before: Mapping[str, Added], changes: Sequence[Change], version: int, places: Mapping[Key, str]
    ) -> tuple[dict[str, Added], list[Issue]]:
        """Return the parameters that there then are, and what is wrong with the new ones."""
        after = dict(before)
        issues: list[Issue] = []
        stated: list[Mapping[str, Any]] = []
        for change in changes:
            if isinstance(change, Delete):
                after.pop(change.id, None)
            elif isinstance(change, Create | Update):
                stated.append(change.doc["r"])
        others: Definitions | None = None
        # Composites last: their components may come with them.
        for resource in sorted(stated, key=lambda each: each["type"] == "composite"):
            resource_id = resource["id"]
            beside = [one.parameter for one in after.values() if one.id != resource_id]
            if others is None or list(others.added) != beside:  # guides have many that add nothing
                others = self.own.extended(beside)
            reading = custom.read(resource, others, shared=self.published)
            known = after.pop(resource_id, None)
            if reading.issues and self.published:
                continue
            if reading.issues:
                place = places.get((custom.RESOURCE_TYPE, resource_id), custom.RESOURCE_TYPE)
                issues += [
                    replace(issue, expression=issue.expression.replace(custom.RESOURCE_TYPE, place, 1))
                    for issue in reading.issues
                ]
            elif reading.parameter and known and _selects(known.parameter) == _selects(reading.parameter):
                after[resource_id] = replace(known, parameter=reading.parameter)
            elif reading.parameter:
                after[resource_id] = Added(resource_id, reading.parameter, "building", version, "")
        return after, issues + self._orphans(after)

    def _orphans(self, after: Mapping[str, Added]) -> list[Issue]:
        """Return a finding for each composite a component of which is gone."""
        there = self.own.extended(one.parameter for one in after.values())
        return [
            Issue(
                "error",
                "conflict",
                f"SearchParameter/{one.id} ({one.parameter.code}) is composed of {component.definition}, which this would "
                "take away. Retire the composite first.",
                custom.RESOURCE_TYPE,
            )
            for one in after.values()
            for component in one.parameter.components
            if there.search_parameter(component.definition.partition("|")[0]) is None
        ]


def concerns(change: Change) -> bool:
    """Return whether a change may change the search parameters."""
    return isinstance(change, Create | Update | Delete) and change.resource_type == custom.RESOURCE_TYPE


def _selects(parameter: SearchParameter) -> SearchParameter:
    """Return the parameter without what makes no difference to the index."""
    return replace(parameter, url="", description="")


def _work(before: Mapping[str, Added], after: Mapping[str, Added]) -> dict[str, Any]:
    """Return the payload of the job: all types that gain or lose a parameter, and the parameters gained."""
    changed = {one.id: one for one in (*before.values(), *after.values()) if before.get(one.id) != after.get(one.id)}
    both = [side.get(one) for one in changed for side in (before, after)]
    types = {name for one in both if one for name in one.parameter.base}
    gained = [one.id for one in after.values() if one.state == "building" and before.get(one.id) != one]
    return backfill.payload(types, gained)
