"""patch: change parts of an instance with JSON Patch or XML Patch (R4 3.1.0.5, RFC 6902, RFC 5261; conditional 3.1.0.5.1)."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model import json, json_patch, xml_patch
from fhir_server.model.errors import NotFound, Unprocessable, UnsupportedMedia
from fhir_server.model.request import FhirResponse
from fhir_server.repository import demanded
from profiles.issue import Issue
from profiles.xml import tree
from profiles.xml.reader import Reader, UnreadableError
from profiles.xml.writer import UnwritableError, Writer

JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"

Changer = Callable[[dict[str, Any]], tuple[Any, AbstractSet[str]]]

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
    """A patch that was read and can be applied to any version.

    Args:
        change: From a resource to what the patch makes of it, and the names of the elements at its top that it touches.
    """

    __slots__ = ("_change",)

    def __init__(self, change: Changer) -> None:
        self._change = change

    def apply(self, resource: dict[str, Any]) -> dict[str, Any]:
        """Return the changed resource.

        Raises:
            Unprocessable: A `test` fails, a path leads nowhere, or what remains is no resource of the same identity, or one
                whose narrative may be wrong.
        """
        identity = {name: resource[name] for name in ("resourceType", "id")}
        changed, touched = self._change(resource)
        for name, value in identity.items():
            if not isinstance(changed, dict) or changed.get(name) != value:
                raise Unprocessable(f"A patch must not change {name}.", expression=name)
        outdated = "text" not in touched and not touched <= _UNTOLD
        return _with_safe_narrative(dict(changed)) if outdated else dict(changed)


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
            "true after this patch. Change its text in the same patch, or send an update.",
            expression=f"{resource['resourceType']}.text",
        )
    return resource


def _change(ctx: Context) -> Change:
    media = ctx.header("content-type").split(";")[0].strip().lower()
    if media not in _KINDS:
        allowed = ", ".join(_KINDS)
        raise UnsupportedMedia(
            f"A patch of type '{media[:60] or 'unknown'}' is not read here. Send one with a Content-Type out of {allowed}.",
            headers={"Accept-Patch": allowed},
        )
    return Change(_KINDS[media](ctx))


def _json_patch(ctx: Context) -> Changer:
    operations = json_patch.read(json.parse_array(ctx.request.body, "patch"))
    paths = [path for each in operations for path in json_patch.changed_paths(each)]
    touched = {path[0] if path else "text" for path in paths}
    return lambda resource: (json_patch.apply(operations, resource), touched)


def _xml_patch(ctx: Context) -> Changer:
    operations = xml_patch.read(ctx.request.body)
    reader, writer = Reader(ctx.definitions), Writer(ctx.definitions)

    def change(resource: dict[str, Any]) -> tuple[Any, AbstractSet[str]]:
        try:
            root = xml_patch.apply(operations, tree.parse(writer.write(resource)))
            # Whoever adds an element need not know behind which others it must stand.
            changed = reader.read(tree.serialize(root), ordered=False)
        except UnreadableError as error:
            issues = [_of_result(issue) for issue in error.issues]
            raise Unprocessable(issues[0].text, issues=issues) from None
        except UnwritableError as error:
            raise Unprocessable(f"The resource has no form in XML: {error} Send JSON Patch.") from None
        names = {*resource, *changed}
        return changed, {name.removeprefix("_") for name in names if resource.get(name) != changed.get(name)}

    return change


def _of_result(issue: Issue) -> Issue:
    """Return a finding without line and column, which are of XML that nobody wrote."""
    return replace(issue, text=f"What the patch makes is no FHIR: {issue.text.partition(': ')[2]}")


_KINDS: Mapping[str, Callable[[Context], Changer]] = {JSON_PATCH: _json_patch, XML_PATCH: _xml_patch}
"""What reads a patch, by its media type."""
