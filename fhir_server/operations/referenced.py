"""What a resource refers to and is stored, as far as the caller may see it: profiles say of what kind it is to be."""

from collections.abc import Callable
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import Forbidden, InvalidParameter
from fhir_server.model.reference import Local, local, walk

Json = dict[str, Any]

MOST = 100
"""Resources that are looked up for one request; what more is referred to is not looked at."""


async def found(ctx: Context, resource: Json) -> Callable[[str], Json | None]:
    """Return what tells the resource of a reference, `None` where the caller sees none: one query for each type.

    References that name a version are not followed.
    """
    texts: dict[str, Local] = {}
    try:
        for _, reference in walk(resource, ""):
            place = local(reference["reference"], ctx.base)
            if place is not None and not place.version and place.resource_type in ctx.definitions.resource_types:
                texts[reference["reference"]] = place
            if len(texts) >= MOST:
                break
    except RecursionError:
        return _nothing  # What is nested so deeply is refused when it is checked.
    by_type: dict[str, list[str]] = {}
    for place in texts.values():
        by_type.setdefault(place.resource_type, []).append(place.id)
    seen: dict[str, Json] = {}
    for resource_type, ids in by_type.items():
        for one in await _seen(ctx, resource_type, list(dict.fromkeys(ids))):
            seen[f"{resource_type}/{one['id']}"] = one
    return lambda text: seen.get(str(texts[text])) if text in texts else None


async def _seen(ctx: Context, resource_type: str, ids: list[str]) -> list[Json]:
    if not ctx.repository.rights.has(resource_type, "s"):
        return []
    try:
        found = await ctx.repository.matches(resource_type, (("_id", ",".join(ids)),), len(ids))
    except (Forbidden, InvalidParameter):
        return []
    return [json.decode(one.body) for one in found]


def _nothing(_: str) -> None:
    return None
