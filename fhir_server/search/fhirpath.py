"""The FHIRPath subset of SearchParameter.expression: text to steps (R4 3.1.1.4, FHIRPath N1).

Member paths, `|`, `as`, `as(T)`, `ofType(T)`, `where(resolve() is T)`, `where(member='text')`,
`where(hasExtension('url'))`, `extension('url')`, `[n]` and parentheses: all but one of the R4 expressions.
A step that is more than a member name is a test: called with a value and the resource, it returns the values that go on.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


class Uncompilable(ValueError):
    """An expression outside the subset, or one that names an element which does not exist."""


@dataclass(frozen=True, slots=True)
class Member:
    """`.name`: the root type or an element."""

    name: str


@dataclass(frozen=True, slots=True)
class Cast:
    """`as(T)`, `ofType(T)` or `as T`: only values of the type."""

    type: str


@dataclass(frozen=True, slots=True)
class Item:
    """`name[index]`: one item of an array."""

    name: str
    index: int

    def __call__(self, value: Any, _: Mapping[str, Any]) -> Iterable[Any]:
        """Return the item as the only value, or nothing."""
        items = value.get(self.name)
        return items[self.index : self.index + 1] if isinstance(items, list) else ()


@dataclass(frozen=True, slots=True)
class Resolves:
    """`where(resolve() is T)`, decided from the reference alone: its `type`, its text, or the contained resource."""

    type: str

    def __call__(self, value: Any, resource: Mapping[str, Any]) -> Iterable[Any]:
        """Return the reference as the only value if it points to the type."""
        return (value,) if isinstance(value, dict) and referenced_type(value, resource) == self.type else ()


@dataclass(frozen=True, slots=True)
class Equals:
    """`where(name='text')`."""

    name: str
    text: str

    def __call__(self, value: Any, _: Mapping[str, Any]) -> Iterable[Any]:
        """Return the value if its member has the text."""
        return (value,) if isinstance(value, dict) and value.get(self.name) == self.text else ()


@dataclass(frozen=True, slots=True)
class Extended:
    """`where(hasExtension('url'))`."""

    url: str

    def __call__(self, value: Any, _: Mapping[str, Any]) -> Iterable[Any]:
        """Return the value if it has the extension."""
        found = isinstance(value, dict) and any(one.get("url") == self.url for one in value.get("extension", ()))
        return (value,) if found else ()


Test: TypeAlias = Item | Resolves | Equals | Extended
Step: TypeAlias = Member | Cast | Test
Steps: TypeAlias = tuple[Step, ...]

_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?", re.ASCII)


def referenced_type(reference: Mapping[str, Any], resource: Mapping[str, Any]) -> str:
    """Return the resource type that a Reference says it points to, empty where it does not say."""
    text = reference.get("reference")
    if isinstance(text, str):
        match = _REFERENCE.fullmatch(text)
        if match:
            return match[1]
        if text.startswith("#"):
            inside = [one for one in resource.get("contained", ()) if one.get("id") == text[1:]]
            return str(inside[0].get("resourceType", "")) if inside else ""
    return str(reference.get("type", ""))


MOST_PARENTHESES = 200
"""In one expression; FHIR's own have at most 44."""

_TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|([A-Za-z_]\w*)|(\d+)|([.()\[\]|=])|(\S))")


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        for string, name, number, mark, other in _TOKEN.findall(text.strip()):
            if other:
                raise Uncompilable(f"'{other}' is outside the subset: {text}")
            kinds = (("mark", mark), ("name", name), ("number", number))
            self.tokens.append(next((pair for pair in kinds if pair[1]), ("string", string)))
        self.at = 0

    def union(self) -> tuple[Steps, ...]:
        alternatives = self.typed()
        while self.take("|"):
            alternatives += self.typed()
        return alternatives

    def typed(self) -> tuple[Steps, ...]:
        alternatives = self.path()
        if self.take("as", "name"):
            cast = Cast(self.expect("name"))
            alternatives = tuple((*steps, cast) for steps in alternatives)
        return alternatives

    def path(self) -> tuple[Steps, ...]:
        if self.take("("):
            alternatives = self.union()
            self.expect_mark(")")
        else:
            alternatives = (self.invocation(),)
        while True:
            if self.take("."):
                more = self.invocation()
                alternatives = tuple((*steps, *more) for steps in alternatives)
            elif self.take("["):
                index = int(self.expect("number"))
                self.expect_mark("]")
                alternatives = tuple(self.item(steps, index) for steps in alternatives)
            else:
                return alternatives

    def item(self, steps: Steps, index: int) -> Steps:
        last = steps[-1]
        if not isinstance(last, Member):
            raise Uncompilable(f"an index must follow an element: {self.text}")
        return (*steps[:-1], Item(last.name, index))

    def invocation(self) -> Steps:
        name = self.expect("name")
        if not self.take("("):
            return (Member(name),)
        steps: Steps
        if name in {"as", "ofType"}:
            steps = (Cast(self.expect("name")),)
        elif name == "extension":
            steps = (Member("extension"), Equals("url", self.expect("string")))
        elif name == "where":
            steps = (self.criterion(),)
        else:
            raise Uncompilable(f"function {name}() is outside the subset: {self.text}")
        self.expect_mark(")")
        return steps

    def criterion(self) -> Step:
        name = self.expect("name")
        if name == "resolve":
            for mark in "()":
                self.expect_mark(mark)
            if self.take("is", "name"):
                return Resolves(self.expect("name"))
        elif name == "hasExtension" and self.take("("):
            url = self.expect("string")
            self.expect_mark(")")
            return Extended(url)
        elif self.take("="):
            return Equals(name, self.expect("string"))
        raise Uncompilable(f"the condition of where() is outside the subset: {self.text}")

    def take(self, text: str, kind: str = "mark") -> bool:
        found = self.at < len(self.tokens) and self.tokens[self.at] == (kind, text)
        self.at += found
        return found

    def expect(self, kind: str) -> str:
        if self.at == len(self.tokens) or self.tokens[self.at][0] != kind:
            raise Uncompilable(f"a {kind} is missing at token {self.at}: {self.text}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def expect_mark(self, mark: str) -> None:
        if not self.take(mark):
            raise Uncompilable(f"'{mark}' is missing at token {self.at}: {self.text}")


def parse(expression: str) -> tuple[Steps, ...]:
    """Return the alternatives of an expression.

    Raises:
        Uncompilable: It is outside the subset.
    """
    if expression.count("(") > MOST_PARENTHESES:
        raise Uncompilable(f"it has more than {MOST_PARENTHESES} parentheses")
    parser = _Parser(expression)
    alternatives = parser.union()
    if parser.at < len(parser.tokens):
        raise Uncompilable(f"'{parser.tokens[parser.at][1]}' is outside the subset: {expression}")
    return alternatives
