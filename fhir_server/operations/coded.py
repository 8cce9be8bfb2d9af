"""What operations on codes have in common: the parameters they all take, the codes in them, and refusals as terminology words them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.catalogue import Catalogue
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept
from terminology.display import Languages
from terminology.issue import TxError, outcome
from terminology.valueset.member import Code, Trail, unknown_code
from terminology.valueset.systems import Options, Systems
from terminology.valueset.validate import Answer
from terminology.versions import PARAMETERS, UnreadableVersion, VersionRules

Json = dict[str, Any]
Asked = Mapping[str, tuple[Any, ...]]
Check = Callable[[Context, Asked], Awaitable[Answer]]

MOST_CODINGS = 100
"""Codings of a CodeableConcept that are taken."""

COMMON = (
    OperationParameter("displayLanguage", "in", 0, 1, "string"),
    OperationParameter("useSupplement", "in", 0, None, "string"),
    *(OperationParameter(name, "in", 0, None, "string") for name in PARAMETERS),
    OperationParameter("tx-resource", "in", 0, None, "Resource"),
)
"""Of all operations on codes: languages, supplements, versions, and resources that come with the request."""

PASSED_ALONG = (
    "count", "designation", "diagnostics", "excludeNested", "excludeNotForUI", "excludePostCoordinated", "includeDefinition",
    "includeDesignations", "incomplete-ok", "limit", "_limit", "limitedExpansion", "mode", "no-cache", "offset", "profile-url", "property",
    "uuid", "x-system-cache-id", "default-to-latest-version",
)  # fmt: skip
"""What validators send with every request, as they have it for expansions; where codes are checked it changes nothing."""

CODED = (
    OperationParameter("code", "in", 0, 1, "string"),
    OperationParameter("display", "in", 0, 1, "string"),
    OperationParameter("coding", "in", 0, 1, "Coding"),
    OperationParameter("codeableConcept", "in", 0, 1, "CodeableConcept"),
    OperationParameter("abstract", "in", 0, 1, "boolean"),
    OperationParameter("activeOnly", "in", 0, 1, "boolean"),
    OperationParameter("lenient-display-validation", "in", 0, 1, "boolean"),
    OperationParameter("valueset-membership-only", "in", 0, 1, "boolean"),
    OperationParameter("inferSystem", "in", 0, 1, "boolean"),
    OperationParameter("implySystem", "in", 0, 1, "boolean"),
    *(OperationParameter(name, "in", 0, None, "*") for name in PASSED_ALONG),
    *COMMON,
)
"""Of those that check codes; `implySystem` is what `inferSystem` was called before."""

ANSWERED = (
    OperationParameter("result", "out", 1, 1, "boolean"),
    OperationParameter("message", "out", 0, 1, "string"),
    OperationParameter("display", "out", 0, 1, "string"),
    OperationParameter("code", "out", 0, 1, "code"),
    OperationParameter("system", "out", 0, 1, "uri"),
    OperationParameter("version", "out", 0, 1, "string"),
    OperationParameter("codeableConcept", "out", 0, 1, "CodeableConcept"),
    OperationParameter("inactive", "out", 0, 1, "boolean"),
    OperationParameter("status", "out", 0, 1, "code"),
    OperationParameter("normalized-code", "out", 0, 1, "code"),
    OperationParameter("issues", "out", 0, 1, "OperationOutcome"),
)
"""What they answer."""

STATUS = {"not-found": 404, "exception": 400}
"""HTTP status of a refusal by its issue type; others are 422."""


def first(asked: Asked, *names: str) -> str:
    """Return the value of the first of some parameters that was sent, as text; empty where none was."""
    return next((str(asked[name][0]) for name in names if asked.get(name)), "")


def options(ctx: Context, asked: Asked) -> Options:
    """Return what a request asks for when codes are checked.

    Raises:
        BadRequest: A version parameter is no canonical with a version.
    """
    try:
        rules = VersionRules.read(asked)
    except UnreadableVersion as error:
        raise BadRequest(str(error), expression="http.system-version") from None
    return Options(
        rules=rules,
        languages=Languages.read(first(asked, "displayLanguage")),
        accepted=Languages.read(ctx.header("accept-language")),
        active_only=_yes(asked, "activeOnly"),
        abstract=asked.get("abstract") != (False,),
        membership_only=_yes(asked, "valueset-membership-only"),
        lenient=_yes(asked, "lenient-display-validation"),
        infer=_yes(asked, "inferSystem") or _yes(asked, "implySystem"),
        supplements=tuple(asked.get("useSupplement", ())),
    )


async def catalogue(ctx: Context, asked: Asked, *more: Json) -> Catalogue:
    """Return what a request may use: what it brings itself before what is here."""
    return await ctx.vocabulary.catalogue(ctx.repository, [*more, *asked.get("tx-resource", ())])


async def instance(ctx: Context) -> Json | None:
    """Return the resource that the URL names, `None` where it names a type only.

    Raises:
        NotFound: It is not there, or not for the caller to see.
        Gone: It was deleted.
    """
    if not ctx.id:
        return None
    stored = await ctx.repository.read(ctx.resource_type, ctx.id)
    found: Json = json.decode(stored.body)
    return found


def codes(asked: Asked, *, system: str, version: str) -> tuple[Sequence[Code], Json | None]:
    """Return the codes that a request asks about, and the CodeableConcept where they are the codings of one.

    Args:
        asked: Parameters of the request.
        system: URI of the code system for `code`, empty where the request does not say it.
        version: Of that code system.

    Raises:
        BadRequest: There are none, or they are given in several ways.
    """
    given = [name for name in ("codeableConcept", "coding", "code") if asked[name]]
    if len(given) != 1:
        raise BadRequest(
            "Say which code is meant, in one way: 'coding', 'codeableConcept', or 'code' with 'system'."
            + (f" Here are {' and '.join(given)}." if given else ""),
            expression="http.code",
        )
    if asked["code"]:
        return [Code(system, asked["code"][0], version, first(asked, "display"))], None
    if asked["coding"]:
        return [_coding(asked["coding"][0], "Coding")], None
    concept = asked["codeableConcept"][0]
    codings = codings_of(concept)
    return [_coding(row, f"CodeableConcept.coding[{at}]") for at, row in enumerate(codings)], concept


def codings_of(concept: Json) -> Sequence[Json]:
    """Return the codings of a CodeableConcept.

    Raises:
        BadRequest: It has none, or very many.
    """
    rows = concept.get("coding")
    found = [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    if not found:
        raise BadRequest("The CodeableConcept has no coding.", expression="CodeableConcept.coding")
    if len(found) > MOST_CODINGS:
        raise BadRequest(
            f"The CodeableConcept has {len(found)} codings; {MOST_CODINGS} are taken at once. Ask in several requests.",
            expression="CodeableConcept.coding",
        )
    return found


async def located(ctx: Context, asked: Asked, options: Options, *names: str) -> tuple[Sequence[Code], Systems]:
    """Return codes that are given as `code` with `system`, or as Codings, and where their code systems are found.

    Args:
        ctx: The interaction; an instance in its URL is the code system.
        asked: Its parameters.
        options: What it asks for.
        names: Of the parameters, by pairs: for the code, and for the Coding.

    Raises:
        BadRequest: One is not given, or without its code system.
        NotFound: There is no such instance, or none that the caller may see.
    """
    resource = await instance(ctx)
    url = str(resource.get("url") or "") if resource else first(asked, "system")
    version = str(resource.get("version") or "") if resource else first(asked, "version")
    found = []
    for plain, coding in zip(names[::2], names[1::2], strict=True):
        if bool(asked[plain]) == bool(asked[coding]):
            raise BadRequest(
                f"Say which code is meant, in one way: '{plain}' with 'system', or '{coding}'.",
                expression=f"http.{plain}",
            )
        code = _coding(asked[coding][0], coding) if asked[coding] else Code(url, asked[plain][0], version)
        if not code.system or not code.code:
            raise BadRequest(
                f"A code means nothing without its code system. Give 'system' with '{plain}', or a '{coding}' with system and code.",
                expression="http.system",
            )
        found.append(code)
    return found, Systems(await catalogue(ctx, asked, *([resource] if resource else [])), options)


async def provider(systems: Systems, code: Code) -> CodeSystemProvider:
    """Return the code system of a code, with the supplements that are asked for.

    Raises:
        TxError: It is not here, is no code system, or is not of a version that the request allows.
    """
    await systems.require_for(code.system)
    found = await systems.find(code.system, code.version)
    trail = Trail()
    if found is None:
        await systems.absent(code.system, systems.wanted(code.system, code.version), code.path, trail)
        raise TxError(*trail.issues)
    systems.checked(found, code.path, trail)
    if trail.issues:
        raise TxError(*trail.issues)
    return found


async def concept(provider: CodeSystemProvider, code: Code) -> Concept:
    """Return the concept of a code.

    Raises:
        TxError: The code system does not have it.
    """
    found = await provider.find(code.code)
    if found is None:
        unknown, *reasons = unknown_code(provider, code)
        raise TxError(replace(unknown, code="not-found"), *reasons)
    return found


def refused(error: TxError) -> FhirResponse:
    """Return the answer to a request that terminology cannot answer."""
    status = STATUS.get(error.issues[0].code, 422)
    return FhirResponse(status, {}, json.encode(outcome(error.issues)), reports=True)


def checking(definition: OperationDefinition, check: Check, among: str) -> Operation:
    """Return the operation that answers 200 with whether a code is valid, and why not.

    Args:
        definition: Its OperationDefinition.
        check: Works it out from the parameters; raises `BadRequest`, `NotFound` or `TxError`.
        among: What it is checked against, for the summary.
    """

    async def answer(ctx: Context) -> FhirResponse:
        try:
            found = await check(ctx, parameters.read(ctx, definition))
        except TxError as error:
            return refused(error)
        return FhirResponse(200, {}, json.encode(found.parameters))

    return Operation(
        definition,
        answer,
        letters=("r", "r"),
        methods=("GET", "POST"),
        summary=f"Whether a code, Coding or CodeableConcept is in a {among}",
        success=((200, "Parameters: result, and what was found."),),
    )


def _coding(coding: Json, path: str) -> Code:
    system, code, version, display = (_text(coding.get(name)) for name in ("system", "code", "version", "display"))
    return Code(system, code, version, display, path)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _yes(asked: Asked, name: str) -> bool:
    return asked.get(name) == (True,)
