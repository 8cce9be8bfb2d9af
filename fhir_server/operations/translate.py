"""$translate: codes of one code system in another one, by concept maps (R4 ConceptMap-translate; the names of R5 are understood too)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.context import Context
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, NotFound
from fhir_server.model.request import FhirResponse
from fhir_server.operations import Operation, coded, parameters
from profiles.definitions.model import OperationDefinition, OperationParameter
from profiles.issue import Issue
from terminology import equivalence, versions
from terminology.catalogue import Catalogue
from terminology.conceptmap import Dependency, Match, Question, Translation, Translator

Json = dict[str, Any]

R4_CODES, R5_SOURCES, R5_TARGETS = (
    ("code", "coding", "codeableConcept"),
    ("sourceCode", "sourceCoding", "sourceCodeableConcept"),
    ("targetCode", "targetCoding", "targetCodeableConcept"),
)
R5 = frozenset({*R5_SOURCES, *R5_TARGETS, "sourceSystem", "sourceScope", "targetScope", "targetSystem"})
"""Names that R4 does not have."""

DEFINITION = OperationDefinition(
    url="http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
    code="translate",
    resource=("ConceptMap",),
    system=False,
    type=True,
    instance=True,
    affects_state=False,
    parameters=(
        OperationParameter("url", "in", 0, 1, "uri"),
        OperationParameter("conceptMap", "in", 0, 1, "ConceptMap"),
        OperationParameter("conceptMapVersion", "in", 0, 1, "string"),
        OperationParameter("code", "in", 0, 1, "code"),
        OperationParameter("system", "in", 0, 1, "uri"),
        OperationParameter("version", "in", 0, 1, "string"),
        OperationParameter("source", "in", 0, 1, "uri"),
        OperationParameter("coding", "in", 0, 1, "Coding"),
        OperationParameter("codeableConcept", "in", 0, 1, "CodeableConcept"),
        OperationParameter("target", "in", 0, 1, "uri"),
        OperationParameter("targetsystem", "in", 0, 1, "uri"),
        OperationParameter(
            "dependency", "in", 0, None, "", (
                OperationParameter("element", "in", 0, 1, "uri"),
                OperationParameter("concept", "in", 0, 1, "CodeableConcept"),
                OperationParameter("attribute", "in", 0, 1, "uri"),
                OperationParameter("value", "in", 0, 1, "*"),
            ),
        ),
        OperationParameter("reverse", "in", 0, 1, "boolean"),
        *(OperationParameter(name, "in", 0, 1, "code") for name in ("sourceCode", "targetCode")),
        *(OperationParameter(name, "in", 0, 1, "uri") for name in ("sourceSystem", "targetSystem", "sourceScope", "targetScope")),
        *(OperationParameter(name, "in", 0, 1, "Coding") for name in ("sourceCoding", "targetCoding")),
        *(OperationParameter(name, "in", 0, 1, "CodeableConcept") for name in R5_SOURCES[2:] + R5_TARGETS[2:]),
        *coded.COMMON,
        *(OperationParameter(name, "in", 0, 1, "string") for name in ("uuid", "cache-id", "profile-url", "diagnostics")),
        OperationParameter("result", "out", 1, 1, "boolean"),
        OperationParameter("message", "out", 0, 1, "string"),
        OperationParameter("match", "out", 0, None, ""),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        questions: One for each coding.
        modern: Whether it is asked in the words of R5, and so is to be answered.
    """

    questions: tuple[Question, ...]
    modern: bool


