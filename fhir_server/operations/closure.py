"""$closure: a table of which concepts subsume which, that grows with what a client meets (R4 ConceptMap-closure)."""

import re
from collections.abc import Sequence
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue
from terminology import versions
from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import Concept

Json = dict[str, Any]

LONGEST_NAME = 200
MOST_AT_ONCE = 5_000
"""Concepts in one request."""
NUMBER = re.compile(r"\d{1,9}")

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/ConceptMap-closure",
    code="closure",
    resource=("ConceptMap",),
    system=True,
    type=True,
    instance=False,
    affects_state=False,
    parameters=(
        OperationParameter("name", "in", 1, 1, "string"),
        OperationParameter("concept", "in", 0, None, "Coding"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("tx-resource", "in", 0, None, "Resource"),
        OperationParameter("return", "out", 1, 1, "ConceptMap"),
    ),
)


async def closure(ctx: Context) -> FhirResponse:
    """Return 200 with a ConceptMap of what is new in the table.

    Raises:
        BadRequest: Concepts and a version at once, or a version that is no number.
        NotFound: There is no such table of the caller.
        Unprocessable: A concept that is not known, a version that there is not, or too many concepts.
    """
    asked = parameters.read(ctx, DEFINITION)
    name, concepts, since = asked["name"][0], asked["concept"], asked["version"]
    who = ctx.repository.scope.principal
    if len(name) > LONGEST_NAME:
        raise BadRequest(f"A name of a closure table has at most {LONGEST_NAME} characters.", expression="http.name")
    if concepts and since:
        raise BadRequest(
            "Send concepts to add them, or a version to be told again what is new since; not both at once.",
            expression="http.version",
        )
    closing = ctx.vocabulary.closing
    if since:
        if not NUMBER.fullmatch(since[0]):
            raise BadRequest(
                f"'{since[0][:40]}' is no version of a closure table. Versions are the numbers that the answers have.",
                expression="http.version",
            )
        answer = await closing.since(who, name, int(since[0]))
    elif concepts:
        answer = await closing.add(who, name, await _resolved(ctx, concepts, asked["tx-resource"]))
    else:
        answer = await closing.begin(who, name)
    return FhirResponse(200, {}, json.encode(answer))


async def _resolved(
    ctx: Context, codings: Sequence[Json], given: Sequence[Json]
) -> dict[str, tuple[CodeSystemProvider, list[Concept]]]:
    """Return the concepts of codings by code system; of each code system, the newest version or the one that is named first."""
    if len(codings) > MOST_AT_ONCE:
        raise Unprocessable(
            f"{len(codings):,} concepts are added at once; at most {MOST_AT_ONCE:,} are. Send them in several requests.",
            expression="http.concept",
        )
    catalogue = await ctx.vocabulary.catalogue(ctx.repository, given)
    found: dict[str, tuple[CodeSystemProvider, list[Concept]]] = {}
    wrong: dict[str, Issue] = {}
    for number, coding in enumerate(codings):
        system, code, version = (str(coding.get(key, "")) for key in ("system", "code", "version"))
        if not system or not code:
            wrong[str(number)] = _issue(number, "A concept of a closure table has a system and a code.", "invalid-data")
            continue
        if system not in found and system not in wrong:
            provider = await versions.code_system(catalogue, system, version)
            if provider is None:
                text = f"The code system '{system[:200]}' is not known here{f' in version {version[:40]}' if version else ''}."
                wrong[system] = _issue(number, text, "not-found")
            else:
                found[system] = provider, []
        if system in found:
            provider, concepts = found[system]
            concept = await provider.find(code)
            if concept is None:
                text = f"The code system '{system[:200]}' has no code '{code[:100]}'."
                wrong[str(number)] = _issue(number, text, "invalid-code")
            else:
                concepts.append(concept)
    if wrong:
        raise Unprocessable("Concepts are not known; none was added.", issues=list(wrong.values()))
    return found


def _issue(number: int, text: str, kind: str) -> Issue:
    code = {"not-found": "not-found", "invalid-code": "code-invalid"}.get(kind, "invalid")
    return Issue("error", code, f"{text} No concept was added.", f"concept[{number}]", kind=kind)


OPERATION = Operation(
    DEFINITION,
    closure,
    letters=("r",),
    methods=("POST",),
    summary="Which concepts of a growing set subsume which",
    success=((200, "A ConceptMap of what is new in the closure table, with its version."),),
)
