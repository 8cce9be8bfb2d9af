"""Organization/[id]/$tree: what stands below an Organization, in the administrative hierarchy or in one of affiliations."""

from datetime import datetime
from typing import Any

from fhir_server.context import Context
from fhir_server.facilities.tree import Tree
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

DEEPEST = 20

PART = (
    OperationParameter("organization", "out", 1, 1, "Reference"),
    OperationParameter("level", "out", 0, 1, "code"),
    OperationParameter("active", "out", 1, 1, "boolean"),
    OperationParameter("below", "out", 0, None, ""),
)
DEFINITION = OperationDefinition(
    url=f"{OWN}tree",
    code="tree",
    resource=("Organization",),
    system=False,
    type=False,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("hierarchy", "in", 0, 1, "code"),
        OperationParameter("depth", "in", 0, 1, "positiveInt"),
        OperationParameter("top", "out", 1, 1, "", PART),
    ),
)

Row = tuple[str, str, Any]


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the Organization and what stands below it, as far as the caller may read it.

    Raises:
        NotFound: There is no such Organization.
        BadRequest: A parameter is not valid.
    """
    values = parameters.read(ctx, DEFINITION)
    depth = int(next(iter(values["depth"]), DEEPEST))
    if not 1 <= depth <= DEEPEST:
        raise BadRequest(f"depth is {depth}; it is from 1 to {DEEPEST}.", expression="http.depth")
    await ctx.repository.read("Organization", ctx.id)
    tree, now = await ctx.repository.house.now(), ctx.repository.store.clock.now()
    shown = await _shown(ctx, tree)
    root = _row("top", ctx.id, tree, shown, next(iter(values["hierarchy"]), ""), now, depth, frozenset({ctx.id}))
    return FhirResponse(200, {}, json.encode(parameters.resource([root])))


async def _shown(ctx: Context, tree: Tree) -> frozenset[str]:
    """Return the Organizations that the caller may read."""
    every = [("Organization", one.id) for one in tree.organizations]
    return frozenset(one for _, one in await ctx.repository.rights.within(every, "r"))


def _row(  # noqa: PLR0917 - what it goes down with
    name: str,
    organization: str,
    tree: Tree,
    shown: frozenset[str],
    code: str,
    at: datetime,
    depth: int,
    above: frozenset[str],
) -> Row:
    """Return one Organization with what stands below it; a circle of affiliations ends where it began."""
    one = tree.get(organization)
    display = {"display": one.name} if one and one.name else {}
    parts: list[Row] = [("organization", "Reference", {"reference": f"Organization/{organization}", **display})]
    if level := tree.level(organization):
        parts.append(("level", "code", level))
    parts.append(("active", "boolean", one.active if one else False))
    if depth > 1:
        parts += [
            _row("below", child, tree, shown, code, at, depth - 1, above | {child})
            for child in tree.children(organization, code, at if code else None)
            if child in shown and child not in above
        ]
    return name, "part", parts


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="What stands below an Organization",
    success=((200, "Parameters with the Organization and, in parts of its own, everything below it."),),
)
