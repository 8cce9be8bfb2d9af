"""patch: change parts of an instance with JSON Patch (R4 3.1.0.5, RFC 6902; conditional patch 3.1.0.5.1)."""

from typing import Any

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model import json, json_patch
from fhir_server.model.errors import NotFound, Unprocessable, UnsupportedMedia
from fhir_server.model.request import FhirResponse
from fhir_server.repository import demanded

JSON_PATCH = "application/json-patch+json"

_UNTOLD = frozenset({"meta", "implicitRules", "language"})
"""Elements that no narrative speaks of."""


async def patch(ctx: Context) -> FhirResponse:
    """Return 200 with the patched version.

    Raises:
        NotFound: No such instance.
        BadRequest: The patch is malformed, or its result is not a valid resource.
        Unprocessable: A `test` fails or a path leads nowhere.
        PreconditionFailed: `If-Match` names another version than the current one.
    """
    representation.refuse_parameters(ctx)
    change = _change(ctx)
    demand = demanded(ctx.request.headers)
    return representation.written(ctx, await ctx.repository.patch(ctx.resource_type, ctx.id, change.apply, demand))


async def conditional_patch(ctx: Context) -> FhirResponse:
    """Patch the one resource that the query finds.

    Raises:
        NotFound: The query finds none.
        MultipleMatches: The query finds more than one.
    """
    change = _change(ctx)
    found = await conditional.match(ctx.repository, conditional.criteria_of_url(ctx))
    if not found:
        raise NotFound(f"No {ctx.resource_type} fulfils the condition, so there is nothing to patch.")
    demand = demanded(ctx.request.headers)
    return representation.written(ctx, await ctx.repository.patch(ctx.resource_type, found.id, change.apply, demand))


class Change:
    """A JSON Patch that was read and can be applied to any version."""

    __slots__ = ("_operations",)

    def __init__(self, rows: list[Any]) -> None:
        self._operations = json_patch.read(rows)

    def apply(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return the changed resource.

        Raises:
            Unprocessable: A `test` fails, a path leads nowhere, or what remains is no resource of the same identity, or one
                whose narrative may be wrong.
        """
        identity = {name: resource[name] for name in ("resourceType", "id")}
        changed = json_patch.apply(self._operations, resource)
        for name, value in identity.items():
            if not isinstance(changed, dict) or changed.get(name) != value:
                raise Unprocessable(f"A patch must not change {name}.", expression=name)
        return _with_safe_narrative(dict(changed)) if self._outdates_narrative() else dict(changed)

    def _outdates_narrative(self) -> bool:
        """Whether the patch changes what a narrative speaks of, and leaves the narrative itself alone."""
        touched = {path[0] if path else "text" for each in self._operations for path in json_patch.changed_paths(each)}
        return "text" not in touched and not touched <= _UNTOLD


def _with_safe_narrative(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the resource without a narrative that may say something else than the changed data (R4 3.1.0.5, a SHALL).

    Raises:
        Unprocessable: The narrative holds more than the data, so that it cannot just be dropped.
    """
    text = resource.get("text")
    status = text.get("status") if isinstance(text, dict) else "empty"
    if status in {"generated", "extensions"}:
        return {name: value for name, value in resource.items() if name != "text"}
    if status == "additional":
        raise Unprocessable(
            "The narrative holds more than the data (text.status is 'additional'), so the server cannot tell whether it is still "
            "true after this patch. Change /text in the same patch, or send an update.",
            expression=f"{resource['resourceType']}.text",
        )
    return resource


def _change(ctx: Context) -> Change:
    media = ctx.header("content-type").split(";")[0].strip().lower()
    if media != JSON_PATCH:
        raise UnsupportedMedia(
            f"A patch of type '{media[:60] or 'unknown'}' is not read here. Send JSON Patch with Content-Type: {JSON_PATCH}.",
            headers={"Accept-Patch": JSON_PATCH},
        )
    return Change(json.parse_array(ctx.request.body, "patch"))
