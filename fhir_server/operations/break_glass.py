"""$break-glass: read the record of one patient in an emergency, with a reason, for some hours, and seen by all (docs/cross-facility.md)."""

from dataclasses import replace
from datetime import timedelta

from fhir_server.context import Context
from fhir_server.model import instant, json
from fhir_server.model.errors import Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository.glass import Emergency, break_glass
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DEFINITION = OperationDefinition(
    url=f"{OWN}break-glass",
    code="break-glass",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("reason", "in", 1, 1, "string"),
        OperationParameter("code", "in", 0, 1, "code"),
        OperationParameter("until", "out", 1, 1, "instant"),
        OperationParameter("task", "out", 1, 1, "Reference"),
    ),
)

CODES = ("BTG", "ETREAT")
"""Purposes of v3 ActReason: break the glass, emergency treatment."""

LONGEST_REASON = 2000
REASON_REQUIRED = "break-glass-reason-required"

_READ = replace(
    DEFINITION,
    parameters=tuple(
        OperationParameter("reason", "in", 0, 1, "text") if row.name == "reason" else row
        for row in DEFINITION.parameters
    ),
)
"""How the parameters are read: what is wrong with the reason is told with a code of its own."""


async def answer(ctx: Context) -> FhirResponse:
    """Return until when the caller may read the record.

    Raises:
        Forbidden: The caller is not staff who treats people in a role.
        NotFound: There is no such patient whom the caller may open in an emergency.
        Unprocessable: No reason, or no purpose that is known.
    """
    values = parameters.read(ctx, _READ)
    life = timedelta(minutes=ctx.settings.access.break_glass_minutes)
    emergency = Emergency(ctx.id, _reason(values), _code(values), life)
    broken = await break_glass(ctx.repository, emergency)
    rows = (("until", "instant", instant.text(broken.until)), ("task", "Reference", {"reference": broken.task}))
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _reason(values: parameters.Values) -> str:
    reason = next(iter(values["reason"]), "")
    text = reason.strip() if isinstance(reason, str) else ""
    if not 0 < len(text) <= LONGEST_REASON:
        raise _refused(
            "Breaking the glass needs the parameter 'reason': say in a sentence why this record must be read now "
            f"(at most {LONGEST_REASON} characters).",
            "http.reason",
            REASON_REQUIRED,
        )
    return text


def _code(values: parameters.Values) -> str:
    code = next(iter(values["code"]), CODES[0])
    if code not in CODES:
        raise _refused(f"The parameter 'code' is one of {', '.join(CODES)}.", "http.code", "code-invalid")
    return str(code)


def _refused(text: str, place: str, code: str) -> Unprocessable:
    return Unprocessable(text, issues=[Issue("error", "required", text, place, code)])


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r",),
    methods=("POST",),
    summary="Read the record of one patient in an emergency",
    success=((200, "Until when, and the task of the privacy officer."),),
)
