"""`_text` and `_content`: words in the narrative, or anywhere in a resource (R4 3.1.1.4.15).

    (bone OR liver) and metastases
    "left knee" not replace*

Words side by side must all be there; `or` binds weaker than that, `not` stronger; text in quotes must stand so, and a star
stands for any end of a word. Upper and lower case and accents do not count, neither in words nor in `and`, `or`, `not`.
"""

import re
from dataclasses import dataclass, replace

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.escapes import plain, shown, split
from fhir_server.search.expression import Criterion, Expression, InText, all_of, any_of, none_of
from fhir_server.search.params import Param, params
from fhir_server.search.types.conditions import Condition, Is, Like, Starts
from fhir_server.search.unknown import UnknownParameter
from fhir_server.search.words import CONTENT, TEXT, WORDS
from profiles.definitions.registry import Definitions
from terminology import words

TEXTS = frozenset({TEXT, CONTENT})
EXAMPLE = '(bone OR liver) AND metastases, or "left knee"'
MOST_WORDS = 100
MOST_NESTED = 20

_TOKEN = re.compile(r'\s*(?:"([^"]*)"|([()])|([^\s()"]+))')


def expression(resource_type: str, name: str, value: str, definitions: Definitions, *, stored: bool) -> Expression:
    """Return the expression of `_text` or `_content`.

    Args:
        resource_type: The type that is searched.
        name: The parameter.
        value: Alternatives with commas between them.
        definitions: Parameters of the type.
        stored: Whether words are stored at all.

    Raises:
        UnknownParameter: Words are not stored, or the type has no narrative.
        InvalidParameter: The value is malformed.
    """
    code, _, modifier = name.partition(":")
    if code not in definitions.search_parameters(resource_type):
        raise UnknownParameter(f"A {resource_type} has no narrative, hence no '{code}'.", expression=f"http.{code}")
    if not stored:
        raise UnknownParameter(
            f"The parameter '{code}' is switched off: words are not stored here, because that costs work at every write. The "
            "setting search.text switches it on.",
            expression=f"http.{code}",
        )
    if modifier:
        raise _refusal(code, f"The parameter '{code}' has no modifiers. Leave ':{shown(modifier)}' out.")
    texts = [plain(text) for text in split(value, ",") if text.strip()]
    return InText(any_of(_Reading(resource_type, code, text, definitions).whole() for text in texts))


@dataclass(slots=True)
class _Words:
    """The parameters that what is stored would have."""

    words: Param
    line: Param


class _Reading:
    """Recursive descent over the words of one text."""

    def __init__(self, resource_type: str, code: str, text: str, definitions: Definitions) -> None:
        self.code = code
        self.text = text
        of = params(resource_type, definitions)["_id"]
        own = [
            replace(
                of, code=name, type="string", field=f"s.{name}", array=name == WORDS, value_types=frozenset({"string"})
            )
            for name in (WORDS, code)
        ]
        self.stored = _Words(*own)
        self.tokens = [match.groups() for match in _TOKEN.finditer(text)]
        self.at = 0

    def whole(self) -> Expression:
        if len(self.tokens) > MOST_WORDS:
            raise _refusal(self.code, f"A value of '{self.code}' has more than {MOST_WORDS} words. Search by fewer.")
        if self.text.count('"') % 2:
            raise self.refusal("a quote is not closed")
        found = self.alternatives(0)
        if self.at < len(self.tokens):
            raise self.refusal("a parenthesis is closed that was not opened")
        return found

    def alternatives(self, depth: int) -> Expression:
        if depth > MOST_NESTED:
            raise self.refusal(f"more than {MOST_NESTED} parentheses stand inside of each other")
        found = [self.together(depth)]
        while self.takes("or"):
            found.append(self.together(depth))
        return any_of(found)

    def together(self, depth: int) -> Expression:
        found = [self.item(depth)]
        while self.takes("and") or not (self.ended() or self.stands("or") or self.tokens[self.at][1] == ")"):
            found.append(self.item(depth))
        return all_of(found)

    def item(self, depth: int) -> Expression:
        if self.takes("not"):
            return none_of(self.item(depth))
        if self.ended() or self.tokens[self.at][1] == ")" or self.stands("and") or self.stands("or"):
            raise self.refusal("a word is missing")
        phrase, mark, word = self.tokens[self.at]
        self.at += 1
        if mark:
            found = self.alternatives(depth + 1)
            if self.ended() or self.tokens[self.at][1] != ")":
                raise self.refusal("a parenthesis is not closed")
            self.at += 1
            return found
        return self.line(phrase or word or "", open_ended=bool(word and word.endswith("*")))

    def line(self, text: str, *, open_ended: bool) -> Expression:
        """Return "these words stand side by side"; of an open end the last one may go on."""
        found = words.split(text)
        if not found:
            raise self.refusal(f"'{shown(text)}' has no letters or digits in it")
        conditions: list[Condition] = [Is(word) for word in found]
        if open_ended:
            conditions[-1] = Starts(found[-1])
        held = [Criterion(self.stored.words, (condition,)) for condition in conditions]
        if self.code == CONTENT and len(found) == 1:
            return held[0]
        side_by_side = " " + " ".join(map(re.escape, found)) + ("" if open_ended else " ")
        return all_of([*held, Criterion(self.stored.line, (Like(side_by_side),))])

    def takes(self, operator: str) -> bool:
        found = self.stands(operator)
        self.at += found
        return found

    def stands(self, operator: str) -> bool:
        return not self.ended() and (self.tokens[self.at][2] or "").lower() == operator

    def ended(self) -> bool:
        return self.at >= len(self.tokens)

    def refusal(self, text: str) -> InvalidParameter:
        return _refusal(
            self.code,
            f"'{shown(self.text)}' is not a valid value of '{self.code}': {text}. Write words, as in {EXAMPLE}.",
        )


def _refusal(code: str, text: str) -> InvalidParameter:
    return InvalidParameter(text, expression=f"http.{code}")
