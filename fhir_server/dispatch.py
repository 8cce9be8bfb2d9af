"""The one pipeline: route, check, authorize, run. Requests, bundle entries and jobs all pass through here."""

from dataclasses import dataclass
from typing import Any

from fhir_server.bundle.references import link_members
from fhir_server.capability.table import TABLE, Interaction
from fhir_server.context import Context, Statement
from fhir_server.model import ids
from fhir_server.model.errors import BadRequest, FhirError, NotFound, NotSupported, UnknownType
from fhir_server.model.fault import fault
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.repository import Repository
from fhir_server.settings import Settings
from profiles.definitions.registry import Definitions

ALL, MEMBER = "*", "{member}"
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
        repository: Bound to the caller's scope.
        definitions: FHIR definitions.
        settings: Effective settings.
        statement: Service base to CapabilityStatement.
    """

    def __init__(
        self, repository: Repository, definitions: Definitions, settings: Settings, statement: Statement
    ) -> None:
        self._repository = repository
        self._definitions = definitions
        self._settings = settings
        self._statement = statement
        self._routes = _routes()
        self._known: dict[tuple[str, tuple[str, ...]], Route] = {}
        self._link_members = link_members(definitions)

    async def answer(self, request: FhirRequest, repository: Repository | None = None) -> FhirResponse:
        """Return the answer to a request. Never raises: failures are answers with an OperationOutcome."""
        try:
            return await self._enter(request, repository or self._repository, "")
        except FhirError as error:
            return refusal(error)
        except Exception as error:  # noqa: BLE001 - the last line: a bug must not show its insides
            return fault(error, request)

    async def _enter(self, request: FhirRequest, repository: Repository, assigned: str) -> FhirResponse:
        """Run one interaction; raises FhirError."""
        route = self._known.get((request.method, request.path)) or self.route(request)
        context = Context(
            request,
            repository,
            self._definitions,
            self._settings,
            self._enter,
            self._statement,
            self._link_members,
            route.resource_type,
            assigned or route.id,
            route.vid,
            route.member,
        )
        return await route.row.handler(context)

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
            route = Route(
                row, values.get("{type}", ""), values.get("{id}", ""), values.get("{vid}", ""), values.get(MEMBER, "")
            )
            if len(path) < 2:  # there are a few hundred of these, and most entries of a bundle have one
                self._known[request.method, path] = route
            return route
        raise self._nowhere(path)

    def _check(self, values: dict[str, str]) -> None:
        for name in ("{type}", MEMBER):
            if name in values and values[name] not in self._definitions.resource_types and values[name] != ALL:
                raise self._unknown_type(values[name])
        for name in ("{id}", "{vid}"):
            if name in values and not ids.valid(values[name]):
                raise BadRequest(
                    f"'{values[name][:64]}' is not a valid {'id' if name == '{id}' else 'version id'}: {ids.RULE}.",
                    expression="http.url",
                )

    def _unknown_type(self, name: str) -> UnknownType:
        near = [known for known in self._definitions.resource_types if known.lower() == name.lower()]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return UnknownType(f"'{name[:60]}' is not a resource type of FHIR R4.{hint}", expression="http.url")

    def _nowhere(self, path: tuple[str, ...]) -> FhirError:
        for segment in path:
            if segment.startswith("$"):
                return NotSupported(f"The operation '{segment[:60]}' is not offered here.", expression="http.url")
        if path and path[0] not in self._definitions.resource_types and not path[0].startswith("_"):
            return self._unknown_type(path[0])
        return NotFound(
            "No FHIR interaction has this URL. The CapabilityStatement at [base]/metadata lists those that are offered.",
            expression="http.url",
        )


Rows = dict[str, Interaction]


def _routes() -> dict[int, list[tuple[tuple[str, ...], Rows]]]:
    """Return shapes by number of segments, those with more literal segments first, each with its rows by method."""
    by_shape: dict[tuple[str, ...], Rows] = {}
    for row in TABLE:
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
