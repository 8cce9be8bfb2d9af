"""The selectors of XML Patch (RFC 5261 4.1): a path of steps from the root to one element, attribute, text or comment.

Steps name elements, with a prefix or without; predicates choose by position (`[2]`, `[last()]`), by what is there (`[f:use]`) or by
a value (`[@id='a']`, `[f:use/@value='official']`, `[.='text']`). The prefixes are those that the patch declares; `f` means FHIR
and `h` XHTML where it declares nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from profiles.xml.layout import FHIR, XHTML
from profiles.xml.tree import Comment, Element, Node, Text

MOST_VISITS = 250_000
"""Nodes that the selectors of one patch may look at; predicates in predicates could otherwise keep a server busy."""
LONGEST = 4000
MOST_NESTED = 8
"""Predicates in predicates."""

_NAME = r"[A-Za-z_][\w.\-]*"
_TOKEN = re.compile(
    rf"\s*(?:(?P<text>text\(\)|comment\(\))|(?P<last>last\(\))|(?P<name>(?:{_NAME}:)?(?:{_NAME}|\*))|(?P<number>[0-9]{{1,9}})"
    r"|(?P<literal>'[^']*'|\"[^\"]*\")|(?P<mark>//|namespace::|[/@.=\[\]]))",
    re.ASCII,
)
_KNOWN: Mapping[str, str] = {"f": FHIR, "h": XHTML, "xhtml": XHTML, "xml": "http://www.w3.org/XML/1998/namespace"}
_KINDS: Mapping[str, type[Node]] = {"text()": Text, "comment()": Comment}


class SelectorError(ValueError):
    """A selector that is malformed, selects none or several, or takes too long; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition in brackets: a position (0 is the last), else a path, and the value it must have where one is asked for."""

    position: int | None = None
    path: "Selector | None" = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an element by name (`*` for any), or a text or comment."""

    space: str
    name: str
    kind: type[Node]
    predicates: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """Steps down from an element, and the attribute at their end where there is one."""

    steps: tuple[Step, ...]
    attribute: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a selector selects.

    Attributes:
        holders: The elements around it, from the root on; empty for the root.
        node: The element, text or comment; of an attribute, its element.
        attribute: The name of the attribute, empty for a node.
    """

    holders: tuple[Element, ...]
    node: Node
    attribute: str


def read(text: str, scope: Mapping[str | None, str]) -> Selector:
    """Return a selector.

    Args:
        text: The attribute `sel`.
        scope: Namespaces by prefix where it stands.

    Raises:
        SelectorError: It is malformed.
    """
    if len(text) > LONGEST:
        raise SelectorError(f"it has more than {LONGEST} characters")
    return _Reader(text, scope).whole()


class Finder:
    """Finds what selectors select, within one budget of visits."""

    __slots__ = ("_visits",)

    def __init__(self) -> None:
        self._visits = 0

    def one(self, root: Element, selector: Selector) -> Found:
        """Return the one thing that a selector selects below the document of a root.

        Raises:
            SelectorError: It selects none or several, or the budget is used up.
        """
        document = Element("", "", children=[root])
        found = [each for each in self._all(document, selector) if _has(each, selector.attribute)]
        if len(found) != 1:
            raise SelectorError("it selects nothing" if not found else f"it selects {len(found)} places instead of one")
        *holders, node = found[0]
        # The first holder is the document.
        return Found(tuple([each for each in holders[1:] if isinstance(each, Element)]), node, selector.attribute)

    def _all(self, start: Element, selector: Selector) -> list[tuple[Node, ...]]:
        """Return each node that is selected with all that it is in, from `start` on."""
        chains: list[tuple[Node, ...]] = [(start,)]
        for step in selector.steps:
            chains = [(*chain, node) for chain in chains for node in self._step(chain[-1], step)]
        return chains

    def _step(self, node: Node, step: Step) -> list[Node]:
        if not isinstance(node, Element):
            return []
        self._visit(len(node.children))
        found = [child for child in node.children if _fits(child, step)]
        for predicate in step.predicates:
            if predicate.position is None:
                found = [each for each in found if self._holds(each, predicate)]
            else:
                found = found[predicate.position - 1 :][:1]
        return found

    def _holds(self, node: Node, predicate: Predicate) -> bool:
        path = predicate.path
        if path is None or not isinstance(node, Element):
            return False
        for chain in self._all(node, path):
            if _has(chain, path.attribute) and (
                predicate.value is None or _value(chain[-1], path.attribute) == predicate.value
            ):
                return True
        return False

    def _visit(self, count: int) -> None:
        self._visits += count + 1
        if self._visits > MOST_VISITS:
            raise SelectorError("to find what it selects takes too long. Send a smaller patch, or an update")


def _fits(node: Node, step: Step) -> bool:
    if not isinstance(node, step.kind):
        return False
    return not isinstance(node, Element) or (step.name in {"*", node.name} and step.space in {"*", node.space})


def _has(chain: tuple[Node, ...], attribute: str) -> bool:
    node = chain[-1]
    return not attribute or (isinstance(node, Element) and attribute in node.attributes)


def _value(node: Node, attribute: str) -> str:
    return node.attributes[attribute] if attribute and isinstance(node, Element) else node.text


class _Reader:
    """Reads one selector."""

    def __init__(self, text: str, scope: Mapping[str | None, str]) -> None:
        self._scope = scope
        self._tokens: list[tuple[str, str]] = []
        self._place = 0
        self._inside = 0
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise SelectorError(f"'{text[at : at + 20]}' in it is not of the kind that is read here")
            kind = str(found.lastgroup)
            self._tokens.append((kind, found[kind]))
            at = found.end()

    def whole(self) -> Selector:
        if self._peek() == ("mark", "/"):
            self._take()
        selector = self._path()
        if self._tokens[self._place :] or not selector.steps:
            raise self._unclear()
        return selector

    def _path(self) -> Selector:
        steps: list[Step] = []
        while True:
            kind, text = self._take()
            if (kind, text) == ("mark", "@"):
                return Selector(tuple(steps), self._attribute())
            if (kind, text) == ("mark", "."):
                if self._peek() == ("mark", "/"):
                    self._take()
                    continue
                return Selector(tuple(steps), "")
            steps.append(self._step(kind, text))
            if self._peek() != ("mark", "/"):
                return Selector(tuple(steps), "")
            self._take()

    def _step(self, kind: str, text: str) -> Step:
        if kind == "text":
            return Step("", "", _KINDS[text], self._predicates())
        if kind != "name":
            raise self._unclear()
        prefix, colon, name = text.rpartition(":")
        if colon:
            space = self._space(prefix)
        elif name == "*":
            space = "*"
        else:
            space = self._scope.get(None) or FHIR
        return Step(space, name, Element, self._predicates())

    def _predicates(self) -> tuple[Predicate, ...]:
        found: list[Predicate] = []
        self._inside += 1
        if self._inside > MOST_NESTED:
            raise self._unclear()
        while self._peek() == ("mark", "["):
            self._take()
            kind, text = self._peek()
            if kind == "number" and int(text) > 0:
                self._take()
                found.append(Predicate(position=int(text)))
            elif kind == "last":
                self._take()
                found.append(Predicate(position=0))
            else:
                found.append(self._condition())
            if self._take() != ("mark", "]"):
                raise self._unclear()
        self._inside -= 1
        return tuple(found)

    def _condition(self) -> Predicate:
        path = self._path()
        if self._peek() != ("mark", "="):
            return Predicate(path=path)
        self._take()
        kind, text = self._take()
        if kind != "literal":
            raise self._unclear()
        return Predicate(path=path, value=text[1:-1])

    def _attribute(self) -> str:
        kind, text = self._take()
        prefix, colon, name = text.rpartition(":")
        if kind != "name" or name == "*":
            raise self._unclear()
        return f"{self._space(prefix)} {name}" if colon else name

    def _space(self, prefix: str) -> str:
        space = self._scope.get(prefix) or _KNOWN.get(prefix)
        if space is None:
            raise SelectorError(f"the prefix '{prefix[:40]}' in it is not declared")
        return space

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._place += 1
        return token

    def _unclear(self) -> SelectorError:
        return SelectorError(
            "it is not of the kind that is read here: steps with predicates, such as f:Patient/f:name[2]/f:family/@value"
        )
