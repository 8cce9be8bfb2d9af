"""AuditEvents from two lanes, as one order: the rows of the trail, and the events that systems have sent.

A row has its place by its id, which begins with the time when it was made; an event that was sent, by the time that it says or
the time when it came. Of equal times rows come first. A page asks each lane for its next entries and merges them, so that
neither is walked further than the page.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from fhir_server.access.scope_filter import Letter
from fhir_server.audit.codes import Row
from fhir_server.audit.masking import anonymous, masked, references
from fhir_server.audit.render import TYPE, Observer, patients, stored
from fhir_server.audit.search import compile as compiled
from fhir_server.audit.where import EPOCH, clause, earliest_id, made, rooted
from fhir_server.model.errors import Forbidden
from fhir_server.model.query import ANYTHING, Where
from fhir_server.model.stored import Hit
from fhir_server.repository.displays import displays
from fhir_server.repository.reach import Reach
from fhir_server.search import include
from fhir_server.search.compile import compile as compiled_for_documents
from fhir_server.search.compile import plan
from fhir_server.search.expression import (
    And,
    Criterion,
    Expression,
    InCompartment,
    Not,
    Nothing,
    Or,
    all_of,
    any_of,
)
from fhir_server.search.page import Cursor
from fhir_server.search.params import params
from fhir_server.search.parse import SearchRequest
from fhir_server.search.sort import SortKey
from fhir_server.search.types.conditions import Is
from fhir_server.store import Store
from profiles.definitions.registry import Definitions

ROWS, SENT = 0, 1
MILLISECOND = timedelta(milliseconds=1)
ENDS = {-1: 2**62, 1: -1}
"""A tie-break beyond those of all documents of one time, by direction."""

INWARD = frozenset({"address", "policy"})
"""Parameters that patients do not search by: they are of the house."""

REPORTS = ("$access-report", "$accounting-of-disclosures")
TOLD = ("Organization/", "Patient/")
"""Agents that patients may search by where they are not told who of the staff it was."""

LOOKING = {"$nor": [{"rt": TYPE, "au": "patient"}, {"k": {"$in": [*REPORTS]}, "au": "patient"}]}
"""Patients are not told that they have looked who looked."""


class Spot(NamedTuple):
    """Where an entry stands: milliseconds, lane, and what tells it from others of the same time."""

    moment: int
    lane: int
    tie: Any


@dataclass(frozen=True, slots=True)
class Events:
    """Reads the events that one caller reaches.

    Attributes:
        store: The database.
        definitions: Search parameters.
        observer: This server.
        reach: What the caller reaches.
        names: Whether patients are told the names of staff, or only what work they do.
    """

    store: Store
    definitions: Definitions
    observer: Observer
    reach: Reach
    names: bool

    @property
    def is_patient(self) -> bool:
        """Whether a patient asks, who sees of a row what concerns the own record."""
        return self.reach.scope.principal.audience == "patient"

    async def read(self, event_id: str) -> Hit | None:
        """Return the event of a row, `None` where the caller reaches none of this id."""
        where = clause({"_id": event_id}) & self.reached("r")
        rows = await self._rows(where, -1, 1)
        return (await self.shown(rows))[0] if rows else None

    def reached(self, *letters: Letter) -> Where:
        """Return the filter for the rows that the caller reaches by one of the letters."""
        expression = any_of(self.reach.scope.expression(TYPE, letter) for letter in letters)
        where = compiled(expression, self.observer)
        return where & clause(LOOKING) if self.is_patient else where

    async def asked(self, expression: Expression) -> Where:
        """Return the filter for what is searched, within what the caller reaches.

        Raises:
            Forbidden: A patient asks for what is of the house.
            InvalidParameter: Rows cannot answer it.
        """
        if self.is_patient:
            expression = await self._modest(expression)
        return compiled(expression, self.observer) & self.reached("s")

    async def page(
        self, request: SearchRequest, where: Where, after: tuple[Any, ...], limit: int
    ) -> list[tuple[Spot, Hit]]:
        """Return the next entries in the order of a search.

        Args:
            request: The search.
            where: Its filter over rows (`asked`).
            after: The spot of the last entry before, empty for the beginning.
            limit: Most entries.
        """
        direction = 1 if request.sort and not request.sort[0].descending else -1
        start = Spot(*after) if after else None
        rows = await self._rows(where & _beyond(start, direction), direction, limit)
        spots = [Spot(_milliseconds(made(row["_id"])), ROWS, row["_id"]) for row in rows]
        found: list[tuple[Spot, Row | Hit]] = [*zip(spots, rows, strict=True)]
        found += await self._sent(request, start, direction, limit)
        # Lanes keep their order upwards and downwards.
        found.sort(key=lambda one: (direction * one[0].moment, one[0].lane))
        found = found[:limit]
        events = iter(await self.shown([one for _, one in found if not isinstance(one, Hit)]))
        return [(spot, one if isinstance(one, Hit) else next(events)) for spot, one in found]

    async def newest(self, where: Where, limit: int) -> list[Hit]:
        """Return the newest rows of a filter within what the caller reaches (`asked`) as events."""
        return await self.shown(await self._rows(where, -1, limit))

    async def count(self, request: SearchRequest, where: Where, most: int | None) -> int:
        """Return the number of matches in both lanes, as far as they are counted."""
        rows = 0 if where.kind == "nothing" else await self.store.trail.count(rooted(where), most)
        sent = compiled_for_documents(request.expression, TYPE, self.definitions) & self.reach.where_of(TYPE)
        found = rows + await self.store.count(TYPE, sent, most, self.reach.session)
        return found if most is None else min(found, most)

    async def shown(self, rows: Sequence[Row]) -> list[Hit]:
        """Return rows as events, as the caller may see them and with the names that the caller may know."""
        if self.is_patient:
            rows = await self._masked(rows)
        told = await displays(self.store, self.reach, rows, people=self.names or not self.is_patient)
        if self.is_patient and not self.names:
            rows = [anonymous(row, told) for row in rows]
        return [self._hit(row, told) for row in rows]

    def _hit(self, row: Row, told: dict[str, str]) -> Hit:
        found = stored(row, self.observer, told)
        own = [f"Patient/{one}" for one in patients(row)]
        touched = [f"{name}/{one}" for name, one in references(row)]
        agents = [*([row["w"]] if row.get("w") else []), *([f"Organization/{row['f']}"] if row.get("f") else [])]
        entries = {"patient": own, "entity": [*touched, *own], "agent": agents}
        envelope = {name: row[name] for name in ("p", "ps") if name in row}
        return Hit(TYPE, found.id, found.body, {**envelope, "lu": found.lu, "s": entries})

    async def _rows(self, where: Where, direction: int, limit: int) -> Sequence[Row]:
        if where.kind == "nothing":
            return []
        return await self.store.trail.find(rooted(where), limit, (("_id", direction),))

    async def _sent(
        self, request: SearchRequest, start: Spot | None, direction: int, limit: int
    ) -> list[tuple[Spot, Hit]]:
        """Return the next events that were sent."""
        where = self.reach.where_of(TYPE)
        if where.kind == "nothing":
            return []
        param = request.sort[0].param if request.sort else params(TYPE, self.definitions)["date"]
        field = "d" if param.primary_date else "lu"
        asked = replace(request, sort=(SortKey(param, descending=direction == -1),), count=limit - 1)
        cursor = None
        if start:
            moment = _moment(start.moment)
            cursor = Cursor((moment, start.tie if start.lane == SENT else ENDS[direction]))
        query = plan(asked, where, cursor, self.definitions)
        fields = tuple({*query.fields, *include.FIELDS, *self.reach.fields})
        hits = await self.store.find(replace(query, fields=fields), self.reach.session)
        return [(Spot(_milliseconds(hit.envelope[field]), SENT, int(hit.envelope["o"])), hit) for hit in hits]

    async def _masked(self, rows: Sequence[Row]) -> list[Row]:
        touched = {key for row in rows for key in references(row)}
        visible = await self._visible(touched)
        own = self._own()
        return [masked(row, own, visible, self.reach.scope.principal.user_id) for row in rows]

    async def _visible(self, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of some instances that the caller may see now."""
        known = [key for key in keys if key[0] in self.definitions.resource_types]
        return {*await self.store.exists(known, self.reach.shown, self.reach.session)}

    def _own(self) -> frozenset[str]:
        """Return the patients whose records the caller's grant is for."""
        scope = self.reach.scope
        letters: tuple[Letter, ...] = ("r", "s")
        return frozenset(
            text.removeprefix("Patient/")
            for letter in letters
            for text in _texts(scope.expression(TYPE, letter), "patient")
        )

    async def _modest(self, expression: Expression) -> Expression:
        """Return a patient's search, in which what the patient may not see is not there."""
        match expression:
            case And(items):
                return all_of([await self._modest(item) for item in items])
            case Or(items):
                return any_of([await self._modest(item) for item in items])
            case Not(item):
                return Not(await self._modest(item))
            case InCompartment(patient):
                return expression if patient in self._own() else Nothing()
            case Criterion(param, values) if param.code == "patient":
                mine = {f"Patient/{one}" for one in self._own()}
                kept = tuple(value for value in values if isinstance(value, Is) and value.text in mine)
                return Criterion(param, kept) if kept else Nothing()
            case Criterion(param, values) if param.code == "agent" and not self.names:
                told = tuple(value for value in values if isinstance(value, Is) and value.text.startswith(TOLD))
                return Criterion(param, told) if told else Nothing()
            case Criterion(param, values) if param.code == "entity":
                keys = {value: _key(value) for value in values if isinstance(value, Is)}
                visible = await self._visible(key for key in keys.values() if key)
                own = {("Patient", one) for one in self._own()}
                kept = tuple(value for value, key in keys.items() if key in visible | own)
                return Criterion(param, kept) if kept else Nothing()
            case Criterion(param) if param.code in INWARD:
                raise Forbidden(
                    f"'{param.code}' is of the house, and not for patients to search by. Use date, agent, action, type or entity.",
                    expression=f"http.{param.code}",
                )
        return expression


