"""CodeSystem/$lookup: what a code system says of a code (R4 CodeSystem-lookup, with what R5 adds)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, coded, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology import lookup
from terminology.issue import TxError

Json = dict[str, Any]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    code="lookup",
    resource=("CodeSystem",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("code", "in", 0, 1, "string"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("coding", "in", 0, 1, "Coding"),
        OperationParameter("property", "in", 0, None, "string"),
        *coded.COMMON,
        OperationParameter("name", "out", 1, 1, "string"),
        OperationParameter("version", "out", 0, 1, "string"),
        OperationParameter("display", "out", 1, 1, "string"),
        OperationParameter("definition", "out", 0, 1, "string"),
        OperationParameter("abstract", "out", 0, 1, "boolean"),
        OperationParameter("designation", "out", 0, None, ""),
        OperationParameter("property", "out", 0, None, ""),
    ),
)


async def look_up(ctx: Context) -> FhirResponse:
    """Return 200 with what a code system says of a code; 404 where it does not have it, or is not here.

    Raises:
        BadRequest: It is not said which code, or a property is asked for that the code system does not have.
        NotFound: There is no such instance, or none that the caller may see.
    """
    asked = parameters.read(ctx, DEFINITION)
    options = coded.options(ctx, asked)
    try:
        (code,), systems = await coded.located(ctx, asked, options, "code", "coding")
        provider = await coded.provider(systems, code)
        concept = await coded.concept(provider, code)
    except TxError as error:
        return coded.refused(error)
    wanted = asked["property"]
    unknown = lookup.unknown_names(provider, concept, wanted)
    if unknown:
        known = ", ".join(sorted(lookup.NAMED | set(provider.head.properties)))
        raise BadRequest(
            f"{provider.head.canonical} has no property '{unknown[0][:60]}'. Ask for some of {known}, or * for all.",
            expression="http.property",
        )
    rows = await lookup.described(provider, concept, wanted, options.languages or options.accepted)
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


OPERATION = Operation(
    DEFINITION,
    look_up,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="What a code system says of a code: display, definition, designations, properties, parents and children",
    success=((200, "Parameters: name, display, designations and properties."),),
)
