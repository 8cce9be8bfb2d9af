"""vread: one version of an instance (R4 3.1.0.3)."""

from fhir_server.context import Context
from fhir_server.interactions import representation
from fhir_server.model.request import FhirResponse


async def vread(ctx: Context) -> FhirResponse:
    """Return 200 with that version.

    Raises:
        NotFound: No such instance or version.
        Gone: That version is the deletion.
    """
    subset = representation.subset(ctx)
    stored = await ctx.repository.vread(ctx.resource_type, ctx.id, ctx.vid)
    if representation.not_modified(ctx, stored):
        return FhirResponse(304, representation.version_headers(stored))
    return representation.present(ctx, stored, subset)
