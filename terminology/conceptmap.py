"""Translation by concept maps (R4 ConceptMap and its `$translate`), from source to target and back.

A row of a map counts where its `dependsOn` holds. A code without a row is what the group's `unmapped` says; a row that says
that there is no translation (`unmatched`, `noMap`) is no such code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from terminology import equivalence, versions
from terminology.catalogue import Catalogue
from terminology.mapping import Group, Indexed, Indexes, rows

Json = dict[str, Any]


DEEPEST = 50
"""Maps that lead to each other by `other-map` in a row,"""
MOST_STEPS = 500
"""and in all, for one question."""


@dataclass(frozen=True, slots=True)
class Dependency:
    """What is known of another element (`dependency` of `$translate`).

    Attributes:
        element: What the map calls it.
        values: (system, value) of it: of codings their codes, of text the text without system.
    """

    element: str
    values: frozenset[tuple[str, str]]

    def meets(self, wanted: Json) -> bool:
        """Return whether it is what a `dependsOn` asks for."""
        if self.element != _property(wanted):
            return False
        system, value = _value(wanted)
        return any(value == one and (not system or system == other or not other) for other, one in self.values)


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be translated.

    Attributes:
        code: The code.
        system: Its code system, empty where it is not known.
        version: Version of that, or empty.
        to: Code system that a translation is sought in, empty for any.
        reverse: Whether the code stands on the target side of the maps.
        scope: Canonical of the value set that the code was chosen from, or empty.
        target_scope: Canonical of the value set that a translation is sought in, or empty.
        dependencies: What is known of other elements.
    """

    code: str
    system: str = ""
    version: str = ""
    to: str = ""
    reverse: bool = False
    scope: str = ""
    target_scope: str = ""
    dependencies: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One translation.

    Attributes:
        equivalence: R4 ConceptMapEquivalence of the translation, in the direction that was asked for.
        concept: Coding of the translation; `None` where the map says that there is none.
        given: Coding of what it translates.
        origin: Canonical of the map.
        products: (element, Coding) that hold besides.
        comment: What the map remarks, or empty.
    """

    equivalence: str
    concept: Json | None
    given: Json
    origin: str
    products: tuple[tuple[str, Json], ...] = ()
    comment: str = ""

    @property
    def translates(self) -> bool:
        """Whether there is a translation."""
        return self.concept is not None and self.equivalence not in equivalence.NONE


@dataclass(slots=True)
class Translation:
    """What maps make of a code.

    Attributes:
        matches: In the order of the maps and their rows.
        wanting: Elements on which more translations depend, and of which nothing is known.
        circles: Canonicals of maps that lead back to themselves by `other-map`.
        missing: Canonicals of maps that others lead to, and that are not here.
        beyond: Canonicals of maps that were not looked at, as too many lead to them.
        steps: How often a map led to another.
    """

    matches: list[Match] = field(default_factory=list)
    wanting: set[str] = field(default_factory=set)
    circles: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    beyond: set[str] = field(default_factory=set)
    steps: int = 0

    @property
    def result(self) -> bool:
        """Whether there is a translation."""
        return any(match.translates for match in self.matches)

    def add(self, match: Match) -> None:
        """Take in a match that is not there yet."""
        if match not in self.matches:
            self.matches.append(match)


class Translator:
    """Translates codes.

    Args:
        catalogue: Where the maps are found that other maps lead to.
        indexes: Keeps maps in order from one request to the next.
    """

    def __init__(self, catalogue: Catalogue, indexes: Indexes) -> None:
        self._catalogue = catalogue
        self._indexes = indexes

    async def translate(
        self, maps: Sequence[Json], question: Question, found: Translation | None = None
    ) -> Translation:
        """Return what concept maps make of a code.

        Args:
            maps: ConceptMap resources; an answer has what any of them says.
            question: What is asked.
            found: What was found for other codes of the same concept; it is added to.
        """
        found = Translation() if found is None else found
        for resource in maps:
            await self._by(self._indexes.of(resource), question, found, ())
        return found

    async def _by(self, known: Indexed, question: Question, found: Translation, within: tuple[str, ...]) -> None:
        if not _scoped(known, question):
            return
        for group in known.groups:
            if not _fits(group, question):
                continue
            if question.reverse:
                _backward(known, group, question, found)
            elif not _forward(known, group, question, found):
                await self._unmapped(known, group, question, found, within)

    async def _unmapped(
        self, known: Indexed, group: Group, question: Question, found: Translation, within: tuple[str, ...]
    ) -> None:
        rule = group.unmapped
        mode = rule.get("mode")
        given = _given(group.source, group.source_version, question)
        if mode in ("provided", "use-source-code"):
            concept = _coding(group.target, group.target_version, {"code": question.code})
            found.add(Match(equivalence.stated(rule, "equal"), concept, given, known.canonical))
        elif mode == "fixed" and isinstance(rule.get("code"), str):
            concept = _coding(group.target, group.target_version, rule)
            found.add(Match(equivalence.stated(rule), concept, given, known.canonical))
        elif mode == "other-map":
            await self._elsewhere(known, str(rule.get("url") or rule.get("otherMap") or ""), question, found, within)

    async def _elsewhere(
        self, known: Indexed, canonical: str, question: Question, found: Translation, within: tuple[str, ...]
    ) -> None:
        path = (*within, known.canonical)
        url, _, version = canonical.partition("|")
        if any(url == one.partition("|")[0] for one in path):
            found.circles.add(canonical)
            return
        found.steps += 1
        if len(path) > DEEPEST or found.steps > MOST_STEPS:
            found.beyond.add(canonical)
            return
        other = versions.newest(await self._catalogue.concept_maps(url), version, versions.of_resource)
        if other is None:
            found.missing.add(canonical)
        else:
            await self._by(self._indexes.of(other), question, found, path)


def _forward(known: Indexed, group: Group, question: Question, found: Translation) -> bool:
    """Take in what a group says of a source code; return whether it says anything."""
    said = False
    for element in group.elements.get(question.code, ()):
        given = _given(group.source, group.source_version, question, element)
        if element.get("noMap") is True:
            said = True
            found.add(Match("unmatched", None, given, known.canonical))
        for target in rows(element, "target"):
            holds = _holds(target, question.dependencies, found)
            said = said or holds is not False
            if holds:
                concept = _coding(group.target, group.target_version, target)
                match = equivalence.stated(target)
                comment = str(target.get("comment", ""))
                found.add(Match(match, concept, given, known.canonical, tuple(_products(target)), comment))
    return said


def _backward(known: Indexed, group: Group, question: Question, found: Translation) -> None:
    for element, target in group.targets.get(question.code, ()):
        if _holds(target, question.dependencies, found):
            concept = _coding(group.source, group.source_version, element)
            given = _given(group.target, group.target_version, question, target)
            turned = equivalence.turned(equivalence.stated(target))
            comment = str(target.get("comment", ""))
            found.add(Match(turned, concept, given, known.canonical, (), comment))


def _scoped(known: Indexed, question: Question) -> bool:
    """Return whether a map is for the value sets that are asked of; one that names none is for all."""
    given, sought = (known.target, known.source) if question.reverse else (known.source, known.target)
    return _same(given, question.scope) and _same(sought, question.target_scope)


def _same(stated: str, wanted: str) -> bool:
    """Return whether two canonicals are one, as far as both are given; a version counts where both have one."""
    url, _, version = stated.partition("|")
    other, _, other_version = wanted.partition("|")
    return not url or not other or (url == other and (not version or not other_version or version == other_version))


def _fits(group: Group, question: Question) -> bool:
    given, version, sought = group.source, group.source_version, group.target
    if question.reverse:
        given, version, sought = group.target, group.target_version, group.source
    if question.system and given and question.system != given:
        return False
    if question.version and version and question.version != version:
        return False
    to, _, _ = question.to.partition("|")
    return not to or to == sought


def _holds(target: Json, dependencies: Sequence[Dependency], found: Translation) -> bool | None:
    """Return whether all that a target depends on holds; `None` where something of it is not known."""
    answer: bool | None = True
    for wanted in rows(target, "dependsOn"):
        about = [one for one in dependencies if one.element == _property(wanted)]
        if not about:
            found.wanting.add(_property(wanted))
            answer = None if answer else answer
        elif not any(one.meets(wanted) for one in about):
            answer = False
    return answer


def _property(row: Json) -> str:
    """Return what a dependency or product is of: `property` in R4, `attribute` in R5."""
    return str(row.get("property") or row.get("attribute") or "")


def _value(row: Json) -> tuple[str, str]:
    """Return system and value of a dependency or product: two members in R4, `value[x]` in R5."""
    value = next((held for name, held in row.items() if name.startswith("value") and name != "valueSet"), "")
    if isinstance(value, dict):
        return str(value.get("system", "")), str(value.get("code", ""))
    return str(row.get("system", "")).partition("|")[0], str(value)


def _products(target: Json) -> Iterator[tuple[str, Json]]:
    for row in rows(target, "product"):
        system, value = _value(row)
        yield _property(row), _coding(system, "", {"code": value, "display": row.get("display")}) or {}


def _coding(system: str, version: str, row: Json) -> Json | None:
    code = row.get("code")
    if not isinstance(code, str) or not code:
        return None
    stated = {"system": system, "version": version, "code": code, "display": row.get("display")}
    return {name: value for name, value in stated.items() if value}


def _given(system: str, version: str, question: Question, row: Json | None = None) -> Json:
    """Return the Coding of what was asked for, as the map has it."""
    return _coding(system or question.system, version or question.version, {**(row or {}), "code": question.code}) or {}
