"""Displays: the words of a concept in the languages asked for, and whether what somebody wrote is among them.

A display that is written beside a code is checked without regard to case. Where the code system has no words in the languages asked
for, those of its own language count, and the answer says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from terminology import issue
from terminology.concept import Concept, Designation
from terminology.issue import TxIssue, alternatives

Json = dict[str, Any]

PREFERRED_USES = frozenset(
    {
        ("http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra", "preferredForLanguage"),
        ("http://terminology.hl7.org/CodeSystem/designation-usage", "display"),
        ("http://snomed.info/sct", "900000000000548007"),
    }
)
SYNONYM = ("http://snomed.info/sct", "900000000000013009")
STANDARDS_STATUS = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
GONE = frozenset({"withdrawn", "inactive"})

WHOLE, REGION, LANGUAGE = 0, 1, 2
"""How much of a language tag has to agree, the most first."""


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages that somebody wants to read.

    Attributes:
        tags: BCP-47 tags, the most wanted first; `*` stands for any. Empty where nobody asked.
    """

    tags: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> "Languages":
        """Return the languages of a list as Accept-Language has it, such as `de, de-CH;q=0.8`; those with q=0 are left out."""
        found: list[tuple[float, str]] = []
        for entry in text.split(","):
            tag, _, parameters = entry.partition(";")
            quality = 1.0
            name, _, value = parameters.strip().partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            if tag.strip() and quality > 0:
                found.append((quality, tag.strip()))
        return cls(tuple(tag for _, tag in sorted(found, key=lambda row: -row[0])))

    def __bool__(self) -> bool:
        return bool(self.tags)

    def __str__(self) -> str:
        return ", ".join(self.tags) or "--"

    def want(self, stated: str, depth: int = LANGUAGE) -> bool:
        """Return whether words in a language are wanted; those without one, and all where nobody asked, always are."""
        return not stated or not self.tags or any(agree(tag, stated, depth) for tag in self.tags)


ANY_LANGUAGE = Languages()


def agree(wanted: str, stated: str, depth: int = LANGUAGE) -> bool:
    """Return whether a language is the one that is wanted, as far as it has to agree."""
    one, other = wanted.lower(), stated.lower()
    if one in ("*", other):
        return True
    if depth == WHOLE:
        return False
    parts, others = one.split("-"), other.split("-")
    return parts[0] == others[0] and (depth == LANGUAGE or _region(parts) == _region(others))


def _region(parts: Sequence[str]) -> str:
    return next((part for part in parts[1:] if len(part) == 2 or (len(part) == 3 and part.isdecimal())), "")


@dataclass(frozen=True, slots=True)
class Word:
    """Something that a concept may be called.

    Attributes:
        text: As it is written.
        language: BCP-47 tag, empty where none is stated.
        display: Whether it is shown for the concept, and not only a synonym or the like.
        preferred: Whether it goes before others of its language.
        status: `withdrawn` and the like where it is not to be used any more, or empty.
    """

    text: str
    language: str = ""
    display: bool = True
    preferred: bool = True
    status: str = ""


