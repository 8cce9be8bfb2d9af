"""What the operations share that report a stretch of the audit trail of one patient, page by page."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.request import FhirResponse
from fhir_server.operations import parameters
from fhir_server.operations.parameters import Values
from fhir_server.repository.looking import Wanted, looks
from profiles.definitions.model import OperationParameter

Row = tuple[str, str, Any]
"""Name, FHIR type and value of a parameter."""

STRETCH = (
    OperationParameter("start", "in", 0, 1, "dateTime"),
    OperationParameter("end", "in", 0, 1, "dateTime"),
    OperationParameter("count", "in", 0, 1, "positiveInt"),
    OperationParameter("before", "in", 0, 1, "id"),
    OperationParameter("patient", "out", 1, 1, "Reference"),
)
NEXT = OperationParameter("next", "out", 0, 1, "id")


def text(asked: Values, name: str) -> str:
    """Return the value of a parameter, empty where it was not sent."""
    return str(next(iter(asked[name]), ""))


async def page(
    ctx: Context,
    asked: Values,
    head: Iterable[Row],
    name: str,
    row: Callable[[dict[str, Any]], Iterator[Row]],
    *,
    start: str,
    disclosures: bool,
) -> FhirResponse:
    """Return 200 with a parameter for each event of a page, the newest first.

    Args:
        ctx: The request, for a patient.
        asked: Values of `STRETCH`.
        head: What is told before them, beside the patient.
        name: Name of these parameters.
        row: Their parts, of an AuditEvent.
        start: The first day or moment, empty for the beginning.
        disclosures: Whether only disclosures are meant.

    Raises:
        NotFound: There is no such patient whom the caller may see.
        Forbidden: The caller may not search AuditEvents.
        NotSupported: No audit trail is kept.
    """
    most = ctx.settings.search
    count = min(int(next(iter(asked["count"]), most.count)), most.max_count)
    wanted = Wanted(ctx.id, start, text(asked, "end"), text(asked, "before"), count, disclosures)
    found = await looks(ctx.repository, wanted)
    rows: list[Row] = [("patient", "Reference", {"reference": f"Patient/{ctx.id}"}), *head]
    rows += [(name, "part", [*row(event)]) for event in found.events]
    rows += [("next", "id", found.next)] if found.next else []
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))
