"""The one pipeline: route, check, authorize, run. Requests, bundle entries and jobs all pass through here."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from fhir_server.access import advice
from fhir_server.access.grants import Grants
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.audit.codes import NOTIFICATION
from fhir_server.audit.footprint import Footprint
from fhir_server.audit.recorder import Recorder
from fhir_server.bundle.references import link_members
from fhir_server.capability.table import OFFERED, Interaction
from fhir_server.context import Context, Statement
from fhir_server.guides import Shelf
from fhir_server.interactions.search import is_strict
from fhir_server.model import ids
from fhir_server.model.errors import (
    BadRequest,
    FhirError,
    InvalidParameter,
    NotFound,
    NotSupported,
    UnknownType,
)
from fhir_server.model.fault import fault
from fhir_server.model.files import Files
from fhir_server.model.outcome import refusal
from fhir_server.model.queue import Queue
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.repository import Repository
from fhir_server.repository.editions import Editions
from fhir_server.settings import Settings
from fhir_server.vocabulary import Vocabulary

ALL, MEMBER = "*", "{member}"
NAMED_AT_ONCE = 1_000
"""Patients that one row of the trail names of what a job hands out."""
COMPARTMENT = "search-compartment"
BUNDLES = {"transaction": "batch"}  # which of the two it is, its body says
CHANGING = frozenset({"create", "update", "patch", "delete"})
NAMES, ANY = frozenset({"{type}", MEMBER}), (MEMBER, ALL)


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction and the values of its path."""

    row: Interaction
    resource_type: str = ""
    id: str = ""
    vid: str = ""
    member: str = ""


