"""XML to resources (R4 2.6.1), as plain as JSON gives them; read by expat, from input that nobody vouches for.

No document type, hence no entities of the author's own and nothing from elsewhere; no processing instruction in the
resource; a limit on depth. All findings that do not stop the reading are collected, each with its line, its column and its element.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, NoReturn
from xml.parsers import expat

from profiles.definitions.registry import Definitions
from profiles.issue import Issue
from profiles.validate.messages import shown
from profiles.xml.fragment import Fragment
from profiles.xml.layout import FHIR, XHTML, Child, Layout, Layouts
from profiles.xml.text import numbered

MAX_DEPTH = 100
"""Levels of objects and arrays, as in JSON."""
MOST_INSIDE = 500
"""Elements in each other in a narrative, or in what is passed over; expat keeps a hundred bytes of each that is open."""
MOST_ISSUES = 20
LONGEST_NUMBER = 1000

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,9})?", re.ASCII)
_IGNORED = "http://www.w3.org/2001/XMLSchema-instance "
_WHITE = " \t\r\n"
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_FOREIGN_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00")


class UnreadableError(ValueError):
    """The XML of a resource cannot be read.

    Attributes:
        issues: What is wrong with it, and where.
    """

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        super().__init__(issues[0].text)
        self.issues = issues


class Reader:
    """Reads resources.

    Args:
        definitions: FHIR definitions.
    """

    def __init__(self, definitions: Definitions) -> None:
        self._layouts = Layouts(definitions)

    def read(self, data: bytes, *, ordered: bool = True) -> dict[str, Any]:
        """Return the resource that XML in UTF-8 holds.

        Its structure is as the definitions have it; whether its values are allowed is left to validation.

        Args:
            data: The XML.
            ordered: Whether elements must stand in the order of the definitions.

        Raises:
            UnreadableError: Not XML, not FHIR, or something in it that the definitions do not have.
        """
        return _Parse(self._layouts, numbered(data.removeprefix(BOM_UTF8)), ordered=ordered).run()


class _Fatal(Exception):
    """Nothing that follows is worth reading."""


class _Frame:
    """An element of FHIR that is open.

    Attributes:
        segment: Its name as FHIRPath has it, with the index of one that repeats; empty for a resource in another element.
        child: What it is in its parent; `None` for a resource.
        layout: What may be in it; `None` for an element around a resource.
        node: The object that it becomes; around a resource, that resource.
        value: The value of a primitive.
        depth: Levels of JSON, its own included.
        rank: Rank of the last element in it.
        last: Name of that element.
        lists: Values, and ids and extensions, of its repeating primitives.
        has_text: Whether text in it was reported.
    """

    __slots__ = ("child", "depth", "has_text", "last", "layout", "lists", "node", "rank", "segment", "value")

    def __init__(self, segment: str, child: Child | None, layout: Layout | None, depth: int) -> None:
        self.segment = segment
        self.child = child
        self.layout = layout
        self.node: dict[str, Any] = {}
        self.value: Any = None
        self.depth = depth
        self.rank = -1
        self.last = ""
        self.lists: dict[str, tuple[list[Any], list[Any]]] = {}
        self.has_text = False


class _Parse:
    """The handlers of one parse."""

    def __init__(self, layouts: Layouts, data: bytes, *, ordered: bool) -> None:
        self._layouts = layouts
        self._data = data
        self._ordered = ordered
        self._stack: list[_Frame] = []
        self._issues: list[Issue] = []
        self._result: dict[str, Any] = {}
        self._skipped = 0
        self._declared: dict[str | None, str] = {}
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._declare
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._refusing("a document type declaration")
        parser.EntityDeclHandler = self._refusing("an entity declaration")
        parser.ProcessingInstructionHandler = self._instruction

    def run(self) -> dict[str, Any]:
        try:
            if not self._data.strip():
                self._stop("There is no XML. Send the resource.")
            if self._data.startswith(_FOREIGN_MARKS):
                self._stop("The XML is not in UTF-8. Encode it as UTF-8.")
            self._parser.Parse(self._data, True)
        except _Fatal:
            pass
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "not well-formed")
            self._issues.append(_issue(error.lineno, error.offset, f"This is not well-formed XML: {reason}.", ""))
        if self._issues:
            raise UnreadableError(tuple(self._issues))
        return self._result

    # What is open

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        declared, self._declared = self._declared, {}
        if self._skipped:
            self._skipped += 1
            if self._skipped > MOST_INSIDE:
                self._stop(f"More than {MOST_INSIDE} elements stand in each other. Flatten them.")
            return
        space, _, local = name.rpartition(" ")
        parent = self._stack[-1] if self._stack else None
        if parent is None or parent.layout is None:
            self._open_resource(parent, space, local, attributes)
            return
        child = parent.layout.children.get(local)
        if child is None or space != (XHTML if child.form == "xhtml" else FHIR):
            self._unknown(parent.layout, space, local)
            self._skipped = 1
        elif self._fits(parent, child):
            if child.form == "xhtml":
                self._enter(Fragment(self._data, self._parser.CurrentByteIndex, declared, attributes))
            else:
                self._open(parent, child, attributes)
        else:
            self._skipped = 1

    def _open_resource(self, parent: _Frame | None, space: str, local: str, attributes: dict[str, str]) -> None:
        layout = self._layouts.resource(local) if space == FHIR else None
        if parent and parent.node:
            self._report(f"<{_named(parent)}> holds a second resource. Give each resource an element of its own.")
        elif layout is None:
            what = f" in <{_named(parent)}>" if parent else ""
            found = f"<{shown(local)}>{what} is no resource of FHIR R4"
            if space != FHIR:
                found += f": its namespace is '{shown(space)}', not {FHIR}" if space else ": it has no namespace"
                self._report(f'{found}. Write it with xmlns="{FHIR}".')
            else:
                self._report(f"{found}. Name the resource type.")
        else:
            frame = _Frame("" if parent else local, None, layout, parent.depth if parent else 1)
            frame.node["resourceType"] = local
            self._stack.append(frame)
            for key in attributes:
                self._attribute(key, local, hint=f"<{key[:60]} value=…/> is an element of a resource.")
            return
        if parent is None:
            raise _Fatal
        parent.node = parent.node or {"resourceType": ""}
        self._skipped = 1

    def _open(self, parent: _Frame, child: Child, attributes: dict[str, str]) -> None:
        """Open an element, and take its attributes in."""
        index = f"[{_count(parent, child)}]" if child.array else ""
        name = f"{child.choice}.ofType({child.type})" if child.choice else child.name
        layout = None if child.form == "resource" else self._layouts.of("Element" if child.primitive else child.type)
        frame = _Frame(f"{name}{index}", child, layout, parent.depth + (2 if child.array else 1))
        self._stack.append(frame)
        if frame.depth > MAX_DEPTH:
            self._stop(f"The XML is nested more than {MAX_DEPTH} levels deep. Flatten it.")
        for key, value in attributes.items():
            if layout and key in layout.attributes:
                frame.node[key] = value
            elif key == "value" and child.primitive:
                frame.value = self._value(child, value)
            else:
                self._attribute(key, child.name)
        if child.array and child.primitive:
            values, siblings = parent.lists.setdefault(child.name, ([], []))
            parent.node[child.name], parent.node[f"_{child.name}"] = values, siblings

    def _fits(self, parent: _Frame, child: Child) -> bool:
        """Return whether another element may stand here; report why not."""
        if self._ordered and child.rank < parent.rank:
            self._report(
                f"<{child.name}> stands behind <{parent.last}>, but in XML elements have a fixed order. Put it before "
                f"<{parent.last}>."
            )
        else:
            parent.rank, parent.last = child.rank, child.name
        if not child.array and (child.name in parent.node or f"_{child.name}" in parent.node):
            self._report(f"<{child.name}> is given twice, but may stand only once. Leave one of them out.")
            return False
        return True

    def _value(self, child: Child, text: str) -> Any:
        if child.form == "string":
            return text
        if child.form == "boolean":
            if text in {"true", "false"}:
                return text == "true"
            self._report(f"'{shown(text)}' is not a boolean. Write true or false.")
        else:
            found = _NUMBER.fullmatch(text) if len(text) <= LONGEST_NUMBER else None
            if found:
                return Decimal(text) if found[1] or found[2] else int(text)
            self._report(
                f"'{shown(text)}' is not a number. Write digits, with a point before a fraction, such as 1.50."
            )
        return text

    # What is closed

    def _end(self, name: str) -> None:
        if self._skipped:
            self._skipped -= 1
            return
        frame = self._stack[-1]
        for key, (values, siblings) in frame.lists.items():
            if all(value is None for value in values):
                del frame.node[key]
            if not any(siblings):
                del frame.node[f"_{key}"]
        child = frame.child
        if child is None:
            self._close_resource(frame)
            return
        if child.form == "resource" and not frame.node:
            self._report(f"<{child.name}> holds no resource. Put one into it, or leave it out.")
        elif child.primitive and frame.value is None and not frame.node:
            self._report(f"<{child.name}> has neither a value nor extensions. Give it a value, or leave it out.")
        self._stack.pop()
        _attach(self._stack[-1], child, frame)

    def _close_resource(self, frame: _Frame) -> None:
        self._stack.pop()
        if self._stack:
            self._stack[-1].node = frame.node
        else:
            self._result = frame.node

    # What is in between

    def _text(self, data: str) -> None:
        if not self._skipped and data.strip(_WHITE):
            frame = self._stack[-1]
            if not frame.has_text:
                frame.has_text = True
                self._report(
                    f"There is text in <{_named(frame)}>: '{shown(data)}'. In the XML of FHIR, values are attributes: write "
                    'value="…".'
                )

    def _enter(self, div: Fragment) -> None:
        """Leave what follows to a narrative, until its end."""
        parser = self._parser

        def start(name: str, attributes: dict[str, str]) -> None:
            div.start(name, attributes, self._report)
            if div.depth > MOST_INSIDE:
                self._stop(f"More than {MOST_INSIDE} elements of the narrative stand in each other. Flatten them.")

        def end(name: str) -> None:
            if div.end(name, parser.CurrentByteIndex):
                self._stack[-1].node["div"] = div.result()
                self._declared = {}
                parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
                parser.CharacterDataHandler = self._text

        parser.StartElementHandler, parser.EndElementHandler = start, end
        # Most narratives are taken over as they stand, and are half of a resource.
        parser.CharacterDataHandler = None if div.is_whole else div.text

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix] = uri or ""

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding and encoding.lower() not in _ENCODINGS:
            self._stop(f"The XML declaration says that the encoding is '{shown(encoding)}'. Send UTF-8 and say so.")

    def _instruction(self, target: str, data: str) -> None:
        # Those outside of the resource name style sheets and schemas, and say nothing of it.
        if self._stack:
            self._stop("There is a processing instruction in the resource. Leave it out.")

    def _refusing(self, found: str) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            self._stop(f"There is {found}, which the XML of a resource must not have. Leave it out.")

        return refuse

    # What is wrong

    def _unknown(self, layout: Layout, space: str, local: str) -> None:
        if space not in {FHIR, XHTML}:
            said = f"is of the namespace '{shown(space)}'" if space else "has no namespace"
            self._report(f"<{shown(local)}> {said}, but elements of FHIR have that of {FHIR}.")
            return
        near = get_close_matches(local[:64], layout.children, n=1) if len(self._issues) < MOST_ISSUES else []
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        if local in layout.children:
            hint = f" of the namespace '{space}'"
        self._report(
            f"<{shown(local)}> is no element of {layout.name}{hint}. Correct its name, or leave it out.", "structure"
        )

    def _attribute(self, key: str, name: str, hint: str = "Leave it out.") -> None:
        if not key.startswith(_IGNORED):
            self._report(f"<{name}> must not have the attribute '{shown(key.rpartition(' ')[2])}'. {hint}", "structure")

    def _report(self, text: str, code: str = "invalid") -> None:
        parser = self._parser
        where = ".".join([frame.segment for frame in self._stack if frame.segment])
        self._issues.append(_issue(parser.CurrentLineNumber, parser.CurrentColumnNumber, text, where, code))
        if len(self._issues) >= MOST_ISSUES:
            raise _Fatal

    def _stop(self, text: str) -> NoReturn:
        self._report(text)
        raise _Fatal


def _issue(line: int, column: int, text: str, where: str, code: str = "invalid") -> Issue:
    return Issue("error", code, f"Line {line}, column {column + 1}: {text}", where)


def _count(parent: _Frame, child: Child) -> int:
    """Return how many values a repeating element has so far."""
    if child.primitive:
        return len(parent.lists[child.name][0]) if child.name in parent.lists else 0
    return len(parent.node.get(child.name, ()))


def _named(frame: _Frame) -> str:
    """Return the name of the tag of an element."""
    if frame.child:
        return frame.child.name
    return str(frame.node["resourceType"])


def _attach(parent: _Frame, child: Child, frame: _Frame) -> None:
    """Make a closed element a member of its parent."""
    if not child.primitive:
        if child.array:
            parent.node.setdefault(child.name, []).append(frame.node)
        else:
            parent.node[child.name] = frame.node
    elif child.array:
        values, siblings = parent.lists[child.name]
        values.append(frame.value)
        siblings.append(frame.node or None)
    else:
        if frame.value is not None:
            parent.node[child.name] = frame.value
        if frame.node:
            parent.node[f"_{child.name}"] = frame.node
