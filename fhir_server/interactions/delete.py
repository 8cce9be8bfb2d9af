"""delete: an instance is no longer current; its versions stay readable (R4 3.1.0.7; conditional delete 3.1.0.7.1)."""

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model.request import FhirResponse
from fhir_server.repository import demanded


async def delete(ctx: Context) -> FhirResponse:
    """Return 204 with the version of the deletion in the ETag; 204 too where there was nothing to delete.

    Raises:
        Conflict: Other resources refer to it.
        PreconditionFailed: `If-Match` names another version than the current one.
    """
    representation.refuse_parameters(ctx)
    deleted = await ctx.repository.delete(ctx.resource_type, ctx.id, demanded(ctx.request.headers))
    return representation.deleted(ctx, deleted)


async def conditional_delete(ctx: Context) -> FhirResponse:
    """Delete the one resource that the query finds; 204 where it finds none.

    Raises:
        MultipleMatches: The query finds more than one.
        Conflict: Other resources refer to it.
        PreconditionFailed: `If-Match` names another version than the current one.
    """
    demand = demanded(ctx.request.headers)
    found = await conditional.match(ctx.repository, conditional.criteria_of_url(ctx))
    if not found:
        demand.check(None, f"a {ctx.resource_type} that fulfils the condition")
        return representation.deleted(ctx, None)
    deleted = await ctx.repository.delete(ctx.resource_type, found.id, demand)
    return representation.deleted(ctx, deleted)
