"""$diff: what makes one version of a resource of another, or one resource of another, as a FHIRPath Patch (as HAPI has it)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fhir_server.context import Context
from fhir_server.model import ids, json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Stored
from fhir_server.operations import OWN, Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.patch.difference import difference

Json = dict[str, Any]

VERSIONS, RESOURCES = ("fromVersion", "toVersion"), ("from", "to")
HISTORY = "/_history/"

DEFINITION = OperationDefinition(
    url=f"{OWN}diff",
    code="diff",
    resource=("Resource",),
    system=True,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("fromVersion", "in", 0, 1, "id"),
        OperationParameter("toVersion", "in", 0, 1, "id"),
        OperationParameter("from", "in", 0, 1, "uri"),
        OperationParameter("to", "in", 0, 1, "uri"),
        OperationParameter("includeMeta", "in", 0, 1, "boolean"),
        OperationParameter("return", "out", 1, 1, "Parameters"),
    ),
)


async def diff(ctx: Context) -> FhirResponse:
    """Return 200 with a FHIRPath Patch that makes the later of the former; without parameters where nothing differs.

    Raises:
        BadRequest: It is not said what is to be compared, or they are of different types.
        NotFound: One of them is not there, or not for the caller to see.
        Gone: One of them is a deletion.
    """
    asked = parameters.read(ctx, DEFINITION)
    before, after = await (_versions(ctx, asked) if ctx.id else _resources(ctx, asked))
    whole = asked["includeMeta"] == (True,)
    ignored = {"id"} if whole else {"id", "meta"}
    model = ctx.checks.engine.model
    found = await asyncio.to_thread(difference, _comparable(before), _comparable(after), model, ignored)
    return FhirResponse(200, {}, json.encode(found))


async def _versions(ctx: Context, asked: Mapping[str, tuple[Any, ...]]) -> tuple[Stored, Stored]:
    """Return two versions of the instance: by default the current one and the one before."""
    _refuse(
        asked, RESOURCES, f"The instance says what is compared; its versions are named by {' and '.join(VERSIONS)}."
    )
    first, last = (asked[name][0] if asked[name] else "" for name in VERSIONS)
    if last:
        after = await ctx.repository.vread(ctx.resource_type, ctx.id, last)
    else:
        after = await ctx.repository.read(ctx.resource_type, ctx.id)
    if not first and after.vid == 1:
        raise NotFound(
            f"There is no version of {ctx.resource_type}/{ctx.id} before version 1, so there is nothing to compare it with. "
            "Name another with fromVersion.",
            expression="http.fromVersion",
        )
    return await ctx.repository.vread(ctx.resource_type, ctx.id, first or str(after.vid - 1)), after


async def _resources(ctx: Context, asked: Mapping[str, tuple[Any, ...]]) -> tuple[Stored, Stored]:
    """Return the two resources that `from` and `to` name."""
    _refuse(asked, VERSIONS, "Versions of an instance are compared at [type]/[id]/$diff.")
    names = [asked[name][0] if asked[name] else "" for name in RESOURCES]
    if not all(names):
        raise BadRequest("Say what is compared: 'from' and 'to', each as Type/id or Type/id/_history/version.")
    (kind, *_), (other, *_) = places = [_place(ctx, role, name) for role, name in zip(RESOURCES, names, strict=True)]
    if kind != other:
        raise BadRequest(
            f"A {kind} and a {other} cannot be compared: 'from' and 'to' are of one type.", expression="http.to"
        )
    before, after = [await _read(ctx, *place) for place in places]
    return before, after


def _place(ctx: Context, role: str, given: str) -> tuple[str, str, str]:
    """Return type, id and version (or nothing) that a reference names."""
    text, _, version = given.removeprefix(f"{ctx.base}/").partition(HISTORY)
    kind, _, name = text.rpartition("/")
    kind = kind or ctx.resource_type
    if (
        kind not in ctx.definitions.resource_types
        or not ids.valid(name)
        or not (ids.valid(version) or HISTORY not in given)
    ):
        raise BadRequest(
            f"'{given[:60]}' names no resource of this server. Give '{role}' as Type/id or Type/id/_history/version.",
            expression=f"http.{role}",
        )
    if ctx.resource_type not in {"", kind}:
        raise BadRequest(
            f"'{given[:60]}' is no {ctx.resource_type}. Ask at [base]/{kind}/$diff, or at [base]/$diff.",
            expression=f"http.{role}",
        )
    return kind, name, version


async def _read(ctx: Context, kind: str, name: str, version: str) -> Stored:
    repository = ctx.repository
    return await (repository.vread(kind, name, version) if version else repository.read(kind, name))


def _refuse(asked: Mapping[str, tuple[Any, ...]], names: tuple[str, ...], reason: str) -> None:
    for name in names:
        if asked[name]:
            raise BadRequest(f"'{name}' does not apply here. {reason}", expression=f"http.{name}")


def _comparable(stored: Stored) -> Json:
    """Return a version with a meta whose version and time, which no patch can change, are the same for all."""
    resource: Json = json.decode(stored.body)
    return {**resource, "meta": {**resource.get("meta", {}), "versionId": "1", "lastUpdated": ""}}


OPERATION = Operation(
    DEFINITION,
    diff,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="What differs between two versions or two resources, as a FHIRPath Patch",
    success=((200, "Parameters that are a FHIRPath Patch; without parameters where nothing differs."),),
)