async def translate(ctx: Context) -> FhirResponse:
    """Return 200 with the translations, or that there are none and why.

    Raises:
        BadRequest: It is not said what is translated, or in two ways, or by which map.
        NotFound: There is no such map, or none that the caller may see.
    """
    asked = parameters.read(ctx, DEFINITION)
    request = _request(asked)
    catalogue = await coded.catalogue(ctx, asked)
    maps = await _maps(ctx, catalogue, asked, request)
    translator = Translator(catalogue, ctx.vocabulary.maps)
    found = Translation()
    for question in request.questions:
        await translator.translate(maps, question, found)
    rows: list[tuple[str, str, Any]] = [("result", "boolean", found.result)]
    if not found.result:
        rows.append(("message", "string", _reason(request, maps, found)))
    back = request.questions[0].reverse
    rows += [
        ("match", "part", list(_modern(match, reverse=back) if request.modern else _classic(match)))
        for match in found.matches
    ]
    return FhirResponse(200, {}, json.encode(parameters.resource(rows)))


def _request(asked: coded.Asked) -> Request:
    given = [name for name in (*R4_CODES, *R5_SOURCES, *R5_TARGETS) if asked[name]]
    if len(given) != 1:
        raise BadRequest(
            f"Say what is translated, in one way: {', '.join(R4_CODES)}; or as R5 has it {', '.join(R5_SOURCES)}, and for the way "
            f"back {', '.join(R5_TARGETS)}." + (f" Here are {' and '.join(given)}." if given else ""),
            expression="http.code",
        )
    (name,) = given
    modern = any(asked[one] for one in R5)
    source, target = coded.first(asked, "sourceSystem", "system"), coded.first(asked, "targetSystem", "targetsystem")
    scopes = coded.first(asked, "sourceScope", "source"), coded.first(asked, "targetScope", "target")
    back = name in R5_TARGETS
    if back:
        # R5 names both sides as the map has them; what is asked for here begins with the given side.
        source, target, scopes = target, source, (scopes[1], scopes[0])
    reverse = back or asked["reverse"] == (True,)
    dependencies = tuple(_dependencies(asked["dependency"]))
    if name.lower().endswith("codeableconcept"):
        coded.codings_of(asked[name][0])
    questions = tuple(
        Question(code, system, version, target, reverse, *scopes, dependencies)
        for system, version, code in _codings(asked[name][0], source, coded.first(asked, "version"))
    )
    if not questions:
        raise BadRequest(f"'{name}' has no code to translate.", expression=f"http.{name}")
    return Request(questions, modern)


def _codings(value: Any, system: str, version: str) -> Iterator[tuple[str, str, str]]:
    """Yield system, version and code of what is to be translated."""
    if isinstance(value, str):
        yield system, version, value
        return
    codings = value.get("coding", [value])
    for coding in codings if isinstance(codings, list) else ():
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            yield str(coding.get("system", system)), str(coding.get("version", version)), coding["code"]


def _dependencies(given: Sequence[Mapping[str, tuple[Any, ...]]]) -> Iterator[Dependency]:
    for row in given:
        element = coded.first(row, "element", "attribute")
        values = {pair for name in ("concept", "value") for one in row[name] for pair in _known(one)}
        yield Dependency(element, frozenset(values))


