"""$snapshot: a StructureDefinition with its snapshot, made from its differential (R4 StructureDefinition-snapshot)."""

import asyncio

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, NotFound, Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters, structures
from fhir_server.operations.structures import TYPE, Json
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.snapshot.generate import Snapshot

MOST_ROWS = 5_000
"""Elements of a differential; the largest that guides publish has some 300."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/StructureDefinition-snapshot",
    code="snapshot",
    resource=(TYPE,),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("definition", "in", 0, 1, TYPE),
        OperationParameter("url", "in", 0, 1, "string"),
        OperationParameter("return", "out", 1, 1, TYPE),
    ),
)


async def snapshot(ctx: Context) -> FhirResponse:
    """Return 200 with the StructureDefinition and its snapshot.

    Raises:
        BadRequest: It is not said which, or in two ways, or what is sent is no valid StructureDefinition.
        NotFound: There is none of this id or URL, or none that the caller may see.
        Unprocessable: It has no snapshot: its base is not known, it is based on itself, or says what cannot be.
    """
    structure = await _asked(ctx)
    made = ctx.checks.packaged(structure) or await _made(ctx, structure)
    if made.fails or any(one.fails for one in made.issues):
        raise Unprocessable("The StructureDefinition has no snapshot.", issues=made.issues)
    rows = [_worded(ctx, row) for row in made.rows]
    return FhirResponse(200, {}, json.encode(_with(structure, rows)))


async def _made(ctx: Context, structure: Json) -> Snapshot:
    """Return the snapshot of what is in no package, based on what the caller may see."""
    others = await structures.gathered(ctx, structures.needed(structure))
    known = [structure, *(one for one in others if one.get("url") != structure.get("url"))]
    return await asyncio.to_thread(ctx.checks.knowing(known).snapshot, structure)


async def _asked(ctx: Context) -> Json:
    asked = parameters.read(ctx, DEFINITION)
    definition, url = asked["definition"], asked["url"]
    if ctx.id:
        if definition or url:
            raise BadRequest(
                f"The instance says which one is meant. Leave 'definition' and 'url' out, or ask at [base]/{TYPE}."
            )
        stored: Json = json.decode((await ctx.repository.read(TYPE, ctx.id)).body)
        _refuse_long(stored)
        return stored
    if len(definition) + len(url) != 1:
        raise BadRequest(
            "Say which StructureDefinition is meant: send it as 'definition', or its canonical URL as 'url'."
        )
    if definition:
        sent: Json = definition[0]
        _refuse_long(sent)
        if found := [one for one in ctx.checks.base(sent, TYPE) if one.fails]:
            raise BadRequest("The StructureDefinition is not valid.", issues=found)
        return sent
    known = await structures.stored(ctx, url[0]) or ctx.checks.structure(url[0])
    if known is None:
        raise NotFound(
            f"There is no StructureDefinition '{url[0][:200]}' here.{ctx.checks.hint(url[0])} Send it as 'definition', or "
            "install the package that defines it: fhir-server package install.",
            expression="http.url",
        )
    return known


def _refuse_long(structure: Json) -> None:
    differential = structure.get("differential")
    rows = differential.get("element") if isinstance(differential, dict) else None
    if isinstance(rows, list) and len(rows) > MOST_ROWS:
        text = f"The differential has {len(rows)} elements; {MOST_ROWS} are taken at once. Split the profile."
        raise Unprocessable(text, expression=f"{TYPE}.differential")


def _worded(ctx: Context, row: Json) -> Json:
    """Return an element with what it is in words, which only `$snapshot` needs: those of its type where the profile says none."""
    path = row.get("base", {}).get("path") or row["path"]
    short, definition, reason = ctx.definitions.wording(path) or ("", "", "")
    said = {"short": short or row["path"], "definition": definition or short or row["path"]}
    if row.get("isModifier"):
        said["isModifierReason"] = reason or said["definition"]
    return {**row, **{name: text for name, text in said.items() if name not in row}}


def _with(structure: Json, rows: list[Json]) -> Json:
    """Return the StructureDefinition with a snapshot, which stands before the differential."""
    rest = {name: value for name, value in structure.items() if name not in {"snapshot", "differential"}}
    last = {"differential": structure["differential"]} if "differential" in structure else {}
    return {**rest, "snapshot": {"element": rows}, **last}


OPERATION = Operation(
    DEFINITION,
    snapshot,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="A StructureDefinition with its snapshot",
    success=((200, "The StructureDefinition with its snapshot."),),
)
