"""history of an instance, a type or the whole system, newest first (R4 3.1.0.12).

The bundle's `meta.lastUpdated` is a safe horizon: every version up to it is visible, so a client that passes it as the
next `_since` misses nothing that was being written meanwhile.
"""

from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fhir_server.bundle import answer
from fhir_server.context import Context
from fhir_server.model import instant
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.request import FhirResponse
from fhir_server.repository import HistoryRequest
from fhir_server.search.types.date import Interval, interval

CURSOR = "_cursor"
TAKEN = ("_since", "_at", "_count", CURSOR, "_format", "_pretty")


async def of_instance(ctx: Context) -> FhirResponse:
    """Return 200 with the versions of one instance.

    Raises:
        NotFound: The instance never existed.
        InvalidParameter: An unknown parameter, or a malformed value.
    """
    return await _history(ctx, ctx.resource_type, ctx.id)


async def of_type(ctx: Context) -> FhirResponse:
    """Return 200 with the versions of all instances of a type."""
    return await _history(ctx, ctx.resource_type, "")


async def system(ctx: Context) -> FhirResponse:
    """Return 200 with the versions of all instances of all types."""
    return await _history(ctx, "", "")


async def _history(ctx: Context, resource_type: str, resource_id: str) -> FhirResponse:
    values = _values(ctx)
    count = min(values.get("_count", ctx.settings.search.count), ctx.settings.search.max_count)
    since: Interval | None = values.get("_since")
    request = HistoryRequest(
        resource_type, resource_id, since.low if since else None, values.get("_at"), count, values.get(CURSOR, "")
    )
    page = await ctx.repository.history(request, ctx.base)
    asked = [(name, value) for name, value in ctx.request.query if name not in {"_count", CURSOR}]
    asked.append(("_count", str(count)))
    url = "/".join((ctx.base, *ctx.request.path))
    links = [("self", f"{url}?{urlencode(asked)}")]
    if page.next:
        links.append(("next", f"{url}?{urlencode([*asked, (CURSOR, page.next)])}"))
    entries = [piece for stored in page.versions for piece in answer.history_entry(ctx.base, stored)]
    body = answer.resource_bundle("history", links, entries, total=page.total, last_updated=instant.text(page.horizon))
    return FhirResponse(200, {}, body)


def _values(ctx: Context) -> dict[str, Any]:
    """Return the parameters with their values read.

    Raises:
        InvalidParameter: One that history does not have, one given twice, or a malformed value.
    """
    zone = ZoneInfo(ctx.settings.search.time_zone)
    values: dict[str, Any] = {}
    for name, text in ctx.request.query:
        if name not in TAKEN:
            raise InvalidParameter(
                f"History has no parameter '{name[:60]}'. It takes {', '.join(TAKEN)}.", expression=f"http.{name[:60]}"
            )
        if name in values:
            raise InvalidParameter(f"{name} is given twice. Give it once.", expression=f"http.{name}")
        match name:
            case "_count":
                values[name] = _count(text)
            case "_since" | "_at":
                values[name] = _span(name, text, zone)
            case _:
                values[name] = text
    return values


def _count(text: str) -> int:
    if not text.isdecimal() or int(text[:9]) < 1:
        raise InvalidParameter(
            f"_count must be a whole number of at least 1, not '{text[:40]}'.", expression="http._count"
        )
    return int(text[:9])


def _span(name: str, text: str, zone: tzinfo) -> Interval:
    found = interval(text, zone)
    if found is None:
        raise InvalidParameter(
            f"{name} must be a date or instant such as 2026-11-21T08:15:30.123Z, not '{text[:40]}'. A plus sign is written "
            "%2B in a URL.",
            expression=f"http.{name}",
        )
    return found
