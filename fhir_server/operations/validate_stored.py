"""$validate-stored: find what is wrong with what is stored, as a job that counts it (docs/validation.md)."""

from datetime import datetime

from fhir_server.context import Context
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters, queued
from fhir_server.repository import surveying
from fhir_server.repository.surveying import EXAMPLES, MOST_EXAMPLES, Task
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url=f"{OWN}validate-stored",
    code="validate-stored",
    resource=("Resource",),
    system=True,
    type=True,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("type", "in", 0, None, "code"),
        OperationParameter("profile", "in", 0, None, "uri"),
        OperationParameter("since", "in", 0, 1, "instant"),
        OperationParameter("examples", "in", 0, 1, "unsignedInt"),
        *queued.QUEUED,
    ),
)


async def validate_stored(ctx: Context) -> FhirResponse:
    """Return 202 with the job that is queued, or with the one that is there already for the same.

    Raises:
        UnknownType: A parameter `type` is no resource type.
        BadRequest: A profile that is not known, or for another type; or another parameter.
    """
    asked = parameters.read(ctx, DEFINITION)
    types = queued.types(ctx, asked["type"])
    for profile in asked["profile"]:
        _refuse(ctx, profile, types)
    examples = asked["examples"][0] if asked["examples"] else EXAMPLES
    if examples > MOST_EXAMPLES:
        raise BadRequest(f"'examples' is at most {MOST_EXAMPLES}.", expression="http.examples")
    since = datetime.fromisoformat(asked["since"][0]) if asked["since"] else None
    task = Task(types, tuple(dict.fromkeys(asked["profile"])), since, examples)
    job = await ctx.queue.enqueue(surveying.KIND, task.payload(), key=task.key)
    return queued.accepted(ctx, job, "validate-stored-status")


def _refuse(ctx: Context, profile: str, types: tuple[str, ...]) -> None:
    name = ctx.checks.type_of(profile)
    if not name:
        raise BadRequest(
            f"There is no profile '{profile[:200]}' here.{ctx.checks.hint(profile)} Install the package that defines it "
            "(fhir-server package install).",
            expression="http.profile",
        )
    if types and name not in types:
        raise BadRequest(
            f"The profile '{profile[:200]}' is for {name}, which is not among the types. Add it, or leave the types out.",
            expression="http.profile",
        )


OPERATION = Operation(
    DEFINITION,
    validate_stored,
    letters=("r",),
    methods=("POST",),
    summary="Find what is wrong with what is stored",
    success=((202, "The job that is queued; `Content-Location` tells where to ask for it."),),
    whole=True,
)
