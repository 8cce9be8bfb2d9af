"""Patient/$everything: the record of a patient, and what it refers to (R4 Patient-everything)."""

from fhir_server.access import redaction
from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation
from fhir_server.operations.everything import COMMON, DAYS, answered
from profiles.definitions.model import OperationDefinition

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Patient-everything",
    code="everything",
    resource=("Patient",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(*DAYS, *COMMON),
)


async def everything(ctx: Context) -> FhirResponse:
    """Return a page of everything about a patient; without an id, about the one whose access token it is.

    Raises:
        BadRequest: It is not said which patient, and the token is not that of one.
        NotFound: There is no such patient, or none that the caller may see.
        Forbidden: The grant does not cover patients.
    """
    patient = ctx.id or _own(ctx)
    await ctx.repository.read("Patient", patient)
    return await answered(ctx, DEFINITION, patient)


def _own(ctx: Context) -> str:
    who = ctx.repository.scope.principal
    mine = [who.patient] if who.patient else sorted(redaction.own(ctx.repository.scope))
    if len(mine) != 1:
        raise BadRequest(
            "Say whose record is meant: [base]/Patient/[id]/$everything. Only a token of one patient says it by itself; those of "
            "many are exported in the background.",
            expression="http.url",
        )
    return mine[0]


OPERATION = Operation(
    DEFINITION,
    everything,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="The record of a patient, and what it refers to",
    success=((200, "A page of the resources."),),
)
