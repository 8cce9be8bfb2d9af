"""Value sets in the ValueSet Compose Language, as URLs have them: `http://fhir.org/VCL?v1=(http://loinc.org)SCALE_TYP=DOC`.

See https://build.fhir.org/ig/FHIR/ig-guidance/vcl.html. An expression becomes a `compose`: what is joined by `;` are includes, what is
joined by `,` are filters of one of them, and what follows `-` is excluded.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

Json = dict[str, Any]

BASE = "http://fhir.org/VCL?v1="
MOST_CHARACTERS = 8_000
MOST_NESTED = 20
MOST_INCLUDES = 200

OPERATORS: Mapping[str, str] = {
    "=": "=",
    "<<": "is-a",
    "~<<": "is-not-a",
    "<": "descendent-of",
    "/": "regex",
    "^": "in",
    "~^": "not-in",
    ">>": "generalizes",
    "<!": "child-of",
    "!!<": "descendent-leaf",
    "?": "exists",
}
"""Operators of filters, as R4 and R5 call them."""

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)
      | (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<uri>[A-Za-z]+:[^\s(){};,<>"]+)
      | (?P<code>[A-Za-z0-9](?:[A-Za-z0-9_]|-(?=[A-Za-z0-9_]))*)
      | (?P<sign>~<<|~\^|!!<|<<|<!|>>|[<=/^?(){};,.*-])""",
    re.VERBOSE,
)


