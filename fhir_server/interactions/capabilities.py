"""capabilities: what this server does (R4 3.1.0.9)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.request import FhirResponse


async def capabilities(ctx: Context) -> FhirResponse:
    """Return 200 with the CapabilityStatement.

    Raises:
        InvalidParameter: A `mode` other than `full` or `normative`.
    """
    for name, value in ctx.request.query:
        if name == "mode" and value not in {"full", "normative"}:
            raise InvalidParameter(
                f"The mode '{value[:40]}' is not offered. Leave it out, or use 'full' or 'normative'.",
                expression="http.mode",
            )
    return FhirResponse(200, {}, json.encode(ctx.statement(ctx.base)))
