"""Narrative safety (R4 2.4.0.7, txt-1 and txt-2): XHTML by an allow list, read by expat.

Basic formatting, lists, tables, links and images of HTML 4.0 (chapters 7 to 11 without 9.4, and 15). No document type
(and with it no entity of the author's own), processing instruction, script, form, frame, object, event handler, or URL
that runs or hides something. A narrative must show something: text or an image.
"""

import re
from collections.abc import Callable, Mapping
from html.entities import name2codepoint
from typing import NoReturn
from xml.parsers import expat

from profiles.validate.messages import shown
from profiles.validate.walk import Place, Walk

XHTML = "http://www.w3.org/1999/xhtml"
MOST_FINDINGS = 20

_COMMON = frozenset(
    [
        "title",
        "style",
        "class",
        "id",
        "lang",
        "xml:lang",
        "dir",
        "accesskey",
        "tabindex",
        "span",
        "width",
        "align",
        "valign",
        "char",
        "charoff",
        "abbr",
        "axis",
        "headers",
        "scope",
        "rowspan",
        "colspan",
        "xml:space",
    ]
)
_PLAIN = (
    "p br div h1 h2 h3 h4 h5 h6 span b em i strong small big tt dfn var abbr acronym cite hr address bdo kbd sub sup "
    "ul ol li dl dt dd caption colgroup col thead tr tfoot tbody code samp center"
)
_OWN = {
    "a": "href name charset type hreflang rel rev shape coords target",
    "area": "shape coords href nohref alt",
    "blockquote": "cite",
    "img": "src alt longdesc height width usemap ismap border",
    "map": "name",
    "pre": "space",
    "q": "cite",
    "table": "summary width border frame rules cellspacing cellpadding bgcolor",
    "td": "nowrap bgcolor",
    "th": "nowrap bgcolor",
    "ol": "start type",
    "li": "value type",
    "ul": "type",
}
ALLOWED: Mapping[str, frozenset[str]] = {
    name: _COMMON | set(_OWN.get(name, "").split()) for name in sorted({*_PLAIN.split(), *_OWN})
}
"""The attributes that each element may have; an element that is not here is refused."""

_URLS = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "sms", "ftp", "cid", "urn"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.ASCII)
_IMAGE = re.compile(r"data:image/(png|jpe?g|gif|bmp|webp|x-icon|tiff|svg\+xml)[;,]", re.ASCII)
_IGNORED = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060\ufeff]+")
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);", re.ASCII)
_OF_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?|\\(.)", re.ASCII | re.DOTALL)
_REMARK = re.compile(r"/\*.*?(\*/|$)", re.DOTALL)
_ACTIVE = re.compile(r"expression\s*\(|(java|vb)script:|behaviou?r\s*:|-moz-binding|@import")
_CSS_URL = re.compile(r"url\s*\(\s*['\"]?([^'\")]*)")


class _UnfitError(Exception):
    """Nothing that follows is worth reading."""


def check(text: str, where: Place, walk: Walk) -> None:
    """Report what is wrong or unsafe in the XHTML of a `Narrative.div`."""
    reader = _Reader(where, walk)
    try:
        # XML knows five names only; those of HTML 4 become the characters that they stand for. All others are errors,
        # in attributes too, where `&colon;` would hide a scheme.
        reader.parser.Parse(_ENTITY.sub(_character, text), True)
    except _UnfitError:
        return
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "not well-formed")
        walk.report("narrative-xml", where, reason=reason, line=error.lineno, column=error.offset + 1)
        return
    except UnicodeEncodeError:
        walk.report("narrative-xml", where, reason="a character that is none", line=1, column=1)
        return
    if not reader.shows and not reader.findings:
        walk.report("narrative-empty", where)


class _Reader:
    """The handlers of one parse, which stops at the first construct that no fragment of XHTML may have."""

    def __init__(self, where: Place, walk: Walk) -> None:
        self.where = where
        self.walk = walk
        self.findings = 0
        self.shows = False
        self.started = False
        self.parser = parser = expat.ParserCreate()
        parser.StartElementHandler = self.start
        parser.CharacterDataHandler = self.text
        parser.StartDoctypeDeclHandler = self.refusing("a document type declaration")
        parser.EntityDeclHandler = self.refusing("an entity declaration")
        parser.ProcessingInstructionHandler = self.refusing("a processing instruction")
        parser.XmlDeclHandler = self.refusing("an XML declaration")
        parser.StartCdataSectionHandler = self.refusing("a CDATA section")

    def refusing(self, found: str) -> Callable[..., NoReturn]:
        def refuse(*_: object) -> NoReturn:
            self.walk.report("narrative-construct", self.where, found=found)
            raise _UnfitError

        return refuse

    def report(self, message_id: str, **places: object) -> None:
        self.findings += 1
        self.walk.report(message_id, self.where, **places)
        if self.findings >= MOST_FINDINGS:
            raise _UnfitError

    def text(self, data: str) -> None:
        if data.strip(" \t\r\n"):
            self.shows = True
            # Text is read for this one question only.
            self.parser.CharacterDataHandler = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.started:
            self.started = True
            if name != "div" or attributes.get("xmlns") != XHTML:
                namespace = attributes.get("xmlns")
                found = f"<{shown(name)}>" + (
                    f" of namespace '{shown(namespace)}'" if namespace else " without a namespace"
                )
                self.walk.report("narrative-root", self.where, found=found)
                raise _UnfitError
        allowed = ALLOWED.get(name)
        if allowed is None:
            self.report("narrative-element", value=shown(name))
            return
        if name == "img":
            self.shows = True
        for key, value in attributes.items():
            if key in allowed:
                if key == "style":
                    self.style(value, name)
                elif key in _URLS:
                    self.url(value, key, name)
            elif key != "xmlns" or value != XHTML:
                self.report("narrative-attribute", value=shown(key), on=name)

    def url(self, value: str, key: str, on: str) -> None:
        if value[:1] == "#":
            self.walk.point(value)
        if not _harmless(value, image=on == "img" and key == "src"):
            self.report("narrative-url", value=shown(value), name=key, on=on)

    def style(self, value: str, on: str) -> None:
        """CSS lets any letter be written as an escape and be cut by a comment."""
        plain = value.lower()
        for reading in {plain, _REMARK.sub("", _ESCAPE.sub(_unescaped, plain))}:
            active = _ACTIVE.search(reading)
            if active is not None:
                self.report("narrative-style", value=shown(active[0]), on=on)
                return
            for url in _CSS_URL.findall(reading):
                if not _harmless(url, image=True):
                    self.report("narrative-style", value=shown(url), on=on)
                    return


def _harmless(url: str, *, image: bool) -> bool:
    """Return whether a URL only shows or fetches something.

    Browsers drop white space and control characters before they look at the scheme: so do we.
    """
    plain = _IGNORED.sub("", url)[:200].lower()
    scheme = _SCHEME.match(plain)
    return scheme is None or scheme[1] in _SCHEMES or (image and _IMAGE.match(plain) is not None)


def _character(match: re.Match[str]) -> str:
    code = name2codepoint.get(match[1])
    return match[0] if code is None or match[1] in _OF_XML else f"&#{code};"


def _unescaped(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2]
    code = int(match[1], 16)
    return chr(code).lower() if 0 < code < 0xD800 else "\ufffd"
