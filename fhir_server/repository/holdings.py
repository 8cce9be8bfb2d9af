"""See stored resources within the caller's scope: reads, searches, histories. `door` adds writing to it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec

from fhir_server.access import redaction, withdrawal
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.audit.footprint import Footprint
from fhir_server.checks import Checks, Terms
from fhir_server.conformance import Conformance
from fhir_server.facilities.house import House
from fhir_server.intake import Intake
from fhir_server.model import json
from fhir_server.model.errors import FhirError, NotFound
from fhir_server.model.query import Query, Where
from fhir_server.model.request import Pairs
from fhir_server.model.stored import Stored
from fhir_server.repository import cohorts, noted, redacted
from fhir_server.repository.absence import absence
from fhir_server.repository.locks import Turns
from fhir_server.repository.pages import Pages, SearchPage
from fhir_server.repository.past import HistoryPage, HistoryRequest
from fhir_server.repository.pending import Key, Pending
from fhir_server.repository.reach import Reach
from fhir_server.repository.rights import GUARDED, Rights
from fhir_server.repository.written import gone
from fhir_server.search import effective
from fhir_server.search.parse import SearchRequest
from fhir_server.search.system import SystemRequest
from fhir_server.settings import Record, Validation
from fhir_server.store import Store
from fhir_server.subscriptions import Offer
from profiles.definitions.registry import Definitions

VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Stored resources, as one caller may reach them.

    Attributes:
        store: The database.
        intake: Checks of incoming resources.
        definitions: FHIR definitions.
        rules: Settings of the record.
        scope: What the caller may reach.
        pages: Runs searches and histories.
        root: Id of the deployment's root Organization, empty before it exists.
        house: The hierarchy of now.
        checks: What finds what is wrong with a resource, beyond the base definitions.
        validation: Which of that is looked for on a write.
        conformance: What becomes of what does not conform to profiles.
        turns: Queues writers of one resource inside this process.
        pending: The unit of work that this repository is bound to, `None` for a free one.
        footprint: What the interaction leaves in the audit trail; `None` where none is kept.
        published: Whether what is written are definitions of guides, which were checked as such.
        terms: Who answers what checks leave open about codes; `None` where nobody does.
        offer: What can be subscribed to; `None` for nothing.
    """

    store: Store
    intake: Intake
    definitions: Definitions
    rules: Record
    scope: ScopeFilter
    pages: Pages
    root: str
    house: House
    checks: Checks
    validation: Validation
    conformance: Conformance
    turns: Turns = field(default_factory=Turns)
    pending: Pending | None = None
    footprint: Footprint | None = None
    published: bool = False
    terms: Terms | None = None
    offer: Offer | None = None

    async def read(self, resource_type: str, resource_id: str) -> Stored:
        """Return the current version.

        Raises:
            NotFound: No such instance within the scope.
            Gone: It was deleted.
        """
        if cohorts.is_virtual(resource_type, resource_id):
            return redacted.one(self.scope, noted.read(self.footprint, await cohorts.group(self, resource_id, "r")))
        where = await self.rights.where(resource_type, "r", [resource_id])
        stored = await self.store.read(resource_type, resource_id, where, self._session)
        stored = stored or await self.pages.event(resource_type, resource_id, self._reach(self._searchable))
        stored = stored or await self._withdrawn(resource_type, resource_id)
        if stored is None:
            raise await self._absence(resource_type, resource_id, where)
        return redacted.one(self.scope, noted.read(self.footprint, stored))

    async def vread(self, resource_type: str, resource_id: str, version: str) -> Stored:
        """Return one version.

        Raises:
            NotFound: No such instance or version within the scope.
            Gone: The version is the deletion.
        """
        where = await self.rights.where(resource_type, "r", [resource_id])
        vid = int(version) if VERSION.fullmatch(version) else 0
        stored = await self.store.read_version(resource_type, resource_id, vid, where, self._session) if vid else None
        if cohorts.is_virtual(resource_type, resource_id):
            one = await cohorts.group(self, resource_id, "r")
            stored = one if one.vid == vid else None
        stored = stored or await self.pages.event(resource_type, resource_id, self._reach(self._searchable), vid)
        stored = stored or (await self._withdrawn(resource_type, resource_id, vid) if vid else None)
        if stored is None:
            raise NotFound(
                f"There is no version {version} of {resource_type}/{resource_id}. Its _history lists those there are."
            )
        if stored.deleted:
            raise gone(stored)
        return redacted.one(self.scope, noted.read(self.footprint, stored))

    async def matches(self, resource_type: str, pairs: Pairs, most: int) -> list[Stored]:
        """Return at most `most` instances that fulfil a condition.

        Raises:
            InvalidParameter: The condition is not a valid search.
            Forbidden: The type may not be searched.
            Unavailable: Not all is indexed that it may match.
        """
        self.rights.require([resource_type], "s")
        redaction.refuse(self.scope, resource_type, pairs)
        reach = self._reach(self._searchable)
        found = noted.matched(self.footprint, await self.pages.matches(resource_type, pairs, reach, most))
        return redacted.several(self.scope, found)

    async def meant(self, resource_type: str, pairs: Pairs, most: int) -> list[Stored]:
        """Return at most `most` definitions that canonicals mean, of those that may be shown where something leads to them.

        Args:
            resource_type: A type with a `url`.
            pairs: Search parameters that say which are meant, such as `url` and its value.
            most: How many.

        Raises:
            InvalidParameter: They are no valid search.
            Unavailable: Not all is indexed that it may match.
        """
        reach = self._reach(self.scope.shown)
        found = noted.matched(self.footprint, await self.pages.matches(resource_type, pairs, reach, most))
        return redacted.several(self.scope, found)

    async def led(self, resource_type: str, ids: Sequence[str]) -> list[Stored]:
        """Return those of some instances that the caller may be shown where something leads to them, in no order."""
        is_guarded = resource_type == GUARDED
        shown = await self.rights.where(GUARDED, "r", ids) if is_guarded else self.scope.shown(resource_type)
        where = Where("clause", {"_id": {"$in": list(ids)}}) & shown
        fields = noted.FIELDS if self.footprint else ()
        found = await self.store.versions(Query(resource_type, where, (), len(ids), "_id_", fields), self._session)
        return redacted.several(self.scope, noted.matched(self.footprint, found))

    async def search(self, request: SearchRequest, base: str) -> SearchPage:
        """Return one page of a search with its includes.

        Args:
            request: The search.
            base: The service base URL, which paging links are bound to.

        Raises:
            Forbidden: The type, or one that a chain leads through, may not be searched.
        """
        self.rights.require([request.resource_type], "s")
        self.rights.refuse_explaining([request])
        redaction.refuse(self.scope, request.resource_type, request.applied)
        request = effective.request(request) if redaction.applies(self.scope) else request
        virtual = await cohorts.asked(self, request)
        found = await self.pages.search(cohorts.leaving_room(request, virtual), self._reach(self._searchable, base))
        found = cohorts.beside(virtual, found)
        return redacted.page(self.scope, noted.page(self.footprint, found))

    async def wanted(self, request: SearchRequest) -> Where:
        """Return the filter of what a search finds of what the caller may search, for who reads without pages.

        Raises:
            Forbidden: The type, or one that a chain leads through, may not be searched.
        """
        self.rights.require([request.resource_type], "s")
        redaction.refuse(self.scope, request.resource_type, request.applied)
        return await self.pages.where(request, self._reach(self._searchable))

    async def lagging(self, parts: Sequence[SearchRequest]) -> list[str]:
        """Return the types of which the search, of one type or several, may miss something; ask before it is run."""
        return await self.pages.lagging(parts, self._reach(self._searchable))

    async def types(self) -> list[str]:
        """Return the resource types of which anything was ever stored, sorted."""
        return await self.store.types()

    async def search_system(self, request: SystemRequest, base: str) -> SearchPage:
        """Return one page of a search with its includes, of those of several types that may be searched.

        Raises:
            Forbidden: None of them may.
        """
        self.rights.require(request.types, "s")
        may = tuple(part for part in request.parts if self.rights.has(part.resource_type, "s"))
        asked = replace(request, parts=may or request.parts[:1])
        self.rights.refuse_explaining(asked.parts)
        for part in asked.parts:
            redaction.refuse(self.scope, part.resource_type, part.applied)
        if redaction.applies(self.scope):
            # Parts are merged by when they were written; what is asked for is judged by when it became visible.
            parts = (
                msgspec.structs.replace(one, expression=effective.expression(one.expression)) for one in asked.parts
            )
            asked = replace(asked, parts=tuple(parts))
        found = await self.pages.across(asked, self._reach(self._searchable, base))
        return redacted.page(self.scope, noted.page(self.footprint, found))

    async def history(self, request: HistoryRequest, base: str) -> HistoryPage:
        """Return one page of an instance's, a type's or the system's history.

        Raises:
            NotFound: The instance never existed, or never within the scope.
        """
        reach = self._reach(self._searchable, base)
        if request.id:
            where = await self.rights.where(request.type_name, "r", [request.id])
            reach = self._reach(lambda _: where, base)
        request = replace(request, seen=redaction.applies(self.scope))
        found = noted.versions(self.footprint, await self.pages.history(request, reach))
        return redacted.history(self.scope, found)

    @property
    def rights(self) -> Rights:
        """What the caller may do with instances."""
        created = self.pending.created if self.pending else frozenset[Key]()
        return Rights(self.store, self.scope, self.definitions, self.intake.reading.base, self._session, created)

    @property
    def _session(self) -> Any:
        return self.pending.unit.session if self.pending else None

    def _reach(self, where_of: Callable[[str], Where], base: str = "") -> Reach:
        fields = noted.FIELDS if self.footprint else ()
        codes = self.pages.reading.codes
        return Reach(
            where_of,
            self.scope,
            partial(self.rights.require, letter="s"),
            self._session,
            base,
            fields,
            codes=codes.seen_by(self) if codes else None,
        )

    def _searchable(self, resource_type: str) -> Where:
        return self.scope.where(resource_type, "s")

    async def _withdrawn(self, resource_type: str, resource_id: str, vid: int = 0) -> Stored | None:
        """Return what a patient reads of a version that could be seen and is withdrawn: nothing but that."""
        where = self.scope.withdrawn(resource_type)
        if where.kind == "nothing":
            return None
        asked = (resource_type, resource_id)
        found = await (
            self.store.read_version(*asked, vid, where, self._session)
            if vid
            else self.store.read(*asked, where, self._session)
        )
        if found is None or found.deleted:
            return None
        shown = withdrawal.shown(json.decode(found.body), self.definitions.own)
        return msgspec.structs.replace(found, body=json.encode(shown))

    async def _absence(self, resource_type: str, resource_id: str, where: Where) -> FhirError:
        """Return the error for an instance that is not there now: deleted, or never there as far as the caller may see."""
        last = await self.store.last_version(resource_type, resource_id, where, self._session)
        if last and last.deleted:
            return gone(last)
        return await absence(self.store, self.scope, resource_type, resource_id)
