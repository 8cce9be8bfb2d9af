"""Languages that somebody wants to read, and which of a concept's words are in them (RFC 9110 12.5.4, RFC 4647, BCP-47)."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from terminology.concept import Designation

ANY = "*"
MOST = 50
"""Languages of one list that are read."""
_RANGE = re.compile(r"\*|[A-Za-z]{1,8}(?:-[A-Za-z0-9*]{1,8})*")

PREFERRED = frozenset(
    {
        ("http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra", "preferredForLanguage"),
        ("http://terminology.hl7.org/CodeSystem/designation-usage", "display"),
    }
)
"""Uses of designations that are as good as displays."""


@dataclass(frozen=True, slots=True)
class Range:
    """A language range with its quality.

    Attributes:
        tag: BCP-47 tag, or `*` for any language.
        quality: From 1, the most wanted, to 0, not wanted at all.
    """

    tag: str
    quality: float = 1.0

    def __str__(self) -> str:
        return self.tag if self.quality == 1 else f"{self.tag}; q={self.quality:g}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What languages are wanted.

    Attributes:
        ranges: The most wanted first; those of one quality in the order in which they were written. Empty where nobody asked.
    """

    ranges: tuple[Range, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Wanted":
        """Return the languages of a list as Accept-Language and `displayLanguage` have it: `de, en;q=0.5, *;q=0`.

        What is no language range is passed over, and so is a quality that is no number, and what comes after the first 50.
        """
        found = []
        for entry in text.split(",", MOST)[:MOST]:
            tag, *parameters = (part.strip() for part in entry.split(";"))
            if _RANGE.fullmatch(tag):
                stated = [one for one in map(_quality, parameters) if one is not None]
                found.append(Range(tag, stated[0] if stated else 1.0))
        return cls(tuple(sorted(found, key=lambda one: -one.quality)))

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __str__(self) -> str:
        """Print as a list; what has a quality is set apart."""
        text = ""
        for one in self.ranges:
            text += (("," if one.quality == 1 else ", ") if text else "") + str(one)
        return text

    @property
    def only(self) -> bool:
        """Whether other languages are not wanted (`*;q=0`), so that no display is better than one in another language."""
        return any(one.tag == ANY and one.quality == 0 for one in self.ranges)

    def chosen(self, words: Sequence[Designation]) -> Designation | None:
        """Return the words to show.

        Args:
            words: Of a concept, the default display first.

        Returns:
            Those of the most wanted language that there is; else the default, unless other languages are not wanted and the
            language of the default is known; `None` where nothing is to be shown.
        """
        default = words[0] if words else None
        for one in self.ranges:
            if one.quality == 0:
                continue
            if one.tag == ANY:
                return default
            found = [word for word in words if word.language and agree(one.tag, word.language)]
            if found:
                return min(found, key=lambda word: (word is not default, not _shown(word), _distance(one.tag, word)))
        return None if default is None or (self.only and default.language) else default


ANY_LANGUAGE = Wanted()


def agree(wanted: str, stated: str) -> bool:
    """Return whether words in a language are what a range asks for: the same language, of any region where one of them says none.

    >>> agree("de", "de-CH"), agree("de-CH", "de"), agree("de-AT", "de-CH"), agree("de", "den")
    (True, True, False, False)
    """
    one, other = wanted.lower(), stated.lower()
    return one in (ANY, other) or other.startswith(f"{one}-") or one.startswith(f"{other}-")


def selected(words: Iterable[Designation], tokens: Sequence[str]) -> list[Designation]:
    """Return the designations that tokens ask for, all where there are none.

    Args:
        words: Designations.
        tokens: `urn:ietf:bcp:47|de` for a language; `system|code` or a code alone for a use.
    """
    return [word for word in words if not tokens or any(_asked(word, token) for token in tokens)]


def _asked(word: Designation, token: str) -> bool:
    system, bar, code = token.rpartition("|")
    if system == "urn:ietf:bcp:47":
        return bool(word.language) and agree(code, word.language)
    use = word.use or {}
    if bar:
        return (use.get("system"), use.get("code")) == (system, code)
    return use.get("code") == code or (bool(word.language) and agree(code, word.language))


def _quality(parameter: str) -> float | None:
    name, _, value = (part.strip() for part in parameter.partition("="))
    if name.lower() != "q":
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return min(max(found, 0.0), 1.0) if math.isfinite(found) else None


def _shown(word: Designation) -> bool:
    """Return whether a designation is a display, and not a synonym or something else."""
    return word.use is None or (word.use.get("system"), word.use.get("code")) in PREFERRED


def _distance(wanted: str, word: Designation) -> int:
    return abs(len(wanted) - len(word.language))
