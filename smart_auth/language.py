"""Languages of the pages: English in the code, others as catalogues beside it, chosen by what a person or an app wishes.

A catalogue (`languages/<tag>.json`) leads from the English text to that of its language; what it lacks is said in English. The
texts that stand for names and numbers keep their braces: `{app}`. Another language is another file, and a test tells what is
missing in it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Self

ENGLISH = "en"
MOST_WISHES = 50

_WISH = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z0-9-]{1,40})?(?:\s*;\s*q\s*=\s*([01](?:\.\d{0,3})?))?", re.ASCII)


class Sentence(str):
    """An English text with its values, which can still be said in another language.

    Attributes:
        pattern: The text with braces.
        values: What stands for them.
    """

    __slots__ = ("pattern", "values")
    pattern: str
    values: Mapping[str, object]

    def __new__(cls, pattern: str, **values: object) -> Self:
        """Return the text in English."""
        made = super().__new__(cls, pattern.format(**values))
        made.pattern, made.values = pattern, values
        return made


@dataclass(frozen=True, slots=True)
class Language:
    """A language.

    Attributes:
        tag: BCP 47 tag.
        name: What it calls itself.
        phrases: English to this language.
    """

    tag: str = ENGLISH
    name: str = "English"
    phrases: Mapping[str, str] = field(default_factory=dict, repr=False)

    def say(self, text: str, **values: object) -> str:
        """Return a text in this language. Only texts of ours may have values: braces of others stay what they are."""
        if isinstance(text, Sentence):
            return self.say(text.pattern, **text.values)
        said = self.phrases.get(text, text)
        return said.format(**values) if values else said

    def all_of(self, words: Iterable[str]) -> str:
        """Return several words of this language as one enumeration."""
        *many, last = words
        return self.say("{some} and {last}", some=", ".join(many), last=last) if many else last

    def day(self, when: datetime) -> str:
        """Return a date as people write it."""
        return self.say("{day} {month} {year}", day=when.day, month=self.say(f"{when:%B}"), year=when.year)


def tags() -> list[str]:
    """Return the tags of the languages that there are."""
    found = files("smart_auth").joinpath("languages").iterdir()
    return [ENGLISH, *sorted(one.name.removesuffix(".json") for one in found if one.name.endswith(".json"))]


class Languages:
    """The languages that there are, read once."""

    def __init__(self) -> None:
        folder = files("smart_auth").joinpath("languages")
        read = {tag: json.loads(folder.joinpath(f"{tag}.json").read_text("utf-8")) for tag in tags()[1:]}
        others = (Language(tag, phrases["English"], phrases) for tag, phrases in read.items())
        self.all: Mapping[str, Language] = {one.tag: one for one in (Language(), *others)}

    def best(self, *wishes: str) -> Language:
        """Return the language that is wished for most.

        Args:
            wishes: Each in the form of `Accept-Language` or of `ui_locales`; what an earlier one leaves open, the next decides.
        """
        for wish in wishes:
            for tag in _tags(wish):
                if tag in self.all:
                    return self.all[tag]
        return self.all[ENGLISH]


def _tags(wish: str) -> list[str]:
    """Return the languages of a wish, the dearest first."""
    parts = re.split(r",", wish[:2_000]) if "," in wish or ";" in wish else wish[:2_000].split()
    found = [match for part in parts[:MOST_WISHES] if (match := _WISH.fullmatch(part.strip()))]
    ranked = sorted(found, key=lambda match: -float(match[2] or 1))
    return [match[1].lower() for match in ranked if float(match[2] or 1) > 0]
