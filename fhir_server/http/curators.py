"""What the terminology page asks of the FHIR API, as the person before it: requests like those of any client, hence filtered."""

from collections.abc import Awaitable, Callable

from fhir_server.access.grants import Grants
from fhir_server.access.officers import require_curator
from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model.errors import Forbidden
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from smart_auth.records import User
from smart_auth.scopes.grammar import ANY_TYPE, ResourceScope

Answer = Callable[[FhirRequest, ScopeFilter], Awaitable[FhirResponse]]
Note = Callable[[FhirRequest, str, ScopeFilter, int], Awaitable[None]]

CLIENT = "terminology-page"
SCOPES = (ResourceScope("user", ANY_TYPE, "rs"),)
CHOSEN = frozenset(
    {
        ("metadata",),
        ("CodeSystem",),
        ("ValueSet",),
        ("CodeSystem", "$lookup"),
        ("CodeSystem", "$subsumes"),
        ("CodeSystem", "$usage"),
        ("CodeSystem", "$validate-code"),
        ("ValueSet", "$expand"),
        ("ValueSet", "$validate-code"),
        ("ConceptMap", "$translate"),
    }
)
"""What the page may ask for: terminology, and counts; no record."""

REFUSED = "search-type"


class Curators:
    """Answers those who look after terminology.

    Args:
        answer: Answers a request within a scope.
        note: Leaves a row in the audit trail: request, kind, who, status.
        grants: Compiles what the person reaches.
    """

    def __init__(self, answer: Answer, note: Note, grants: Grants) -> None:
        self._answer = answer
        self._note = note
        self._grants = grants

    async def admits(self, user: User, acting_as: str) -> bool:
        """Return whether the page is for a person, in the role of now."""
        try:
            require_curator(await self._scope(user, acting_as))
        except Forbidden:
            return False
        return True

    async def ask(self, user: User, acting_as: str, request: FhirRequest) -> FhirResponse:
        """Return the answer to a request of the page, when the audit trail has it."""
        scope = await self._scope(user, acting_as)
        try:
            _require_chosen(request)
            require_curator(scope)
        except Forbidden as error:
            last = request.path[-1] if request.path else ""
            await self._note(request, last if last.startswith("$") else REFUSED, scope, error.status)
            return refusal(error)
        return await self._answer(request, scope)

    async def _scope(self, user: User, acting_as: str) -> ScopeFilter:
        who = Principal(user.kind, CLIENT, user.id, SCOPES, acting_as=user.role(acting_as))
        return await self._grants.of(who)


def _require_chosen(request: FhirRequest) -> None:
    """Refuse what the page never asks for.

    Raises:
        Forbidden: It is that.
    """
    if request.path not in CHOSEN or (request.method != "GET" and not request.path[-1].startswith("$")):
        raise Forbidden("The terminology page asks for terminology only. Other requests go to the FHIR API.")
