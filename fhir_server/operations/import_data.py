"""$import: store the resources of NDJSON files that are named by their URLs or sent, as a job (docs/bulk-import.md).

It is asked for as Parameters (`input` with `url`), as the JSON manifest of the import proposal, or by sending the NDJSON itself.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

from fhir_server.context import Context
from fhir_server.loading.order import FOLDER, KIND, Input, Order, ordered
from fhir_server.model import ids, json
from fhir_server.model.errors import BadRequest, Forbidden
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.outbound import Outbound, refuse_header
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

NDJSON = ("application/fhir+ndjson", "application/ndjson", "application/x-ndjson")
FORMATS = frozenset({"", "ndjson", *NDJSON})
MOST_INPUTS = 10_000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts of a deployment that is tried out on one machine, and may fetch from that."""

HEADER = (
    OperationParameter("headerName", "in", 1, 1, "string"),
    OperationParameter("headerValue", "in", 1, 1, "string"),
)
_INPUT = (OperationParameter("type", "in", 0, 1, "code"), OperationParameter("url", "in", 1, 1, "url"))

DEFINITION = OperationDefinition(
    url=f"{OWN}import-data",
    code="import",
    resource=(),
    system=True,
    type=False,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("inputFormat", "in", 0, 1, "string"),
        OperationParameter("inputSource", "in", 0, 1, "uri"),
        OperationParameter("mode", "in", 0, 1, "string"),
        OperationParameter("input", "in", 1, None, "", parts=_INPUT),
        OperationParameter("fileRequestHeader", "in", 0, None, "", parts=HEADER),
    ),
)


async def kick_off(ctx: Context) -> FhirResponse:
    """Return 202 with the place where the import is asked for (`Content-Location`).

    Raises:
        BadRequest: No files are named, or one that may not be fetched.
        Forbidden: Patients do not import.
        Unavailable: What was sent cannot be kept.
    """
    refuse_people(ctx)
    media = ctx.header("content-type").partition(";")[0].strip().lower()
    if media in NDJSON:
        order = await _sent(ctx)
    elif media == "application/json" and "resourceType" not in (body := ctx.resource()):
        order = _of_manifest(ctx, body)
    else:
        order = _of_parameters(ctx)
    return await queued(ctx, order)


async def queued(ctx: Context, order: Order) -> FhirResponse:
    """Return 202 with the place where an import is asked for, which is put into the queue."""
    job = await ctx.queue.enqueue(KIND, order.payload(), mandate=ctx.mandate())
    told = Issue("information", "informational", f"The import is queued as job {job.id}.")
    headers = {"Content-Location": f"{ctx.base}/$import-status?job={job.id}", "Retry-After": "1"}
    return FhirResponse(202, headers, json.encode(outcome([told])), reports=True)


def refuse_people(ctx: Context) -> None:
    """Refuse those who are in no position to import.

    Raises:
        Forbidden: The caller is a patient.
    """
    if ctx.repository.scope.principal.audience == "patient":
        raise Forbidden("Imports are for systems and for staff. Patients write one resource after the other.")


def refuse_url(ctx: Context, url: str, expression: str) -> None:
    """Refuse what this server would not fetch.

    Raises:
        BadRequest: It leads to where requests of this server may not go.
    """
    if why := outbound(ctx).refuse(url):
        raise BadRequest(f"'{url[:200]}' is not fetched. {why}", expression=expression)


def outbound(ctx: Context) -> Outbound:
    """Return what knows where requests of this server may go; none is sent by it."""
    place = urlsplit(ctx.settings.service_base)
    return Outbound(ctx.settings.outbound.allowed, place.hostname in LOOPBACK)


def headers_of(values: parameters.Values, name: str = "fileRequestHeader") -> tuple[tuple[str, str], ...]:
    """Return the headers that are sent with each request for a file.

    Raises:
        BadRequest: One may not be sent.
    """
    found = tuple((row["headerName"][0], row["headerValue"][0]) for row in values[name])
    for header, value in found:
        if why := refuse_header(header, value):
            raise BadRequest(why, expression=f"http.{name}")
    return found


async def _sent(ctx: Context) -> Order:
    """Return the order to import what is in the body."""
    if not ctx.request.body.strip():
        raise BadRequest("The body is empty. Send one resource on each line.", expression="http.body")
    name = f"{FOLDER}/sent-{ids.new()}/lines.ndjson"

    async def pieces() -> AsyncIterator[bytes]:
        yield ctx.request.body

    await ctx.files.write(name, pieces())
    return Order(f"{ctx.base}/$import", ctx.base, (Input("", file=name),))


def _of_parameters(ctx: Context) -> Order:
    values = parameters.read(ctx, DEFINITION)
    rows = [(next(iter(row["type"]), ""), row["url"][0]) for row in values["input"] if row["url"]]
    if len(rows) < len(values["input"]):
        raise BadRequest("An 'input' has no part 'url'.", expression="http.input")
    return _order(ctx, next(iter(values["inputFormat"]), ""), rows, headers_of(values))


def _of_manifest(ctx: Context, body: dict[str, Any]) -> Order:
    return _order(ctx, str(body.get("inputFormat", "")), [*_listed(body)], ())


def _listed(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    rows = body.get("input")
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, dict) or not isinstance(row.get("url"), str):
            raise BadRequest("An 'input' has no 'url'.", expression="input")
        yield str(row.get("type", "")), row["url"]


def _order(ctx: Context, media: str, rows: list[tuple[str, str]], headers: tuple[tuple[str, str], ...]) -> Order:
    if media.replace(" ", "+") not in FORMATS:
        raise BadRequest(
            f"The inputFormat '{media[:60]}' is not read here. Send NDJSON: application/fhir+ndjson.",
            expression="http.inputFormat",
        )
    if not 0 < len(rows) <= MOST_INPUTS:
        raise BadRequest(
            f"{len(rows)} files are named as 'input'; an import has 1 to {MOST_INPUTS:,}.", expression="http.input"
        )
    for kind, url in rows:
        if kind and kind not in ctx.definitions.resource_types:
            raise BadRequest(f"'{kind[:60]}' is not a resource type of FHIR R4.", expression="http.input")
        refuse_url(ctx, url, "http.input")
    return Order(f"{ctx.base}/$import", ctx.base, ordered(Input(kind, url) for kind, url in rows), headers)


OPERATION = Operation(
    DEFINITION,
    kick_off,
    letters=("u",),
    methods=("POST",),
    summary="Store the resources of NDJSON files",
    success=((202, "The import is queued; `Content-Location` tells where to ask for it."),),
)
