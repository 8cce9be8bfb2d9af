"""CodeSystem/$find-matches: codes of which something is stated (R4 CodeSystem-find-matches)."""

from collections.abc import Mapping
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, coded, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from terminology.codesystem.provider import CodeSystemProvider, InvalidFilter, NotEnumerable
from terminology.issue import TxError
from terminology.match import Match, Stated, matches
from terminology.valueset.member import Code
from terminology.valueset.systems import Systems

MOST = 100
"""Matches that are told."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/CodeSystem-find-matches",
    code="find-matches",
    resource=("CodeSystem",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter(
            "property", "in", 1, None, "", (
                OperationParameter("code", "in", 1, 1, "code"),
                OperationParameter("value", "in", 1, 1, "*"),
            ),
        ),
        OperationParameter("exact", "in", 1, 1, "boolean"),
        OperationParameter("compositional", "in", 0, 1, "boolean"),
        *coded.COMMON,
        OperationParameter("match", "out", 0, None, ""),
    ),
)  # fmt: skip


async def find_matches(ctx: Context) -> FhirResponse:
    """Return 200 with the codes of which all is stated that is asked for; without `exact`, else those of which most is.

    Raises:
        BadRequest: It is not said which code system, it has no such property, or its codes cannot be listed.
        NotFound: There is no such instance, or none that the caller may see.
    """
    asked = parameters.read(ctx, DEFINITION)
    resource = await coded.instance(ctx)
    url = str(resource.get("url") or "") if resource else coded.first(asked, "system")
    version = str(resource.get("version") or "") if resource else coded.first(asked, "version")
    if not url:
        raise BadRequest(
            "Say which code system is meant: 'system', or the instance in the URL.", expression="http.system"
        )
    if any(len(one[name]) != 1 for one in asked["property"] for name in ("code", "value")):
        raise BadRequest(
            "A parameter 'property' has two parts, 'code' and 'value', each once. Say which property has which value.",
            expression="http.property",
        )
    stated = [Stated(str(one["code"][0]), _text(one["value"][0])) for one in asked["property"]]
    catalogue = await coded.catalogue(ctx, asked, *([resource] if resource else []))
    try:
        provider = await coded.provider(Systems(catalogue, coded.options(ctx, asked)), Code(url, "", version))
    except TxError as error:
        return coded.refused(error)
    rows, total = await _matches(provider, stated, exact=asked["exact"] == (True,))
    found = [("match", "part", _parts(provider, one, total)) for one in rows]
    return FhirResponse(200, {}, json.encode(parameters.resource(found)))


async def _matches(provider: CodeSystemProvider, stated: list[Stated], *, exact: bool) -> tuple[list[Match], int]:
    try:
        rows, total = await matches(provider, stated, exact=exact, most=MOST)
    except InvalidFilter as error:
        raise BadRequest(str(error), expression="http.property") from None
    except NotEnumerable:
        raise BadRequest(
            f"The codes of {provider.head.canonical} cannot be listed, as a grammar makes them. Look a code up with $lookup.",
            expression="http.system",
        ) from None
    return list(rows), total


def _parts(provider: CodeSystemProvider, match: Match, total: int) -> list[tuple[str, str, Any]]:
    head = provider.head
    coding = {
        "system": head.url,
        **({"version": head.version} if head.version else {}),
        "code": match.concept.code,
        **({"display": match.concept.display} if match.concept.display else {}),
    }
    rows: list[tuple[str, str, Any]] = [("code", "Coding", coding)]
    rows += [
        ("unmatched", "part", [("code", "code", one.property), ("value", "string", one.value)])
        for one in match.unmatched
    ]
    if total > MOST:
        rows.append(("comment", "string", f"One of {total} that fit equally well; {MOST} are told."))
    return rows


def _text(value: object) -> str:
    """Return a value as filters write it."""
    if isinstance(value, Mapping):
        return f"{value['system']}|{value.get('code')}" if value.get("system") else str(value.get("code"))
    return str(value).lower() if isinstance(value, bool) else str(value)


OPERATION = Operation(
    DEFINITION,
    find_matches,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Codes of a code system of which something is stated",
    success=((200, "Parameters with the matches, at most 100."),),
)
