"""capabilities: what this server does (R4 3.1.0.9)."""

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.request import FhirResponse
from fhir_server.vocabulary.capabilities import capabilities as terminology_capabilities

MODES = ("full", "normative", "terminology")


async def capabilities(ctx: Context) -> FhirResponse:
    """Return 200 with the CapabilityStatement, or with the TerminologyCapabilities.

    Raises:
        InvalidParameter: A `mode` that is none of those.
    """
    mode = next((value for name, value in ctx.request.query if name == "mode"), MODES[0])
    if mode not in MODES:
        raise InvalidParameter(
            f"The mode '{mode[:40]}' is not offered. Leave it out, or use {', '.join(MODES[:-1])} or {MODES[-1]}.",
            expression="http.mode",
        )
    statement = ctx.statement(ctx.base)
    if mode == "terminology":
        # Anybody may ask; only where there is no access control may anybody know what is stored.
        stored = ctx.settings.auth.mode == "open"
        vocabulary = ctx.vocabulary
        catalogue = await (vocabulary.catalogue(ctx.repository) if stored else vocabulary.published())
        statement = terminology_capabilities(statement, ctx.base, await catalogue.heads(), await vocabulary.sources())
    return FhirResponse(200, {}, json.encode(statement))