class Dispatch:
    """Routes requests through the table.

    Args:
        editions: The repository, with the search parameters of now.
        queue: Where background work is put.
        settings: Effective settings.
        statement: Service base to CapabilityStatement.
        grants: Compiles what others than the caller reach.
        shelf: The implementation guides of now.
        vocabulary: Code systems, value sets and concept maps.
        files: Where files are kept that jobs make.
        recorder: Writes the audit trail; `None` where none is kept.
    """

    def __init__(  # noqa: PLR0917 - what it puts together
        self,
        editions: Editions,
        queue: Queue,
        settings: Settings,
        statement: Statement,
        grants: Grants,
        shelf: Shelf,
        vocabulary: Vocabulary,
        files: Files,
        recorder: Recorder | None = None,
    ) -> None:
        self._files = files
        self._grants = grants
        self._editions = editions
        self._queue = queue
        self._settings = settings
        self._statement = statement
        self._recorder = recorder
        self._resource_types = editions.current.searchable.resource_types
        self._routes = _routes()
        self._known: dict[tuple[str, tuple[str, ...]], Route] = {}
        self._instances = {row.method: row for row in OFFERED if row.shape == ("{type}", "{id}")}
        self._link_members = link_members(editions.current.searchable)
        self._shelf = shelf
        self._vocabulary = vocabulary
        self._public = frozenset((row.method, row.shape) for row in OFFERED if row.public)

    def is_public(self, request: FhirRequest) -> bool:
        """Return whether anybody may ask this, without an access token."""
        return (request.method, request.path) in self._public

    async def answer(self, request: FhirRequest, scope: ScopeFilter | None = None) -> FhirResponse:
        """Return the answer to a request, when the trail has it. Never raises: failures are answers with an OperationOutcome.

        Args:
            request: What is asked.
            scope: What the caller may reach; by default what the service was made with.
        """
        return await self.settled(await self.tentative(request, scope))

    async def refused(self, request: FhirRequest, error: FhirError) -> FhirResponse:
        """Return the answer to a request whose caller is not let in, when the trail has it."""
        footprint = self._begin(request, None)
        if footprint:
            self._name(footprint, request)
        return await self.settled(structs.replace(refusal(error), footprint=footprint))

    async def settled(self, response: FhirResponse) -> FhirResponse:
        """Return an answer when the trail has it, or the refusal of an answer that the trail cannot have."""
        footprint: Footprint | None = response.footprint
        if footprint is None or self._recorder is None:
            return response
        try:
            await self._recorder.settle(footprint, response.status)
        except FhirError as error:
            return refusal(error)
        return response

    async def note(self, request: FhirRequest, kind: str, scope: ScopeFilter | None, status: int) -> None:
        """Leave a row of what is no interaction of FHIR.

        Args:
            request: What was asked.
            kind: Its kind in the trail.
            scope: Who asked; `None` for somebody who is not let in.
            status: Of the answer.

        Raises:
            Unavailable: The trail cannot have it.
        """
        footprint = self._begin(request, scope)
        if footprint and self._recorder:
            footprint.kind = kind
            await self._recorder.settle(footprint, status)

    def within(self, scope: ScopeFilter) -> Repository:
        """Return the repository of now within a scope, without a row in the trail."""
        return replace(self._editions.repository, scope=scope)

    def working(self, kind: str, base: str) -> Repository:
        """Return the repository for a unit of work of this program itself, which leaves a row of that kind in the trail."""
        repository = self._editions.repository
        return replace(repository, footprint=self.changing(kind, base, repository.scope))

    def changing(self, kind: str, base: str, scope: ScopeFilter) -> Footprint | None:
        """Return what begins with a unit of work and becomes its row of that kind in the trail, `None` where none is kept."""
        footprint = self._begin(FhirRequest("POST", (), base), scope)
        if footprint:
            footprint.kind, footprint.changes = kind, True
        return footprint

    async def handed_out(  # noqa: PLR0917 - what the rows say
        self,
        kind: str,
        scope: ScopeFilter,
        resource_type: str,
        patients: Collection[str],
        keepers: Collection[str],
        detail: Mapping[str, str],
    ) -> None:
        """Leave rows of what a job hands out to its caller, each with some of the patients whose records it is of.

        Raises:
            Unavailable: The trail cannot have them, so nothing may be handed out.
        """
        named = sorted(patients)
        for start in range(0, len(named), NAMED_AT_ONCE):
            footprint = self._begin(FhirRequest("GET", (), ""), scope)
            if footprint and self._recorder:
                footprint.kind, footprint.resource_type = kind, resource_type
                footprint.detail |= detail
                footprint.hand_out(named[start : start + NAMED_AT_ONCE], keepers)
                await self._recorder.settle(footprint, 200)

    @asynccontextmanager
    async def telling(self, subscription: str, scope: ScopeFilter) -> AsyncIterator[Repository]:
        """Yield the repository within a scope for what a subscriber is told; when the context ends well, the trail has that.

        Raises:
            Unavailable: The trail cannot have it, so nobody may be told.
        """
        footprint = self._begin(FhirRequest("POST", ("Subscription", subscription), ""), scope)
        yield replace(self._editions.repository, scope=scope, footprint=footprint)
        if footprint and self._recorder:
            footprint.kind, footprint.resource_type = NOTIFICATION, "Subscription"
            footprint.detail["subscription"] = subscription
            await self._recorder.settle(footprint, 200)

    async def tentative(self, request: FhirRequest, scope: ScopeFilter | None = None) -> FhirResponse:
        """Return the answer to a request, which may be thrown away, or be given out when it is `settled`."""
        scope = scope or self._editions.repository.scope
        footprint = None if self.is_public(request) else self._begin(request, scope)
        response = await self._tried(request, scope, footprint)
        return structs.replace(response, footprint=footprint) if footprint else response

    async def _tried(self, request: FhirRequest, scope: ScopeFilter, footprint: Footprint | None) -> FhirResponse:
        """Return the answer, whatever happens."""
        try:
            # Lenient handling would pass over what this process does not know yet.
            if self._editions.matter_to(request) or not is_strict(request, self._settings):
                await self._editions.refresh()
            vocabulary = self._vocabulary
            if self._shelf.matters_to(request):
                _, vocabulary = await asyncio.gather(self._shelf.refresh(), vocabulary.refreshed())
            repository = replace(self._editions.repository, scope=scope, footprint=footprint)
            return await self._enter(request, repository, "", vocabulary)
        except FhirError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 - the last line: a bug must not show its insides
            return fault(error, request)

    async def _entry(self, request: FhirRequest, repository: Repository, assigned: str) -> FhirResponse:
        """Run an entry of a bundle, which has a row of its own in the trail; raises FhirError.

        In a transaction the rows are committed with it; of one that fails, the row of the bundle says so.
        """
        outer, pending = repository.footprint, repository.pending
        if outer is None or self._recorder is None:
            return _whole(await self._enter(request, repository, assigned))
        footprint = self._recorder.begin(request, repository.scope, outer.shared())
        status = 500
        try:
            response = _whole(await self._enter(request, replace(repository, footprint=footprint), assigned))
            status = response.status
        except FhirError as error:
            status = error.status
            raise
        finally:
            if pending is None:
                await self._recorder.settle(footprint, status)
        if pending is not None:
            pending.rows.append(footprint.row(status))
        return response

    async def _enter(
        self, request: FhirRequest, repository: Repository, assigned: str, vocabulary: Vocabulary | None = None
    ) -> FhirResponse:
        """Run one interaction; raises FhirError."""
        route = self._known.get((request.method, request.path)) or self.route(request)
        if repository.footprint:
            _describe(repository.footprint, route)
        searched = route.member.strip(ALL) if route.row.compartment else route.resource_type
        _permit(repository, route)
        await self._editions.refuse_unready(request, searched)
        context = Context(
            request if request.reader is None else await request.read(),
            repository,
            repository.definitions,
            self._settings,
            self._entry,
            self._statement,
            self._queue,
            self._link_members,
            self._shelf.checks,
            vocabulary or self._vocabulary,
            self._files,
            self._grants,
            route.resource_type,
            assigned or route.id,
            route.vid,
            route.member,
        )
        try:
            return await route.row.handler(context)
        except InvalidParameter:
            # Perhaps it is valid since a moment ago, in another process. In a unit of work all of it begins anew.
            if repository.pending or not await self._editions.refresh():
                await self._editions.refuse_unready(request)
                raise
        renewed = replace(self._editions.repository, scope=repository.scope, footprint=repository.footprint)
        return await self._enter(request, renewed, assigned, vocabulary)

    def _begin(self, request: FhirRequest, scope: ScopeFilter | None) -> Footprint | None:
        return self._recorder.begin(request, scope) if self._recorder else None

    def _name(self, footprint: Footprint, request: FhirRequest) -> None:
        """Say which interaction was asked for, where the request names one."""
        with suppress(FhirError):
            _describe(footprint, self.route(request))

    def route(self, request: FhirRequest) -> Route:
        """Return the interaction that method and path name.

        Raises:
            UnknownType: The first segment is not a resource type of R4.
            NotFound: No interaction has this URL.
            NotSupported: The URL exists, but not with this method; `Allow` lists those that do.
            BadRequest: The id is not a logical id.
        """
        path = request.path
        method = "GET" if request.method == "HEAD" else request.method
        # Most requests are for an instance; what is an id is no literal segment, for those begin with '_' or '$'.
        if len(path) == 2 and method in self._instances and path[0] in self._resource_types and ids.valid(path[1]):
            return Route(self._instances[method], path[0], path[1])
        for shape, rows in self._routes.get(len(path), ()):
            values = _fit(shape, path)
            if values is None:
                continue
            self._check(values)
            row = rows.get(method)
            if row is None:
                allowed = ", ".join(sorted(rows))
                raise NotSupported(
                    f"{request.method} is not offered at {'/'.join(shape) or 'the service base'}. Use {allowed}.",
                    headers={"Allow": allowed},
                )
            # An operation of one type has it as a literal segment.
            stated = shape[0] if shape and shape[0] in self._resource_types else ""
            route = Route(
                row,
                values.get("{type}", stated),
                values.get("{id}", ""),
                values.get("{vid}", ""),
                values.get(MEMBER, ""),
            )
            if len(path) < 2:  # there are a few hundred of these, and most entries of a bundle have one
                self._known[request.method, path] = route
            return route
        raise self._nowhere(path)

    def _check(self, values: dict[str, str]) -> None:
        for name in ("{type}", MEMBER):
            if name in values and values[name] not in self._resource_types and values[name] != ALL:
                raise self._unknown_type(values[name])
        for name in ("{id}", "{vid}"):
            if name in values and not ids.valid(values[name]):
                raise BadRequest(
                    f"'{values[name][:64]}' is not a valid {'id' if name == '{id}' else 'version id'}: {ids.RULE}.",
                    expression="http.url",
                )

    def _unknown_type(self, name: str) -> UnknownType:
        near = [known for known in self._resource_types if known.lower() == name.lower()]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return UnknownType(f"'{name[:60]}' is not a resource type of FHIR R4.{hint}", expression="http.url")

    def _nowhere(self, path: tuple[str, ...]) -> FhirError:
        for segment in path:
            if segment.startswith("$"):
                return NotSupported(f"The operation '{segment[:60]}' is not offered here.", expression="http.url")
        if path and path[0] not in self._resource_types and not path[0].startswith("_"):
            return self._unknown_type(path[0])
        return NotFound(
            "No FHIR interaction has this URL. The CapabilityStatement at [base]/metadata lists those that are offered.",
            expression="http.url",
        )


