"""Frozen records of what the FHIR definitions say: types, elements, search parameters, compartments, operations."""

from dataclasses import dataclass
from typing import Literal

TypeKind = Literal["primitive", "complex", "backbone", "resource"]


@dataclass(frozen=True, slots=True)
class Invariant:
    """One constraint of an element (ElementDefinition.constraint).

    Attributes:
        key: Its key, such as `pat-1`.
        severity: `error` or `warning`.
        human: The sentence in the specification.
        expression: FHIRPath.
    """

    key: str
    severity: str
    human: str
    expression: str


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON member of a type. A choice element `value[x]` gives one Element for each allowed type.

    Attributes:
        name: The JSON key, such as `valueQuantity`.
        path: Path in the definition, such as `Observation.value[x]`.
        type: Name of the type of its value: a primitive (`dateTime`), a complex type (`Quantity`), a backbone by its
            path (`Observation.component`), or `Resource` for any resource. Content references are already resolved.
        min: Least number of values. For a member of a choice, the minimum of the choice as a whole.
        max: Greatest number of values, `None` for unlimited.
        array: Whether its JSON is an array (from the base definition).
        choice: `value` for the members of `value[x]`, else empty.
        targets: Resource types that a Reference or canonical may point to; empty for any.
        binding: Canonical URL (no version) of a **required** value set, else empty.
        summary: Whether it is part of `_summary=true`.
        modifier: Whether it is a modifier element.
        invariants: Constraints stated on this element (not those of its type).
    """

    name: str
    path: str
    type: str
    min: int
    max: int | None
    array: bool
    choice: str
    targets: tuple[str, ...]
    binding: str
    summary: bool
    modifier: bool
    invariants: tuple[Invariant, ...]


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A primitive, complex, backbone or resource type.

    Attributes:
        name: `Patient`, `Quantity`, `Observation.component`, `dateTime`.
        kind: Which of the four.
        base: The type it specializes, such as `DomainResource`; empty at the root.
        abstract: Whether no instance may carry it.
        elements: Members by JSON key, in definition order, inherited ones included.
        invariants: Constraints of the type itself.
        pattern: Regular expression of a primitive's text; empty otherwise.
    """

    name: str
    kind: TypeKind
    base: str
    abstract: bool
    elements: dict[str, Element]
    invariants: tuple[Invariant, ...]
    pattern: str


@dataclass(frozen=True, slots=True)
class SearchComponent:
    """One part of a composite parameter: the canonical of its definition and the expression relative to the base."""

    definition: str
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter as defined (R4 SearchParameter), one record for all its base types.

    Attributes:
        url: Canonical URL.
        code: Name in the query string.
        type: number, date, string, token, reference, composite, quantity, uri or special.
        base: Resource types (`Resource` and `DomainResource` for the common ones).
        expression: FHIRPath over all bases, empty for some special ones.
        targets: Types that a reference parameter may point to.
        components: Parts of a composite.
        description: The specification's sentence.
    """

    url: str
    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    targets: tuple[str, ...]
    components: tuple[SearchComponent, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Compartment:
    """Which types belong to a compartment, by which of their reference parameters (CompartmentDefinition).

    `members` maps a resource type to parameter codes; `{def}` stands for the compartment's own type.
    """

    code: str
    members: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """One parameter of an operation; `parts` are its own members where it has them instead of a type."""

    name: str
    use: str
    min: int
    max: int | None
    type: str
    parts: "tuple[OperationParameter, ...]" = ()


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """An operation as defined (R4 OperationDefinition)."""

    url: str
    code: str
    resource: tuple[str, ...]
    system: bool
    type: bool
    instance: bool
    affects_state: bool
    parameters: tuple[OperationParameter, ...]


@dataclass(frozen=True, slots=True)
class RequiredSet:
    """The members of a value set that some element of a base type binds as `required`.

    Attributes:
        url: Canonical URL of the value set, without version.
        name: Its computer-friendly name, such as `ObservationStatus`.
        codes: All codes, whatever their system: what an element of type `code` may hold.
        pairs: The same members as (system, code): what a Coding may hold.
    """

    url: str
    name: str
    codes: frozenset[str]
    pairs: frozenset[tuple[str, str]]
