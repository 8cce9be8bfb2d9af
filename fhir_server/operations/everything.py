"""What the `$everything` of patients, encounters and groups have in common: parameters, and the Bundle that answers them."""

from urllib.parse import urlencode

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Stored
from fhir_server.operations import parameters
from fhir_server.repository.everything import Asked, Stretches, everything, left_out
from fhir_server.search.escapes import nearest
from fhir_server.search.results import CURSOR
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DAYS = (OperationParameter("start", "in", 0, 1, "date"), OperationParameter("end", "in", 0, 1, "date"))
COMMON = (
    OperationParameter("_since", "in", 0, 1, "instant"),
    OperationParameter("_type", "in", 0, None, "code"),
    OperationParameter("_count", "in", 0, 1, "integer"),
    OperationParameter(CURSOR, "in", 0, 1, "string"),
    OperationParameter("return", "out", 1, 1, "Bundle"),
)


async def answered(
    ctx: Context,
    definition: OperationDefinition,
    resource_id: str,
    stretches: Stretches | None = None,
    itself: Stored | None = None,
) -> FhirResponse:
    """Return 200 with a page of everything.

    Args:
        ctx: The interaction.
        definition: Of the operation.
        resource_id: What it is about, which the caller may read.
        stretches: Gives the patients of a group.
        itself: The group.

    Raises:
        BadRequest: A type that is none, a count below 1, or a parameter that it does not take.
    """
    values = parameters.read(ctx, definition)
    given = [(name, str(value)) for name, rows in values.items() for value in rows if name != CURSOR]
    most = ctx.settings.search.max_count
    asked = Asked(
        place=f"{ctx.resource_type}/{resource_id}/$everything",
        code=ctx.resource_type,
        id=resource_id,
        count=min(_count(values), most) or most,
        types=_types(ctx, values),
        since=_first(values, "_since"),
        start=_first(values, "start"),
        end=_first(values, "end"),
        cursor=_first(values, CURSOR),
        applied=tuple(given),
    )
    found = await everything(ctx.repository, asked, ctx.base, stretches, itself)
    url = f"{ctx.base}/{asked.place}"
    links = [
        ("self", _link(url, given, asked.cursor)),
        *([("next", _link(url, given, found.next))] if found.next else []),
    ]
    entries = answer.search_entries(ctx.base, found.matches, answer.MATCH)
    entries += answer.search_entries(ctx.base, found.included, answer.INCLUDE)
    missing = [name for name in left_out(ctx.repository, ctx.resource_type) if not asked.types or name in asked.types]
    if missing and not found.next:
        text = f"The access token does not cover reading and searching {', '.join(missing)}, so nothing of these types is here."
        entries += answer.outcome_entry(json.encode(outcome([Issue("information", "suppressed", text, "")])))
    return FhirResponse(200, {}, answer.resource_bundle("searchset", links, entries, total=found.total))


def _first(values: parameters.Values, name: str) -> str:
    return str(values[name][0]) if values.get(name) else ""


def _count(values: parameters.Values) -> int:
    """Return how many resources a page may have, 0 where that is not said."""
    if not values["_count"]:
        return 0
    count: int = values["_count"][0]
    if count < 1:
        raise BadRequest(f"_count is {count}; a page has at least one resource.", expression="http._count")
    return count


def _types(ctx: Context, values: parameters.Values) -> frozenset[str]:
    known = ctx.definitions.resource_types
    found = frozenset(text.strip() for value in values["_type"] for text in value.split(",") if text.strip())
    for name in sorted(found - known):
        raise BadRequest(f"'{name[:60]}' is not a resource type.{nearest(name, known)}", expression="http._type")
    return found


def _link(url: str, given: list[tuple[str, str]], cursor: str) -> str:
    pairs = [*given, *([(CURSOR, cursor)] if cursor else [])]
    return f"{url}?{urlencode(pairs)}" if pairs else url
