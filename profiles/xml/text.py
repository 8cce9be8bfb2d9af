"""Characters of XML: what must be escaped, what cannot be written at all, and the XHTML of narratives as it stands."""

import re
from html.entities import name2codepoint
from typing import NoReturn
from xml.parsers import expat

from profiles.xml.layout import XHTML

INSTEAD = "\N{REPLACEMENT CHARACTER}"
"""Stands for a character that XML 1.0 cannot carry (2.2): most control characters, and half of a surrogate pair."""

_SPECIAL = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_NAMED = re.compile(rb"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = frozenset({b"amp", b"lt", b"gt", b"quot", b"apos"})


def escaped(text: str) -> str:
    """Return text as it may stand in an attribute or an element.

    Line ends and tabs are written as numbers: a parser would make spaces of them in an attribute.
    """
    return _SPECIAL.sub(_escape, text) if _SPECIAL.search(text) else text


def numbered(data: bytes) -> bytes:
    """Return XML with the entities of HTML 4, which XML does not know, as numbers: `&nbsp;` as `&#160;`."""
    return _NAMED.sub(_number, data) if b"&" in data else data


def narrative(text: str) -> str:
    """Return the XHTML of a narrative as XML that can stand in a resource.

    It goes out as it is, but for the entities of HTML 4. What is not one `div` of XHTML, as no checked resource has it,
    becomes the text of one.
    """
    try:
        data = numbered(text.encode())
        _check(data)
    except (UnicodeEncodeError, expat.ExpatError, _UnfitError):
        return f'<div xmlns="{XHTML}">{escaped(text)}</div>'
    return data.decode()


class _UnfitError(Exception):
    """Not a piece of XHTML."""


def _check(data: bytes) -> None:
    """Raise where XML is not one `div` of XHTML."""
    parser = expat.ParserCreate("utf-8", " ")

    def start(name: str, _: dict[str, str]) -> None:
        if name != f"{XHTML} div":
            raise _UnfitError
        parser.StartElementHandler = None

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = parser.XmlDeclHandler = parser.ProcessingInstructionHandler = _unfit
    parser.Parse(data, True)


def _unfit(*_: object) -> NoReturn:
    raise _UnfitError


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES.get(found[0], INSTEAD)


def _number(found: re.Match[bytes]) -> bytes:
    code = name2codepoint.get(found[1].decode())
    return found[0] if code is None or found[1] in _OF_XML else b"&#%d;" % code
