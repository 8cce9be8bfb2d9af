"""How versions go out and which ones a request asks for: ETag, Prefer, conditions, subsets (R4 3.1.0.1, 3.2.1.5)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.outcome import outcome
from fhir_server.model.request import PRESENTATION, FhirResponse
from fhir_server.model.stored import Stored
from fhir_server.repository import Written, names
from fhir_server.search.subset import Subset, reduce
from profiles.issue import Issue

Return = Literal["minimal", "representation", "OperationOutcome"]
_RETURNS: dict[str, Return] = {
    "minimal": "minimal",
    "representation": "representation",
    "OperationOutcome": "OperationOutcome",
}
SUMMARIES = ("true", "text", "data", "false")

_RETURN = re.compile(r"(?:^|[,;\s])return=\"?([A-Za-z]+)", re.ASCII)


def version_headers(stored: Stored) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    return {"ETag": f'W/"{stored.vid}"', "Last-Modified": instant.http_date(stored.last_updated)}


def present(ctx: Context, stored: Stored, subset: Subset) -> FhirResponse:
    """Return 200 with the version, whole or as the subset that was asked for."""
    body = stored.body if subset.complete else reduce(stored.body, subset, ctx.definitions)
    return FhirResponse(200, version_headers(stored), body, stored)


def not_modified(ctx: Context, stored: Stored) -> bool:
    """Return whether `If-None-Match` or `If-Modified-Since` says that the caller has this version (RFC 9110 13.1)."""
    if known := ctx.header("if-none-match"):
        return names(known, stored.vid)
    if since := ctx.header("if-modified-since"):
        moment = _http_date(since)
        return moment is not None and stored.last_updated.replace(microsecond=0) <= moment
    return False


def written(ctx: Context, result: Written) -> FhirResponse:
    """Return 201 or 200 after a write, with the body that `Prefer: return` asks for."""
    status = 201 if result.created else 200
    stored = result.stored
    headers = version_headers(stored)
    location = f"{ctx.base}/{stored.resource_type}/{stored.id}/_history/{stored.vid}"
    headers["Location" if result.created else "Content-Location"] = location
    preference = preferred(ctx)
    if preference == "minimal" or (preference == "representation" and not result.shown):
        return FhirResponse(status, headers, version=stored)
    if preference == "representation":
        return FhirResponse(status, headers, stored.body, stored)
    done = "created" if result.created else "updated"
    said = Issue(
        "information", "informational", f"{stored.resource_type}/{stored.id} was {done}; version {stored.vid}."
    )
    return FhirResponse(status, headers, json.encode(outcome([said, *result.warnings()])), stored, reports=True)


def found(ctx: Context, stored: Stored) -> FhirResponse:
    """Return 200 after a conditional create that found its resource already there."""
    headers = version_headers(stored)
    headers["Location"] = f"{ctx.base}/{stored.resource_type}/{stored.id}/_history/{stored.vid}"
    preference = preferred(ctx)
    if preference == "minimal":
        return FhirResponse(200, headers, version=stored)
    if preference == "representation":
        return FhirResponse(200, headers, stored.body, stored)
    said = Issue(
        "information",
        "informational",
        f"{stored.resource_type}/{stored.id} fulfils the condition; nothing was created.",
    )
    return FhirResponse(200, headers, json.encode(outcome([said])), stored, reports=True)


def deleted(ctx: Context, tombstone: Stored | None) -> FhirResponse:
    """Return 204, or 200 with an outcome where `Prefer` asks for one."""
    headers = {"ETag": f'W/"{tombstone.vid}"'} if tombstone else {}
    if preferred(ctx) != "OperationOutcome":
        return FhirResponse(204, headers, version=tombstone)
    text = f"{tombstone.resource_type}/{tombstone.id} was deleted." if tombstone else "There was nothing to delete."
    said = Issue("information", "informational", text)
    return FhirResponse(200, headers, json.encode(outcome([said])), tombstone, reports=True)


def preferred(ctx: Context, default: Return = "representation") -> Return:
    """Return what `Prefer: return=…` asks for (R4 3.1.0.1.8)."""
    prefer = ctx.header("prefer")
    asked = _RETURN.search(prefer) if prefer else None
    return _RETURNS.get(asked[1], default) if asked else default


def refuse_parameters(ctx: Context) -> None:
    """Refuse URL parameters on an interaction that takes none but `_format` and `_pretty`."""
    for name, _ in ctx.request.query:
        if name not in PRESENTATION:
            raise InvalidParameter(
                f"The parameter '{name[:60]}' does not apply to {ctx.request.method} of an instance. Only _format and "
                "_pretty do.",
                expression=f"http.{name[:60]}",
            )


def subset(ctx: Context) -> Subset:
    """Return the subset that `_summary` and `_elements` of a read ask for.

    Raises:
        InvalidParameter: Another parameter, an unknown mode, both at once, or an unknown element.
    """
    summary, elements = "false", ""
    for name, value in ctx.request.query:
        if name == "_summary":
            summary = value
        elif name == "_elements":
            elements = value
        elif name not in PRESENTATION:
            raise InvalidParameter(
                f"The parameter '{name[:60]}' does not apply to a read. Use _summary, _elements, _format or _pretty, or search.",
                expression=f"http.{name[:60]}",
            )
    if summary not in SUMMARIES:
        raise InvalidParameter(
            f"The _summary '{summary[:40]}' is not known. A read takes {', '.join(SUMMARIES)}.",
            expression="http._summary",
        )
    return Subset(summary, tuple(part.strip() for part in elements.split(",") if part.strip()))


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
