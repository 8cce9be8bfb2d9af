"""Patient/{id}/$link: a human confirms that two Patients are one person (docs/identity.md)."""

from fhir_server.context import Context
from fhir_server.model import ids, instant, json, reference
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.repository import linking
from fhir_server.repository.linking import Joined
from profiles.definitions.model import OperationDefinition, OperationParameter

JOINED = (
    OperationParameter("other", "in", 1, 1, "Reference"),
    OperationParameter("patient", "out", 2, 2, "Reference"),
    OperationParameter("person", "out", 0, 1, "Reference"),
    OperationParameter("since", "out", 1, 1, "instant"),
    OperationParameter("changed", "out", 1, 1, "boolean"),
)
"""What is asked of two Patients, and told of their link."""

DEFINITION = OperationDefinition(
    url=f"{OWN}patient-link",
    code="link",
    resource=("Patient",),
    system=False,
    type=False,
    instance=True,
    affects_state=True,
    parameters=JOINED,
)


async def link(ctx: Context) -> FhirResponse:
    """Return 200 with the two Patients, and the Person that leads to both; again, if they are linked already.

    Raises:
        BadRequest: `other` is no reference to a Patient of this server.
        FhirError: See `repository.linking.link`.
    """
    other = patient(ctx, "other", parameters.read(ctx, DEFINITION)["other"][0])
    return FhirResponse(
        200, {}, json.encode(parameters.resource(told(await linking.link(ctx.repository, ctx.id, other))))
    )


def patient(ctx: Context, name: str, value: object) -> str:
    """Return the id of the Patient that a Reference leads to.

    Raises:
        BadRequest: It leads to something else, or to another server.
    """
    text = value.get("reference") if isinstance(value, dict) else None
    found = reference.local(text, ctx.base) if isinstance(text, str) else None
    if found is None or found.resource_type != "Patient" or not ids.valid(found.id):
        raise BadRequest(
            f"'{name}' is a reference to a Patient of this server, such as Patient/123.", expression=f"http.{name}"
        )
    return found.id


def told(joined: Joined) -> list[tuple[str, str, object]]:
    """Return the parameters that tell of a link."""
    pairs = zip(joined.patients, joined.versions, strict=True)
    rows: list[tuple[str, str, object]] = [
        ("patient", "Reference", {"reference": f"Patient/{one}/_history/{version}"}) for one, version in pairs
    ]
    if joined.person:
        rows.append(("person", "Reference", {"reference": f"Person/{joined.person}"}))
    return [*rows, ("since", "instant", instant.text(joined.since)), ("changed", "boolean", joined.changed)]


OPERATION = Operation(
    DEFINITION,
    link,
    letters=("",),
    methods=("POST",),
    summary="Confirm that two Patients are one person",
    success=((200, "Parameters with the versions of both Patients, and the Person that leads to both."),),
)