def just_before(spot: Spot) -> Spot:
    """Return a spot with nothing between it and this one, where the newest come first."""
    return spot._replace(tie=f"{spot.tie}~" if spot.lane == ROWS else spot.tie + 1)


def _texts(expression: Expression, code: str) -> list[str]:
    """Return the texts of the criteria on a parameter, wherever they stand."""
    match expression:
        case And(items) | Or(items):
            return [text for item in items for text in _texts(item, code)]
        case Criterion(param, values) if param.code == code:
            return [value.text for value in values if isinstance(value, Is)]
    return []


def _key(value: Is) -> tuple[str, str] | None:
    kind, mark, one = value.text.partition("/")
    return (kind, one) if mark else None


def _beyond(start: Spot | None, direction: int) -> Where:
    """Return the filter for the rows that come after a spot."""
    if start is None:
        return ANYTHING
    if start.lane == ROWS:
        return clause({"_id": {"$lt" if direction == -1 else "$gt": start.tie}})
    # After an event that was sent, all rows of the same time were shown.
    beyond = earliest_id(_moment(start.moment + (1 if direction == 1 else 0)))
    return clause({"_id": {"$lt": beyond} if direction == -1 else {"$gte": beyond}})


def _milliseconds(moment: datetime) -> int:
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return (utc - EPOCH) // MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return EPOCH + milliseconds * MILLISECOND
