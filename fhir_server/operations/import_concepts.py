"""CodeSystem/$import: concepts that administrators add to a code system, or take away, as the same or a new version."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.access.scope_filter import Letter
from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Forbidden, NotFound, Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import OWN, Operation, parameters
from fhir_server.vocabulary import importing
from fhir_server.vocabulary.importing import Change
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.codesystem.provider import CodeSystemProvider
from terminology.load.release import BrokenRelease

Json = dict[str, Any]

CODE_SYSTEM = "CodeSystem"
LETTERS: tuple[Letter, ...] = ("c", "r", "u")

DEFINITION = OperationDefinition(
    url=f"{OWN}import",
    code="import",
    resource=(CODE_SYSTEM,),
    system=False,
    type=True,
    instance=False,
    affects_state=True,
    parameters=(
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("base", "in", 0, 1, "string"),
        OperationParameter("concept", "in", 0, None, "Coding"),
        OperationParameter(
            "property",
            "in",
            0,
            None,
            "",
            parts=(
                OperationParameter("code", "in", 1, 1, "code"),
                OperationParameter("property", "in", 1, 1, "code"),
                OperationParameter("value", "in", 1, 1, "string"),
            ),
        ),
        OperationParameter(
            "designation",
            "in",
            0,
            None,
            "",
            parts=(
                OperationParameter("code", "in", 1, 1, "code"),
                OperationParameter("value", "in", 1, 1, "string"),
                OperationParameter("language", "in", 0, 1, "code"),
            ),
        ),
        OperationParameter("remove", "in", 0, None, "code"),
        OperationParameter("codeSystem", "in", 0, 1, "CodeSystem"),
        OperationParameter("return", "out", 1, 1, "CodeSystem"),
    ),
)


async def answer(ctx: Context) -> FhirResponse:
    """Return 200 with the CodeSystem, without its concepts, as it then is.

    Raises:
        Forbidden: The caller is no administrator.
        NotFound: The version that it is based on is not loaded.
        Unprocessable: No code system is named, nothing would change, or what comes of it is no code system.
        Conflict: Several versions are meant, or somebody else loads the same version.
    """
    if ctx.repository.scope.principal.audience not in {"administrator", "server"}:
        raise Forbidden("This is for administrators: code systems are the same for all facilities.")
    for letter in LETTERS:
        # Before anything is loaded: what tells of it is written when it is.
        ctx.repository.rights.require([CODE_SYSTEM], letter)
    asked = parameters.read(ctx, DEFINITION)
    sent: Json = next(iter(asked["codeSystem"]), {})
    system = next(iter(asked["system"]), sent.get("url", ""))
    if not system:
        raise Unprocessable(
            "Say the code system: the parameter `system`, or a CodeSystem with a `url`.", expression="http.system"
        )
    base, version = await _based(ctx, system, asked, sent)
    known = {"property": _declared(base, sent)}
    concepts = [
        *importing.flattened(sent),
        *importing.gathered(asked["concept"], _flat(asked, "property"), _flat(asked, "designation"), known),
    ]
    head = {key: value for key, value in sent.items() if key not in {"concept", "id", "meta", "text", "content"}}
    change = Change(system, version, concepts, frozenset(asked["remove"]), head)
    try:
        done = await ctx.vocabulary.loading(ctx.repository).load(await importing.release(change, base))
    except BrokenRelease as error:
        raise Unprocessable(str(error), expression="http.concept") from None
    return FhirResponse(200, {}, json.encode(done.described))


async def _based(
    ctx: Context, system: str, asked: Mapping[str, Sequence[Any]], sent: Json
) -> tuple[CodeSystemProvider | None, str]:
    """Return the version that a change is applied to, `None` for a code system that begins, and the version that comes of it."""
    loading, catalogue = ctx.vocabulary.loading(ctx.repository), await ctx.vocabulary.catalogue(ctx.repository)
    loaded = {row.head.version for row in await loading.rows() if row.head.url == system and row.state == "loaded"}
    named, base = next(iter(asked["version"]), sent.get("version", "")), next(iter(asked["base"]), "")
    if base and base not in loaded:
        raise NotFound(f"{system}|{base[:60]} is not loaded. Loaded are: {', '.join(sorted(loaded)) or 'none'}.")
    if not base and not named and len(loaded) > 1:
        raise Unprocessable(
            f"Several versions of {system} are loaded: {', '.join(sorted(loaded))}. Say which one by `version`.",
            expression="http.version",
        )
    chosen = base or named or next(iter(loaded), "")
    there = {one.head.version: one for one in await catalogue.code_systems(system)}
    if chosen in loaded:
        return there.get(chosen), named or chosen
    if chosen in there:
        raise Unprocessable(
            f"{there[chosen].head.canonical} is no code system that was loaded. It is stored as a resource, comes with a guide or is "
            "part of this server: change it there, or say another `version`.",
            expression="http.version",
        )
    return None, chosen


def _declared(base: CodeSystemProvider | None, sent: Json) -> list[Json]:
    known = [{"code": one.code, "type": one.kind} for one in base.head.properties.values()] if base else []
    stated = sent.get("property")
    return [*known, *(stated if isinstance(stated, list) else ())]


def _flat(asked: Mapping[str, Sequence[Any]], name: str) -> list[dict[str, str]]:
    """Return the values of the parts of a parameter, which come one or none of each."""
    found = [{part: values[0] for part, values in row.items() if values} for row in asked[name]]
    needed = [one.name for row in DEFINITION.parameters if row.name == name for one in row.parts if one.min]
    for row in found:
        if missing := [one for one in needed if one not in row]:
            raise BadRequest(
                f"A '{name}' has no part '{missing[0]}'. It has {', '.join(needed)}.", expression=f"http.{name}"
            )
    return found


OPERATION = Operation(
    DEFINITION,
    answer,
    letters=("u",),
    methods=("POST",),
    summary="Add concepts to a code system, or take them away",
    success=((200, "The CodeSystem as it then is, without its concepts."),),
)
