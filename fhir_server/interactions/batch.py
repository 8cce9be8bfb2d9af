"""batch and transaction bundles arrive at one URL (R4 3.1.0.11); a batch is a list of independent requests."""

import asyncio
from typing import Any

from fhir_server.bundle import answer, entries
from fhir_server.bundle.entries import ORDER, Entry
from fhir_server.context import Context
from fhir_server.interactions.transaction import transaction
from fhir_server.model.errors import BadRequest, FhirError
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirResponse

AT_ONCE = 32


async def bundle(ctx: Context) -> FhirResponse:
    """Return 200 with a batch-response or transaction-response.

    Raises:
        BadRequest: The body is not a Bundle of type batch or transaction.
    """
    resource = ctx.resource()
    if resource.get("resourceType") != "Bundle":
        raise BadRequest(
            f"The service base takes a Bundle, not a {str(resource.get('resourceType'))[:60]}. Send a single resource to "
            f"{ctx.base}/[type].",
            expression="resourceType",
        )
    kind = resource.get("type")
    if kind == "transaction":
        return await transaction(ctx, resource)
    if kind == "batch":
        return await batch(ctx, resource)
    raise BadRequest(
        f"A Bundle of type '{str(kind)[:40]}' is not processed here. Its type must be 'batch' or 'transaction'; "
        f"to store it as it is, send it to {ctx.base}/Bundle.",
        expression="Bundle.type",
    )


async def batch(ctx: Context, resource: dict[str, Any]) -> FhirResponse:
    """Run every entry on its own and return the answers in the order of the entries (R4 3.1.0.11.1).

    Entries of one method run side by side; methods run in the order that transactions have.
    """
    rows = resource.get("entry", [])
    if not isinstance(rows, list):
        raise BadRequest("Bundle.entry must be an array.", expression="Bundle.entry")
    parsed = entries.parse_each(rows, ctx.request, ctx.settings.server.max_entries)
    answers: list[FhirResponse] = [FhirResponse(500)] * len(rows)
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(index: int, entry: Entry | FhirError) -> None:
        async with gate:
            answers[index] = refusal(entry) if isinstance(entry, FhirError) else await _answer(ctx, entry)

    for rank in sorted(set(ORDER.values())):
        group = [(i, e) for i, e in enumerate(parsed) if (0 if isinstance(e, FhirError) else ORDER[e.method]) == rank]
        await asyncio.gather(*(run(index, entry) for index, entry in group))
    return FhirResponse(200, {}, answer.response_bundle("batch-response", answers, ctx.base))


async def _answer(ctx: Context, entry: Entry) -> FhirResponse:
    try:
        return await ctx.enter(entry.request)
    except FhirError as error:
        return refusal(entries.located(error, entry))
