"""XML as a tree that can be changed: elements with their namespaces, texts and comments.

Only what XML Patch needs; resources are read and written without one. Narratives remember how they were written, and are
written so again where nothing in them was changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from profiles.issue import Issue
from profiles.xml.fragment import Fragment
from profiles.xml.layout import XHTML
from profiles.xml.reader import UnreadableError
from profiles.xml.text import escaped, numbered

MAX_HEIGHT = 200
"""Elements in each other: those of the deepest resource, and of the narrative in it."""

_XML = "http://www.w3.org/XML/1998/namespace"


@dataclass(slots=True, eq=False)
class Text:
    """Characters."""

    text: str


@dataclass(slots=True, eq=False)
class Comment:
    """A comment, without its marks."""

    text: str


@dataclass(slots=True, eq=False)
class Element:
    """An element.

    Attributes:
        space: Its namespace, empty for none.
        name: Its local name.
        attributes: Values by name; a name in a namespace has that, and a space, before it.
        children: What is in it, in order; never two texts in a row.
        scope: Namespaces by the prefixes that mean them here, as the author wrote it; `None` for the default.
        source: How a narrative was written, empty for every other element and where something in it was changed.
    """

    space: str
    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: "list[Node]" = field(default_factory=list)
    scope: Mapping[str | None, str] = field(default_factory=dict)
    source: str = ""

    @property
    def text(self) -> str:
        """The text that is directly in it."""
        return "".join([child.text for child in self.children if isinstance(child, Text)])


Node = Element | Text | Comment


def parse(data: bytes) -> Element:
    """Return the root of XML in UTF-8.

    Raises:
        UnreadableError: Not well-formed, a document type or processing instruction, or too many levels.
    """
    return _Parse(numbered(data)).run()


def serialize(root: Element) -> bytes:
    """Return the XML of a tree, with default namespaces instead of prefixes."""
    out: list[str] = []
    _write(root, "", out)
    return "".join(out).encode()


def joined(children: list[Node]) -> list[Node]:
    """Return children with neighbouring texts made one, and empty ones left out."""
    found: list[Node] = []
    for child in children:
        if isinstance(child, Text):
            if not child.text:
                continue
            if found and isinstance(found[-1], Text):
                found[-1] = Text(found[-1].text + child.text)
                continue
        found.append(child)
    return found


def _write(node: Node, space: str, out: list[str]) -> None:
    if isinstance(node, Text):
        out.append(escaped(node.text))
    elif isinstance(node, Comment):
        out.append(f"<!--{node.text}-->")
    elif node.source:
        out.append(node.source)
    else:
        declared = f' xmlns="{escaped(node.space)}"' if node.space != space else ""
        attributes = "".join([_attribute(place, *each) for place, each in enumerate(node.attributes.items())])
        out.append(f"<{node.name}{declared}{attributes}>")
        for child in node.children:
            _write(child, node.space, out)
        out.append(f"</{node.name}>")


def _attribute(place: int, key: str, value: str) -> str:
    space, _, name = key.rpartition(" ")
    if not space:
        return f' {name}="{escaped(value)}"'
    if space == _XML:
        return f' xml:{name}="{escaped(value)}"'
    return f' xmlns:a{place}="{escaped(space)}" a{place}:{name}="{escaped(value)}"'


class _Stop(Exception):
    """Nothing that follows is worth reading."""


class _Parse:
    """The handlers of one parse."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._stack: list[Element] = []
        self._root: Element | None = None
        self._declared: dict[str | None, str] = {}
        self._div: Fragment | None = None
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.CommentHandler = self._comment
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = self._refusing("a document type declaration")
        parser.ProcessingInstructionHandler = self._refusing("a processing instruction")

    def run(self) -> Element:
        try:
            self._parser.Parse(self._data, True)
        except _Stop as stop:
            raise self._error(str(stop)) from None
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "not well-formed")
            raise self._error(f"This is not well-formed XML: {reason}.") from None
        if self._root is None:  # expat takes no XML without a root
            raise self._error("There is no XML.")
        return self._root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        declared, self._declared = self._declared, {}
        space, _, local = name.rpartition(" ")
        parent = self._stack[-1] if self._stack else None
        scope = parent.scope if parent else {}
        element = Element(space, local, dict(attributes), scope={**scope, **declared} if declared else scope)
        if self._div:
            self._div.start(name, attributes, lambda _: None)
        elif space == XHTML and local == "div":
            self._div = Fragment(self._data, self._parser.CurrentByteIndex, declared, attributes)
        if parent:
            parent.children.append(element)
        else:
            self._root = element
        self._stack.append(element)
        if len(self._stack) > MAX_HEIGHT:
            raise _Stop(f"The XML is nested more than {MAX_HEIGHT} levels deep. Flatten it.")

    def _end(self, name: str) -> None:
        element = self._stack.pop()
        if self._div and self._div.end(name, self._parser.CurrentByteIndex):
            element.source = self._div.result()
            self._div = None

    def _text(self, data: str) -> None:
        if self._div:
            self._div.text(data)
        children = self._stack[-1].children
        if children and isinstance(children[-1], Text):
            children[-1].text += data
        else:
            children.append(Text(data))

    def _comment(self, data: str) -> None:
        if self._stack:
            self._stack[-1].children.append(Comment(data))

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix] = uri or ""

    def _refusing(self, found: str) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            raise _Stop(f"There is {found}, which must not be there. Leave it out.")

        return refuse

    def _error(self, text: str) -> UnreadableError:
        parser = self._parser
        where = f"Line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber + 1}: "
        return UnreadableError((Issue("error", "invalid", where + text),))
