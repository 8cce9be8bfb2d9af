"""What a code system says of a concept (R4 CodeSystem/$lookup, with what R5 adds)."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import NOT_ENUMERATED, Concept, Designation
from terminology.display import Displays, Languages

Json = dict[str, Any]
Row = tuple[str, str, Any]
"""Name, FHIR type and value of a parameter; the value of type `part` is rows of its own."""

EVERYTHING = "*"
DISPLAY_USE = {
    "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    "code": "preferredForLanguage",
    "display": "Preferred For Language",
}
NAMED = frozenset({"definition", "designation", "parent", "child", "inactive"})
"""What can be asked for beside the properties of the code system."""


async def described(
    provider: CodeSystemProvider, concept: Concept, wanted: Sequence[str], languages: Languages
) -> list[Row]:
    """Return what is said of a concept.

    Args:
        provider: Its code system.
        concept: Which.
        wanted: Names of properties, or some of `NAMED`; none or `*` for all that there is.
        languages: Of the display.
    """
    head = provider.head
    displays = Displays(concept, head.language)
    rows: list[Row] = [
        ("name", "string", head.name or head.title or head.url),
        ("code", "code", concept.code),
        ("system", "uri", head.url),
        *((("version", "string", head.version),) if head.version else ()),
        ("display", "string", displays.preferred(languages) or concept.code),
        ("abstract", "boolean", concept.abstract),
    ]
    if concept.definition and _asked(wanted, "definition"):
        rows.append(("definition", "string", concept.definition))
    if _asked(wanted, "designation"):
        rows += [("designation", "part", list(_designation(one))) for one in _words(concept, head.language)]
    rows += [("property", "part", parts) for parts in _stated(concept, wanted)]
    rows += [("property", "part", parts) async for parts in _near(provider, concept, wanted)]
    sources = [one.source for one in concept.designations] + [one.source for one in concept.properties]
    rows += [("used-supplement", "canonical", one) for one in dict.fromkeys(sources) if one]
    return rows


def unknown_names(provider: CodeSystemProvider, concept: Concept, wanted: Sequence[str]) -> Sequence[str]:
    """Return the names asked for that neither the code system declares nor the concept has."""
    stated = {one.code for one in concept.properties}
    known = NAMED | {EVERYTHING, *provider.head.properties, *stated, *HEADINGS}
    return [one for one in wanted if one not in known and not one.startswith("lang.")]


HEADINGS = frozenset({"name", "code", "system", "version", "display", "abstract", "url"})
"""What is told in any case, so that asking for it asks for nothing more."""


def _asked(wanted: Sequence[str], name: str) -> bool:
    return not wanted or EVERYTHING in wanted or name in wanted


def _words(concept: Concept, language: str) -> Iterator[Designation]:
    if concept.display:
        yield Designation(concept.display, language, DISPLAY_USE)
    yield from concept.designations


def _designation(one: Designation) -> Iterator[Row]:
    if one.language:
        yield "language", "code", one.language
    if one.use:
        yield "use", "Coding", one.use
    yield "value", "string", one.value
    if one.source:
        yield "source", "canonical", one.source


def _stated(concept: Concept, wanted: Sequence[str]) -> Iterator[list[Row]]:
    """Yield the properties of a concept; whether it is inactive is told in any case where all is asked for."""
    if _asked(wanted, "inactive") and all(one.code != "inactive" for one in concept.properties):
        yield [("code", "code", "inactive"), ("value", "boolean", concept.inactive)]
    for one in concept.properties:
        if _asked(wanted, one.code):
            source: list[Row] = [("source", "canonical", one.source)] if one.source else []
            yield [("code", "code", one.code), ("value", one.kind, one.value), *source]


async def _near(provider: CodeSystemProvider, concept: Concept, wanted: Sequence[str]) -> AsyncIterator[list[Row]]:
    """Yield the concepts right above and below."""
    if concept.ordinal == NOT_ENUMERATED:
        return
    places = {
        "parent": concept.parents if _asked(wanted, "parent") else (),
        "child": await provider.children(concept.ordinal) if _asked(wanted, "child") else (),
    }
    ordinals = [one for found in places.values() for one in found]
    names = [name for name, found in places.items() for _ in found]
    if ordinals:
        for name, one in zip(names, await provider.concepts(ordinals), strict=True):
            display: list[Row] = [("description", "string", one.display)] if one.display else []
            yield [("code", "code", name), ("value", "code", one.code), *display]
