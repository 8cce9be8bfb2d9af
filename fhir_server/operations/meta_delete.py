"""$meta-delete: take profiles, tags and security labels from an instance (R4 Resource-meta-delete; docs/labels.md)."""

from fhir_server.context import Context
from fhir_server.model import labels
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation
from fhir_server.operations.meta import change
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
    code="meta-delete",
    resource=("Resource",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=(OperationParameter("meta", "in", 1, 1, "Meta"), OperationParameter("return", "out", 1, 1, "Meta")),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the labels that are left, in a new version.

    Raises:
        FhirError: See `operations.meta.change`.
    """
    return await change(ctx, DEFINITION, labels.removed)


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="Take profiles, tags and security labels from an instance",
    success=((200, "Parameters with the labels that are left."),),
)
