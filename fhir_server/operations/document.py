"""Composition/$document: a composition with what it refers to, as one document (R4 Composition-document, documents.html)."""

from typing import Any
from uuid import uuid4

from fhir_server.context import Context
from fhir_server.model import ids, instant, json, reference
from fhir_server.model.errors import BadRequest, NotFound, TooCostly, Unprocessable
from fhir_server.model.reference import Local
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter

TYPE, BINARY, PATIENT = "Composition", "Binary", "Patient"
MOST = 1_000
DEEPEST = 10
ABOUT = ("subject", "patient", "beneficiary")
"""Elements that say whose record something belongs to."""

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}

Json = dict[str, Any]
Key = tuple[str, str]

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Composition-document",
    code="document",
    resource=(TYPE,),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("id", "in", 0, 1, "uri"),
        OperationParameter("persist", "in", 0, 1, "boolean"),
        OperationParameter("graph", "in", 0, 1, "uri"),
        OperationParameter("return", "out", 1, 1, "Bundle"),
    ),
)


async def document(ctx: Context) -> FhirResponse:
    """Return 200 with the document, or where it is to be stored 201 with what is stored.

    Raises:
        BadRequest: It is not said which composition, or a parameter does not apply.
        NotFound: There is no such composition, or none that the caller may see.
        Forbidden: It is to be stored, and the caller may create no Bundle.
        Unprocessable: It is to be stored, and what the composition refers to is not there.
        TooCostly: It refers to too much.
    """
    asked = parameters.read(ctx, DEFINITION)
    persist = asked["persist"] == (True,)
    if asked["graph"]:
        raise BadRequest(
            "'graph' is not understood: a document has what its composition refers to.", expression="http.graph"
        )
    if persist and ctx.request.method == "GET":
        raise BadRequest("To store the document, send the operation by POST.", expression="http.persist")
    composition = json.decode((await ctx.repository.read(TYPE, _named(ctx, asked))).body)
    resources, missing = await _gathered(ctx, composition)
    if persist and missing:
        raise Unprocessable(
            f"The document would lack what the Composition refers to: {', '.join(missing[:10])} is not there, or not for you to "
            "see. Mend the references, or ask for it without 'persist'.",
            expression=TYPE,
        )
    bundle = _bundle(ctx, resources, whole=not missing)
    if not persist:
        return FhirResponse(200, {}, json.encode(bundle))
    written = await ctx.repository.create("Bundle", ids.new(), bundle)
    stored = written.stored
    place = f"{ctx.base}/Bundle/{stored.id}/_history/{stored.vid}"
    return FhirResponse(201, {"Location": place, "ETag": f'W/"{stored.vid}"'}, stored.body, stored)


def _named(ctx: Context, asked: parameters.Values) -> str:
    """Return the id of the composition that is meant."""
    if ctx.id:
        if asked["id"]:
            raise BadRequest("The URL says which composition is meant. Leave 'id' out.", expression="http.id")
        return ctx.id
    if not asked["id"]:
        raise BadRequest("Say which composition is meant: Composition/[id]/$document.", expression="http.id")
    text = str(asked["id"][0])
    known = reference.local(text if "/" in text else f"{TYPE}/{text}", ctx.base)
    if known is None or known.resource_type != TYPE:
        raise NotFound(f"'{text[:100]}' is no Composition of this server.", expression="http.id")
    return known.id


async def _gathered(ctx: Context, composition: Json) -> tuple[list[Json], list[str]]:
    """Return the composition with all that it leads to, and what it refers to itself and is not there."""
    itself = (TYPE, str(composition["id"]))
    found: dict[Key, Json] = {itself: composition}
    missing: list[str] = []
    subject = _about(ctx, composition)
    waiting = _references(ctx, composition)
    for depth in range(DEEPEST):
        fresh = [key for key in waiting if key not in found]
        seen = await _read(ctx, fresh)
        if depth == 0:
            missing = [f"{kind}/{name}" for kind, name in fresh if (kind, name) not in seen]
        else:  # the records of others are not a part of this one
            seen = {key: one for key, one in seen.items() if _about(ctx, one) in {None, subject} and key[0] != PATIENT}
        found |= seen
        if len(found) > MOST:
            text = f"The composition leads to more than {MOST:,} resources, which is too much for one document."
            raise TooCostly(text, expression=TYPE)
        waiting = list(dict.fromkeys(key for one in seen.values() for key in _references(ctx, one) if key not in found))
        if not waiting:
            break
    return list(found.values()), missing


def _references(ctx: Context, resource: Json) -> list[Key]:
    """Return what a resource refers to on this server, each once."""
    texts = (place["reference"] for _, place in reference.walk(resource, ""))
    known = (reference.local(text, ctx.base) for text in texts)
    return list(dict.fromkeys((one.resource_type, one.id) for one in known if one and _is_type(ctx, one)))


def _is_type(ctx: Context, one: Local) -> bool:
    return one.resource_type in ctx.definitions.resource_types


def _about(ctx: Context, resource: Json) -> str | None:
    """Return the patient whom a resource is about, `None` where it is about none."""
    for name in ABOUT:
        text = resource.get(name, {}).get("reference", "") if isinstance(resource.get(name), dict) else ""
        known = reference.local(text, ctx.base)
        if known and known.resource_type == PATIENT:
            return known.id
    return None


async def _read(ctx: Context, keys: list[Key]) -> dict[Key, Json]:
    """Return those of the instances that the caller may be shown."""
    by_type: dict[str, list[str]] = {}
    for kind, name in keys:
        by_type.setdefault(kind, []).append(name)
    found: dict[Key, Json] = {}
    for kind, names in by_type.items():
        for start in range(0, len(names), 200):
            some = names[start : start + 200]
            for one in await ctx.repository.led(kind, some):
                found[kind, one.id] = json.decode(one.body)
    return found


def _bundle(ctx: Context, resources: list[Json], *, whole: bool) -> Json:
    entries = [{"fullUrl": f"{ctx.base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    meta = {} if whole else {"meta": {"tag": [SUBSETTED]}}
    return {
        "resourceType": "Bundle",
        "id": ids.new(),
        **meta,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "type": "document",
        "timestamp": instant.text(ctx.repository.store.clock.now()),
        "entry": entries,
    }


OPERATION = Operation(
    DEFINITION,
    document,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="A composition with what it refers to, as one document",
    success=((200, "The document."), (201, "The document that was stored.")),
)
