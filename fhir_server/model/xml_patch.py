"""XML Patch (RFC 5261) on the XML form of a resource (R4 3.1.0.5): add, replace and remove what a selector selects.

A patch is read once and may be applied to any number of documents. White space between elements means nothing in FHIR, so
`ws` changes nothing, and neither do namespace declarations.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhir_server.model import xml_path
from fhir_server.model.errors import BadRequest, Unprocessable
from fhir_server.model.xml_path import Finder, Found, Selector, SelectorError
from profiles.xml import tree
from profiles.xml.layout import XHTML
from profiles.xml.reader import UnreadableError
from profiles.xml.tree import MAX_HEIGHT, Comment, Element, Node, Text

WRAPPERS = frozenset({"diff", "patch"})
POSITIONS = frozenset({"before", "after", "prepend"})
NAMESPACE = "namespace::"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        op: add, replace or remove.
        selector: Where.
        position: `pos` of an add: before, after, prepend, or empty for the end.
        attribute: Name of the attribute that an add adds, empty where it adds nodes.
        declares: Whether an add adds a namespace declaration only.
        content: What an add or replace brings.
        shown: How messages name it.
    """

    op: str
    selector: Selector
    position: str
    attribute: str
    declares: bool
    content: Element
    shown: str


def read(data: bytes) -> tuple[Operation, ...]:
    """Return the operations of an XML Patch document.

    Raises:
        BadRequest: It is not XML, or has something that is no operation of RFC 5261.
    """
    try:
        root = tree.parse(data)
    except UnreadableError as error:
        raise BadRequest(str(error), issues=error.issues) from None
    if root.name not in WRAPPERS:
        raise BadRequest(
            f"An XML Patch is a <diff> with operations in it, not <{root.name[:60]}>. Write it as RFC 5261 says."
        )
    rows = [child for child in root.children if isinstance(child, Element)]
    if not rows:
        raise BadRequest("The patch has no operations. Put add, replace or remove into the <diff>.")
    return tuple([_operation(index, row) for index, row in enumerate(rows)])


def apply(operations: Sequence[Operation], root: Element) -> Element:
    """Return what the operations make of a document, which is changed in place.

    Raises:
        Unprocessable: A selector does not select one place, or the change does not fit that place.
    """
    work = _Work(root)
    for operation in operations:
        _STEPS[operation.op](work, operation)
    return work.root


class _Work:
    """A document under change."""

    __slots__ = ("_finder", "root")

    def __init__(self, root: Element) -> None:
        self.root = root
        self._finder = Finder()

    def find(self, operation: Operation) -> Found:
        """Return what the operation selects; narratives that it is in are no longer as they were written."""
        try:
            found = self._finder.one(self.root, operation.selector)
        except SelectorError as error:
            raise _unfit(operation, str(error)) from None
        for holder in (*found.holders, found.node):
            if isinstance(holder, Element):
                holder.source = ""
        return found

    def put(self, found: Found, place: int, removed: int, content: list[Node], operation: Operation) -> None:
        """Put nodes at a place in the innermost holder, instead of as many as are removed there."""
        if not found.holders:
            self._put_root(content, operation)
            return
        if content and len(found.holders) + 1 + _height(content) > MAX_HEIGHT:
            raise _unfit(operation, f"the result would be more than {MAX_HEIGHT} levels deep")
        holder = found.holders[-1]
        holder.children = tree.joined([*holder.children[:place], *content, *holder.children[place + removed :]])

    def _put_root(self, content: list[Node], operation: Operation) -> None:
        if len(content) != 1 or not isinstance(content[0], Element):
            raise _unfit(operation, "the resource itself can only be replaced by another element")
        self.root = content[0]


def _add(work: _Work, operation: Operation) -> None:
    found = work.find(operation)
    node = found.node
    if found.attribute:
        raise _unfit(operation, "nothing can be added to an attribute. Replace its value")
    if operation.declares:
        return
    if operation.attribute:
        if not isinstance(node, Element) or operation.attribute in node.attributes:
            raise _unfit(operation, "there is no element, or it has this attribute already. Replace its value")
        node.attributes[operation.attribute] = operation.content.text
        return
    if operation.position in {"before", "after"}:
        if not found.holders:
            raise _unfit(operation, "nothing can stand beside the resource itself")
        work.put(
            found, _place(found) + (operation.position == "after"), 0, _content(operation, found.holders[-1]), operation
        )
        return
    if not isinstance(node, Element):
        raise _unfit(operation, 'nothing can be put into a text or comment. Use pos="before" or pos="after"')
    place = 0 if operation.position == "prepend" else len(node.children)
    inside = Found((*found.holders, node), node, "")
    work.put(inside, place, 0, _content(operation, node), operation)


