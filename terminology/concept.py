"""A concept of a code system, with all that is said of it (R4 CodeSystem.concept)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

NOT_ENUMERATED = -1
"""Ordinal of a concept that is made by a grammar, such as `mg/dL`, and stands in no list."""


@dataclass(frozen=True, slots=True)
class Designation:
    """Another word for a concept (R4 CodeSystem.concept.designation).

    Attributes:
        value: The text.
        language: BCP-47 tag, empty where none is stated.
        use: Coding of what it is for, `None` where none is stated.
        extensions: As the resource has them.
        source: Canonical of the supplement that adds it, empty for the code system itself.
    """

    value: str
    language: str = ""
    use: Json | None = None
    extensions: tuple[Json, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Property:
    """What is stated of a concept under a name (R4 CodeSystem.concept.property).

    Attributes:
        code: Name of the property.
        value: Text, boolean, integer, `Decimal`, or a Coding as a dict.
        kind: FHIR type of the value: code, Coding, string, integer, boolean, dateTime or decimal.
        source: Canonical of the supplement that adds it, empty for the code system itself.
    """

    code: str
    value: Any
    kind: str = "string"
    source: str = ""


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept as one version of a code system has it.

    Attributes:
        code: As the code system spells it.
        display: Preferred words, empty where there are none.
        ordinal: Position among the concepts of this version, from 0 in the order of its definition; `NOT_ENUMERATED` for
            one that a grammar makes.
        definition: What it means, or empty.
        designations: Other words for it.
        properties: What is stated of it; parents and children are not repeated here.
        parents: Ordinals of the concepts right above it.
        inactive: Whether it is not to be used any more.
        abstract: Whether it only groups others, and is not to be selected.
        status: As the code system words it, such as `retired` or `deprecated`; empty where it says nothing.
        extensions: As the resource has them.
    """

    code: str
    display: str = ""
    ordinal: int = NOT_ENUMERATED
    definition: str = ""
    designations: tuple[Designation, ...] = ()
    properties: tuple[Property, ...] = ()
    parents: tuple[int, ...] = ()
    inactive: bool = False
    abstract: bool = False
    status: str = ""
    extensions: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """A property that concepts of a code system may have (R4 CodeSystem.property).

    Attributes:
        code: Its name in filters and answers.
        kind: FHIR type of its values.
        uri: What it means, independent of the code system; empty where none is stated.
        description: For people, or empty.
    """

    code: str
    kind: str = "string"
    uri: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What is said of one version of a code system as a whole (R4 CodeSystem).

    Attributes:
        url: Its system URI.
        version: Its business version, empty where it has none.
        name: For programs.
        title: For people.
        content: complete, fragment, example or supplement; providers never have `not-present`.
        status: Publication status: draft, active, retired or unknown.
        experimental: Whether it is for trials only.
        standards_status: `deprecated`, `withdrawn` and the like of the standards-status extension, or empty.
        case_sensitive: Whether `A` and `a` are two codes.
        language: BCP-47 tag of its displays, or empty.
        hierarchy: Meaning of its hierarchy: is-a, grouped-by, part-of, classified-with, or empty where it is flat.
        value_set: Canonical of the value set of all its codes, or empty.
        compositional: Whether codes can be put together by a grammar.
        version_needed: Whether a code means nothing without a version.
        version_algorithm: How versions are compared: semver, integer, alpha, date or natural; empty where not stated.
        properties: By code.
        count: Concepts that are listed here.
        resource: The CodeSystem without its concepts, for what is not above.
    """

    url: str
    version: str = ""
    name: str = ""
    title: str = ""
    content: str = "complete"
    status: str = "active"
    experimental: bool = False
    standards_status: str = ""
    case_sensitive: bool = True
    language: str = ""
    hierarchy: str = ""
    value_set: str = ""
    compositional: bool = False
    version_needed: bool = False
    version_algorithm: str = ""
    properties: Mapping[str, PropertyDefinition] = field(default_factory=dict)
    count: int = 0
    resource: Json | None = None

    @property
    def canonical(self) -> str:
        """URL and version, the URL alone where there is no version."""
        return f"{self.url}|{self.version}" if self.version else self.url
