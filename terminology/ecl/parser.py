"""The parser of expression constraints: from text to nodes, by recursive descent without going back."""

from decimal import Decimal

from terminology.ecl.conditions import ON_CONCEPTS, ON_DESCRIPTIONS, Conditions
from terminology.ecl.nodes import (
    Anything,
    Attribute,
    Both,
    Constraint,
    Count,
    Dotted,
    Filtered,
    Group,
    Joined,
    Members,
    Reference,
    Refined,
    Refinement,
    Related,
    Term,
    WithHistory,
)
from terminology.ecl.tokens import InvalidConstraint, Token, closing, tokens

MOST_NESTED = 50
MOST_COUNT = 4

RELATIONS = frozenset({"<", "<<", "<!", "<<!", ">", ">>", ">!", ">>!", "!!>", "!!<"})
COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
EQUALITIES = frozenset({"=", "!="})
_DESCRIPTION_FIELDS = frozenset({"D", "C", "M"})


def parse(text: str) -> Constraint:
    """Return what an expression constraint says.

    Raises:
        InvalidConstraint: It does not follow the grammar, or is beyond the bounds of this module.
    """
    return _Parser(text).whole()


class _Parser(Conditions):
    """One text that is being read."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._closing = closing(self._tokens)
        self._index = 0
        self._depth = 0

    def whole(self) -> Constraint:
        found = self.constraint()
        rest = self.now
        if rest.kind == "end":
            return found
        if rest.text == ":":
            raise InvalidConstraint(f"Found {rest}. Put what is refined in brackets: ( … ) : …")
        if rest.text.upper() in {"AND", "OR", "MINUS", ","}:
            raise InvalidConstraint(
                f"Found {rest} after another operator. It is not said which of them counts first: put brackets around one."
            )
        raise InvalidConstraint(
            f"Found {rest} where the constraint should end. Join two constraints by AND, OR or MINUS."
        )

    @property
    def now(self) -> Token:
        return self._tokens[self._index]

    def take(self) -> Token:
        token = self.now
        self._index += token.kind != "end"
        return token

    def accept(self, *texts: str) -> bool:
        """Step over the next token if it is one of these."""
        if self.now.kind in {"sign", "word"} and self.now.text.upper() in texts:
            self._index += 1
            return True
        return False

    def expect(self, text: str, why: str) -> None:
        if not self.accept(text):
            raise InvalidConstraint(f"Found {self.now}. {why}")

    def deeper(self, by: int) -> None:
        self._depth += by
        if self._depth > MOST_NESTED:
            raise InvalidConstraint(
                f"The constraint nests more than {MOST_NESTED} brackets at character {self.now.place}. Write it with fewer."
            )

    def constraint(self) -> Constraint:
        """Read a constraint: one set, refined, dotted, or joined with others."""
        first = self.simple()
        if self.accept(":"):
            return Refined(first, self.refinement(in_group=False))
        if self.now.text == "." and self.now.kind == "sign":
            while self.accept("."):
                first = Dotted(first, self.simple())
            return first
        operator = self._joins()
        if operator is None:
            return first
        parts = [first, self.simple()]
        while operator != "MINUS" and self._joins(operator):
            parts.append(self.simple())
        return Joined(operator, tuple(parts))

    def simple(self) -> Constraint:
        """Read one set with its operators and filters."""
        relation = self.take().text if self.now.kind == "sign" and self.now.text in RELATIONS else ""
        members = self.accept("^")
        if members and self.now.text == "[":
            raise InvalidConstraint(
                f"Found {self.now}. Fields of members of reference sets are not kept here; ask for the members alone."
            )
        found = self._focus()
        found = Members(found) if members else found
        found = Related(relation, found) if relation else found
        while self.accept("{{"):
            found = self._filter(found)
        return found

    def refinement(self, *, in_group: bool) -> Refinement:
        """Read attributes and groups that are joined all by `,` or `AND`, or all by `OR`."""
        parts = [self._part(in_group=in_group)]
        operator = ""
        while True:
            token = self.now
            found = (
                {",": "AND", "AND": "AND", "OR": "OR"}.get(token.text.upper())
                if token.kind in {"sign", "word"}
                else None
            )
            if found is None:
                return parts[0] if len(parts) == 1 else Both(operator, tuple(parts))
            if operator and found != operator:
                raise InvalidConstraint(
                    f"Found {token} after {operator}. It is not said which of them counts first: put brackets around one."
                )
            operator = found
            self.take()
            parts.append(self._part(in_group=in_group))

    def _joins(self, *only: str) -> str | None:
        token = self.now
        found = "AND" if token.text == "," else token.text.upper() if token.kind == "word" else ""
        if found in (only or ("AND", "OR", "MINUS")):
            self.take()
            return found
        return None

    def _focus(self) -> Constraint:
        token = self.take()
        if token.text == "(" and token.kind == "sign":
            self.deeper(1)
            found = self.constraint()
            self.expect(")", f"The bracket at character {token.place} is not closed before it: put ) there.")
            self.deeper(-1)
            return found
        if token.text == "*" and token.kind == "sign":
            return Anything()
        if token.kind == "digits":
            if 6 <= len(token.text) <= 18 and token.text[0] != "0":
                return Reference(token.text)
            raise InvalidConstraint(f"Found {token}. An identifier of SNOMED CT has 6 to 18 digits, the first not 0.")
        raise InvalidConstraint(f"Found {token}. A concept, * or a constraint in brackets is needed there.")

    def _filter(self, of: Constraint) -> Constraint:
        if self.accept("+"):
            return self._history(of)
        on = "D"
        word = self.now
        if word.kind == "word" and word.text.upper() in _DESCRIPTION_FIELDS:
            on = self.take().text.upper()
        if on == "M":
            raise InvalidConstraint(
                f"Found {word}. Fields of members of reference sets are not kept here; filter by concepts (C) or descriptions (D)."
            )
        known = ON_CONCEPTS if on == "C" else ON_DESCRIPTIONS
        conditions = [self.condition(known)]
        while self.accept(","):
            conditions.append(self.condition(known))
        self.expect("}}", "Conditions are separated by commas, and end with }}.")
        return Filtered(of, on, tuple(conditions))

    def _history(self, of: Constraint) -> WithHistory:
        word = self.take()
        name, _, profile = word.text.upper().partition("-")
        if name != "HISTORY" or profile not in {"", "MIN", "MOD", "MAX"}:
            raise InvalidConstraint(f"Found {word}. Write HISTORY, HISTORY-MIN, HISTORY-MOD or HISTORY-MAX there.")
        associations = None
        if not profile and self.now.text == "(":
            associations = self._focus()
        self.expect("}}", "The history supplement ends with }}.")
        return WithHistory(of, "" if associations is not None else profile or "MAX", associations)

    def _part(self, *, in_group: bool) -> Refinement:
        count = self._count() if self.now.text == "[" else Count()
        if self.now.text == "{" and self.now.kind == "sign":
            if in_group:
                raise InvalidConstraint(f"Found {self.now}. A group of attributes cannot hold another.")
            opened = self.take()
            self.deeper(1)
            inner = self.refinement(in_group=True)
            self.expect("}", f"The group at character {opened.place} is not closed before it: put }} there.")
            self.deeper(-1)
            return Group(inner, count)
        if self.now.text == "(" and count == Count() and not self._names_attribute():
            opened = self.take()
            self.deeper(1)
            inner = self.refinement(in_group=in_group)
            self.expect(")", f"The bracket at character {opened.place} is not closed before it: put ) there.")
            self.deeper(-1)
            return inner
        return self._attribute(count)

    def _names_attribute(self) -> bool:
        """Return whether a bracket is the name of an attribute: whether a comparison follows it."""
        close = self._closing.get(self._index)
        return close is not None and self._tokens[close + 1].text in {*COMPARISONS, "{{"}

    def _attribute(self, count: Count) -> Attribute:
        reverse = self.now.kind == "word" and self.accept("R")
        name = self.simple()
        operator = self.take()
        if operator.kind != "sign" or operator.text not in COMPARISONS:
            raise InvalidConstraint(f"Found {operator}. An attribute needs =, != or a comparison with a #number.")
        token = self.now
        if operator.text not in EQUALITIES and token.kind != "number":
            raise InvalidConstraint(f"Found {token}. {operator.text} needs a number behind it, written with #.")
        return Attribute(name, operator.text, self._values(), count, reverse)

    def _values(self) -> tuple[Constraint | Decimal | Term | bool, ...]:
        token = self.now
        if token.kind == "word" and token.text.lower() in {"true", "false"}:
            self.take()
            return (token.text.lower() == "true",)
        if token.kind == "number":
            return (self._number(),)
        if token.kind in {"string", "word"}:
            return (self.term(),)
        inner = self._tokens[self._index + 1] if token.text == "(" else token
        if inner.kind == "number":
            return self.several(self._number)
        if inner.kind in {"string", "word"}:
            return self.several(self.term)
        return (self.simple(),)

    def _number(self) -> Decimal:
        token = self.take()
        if token.kind != "number":
            raise InvalidConstraint(f"Found {token}. A number is needed there, written with #.")
        return Decimal(token.text[1:])

    def _count(self) -> Count:
        opened = self.take()
        why = f"The cardinality at character {opened.place} is written as [1..3] or [0..*]."
        least = self._whole(why)
        self.expect("..", why)
        most = None if self.accept("*") else self._whole(why)
        self.expect("]", why)
        if most is not None and most < least:
            raise InvalidConstraint(
                f"The cardinality at character {opened.place} has {most} at most, but {least} at least."
            )
        return Count(least, most)

    def _whole(self, why: str) -> int:
        token = self.take()
        if token.kind != "digits" or len(token.text) > MOST_COUNT:
            raise InvalidConstraint(f"Found {token}. {why}")
        return int(token.text)