def _replace(work: _Work, operation: Operation) -> None:
    found = work.find(operation)
    if found.attribute and isinstance(found.node, Element):
        found.node.attributes[found.attribute] = operation.content.text
        return
    content = _content(operation, found.holders[-1] if found.holders else None)
    same_kind = len(content) == 1 and type(content[0]) is type(found.node)
    if not same_kind and not (isinstance(found.node, Text) and not content):
        kind = {Element: "one element", Text: "text", Comment: "one comment"}[type(found.node)]
        raise _unfit(operation, f"what it selects can only be replaced by {kind}")
    work.put(found, _place(found), 1, content, operation)


def _remove(work: _Work, operation: Operation) -> None:
    found = work.find(operation)
    if found.attribute and isinstance(found.node, Element):
        del found.node.attributes[found.attribute]
    elif found.holders:
        work.put(found, _place(found), 1, [], operation)
    else:
        raise _unfit(operation, "the resource itself cannot be removed. Send a DELETE")


_STEPS: Mapping[str, Callable[[_Work, Operation], None]] = {"add": _add, "replace": _replace, "remove": _remove}


def _place(found: Found) -> int:
    """Return the place of a node in the element around it, 0 for the root."""
    siblings = found.holders[-1].children if found.holders else [found.node]
    return next(place for place, each in enumerate(siblings) if each is found.node)


def _content(operation: Operation, holder: Element | None) -> list[Node]:
    """Return copies of what an operation brings, without white space where that means nothing."""
    children = operation.content.children
    if holder is None or holder.space != XHTML:
        is_text = all(isinstance(child, Text) for child in children)
        children = [
            child for child in children if is_text or not isinstance(child, Text) or child.text.strip(" \t\r\n")
        ]
    return [_copy(child) for child in children]


def _copy(node: Node) -> Node:
    if isinstance(node, Element):
        children = [_copy(child) for child in node.children]
        return Element(node.space, node.name, dict(node.attributes), children, node.scope, node.source)
    return type(node)(node.text)


def _height(nodes: Sequence[Node]) -> int:
    """Return how many elements stand in each other in nodes."""
    height, level = 0, [node for node in nodes if isinstance(node, Element)]
    while level:
        height += 1
        level = [child for node in level for child in node.children if isinstance(child, Element)]
    return height


def _operation(index: int, row: Element) -> Operation:
    shown = f"Operation {index} of the patch"
    if row.name not in _STEPS:
        raise BadRequest(f"{shown} is <{row.name[:60]}>. XML Patch knows add, replace and remove.")
    text = row.attributes.get("sel")
    if text is None:
        raise BadRequest(f"{shown}, {row.name}, has no attribute sel, which selects what it changes.")
    shown = f"{shown}, {row.name} {text[:100]}"
    position, kind = row.attributes.get("pos", ""), row.attributes.get("type", "")
    if row.name != "add" and (position or kind):
        raise BadRequest(f"{shown}, has pos or type, which only add has.")
    if position and position not in POSITIONS:
        raise BadRequest(f"{shown}, has pos='{position[:40]}'. It may be before, after or prepend.")
    if kind and not kind.startswith(("@", NAMESPACE)):
        raise BadRequest(f"{shown}, has type='{kind[:40]}'. It may be an attribute, such as @value.")
    attribute = kind[1:] if kind.startswith("@") else ""
    if kind.startswith("@") and not (attribute.isidentifier() and attribute.isascii()):
        raise BadRequest(f"{shown}, has type='{kind[:40]}'. Attributes of FHIR are @id, @url and @value.")
    try:
        selector = xml_path.read(text, row.scope)
    except SelectorError as error:
        raise BadRequest(f"{shown}, has a selector that cannot be read: {error}.") from None
    return Operation(row.name, selector, position, attribute, kind.startswith(NAMESPACE), row, shown)


def _unfit(operation: Operation, problem: str) -> Unprocessable:
    return Unprocessable(f"{operation.shown}, does not fit the current version: {problem}.")
