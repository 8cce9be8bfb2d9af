"""search by GET and POST: of one type, of several, and of a compartment (R4 3.1.1)."""

import re
from collections.abc import Sequence
from time import perf_counter
from urllib.parse import parse_qsl, quote_plus

import msgspec

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.interactions.explanation import explanation
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirRequest, FhirResponse, Pairs
from fhir_server.model.stored import Hit
from fhir_server.repository import SearchPage
from fhir_server.repository.lagging import refusal, warning
from fhir_server.search.compartment import Compartment, members
from fhir_server.search.parse import CURSOR, SearchRequest, parse
from fhir_server.search.subset import Subset, reduce
from fhir_server.search.system import parse_system
from fhir_server.settings import Settings
from profiles.definitions.registry import Definitions

ALL = "*"
PLAIN = re.compile(r"[\w.~-]*", re.ASCII)


async def of_type(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset.

    Raises:
        InvalidParameter: An unknown parameter, modifier or value.
        TooCostly: The search takes too long.
    """
    return await _typed(ctx, ctx.resource_type, None)


async def of_system(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset of several types; where `_type` names one, with that type's own search.

    Raises:
        InvalidParameter: An unknown type, parameter, modifier or value.
        TooCostly: The search takes too long.
    """
    return await _several(ctx, None)


async def of_compartment(ctx: Context) -> FhirResponse:
    """Return 200 with a searchset of what belongs to a compartment: of one type, or with `*` of all (R4 3.1.1.1).

    Raises:
        NotFound: There is no such compartment, or it holds no resources of the type.
        InvalidParameter: An unknown type, parameter, modifier or value.
        TooCostly: The search takes too long.
    """
    code, member = ctx.resource_type, ctx.member
    if code not in ctx.definitions.compartments:
        known = ", ".join(sorted(ctx.definitions.compartments))
        raise NotFound(f"There is no {code} compartment. R4 defines those of {known}.", expression="http.url")
    within = Compartment(code, ctx.id)
    if member in {"", ALL}:
        return await _several(ctx, within)
    held = members(code, ctx.definitions)
    if member not in held:
        raise NotFound(
            f"{member} is not part of a {code} compartment, which holds {', '.join(held)}.", expression="http.url"
        )
    return await _typed(ctx, member, within)


def _pairs(ctx: Context) -> Pairs:
    """Return the parameters of the URL, and of the form where one was posted (R4 3.1.1.1)."""
    if ctx.request.method != "POST":
        return ctx.request.query
    try:
        form = parse_qsl(ctx.request.body.decode(), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise BadRequest(
            "The form of the search is not valid. Send name=value pairs in percent-encoded UTF-8."
        ) from None
    if ctx.repository.footprint:
        ctx.repository.footprint.pairs = (*ctx.request.query, *form)
    return (*ctx.request.query, *form)


async def _typed(ctx: Context, resource_type: str, within: Compartment | None) -> FhirResponse:
    began = perf_counter()
    request = parse(
        resource_type,
        _pairs(ctx),
        ctx.definitions,
        ctx.settings.search,
        strict=is_strict(ctx.request, ctx.settings),
        reading=ctx.repository.pages.reading,
        within=within,
    )
    parsing = perf_counter() - began
    missing = await _missing(ctx, [request])
    page = await ctx.repository.search(request, ctx.base)
    return _answer(ctx, request, request.place, _honest(page, missing), parsing)


async def _several(ctx: Context, within: Compartment | None) -> FhirResponse:
    began = perf_counter()
    request = parse_system(
        _pairs(ctx),
        ctx.definitions,
        ctx.settings.search,
        strict=is_strict(ctx.request, ctx.settings),
        there=await ctx.repository.types(),
        reading=ctx.repository.pages.reading,
        within=within,
    )
    parsing = perf_counter() - began
    missing = await _missing(ctx, request.parts)
    page = await ctx.repository.search_system(request, ctx.base)
    return _answer(ctx, request.shape, request.place, _honest(page, missing), parsing)


async def _missing(ctx: Context, parts: Sequence[SearchRequest]) -> list[str]:
    """Return the types of which the search may miss something; refuse it where the client says that this will not do.

    An answer that is nothing but a number cannot say what it lacks.
    """
    missing = await ctx.repository.lagging(parts)
    if missing and (_preference(ctx.request) == "strict" or parts[0].summary == "count"):
        raise refusal(missing)
    return missing


def _honest(page: SearchPage, missing: Sequence[str]) -> SearchPage:
    """Return the page, where it may miss something without a total."""
    return msgspec.structs.replace(page, total=None, missing=missing) if missing else page


def _answer(ctx: Context, request: SearchRequest, place: str, page: SearchPage, parsing: float) -> FhirResponse:
    links = _links(ctx, request, place, page)
    entries = _entries(ctx, request, page)
    if page.missing:
        entries += answer.outcome_entry(json.encode(outcome([warning(page.missing)])))
    if page.trace:
        entries += answer.outcome_entry(json.encode(explanation(page.trace, parsing)))
    body = answer.resource_bundle("searchset", links, entries, total=page.total)
    return FhirResponse(200, {}, body)


def is_strict(request: FhirRequest, settings: Settings) -> bool:
    """Return whether unknown search parameters are refused, rather than passed over and reported (R4 3.1.1.3)."""
    return (_preference(request) or settings.search.handling) == "strict"


def _preference(request: FhirRequest) -> str:
    """Return the handling that the client asks for, empty where it does not say."""
    prefer = request.headers.get("prefer", "").replace(" ", "").replace('"', "")
    return next((each for each in ("lenient", "strict") if f"handling={each}" in prefer), "")


def _links(ctx: Context, request: SearchRequest, place: str, page: SearchPage) -> list[tuple[str, str]]:
    url = f"{ctx.base}/{place}" if place else ctx.base
    applied = [_pair(name, value) for name, value in request.applied]
    links = [("self", _link(url, applied, request.cursor))]
    if page.next:
        links.append(("next", _link(url, applied, page.next)))
    return links


def _link(url: str, applied: list[str], cursor: str) -> str:
    query = "&".join([*applied, _pair(CURSOR, cursor)] if cursor else applied)
    return f"{url}?{query}" if query else url


def _pair(name: str, value: str) -> str:
    return f"{_quoted(name)}={_quoted(value)}"


def _quoted(text: str) -> str:
    """Return a text as it stands in a query. Most are plain, and to tell so takes a tenth of the time."""
    return text if PLAIN.fullmatch(text) else quote_plus(text)


def _entries(ctx: Context, request: SearchRequest, page: SearchPage) -> answer.Pieces:
    subset = Subset(request.summary or "false", request.elements)
    match = answer.SCORED if request.score else answer.MATCH
    entries: answer.Pieces = []
    for hits, search in ((page.matches, match), (page.included, answer.INCLUDE)):
        shown = hits if subset.complete else [_reduced(hit, subset, ctx.definitions) for hit in hits]
        entries += answer.search_entries(ctx.base, shown, search)
    if request.ignored:
        entries += answer.outcome_entry(json.encode(outcome(request.ignored)))
    return entries


def _reduced(hit: Hit, subset: Subset, definitions: Definitions) -> Hit:
    return msgspec.structs.replace(hit, body=reduce(hit.body, subset, definitions))
