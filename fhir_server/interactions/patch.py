"""patch: change parts of an instance with JSON Patch, XML Patch or FHIRPath Patch (R4 3.1.0.5; conditional 3.1.0.5.1)."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from fhir_server.context import Context
from fhir_server.interactions import conditional, representation
from fhir_server.model import json, json_patch, xml_patch
from fhir_server.model.errors import BadRequest, NotFound, Unprocessable, UnsupportedMedia
from fhir_server.model.request import FhirResponse
from fhir_server.repository import demanded
from profiles.issue import Issue
from profiles.patch import editing, operations
from profiles.patch.errors import PatchError
from profiles.xml import tree
from profiles.xml.reader import Reader, UnreadableError
from profiles.xml.writer import UnwritableError, Writer

Json = dict[str, Any]
Steps = Callable[[Json], Any]
"""Makes one resource of another, which it may change."""

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
    return representation.written(ctx, await ctx.repository.patch(ctx.resource_type, ctx.id, change, demand))


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
    return representation.written(ctx, await ctx.repository.patch(ctx.resource_type, found.id, change, demand))


def _change(ctx: Context) -> Callable[[Json], Json]:
    """Return what the body of the request does to a resource.

    Raises:
        UnsupportedMedia: The body is of no type that patches come in.
        BadRequest: It is no patch.
    """
    media = ctx.header("content-type").partition(";")[0].strip().lower()
    reader = FORMATS.get(media)
    if reader is None:
        choice = ", ".join(FORMATS)
        raise UnsupportedMedia(
            f"A patch of type '{media[:60] or 'unknown'}' is not read here. Send one of {choice}.",
            headers={"Accept-Patch": choice},
        )
    return partial(_changed, reader(ctx))


def _json_patch(ctx: Context) -> Steps:
    return partial(json_patch.apply, json_patch.read(json.parse_array(ctx.request.body, "patch")))


def _xml_patch(ctx: Context) -> Steps:
    steps = xml_patch.read(ctx.request.body)
    reader, writer = Reader(ctx.definitions), Writer(ctx.definitions)

    def apply(resource: Json) -> Json:
        try:
            root = xml_patch.apply(steps, tree.parse(writer.write(resource)))
            # Whoever adds an element need not know behind which others it must stand.
            return reader.read(tree.serialize(root), ordered=False)
        except UnreadableError as error:
            issues = [_of_result(issue) for issue in error.issues]
            raise Unprocessable(issues[0].text, issues=issues) from None
        except UnwritableError as error:
            raise Unprocessable(f"The resource has no form in XML: {error} Send JSON Patch.") from None

    return apply


def _of_result(issue: Issue) -> Issue:
    """Return a finding without line and column, which are of XML that nobody wrote."""
    return replace(issue, text=f"What the patch makes is no FHIR: {issue.text.partition(': ')[2]}")


def _fhirpath_patch(ctx: Context) -> Steps:
    body = ctx.resource()
    if body.get("resourceType") != "Parameters":
        raise BadRequest(
            f"The body of a FHIRPath Patch is a Parameters resource, not '{str(body.get('resourceType'))[:60]}'. To replace the "
            "whole resource, send it with PUT.",
            expression="resourceType",
        )
    try:
        steps = operations.read(body, ctx.checks.engine, ctx.resource_type)
    except PatchError as error:
        raise BadRequest(error.reason, expression=error.expression) from None

    def apply(resource: Json) -> Json:
        try:
            return editing.apply(steps, resource)
        except PatchError as error:
            raise Unprocessable(error.reason, expression=error.expression) from None

    return apply


FORMATS: Mapping[str, Callable[[Context], Steps]] = {
    "application/json-patch+json": _json_patch,
    "application/xml-patch+xml": _xml_patch,
    "application/fhir+json": _fhirpath_patch,
    "application/fhir+xml": _fhirpath_patch,
}
"""Media types of patches, each with what reads them."""


def _changed(steps: Steps, resource: Json) -> Json:
    """Return the changed resource.

    Raises:
        Unprocessable: A `test` fails, a path leads nowhere, or what remains is no resource of the same identity, or one
            whose narrative may be wrong.
    """
    before = deepcopy(resource)
    changed = steps(resource)
    for name in ("resourceType", "id"):
        if not isinstance(changed, dict) or changed.get(name) != before[name]:
            raise Unprocessable(f"A patch must not change {name}.", expression=name)
    names = before.keys() | changed.keys()
    touched = {name.removeprefix("_") for name in names if before.get(name) != changed.get(name)}
    outdated = "text" not in touched and not touched <= _UNTOLD
    return _with_safe_narrative(dict(changed)) if outdated else dict(changed)


def _with_safe_narrative(resource: Json) -> Json:
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
