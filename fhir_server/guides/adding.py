"""What becomes of the search parameters of guides: added, said by one that is there already, or not possible, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhir_server.guides.serving import PARAMETER
from fhir_server.model import json
from fhir_server.model.errors import Gone, NotFound
from fhir_server.repository import Repository
from fhir_server.search import custom
from fhir_server.search.edition import Added
from fhir_server.store import Register, Served
from profiles.definitions.registry import Definitions

Json = dict[str, Any]
Fate = Literal["active", "building", "same", "impossible"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What became of a search parameter of a guide.

    Attributes:
        url: Its canonical URL.
        code: Its name in searches.
        fate: It can be searched by; it can when what is stored is indexed; FHIR's own or an added one says the same; or it
            cannot be added.
        reason: Why it cannot be added, else empty.
    """

    url: str
    code: str
    fate: Fate
    reason: str = ""


async def told(served: Iterable[Served], repository: Repository) -> list[Parameter]:
    """Return what became of the search parameters among what a package serves, in the order of their URLs.

    Raises:
        Unavailable: The database cannot be reached.
    """
    added = _added(await repository.store.parameters.read())
    beside = _beside(repository, added)
    stated = [one for one in sorted(served, key=lambda one: one.url) if one.resource_type == PARAMETER]
    there = [(one, await _resource(repository, one)) for one in stated]
    return [_parameter(one, resource, added, beside) for one, resource in there if resource is not None]


async def awaiting(served: Sequence[Served], repository: Repository) -> list[Served]:
    """Return those of the search parameters that are not added and could be, as the one that said the same is gone.

    Raises:
        Unavailable: The database cannot be reached.
    """
    added = _added(await repository.store.parameters.read())
    beside, found = _beside(repository, added), []
    for one in served:
        if one.resource_type != PARAMETER or one.id in added:
            continue
        resource = await _resource(repository, one)
        if resource is not None and custom.read(resource, beside, shared=True).parameter:
            found.append(one)
    return found


def _added(register: Register) -> dict[str, Added]:
    return {row["id"]: Added.of(row) for row in register.rows}


def _parameter(one: Served, resource: Json, added: Mapping[str, Added], beside: Definitions) -> Parameter:
    code = str(resource.get("code", ""))
    if one.id in added:
        return Parameter(one.url, code, added[one.id].state)
    if resource.get("status") != custom.ACTIVE:
        reason = f"Its status is '{resource.get('status')}', and only what is '{custom.ACTIVE}' is added."
        return Parameter(one.url, code, "impossible", reason)
    reading = custom.read(resource, beside, shared=True)
    if reading.issues:
        return Parameter(one.url, code, "impossible", " ".join(issue.text for issue in reading.issues))
    return Parameter(one.url, code, "same")


def _beside(repository: Repository, added: Mapping[str, Added]) -> Definitions:
    """Return FHIR's definitions with the parameters that are added: what one that is not stands beside."""
    return repository.definitions.own.extended(one.parameter for one in added.values())


async def _resource(repository: Repository, one: Served) -> Json | None:
    """Return a resource as it is stored now, `None` where somebody has deleted it."""
    try:
        found: Json = json.decode((await repository.read(one.resource_type, one.id)).body)
    except (NotFound, Gone):
        return None
    return found
