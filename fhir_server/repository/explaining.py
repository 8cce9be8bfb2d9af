"""Who may see a resource and by which rule, and why somebody may not, for those who answer for privacy (docs/explain-access.md)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.access import candidates
from fhir_server.access.candidates import Candidate
from fhir_server.access.explained import Verdict, verdict
from fhir_server.access.granted import Granted
from fhir_server.access.grants import Grants
from fhir_server.access.officers import require_officer
from fhir_server.model.errors import NotFound
from fhir_server.model.query import ANYTHING
from fhir_server.repository.door import Repository

MOST = 500
"""People in a role, and services, that are looked at for "who may see this"; each takes about a millisecond."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody, and what the rules say of that one."""

    candidate: Candidate
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one resource.

    Attributes:
        document: Its stored document.
        readers: Those that were asked about, or all who may read it.
        complete: Whether everybody was looked at.
    """

    document: Mapping[str, Any]
    readers: tuple[Reader, ...]
    complete: bool


async def explain(
    repository: Repository, grants: Grants, resource_type: str, resource_id: str, *, user: str = "", client: str = ""
) -> Explanation:
    """Return who reaches the current version of a resource.

    Args:
        repository: Of the caller.
        grants: Compiles what others reach.
        resource_type: The type.
        resource_id: The id.
        user: Id or login of the person that is asked about, in each of that one's roles; empty for none.
        client: The service that is asked about; empty for none. Without either: everybody who may.

    Raises:
        Forbidden: The caller is no administrator and no privacy officer.
        NotFound: There is no such resource, it is kept by a facility that is not the officer's, or nobody has that name.
    """
    require_officer(repository.scope)
    found = await repository.store.current(resource_type, [resource_id], ANYTHING)
    live = found.get(resource_id)
    if live is None or not _answers_for(repository, live.document):
        raise NotFound(f"There is no {resource_type}/{resource_id}.")
    document = live.document
    asked = bool(user or client)
    whom = await _asked(grants, user, client) if asked else None
    readers: list[Reader] = []
    seen = 0
    complete = True
    async for one in _each(whom, grants):
        if seen == MOST:
            complete = False
            break
        seen += 1
        granted = await grants.of(one.principal)
        allowed = await _reaches(repository, granted, resource_type, resource_id)
        if asked or allowed:
            readers.append(Reader(one, verdict(granted, resource_type, document, allowed=allowed)))
    return Explanation(document, tuple(readers), complete)


def _answers_for(repository: Repository, document: Mapping[str, Any]) -> bool:
    """Return whether the caller answers for the facility that keeps a resource; administrators do so for all of the house."""
    scope = repository.scope
    return (
        not isinstance(scope, Granted)
        or scope.principal.audience != "staff"
        or scope.standing.keeps(document.get("f", ""))
    )


async def _asked(grants: Grants, user: str, client: str) -> list[Candidate]:
    found = [
        *(await candidates.of_user(grants.records, user) if user else []),
        *(await candidates.of_client(grants.records, client) if client else []),
    ]
    if not found:
        raise NotFound(
            "Nobody of this name can ask for anything now: a 'user' is named by id or login, a 'client' is a backend service."
        )
    return found


async def _each(whom: list[Candidate] | None, grants: Grants) -> AsyncIterator[Candidate]:
    if whom is not None:
        for one in whom:
            yield one
        return
    async for one in candidates.every(grants.records):
        yield one


async def _reaches(repository: Repository, granted: Granted, resource_type: str, resource_id: str) -> bool:
    """Return what the predicate says, in the database, as a read would ask."""
    rights = replace(repository, scope=granted).rights
    where = await rights.where(resource_type, "r", [resource_id])
    return bool(await repository.store.exists([(resource_type, resource_id)], lambda _: where, None))
