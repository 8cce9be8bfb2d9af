"""What a person may leave out on the consent page, and the scopes that remain (SMART App Launch 2.2, 3.0.2.3).

A person can leave out whole resource types, changing them, and, where an app asks for all of Condition or Observation, categories of them.
What remains is always covered by what was asked for; the rest of a type of which only categories remain is gone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from smart_auth.scopes.coverage import intersect
from smart_auth.scopes.grammar import ANY_TYPE, LETTERS, Asked, ResourceScope, Scopes

READING, WRITING = "rs", "cud"

_CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
_OBSERVATION = "http://terminology.hl7.org/CodeSystem/observation-category"
_US_CORE = "http://hl7.org/fhir/us/core/CodeSystem"


@dataclass(frozen=True, slots=True)
class Category:
    """A part of a resource type that can be allowed by itself.

    Attributes:
        value: Value of the search parameter `category`.
        title: What people call it.
    """

    value: str
    title: str


CATEGORIES: Mapping[str, tuple[Category, ...]] = MappingProxyType(
    {
        "Condition": (
            Category(f"{_CONDITION}|problem-list-item", "problem list"),
            Category(f"{_CONDITION}|encounter-diagnosis", "diagnoses of visits"),
            Category(f"{_US_CORE}/condition-category|health-concern", "health concerns"),
        ),
        "Observation": (
            Category(f"{_OBSERVATION}|laboratory", "laboratory results"),
            Category(f"{_OBSERVATION}|vital-signs", "vital signs"),
            Category(f"{_OBSERVATION}|social-history", "habits and social history"),
            Category(f"{_OBSERVATION}|survey", "questionnaires and scores"),
            Category(f"{_US_CORE}/us-core-category|sdoh", "living conditions"),
        ),
    }
)
"""The categories that US Core has servers offer (FHIR US Core 7, SMART scopes)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided.

    Attributes:
        types: Resource types that the app may read.
        categories: For a type, the values of the categories that it may have; a type that is not here is whole.
        offline: Whether it may keep access, where it asked to.
        writes: Resource types that the app may change; `None` for those that it may read.
        days: After how many days its access ends at the latest; `None` for as long as the deployment allows.
    """

    types: Collection[str]
    categories: Mapping[str, Collection[str]]
    offline: bool = True
    writes: Collection[str] | None = None
    days: int | None = None


def offered(scopes: Scopes, types: Collection[str], letters: str = LETTERS) -> tuple[str, ...]:
    """Return the types that a person can choose among, `*` written out as all of the types that there are.

    Args:
        scopes: What was asked for.
        types: The types that there are.
        letters: Only those that are asked for with one of these.
    """
    named = {one.resource_type for one in scopes.resources if set(one.letters) & set(letters)}
    return tuple(sorted(named - {ANY_TYPE} | (set(types) if ANY_TYPE in named else set())))


def divisible(scopes: Scopes, resource_type: str) -> Sequence[Category]:
    """Return the categories of a type that can be chosen; none where the app already asks for parts of it only."""
    whole = any(one.resource_type in {ANY_TYPE, resource_type} and not one.criteria for one in scopes.resources)
    return CATEGORIES.get(resource_type, ()) if whole else ()


def chosen(scopes: Scopes, choice: Choice, types: Collection[str]) -> Scopes:
    """Return what a person allows of scopes.

    Args:
        scopes: What was asked for.
        choice: What the person decided; what is not in there is not allowed.
        types: The types that there are; where all of them are allowed whole, `*` stays `*`.
    """
    ticked = {READING: set(choice.types), WRITING: set(choice.types if choice.writes is None else choice.writes)}
    there = {letters: set(offered(scopes, types, letters)) for letters in ticked}
    wanted = {letters: kinds & ticked[letters] for letters, kinds in there.items()}
    parts = {
        kind: values
        for kind, values in choice.categories.items()
        if divisible(scopes, kind) and any(kind in kinds for kinds in wanted.values())
    }
    words = scopes.only(lambda one: choice.offline or one.meaning != "offline_access")
    if wanted == there and not parts:
        return words
    kept: list[Asked] = []
    for one in words.asked:
        if not isinstance(one.meaning, ResourceScope):
            kept.append(one)
            continue
        limits: list[ResourceScope] = []
        for half, kinds in wanted.items():
            letters = "".join(letter for letter in one.meaning.letters if letter in half)
            asked = replace(one.meaning, letters=letters)
            if letters and kinds == there[half] and not parts:
                limits.append(asked)
            elif letters:
                limits += [limit for kind in sorted(kinds) for limit in _limits(asked, kind, parts.get(kind))]
        kept += intersect(Scopes((one,)), limits).asked
    return Scopes(tuple({one.meaning: one for one in kept}.values()), scopes.refused)


def _limits(asked: ResourceScope, kind: str, values: Collection[str] | None) -> Sequence[ResourceScope]:
    """Return what may remain of a scope for one type."""
    if asked.resource_type not in {ANY_TYPE, kind}:
        return ()
    whole = ResourceScope(asked.context, kind, asked.letters, asked.criteria)
    if values is None or asked.criteria:
        return (whole,)
    known = {category.value for category in CATEGORIES[kind]}
    return [replace(whole, criteria=(("category", value),)) for value in sorted(known & set(values))]


def everything(scopes: Scopes, types: Collection[str]) -> Choice:
    """Return the choice of one who leaves nothing out."""
    return Choice(offered(scopes, types), {})