class InvalidExpression(ValueError):
    """A text is no expression of the language, or cannot be said as a `compose`; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Include:
    """What becomes an include: all conditions hold.

    Attributes:
        system: Canonical of the code system, empty where none is said.
        filters: Property, operator and value of each.
        value_sets: Canonicals of value sets.
    """

    system: str = ""
    filters: tuple[tuple[str, str, str], ...] = ()
    value_sets: tuple[str, ...] = ()

    def joined(self, other: "Include", place: int) -> "Include":
        """Return what is in both.

        Raises:
            InvalidExpression: They are of two code systems.
        """
        if self.system and other.system and self.system != other.system:
            raise InvalidExpression(
                f"At character {place}, conditions on {self.system[:80]} and {other.system[:80]} are joined by a comma. "
                "No concept is in both; join them by a semicolon."
            )
        system = self.system or other.system
        return Include(system, (*self.filters, *other.filters), (*self.value_sets, *other.value_sets))

    def resource(self) -> Json:
        """Return it as R4 ValueSet.compose.include."""
        url, _, version = self.system.partition("|")
        found: Json = {"system": url} if url else {}
        if version:
            found["version"] = version
        codes = [value for name, op, value in self.filters if (name, op) == ("code", "=")]
        if codes and len(codes) == len(self.filters) == 1:
            found["concept"] = [{"code": codes[0]}]
        elif self.filters:
            found["filter"] = [{"property": name, "op": op, "value": value} for name, op, value in self.filters]
        if self.value_sets:
            found["valueSet"] = list(self.value_sets)
        return found


@dataclass(frozen=True, slots=True)
class Composed:
    """What is included, and what is taken away from it."""

    includes: tuple[Include, ...]
    excludes: tuple[Include, ...] = ()


def compose(text: str) -> Json:
    """Return an expression as R4 ValueSet.compose.

    Raises:
        InvalidExpression: It is none, or cannot be said so.
    """
    found = _Parser(text).whole()
    nowhere = next((one for one in (*found.includes, *found.excludes) if not one.system and not one.value_sets), None)
    if nowhere is not None:
        raise InvalidExpression(
            "The expression does not say of which code system. Put its URL in brackets: (http://loinc.org) …"
        )
    result: Json = {"include": [one.resource() for one in found.includes]}
    if found.excludes:
        result["exclude"] = [one.resource() for one in found.excludes]
    return result


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.text[:40]}' at character {self.place}"


def _tokens(text: str) -> list[_Token]:
    if len(text) > MOST_CHARACTERS:
        raise InvalidExpression(f"The expression has {len(text)} characters; {MOST_CHARACTERS} are the most.")
    found: list[_Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise InvalidExpression(f"{text[place]!r} at character {place + 1} has no meaning in an expression.")
        if match.lastgroup != "space":
            found.append(_Token(match.lastgroup or "", match[0], place + 1))
        place = match.end()
    return [*found, _Token("end", "", len(text) + 1)]


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0

    def whole(self) -> Composed:
        found = self._expression("")
        if self._now.kind != "end":
            raise InvalidExpression(
                f"Found {self._now}. Put brackets around what belongs together before another operator."
            )
        return found

    @property
    def _now(self) -> _Token:
        return self._tokens[self._index]

    def _take(self) -> _Token:
        token = self._now
        self._index += token.kind != "end"
        return token

    def _accept(self, sign: str) -> bool:
        if self._now.kind == "sign" and self._now.text == sign:
            self._index += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise InvalidExpression(f"Found {self._now}, and not {sign}")

    def _expression(self, system: str) -> Composed:
        first = self._part(system)
        if self._now.text == ";":
            parts = [first]
            while self._accept(";"):
                parts.append(self._part(system))
            return Composed(_within(tuple(one for part in parts for one in self._plain(part))))
        if self._now.text == ",":
            includes = self._plain(first)
            while self._now.text == ",":
                place = self._take().place
                other = self._plain(self._part(system))
                if len(includes) * len(other) > MOST_INCLUDES:
                    raise InvalidExpression(_TOO_MANY)
                includes = tuple(one.joined(two, place) for one, two in product(includes, other))
            return Composed(includes)
        if self._accept("-"):
            return Composed(self._plain(first), self._plain(self._part(system)))
        return first

    def _plain(self, part: Composed) -> tuple[Include, ...]:
        if part.excludes:
            raise InvalidExpression(
                f"Before {self._now}, something is excluded from a part. Only from the whole can something be excluded."
            )
        return part.includes

    def _part(self, system: str) -> Composed:
        if self._now.text == "(" and self._tokens[self._index + 1].kind == "uri":
            self._take()
            system = self._take().text
            self._expect(")")
            if self._now.kind == "end" or self._now.text in {";", ",", "-", ")"}:
                return Composed((Include(system),))
        if self._accept("("):
            self._depth += 1
            if self._depth > MOST_NESTED:
                raise InvalidExpression(f"The expression nests more than {MOST_NESTED} brackets. Write it with fewer.")
            found = self._expression(system)
            self._expect(")")
            self._depth -= 1
            return found
        return Composed((self._simple(system),))

    def _simple(self, system: str) -> Include:
        token = self._now
        if self._accept("*"):
            return Include(system)
        if token.text == "^" and token.kind == "sign":
            self._take()
            return Include(system, value_sets=(self._value_set(),))
        if token.kind == "sign" and token.text in OPERATORS:
            return Include(system, (self._filter("concept"),))
        if token.kind not in {"code", "quoted"}:
            raise InvalidExpression(f"Found {token}. A code, a filter, * or a value set (^ …) is needed there.")
        name = self._text()
        if self._now.kind == "sign" and self._now.text in OPERATORS:
            return Include(system, (self._filter(name),))
        if self._now.text == ".":
            raise InvalidExpression(
                f"Found {self._now}. Values of a property of other concepts cannot be said as a value set here."
            )
        return Include(system, (("code", "=", name),))

    def _filter(self, name: str) -> tuple[str, str, str]:
        operator = self._take().text
        if self._accept("{"):
            values = [self._text()]
            while self._accept(","):
                values.append(self._text())
            self._expect("}")
            if operator not in {"^", "~^"}:
                raise InvalidExpression(
                    f"{operator} does not go with a list, at character {self._now.place}. Use ^ or ~^."
                )
            return name, OPERATORS[operator], ",".join(values)
        return name, OPERATORS[operator], self._text()

    def _value_set(self) -> str:
        bracket = self._accept("(")
        token = self._take()
        if token.kind != "uri":
            raise InvalidExpression(f"Found {token}. The URL of a value set is needed there.")
        if bracket:
            self._expect(")")
        return token.text

    def _text(self) -> str:
        token = self._take()
        if token.kind == "quoted":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind != "code":
            raise InvalidExpression(
                f'Found {token}. A code is needed there; what has other signs in it is written as "…".'
            )
        return token.text


_TOO_MANY = f"The expression comes to more than {MOST_INCLUDES} includes. Ask for less at once."


def _within(includes: Sequence[Include]) -> tuple[Include, ...]:
    if len(includes) > MOST_INCLUDES:
        raise InvalidExpression(_TOO_MANY)
    return tuple(includes)
