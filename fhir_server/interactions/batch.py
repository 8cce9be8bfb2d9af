"""batch and transaction bundles arrive at one URL (R4 3.1.0.11); a batch is a list of independent requests."""

import asyncio
import re
from collections.abc import Collection
from typing import Any

from fhir_server.bundle import answer, entries
from fhir_server.bundle.entries import ORDER, Entry
from fhir_server.bundle.references import BUNDLE_ONLY, entry_references
from fhir_server.context import Context
from fhir_server.interactions.transaction import transaction
from fhir_server.model.errors import BadRequest, FhirError
from fhir_server.model.fault import fault
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirResponse
from profiles.issue import Issue

AT_ONCE = 32
KINDS = ("batch", "transaction")

_IN_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]", re.ASCII)


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
    if ctx.repository.footprint and kind in KINDS:
        ctx.repository.footprint.kind = kind
    if kind == "transaction":
        return await transaction(ctx, resource)
    if kind == "batch":
        return await batch(ctx, resource)
    found = f"A Bundle of type '{kind[:40]}'" if isinstance(kind, str) else "A Bundle without type"
    raise BadRequest(
        f"{found} is not processed here. Its type must be 'batch' or 'transaction'; "
        f"to store it as it is, send it to {ctx.base}/Bundle.",
        expression="Bundle.type",
    )


async def batch(ctx: Context, resource: dict[str, Any]) -> FhirResponse:
    """Run every entry on its own and return the answers in the order of the entries (R4 3.1.0.11.1).

    Entries of one method run side by side; methods run in the order that transactions have.

    Raises:
        BadRequest: The bundle itself is malformed; a malformed entry only refuses itself.
    """
    parsed = _parsed(ctx, resource)
    answers: list[FhirResponse] = [FhirResponse(500)] * len(parsed)
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(index: int, entry: Entry | FhirError) -> None:
        async with gate:
            answers[index] = refusal(entry) if isinstance(entry, FhirError) else await _answer(ctx, entry)

    for rank in sorted(set(ORDER.values())):
        group = [(i, e) for i, e in enumerate(parsed) if (0 if isinstance(e, FhirError) else ORDER[e.method]) == rank]
        await asyncio.gather(*(run(index, entry) for index, entry in group))
    return FhirResponse(200, {}, answer.response_bundle("batch-response", answers, ctx.base))


def _parsed(ctx: Context, resource: dict[str, Any]) -> list[Entry | FhirError]:
    """Return the entries, with its error in the place of each that is malformed or depends on another one."""
    issues = ctx.repository.intake.check_frame(resource)
    by_entry: dict[int, list[Issue]] = {}
    for issue in issues:
        if found := _IN_ENTRY.match(issue.expression):
            by_entry.setdefault(int(found[1]), []).append(issue)
    if sum(map(len, by_entry.values())) < len(issues):
        raise BadRequest("The bundle is not valid.", issues=issues)
    parsed = entries.parse_each(resource.get("entry", []), ctx.request, ctx.settings.server.max_entries)
    malformed = {index: BadRequest("The entry is not valid.", issues=found) for index, found in by_entry.items()}
    local = {each.full_url for each in parsed if isinstance(each, Entry) and each.full_url.startswith(BUNDLE_ONLY)}
    return [malformed.get(index) or _independent(entry, local) for index, entry in enumerate(parsed)]


def _independent(entry: Entry | FhirError, local: Collection[str]) -> Entry | FhirError:
    """Return the entry, or an error where it refers to another one (R4 3.1.0.11.1)."""
    if not local or isinstance(entry, FhirError) or entry.request.resource is None:
        return entry
    for place, text in entry_references(entry.request.resource, entry.at("resource"), local):
        return BadRequest(
            f"The reference '{text[:80]}' leads to another entry, but entries of a batch are independent. Send a transaction.",
            expression=place,
        )
    return entry


async def _answer(ctx: Context, entry: Entry) -> FhirResponse:
    """Return the answer to one entry; whatever happens to it, the others stand."""
    try:
        return await entries.ask(ctx, entry)
    except FhirError as error:
        return refusal(error)
    except Exception as error:  # noqa: BLE001 - the last line of this entry, as dispatch is that of a request
        return fault(error, entry.request, entry.index)
