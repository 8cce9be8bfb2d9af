"""$export of everything that the grant reaches (Bulk Data Access: system-level export)."""

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, exporting
from profiles.definitions.model import OperationDefinition

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
    code="export",
    resource=("Resource",),
    system=True,
    type=False,
    instance=False,
    affects_state=False,
    parameters=exporting.PARAMETERS,
)


async def export(ctx: Context) -> FhirResponse:
    """Return 202 with the place where the export is asked for."""
    return await exporting.kick_off(ctx, "system")


OPERATION = Operation(
    DEFINITION,
    export,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Export everything as files, in the background",
    success=((202, "The export has begun; `Content-Location` tells where to ask for it."),),
    refusals=(429,),
    media=((202, ""),),
)
