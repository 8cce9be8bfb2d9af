"""search of one type by GET and POST (R4 3.1.1)."""

from collections.abc import Iterator
from urllib.parse import parse_qsl, urlencode

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.interactions import representation
from fhir_server.interactions.representation import Subset
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse, Pairs
from fhir_server.repository import SearchPage
from fhir_server.search.parse import CURSOR, SearchRequest, parse


async def by_get(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset.

    Raises:
        InvalidParameter: An unknown parameter, modifier or value.
        TooCostly: The search takes too long, or includes too much.
    """
    return await _search(ctx, ctx.request.query)


async def by_post(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset for the parameters of form and URL together (R4 3.1.1.1)."""
    try:
        form = parse_qsl(ctx.request.body.decode(), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise BadRequest(
            "The form of the search is not valid. Send name=value pairs in percent-encoded UTF-8."
        ) from None
    return await _search(ctx, (*ctx.request.query, *form))


async def _search(ctx: Context, pairs: Pairs) -> FhirResponse:
    request = parse(
        ctx.resource_type,
        pairs,
        ctx.definitions,
        ctx.settings.search,
        strict=_strict(ctx),
        reading=ctx.repository.pages.reading,
    )
    page = await ctx.repository.search(request)
    links = _links(ctx, request, page)
    body = answer.resource_bundle("searchset", links, _entries(ctx, request, page), total=page.total)
    return FhirResponse(200, {}, body)


def _strict(ctx: Context) -> bool:
    """Whether unknown parameters are refused: as `Prefer: handling` says, else as the settings say (R4 3.1.1.3)."""
    prefer = ctx.header("prefer").replace(" ", "").replace('"', "")
    if "handling=lenient" in prefer:
        return False
    return "handling=strict" in prefer or ctx.settings.search.handling == "strict"


def _links(ctx: Context, request: SearchRequest, page: SearchPage) -> list[tuple[str, str]]:
    url = f"{ctx.base}/{ctx.resource_type}"
    applied = [pair for pair in request.applied if pair[0] not in {"_format", "_pretty"}]
    here = [*applied, (CURSOR, request.cursor)] if request.cursor else applied
    links = [("self", f"{url}?{urlencode(here)}" if here else url)]
    if page.next:
        links.append(("next", f"{url}?{urlencode([*applied, (CURSOR, page.next)])}"))
    return links


def _entries(ctx: Context, request: SearchRequest, page: SearchPage) -> Iterator[bytes]:
    subset = Subset(request.summary or "false", request.elements)
    for rows, mode in ((page.matches, "match"), (page.included, "include")):
        for stored in rows:
            body = stored.body
            if not subset.complete:
                body = representation.reduce(body, subset, ctx.definitions)
            yield answer.search_entry(ctx.base, stored.resource_type, stored.id, body, mode)
    if request.ignored:
        yield answer.search_entry(ctx.base, "", "", json.encode(outcome(request.ignored)), "outcome")
