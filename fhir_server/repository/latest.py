"""What a search of one type finds as rows without the resources, the latest first, and the resources of some of them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from fhir_server.access import redaction
from fhir_server.model.errors import TooCostly
from fhir_server.model.query import Query, Where
from fhir_server.model.stored import Hit
from fhir_server.repository import noted, redacted
from fhir_server.repository.door import Repository
from fhir_server.repository.lagging import refusal
from fhir_server.repository.reach import Reach
from fhir_server.search import effective
from fhir_server.search.parse import SearchRequest

MOST = 50_000
AT_ONCE = 1000
FIELDS = ("p", "s.code", "r.code.text")


async def found(repository: Repository, request: SearchRequest) -> Sequence[Mapping[str, Any]]:
    """Return `_id`, patient, codes and text of everything that a search finds, the latest first.

    Raises:
        Forbidden: The type, or one that a chain leads through, may not be searched.
        TooCostly: That is too much.
        Unavailable: Not all is indexed that it may find.
    """
    repository.rights.require([request.resource_type], "s")
    redaction.refuse(repository.scope, request.resource_type, request.applied)
    request = effective.request(request) if redaction.applies(repository.scope) else request
    if missing := await repository.lagging([request]):
        raise refusal(missing)
    rows = await repository.pages.rows(replace(request, count=MOST), _reach(repository), FIELDS)
    if len(rows) > MOST:
        raise TooCostly(
            f"That are more than {MOST:,} resources to look through. Ask for some codes, or from a date on.",
            expression="http.query",
        )
    return rows


async def shown(repository: Repository, resource_type: str, ids: Sequence[str]) -> list[Hit]:
    """Return the resources of ids that the caller may search, in the order of the ids."""
    known: dict[str, Hit] = {}
    reach = _reach(repository)
    for start in range(0, len(ids), AT_ONCE):
        some = list(ids[start : start + AT_ONCE])
        where = Where("clause", {"_id": {"$in": some}}) & repository.scope.where(resource_type, "s")
        hits = await repository.store.find(Query(resource_type, where, (), len(some), "_id_", reach.fields))
        known |= {hit.id: hit for hit in redacted.several(repository.scope, noted.hits(repository.footprint, hits))}
    return [known[one] for one in ids if one in known]


def _reach(repository: Repository) -> Reach:
    scope, rights, codes = repository.scope, repository.rights, repository.pages.reading.codes
    return Reach(
        partial(scope.where, letter="s"),
        scope,
        partial(rights.require, letter="s"),
        None,
        fields=noted.FIELDS if repository.footprint else (),
        codes=codes.seen_by(repository) if codes else None,
    )
