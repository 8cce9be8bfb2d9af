"""Conditions of filters: `{{ term = "heart", language = en }}`, `{{ C active = 1 }}`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import TypeVar

from terminology.ecl.nodes import Condition, Constraint, Term
from terminology.ecl.tokens import InvalidConstraint, Token

ON_DESCRIPTIONS = ("term", "language", "type", "typeId", "dialect", "dialectId", "active")
ON_CONCEPTS = ("definitionStatus", "definitionStatusId", "moduleId", "effectiveTime", "active")
WORDS = {
    "type": ("syn", "fsn", "def"),
    "definitionStatus": ("primitive", "defined"),
    "active": ("1", "0", "true", "false"),
}
"""Names whose values are of a list."""

_COMPARED = frozenset({"<", "<=", ">", ">="})
_ESCAPED = {'\\"': '"', "\\\\": "\\"}

Value = TypeVar("Value")


class Conditions(ABC):
    """The part of the parser that reads conditions."""

    @property
    @abstractmethod
    def now(self) -> Token:
        """The next token."""

    @abstractmethod
    def take(self) -> Token:
        """Return the next token and step over it."""

    @abstractmethod
    def accept(self, *texts: str) -> bool:
        """Step over the next token if it is one of these."""

    @abstractmethod
    def expect(self, text: str, why: str) -> None:
        """Step over the next token, which has to be this."""

    @abstractmethod
    def simple(self) -> Constraint:
        """Read one set with its operators and filters."""

    def condition(self, known: Collection[str]) -> Condition:
        """Read a condition with one of several names."""
        word = self.take()
        name = next((one for one in known if one.lower() == word.text.lower()), None)
        if name is None or word.kind != "word":
            raise InvalidConstraint(f"Found {word}. A filter goes by {', '.join(known)}.")
        operator = self.take()
        if operator.text not in {"=", "!="} and not (operator.text in _COMPARED and name == "effectiveTime"):
            raise InvalidConstraint(f"Found {operator}. The condition on {name} needs = or != there.")
        if name.endswith("Id"):
            return Condition(name, operator.text, concepts=self.simple())
        read: Callable[[], Term | str] = self.term if name == "term" else lambda: self._word(name)
        return Condition(name, operator.text, self.several(read) if self.now.text == "(" else (read(),))

    def term(self) -> Term:
        """Read a text, which may be said to be `match:` or `wild:`."""
        word = self.take()
        kind = ""
        if word.kind == "word":
            kind = word.text.lower()
            if kind not in {"match", "wild"}:
                raise InvalidConstraint(f'Found {word}. A text is written as "…", match:"…" or wild:"…".')
            self.expect(":", f'{kind} is followed by a colon and a text: {kind}:"…".')
            word = self.take()
        if word.kind != "string":
            raise InvalidConstraint(f'Found {word}. A text is needed there, written as "…".')
        text = word.text[1:-1]
        for written, meant in _ESCAPED.items():
            text = text.replace(written, meant)
        if not text.strip():
            raise InvalidConstraint(f"The text at character {word.place} is empty. Write what is sought into it.")
        return Term(text, wild=kind == "wild")

    def several(self, read: Callable[[], Value]) -> tuple[Value, ...]:
        """Read values in brackets, with spaces or commas between them."""
        opened = self.now
        self.expect("(", "A list of values begins with (.")
        found = [read()]
        while self.now.text != ")" and self.now.kind != "end":
            self.accept(",")
            found.append(read())
        self.expect(")", f"The bracket at character {opened.place} is not closed.")
        return tuple(found)

    def _word(self, name: str) -> str:
        token = self.take()
        text = token.text[1:-1] if token.kind == "string" else token.text
        allowed = WORDS.get(name)
        if token.kind not in {"word", "digits", "string"} or (allowed and text.lower() not in allowed):
            raise InvalidConstraint(f"Found {token}. {name} is {' or '.join(allowed) if allowed else 'a word'}.")
        if name == "effectiveTime" and not (len(text) == 8 and text.isdigit()):
            raise InvalidConstraint(f'Found {token}. effectiveTime is a day, written as "20240131".')
        if name == "dialect" and self.now.text == "(":
            raise InvalidConstraint(
                f"Found {self.now}. Acceptability in a dialect is not kept here; ask for the dialect alone."
            )
        return text.lower()
