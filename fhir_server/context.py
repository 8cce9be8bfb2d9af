"""What an interaction receives: the request, its target, and the doors that it may use."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from fhir_server.access.grants import Grants
from fhir_server.access.mandate import mandate
from fhir_server.checks import Checks
from fhir_server.model import json
from fhir_server.model.files import Files
from fhir_server.model.queue import Queue
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.repository import Repository
from fhir_server.settings import Settings
from fhir_server.vocabulary import Vocabulary
from profiles.definitions.registry import Definitions

Statement = Callable[[str], dict[str, Any]]


class Context(msgspec.Struct, frozen=True):
    """One interaction under way.

    Attributes:
        request: What was asked.
        repository: The only way to stored resources, already bound to the caller's scope.
        definitions: FHIR definitions.
        settings: Effective settings.
        dispatch: The whole pipeline, for entries of a bundle: (request, repository, id) to response.
        statement: Service base to CapabilityStatement.
        queue: Where background work is put.
        link_members: JSON members that may hold a link (`bundle.references.link_members`).
        checks: What can be found wrong with a resource; compiles FHIRPath.
        vocabulary: Code systems, value sets and concept maps.
        files: Where files are kept that jobs make.
        grants: Compiles what others than the caller reach, for operations that show or explain it.
        resource_type: Type in the URL, empty for system interactions.
        id: Logical id in the URL; for a create inside a transaction the id that the bundle assigned.
        vid: Version id in the URL.
        member: Type in the URL behind an instance, or `*`: what is searched of its compartment.
    """

    request: FhirRequest
    repository: Repository
    definitions: Definitions
    settings: Settings
    dispatch: "Callable[[FhirRequest, Repository, str], Awaitable[FhirResponse]]"
    statement: Statement
    queue: Queue
    link_members: frozenset[str]
    checks: Checks
    vocabulary: Vocabulary
    files: Files
    grants: Grants
    resource_type: str = ""
    id: str = ""
    vid: str = ""
    member: str = ""

    @property
    def base(self) -> str:
        """The service base URL."""
        return self.request.base

    def mandate(self) -> dict[str, Any]:
        """Return the mandate of the caller, for a job that works within what this caller reaches."""
        return mandate(self.repository.scope)

    def header(self, name: str) -> str:
        """Return a request header (lower-case name), empty where absent."""
        return self.request.headers.get(name, "")

    def resource(self) -> dict[str, Any]:
        """Return the resource in the body.

        Raises:
            BadRequest: Not one JSON object.
        """
        return json.parse(self.request.body) if self.request.resource is None else self.request.resource

    async def enter(
        self, request: FhirRequest, repository: Repository | None = None, assigned: str = ""
    ) -> FhirResponse:
        """Send a bundle entry through the whole pipeline, as this caller.

        Args:
            request: The entry as a request.
            repository: One that is bound to a transaction; this context's own by default.
            assigned: Logical id that a create must use.
        """
        return await self.dispatch(request, repository or self.repository, assigned)