def _whole(response: FhirResponse) -> FhirResponse:
    """Return the answer to an entry of a bundle, which holds all of it.

    Raises:
        BadRequest: It is a file.
    """
    if response.content is not None:
        raise BadRequest("A file does not fit into a Bundle. GET it by itself.", expression="http.url")
    return response


def _describe(footprint: Footprint, route: Route) -> None:
    """Say which interaction it is."""
    row = route.row
    if row.operation:
        footprint.kind = f"${row.operation.definition.code}"
        footprint.changes = row.operation.definition.affects_state
    else:
        footprint.kind = COMPARTMENT if row.compartment else BUNDLES.get(row.code, row.code)
        footprint.changes = row.code in CHANGING
    footprint.resource_type = route.member.strip(ALL) or route.resource_type
    if route.id:
        footprint.target = f"{route.resource_type}/{route.id}"


def _permit(repository: Repository, route: Route) -> None:
    """Refuse what nothing of the grant speaks of (403); what it speaks of and does not reach is not there (404)."""
    letter, operation = route.row.letter, route.row.operation
    if operation and operation.definition.affects_state:
        advice.require(repository.scope.principal, (), "u")
    if not letter:
        return
    types = [route.resource_type] if route.resource_type else sorted(repository.definitions.resource_types)
    if operation and operation.whole:
        repository.rights.require_all(types, letter)
    else:
        repository.rights.require(types, letter)


Rows = dict[str, Interaction]


def _routes() -> dict[int, list[tuple[tuple[str, ...], Rows]]]:
    """Return shapes by number of segments, those with more literal segments first, each with its rows by method."""
    by_shape: dict[tuple[str, ...], Rows] = {}
    for row in OFFERED:
        by_shape.setdefault(row.shape, {})[row.method] = row
    found: dict[int, list[tuple[tuple[str, ...], Rows]]] = {}
    for shape, rows in sorted(by_shape.items(), key=lambda item: sum(part.startswith("{") for part in item[0])):
        found.setdefault(len(shape), []).append((shape, rows))
    return found


def _fit(shape: tuple[str, ...], path: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the values of the shape's variables, or `None` where the path has another shape."""
    values: dict[str, str] = {}
    for part, segment in zip(shape, path, strict=True):
        if part.startswith("{"):
            if segment.startswith(("_", "$")) or (
                part in NAMES and not segment[:1].isalpha() and (part, segment) != ANY
            ):
                return None
            values[part] = segment
        elif part != segment:
            return None
    return values
