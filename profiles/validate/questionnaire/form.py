"""A Questionnaire as its responses are held against it: `Form`, and `Question` for each of its items (R4 Questionnaire).

An item that is malformed has been reported by the check of the Questionnaire itself; here it asks for nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

FHIR = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"

ENABLED_BY = (
    f"{SDC}enableWhenExpression",
    "http://phr.kanta.fi/StructureDefinition/fiphr-ext-questionnaire-enablewhen",
)
"""Extensions that hold a condition as an expression: that of SDC, and that of Finland, where SDC took it from."""
CONSTRAINTS = (f"{FHIR}questionnaire-constraint", "http://hl7.org/fhir/StructureDefinition/targetConstraint")
EXCLUSIVE = f"{FHIR}questionnaire-optionExclusive"

CHOICES = frozenset({"choice", "open-choice"})

ANSWERED_BY: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "decimal": ("decimal",),
    "integer": ("integer",),
    "date": ("date",),
    "dateTime": ("dateTime",),
    "time": ("time",),
    "string": ("string",),
    "text": ("string",),
    "url": ("uri",),
    "choice": ("Coding", "date", "time", "integer", "string", "Reference"),
    "open-choice": ("Coding", "string", "date", "time", "integer", "Reference"),
    "attachment": ("Attachment",),
    "reference": ("Reference",),
    "quantity": ("Quantity",),
}
"""Item type to the types of value that answer it, the usual one first. Group, display and the abstract `question` have none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One item of a Questionnaire.

    Attributes:
        link: Its linkId.
        type: Its type: `group`, `choice`, ….
        raw: The item itself.
        items: The items within.
        extensions: Simple extensions by URL, in their order.
    """

    link: str
    type: str
    raw: Json
    items: tuple["Question", ...]
    extensions: Mapping[str, Sequence[Json]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is asked."""
        text = self.raw.get("text", "")
        return text if isinstance(text, str) else ""

    @property
    def required(self) -> bool:
        """Whether a completed response must have it."""
        return self.raw.get("required") is True

    @property
    def repeats(self) -> bool:
        """Whether it may be answered several times."""
        return self.raw.get("repeats") is True

    @property
    def asks(self) -> bool:
        """Whether it takes an answer."""
        return self.type in ANSWERED_BY

    @property
    def options(self) -> list[Json]:
        """The permitted answers (answerOption), where they are listed."""
        return objects(self.raw, "answerOption")

    @property
    def value_set(self) -> str:
        """Canonical of the permitted answers (answerValueSet), empty where there is none."""
        found = self.raw.get("answerValueSet", "")
        return found if isinstance(found, str) else ""

    def extended(self, url: str) -> Any:
        """Return the value of an extension, `None` where it is not there."""
        for one in self.extensions.get(url, ()):
            return value(one, "value")[1]
        return None


@dataclass(frozen=True, slots=True)
class Constraint:
    """What must be true of the answers (the extension questionnaire-constraint of R4, targetConstraint of SDC).

    Attributes:
        key: What it is called.
        human: It in words.
        expression: It in FHIRPath.
        fails: Whether it refuses a completed response.
    """

    key: str
    human: str
    expression: str
    fails: bool


def constraints(node: Json) -> Iterator[Constraint]:
    """Yield the constraints of a Questionnaire or of an item."""
    for one in (*objects(node, "extension"), *objects(node, "modifierExtension")):
        if one.get("url") in CONSTRAINTS:
            parts = {part.get("url"): value(part, "value")[1] for part in objects(one, "extension")}
            stated = parts.get("expression")
            if isinstance(stated, dict):
                stated = stated.get("expression") if stated.get("language") == "text/fhirpath" else None
            if isinstance(stated, str):
                key, human = str(parts.get("key") or ""), str(parts.get("human") or "")
                yield Constraint(key, human, stated, parts.get("severity") != "warning")


@dataclass(frozen=True, slots=True)
class Form:
    """A Questionnaire.

    Attributes:
        raw: The resource.
        items: Its items.
        questions: Every item by linkId.
        above: linkId of the item that each item is within, where there is one.
        container: The resource that contains what `#id` means.
    """

    raw: Json
    items: tuple[Question, ...]
    questions: Mapping[str, Question]
    above: Mapping[str, str]
    container: Json

    @property
    def name(self) -> str:
        """What it is called in messages: URL, else title or id."""
        return next((str(self.raw[key]) for key in ("url", "title", "id") if isinstance(self.raw.get(key), str)), "?")

    def contained(self, canonical: str) -> Json | None:
        """Return a contained ValueSet by `#id`, `None` where there is none."""
        for one in objects(self.container, "contained"):
            if one.get("resourceType") == "ValueSet" and f"#{one.get('id')}" == canonical:
                return one
        return None


def form(questionnaire: Json, container: Json | None = None) -> Form:
    """Return a Questionnaire as a form; where it is contained itself, `container` has what it refers to as `#id`."""
    items = _questions(questionnaire)
    known: dict[str, Question] = {}
    above: dict[str, str] = {}
    for question in walk(items):
        known.setdefault(question.link, question)
        for one in question.items:
            above.setdefault(one.link, question.link)
    return Form(questionnaire, items, known, above, container or questionnaire)


def walk(items: tuple[Question, ...]) -> Iterator[Question]:
    """Yield items and all that are within them, in the order of the document."""
    for item in items:
        yield item
        yield from walk(item.items)


def _questions(node: Json) -> tuple[Question, ...]:
    return tuple(_question(item) for item in objects(node, "item"))


def _question(item: Json) -> Question:
    extensions: dict[str, list[Json]] = {}
    for one in (*objects(item, "extension"), *objects(item, "modifierExtension")):
        url = one.get("url")
        if isinstance(url, str):
            extensions.setdefault(url, []).append(one)
    link, kind = item.get("linkId", ""), item.get("type", "")
    link, kind = link if isinstance(link, str) else "", kind if isinstance(kind, str) else ""
    return Question(link, kind, item, _questions(item), extensions)


def objects(node: Json, name: str) -> list[Json]:
    """Return the members of a repeating element that are objects."""
    values = node.get(name)
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def value(node: Json, stem: str) -> tuple[str, Any]:
    """Return type and value of a choice of types, such as `value[x]`; ('', None) where there is none.

    A type of complex values has its own name (`Coding`), that of primitives begins with a small letter (`dateTime`).
    """
    for key, found in node.items():
        kind = key[len(stem) :]
        if key.startswith(stem) and kind[:1].isupper():
            return (kind if isinstance(found, dict) else kind[0].lower() + kind[1:]), found
    return "", None
