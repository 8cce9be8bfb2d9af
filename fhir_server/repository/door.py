"""Write instances within the caller's scope, and see them (`holdings`): the door that every interaction goes through.

A repository is either free, each write then being a unit of its own that the store groups with those of concurrent
requests; or it is bound to a unit of work (`exclusively`), where writes gather in `Pending` until `flush`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from fhir_server.access import advice, withdrawal
from fhir_server.access.scope_filter import Letter
from fhir_server.checks import answered
from fhir_server.intake import Draft
from fhir_server.model import json
from fhir_server.model.errors import Conflict, FhirError, Unprocessable
from fhir_server.model.query import ANYTHING
from fhir_server.model.stored import Stored
from fhir_server.repository import effects, noted, redacted
from fhir_server.repository.answering import Answering
from fhir_server.repository.demand import UNCONDITIONAL, Demand
from fhir_server.repository.filling import filled
from fhir_server.repository.ground import Ground
from fhir_server.repository.holdings import Holdings
from fhir_server.repository.holds import Holds
from fhir_server.repository.pending import NONE_DRAFTED, Drafted, Key, Pending, by_type
from fhir_server.repository.subscribing import standing
from fhir_server.repository.targets import Targets, patiently, refuse_root
from fhir_server.repository.written import Upcoming, Written, envelope, kept, stored, tombstone, version
from fhir_server.store import UNMARKED, Change, Create, Delete, Exists, Live, Mark, Stale, Stamp, Unit, Update
from profiles.validate.profile.asking import Asking
from profiles.validate.questionnaire.expressions import RESPONSE

T = TypeVar("T")
TRIES = 50
MILLISECOND = timedelta(milliseconds=1)
AT_A_STRETCH = 4
"""Resources that are drafted, at 0.1 ms each, before others have their turn: who holds locks waits for it at each step."""
AGE = 1.0
"""Seconds for which the hierarchy may be another one already where only profiles go by it."""


@dataclass(frozen=True, slots=True)
class Repository(Holdings):
    """Stored resources, as one caller may reach and change them."""

    async def create(self, resource_type: str, resource_id: str, resource: dict[str, Any]) -> Written:
        """Store a new instance under an id that nobody uses.

        Raises:
            BadRequest: It is not valid.
            Forbidden: It would lie outside of the scope.
            Unprocessable: A reference leads nowhere, or it does not conform to a profile as it must.
        """
        draft = await self._answered(
            self._draft(resource_type, resource_id, advice.stamped(self.scope.principal, await self._filled(resource)))
        )
        begun = envelope(draft, self.scope, self.rules, self.root)
        draft = await self._conforming(draft, begun)

        async def attempt() -> Written:
            async with self._writing(effects.queue(resource_type, draft.resource)) as stamp:
                document = self.intake.renewed(draft).document(1, stamp.now, stamp.order, "POST", begun)
                await self.rights.permit(resource_type, "c", document)
                await self._require_targets(draft)
                held = await self._commit([Create(resource_type, document)])
            self._note_created(resource_type, resource_id)
            return Written(self._shown(resource_type, document), created=True, warnings=draft.told, held=held)

        return await self._holds.swept(await (attempt() if self.pending else patiently(attempt)))

    async def update(
        self, resource_type: str, resource_id: str, resource: dict[str, Any], demand: Demand = UNCONDITIONAL
    ) -> Written:
        """Store a new version, or the first one where the id is not in use.

        Args:
            resource_type: Type.
            resource_id: Logical id.
            resource: What the client sent.
            demand: What the client demands of the current version.

        Raises:
            BadRequest: It is not valid.
            Forbidden: The current version or the new one lies outside of the scope.
            NotFound: Somebody else has the id.
            PreconditionFailed: The current version is not what was demanded.
            Unprocessable: A reference leads nowhere, or it does not conform to a profile as it must.
            Conflict: Other writers came first again and again.
        """
        resource = await self._filled(resource)
        draft = await self._answered(self._draft(resource_type, resource_id, resource))

        async def attempt(live: Live | None) -> Written:
            demand.check(version(live), f"{resource_type}/{resource_id}")
            if live is None:
                await self.rights.refuse_taken(resource_type, resource_id, "u")
                return await self._create_at(draft)
            whole, unseen = await self._whole(live, draft, resource)
            return await self._supersede(live, whole, "PUT", unseen)

        return await self._holds.swept(await self._in_turn(resource_type, resource_id, "u", attempt))

    async def patch(
        self,
        resource_type: str,
        resource_id: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        demand: Demand = UNCONDITIONAL,
    ) -> Written:
        """Store what `change` makes of the current version.

        Raises:
            NotFound: No such instance.
            Gone: It was deleted.
            Forbidden: The current version or the new one lies outside of the scope.
            FhirError: Whatever `change` or the checks of its result raise.
        """

        async def attempt(live: Live | None) -> Written:
            if live is None:
                where = await self.rights.where(resource_type, "u", [resource_id])
                raise await self._absence(resource_type, resource_id, where)
            demand.check(version(live), f"{resource_type}/{resource_id}")
            changed = change(json.decode(redacted.one(self.scope, live.stored).body))
            draft = await self._answered(self.intake.draft(resource_type, resource_id, await self._filled(changed)))
            whole, unseen = await self._whole(live, draft, changed)
            return await self._supersede(live, whole, "PATCH", unseen)

        return await self._holds.swept(await self._in_turn(resource_type, resource_id, "u", attempt))

    async def delete(self, resource_type: str, resource_id: str, demand: Demand = UNCONDITIONAL) -> Stored | None:
        """Delete an instance; return the deletion, or `None` where there was nothing to delete.

        Raises:
            Conflict: Another resource refers to it, or it is the deployment's root Organization.
            Forbidden: It can be seen but not deleted.
            PreconditionFailed: The current version is not what was demanded.
        """
        refuse_root(resource_type, resource_id, self.root)

        async def attempt(live: Live | None) -> Stored | None:
            demand.check(version(live), f"{resource_type}/{resource_id}")
            if live is None:
                return None
            if self.pending:
                self.pending.deleted.add((resource_type, resource_id))
                return await self._bury(live, self.pending.mark)
            async with self.leaving([key := (resource_type, resource_id)]) as mark:
                await self._targets.refuse_referrer(resource_type, resource_id)
                buried = await self._bury(live, mark)
                mark.gone.add(key)
                return buried

        return await self._in_turn(resource_type, resource_id, "d", attempt)

    def leaving(self, instances: Sequence[Key]) -> AbstractAsyncContextManager[Mark]:
        """Keep others from referring to the instances, which are about to be deleted, while inside; yields their mark."""
        return self._targets.leaving(instances)

    async def drafted(self, resources: Iterable[tuple[Key, dict[str, Any]]]) -> Drafted:
        """Return the drafts of resources that a unit of work is going to write, as far as they are valid.

        So they are checked before it begins and holds locks, others have their turns meanwhile, and to repeat it costs less.

        Args:
            resources: Type and id, and the resource, which must not change any more.
        """
        found: dict[Key, tuple[dict[str, Any], Draft]] = {}
        for number, (key, resource) in enumerate(resources, 1):
            if number % AT_A_STRETCH == 0:
                await asyncio.sleep(0)
            if await self._filled(resource) is resource and not self.scope.principal.advisory:
                with suppress(FhirError):  # it is told when its turn comes, with what stands before it
                    found[key] = resource, self._draft(*key, resource)
        return found

    def _draft(self, resource_type: str, resource_id: str, resource: dict[str, Any]) -> Draft:
        """Return the draft of a resource, the one that was made ahead where there is one."""
        made = self.pending.drafted.get((resource_type, resource_id)) if self.pending else None
        if made and made[0] is resource:
            return made[1]
        return self.intake.draft(resource_type, resource_id, resource, published=self.published)

    async def exclusively(
        self,
        locks: Sequence[str],
        types: Iterable[str],
        work: Callable[["Repository"], Awaitable[T]],
        drafted: Drafted = NONE_DRAFTED,
        mark: Mark = UNMARKED,
    ) -> T:
        """Run `work` in one unit of work while nobody else holds any of the locks; repeat it on a transient conflict.

        Args:
            locks: Names, in sorted order.
            types: Resource types that it may write.
            work: Gets a repository bound to the unit; what it wrote is committed when it returns.
            drafted: Drafts that were made ahead.
            mark: On what it deletes.

        Raises:
            Conflict: Other writers kept coming first for several seconds.
        """
        if self.pending:
            return await work(self)
        await self.store.prepare(types := [*types])
        names, held = sorted({*locks, *effects.locks(types)}), list[Key]()

        async def once() -> T:
            async with self.turns.take(names), self.store.clock.writing() as stamp:

                async def attempt(unit: Unit) -> T:
                    noted.begun(self.footprint)
                    await unit.lock(names)
                    pending = Pending(unit, stamp.now, self.store.clock, drafted, mark)
                    bound = replace(self, pending=pending)
                    result = await work(bound)
                    await bound.flush()
                    await unit.apply(noted.unit(self.footprint, pending.rows, result))
                    held[:] = pending.held
                    return result

                return await self.store.transact(attempt)

        result = await patiently(once)
        await self._holds.sweep(held)
        noted.committed(self.footprint)
        return result

    async def expect(self, instances: Iterable[tuple[Key, Letter]], places: Mapping[Key, str]) -> None:
        """Prepare for what a bundle is about to write.

        Args:
            instances: Those that it changes, each with the letter that it needs; their current versions are read ahead, and
                of those that have none it is asked whether they ever had one: two queries for each type.
            places: FHIRPath location of each resource in the bundle, for findings that show only when all is known.
        """
        if not self.pending:
            return
        self.pending.places.update(places)
        for (resource_type, letter), ids in by_type(instances).items():
            where = await self.rights.where(resource_type, letter, ids)
            found = await self.store.current(resource_type, ids, where, self._session)
            self.pending.known |= {(resource_type, each, letter): found.get(each) for each in ids}
            if absent := [each for each in ids if each not in found]:
                former = await self.store.with_history(resource_type, absent, self._session)
                self.pending.unused |= {(resource_type, each) for each in absent if each not in former}

    async def upcoming(self, resource_type: str, resource_id: str) -> Upcoming:
        """Return what a write of an instance would make now."""
        live = await self._live(resource_type, resource_id, "u")
        if live:
            return Upcoming(live.stored.vid + 1, creates=False)
        last = await self._last(resource_type, resource_id)
        return Upcoming(last.vid + 1 if last else 1, creates=True)

    async def send(self) -> None:
        """Send the gathered writes, so that later searches in this unit of work see them; references may still dangle."""
        if self.pending:
            await self._send(self.pending.unit, self.pending.take())

    async def flush(self) -> None:
        """Send the gathered writes, and see to it that no reference dangles.

        Raises:
            Unprocessable: A reference leads nowhere, or a Questionnaire does not allow its answers.
            Conflict: Something still refers to what was deleted.
        """
        if not self.pending:
            return
        pending = self.pending
        await self._targets.require(pending.needed, pending.places, pending.created, pending.deleted)
        await self.send()
        for draft in pending.answered:
            await Answering(self, self.checks).checked(draft, "enforce", pending.places)
        await self._targets.refuse_referrers(sorted(pending.deleted))

    @property
    def _targets(self) -> Targets:
        return Targets(self.store, self.rules.references == "enforce", self.rights.referable, self._session)

    async def _in_turn(
        self, resource_type: str, resource_id: str, letter: Letter, attempt: Callable[[Live | None], Awaitable[T]]
    ) -> T:
        """Run `attempt` on the current version within the scope; again on the newer one when another writer came first."""
        if self.pending:
            return await attempt(await self._live(resource_type, resource_id, letter))
        async with self.turns.take([f"{resource_type}/{resource_id}"]):
            for _ in range(TRIES):
                live = await self._live(resource_type, resource_id, letter)
                try:
                    return await patiently(partial(attempt, live))
                except (Stale, Exists):
                    continue
        raise Conflict(f"{resource_type}/{resource_id} is being changed by others all the time. Try again.")

    async def _live(self, resource_type: str, resource_id: str, letter: Letter) -> Live | None:
        """Return the current version, in a unit of work as it was when the unit began; `None` where it is not to be seen.

        Raises:
            Forbidden: It is to be seen, but not to be written so.
        """
        if self.pending:
            key = (resource_type, resource_id, letter)
            if key not in self.pending.known:
                await self.expect([((resource_type, resource_id), letter)], {})
            live = self.pending.known[key]
        else:
            where = await self.rights.where(resource_type, letter, [resource_id])
            live = (await self.store.current(resource_type, [resource_id], where)).get(resource_id)
        if live is None:
            await self.rights.refuse_seen(resource_type, resource_id, letter)
        else:
            await self.rights.require_own(resource_type, live.document, letter)
        return live

    async def _answered(self, draft: Draft) -> Draft:
        """Return a draft whose questions or answers have been checked, as far as the settings say."""
        way = self.validation.questionnaires
        if self.published:
            return draft
        if self.pending and way == "enforce" and draft.resource_type == RESPONSE:
            self.pending.answered.append(draft)
            return draft
        return await Answering(self, self.checks).checked(draft, way)

    async def _last(self, resource_type: str, resource_id: str) -> Stored | None:
        """Return the end of an instance that is not there now, `None` where it never was there."""
        if self.pending and (resource_type, resource_id) in self.pending.unused:
            return None
        return await self.store.last_version(resource_type, resource_id, ANYTHING, self._session)

    async def _bury(self, live: Live, mark: Mark) -> Stored:
        """Delete the current version, where the mark still is on it."""
        last = live.stored
        async with self._writing(effects.queue(last.resource_type, {})) as stamp:
            moment = max(stamp.now, last.last_updated + MILLISECOND)
            row = tombstone(live, moment, stamp.order)
            marked = mark.on((last.resource_type, last.id))
            await self._commit([Delete(last.resource_type, last.id, live.document, row, marked)])
        return Stored(last.resource_type, last.id, last.vid + 1, moment, b"", "DELETE", deleted=True)

    async def _create_at(self, draft: Draft) -> Written:
        """Create an instance under an id that the client chose; its versions continue after a deletion."""
        last = await self._last(draft.resource_type, draft.id)
        vid = last.vid if last else 0
        begun = envelope(draft, self.scope, self.rules, self.root)
        draft = await self._conforming(draft, begun)
        async with self._writing(effects.QUEUED.get(draft.resource_type, ())) as stamp:
            moment = max(stamp.now, last.last_updated + MILLISECOND) if last else stamp.now
            document = self.intake.renewed(draft).document(vid + 1, moment, stamp.order, "PUT", begun)
            # The letter for updates covers those that create (SMART 3.0.2.2).
            await self.rights.permit(draft.resource_type, "u", document)
            await self._require_targets(draft)
            held = await self._commit([Create(draft.resource_type, document)])
        self._note_created(draft.resource_type, draft.id)
        return Written(self._shown(draft.resource_type, document), created=True, warnings=draft.told, held=held)

    async def _whole(self, live: Live, draft: Draft, written: dict[str, Any]) -> tuple[Draft, AbstractSet[Key]]:
        """Return a draft with what its writer was not shown of the current version, and where that alone leads."""
        resource = redacted.restored(self.scope, live.stored, written)
        if resource is written:
            return draft, frozenset()
        whole = await self._answered(self.intake.draft(draft.resource_type, draft.id, resource))
        return whole, frozenset(self._targets.of(whole)) - frozenset(self._targets.of(draft))

    async def _supersede(
        self, live: Live, draft: Draft, method: str, unseen: AbstractSet[Key] = frozenset()
    ) -> Written:
        vid = live.stored.vid
        envelope = kept(live)
        draft = await self._conforming(draft, envelope)
        async with self._writing() as stamp:
            moment = max(stamp.now, live.stored.last_updated + MILLISECOND)
            # The tie-break stays, so that an update moves nothing among equals while somebody pages through them.
            order = live.document["o"]
            document = self.intake.renewed(draft).document(vid + 1, moment, order, method, envelope)
            document |= withdrawal.envelope(live.document, document)
            await self.rights.permit(draft.resource_type, "u", document, live.stored)
            whole = not (self.pending or redacted.applies(self.scope))
            await self._require_targets(draft, self._targets.kept(live) if whole else unseen)
            held = await self._commit([Update(draft.resource_type, document, vid, live.document)])
        shown = method == "PUT" or self.rights.sees(draft.resource_type, document)
        written = self._shown(draft.resource_type, document)
        return Written(written, created=False, warnings=draft.told, shown=shown, held=held)

    async def _filled(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return a resource as it is to be stored: a Subscription as it stands then, with displays where the settings say so."""
        resource = standing(resource, self.scope)
        if self.rules.fill_displays == "off" or self.terms is None or self.published:
            return resource
        return await filled(resource, self.definitions, self.terms.seen_by(self))

    async def _conforming(self, draft: Draft, envelope: Mapping[str, Any]) -> Draft:
        """Return the draft with the warnings of profiles, by the rules of the facility that keeps it.

        Raises:
            Unprocessable: It does not conform, and that is enforced.
        """
        if self.published:
            return draft
        tree = await self.house.lately(AGE) if self.conformance.by_facility else None
        keeper, asked = envelope.get("f", ""), self.validation.bindings
        if self.terms is None or asked == "off":
            return self.conformance.judged(draft, keeper, tree)
        asking = Asking(extensible=asked != "required", codes=asked == "codes")

        def judged() -> Draft | Unprocessable:
            try:
                return self.conformance.judged(draft, keeper, tree, asking)
            except Unprocessable as refusal:
                return refusal

        found = await answered(judged, asking, self.terms.seen_by(self))
        if isinstance(found, Unprocessable):
            raise found
        return found

    def _writing(self, locks: Sequence[str] = ()) -> AbstractAsyncContextManager[Stamp]:
        if self.pending:
            return self.pending.writing()
        return self._in_line(locks) if locks else self.store.clock.writing()

    @asynccontextmanager
    async def _in_line(self, locks: Sequence[str]) -> AsyncIterator[Stamp]:
        """Count as in flight only when its turn for the locks has come: deletions of anything wait for what is in flight."""
        async with self.turns.take(locks), self.store.clock.writing() as stamp:
            yield stamp

    async def _commit(self, changes: Sequence[Change]) -> bool:
        """Write, or have it written with the rest of the unit of work; return whether a hold is or was on it."""
        changes = noted.written(self.footprint, changes, alone=not self.pending)
        if self.pending:
            self.pending.add(changes)
            return False
        held = await self._holds.concerned(changes)
        if not (held or await effects.needed(self.store, changes)):
            await self.store.commit(changes)
        elif not held and await effects.goes_along(self._ground, changes):
            await self.store.commit(changes, alters=True)
        else:
            await self.store.transact(lambda unit: self._send(unit, changes), effects.types(changes))
        noted.committed(self.footprint)
        return bool(held)

    async def _send(self, unit: Unit, changes: Sequence[Change]) -> None:
        """Write in a unit of work, with all that the changes bring with them."""
        await effects.write(self._ground, changes, unit, locked=self.pending is not None)
        held = await self._holds.settle(changes, unit)
        if self.pending:
            self.pending.held += held

    @property
    def _ground(self) -> Ground:
        return Ground(
            self.store,
            self.definitions.own,
            self.intake.reading,
            self.scope,
            self.pending.places if self.pending else {},
            self.root,
            self.rules,
            self.published,
            self.definitions,
            self.offer,
        )

    @property
    def _holds(self) -> Holds:
        return Holds(self.store, self.intake.reading.base, self.rules.references == "enforce")

    def _shown(self, resource_type: str, document: Mapping[str, Any]) -> Stored:
        """Return what was written as the caller is shown it."""
        return redacted.one(self.scope, stored(resource_type, document))

    def _note_created(self, resource_type: str, resource_id: str) -> None:
        if self.pending:
            self.pending.created.add((resource_type, resource_id))

    async def _require_targets(self, draft: Draft, known: AbstractSet[Key] = frozenset()) -> None:
        """Refuse references that lead nowhere; in a unit of work that is looked at when all its writes are known.

        Those that were there before (`known`) are not asked about: what they lead to stays.
        """
        needed = dict.fromkeys((key for key in self._targets.of(draft) if key not in known), draft)
        if self.pending:
            self.pending.needed |= needed
        else:
            await self._targets.require(needed, {})
