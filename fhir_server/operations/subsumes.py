"""CodeSystem/$subsumes: how two codes of a code system stand to each other (R4 CodeSystem-subsumes)."""

import asyncio

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, coded, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept
from terminology.issue import TxError

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    code="subsumes",
    resource=("CodeSystem",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("codeA", "in", 0, 1, "string"),
        OperationParameter("codeB", "in", 0, 1, "string"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("codingA", "in", 0, 1, "Coding"),
        OperationParameter("codingB", "in", 0, 1, "Coding"),
        *coded.COMMON,
        OperationParameter("outcome", "out", 1, 1, "code"),
    ),
)


async def subsumes(ctx: Context) -> FhirResponse:
    """Return 200 with `equivalent`, `subsumes` (A is B or above it), `subsumed-by` or `not-subsumed`.

    Raises:
        BadRequest: It is not said which codes, or they are of two code systems.
        NotFound: There is no such instance, or none that the caller may see.
    """
    asked = parameters.read(ctx, DEFINITION)
    try:
        codes, systems = await coded.located(
            ctx, asked, coded.options(ctx, asked), "codeA", "codingA", "codeB", "codingB"
        )
        if codes[0].system != codes[1].system:
            raise BadRequest(
                f"'{codes[0].system}' and '{codes[1].system}' are two code systems. Codes of one can be compared.",
                expression="http.codingB",
            )
        provider = await coded.provider(systems, codes[0])
        one, other = await asyncio.gather(*(coded.concept(provider, code) for code in codes))
    except TxError as error:
        return coded.refused(error)
    outcome = await _outcome(provider, one, other)
    return FhirResponse(200, {}, json.encode(parameters.resource([("outcome", "code", outcome)])))


async def _outcome(provider: CodeSystemProvider, one: Concept, other: Concept) -> str:
    if one.code == other.code:
        return "equivalent"
    above, below = await provider.subsumes(one, other), await provider.subsumes(other, one)
    if above and below:
        return "equivalent"
    return "subsumes" if above else "subsumed-by" if below else "not-subsumed"


OPERATION = Operation(
    DEFINITION,
    subsumes,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Whether one code of a code system is above or below another",
    success=((200, "Parameters with the outcome."),),
)
