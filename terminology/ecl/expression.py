"""Post-coordinated expressions in SNOMED CT's compositional grammar 2.3 (https://docs.snomed.org/snomed-ct-specifications/snomed-ct-compositional-grammar)."""

from dataclasses import dataclass

from terminology.ecl.tokens import InvalidConstraint, Token, tokens

MOST_NESTED = 20
NORMAL_FORM = "normalFormTerse"
"""Property that has a concept as an expression: what it is below, and its attributes in their groups (FHIR's page on SNOMED CT)."""


class InvalidExpression(ValueError):
    """A text is no expression; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression.

    Attributes:
        focus: Codes of the concepts that it refines.
        attributes: Names and values that are in no group.
        groups: Names and values of each group.
        subtype: Whether it is said to be below what it says (`<<<`), and not equal to it (`===`).
    """

    focus: tuple[str, ...]
    attributes: tuple["Pair", ...] = ()
    groups: tuple[tuple["Pair", ...], ...] = ()
    subtype: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is one concept."""
        return len(self.focus) == 1 and not self.attributes and not self.groups and not self.subtype

    @property
    def normal(self) -> str:
        """The expression in one spelling: sorted, each part once, without terms."""
        status = "<<< " if self.subtype else ""
        focus = "+".join(sorted(set(self.focus), key=int))
        loose = _sorted(self.attributes)
        grouped = sorted({f"{{{','.join(_sorted(group))}}}" for group in self.groups})
        refinement = ",".join([*loose, *grouped])
        return f"{status}{focus}:{refinement}" if refinement else f"{status}{focus}"

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes in it, each once, in the order in which they come."""
        found = dict.fromkeys(self.focus)
        for name, value in (*self.attributes, *(pair for group in self.groups for pair in group)):
            found[name] = None
            if isinstance(value, Expression):
                found |= dict.fromkeys(value.codes)
        return tuple(found)


Value = Expression | str
"""A value of an attribute: an expression, or a number (`#5`) or text (`"5 mg"`) as written."""

Pair = tuple[str, Value]


def parse(text: str) -> Expression:
    """Return what an expression says.

    Raises:
        InvalidExpression: It does not follow the grammar, or nests too deep.
    """
    try:
        found = tokens(text)
    except InvalidConstraint as error:
        raise InvalidExpression(str(error)) from None
    return _Parser(found).whole()


def groups(text: str) -> list[list[tuple[str, str]]]:
    """Return the groups of an expression, an attribute in none as one of its own; values as properties say them.

    Raises:
        InvalidExpression: It is none.
    """
    found = parse(text)
    return [[_said(pair)] for pair in found.attributes] + [[_said(pair) for pair in group] for group in found.groups]


def _said(pair: Pair) -> tuple[str, str]:
    name, value = pair
    if isinstance(value, Expression):
        return name, value.normal
    return name, value[1:] if value.startswith("#") else value.strip('"')


def _sorted(pairs: tuple[Pair, ...]) -> list[str]:
    return sorted({f"{name}={_shown(value)}" for name, value in pairs})


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return value
    return value.normal if value.plain else f"({value.normal})"


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._index = 0

    def whole(self) -> Expression:
        subtype = self._status()
        found = self._expression(0)
        if self._now.kind != "end":
            raise InvalidExpression(
                f"Found {self._now} where the expression should end. Separate attributes by commas."
            )
        return Expression(found.focus, found.attributes, found.groups, subtype)

    @property
    def _now(self) -> Token:
        return self._tokens[self._index]

    def _take(self) -> Token:
        token = self._now
        self._index += token.kind != "end"
        return token

    def _accept(self, text: str) -> bool:
        if self._now.kind == "sign" and self._now.text == text:
            self._index += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise InvalidExpression(f"Found {self._now}, and not {text}.")

    def _status(self) -> bool:
        if self._accept("<<"):
            self._expect("<")
            return True
        if self._accept("="):
            self._expect("=")
            self._expect("=")
        return False

    def _expression(self, depth: int) -> Expression:
        if depth > MOST_NESTED:
            raise InvalidExpression(
                f"The expression nests more than {MOST_NESTED} others at character {self._now.place}."
            )
        focus = [self._code()]
        while self._accept("+"):
            focus.append(self._code())
        if not self._accept(":"):
            return Expression(tuple(focus))
        loose: list[Pair] = []
        grouped: list[tuple[Pair, ...]] = []
        while True:
            if self._accept("{"):
                group = [self._pair(depth)]
                while self._accept(","):
                    group.append(self._pair(depth))
                self._expect("}")
                grouped.append(tuple(group))
            else:
                loose.append(self._pair(depth))
            if not self._accept(",") and self._now.text != "{":
                return Expression(tuple(focus), tuple(loose), tuple(grouped))

    def _pair(self, depth: int) -> Pair:
        name = self._code()
        self._expect("=")
        token = self._now
        if token.kind in {"number", "string"} or (token.kind == "word" and token.text.lower() in {"true", "false"}):
            return name, self._take().text
        if self._accept("("):
            found = self._expression(depth + 1)
            self._expect(")")
            return name, found
        return name, Expression((self._code(),))

    def _code(self) -> str:
        token = self._take()
        if token.kind != "digits" or not 6 <= len(token.text) <= 18 or token.text[0] == "0":
            raise InvalidExpression(f"Found {token}. An identifier of SNOMED CT, of 6 to 18 digits, is needed there.")
        return token.text
