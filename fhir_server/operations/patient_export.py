"""$export of what belongs to patients (Bulk Data Access: patient-level export)."""

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, exporting
from profiles.definitions.model import OperationDefinition

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
    code="export",
    resource=("Patient",),
    system=False,
    type=True,
    instance=False,
    affects_state=False,
    parameters=exporting.OF_PATIENTS,
)


async def export(ctx: Context) -> FhirResponse:
    """Return 202 with the place where the export is asked for.

    Raises:
        FhirError: As `exporting.kick_off`.
    """
    return await exporting.kick_off(ctx, "patient")


OPERATION = Operation(
    DEFINITION,
    export,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Export what belongs to patients as files, in the background",
    success=((202, "The export has begun; `Content-Location` tells where to ask for it."),),
    refusals=(429,),
    media=((202, ""),),
)
