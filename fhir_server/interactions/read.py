"""read: the current version of an instance (R4 3.1.0.2; conditional read 3.1.0.2.1)."""

from fhir_server.context import Context
from fhir_server.interactions import representation
from fhir_server.model.request import FhirResponse


async def read(ctx: Context) -> FhirResponse:
    """Return 200 with the resource, or 304 when the caller's copy is current.

    Raises:
        NotFound: No such instance, or none that the caller may see.
        Gone: It was deleted.
    """
    subset = representation.subset(ctx)
    stored = await ctx.repository.read(ctx.resource_type, ctx.id)
    if representation.not_modified(ctx, stored):
        return FhirResponse(304, representation.version_headers(stored))
    return representation.present(ctx, stored, subset)
