"""Everything there is of one patient, of the patients of a group, or of one encounter, page by page (R4 `$everything`).

The order is fixed: what belongs to the record by type and id, then what that refers to and what is in nobody's record
(practitioners, organizations, medications), by type and id. A page starts after the last one's end in this order, which nothing
that is written meanwhile moves. The patients of a group are taken in stretches, each in this order.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from fhir_server.access import redaction
from fhir_server.access.placed import ABOUT
from fhir_server.audit.render import TYPE as EVENT
from fhir_server.model import reference
from fhir_server.model.errors import TooCostly
from fhir_server.model.query import ANYTHING, NOTHING, Distinct, Query, Where
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Hit, Stored
from fhir_server.repository import noted, redacted
from fhir_server.repository.door import Repository
from fhir_server.repository.pages import SearchPage
from fhir_server.repository.reach import Reach
from fhir_server.search import effective, page
from fhir_server.search.compartment import compartment, members
from fhir_server.search.compile import compile as compiled
from fhir_server.search.compile import selection
from fhir_server.search.expression import Criterion, Expression, Missing, OfPatients, all_of, any_of, none_of
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import reader
from fhir_server.search.types.conditions import Is

AT_ONCE = 1000
"""Instances that one query asks for."""
MOST_LED = 50_000
"""References that are followed for one stretch."""
DEEPEST = 8
"""References in a row that are followed: a role, its organization, and what that is part of."""

BORN = frozenset({"Patient", "Person", "RelatedPerson"})
"""Types whose date is a birth, and not one of care."""

ATTACHED: Mapping[str, tuple[str, ...]] = {
    "Communication": ("payload.contentAttachment.url",),
    "CommunicationRequest": ("payload.contentAttachment.url",),
    "Consent": ("sourceAttachment.url",),
    "DiagnosticReport": ("presentedForm.url",),
    "DocumentReference": ("content.attachment.url",),
    "Media": ("content.url",),
    "Patient": ("photo.url",),
}
"""Where the URL of an attachment may be that of a Binary."""

BINARY = "Binary"
UNADVISED = Where("clause", {"adv": {"$ne": True}})
"""What is no advice: that is looked up, and not handed out with a record."""

GROUP = "Group"
ITSELF, RECORD, LED = -1, 0, 1
Key = tuple[str, str]
Stretches = Callable[[str, str], Awaitable[Sequence[str]]]
"""(after, until) to the next patients of a group, up to one of them."""


class Asked(msgspec.Struct, frozen=True):
    """What is asked for.

    Attributes:
        place: URL path of the operation.
        code: Type of what it is about: Patient, Encounter or Group.
        id: Its id.
        count: Most resources of a page.
        types: Only these; all where empty.
        since: Only what was written from this instant on; empty for all.
        start: First day of care that is meant; empty for the beginning.
        end: Last day; empty for no end.
        cursor: Token of a paging link, or empty.
        applied: The parameters, as links repeat them.
    """

    place: str
    code: str
    id: str
    count: int
    types: frozenset[str] = frozenset()
    since: str = ""
    start: str = ""
    end: str = ""
    cursor: str = ""
    applied: Pairs = ()


class _Stretch(msgspec.Struct, frozen=True):
    """Patients, or the one encounter, that are gone through together.

    Attributes:
        after: The patient before the first, empty for the beginning.
        until: The last one.
        patients: Whose records these are.
    """

    after: str
    until: str
    patients: frozenset[str]


class _Spot(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ends."""

    after: str
    until: str
    stage: int
    resource_type: str
    id: str


def left_out(repository: Repository, code: str) -> list[str]:
    """Return the types of a compartment that the caller may not both read and search, by name."""
    rights = repository.rights
    held = _held("Encounter" if code == "Encounter" else "Patient", repository)
    return [name for name in held if not (rights.has(name, "r") and rights.has(name, "s"))]


def _held(compartment: str, repository: Repository) -> list[str]:
    """Return the types of a record: those of the compartment, and what R4 leaves out of it though it may name its patient."""
    about = ABOUT if compartment == "Patient" else ()
    return [*sorted({*members(compartment, repository.definitions), *about} - {EVENT})]


