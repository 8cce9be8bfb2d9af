"""What an expression constraint is made of."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Anything:
    """All concepts: `*`."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One concept: `404684003 |Clinical finding|`."""

    code: str


@dataclass(frozen=True, slots=True)
class Related:
    """What stands somewhere in the hierarchy to a set: `<< 404684003`.

    Attributes:
        operator: `<`, `<<`, `<!`, `<<!`, `>`, `>>`, `>!`, `>>!`, `!!>` (tops) or `!!<` (bottoms).
        of: The set.
    """

    operator: str
    of: "Constraint"


@dataclass(frozen=True, slots=True)
class Members:
    """Members of reference sets: `^ 723264001`."""

    of: "Constraint"


@dataclass(frozen=True, slots=True)
class Joined:
    """Sets joined by `AND`, `OR` or `MINUS` (two sets)."""

    operator: str
    parts: tuple["Constraint", ...]


@dataclass(frozen=True, slots=True)
class Refined:
    """Concepts whose attributes satisfy a refinement: `< 404684003: 363698007 = 39057004`."""

    focus: "Constraint"
    refinement: "Refinement"


@dataclass(frozen=True, slots=True)
class Dotted:
    """Values of an attribute of concepts: `< 404684003 . 363698007`."""

    focus: "Constraint"
    attribute: "Constraint"


@dataclass(frozen=True, slots=True)
class Filtered:
    """Concepts of a set that filters select, all of them: `< 404684003 {{ term = "heart" }}`.

    Attributes:
        of: The set.
        on: `D`: one description satisfies all conditions; `C`: the concept does.
        conditions: All of them hold.
    """

    of: "Constraint"
    on: str
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class WithHistory:
    """A set with what is inactive and was replaced by members of it: `<< 195967001 {{ + HISTORY-MIN }}`.

    Attributes:
        of: The set.
        profile: MIN, MOD or MAX; empty where `associations` says it.
        associations: Reference sets of the associations that count.
    """

    of: "Constraint"
    profile: str
    associations: "Constraint | None" = None


Constraint = Anything | Reference | Related | Members | Joined | Refined | Dotted | Filtered | WithHistory


@dataclass(frozen=True, slots=True)
class Term:
    """A text that descriptions are compared with.

    Attributes:
        text: As written.
        wild: Whether `*` stands for any text; else words are compared by their beginnings, in any order.
    """

    text: str
    wild: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of a filter.

    Attributes:
        name: `term`, `language`, `type`, `typeId`, `dialect`, `dialectId`, `active`, `definitionStatus`, `definitionStatusId`,
            `moduleId` or `effectiveTime`.
        operator: `=`, `!=`, and for `effectiveTime` `<`, `<=`, `>`, `>=`.
        values: Any of them, in lower case; texts for `term`.
        concepts: Any of them instead, for names that end with `Id`.
    """

    name: str
    operator: str
    values: tuple["Term | str", ...] = ()
    concepts: "Constraint | None" = None


@dataclass(frozen=True, slots=True)
class Count:
    """How often: `[1..3]`.

    Attributes:
        least: At least.
        most: At most, `None` for any number.
    """

    least: int = 1
    most: int | None = None

    @property
    def some(self) -> bool:
        """Whether it says no more than that there is one."""
        return self.least == 1 and self.most is None

    def allows(self, number: int) -> bool:
        """Return whether a number is within."""
        return number >= self.least and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with a value: `363698007 = << 39057004`, `1142135004 >= #10`.

    Attributes:
        name: Concepts that are the attribute.
        operator: `=`, `!=`, `<`, `<=`, `>` or `>=`.
        values: A constraint, numbers, texts, or a truth; any of them.
        count: How many such there are.
        reverse: Whether the concept is the value, and what `values` says has the attribute.
    """

    name: Constraint
    operator: str
    values: "tuple[Constraint | Decimal | Term | bool, ...]"
    count: Count = Count()
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Attributes of one group: `{ 363698007 = 39057004, 116676008 = 415582006 }`."""

    refinement: "Refinement"
    count: Count = Count()


@dataclass(frozen=True, slots=True)
class Both:
    """Refinements joined by `AND` or `OR`."""

    operator: str
    parts: tuple["Refinement", ...]


Refinement = Attribute | Group | Both
