"""What the reading of a value depends on besides the value: our own base, the time zone, the definitions, the units."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from fhir_server.search.codes import CodeSets
from profiles.definitions.registry import Definitions


class Unit(Protocol):
    """A unit of measure that converts to a canonical one (`terminology.ucum.units.Unit`)."""

    @property
    def canonical(self) -> str:
        """Code of the unit that all units of its kind convert to."""

    @property
    def rising(self) -> bool:
        """Whether a greater value is a greater amount of the canonical unit; of a pH it is a smaller one."""

    def canonical_value(self, value: Decimal) -> Fraction | None:
        """Return a value in the canonical unit, exactly; `None` where that cannot be computed."""


class Units(Protocol):
    """The units of one code system (`terminology.ucum.ucum.Ucum`)."""

    @property
    def system(self) -> str:
        """URL of the code system."""

    def unit(self, code: str) -> Unit | None:
        """Return the unit of a code, `None` where the system has none."""

    def __hash__(self) -> int:
        """What was converted is remembered by it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How stored values and query texts are read; the index and the queries must use the same one.

    Attributes:
        base: Our own service base without trailing slash; absolute references below it count as local. Empty: none.
        zone: Time zone of dates and times that state none.
        definitions: Code systems of required bindings, for `system|code` on elements of type `code`. `None`: not known.
        now: The present, for the prefix `ap`; `None`: that of the clock.
        units: Units that convert into one another; `None`: none does.
        texts: Whether the words of resources are stored, for `_text` and `_content`.
        codes: Value sets and hierarchies of codes; `None`: none is known.
    """

    base: str = ""
    zone: tzinfo = UTC
    definitions: Definitions | None = None
    now: datetime | None = None
    units: Units | None = None
    codes: CodeSets | None = None
    texts: bool = False


PLAIN = Reading()
