"""What a search or a grant selects, as an immutable tree.

The same tree is compiled to a MongoDB filter (`compile`) and evaluated on one stored document in memory (`match`). Nodes that
speak of other resources (`Chain`, `ReverseChain`, `Hierarchy`) are first replaced by criteria on their ids.
`Anything` and `Nothing` are values of their own: an empty conjunction never means "no restriction" by accident.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

import msgspec

from fhir_server.search.params import Param


class Anything(msgspec.Struct, frozen=True):
    """Every resource of the type."""


class Nothing(msgspec.Struct, frozen=True):
    """No resource."""


class And(msgspec.Struct, frozen=True):
    """All of them hold."""

    items: tuple["Expression", ...]


class Or(msgspec.Struct, frozen=True):
    """At least one of them holds."""

    items: tuple["Expression", ...]


class Not(msgspec.Struct, frozen=True):
    """It does not hold; true of resources that have no value at all."""

    item: "Expression"


class Missing(msgspec.Struct, frozen=True):
    """The resource has no value for the parameter."""

    param: Param


class Criterion(msgspec.Struct, frozen=True):
    """At least one entry of the parameter matches at least one of the values.

    Attributes:
        param: The parameter.
        values: What to look for, in the form that the module of its type makes (`types.TYPES[param.type]`).
    """

    param: Param
    values: tuple[Any, ...]


class InCompartment(msgspec.Struct, frozen=True):
    """The resource is part of the record of this patient (R4 CompartmentDefinition Patient).

    The other compartments are criteria on reference parameters, which `compartment` states.
    """

    patient: str


class OwnedBy(msgspec.Struct, frozen=True):
    """Its custodian is one of these facilities (Organization ids)."""

    facilities: frozenset[str]


class OfPatients(msgspec.Struct, frozen=True):
    """The resource is part of the record of at least one of these patients (ids)."""

    patients: frozenset[str]


class Cleared(msgspec.Struct, frozen=True):
    """Every label that restricts it is one of these (envelope `sl`); true of what has no such label.

    Attributes:
        labels: Codes of security labels that the caller is cleared for.
    """

    labels: frozenset[str]


class Disclosed(msgspec.Struct, frozen=True):
    """It is there for the patient to see: no advice, neither held nor embargoed nor closed by its status (product.md 3, 4, 12).

    Attributes:
        now: The time; what becomes visible later (envelope `va`) is not yet.
        gates: Closed gates (envelope `gt`) that are open all the same, by configuration.
    """

    now: datetime
    gates: frozenset[str] = frozenset()


class Withdrawn(msgspec.Struct, frozen=True):
    """Patients could see it, and the care team has withdrawn it: neither held nor advice (product.md 3)."""


class Belongs(msgspec.Struct, frozen=True):
    """It was created by this client and person (envelope `ow`; `principal.owner`)."""

    owner: str


class Guarded(msgspec.Struct, frozen=True):
    """A Binary whose `securityContext` names one of these; who may see that one may see it (R4 Binary).

    Attributes:
        contexts: References as they are written.
        open: Whether one without a `securityContext` is meant, too.
    """

    contexts: tuple[str, ...] = ()
    open: bool = False


class Contains(msgspec.Struct, frozen=True):
    """A resource that is contained in it fulfils the expression for its type (R4 3.1.1.5.6).

    Attributes:
        resource_type: Type of the contained resource.
        item: What it must fulfil by itself, resolved.
    """

    resource_type: str
    item: "Expression"


class Chain(msgspec.Struct, frozen=True):
    """A reference of the parameter leads to a resource that fulfils the expression for its type (R4 3.1.1.4.13).

    Attributes:
        param: The reference parameter.
        targets: (type, what a resource of it must fulfil); the reference may lead to one of any of these types.
    """

    param: Param
    targets: tuple[tuple[str, "Expression"], ...]


class ReverseChain(msgspec.Struct, frozen=True):
    """A resource that fulfils the expression refers to it by the parameter (`_has`, R4 3.1.1.4.14; `_list`).

    Attributes:
        param: The reference parameter, of the type that refers.
        target_type: The type that is referred to: the one that is searched.
        item: What the referring resource must fulfil.
    """

    param: Param
    target_type: str
    item: "Expression"


class Hierarchy(msgspec.Struct, frozen=True):
    """A reference of the parameter leads to one of these or to what is below or above one of them.

    Attributes:
        param: The reference parameter.
        roots: `Type/id`.
        below: Whether parts are meant, otherwise the wholes that they are parts of.
    """

    param: Param
    roots: tuple[str, ...]
    below: bool


class Concepts(msgspec.Struct, frozen=True):
    """A code of the parameter is in a set that is named instead of listed (R4 3.1.1.4.10: `:in`, `:below`, `:above`).

    Attributes:
        param: The token parameter.
        relation: `in` a value set, or `below` or `above` a concept.
        names: (system, code) of the concepts; with `in` (canonical URL, empty) of the value sets.
    """

    param: Param
    relation: Literal["in", "below", "above"]
    names: tuple[tuple[str, str], ...]


class InText(msgspec.Struct, frozen=True):
    """What must hold of the words of a resource; that they are stored of all resources is checked before it is compiled."""

    item: "Expression"


Expression = (
    Anything
    | Nothing
    | And
    | Or
    | Not
    | Missing
    | Criterion
    | InCompartment
    | OwnedBy
    | OfPatients
    | Cleared
    | Disclosed
    | Withdrawn
    | Belongs
    | Guarded
    | Contains
    | Chain
    | ReverseChain
    | Hierarchy
    | Concepts
    | InText
)
"""The last five speak of more than the resource itself: they are resolved to criteria before they can be compiled."""


def all_of(items: Iterable[Expression]) -> Expression:
    """Return the conjunction in its simplest form; of no items: `Anything`."""
    kept: list[Expression] = []
    for item in items:
        if isinstance(item, Nothing):
            return item
        kept += item.items if isinstance(item, And) else [] if isinstance(item, Anything) else [item]
    return And(tuple(kept)) if len(kept) > 1 else kept[0] if kept else Anything()


def none_of(item: Expression) -> Expression:
    """Return the negation in its simplest form."""
    return Nothing() if isinstance(item, Anything) else Anything() if isinstance(item, Nothing) else Not(item)


def any_of(items: Iterable[Expression]) -> Expression:
    """Return the disjunction in its simplest form; of no items: `Nothing`."""
    kept: list[Expression] = []
    for item in items:
        if isinstance(item, Anything):
            return item
        kept += item.items if isinstance(item, Or) else [] if isinstance(item, Nothing) else [item]
    return Or(tuple(kept)) if len(kept) > 1 else kept[0] if kept else Nothing()


def missing(param: Param) -> Expression:
    """Return "there is no value"; of a composite that is joined: one of its components has none."""
    if param.joined:
        return any_of(Missing(component.own) for component in param.components if component.own)
    return Missing(param)
