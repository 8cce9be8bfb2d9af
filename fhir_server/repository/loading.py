"""Loading: many resources at once, each under its own id, in units of work of some hundred.

A line passes every check that a PUT of the same resource by the same caller passes. What differs is what they share: one
transaction, one look at what is there, and one row of the trail that names every version it wrote. A resource that is there
already as the line has it is left as it is, so whoever sends the same again changes nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, cast

from fhir_server.access import advice
from fhir_server.access.scope_filter import Letter
from fhir_server.audit.footprint import BROKEN, Footprint
from fhir_server.intake import Draft
from fhir_server.model import ids
from fhir_server.model.errors import (
    BadRequest,
    FhirError,
    Forbidden,
    Gone,
    NotFound,
    TooLarge,
    UnknownType,
    Unprocessable,
)
from fhir_server.repository.door import Repository
from fhir_server.repository.pending import Key
from fhir_server.repository.targets import dangling
from fhir_server.repository.written import Written, envelope
from fhir_server.store import Create

AT_A_STRETCH = 16
"""Resources that are checked, at 0.3 ms each, before others have their turn."""

OWN_FAULT = (BadRequest, Forbidden, NotFound, Gone, TooLarge, UnknownType, Unprocessable)
"""Refusals of one resource, after which the others of its unit of work go on."""


@dataclass(frozen=True, slots=True)
class Line:
    """One resource to load.

    Attributes:
        place: Where it stands, counted from 1.
        resource: What it is.
        spare: Id that it gets where it has none; the same line gets the same one again.
    """

    place: int
    resource: dict[str, Any]
    spare: str

    @property
    def key(self) -> Key:
        """Type and id, as far as they can be told."""
        return str(self.resource.get("resourceType", "")), str(self.resource.get("id", self.spare))

    @property
    def name(self) -> str:
        """`Type/id`, as far as it can be told."""
        return "/".join(self.key)


@dataclass(slots=True)
class Loaded:
    """What became of some lines.

    Attributes:
        created: How many are new, by type.
        updated: How many have a new version, by type.
        unchanged: How many were there already just so.
        refused: Lines that were not stored, each with the reason.
    """

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    refused: list[tuple[Line, FhirError]] = field(default_factory=list)

    def note(self, resource_type: str, written: Written | None) -> None:
        """Count a line that is stored."""
        if written is None:
            self.unchanged += 1
        else:
            (self.created if written.created else self.updated)[resource_type] += 1

    def add(self, other: "Loaded") -> None:
        """Count what became of others, too."""
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.refused += other.refused


@dataclass(frozen=True, slots=True)
class Checked:
    """A line that has passed the checks that need no database."""

    line: Line
    draft: Draft
    letter: Letter


async def load(repository: Repository, lines: Sequence[Line], begin: Callable[[], Footprint | None]) -> Loaded:
    """Store lines in their order, as far as each may be stored: of two with one id the later one is what is there then.

    Args:
        repository: Within what the caller reaches.
        lines: A few hundred.
        begin: Begins what a unit of work leaves in the trail.

    Raises:
        Unavailable: The database cannot be reached, or did not confirm; what is known of these lines is nothing.
    """
    loader = Loader(**{each.name: getattr(repository, each.name) for each in fields(repository)})
    loaded = Loaded()
    async for unit in loader.units(lines, loaded):
        await loader.store_all(unit, begin, loaded)
    denied = next((line for line, error in loaded.refused if isinstance(error, Forbidden)), None)
    if denied and (vain := begin()):
        vain.target = "/".join(denied.key)
        await repository.store.trail.add(vain.row(Forbidden.status))
    return loaded


@dataclass(frozen=True, slots=True)
class Loader(Repository):
    """A repository that loads."""

    async def units(self, lines: Sequence[Line], loaded: Loaded) -> AsyncIterator[list[Checked]]:
        """Yield what passes the checks, in stretches without two of one instance; note what does not."""
        unit: dict[Key, Checked] = {}
        allowed: dict[tuple[str, Letter], FhirError | None] = {}
        for number, line in enumerate(lines, 1):
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            try:
                checked = await self._checked(line, allowed)
            except OWN_FAULT as error:
                loaded.refused.append((line, error))
                continue
            if line.key in unit:
                yield [*unit.values()]
                unit = {}
            unit[line.key] = checked
        if unit:
            yield [*unit.values()]

    async def store_all(self, unit: Sequence[Checked], begin: Callable[[], Footprint | None], loaded: Loaded) -> None:
        """Store what was checked: together, and where that is refused without what leads nowhere, else each on its own."""
        if await self._tried(unit, begin, loaded) is None:
            return
        rest, refused = await self._resolved(unit)
        loaded.refused += refused
        if not rest or (refused and await self._tried(rest, begin, loaded) is None):
            return
        for checked in rest:
            if error := await self._tried([checked], begin, loaded):
                loaded.refused.append((checked.line, error))

    async def _tried(
        self, unit: Sequence[Checked], begin: Callable[[], Footprint | None], loaded: Loaded
    ) -> FhirError | None:
        """Store all together; return why none of it was stored, where that is the fault of what was sent."""
        try:
            await self._together(unit, begin, loaded)
        except FhirError as error:
            if error.status >= BROKEN:
                raise
            return error
        return None

    async def _checked(self, line: Line, allowed: dict[tuple[str, Letter], FhirError | None]) -> Checked:
        resource = line.resource
        resource_type, resource_id = resource.get("resourceType"), resource.get("id", line.spare)
        if not isinstance(resource_type, str) or resource_type not in self.definitions.resource_types:
            raise UnknownType(
                f"'{str(resource_type)[:60]}' is not a resource type of FHIR R4. Each line is one resource, with its resourceType."
            )
        if not isinstance(resource_id, str) or not ids.valid(resource_id):
            raise BadRequest(
                f"'{str(resource_id)[:64]}' is not a valid id: {ids.RULE}.", expression=f"{resource_type}.id"
            )
        letter: Letter = "u" if "id" in resource else "c"
        if (resource_type, letter) not in allowed:
            allowed[resource_type, letter] = self._refusal(resource_type, letter)
        if refusal := allowed[resource_type, letter]:
            raise refusal
        filled = await self._filled(resource)
        if letter == "c":
            filled = advice.stamped(self.scope.principal, filled)
        return Checked(line, self.intake.draft(resource_type, resource_id, filled), letter)

    def _refusal(self, resource_type: str, letter: Letter) -> FhirError | None:
        try:
            self.rights.require([resource_type], letter)
        except FhirError as error:
            return error
        return None

    async def _together(self, unit: Sequence[Checked], begin: Callable[[], Footprint | None], loaded: Loaded) -> None:
        """Store all in one unit of work, but those that are refused one by one.

        Raises:
            FhirError: All of it was refused, for what one of them is.
        """

        async def work(bound: Repository) -> Loaded:
            return await cast(Loader, bound).store_each(unit)  # the same repository, bound to the unit of work

        types = {one.draft.resource_type for one in unit}
        loaded.add(await replace(self, footprint=begin()).exclusively((), types, work))

    async def store_each(self, unit: Sequence[Checked]) -> Loaded:
        """Return what becomes of lines in the unit of work that this is bound to."""
        loaded = Loaded()
        await self.expect([((one.draft.resource_type, one.draft.id), one.letter) for one in unit], {})
        for number, one in enumerate(unit, 1):
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            try:
                loaded.note(one.draft.resource_type, await self._store(one))
            except OWN_FAULT as error:
                loaded.refused.append((one.line, error))
        return loaded

    async def _store(self, one: Checked) -> Written | None:
        """Write a line in the unit of work that this is bound to; `None` where there is nothing to be changed."""
        draft = await self._answered(one.draft)
        live = await self._live(draft.resource_type, draft.id, one.letter)
        if live is None:
            if one.letter == "u":
                await self.rights.refuse_taken(draft.resource_type, draft.id, "u")
                return await self._create_at(draft)
            return await self._create_new(draft)
        whole, unseen = await self._whole(live, draft, one.line.resource)
        if whole.says(live.stored):
            return None
        return await self._supersede(live, whole, "PUT", unseen)

    async def _conforming(self, draft: Draft, envelope: Mapping[str, Any]) -> Draft:
        """Return the draft when it may be stored; what profiles only warn of nobody is told."""
        # Without arguments `super()` does not find a class with slots.
        return await Repository._conforming(self, draft, envelope) if self.conformance.enforces else draft  # noqa: SLF001 - its own

    async def _create_new(self, draft: Draft) -> Written:
        begun = envelope(draft, self.scope, self.rules, self.root)
        draft = await self._conforming(draft, begun)
        async with self._writing() as stamp:
            document = self.intake.renewed(draft).document(1, stamp.now, stamp.order, "POST", begun)
            await self.rights.permit(draft.resource_type, "c", document)
            await self._require_targets(draft)
            await self._commit([Create(draft.resource_type, document)])
        self._note_created(draft.resource_type, draft.id)
        return Written(self._shown(draft.resource_type, document), created=True)

    async def _resolved(self, unit: Sequence[Checked]) -> tuple[list[Checked], list[tuple[Line, FhirError]]]:
        """Return what refers only to what is there or among them, and the others with the reason."""
        targets = self._targets
        needed = {key for one in unit for key in targets.of(one.draft)}
        there = await self.store.exists(needed, self.rights.referable)
        rest, refused = [*unit], list[tuple[Line, FhirError]]()
        while True:
            known = there | {(one.draft.resource_type, one.draft.id) for one in rest}
            absent = [[key for key in targets.of(one.draft) if key not in known] for one in rest]
            refused += [(one.line, dangling(one.draft, keys)) for one, keys in zip(rest, absent, strict=True) if keys]
            if not any(absent):
                return rest, refused
            rest = [one for one, keys in zip(rest, absent, strict=True) if not keys]
