"""$meta: the profiles, tags and security labels of an instance (R4 Resource-meta; docs/labels.md)."""

from collections.abc import Callable
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json, labels
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Stored
from fhir_server.operations import Operation, parameters
from fhir_server.repository import demanded
from profiles.definitions.model import OperationDefinition, OperationParameter

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Resource-meta",
    code="meta",
    resource=("Resource",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(OperationParameter("return", "out", 1, 1, "Meta"),),
)


async def read(ctx: Context) -> FhirResponse:
    """Return 200 with the labels of the current version.

    Raises:
        NotFound: No such instance, or none that the caller may see.
        Gone: It was deleted.
    """
    parameters.read(ctx, DEFINITION)
    stored = await ctx.repository.read(ctx.resource_type, ctx.id)
    return told(stored)


async def change(
    ctx: Context, definition: OperationDefinition, how: Callable[[labels.Meta, labels.Meta], dict[str, Any]]
) -> FhirResponse:
    """Store a version of the instance with other labels, and return 200 with them; without them to who may not read it.

    Raises:
        BadRequest: The labels are none, or are no Meta.
        NotFound: No such instance, or none that the caller may see.
        Forbidden: The caller may not change it, or not to these labels.
        PreconditionFailed: `If-Match` names another version than the current one.
    """
    (given,) = parameters.read(ctx, definition)["meta"]
    others = sorted(given.keys() - labels.SETS.keys())
    if others:
        raise BadRequest(
            f"meta.{others[0][:60]} is not changed by ${definition.code}. It takes profile, security and tag.",
            expression=f"meta.{others[0][:60]}",
        )
    if not all(isinstance(rows, list) for rows in given.values()):
        raise BadRequest("profile, security and tag of a Meta are arrays.", expression="meta")
    if not labels.of(given):
        text = f"The Meta is empty. Say which profiles, security labels or tags ${definition.code} is about."
        raise BadRequest(text, expression="meta")

    def relabelled(resource: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in resource.items() if name != "meta"}
        meta = how(resource.get("meta", {}), given)
        return {**rest, "meta": meta} if meta else rest

    demand = demanded(ctx.request.headers)
    written = await ctx.repository.patch(ctx.resource_type, ctx.id, relabelled, demand)
    return told(written.stored, shown=written.shown)


def changing(
    code: str, how: Callable[[labels.Meta, labels.Meta], dict[str, Any]], *, summary: str, success: str
) -> Operation:
    """Return an operation that changes the labels of an instance, and answers 200 with those that it has then.

    Args:
        code: Its code.
        how: What the labels are then, from those there are and those that were sent.
        summary: One line.
        success: What the answer says.
    """
    definition = OperationDefinition(
        url=f"http://hl7.org/fhir/OperationDefinition/Resource-{code}",
        code=code,
        resource=("Resource",),
        system=False,
        type=False,
        instance=True,
        affects_state=True,
        parameters=(OperationParameter("meta", "in", 1, 1, "Meta"), OperationParameter("return", "out", 1, 1, "Meta")),
    )

    async def answer(ctx: Context) -> FhirResponse:
        return await change(ctx, definition, how)

    return Operation(definition, answer, letters=("u",), methods=("POST",), summary=summary, success=((200, success),))


def told(stored: Stored, *, shown: bool = True) -> FhirResponse:
    """Return the answer that tells the labels of a version, or only which one it is."""
    headers = {"ETag": f'W/"{stored.vid}"'}
    if not shown:
        return FhirResponse(200, headers)
    found = labels.of(json.decode(stored.body).get("meta", {}))
    rows = [("return", "Meta", found)] if found else []
    return FhirResponse(200, headers, json.encode(parameters.resource(rows)))


OPERATION = Operation(
    DEFINITION,
    read,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="The profiles, tags and security labels of an instance",
    success=((200, "Parameters with one Meta; none where the instance has no labels."),),
)
