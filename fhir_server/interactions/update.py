"""update: a new current version of an instance, which it may create (R4 3.1.0.4; conditional update 3.1.0.4.3)."""

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model import ids
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.repository import Repository, demanded


async def update(ctx: Context) -> FhirResponse:
    """Return 200 with the new version, or 201 where the id was not in use.

    Raises:
        BadRequest: The body is not a valid resource of this type with the id of the URL.
        PreconditionFailed: `If-Match` names another version than the current one.
        Unprocessable: A reference leads nowhere.
    """
    representation.refuse_parameters(ctx)
    resource = ctx.resource()
    _refuse_other_id(resource, ctx.id)
    demand = demanded(ctx.request.headers)
    return representation.written(ctx, await ctx.repository.update(ctx.resource_type, ctx.id, resource, demand))


async def conditional_update(ctx: Context) -> FhirResponse:
    """Update the one resource that the query finds; create it where the query finds none.

    Raises:
        MultipleMatches: The query finds more than one.
        BadRequest: The body's id is not that of the match.
        Conflict: The query finds none, and the body's id is that of another instance.
        PreconditionFailed: `If-Match` names another version than the current one.
    """
    resource = ctx.resource()
    demand = demanded(ctx.request.headers)
    criteria = conditional.criteria_of_url(ctx)

    async def update_match(repository: Repository) -> FhirResponse:
        found = await conditional.match(repository, criteria)
        stated = resource.get("id")
        if found:
            if stated is not None:
                _refuse_other_id(resource, found.id)
            written = await repository.update(ctx.resource_type, found.id, {**resource, "id": found.id}, demand)
            return representation.written(ctx, written)
        demand.check(None, f"a {ctx.resource_type} that fulfils the condition")
        if stated is None:
            written = await repository.create(ctx.resource_type, ctx.id or ids.new(), resource)
        else:
            await conditional.refuse_taken(repository, ctx.resource_type, stated)
            written = await repository.update(ctx.resource_type, stated, resource)
        return representation.written(ctx, written)

    return await ctx.repository.exclusively([criteria.lock], [ctx.resource_type], update_match)


def _refuse_other_id(resource: dict[str, object], resource_id: str) -> None:
    """Refuse a body whose id is missing or is not the one that the URL (or the match) names."""
    stated = resource.get("id")
    if stated == resource_id:
        return
    found = f"'{stated[:64]}'" if isinstance(stated, str) else "no id" if stated is None else "an id that is no string"
    raise BadRequest(
        f'The body has {found}, but this update is of \'{resource_id}\'. Send the resource with "id": "{resource_id}".',
        expression=f"{resource.get('resourceType')}.id",
    )
