"""Patient/{id}/$unmerge: a human undoes the merge of a duplicate (docs/identity.md)."""

from fhir_server.context import Context
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.operations.merge import answer
from fhir_server.repository import merging
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DEFINITION = OperationDefinition(
    url=f"{OWN}patient-unmerge",
    code="unmerge",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(
        OperationParameter("outcome", "out", 1, 1, "Resource"),
        OperationParameter("source", "out", 1, 1, "Patient"),
        OperationParameter("result", "out", 1, 1, "Patient"),
    ),
)


async def unmerge(ctx: Context) -> FhirResponse:
    """Return 200 with both Patients as they are again.

    Raises:
        BadRequest: A parameter.
        FhirError: See `repository.merging.unmerge`.
    """
    parameters.read(ctx, DEFINITION)
    merged = await merging.unmerge(ctx.repository, ctx.id)
    if merged.restored:
        said = Issue("information", "informational", "Both Patients are again what they were before the merge.")
    else:
        said = Issue(
            "warning",
            "incomplete",
            "One of the Patients was changed since the merge. The link and whether it is active were undone; look whether other "
            "elements belong to the other Patient.",
            message_id="unmerge-incomplete",
        )
    return answer(said, merged)


OPERATION = Operation(
    DEFINITION,
    unmerge,
    letters=("",),
    methods=("POST",),
    summary="Undo the merge of a duplicate",
    success=((200, "Parameters with what was done, and both Patients."),),
)
