"""A Questionnaire as such, beyond the invariants of R4: can its conditions be met, and its questions be answered."""

from typing import Any

from profiles.fhirpath import patterns
from profiles.fhirpath.engine import Engine
from profiles.fhirpath.errors import FhirPathError
from profiles.validate.messages import shown
from profiles.validate.published import RULES
from profiles.validate.questionnaire.compare import MOMENTS, NUMBERS, compared
from profiles.validate.questionnaire.expressions import ITEM, RESPONSE
from profiles.validate.questionnaire.findings import Findings, words
from profiles.validate.questionnaire.form import (
    ANSWERED_BY,
    FHIR,
    SDC,
    Form,
    Question,
    constraints,
    objects,
    value,
    walk,
)
from profiles.validate.walk import Place

Json = dict[str, Any]

ORDERED = NUMBERS | MOMENTS | {"time", "Quantity", "string"}
OPTIONS = frozenset({"choice", "open-choice", "integer", "date", "time", "string"})
"""Types of items whose options can be of the type that answers them: answerOption has no decimal, dateTime or Quantity."""

_BOUNDS = (
    ("value", f"{FHIR}minValue", f"{FHIR}maxValue"),
    ("quantity", f"{SDC}minQuantity", f"{SDC}maxQuantity"),
    ("number of answers", f"{FHIR}questionnaire-minOccurs", f"{FHIR}questionnaire-maxOccurs"),
)


class Definition:
    """One check of one Questionnaire.

    Args:
        form: The Questionnaire.
        findings: Where to report.
        engine: Compiles expressions; its units compare quantities.
    """

    def __init__(self, form: Form, findings: Findings, engine: Engine) -> None:
        self._form = form
        self._findings = findings
        self._units = engine.units
        self._engine = engine
        self._places = {id(question): index for index, question in enumerate(walk(form.items))}

    def check(self, where: Place) -> None:
        """Report what is wrong with the Questionnaire."""
        self._items(self._form.items, where)
        self._expressions(self._form.raw, RESPONSE, where)

    def _items(self, questions: tuple[Question, ...], where: Place) -> None:
        for index, question in enumerate(questions):
            here = (where, "item", index)
            for row, condition in enumerate(objects(question.raw, "enableWhen")):
                self._condition(question, condition, (here, "enableWhen", row))
            self._values(question, here)
            self._limits(question, here)
            self._expressions(question.raw, ITEM, here)
            self._items(question.items, here)

    def _condition(self, question: Question, condition: Json, where: Place) -> None:
        asked = condition.get("question")
        if not isinstance(asked, str):
            return
        here, places = (where, "question", None), {"asked": shown(asked)}
        target = self._form.questions.get(asked)
        if target is None:
            hint = self._findings.hint(asked, self._form.questions)
            self._findings.about("enable-when-unknown", question, here, **places, hint=hint)
        elif asked == question.link:
            self._findings.about("enable-when-self", question, here)
        elif self._is_within(target, question):
            self._findings.about("enable-when-within", question, here, **places)
        else:
            if self._places[id(target)] > self._places[id(question)]:
                self._findings.about("enable-when-later", question, here, **places)
            self._comparison(question, condition, target, where)

    def _comparison(self, question: Question, condition: Json, target: Question, where: Place) -> None:
        operator, kind = condition.get("operator"), value(condition, "answer")[0]
        asked = shown(target.link)
        if not target.asks:
            # A group exists where it was filled in.
            if operator != "exists" and target.type in {"group", "display"}:
                self._findings.about("enable-when-unanswered", question, where, asked=asked, type=target.type)
            return
        if operator == "exists" or not kind:
            return
        allowed = ANSWERED_BY[target.type]
        if kind not in allowed and not ({kind, *allowed} <= NUMBERS or {kind, *allowed} <= MOMENTS):
            names = " or ".join(allowed[:1])
            self._findings.about(
                "enable-when-type", question, where, found=kind, asked=asked, type=target.type, allowed=names
            )
        elif operator not in ("=", "!=") and kind not in ORDERED:
            self._findings.about("enable-when-order", question, where, operator=shown(operator), found=kind)

    def _is_within(self, target: Question, question: Question) -> bool:
        link: str | None = target.link
        for _ in self._form.questions:  # A linkId that is there twice may lead in a circle.
            link = self._form.above.get(link) if link is not None else None
            if link is None or link == question.link:
                return link is not None
        return False

    def _values(self, question: Question, where: Place) -> None:
        allowed = ANSWERED_BY.get(question.type, ())
        seen: set[str] = set()
        for index, option in enumerate(question.options):
            here, (kind, given) = (where, "answerOption", index), value(option, "value")
            if kind and question.type in OPTIONS and kind not in allowed:
                self._type(question, "option-type", kind, here)
            if (name := words(kind, given)) in seen:
                self._findings.about("option-duplicate", question, here, value=name)
            seen.add(name)
        for index, initial in enumerate(objects(question.raw, "initial")):
            kind = value(initial, "value")[0]
            if kind and allowed and kind not in allowed:
                self._type(question, "initial-type", kind, (where, "initial", index))
        if question.value_set.startswith("#") and self._form.contained(question.value_set) is None:
            place: Place = (where, "answerValueSet", None)
            self._findings.about("value-set-contained", question, place, value=shown(question.value_set))

    def _expressions(self, node: Json, kind: str, where: Place) -> None:
        for one in constraints(node):
            try:
                self._engine.compile(one.expression, kind, RULES)
            except FhirPathError as error:
                self._findings.report("expression-unusable", where, text=shown(one.expression), reason=error.reason)

    def _type(self, question: Question, message: str, kind: str, where: Place) -> None:
        allowed = " or ".join(ANSWERED_BY[question.type])
        self._findings.about(message, question, where, type=question.type, found=kind, allowed=allowed)

    def _limits(self, question: Question, where: Place) -> None:
        for what, least, most in _BOUNDS:
            kind, low = _of(question, least)
            high = _of(question, most)[1]
            if kind and compared(kind, low, high, self._units) == 1:
                least_shown, most_shown = words(kind, low), words(kind, high)
                self._findings.about("bounds", question, where, what=what, low=least_shown, high=most_shown)
        regex = question.extended(f"{FHIR}regex")
        if isinstance(regex, str):
            try:
                patterns.compiled(regex)
            except FhirPathError as error:
                self._findings.about("regex-unusable", question, where, reason=error.reason)


def _of(question: Question, url: str) -> tuple[str, Any]:
    for one in question.extensions.get(url, ()):
        return value(one, "value")
    return "", None
