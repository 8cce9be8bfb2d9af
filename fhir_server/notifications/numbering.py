"""Goes through the versions of the record in their order, and gives those that concern a Subscription a number in it.

The outbox is the record itself: a version is there if and only if its write is. Up to the horizon all versions are there, and all
Subscriptions that were written; so what is found there is found by everybody, whenever it is gone through. It is numbered in the
transaction that moves the place on, once.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fhir_server.model import json
from fhir_server.model.errors import Forbidden
from fhir_server.model.stored import Stored
from fhir_server.notifications.reach import Reaches
from fhir_server.notifications.register import Register, Subscribed
from fhir_server.repository import Repository
from fhir_server.store import Event, Moved, Place, Store, Unit, kept_until
from fhir_server.store.outbox import Key, moment_of

AT_ONCE = 500
NOTED_AFTER = 5.0
"""Seconds after which the place is noted although nothing was found, so that not too much is gone through again."""

LAST = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Document = Mapping[str, Any]


class Numbering:
    """Numbers events.

    Args:
        store: The database.
        register: The Subscriptions.
        reaches: What subscribers may see.
        keep_days: How long events are kept.
    """

    def __init__(self, store: Store, register: Register, reaches: Reaches, keep_days: float) -> None:
        self._store = store
        self._register = register
        self._reaches = reaches
        self._keep_days = keep_days
        self._place: Place | None = None
        self._at: tuple[datetime, int] | None = None
        self._noted = 0.0

    async def step(self, repository: Repository) -> bool:
        """Go on as far as there is something; return whether there may be more already.

        Args:
            repository: Everything, with the search parameters of now.

        Raises:
            Unavailable: The database cannot be reached.
        """
        horizon = await self._store.horizon()
        await self._register.renew(horizon, repository)
        asking = [one for one in self._register if one.goes_on(self._at[0] if self._at else EPOCH)]
        if not asking:
            self._place = self._at = None
            return False
        place, at = await self._where(asking)
        open_types = {
            rule.resource_type
            for one in asking
            for term in one.terms
            if term.until is None or term.until > at[0]
            for rule in term.rules
        }
        versions, more = await self._store.outbox.following(sorted(open_types), at, horizon, AT_ONCE)
        to = moment_of(versions[-1]) if more else max((horizon, LAST), at)
        found = await self._found(versions, asking, repository) if versions else {}
        if found or (to[0] - place.last_updated).total_seconds() > NOTED_AFTER:
            await self._store_events(place, to, found)
        self._at = to
        return more

    async def _where(self, asking: Sequence[Subscribed]) -> tuple[Place, tuple[datetime, int]]:
        """Return the place that is noted, and up to where this process has gone through versions."""
        earliest = min(term.since for one in asking for term in one.terms)
        place = self._place or await self._store.subscriptions.place(earliest)
        # Before the first of the Subscriptions there is nothing to tell.
        at = max(self._at or (place.last_updated, place.order), (earliest, LAST))
        self._place, self._at = place, at
        return place, at

    async def _store_events(self, place: Place, to: tuple[datetime, int], found: Mapping[str, Sequence[Event]]) -> None:
        until = kept_until(self._store.clock.now(), self._keep_days)

        async def move(unit: Unit) -> dict[str, int]:
            return await self._store.subscriptions.move(place, to, found, until, unit.session)

        try:
            before = await self._store.transact(move)
        except Moved:
            # Another process has done it, or this one has without hearing of it.
            self._place = self._at = None
            self._register.forget()
            return
        self._place = Place(to[0], to[1], place.number + 1)
        for subscription, number in before.items():
            if one := self._register.get(subscription):
                one.number = number + len(found[subscription])

    async def _found(
        self, versions: Sequence[Stored], asking: Sequence[Subscribed], repository: Repository
    ) -> dict[str, list[Event]]:
        """Return the events of these versions by Subscription, those that its subscriber may see."""
        concerned: dict[str, list[Stored]] = {}
        before = await self._before(versions)
        documents: dict[Key, Document | None] = {}

        def document(version: Stored | None) -> Document | None:
            if version is None or version.deleted:
                return None
            key = _key(version)
            if key not in documents:
                documents[key] = _document(version, repository)
            return documents[key]

        for version in versions:
            past = before.get((version.resource_type, version.id, version.vid - 1))
            for one in asking:
                for term in one.terms:
                    if term.covers(version.last_updated) and any(
                        rule.resource_type == version.resource_type
                        and rule.applies(
                            document(past) if rule.looks_back or version.deleted else _shadow(past), document(version)
                        )
                        for rule in term.rules
                    ):
                        concerned.setdefault(one.id, []).append(version)
                        break
        found: dict[str, list[Event]] = {}
        for one in asking:
            own = concerned.get(one.id)
            if own and (events := await self._visible(one, own, repository)):
                found[one.id] = events
        return found

    async def _before(self, versions: Sequence[Stored]) -> dict[Key, Stored]:
        """Return the versions before these, which say whether there was something, and what."""
        keys = [(one.resource_type, one.id, one.vid - 1) for one in versions if one.vid > 1]
        return await self._store.outbox.versions(keys) if keys else {}

    async def _visible(self, one: Subscribed, versions: Sequence[Stored], repository: Repository) -> list[Event]:
        """Return as events those of some versions that the subscriber may see now."""
        try:
            seen = (await self._reaches.repository(one, repository)).rights
        except Forbidden as error:
            one.fault = str(error)
            return []
        kinds = {version.resource_type for version in versions}
        wheres = {
            kind: await seen.where(kind, "r", [version.id for version in versions if version.resource_type == kind])
            for kind in kinds
        }
        visible = await self._store.outbox.visible([_key(version) for version in versions], lambda kind: wheres[kind])
        return [
            Event(one.run, 0, each.resource_type, each.id, each.vid, each.method, each.last_updated)
            for each in versions
            if _key(each) in visible
        ]


def _key(version: Stored) -> Key:
    return version.resource_type, version.id, version.vid


def _shadow(past: Stored | None) -> Document | None:
    """Return something for a version that is only asked whether it was there."""
    return {"_id": past.id} if past is not None and not past.deleted else None


def _document(version: Stored, repository: Repository) -> Document:
    """Return a version as the document that criteria are evaluated on."""
    fields = repository.intake.fields(json.decode(version.body))
    return {**fields, "_id": version.id, "v": version.vid, "lu": version.last_updated.astimezone(UTC)}
