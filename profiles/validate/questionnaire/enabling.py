"""Is a question enabled (R4 Questionnaire.item.enableWhen, enableBehavior; SDC enableWhenExpression).

The answer has three values: where a condition cannot be told (an expression that does not evaluate, times of different
precision), a question may neither be demanded nor refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from profiles.fhirpath.scope import Units
from profiles.validate.questionnaire.compare import compared, equal
from profiles.validate.questionnaire.expressions import FHIRPATH, Expressions
from profiles.validate.questionnaire.form import ENABLED_BY, Form, Question, objects, value, walk

Json = dict[str, Any]
Answer = tuple[str, Any]
Chain = tuple[Json, ...]
"""The nodes of a response from its root to the one that has the item."""

MOST_COMPARED = 50_000

_TESTS: Mapping[str, tuple[int, ...]] = {">": (1,), "<": (-1,), ">=": (0, 1), "<=": (-1, 0)}


class Enabling:
    """Conditions of a form, asked of one response.

    Args:
        form: The form.
        response: The response.
        expressions: Evaluates expressions on it.
        units: Units of measure.
    """

    def __init__(self, form: Form, response: Json, expressions: Expressions, units: Units | None) -> None:
        self._units = units
        self._expressions = expressions
        self._compared = 0
        self._outcomes: dict[str, bool | None] = {}
        asked = {
            str(condition.get("question"))
            for question in walk(form.items)
            for condition in objects(question.raw, "enableWhen")
        }
        self._answers: dict[tuple[int, str], list[Answer]] = {}
        if asked:
            self._collect(response, (id(response),), asked)

    def enabled(self, question: Question, chain: Chain) -> bool | None:
        """Return whether a question is enabled where it stands, `None` where that cannot be told."""
        conditions = [self._holds(one, chain) for one in objects(question.raw, "enableWhen")]
        found = any_of(conditions) if question.raw.get("enableBehavior") == "any" else all_of(conditions)
        return all_of([found, *self._expressed(question)]) if conditions else all_of(self._expressed(question))

    def _expressed(self, question: Question) -> list[bool | None]:
        return [self._outcome(one) for url in ENABLED_BY for one in question.extensions.get(url, ())]

    def _outcome(self, extension: Json) -> bool | None:
        expression = extension.get(
            "valueExpression", {"language": FHIRPATH, "expression": extension.get("valueString")}
        )
        text = expression.get("expression") if isinstance(expression, dict) else None
        if not isinstance(text, str) or expression.get("language") != FHIRPATH:
            return None
        if text not in self._outcomes:
            self._outcomes[text] = self._expressions.holds(text)
        return self._outcomes[text]

    def _collect(self, node: Json, above: tuple[int, ...], asked: set[Any]) -> None:
        """Note the answers to the questions that are asked about with every node that they are within."""
        for item in objects(node, "item"):
            link = item.get("linkId")
            answers = objects(item, "answer")
            if isinstance(link, str) and link in asked:
                found = [one for one in (value(answer, "value") for answer in answers) if one[0]]
                for place in above:
                    self._answers.setdefault((place, link), []).extend(found)
            here = (*above, id(item))
            self._collect(item, here, asked)
            for answer in answers:
                self._collect(answer, (*here, id(answer)), asked)

    def _nearest(self, link: str, chain: Chain) -> list[Answer]:
        """Return the answers to a question that are nearest: within the innermost node that has the question at all."""
        for node in reversed(chain):
            found = self._answers.get((id(node), link))
            if found is not None:
                return found
        return []

    def _holds(self, condition: Json, chain: Chain) -> bool | None:
        link, operator = condition.get("question"), condition.get("operator")
        kind, expected = value(condition, "answer")
        if not isinstance(link, str) or not kind:
            return None
        answers = self._nearest(link, chain)
        if operator == "exists":
            return bool(bool(answers) == expected)
        self._compared += len(answers)
        if self._compared > MOST_COMPARED:
            return None
        if operator == "=":
            return any_of(equal(*one, kind, expected, self._units) for one in answers)
        if operator == "!=":
            # Whether no answer at all differs from a value, R4 does not say; nor what becomes of one that does beside one that does not.
            same = {equal(*one, kind, expected, self._units) for one in answers}
            return False if same == {True} else True if same == {False} else None
        return any_of(self._ordered(operator, one, expected) for one in answers)

    def _ordered(self, operator: Any, answer: Answer, expected: Any) -> bool | None:
        order = compared(*answer, expected, self._units)
        outcomes = _TESTS.get(operator) if isinstance(operator, str) else None
        return None if order is None or outcomes is None else order in outcomes


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether all hold."""
    found = list(answers)
    if False in found:
        return False
    return None if None in found else True


def any_of(answers: Iterable[bool | None]) -> bool | None:
    """Return whether one holds."""
    found = list(answers)
    if True in found:
        return True
    return None if None in found else False
