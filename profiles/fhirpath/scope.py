"""One evaluation on its way: the focus, the variables, what the surroundings can do, and how much is left of the budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from time import monotonic
from typing import Any, Protocol

from profiles.fhirpath.errors import FhirPathError
from profiles.fhirpath.model import Model
from profiles.fhirpath.values import Item, Items, Node


class Units(Protocol):
    """Units of measure, such as `terminology.ucum.ucum.Ucum`."""

    def canonical(self, value: Decimal, code: str) -> tuple[Fraction, str] | None:
        """Return a value in base units and their code; `None` where the code is no unit."""

    def convert(self, value: Decimal, source: str, target: str) -> Fraction | None:
        """Return a value of one code in another; `None` where that is not possible."""

    def validate(self, code: str) -> str:
        """Return why a code is no unit, and what to write instead; empty where it is one."""


@dataclass(frozen=True, slots=True)
class Services:
    """What expressions ask of their surroundings; what is absent is answered from the resource and the definitions alone.

    Attributes:
        resolve: The resource of a reference or canonical as written; `None` where it is not found.
        member_of: Whether a code, Coding or CodeableConcept (as JSON) is in the value set of a URL; `None` where that is not known.
        conforms: Whether a resource or element (as JSON) conforms to the profile of a URL; `None` where the profile is not known.
        subsumes: Whether the first Coding (as JSON) subsumes the second; `None` where that is not known.
        trace: Takes the name and the values of every `trace()`.
        now: The moment of the evaluation, with its time zone.
    """

    resolve: Callable[[str], Mapping[str, Any] | None] | None = None
    member_of: Callable[[Any, str], bool | None] | None = None
    conforms: Callable[[Any, str], bool | None] | None = None
    subsumes: Callable[[Any, Any], bool | None] | None = None
    trace: Callable[[str, list[Any]], None] | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation may take.

    Attributes:
        steps: Items that are looked at, compared or made.
        seconds: Time on the clock.
        items: Items of one collection.
        characters: Characters of one string.
    """

    steps: int = 1_000_000
    seconds: float = 2.0
    items: int = 100_000
    characters: int = 1_048_576


_CHUNK = 5_000


class Scope:
    """The state of one evaluation. One is made for each, and most of its parts change while it runs: it is a plain class.

    Attributes:
        model: The types.
        units: Units of measure, `None` where amounts of different units cannot be compared.
        services: The surroundings.
        limits: The budget.
        variables: What `%name` stands for.
        this: The focus, `$this`.
        index: `$index`.
        total: `$total`.
        left: Steps until the next look at the clock.
        unread: Whether a reference that cannot be resolved stands for a resource of the type that it names.
        used: Steps that were taken before.
        until: When the time is over; 0 until the clock has been looked at.
        now: The moment that `now()` tells.
    """

    __slots__ = (
        "index",
        "left",
        "limits",
        "model",
        "now",
        "services",
        "this",
        "total",
        "units",
        "unread",
        "until",
        "used",
        "variables",
    )

    def __init__(  # noqa: PLR0917 - made for every evaluation
        self,
        model: Model,
        units: Units | None,
        services: Services,
        limits: Limits,
        variables: dict[str, Items],
        this: Items,
    ) -> None:
        self.model = model
        self.units = units
        self.services = services
        self.limits = limits
        self.variables = variables
        self.this = this
        self.unread = False
        self.index: int | None = None
        self.total: Items = []
        self.left = min(_CHUNK, limits.steps)
        self.used = self.left - _CHUNK
        self.until = 0.0
        self.now: datetime | None = None

    @property
    def taken(self) -> int:
        """Steps that were taken so far."""
        return self.used + _CHUNK - self.left

    def spend(self, steps: int) -> None:
        """Take steps from the budget.

        Raises:
            FhirPathError: It is used up.
        """
        self.left -= steps
        if self.left < 0:
            self._more()

    def _more(self) -> None:
        self.used += _CHUNK - self.left
        self.left = _CHUNK
        if self.used > self.limits.steps:
            raise FhirPathError(
                "limit", f"The evaluation takes more than {self.limits.steps} steps. Select less with the expression."
            )
        now = monotonic()
        if not self.until:
            self.until = now + self.limits.seconds
        elif now > self.until:
            raise FhirPathError(
                "limit",
                f"The evaluation takes more than {self.limits.seconds:g} seconds. Select less with the expression.",
            )

    def held(self, items: Items) -> Items:
        """Return a collection that has been made, after taking its size from the budget."""
        self.spend(len(items))
        self.holds(len(items))
        return items

    def holds(self, count: int) -> None:
        """Refuse a collection of too many items."""
        if count > self.limits.items:
            raise FhirPathError("limit", f"A collection would have more than {self.limits.items} items.")

    def text(self, made: str) -> Items:
        """Return a string that has been made, after taking its length from the budget."""
        self.fits(len(made))
        return [made]

    def fits(self, length: int) -> None:
        """Take the length of a string that is to be made from the budget."""
        if length > self.limits.characters:
            raise FhirPathError("limit", f"A string would have more than {self.limits.characters} characters.")
        self.spend(length >> 6)

    def node(self, value: Mapping[str, Any]) -> Node:
        """Return the node of a resource."""
        return Node(value, self.model.of(value))


Run = Callable[[Scope], Items]
"""A compiled expression: takes the scope, whose focus it does not change, and returns a collection."""


def single(items: Items, what: str) -> Item | None:
    """Return the only item of a collection, `None` where it is empty.

    Raises:
        FhirPathError: It has several.
    """
    if len(items) > 1:
        raise FhirPathError(
            "execution", f"{what} takes one item, but {len(items)} were found. Choose one with first() or where()."
        )
    return items[0] if items else None
