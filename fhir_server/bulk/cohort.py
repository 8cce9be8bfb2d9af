"""What an export reads of some patients: their records, what these refer to, and where they come from.

Patients are gone through in the order of their ids, some at a time. What is of several patients is written with the first of them
whom the export is for. What is referred to is of no patient; it is gathered first and read by its ids.
"""

from bisect import bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from fhir_server.bulk.reading import Block, Doc, Place, Reading, deletions, whose
from fhir_server.bulk.sections import PATIENT, PROVENANCE, SUPPORTING
from fhir_server.model import json
from fhir_server.model.query import Where
from fhir_server.repository import Repository, cohorts
from fhir_server.search.compartment import members
from fhir_server.search.compile import compile as compiled
from fhir_server.search.expression import OfPatients
from fhir_server.store import Portion, Scan, Window

AT_ONCE = 100
"""Patients whose resources of a type are read together."""

WHOLE_AT_ONCE = 10
"""Patients whose whole records are read together."""

IDS_AT_ONCE = 500
LEVELS = 5
"""So many times it is looked what that refers to which is referred to."""


@dataclass(slots=True)
class Gathered:
    """Ids that records refer to, or that refer to records: all, and those that what is new refers to."""

    ids: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Cohort:
    """Reads of some patients for one job.

    Attributes:
        reading: What is read, and within which rights.
    """

    reading: Reading
    _belong: dict[str, bool] = field(default_factory=dict)
    _supporting: dict[str, Gathered] | None = None
    _provenance: Gathered | None = None

    @property
    def types(self) -> list[str]:
        """The types that are exported of which resources are of patients, apart from Provenance."""
        held = members(PATIENT, self.reading.definitions)
        return [name for name in self.reading.task.types if name in held and name != PROVENANCE]

    async def of_patients(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield the lines of a type, of the patients behind a place.

        Raises:
            Forbidden: The mandate is over, or the Group is out of reach.
            Unavailable: The database cannot be reached.
        """
        async for patients in self._batches(after, AT_ONCE):
            held_back: Block | None = None
            async for repository, docs in self._docs(resource_type, patients):
                if held_back:
                    yield held_back
                held_back = self.reading.block(repository, resource_type, docs, None)
            if held_back:
                yield replace(held_back, place=[patients[-1]])

    async def by_patient(self, types: Sequence[str], after: Place) -> AsyncGenerator[Block]:
        """Yield whole records, each behind a header that says whose it is."""
        async for patients in self._batches(after, WHOLE_AT_ONCE):
            records: dict[str, list[bytes]] = {patient: [] for patient in patients}
            keepers = frozenset[str]()
            for name in sorted(types, key=lambda one: one != PATIENT):
                async for repository, docs in self._docs(name, patients, everyone=True):
                    keepers |= whose(name, docs)[1]
                    for doc, body in zip(docs, self.reading.bodies(repository, name, docs), strict=True):
                        owners = [doc["_id"]] if name == PATIENT else doc.get("ps") or [doc["p"]]
                        for patient in owners:
                            if patient in records:
                                records[patient].append(body)
            lines = [line for patient, bodies in records.items() if bodies for line in (_header(patient), *bodies)]
            if lines:
                count = sum(len(bodies) for bodies in records.values())
                told = frozenset(patient for patient, bodies in records.items() if bodies)
                yield Block(b"\n".join([*lines, b""]), count, [patients[-1]], told, keepers)

    async def gone(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield what of the patients was deleted in the period, as Bundles of deletions.

        Who was deleted belongs to no Group any more, so those who belonged to it when the period began count as well.
        """
        async for patients in self._batches(after, AT_ONCE, self.reading.task.since):
            repository = await self.reading.repository()
            where = repository.scope.where(resource_type, "r") & _of(resource_type, patients, repository)
            found: list[Doc] = []
            scan = Scan(resource_type, where, self.reading.window)
            async with aclosing(repository.store.scanning.gone(scan, None, few=True)) as portions:
                async for portion in portions:
                    found += portion.docs
            if found:
                yield Block(deletions(resource_type, found), len(found), [patients[-1]])

    async def referenced(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield the lines of a type that the records refer to, or what these refer to.

        What was not changed in the period comes, too, where something new refers to it.
        """
        if self._supporting is None:
            self._supporting = await self._gather_supporting()
        async with aclosing(self._by_ids(resource_type, self._supporting[resource_type], after)) as blocks:
            async for block in blocks:
                yield block

    async def provenance(self, resource_type: str, after: Place) -> AsyncGenerator[Block]:
        """Yield the lines of the Provenance of the records; where only the latest is wanted, one for each resource."""
        if self._provenance is None:
            self._provenance = await self._gather_provenance()
        async with aclosing(self._by_ids(resource_type, self._provenance, after)) as blocks:
            async for block in blocks:
                yield block

    async def _docs(
        self, resource_type: str, patients: Sequence[str], *, everyone: bool = False
    ) -> AsyncIterator[tuple[Repository, Sequence[Doc]]]:
        """Yield the documents of some patients; of what is of several, those of others before them are left out."""
        repository = await self.reading.repository()
        scan = await self.reading.scan(repository, resource_type, _of(resource_type, patients, repository))
        async for portion in _few(repository, scan):
            docs = portion.docs
            if not everyone and resource_type != PATIENT:
                docs = [doc for doc in docs if "ps" not in doc or await self._is_first(doc["ps"], patients[0])]
            if docs:
                yield repository, docs

    async def _is_first(self, owners: Iterable[str], first: str) -> bool:
        """Return whether none of the owners before `first` is one whom the export is for."""
        for owner in owners:
            if owner < first and await self._belongs(owner):
                return False
        return True

    async def _belongs(self, patient: str) -> bool:
        if patient not in self._belong:
            before = f"{patient[:-1]}{chr(ord(patient[-1]) - 1)}~"  # no id lies between
            self._belong[patient] = (await self._patients(before))[:1] == [patient]
        return self._belong[patient]

    async def _batches(self, after: Place, most: int, since: datetime | None = None) -> AsyncIterator[list[str]]:
        """Yield the ids of the patients behind a place, in order, with those of a moment before where that is said."""
        last = after[0] if after else ""
        while found := await self._patients(last):
            if since:
                found = _joined(found, await self._patients(last, since))
            for start in range(0, len(found), most):
                yield found[start : start + most]
            last = found[-1]
        while since and (found := await self._patients(last, since)):
            yield found
            last = found[-1]

    async def _patients(self, after: str, moment: datetime | None = None) -> list[str]:
        """Return the next patients of the export."""
        task, repository = self.reading.task, await self.reading.repository()
        if task.patients:
            return [*task.patients[bisect_right(task.patients, after) :]]
        if task.level == "group":
            return await cohorts.members(repository, task.group, after, moment or self.reading.moment)
        where = repository.scope.where(PATIENT, "r")
        scan = Scan(PATIENT, where, Window(self.reading.moment), self.reading.changed(PATIENT))
        return await repository.store.scanning.ids(scan, after, IDS_AT_ONCE)

    async def _gather_supporting(self) -> dict[str, Gathered]:
        found = {name: Gathered() for name in SUPPORTING}
        async for _, docs in self._records(("rf",)):
            for doc in docs:
                self._note(found, doc)
        seen: set[str] = set()
        for _ in range(LEVELS):
            waiting = {
                name: [one for one in sorted(rows.ids) if f"{name}/{one}" not in seen] for name, rows in found.items()
            }
            for name, ids in waiting.items():
                seen |= {f"{name}/{one}" for one in ids}
                for doc in await self._named(name, ids, ("rf",)):
                    is_fresh = doc["_id"] in found[name].fresh
                    self._note(found, doc, fresh=is_fresh)
            if not any(waiting.values()):
                break
        return found

    def _note(self, found: Mapping[str, Gathered], doc: Doc, *, fresh: bool = False) -> None:
        fresh = fresh or self._is_new(doc)
        for reference in doc.get("rf", ()):
            name, _, one = reference.partition("/")
            if name in found:
                found[name].ids.add(one)
                if fresh:
                    found[name].fresh.add(one)

    async def _gather_provenance(self) -> Gathered:
        found, latest = Gathered(), dict[str, tuple[Any, str]]()
        async for name, docs in self._records(()):
            refs = [f"{name}/{doc['_id']}" for doc in docs]
            fresh = {ref for ref, doc in zip(refs, docs, strict=True) if self._is_new(doc)}
            for start in range(0, len(refs), IDS_AT_ONCE):
                part = refs[start : start + IDS_AT_ONCE]
                clause = {"rf": {"$in": part}, "$or": [{"s.target": {"$in": part}}, {"p": {"$exists": True}}]}
                for doc in await self._rows(PROVENANCE, Where("clause", clause), ("rf",)):
                    targets = {ref for ref in part if ref in doc["rf"]}
                    if self.reading.task.latest:
                        for ref in targets:
                            latest[ref] = max(latest.get(ref, ((), "")), ((doc["lu"], doc["o"]), doc["_id"]))
                    found.ids.add(doc["_id"])
                    if not fresh.isdisjoint(targets):
                        found.fresh.add(doc["_id"])
        if self.reading.task.latest:
            found.ids &= {one for _, one in latest.values()}
            found.fresh &= found.ids
        return found

    async def _records(self, fields: tuple[str, ...]) -> AsyncIterator[tuple[str, Sequence[Doc]]]:
        """Yield what is of the patients and of the types that are exported, without wire forms, whenever it was made."""
        async for patients in self._batches([], AT_ONCE):
            for name in self.types:
                repository = await self.reading.repository()
                scan = await self.reading.scan(repository, name, _of(name, patients, repository))
                scan = replace(scan, window=Window(self.reading.moment), fields=fields, bodies=False)
                async for portion in _few(repository, scan):
                    yield name, portion.docs

    async def _named(self, resource_type: str, ids: Sequence[str], fields: tuple[str, ...]) -> list[Doc]:
        found: list[Doc] = []
        for start in range(0, len(ids), IDS_AT_ONCE):
            where = Where("clause", {"_id": {"$in": [*ids[start : start + IDS_AT_ONCE]]}})
            found += await self._rows(resource_type, where, fields)
        return found

    async def _rows(self, resource_type: str, where: Where, fields: tuple[str, ...]) -> list[Doc]:
        """Return documents without wire forms, whenever they were made."""
        repository = await self.reading.repository()
        where &= repository.scope.where(resource_type, "r")
        window = Window(self.reading.moment)
        scan = Scan(resource_type, where, window, self.reading.changed(resource_type), fields, bodies=False)
        return [doc async for portion in _few(repository, scan) for doc in portion.docs]

    async def _by_ids(self, resource_type: str, gathered: Gathered, after: Place) -> AsyncGenerator[Block]:
        """Yield the lines of instances behind a place: those that were made in the period, and those that are fresh."""
        ids = sorted(gathered.ids)
        for start in range(bisect_right(ids, after[0]) if after else 0, len(ids), IDS_AT_ONCE):
            part = ids[start : start + IDS_AT_ONCE]
            repository = await self.reading.repository()
            docs: list[Doc] = []
            fresh = [one for one in part if one in gathered.fresh]
            for some, window in (
                ([one for one in part if one not in gathered.fresh], self.reading.window),
                (fresh, Window(self.reading.moment)),
            ):
                if some:
                    scan = await self.reading.scan(repository, resource_type, Where("clause", {"_id": {"$in": some}}))
                    docs += [doc async for one in _few(repository, replace(scan, window=window)) for doc in one.docs]
            if docs:
                yield self.reading.block(repository, resource_type, docs, [part[-1]])

    def _is_new(self, doc: Doc) -> bool:
        """Return whether a document was made in the period."""
        task, made = self.reading.task, doc["lu"].replace(tzinfo=UTC)
        return (task.since is None or made > task.since) and (task.until is None or made < task.until)


async def _few(repository: Repository, scan: Scan) -> AsyncIterator[Portion]:
    async with aclosing(repository.store.scanning.of_few(scan)) as portions:
        async for portion in portions:
            yield portion


def _of(resource_type: str, patients: Sequence[str], repository: Repository) -> Where:
    """Return which resources of a type are of some patients."""
    if resource_type == PATIENT:  # one that is linked to another is of no other record
        return Where("clause", {"_id": {"$in": [*patients]}})
    return compiled(OfPatients(frozenset(patients)), resource_type, repository.definitions)


def _joined(one: list[str], other: list[str]) -> list[str]:
    """Return the beginning of two sequences in order, as far as both are known."""
    end = min(one[-1], other[-1]) if other else one[-1]
    return sorted({each for each in (*one, *other) if each <= end})


def _header(patient: str) -> bytes:
    whose = {"name": "header", "valueReference": {"reference": f"Patient/{patient}"}}
    return json.encode({"resourceType": "Parameters", "parameter": [whose]})
