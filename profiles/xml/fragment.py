"""The XHTML of a narrative inside the XML of a resource, taken out as text (R4 2.4.0)."""

from collections.abc import Callable, Mapping

from profiles.xml.layout import XHTML
from profiles.xml.text import escaped

Report = Callable[[str], None]

_PREFIX = f"{XHTML} "
_XML = "http://www.w3.org/XML/1998/namespace"


class Fragment:
    """A narrative that is being read.

    It is taken over byte by byte where it stands for itself: its element is called `div` and names the namespace of XHTML.
    Otherwise, with a prefix or with a namespace that was declared further out, it is written anew without prefixes.

    Attributes:
        depth: How many of its elements are open.

    Args:
        data: The whole XML.
        begin: Where the start tag of the narrative begins.
        declared: Namespaces that this tag declares, by prefix.
        attributes: Its attributes.
    """

    def __init__(
        self, data: bytes, begin: int, declared: Mapping[str | None, str], attributes: Mapping[str, str]
    ) -> None:
        self._data = data
        self._begin = begin
        self._stop = begin
        self.depth = 1
        self._parts: list[str] | None = None
        if declared.get(None) != XHTML or not data.startswith(b"<div", begin):
            self._parts = [f'<div xmlns="{XHTML}"{_attributes(attributes)}>']

    @property
    def is_whole(self) -> bool:
        """Whether it is taken over byte by byte, so that its texts need not be told."""
        return self._parts is None

    def start(self, name: str, attributes: Mapping[str, str], report: Report) -> None:
        """Take in an element inside the narrative."""
        self.depth += 1
        local = name.removeprefix(_PREFIX)
        if local == name:
            report(
                f"<{local.rpartition(' ')[2][:60]}> in the narrative is not XHTML. Leave it out, or give it the namespace of the div."
            )
        if self._parts is not None:
            self._parts.append(f"<{local}{_attributes(attributes)}>")

    def text(self, data: str) -> None:
        """Take in text."""
        if self._parts is not None:
            self._parts.append(escaped(data))

    def end(self, name: str, index: int) -> bool:
        """Take in the end of an element at a byte of the XML; return whether that was the end of the narrative."""
        self.depth -= 1
        if self._parts is not None:
            self._parts.append(f"</{name.rpartition(' ')[2]}>")
        if self.depth:
            return False
        # An element without content ends behind its tag; what stands there is never another end tag of a div.
        has_end_tag = self._data.startswith(b"</div", index)
        self._stop = self._data.index(b">", index) + 1 if has_end_tag else index
        return True

    def result(self) -> str:
        """Return the narrative."""
        if self._parts is not None:
            return "".join(self._parts)
        return self._data[self._begin : self._stop].decode()


def _attributes(attributes: Mapping[str, str]) -> str:
    texts = []
    for name, value in attributes.items():
        space, _, local = name.rpartition(" ")
        texts.append(f' {"xml:" if space == _XML else ""}{local}="{escaped(value)}"')
    return "".join(texts)