async def everything(
    repository: Repository, asked: Asked, base: str, stretches: Stretches | None = None, itself: Stored | None = None
) -> SearchPage:
    """Return a page; what belongs to the record is a match, what it refers to is included.

    Args:
        repository: The caller's. That the patient, encounter or group may be read was seen to.
        asked: What is asked for.
        base: The service base URL.
        stretches: Gives the patients of a group.
        itself: The group.

    Raises:
        InvalidParameter: The paging link is not ours, or a date is none.
        Gone: The paging link has expired.
        TooCostly: It refers to too much.
    """
    scope, rights = repository.scope, repository.rights
    reach = Reach(
        partial(scope.where, letter="s"),
        scope,
        partial(rights.require, letter="s"),
        None,
        base,
        noted.FIELDS if repository.footprint else (),
    )
    return await _Reading(repository, asked, reach, await repository.types(), stretches, itself).page()


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one page."""

    repository: Repository
    asked: Asked
    reach: Reach
    there: Sequence[str]
    stretches: Stretches | None
    itself: Stored | None

    async def page(self) -> SearchPage:
        """Return the page."""
        pages = self.repository.pages
        sealing = self.reach.sealing(pages.secret, pages.limits.cursor_hours)
        cursor = page.decode(self.asked, sealing)
        start = _Spot(*cursor.values) if cursor else None
        found: list[tuple[_Spot, Hit]] = []
        most = self.asked.count + 1
        async for one in self._after(start, lambda: most - len(found)):
            found.append(one)  # noqa: PERF401 - what is found already says how much more is read
        shown = found[: self.asked.count]
        following = ""
        if len(found) == most:
            following = page.encode(Cursor(msgspec.structs.astuple(shown[-1][0])), self.asked, sealing)
        matches = [hit for spot, hit in shown if spot.stage != LED]
        led = [hit for spot, hit in shown if spot.stage == LED]
        answer = SearchPage(matches, led, None if following or cursor else len(matches), following)
        return redacted.page(self.repository.scope, noted.page(self.repository.footprint, answer))

    async def _after(self, start: _Spot | None, room: Callable[[], int]) -> AsyncIterator[tuple[_Spot, Hit]]:
        """Yield what follows a place, in the order."""
        if start is None and self._shows_itself():
            yield _Spot("", "", ITSELF, GROUP, self.asked.id), self._group()
        async for stretch in self._stretches(start):
            spot = start if start and (start.after, start.until) == (stretch.after, stretch.until) else None
            if spot is None or spot.stage == RECORD:
                for name in self._record_types():
                    if spot and self._rank(name) < self._rank(spot.resource_type):
                        continue
                    beyond = spot.id if spot and spot.resource_type == name else ""
                    where, hint = self._selected(name, stretch, self._since(name))
                    async for hit in self._read(name, where, hint, beyond, room):
                        yield _Spot(stretch.after, stretch.until, RECORD, name, hit.id), hit
            if room() <= 0:
                return
            led = spot if spot and spot.stage == LED else None
            async for hit in self._led(stretch, (led.resource_type, led.id) if led else None, room):
                yield _Spot(stretch.after, stretch.until, LED, hit.resource_type, hit.id), hit

    def _shows_itself(self) -> bool:
        """Return whether the group is asked for, too."""
        if self.itself is None or not self._is_wanted(GROUP):
            return False
        since = self.asked.since
        return not since or self.itself.last_updated >= datetime.fromisoformat(since)

    def _group(self) -> Hit:
        found = self.itself
        assert found is not None  # noqa: S101 - `_shows_itself`
        return Hit(GROUP, found.id, found.body, found.envelope)

    async def _stretches(self, start: _Spot | None) -> AsyncIterator[_Stretch]:
        """Yield the stretches from the one in which a page begins."""
        one = self.asked.id
        if self.asked.code == "Encounter":
            query = Query("Encounter", _ids([one]), (), 1, "_id_", ("p",))
            rows = await self.repository.store.rows(query, None)
            yield _Stretch("", one, frozenset(row["p"] for row in rows if row.get("p")))
            return
        if self.stretches is None:
            yield _Stretch("", one, frozenset({one}))
            return
        after, until = (start.after, start.until) if start else ("", "")
        while True:
            patients = await self.stretches(after, until)
            if not patients and not until:
                return
            last = until or patients[-1]
            yield _Stretch(after, last, frozenset(patients))
            after, until = last, ""

    def _record_types(self) -> list[str]:
        """Return the types of the record of which anything is stored, what it is about first."""
        code = self._compartment
        names = [name for name in _held(code, self.repository) if name in self.there and self._is_wanted(name)]
        if self.asked.code == GROUP:  # what else they are members of names others
            names = [name for name in names if name != GROUP]
        return sorted(names, key=self._rank)

    def _rank(self, name: str) -> tuple[bool, str]:
        return name != self._compartment, name

    def _is_wanted(self, name: str) -> bool:
        return not self.asked.types or name in self.asked.types

    @property
    def _compartment(self) -> str:
        return "Encounter" if self.asked.code == "Encounter" else "Patient"

    def _selected(self, name: str, stretch: _Stretch, more: Iterable[Expression]) -> tuple[Where, str | None]:
        """Return the filter for what is of the record and fulfils more, and the index that finds it."""
        rights = self.repository.scope
        access = rights.where(name, "s")
        if (readable := rights.where(name, "r")) != access:
            access &= readable
        expression = all_of([self._of(name, stretch), *self._dated(name), *more])
        return selection(expression, name, access & UNADVISED, self.repository.definitions)

    def _of(self, name: str, stretch: _Stretch) -> Expression:
        """Return what belongs to the record."""
        definitions = self.repository.definitions
        if self.asked.code == "Encounter":
            return compartment("Encounter", self.asked.id, name, definitions)
        if name in ABOUT:
            return Criterion(params(name, definitions)[ABOUT[name]], _patients(stretch))
        if self.asked.code == GROUP and name == "Patient":  # and not those that are linked to one
            return Criterion(params(name, definitions)["_id"], tuple(map(Is, sorted(stretch.patients))))
        if len(stretch.patients) == 1:
            return compartment("Patient", min(stretch.patients), name, definitions)
        return OfPatients(stretch.patients)

    def _dated(self, name: str) -> Iterator[Expression]:
        """Yield that it is of the days of care that are meant, or of none."""
        bounds = [f"{prefix}{day}" for prefix, day in (("eb", self.asked.start), ("sa", self.asked.end)) if day]
        param = next((one for one in params(name, self.repository.definitions).values() if one.primary_date), None)
        if bounds and param is not None and name not in BORN:
            read = self._reader()
            yield from (none_of(read(name, param.code, bound, 0)) for bound in bounds)

    def _since(self, name: str) -> Iterator[Expression]:
        if self.asked.since:
            found = self._reader()(name, "_lastUpdated", f"ge{self.asked.since}", 0)
            yield effective.expression(found) if redaction.applies(self.repository.scope) else found

    def _reader(self) -> Callable[[str, str, str, int], Expression]:
        return reader(self.repository.definitions, self.repository.pages.reading)

    async def _read(
        self, name: str, where: Where, hint: str | None, beyond: str, room: Callable[[], int]
    ) -> AsyncIterator[Hit]:
        """Yield what a filter selects of a type, by id."""
        while room() > 0:
            start = Where("clause", {"_id": {"$gt": beyond}}) if beyond else ANYTHING
            limit = room()
            query = Query(name, where & start, (("_id", 1),), limit, hint, self.reach.fields)
            found = await self.repository.store.find(query, None)
            for hit in found:
                yield hit
            if len(found) < limit:
                return
            beyond = found[-1].id

    async def _led(self, stretch: _Stretch, after: Key | None, room: Callable[[], int]) -> AsyncIterator[Hit]:
        """Yield what a stretch refers to, by type and id."""
        led = await self._closure(stretch)
        for name in sorted(filter(self._is_wanted, led)):
            if after and name < after[0]:
                continue
            ids = [one for one in sorted(led[name]) if not after or (name, one) > after]
            more = [compiled(each, name, self.repository.definitions) for each in self._since(name)]
            for part in _portions(ids):
                where = await self._shown(name, part, stretch, wave=0)
                for each in more:
                    where &= each
                async for hit in self._read(name, where, "_id_", "", room):
                    yield hit

    async def _closure(self, stretch: _Stretch) -> dict[str, set[str]]:
        """Return the ids, by type, of what a stretch leads to and may be shown."""
        found: dict[str, set[str]] = {}
        waiting = await self._references(stretch)
        for wave in range(DEEPEST):
            new: dict[str, set[str]] = {}
            following: set[str] = set()
            for name, ids in _by_type(waiting, self.there).items():
                for part in _portions(sorted(ids - found.get(name, set()))):
                    where = await self._shown(name, part, stretch, wave)
                    rows = await self.repository.store.rows(Query(name, where, (), len(part), "_id_", ("rf",)), None)
                    new.setdefault(name, set()).update(row["_id"] for row in rows)
                    following.update(text for row in rows for text in row.get("rf") or ())
            for name, ids in new.items():
                found.setdefault(name, set()).update(ids)
            self._refuse_too_much(sum(map(len, found.values())))
            if not any(new.values()):
                break
            waiting = following
        return found

    async def _references(self, stretch: _Stretch) -> set[str]:
        """Return what the resources of a stretch refer to, whether or not they were written since."""
        store, found = self.repository.store, set[str]()
        for name in _held(self._compartment, self.repository):
            if name not in self.there or (self.asked.code == GROUP == name):
                continue
            where, hint = self._selected(name, stretch, ())
            if where.kind == "nothing":
                continue
            found.update(await store.distinct(Distinct(name, where, "rf", "", MOST_LED + 1, hint), None))
            if fields := tuple(f"r.{path}" for path in ATTACHED.get(name, ())):
                rows = await store.rows(Query(name, where, (), MOST_LED + 1, hint, fields), None)
                self._refuse_too_much(len(rows))
                for url in _texts([row.get("r") for row in rows]):
                    known = reference.local(url, self.reach.base)
                    if known and known.resource_type == BINARY:
                        found.add(str(known))
            self._refuse_too_much(len(found))
        return found

    async def _shown(self, name: str, ids: Sequence[str], stretch: _Stretch, wave: int) -> Where:
        """Return the filter for what some references lead to: in nobody's record, or next to an encounter in its patient's."""
        rights, definitions = self.repository.rights, self.repository.definitions
        shown = await rights.where(BINARY, "r", ids) if name == BINARY else self.repository.scope.shown(name)
        if shown.kind == "nothing":
            return NOTHING
        where = _ids(ids) & shown & UNADVISED
        if name in ABOUT:
            param = params(name, definitions)[ABOUT[name]]
            near = self.asked.code == "Encounter" and wave == 0
            about = any_of([Missing(param), *([Criterion(param, _patients(stretch))] if near else [])])
            where &= compiled(about, name, definitions)
        if self.asked.code != "Encounter":
            return where & Where("clause", {"p": None, "ps": None})
        own = [None, *sorted(stretch.patients)] if wave == 0 else [None]
        outside = none_of(compartment("Encounter", self.asked.id, name, definitions))
        return where & Where("clause", {"p": {"$in": own}}) & compiled(outside, name, definitions)

    def _refuse_too_much(self, number: int) -> None:
        if number > MOST_LED:
            raise TooCostly(
                f"The resources that are asked for refer to more than {MOST_LED:,} others. Ask for a part of them with start and "
                "end, or for single types with _type.",
                expression="http._type",
            )


def _by_type(texts: Iterable[str], there: Iterable[str]) -> dict[str, set[str]]:
    stored, found = frozenset(there), dict[str, set[str]]()
    for text in texts:
        name, _, one = text.partition("/")
        if name in stored and name != EVENT:
            found.setdefault(name, set()).add(one)
    return found


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _patients(stretch: _Stretch) -> tuple[Is, ...]:
    return tuple(Is(f"Patient/{one}") for one in sorted(stretch.patients))


def _ids(ids: Sequence[str]) -> Where:
    return Where("clause", {"_id": {"$in": list(ids)}})


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
