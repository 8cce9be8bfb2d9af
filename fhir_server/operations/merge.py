"""Patient/$merge: a human replaces a duplicate of the same facility (as R5 Patient-merge; docs/identity.md)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.operations.link import patient
from fhir_server.repository import merging
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue

DEFINITION = OperationDefinition(
    url=f"{OWN}patient-merge",
    code="merge",
    resource=("Patient",),
    system=False,
    type=True,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("source-patient", "in", 1, 1, "Reference"),
        OperationParameter("target-patient", "in", 1, 1, "Reference"),
        OperationParameter("result-patient", "in", 0, 1, "Patient"),
        OperationParameter("preview", "in", 0, 1, "boolean"),
        OperationParameter("outcome", "out", 1, 1, "Resource"),
        OperationParameter("source", "out", 1, 1, "Patient"),
        OperationParameter("result", "out", 1, 1, "Patient"),
    ),
)


async def merge(ctx: Context) -> FhirResponse:
    """Return 200 with both Patients as they are then, or would be.

    Raises:
        BadRequest: A parameter is not what it should be, or the result is no valid Patient.
        FhirError: See `repository.merging.merge`.
    """
    asked = parameters.read(ctx, DEFINITION)
    source = patient(ctx, "source-patient", asked["source-patient"][0])
    target = patient(ctx, "target-patient", asked["target-patient"][0])
    result = asked["result-patient"][0] if asked["result-patient"] else None
    if result is not None and (result.get("resourceType") != "Patient" or result.get("id") != target):
        raise BadRequest(
            f"result-patient is what Patient/{target} is to be: a Patient with this id.",
            expression="http.result-patient",
        )
    rehearse = asked["preview"] == (True,)
    merged = await merging.merge(ctx.repository, source, target, result, rehearse=rehearse)
    done = "would be replaced" if rehearse else "is replaced"
    said = Issue("information", "informational", f"Patient/{source} {done} by Patient/{target}.")
    return answer(said, merged)


def answer(said: Issue, merged: merging.Merged) -> FhirResponse:
    """Return the answer that tells of a merge."""
    rows: list[tuple[str, str, Any]] = [
        ("outcome", "Resource", outcome([said])),
        ("source", "Patient", json.Raw(merged.source.stored.body)),
        ("result", "Patient", json.Raw(merged.target.stored.body)),
    ]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


OPERATION = Operation(
    DEFINITION,
    merge,
    letters=("",),
    methods=("POST",),
    summary="Replace a Patient that is a duplicate of another one of the same facility",
    success=((200, "Parameters with what was done, the duplicate, and the Patient that stays."),),
)