def _known(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield "", str(value)
        return
    yield from ((system, code) for system, _, code in _codings(value, "", ""))
    if isinstance(value.get("text"), str):
        yield "", value["text"]


async def _maps(ctx: Context, catalogue: Catalogue, asked: coded.Asked, request: Request) -> Sequence[Json]:
    """Return the concept maps that count: the one that is named, else all from the one code system to the other."""
    named = [name for name in ("url", "conceptMap") if asked[name]]
    if ctx.id:
        if named:
            raise BadRequest("The instance says which map is meant. Leave 'url' and 'conceptMap' out.")
        return [ctx.vocabulary.resource(await ctx.repository.read("ConceptMap", ctx.id))]
    if len(named) > 1:
        raise BadRequest("Name one map: by 'url', or send it as 'conceptMap'.", expression="http.url")
    if asked["conceptMap"]:
        return asked["conceptMap"]
    if asked["url"]:
        return [await _named(catalogue, asked["url"][0], coded.first(asked, "conceptMapVersion"))]
    asked_of = [question for question in request.questions if question.system]
    if not asked_of:
        raise BadRequest(
            "Say which code system the code is of, or name the map by 'url': a code alone means something else in every code "
            "system.",
            expression="http.system",
        )
    found: dict[str, list[Json]] = {}
    for question in asked_of:
        pair = (question.to, question.system) if question.reverse else (question.system, question.to)
        for one in await catalogue.maps_between(*pair):
            if one.get("status") != "retired" and not any(one is other for rows in found.values() for other in rows):
                found.setdefault(str(one.get("url", id(one))), []).append(one)
    newest = (versions.newest(rows, "", versions.of_resource) for rows in found.values())
    return [one for one in newest if one is not None]


async def _named(catalogue: Catalogue, canonical: str, version: str) -> Json:
    url, stated = versions.split(canonical)
    wanted = version or stated
    candidates = await catalogue.concept_maps(url)
    found = versions.newest(candidates, wanted, versions.of_resource)
    if found is None:
        known = sorted(str(one["version"]) for one in candidates if one.get("version"))
        there = f" in version {wanted[:40]}; there is {versions.enumerated(known)}" if wanted and known else ""
        text = f"The concept map '{url[:200]}' is not known here{there}. Store it, install the package that has it, or send it as 'conceptMap'."
        raise NotFound(text, issues=[Issue("error", "not-found", text, "http.url", kind="not-found")])
    return found


def _classic(match: Match) -> Iterator[tuple[str, str, Any]]:
    """Yield the parts of a match as R4 has them, with the relationship of R5."""
    yield "equivalence", "code", match.equivalence
    if match.equivalence in equivalence.RELATIONSHIPS:
        yield "relationship", "code", equivalence.RELATIONSHIPS[match.equivalence]
    if match.concept is not None:
        yield "concept", "Coding", match.concept
    for element, concept in match.products:
        yield "product", "part", [("element", "uri", element), ("concept", "Coding", concept)]
    if match.origin:
        yield "source", "uri", match.origin


def _modern(match: Match, *, reverse: bool) -> Iterator[tuple[str, str, Any]]:
    """Yield the parts of a match as R5 has them, with the equivalence of R4: on the way back as the map has them."""
    stated = equivalence.turned(match.equivalence) if reverse else match.equivalence
    yield "equivalence", "code", stated
    if stated in equivalence.RELATIONSHIPS:
        yield "relationship", "code", equivalence.RELATIONSHIPS[stated]
    concept = match.given if reverse else match.concept
    if concept is not None:
        yield "concept", "Coding", concept
    if reverse and match.concept is not None:
        yield "source", "Coding", match.concept
    for element, product in match.products:
        yield "product", "part", [("attribute", "uri", element), ("value", "Coding", product)]
    if match.origin:
        yield "originMap", "canonical", match.origin


def _reason(request: Request, maps: Sequence[Json], found: Translation) -> str:
    """Return why there is no translation, and what would help."""
    question = request.questions[0]
    of = f" of '{question.system[:200]}'" if question.system else ""
    into = f" in '{question.to[:200]}'" if question.to else ""
    texts = [f"There is no translation of '{question.code[:100]}'{of}{into}."]
    if not maps:
        texts.append("No concept map between these code systems is here.")
    if found.wanting:
        texts.append(
            f"There are translations that depend on {', '.join(sorted(found.wanting))}: send them as 'dependency'."
        )
    if found.missing:
        texts.append(f"The map leads to {', '.join(sorted(found.missing))}, which is not here.")
    if found.beyond:
        texts.append(f"Too many maps lead to {min(found.beyond)} one after another; name it, or one near it, by 'url'.")
    if found.circles:
        texts.append(f"The map leads to {', '.join(sorted(found.circles))}, and so back to itself.")
    return " ".join(texts)


OPERATION = Operation(
    DEFINITION,
    translate,
    letters=("r", "r"),
    methods=("GET", "POST"),
    summary="Codes of one code system in another one",
    success=((200, "The translations, or that there are none and why."),),
)
