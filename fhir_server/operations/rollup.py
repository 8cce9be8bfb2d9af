"""Organization/[id]/$rollup: counts of what those below it have done, one MeasureReport for each (docs/hierarchy.md)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.facilities import nodes
from fhir_server.facilities.agreement import OWN as CANONICAL
from fhir_server.facilities.nodes import FOREVER
from fhir_server.model import instant, json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.reports import MEASURES, Counted, counted
from fhir_server.search.types.date import EARLIEST
from profiles.definitions.model import OperationDefinition, OperationParameter

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
POPULATION = "http://terminology.hl7.org/CodeSystem/measure-population"

DEFINITION = OperationDefinition(
    url=f"{OWN}rollup",
    code="rollup",
    resource=("Organization",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("measure", "in", 1, 1, "code"),
        OperationParameter("periodStart", "in", 1, 1, "date"),
        OperationParameter("periodEnd", "in", 1, 1, "date"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with a collection of summary MeasureReports.

    Raises:
        BadRequest: There is no such measure, or the period ends before it begins.
        Forbidden: The caller does not speak for the Organization, or has no scope for reports.
        TooCostly: The time limit was reached.
    """
    values = parameters.read(ctx, DEFINITION)
    name = values["measure"][0]
    if name not in MEASURES:
        known = ", ".join(MEASURES)
        raise BadRequest(f"'{name[:40]}' is not counted here. Ask for one of {known}.", expression="http.measure")
    period = {"start": values["periodStart"][0], "end": values["periodEnd"][0]}
    begin, end = nodes.span(period, ctx.repository.intake.reading.zone)
    if begin >= end:
        raise BadRequest("The period ends before it begins.", expression="http.periodEnd")
    rows = await counted(ctx.repository, ctx.id, MEASURES[name], begin, end)
    now = instant.text(ctx.repository.store.clock.now())
    reports = [{"resource": _report(ctx.id, name, one, now)} for one in rows]
    entries = {"entry": reports} if reports else {}
    bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": now, **entries}
    return FhirResponse(200, {}, json.encode(bundle))


def _report(organization: str, measure: str, row: Counted, now: str) -> dict[str, Any]:
    part = row.part
    end = {"end": instant.text(part.end - nodes.MILLISECOND)} if part.end < FOREVER else {}
    start = {"start": instant.text(part.begin)} if part.begin > EARLIEST else {}
    population: dict[str, Any] = {"code": {"coding": [{"system": POPULATION, "code": "initial-population"}]}}
    if row.count is None:
        reason = "not-permitted" if part.rollup == "none" else "masked"
        population["_count"] = {"extension": [{"url": ABSENT, "valueCode": reason}]}
    else:
        population["count"] = row.count
    return {
        "resourceType": "MeasureReport",
        "status": "complete",
        "type": "summary",
        "measure": f"{CANONICAL}/Measure/{measure}",
        "subject": {"reference": f"Organization/{part.organization}"},
        "date": now,
        "reporter": {"reference": f"Organization/{organization}"},
        "period": {**start, **end},
        "group": [{"population": [population]}],
    }


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Counts of what those below an Organization have done",
    success=((200, "A collection Bundle with a summary MeasureReport for each."),),
)
