"""What code systems at hand say about a code: whether they have it, and how it is displayed (R4 CodeSystem)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from profiles.snapshot.source import Source
from profiles.validate.messages import shown
from profiles.validate.profile.asking import Asking
from profiles.validate.profile.codes import Resources

Json = dict[str, Any]
Said = tuple[str, str, dict[str, str]]
"""A message, the member of the Coding that it is about, and what fills the message."""

MOST_ANSWERS = 20_000
HL7 = "http://terminology.hl7.org/"


@dataclass(frozen=True, slots=True)
class System:
    """One code system.

    Attributes:
        version: Its version, or empty.
        complete: Whether all of its codes are at hand.
        growing: Whether it is the copy that R4 has of a code system that HL7 publishes anew (hl7.terminology).
        supplement: Whether it only adds to another one.
        sensitive: Whether upper and lower case differ.
        displays: By code, what it may be displayed as; the first is for messages.
    """

    version: str
    complete: bool
    growing: bool
    supplement: bool
    sensitive: bool
    displays: dict[str, tuple[str, ...]]


class Systems:
    """The code systems of the packages and of R4, each read once, and what was said about a Coding.

    Args:
        source: Where they are looked up.
    """

    def __init__(self, source: Source) -> None:
        self._resources = Resources("CodeSystem", source)
        self._sets = Resources("ValueSet", source)
        self._systems: dict[str, System | None] = {}
        self._said: dict[tuple[str, Any, str, str | None], Said | None] = {}

    def said(self, system: str, version: object, code: str, display: str | None) -> Said | None:
        """Return what is wrong with a Coding, `None` where nothing is, or nobody here knows."""
        key = (system, version if isinstance(version, str) else None, code, display)
        if key not in self._said:
            if len(self._said) >= MOST_ANSWERS:
                self._said.clear()
            self._said[key] = self._wrong(*key)
        return self._said[key]

    def told(self, asking: Asking, coding: tuple[str, str, str], display: str | None) -> Said | None:
        """Return what a terminology service finds wrong with a Coding whose code system, in this version, is not at hand.

        Args:
            asking: Who is asked; what is not answered yet is noted.
            coding: System, version (empty where none is stated) and code.
            display: As it stands there.
        """
        url, version, code = coding
        system = self.find(url)
        if system is not None and (not version or version == system.version):
            return None
        known = asking.coding(url, version, code)
        if known is None:
            return None
        if known.displays is None:
            unknown = {"code": shown(code), "system": url, "version": known.version}
            return ("code-unknown", "code", unknown) if known.complete else None
        return _display(url, code, display, known.displays)

    def find(self, url: str) -> System | None:
        """Return a code system, `None` where it is not at hand."""
        if url not in self._systems:
            if len(self._systems) >= MOST_ANSWERS:
                self._systems.clear()  # Resources may name systems without end.
            found = self._resources.get(url)
            try:
                growing = url.startswith(HL7) and self._resources.is_of_r4(url)
                self._systems[url] = _read(found, growing=growing) if found is not None else None
            except (AttributeError, KeyError, TypeError):
                self._systems[url] = None  # A package's code system is not as R4 has it.
        return self._systems[url]

    def _wrong(self, url: str, version: str | None, code: str, display: str | None) -> Said | None:
        system = self.find(url)
        if system is None:
            if self._sets.get(url) is not None or ("/ValueSet/" in url and url.startswith("http://hl7.org/fhir/")):
                return "coding-value-set", "system", {"system": shown(url)}
            return None
        if system.supplement:
            return "coding-supplement", "system", {"system": shown(url)}
        if version and version != system.version:
            return None
        found = system.displays.get(code if system.sensitive else code.lower())
        if found is None:
            if not system.complete:
                return None
            return (
                "code-newer" if system.growing else "code-unknown",
                "code",
                {"code": shown(code), "system": url, "version": system.version},
            )
        return _display(url, code, display, found)


def _display(url: str, code: str, display: str | None, found: tuple[str, ...]) -> Said | None:
    """Return that a display is none of those that a code has."""
    if display is None or not found or _folded(display) in {_folded(one) for one in found}:
        return None
    valid = ", ".join(f"'{shown(one)}'" for one in found[:3])
    return "display", "display", {"display": shown(display), "code": shown(code), "system": url, "valid": valid}


def _read(resource: Json, *, growing: bool) -> System:
    sensitive = resource.get("caseSensitive") is not False
    displays = {
        str(row["code"]) if sensitive else str(row["code"]).lower(): _displays(row) for row in _concepts(resource)
    }
    content = resource.get("content")
    return System(
        str(resource.get("version", "")),
        content == "complete" and bool(displays),
        growing,
        content == "supplement" or "supplements" in resource,
        sensitive,
        displays,
    )


def _displays(concept: Json) -> tuple[str, ...]:
    rows = [concept.get("display"), *(row.get("value") for row in concept.get("designation", ()))]
    return tuple(dict.fromkeys(row for row in rows if isinstance(row, str)))


def _concepts(node: Json) -> Iterator[Json]:
    open_ = list(node.get("concept", ()))
    while open_:
        concept = open_.pop()
        yield concept
        open_ += concept.get("concept", ())


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