class Displays:
    """What a concept may be called.

    Args:
        concept: The concept.
        language: Of its displays, empty where the code system states none.
        listed: Element of ValueSet.compose.include.concept, where a value set has words of its own for it.
    """

    def __init__(self, concept: Concept, language: str = "", listed: Json | None = None) -> None:
        self._language = language
        words = [Word(concept.display, language)] if concept.display else []
        words += map(_word, concept.designations)
        if listed:
            display = listed.get("display")
            if isinstance(display, str) and display.strip():
                words.append(Word(display.strip()))
            words += _stated(listed.get("designation"))
        self._words = tuple(words)

    def preferred(self, languages: Languages) -> str:
        """Return the words to show in the languages asked for, in the language of the code system where there are none."""
        chosen = self._of_languages(languages) if languages else None
        return (chosen or self._default() or Word("")).text

    def check(self, display: str, languages: Languages, code: str, system: str, path: str) -> TxIssue | None:
        """Return what is wrong with a display, `None` where nothing is.

        Args:
            display: As somebody wrote it.
            languages: That were asked for.
            code: Of the concept, for the text.
            system: Its code system, for the text.
            path: Where the display stands.
        """
        if not self._words:
            return issue.NO_DISPLAY_AT_ALL.issue(path, display=display, system=system, code=code)
        fitting = [word for word in self._words if languages.want(word.language) and _same(word.text, display)]
        about = {"display": display, "system": system, "code": code, "languages": str(languages)}
        if fitting:
            if any(word.status not in GONE for word in fitting):
                return None
            right = [word.text for word in self._words if word.display and word.status not in GONE]
            choices = ",".join(dict.fromkeys(right))
            said = f"one of {choices}" if len(right) > 1 else choices
            return issue.WITHDRAWN_DISPLAY.issue(path, **about, status=fitting[0].status, choices=said)
        count, displays_only = self._count(languages, only=True), True
        if not count:
            count, displays_only = self._count(languages, only=False), False
        if not count:
            return self._in_other_language(about, path)
        spaced = any(
            _same(_spaced(word.text), _spaced(display)) for word in self._words if languages.want(word.language)
        )
        message = issue.WRONG_WHITESPACE if spaced else issue.WRONG_DISPLAY
        found = message.issue(path, **about, choices=self._choices(languages, count, only=displays_only))
        return found if displays_only else found.softened("warning")

    def _in_other_language(self, about: dict[str, str], path: str) -> TxIssue:
        default = self._default()
        own = [word for word in self._words if not word.language or agree(self._language or "en", word.language)]
        if any(_same(word.text, about["display"]) for word in own):
            return issue.DEFAULT_DISPLAY_ONLY.issue(path, **about)
        return issue.NO_DISPLAY_OF_LANGUAGE.issue(path, **about, default=default.text if default else "")

    def _count(self, languages: Languages, *, only: bool) -> int:
        for depth in (WHOLE, REGION, LANGUAGE):
            count = sum((word.display or not only) and languages.want(word.language, depth) for word in self._words)
            if count:
                return count
        return 0

    def _choices(self, languages: Languages, count: int, *, only: bool) -> str:
        words = [word for word in self._words if (word.display or not only) and languages.want(word.language)]
        shown = [f"'{word.text}' ({word.language})" if word.language else f"'{word.text}'" for word in words]
        return alternatives(shown) if count == 1 else f"one of {count} choices: {alternatives(shown)}"

    def _of_languages(self, languages: Languages) -> Word | None:
        for tag in languages.tags:
            of_tag = [word for word in self._words if word.language and agree(tag, word.language)]
            if of_tag:
                return min(
                    of_tag,
                    key=lambda word: (
                        word.status in GONE,
                        next(depth for depth in (WHOLE, REGION, LANGUAGE) if agree(tag, word.language, depth)),
                        not word.preferred,
                        not word.display,
                    ),
                )
        return next((word for word in self._words if not word.language and word.display), None)

    def _default(self) -> Word | None:
        return min(
            self._words, key=lambda word: (not word.preferred, word.status in GONE, not word.display), default=None
        )


def _word(designation: Designation) -> Word:
    status = next(
        (row.get("valueCode", "") for row in designation.extensions if row.get("url") == STANDARDS_STATUS), ""
    )
    return _of_use(designation.value.strip(), designation.language, designation.use, str(status))


def _stated(rows: object) -> Iterable[Word]:
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("value"), str):
            use, language = row.get("use"), row.get("language")
            yield _of_use(
                row["value"].strip(),
                language if isinstance(language, str) else "",
                use if isinstance(use, dict) else None,
            )


def _of_use(text: str, language: str, use: Json | None, status: str = "") -> Word:
    coded = (use.get("system"), use.get("code")) if use else None
    display = coded is None or coded in PREFERRED_USES
    return Word(text, language, display, display or coded == SYNONYM, status)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _spaced(text: str) -> str:
    return " ".join(text.split())
