"""$validate: what is wrong with a resource, by the base definitions, profiles and the rules of this server (R4 Resource-validate)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fhir_server.checks import Checks, answered
from fhir_server.context import Context
from fhir_server.model import ids, json
from fhir_server.model.errors import BadRequest, Conflict, FhirError, Unprocessable
from fhir_server.model.outcome import outcome
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters, referenced, structures
from fhir_server.repository import Repository
from fhir_server.repository.answering import Answering
from fhir_server.repository.rehearsal import rehearse
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue
from profiles.validate.profile.asking import Asking

MODES: Mapping[str, str] = {
    "create": "type",
    "update": "instance",
    "delete": "instance",
    "profile": "",
}
"""Modes of ResourceValidationMode, each with the level that it is asked at; empty for any."""

WIDER = frozenset({"extensible", "codes"})
"""Settings by which extensible bindings are looked at, those of R4's own types too."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/Resource-validate",
    code="validate",
    resource=("Resource",),
    system=True,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("resource", "in", 0, 1, "Resource"),
        OperationParameter("mode", "in", 0, 1, "code"),
        OperationParameter("profile", "in", 0, None, "uri"),
        OperationParameter("strict", "in", 0, 1, "boolean"),
        OperationParameter("return", "out", 1, 1, "OperationOutcome"),
    ),
)


async def validate(ctx: Context) -> FhirResponse:
    """Return 200 with an OperationOutcome, whatever it says: of the resource that is sent, or of the stored one.

    Raises:
        BadRequest: There is nothing to validate, a mode that there is not or not here, or a profile that is not known.
        NotFound: No such instance, or none that the caller may see.
        Forbidden: The caller may not do what the mode asks about.
    """
    asked = parameters.read(ctx, DEFINITION)
    mode = _mode(ctx, asked["mode"])
    if mode == "delete":
        await _checks(ctx, asked["profile"], {})
        return _answer(await _refusal(ctx, mode, {}))
    resource = await _resource(ctx, asked["resource"])
    kind = ctx.resource_type or str(resource.get("resourceType", ""))
    if kind not in ctx.definitions.resource_types:
        raise BadRequest(f"'{kind[:60]}' is not a resource type of FHIR R4.", expression="resourceType")
    checks = await _checks(ctx, asked["profile"], resource)
    questions = await Answering(ctx.repository, checks).asked(resource)
    profiled = bool(asked["profile"]) or any(True for _ in structures.claims(resource))
    resolve = await referenced.found(ctx, resource) if profiled else None
    strict = asked["strict"] == (True,)
    asking = Asking()
    of_types = ctx.settings.validation.bindings in WIDER
    manner = {"strict": strict, "of_types": of_types}
    check = partial(checks.findings, resource, kind, asked["profile"], questions, resolve, asking=asking, **manner)
    terms = ctx.repository.terms
    found = await answered(check, asking, terms.seen_by(ctx.repository)) if terms else check()
    if mode in {"create", "update"} and not any(one.fails for one in found):
        found = [*await _refusal(ctx, mode, resource), *found]
    return _answer(found)


async def _checks(ctx: Context, profiles: tuple[str, ...], resource: dict[str, Any]) -> Checks:
    """Return checks that know what is asked for: profiles of FHIR and of packages, and stored ones that the caller sees.

    Raises:
        BadRequest: One that is asked for is not known.
    """
    checks = ctx.checks.knowing(await structures.gathered(ctx, (*profiles, *structures.claims(resource))))
    for profile in profiles:
        if not checks.knows(profile):
            raise BadRequest(
                f"There is no profile '{profile[:200]}' on this server, so nothing can be said about it.{checks.hint(profile)} "
                "Ask for one that is here, or install the package that defines it (fhir-server package install).",
                expression="http.profile",
            )
    return checks


def _mode(ctx: Context, given: tuple[str, ...]) -> str:
    mode = given[0] if given else ""
    if mode and mode not in MODES:
        raise BadRequest(f"'{mode[:60]}' is no mode. There are {', '.join(MODES)}.", expression="http.mode")
    level = "instance" if ctx.id else "type" if ctx.resource_type else "system"
    if mode and MODES[mode] not in {"", level}:
        place = "[type]/[id]/$validate" if MODES[mode] == "instance" else "[type]/$validate"
        raise BadRequest(f"The mode '{mode}' is asked at {place}.", expression="http.mode")
    return mode


async def _resource(ctx: Context, given: tuple[Any, ...]) -> dict[str, Any]:
    """Return what is validated: the resource that is sent, or at an instance the stored one."""
    if given:
        resource: dict[str, Any] = given[0]
        return resource
    if not ctx.id:
        raise BadRequest("There is nothing to validate. Send a resource, or Parameters with one as 'resource'.")
    stored: dict[str, Any] = json.decode((await ctx.repository.read(ctx.resource_type, ctx.id)).body)
    return stored


async def _refusal(ctx: Context, mode: str, resource: dict[str, Any]) -> list[Issue]:
    """Return why a write would be refused, nothing where it would not: it is carried out and taken back."""

    async def write(bound: Repository) -> object:
        if mode == "create":
            return await bound.create(ctx.resource_type, ids.new(), resource)
        if mode == "update":
            return await bound.update(ctx.resource_type, ctx.id, resource)
        await bound.read(ctx.resource_type, ctx.id)
        return await bound.delete(ctx.resource_type, ctx.id)

    if mode == "update" and resource.get("id") != ctx.id:
        text = f"The resource has another id than '{ctx.id}', which this update would be of."
        return [Issue("error", "invalid", text, f"{ctx.resource_type}.id")]
    try:
        await rehearse(ctx.repository, [ctx.resource_type], write)
    except (BadRequest, Conflict, Unprocessable) as error:
        return list(_issues(error))
    return []


def _issues(error: FhirError) -> tuple[Issue, ...]:
    return tuple(error.issues)


def _answer(found: list[Issue]) -> FhirResponse:
    if not found:
        found = [Issue("information", "informational", "Nothing was found that is wrong with it.")]
    return FhirResponse(200, {}, json.encode(outcome(found)), reports=True)


OPERATION = Operation(
    DEFINITION,
    validate,
    letters=("", ""),
    methods=("GET", "POST"),
    summary="What is wrong with a resource",
    success=((200, "An OperationOutcome; an issue of severity error or fatal says that the resource is not valid."),),
)
