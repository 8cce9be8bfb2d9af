"""What an expression may do (`Rules`), and what is known of what it gives (`Shape`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """What an expression may do.

    Attributes:
        collections: Whether `as` takes several items, as published search parameters have it.
        foreign: Whether a path may begin with another resource type, which then selects nothing: `Patient.name | Person.name`.
        unread: Whether `resolve()` gives, for a reference that cannot be resolved, a resource of the type that it names.
        ordered: Whether functions that need an order are refused on what has none, such as `children().first()`.
        loose: Whether `String` means the type of FHIR too, as authors of constraints have it: `value as String`.
    """

    collections: bool = False
    foreign: bool = False
    unread: bool = False
    ordered: bool = False
    loose: bool = False


SEARCH = Rules(collections=True, foreign=True, unread=True)
"""The rules of SearchParameter.expression."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the items of a part may be.

    Attributes:
        types: Names of their types in full, `None` where they are not known; empty for the empty collection.
        ordered: Whether their order is defined.
    """

    types: frozenset[str] | None = None
    ordered: bool = True

    def __or__(self, other: "Shape") -> "Shape":
        known = None if self.types is None or other.types is None else self.types | other.types
        return Shape(known, self.ordered and other.ordered)


UNKNOWN = Shape()


def of(name: str) -> Shape:
    """Return the shape of items of one type, given in full."""
    return Shape(frozenset({name}))
