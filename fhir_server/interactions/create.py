"""create: a new instance with an id of the server's choice (R4 3.1.0.8; conditional create 3.1.0.8.1)."""

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model import ids
from fhir_server.model.request import FhirResponse
from fhir_server.repository import Repository


async def create(ctx: Context) -> FhirResponse:
    """Return 201 with the new resource, or 200 with the one that `If-None-Exist` found.

    Raises:
        BadRequest: The body is not a valid resource of this type.
        MultipleMatches: `If-None-Exist` matches more than one.
        Unprocessable: A reference leads nowhere.
    """
    representation.refuse_parameters(ctx)
    resource = ctx.resource()
    resource_id = ctx.id or ids.new()
    query = ctx.header("if-none-exist")
    if not query:
        return representation.written(ctx, await ctx.repository.create(ctx.resource_type, resource_id, resource))

    criteria = conditional.criteria(ctx, query, "If-None-Exist")
    if found := await conditional.match(ctx.repository, criteria):
        return representation.found(ctx, found)

    async def create_unless_there(repository: Repository) -> FhirResponse:
        if found := await conditional.match(repository, criteria):
            return representation.found(ctx, found)
        return representation.written(ctx, await repository.create(ctx.resource_type, resource_id, resource))

    return await ctx.repository.exclusively([criteria.lock], [ctx.resource_type], create_unless_there)
