"""A QuestionnaireResponse against its Questionnaire (R4 QuestionnaireResponse, "Notes"; SDC).

Items stand where their questions stand, in their order; what is required is there once the response is completed, unless it
is not enabled; what is not enabled is not answered; each answer is one that its question allows (`answers`).
"""

from typing import Any

from profiles.primitives import span
from profiles.validate.messages import shown
from profiles.validate.questionnaire.answers import Answers
from profiles.validate.questionnaire.enabling import Chain, Enabling, all_of
from profiles.validate.questionnaire.expressions import Expressions
from profiles.validate.questionnaire.findings import Findings
from profiles.validate.questionnaire.form import FHIR, Form, Question, constraints, objects, value
from profiles.validate.reference import named
from profiles.validate.walk import Place

Json = dict[str, Any]
Row = tuple[int, Json]

COMPLETE = ("completed", "amended")
LEAST = f"{FHIR}questionnaire-minOccurs"
MOST = f"{FHIR}questionnaire-maxOccurs"
TRANSLATION = f"{FHIR}translation"
UNUSED = ("draft", "retired")


class Response:
    """One check of one response.

    Args:
        form: The form that it answers.
        findings: Where to report.
        answers: The checks of its answers.
        enabling: The conditions of the form, asked of this response.
        expressions: Evaluates constraints.
    """

    def __init__(
        self, form: Form, findings: Findings, answers: Answers, enabling: Enabling, expressions: Expressions
    ) -> None:
        self._form = form
        self._findings = findings
        self._answers = answers
        self._enabling = enabling
        self._expressions = expressions
        self._complete = False

    def check(self, response: Json, where: Place) -> None:
        """Report what is wrong with a response."""
        self._complete = response.get("status") in COMPLETE
        self._circumstances(response, where)
        self._items(self._form.items, (response,), where, enabled=True)
        self._constraints(self._form.raw, None, where)

    def _circumstances(self, response: Json, where: Place) -> None:
        questionnaire, name = self._form.raw, shown(self._form.name)
        if questionnaire.get("status") in UNUSED:
            status = "a draft" if questionnaire["status"] == "draft" else "retired"
            self._findings.report("questionnaire-draft", (where, "questionnaire", None), name=name, status=status)
        allowed = questionnaire.get("subjectType")
        found = _subject(response)
        if found and isinstance(allowed, list) and allowed and found not in allowed:
            types = " or ".join(shown(one) for one in allowed)
            self._findings.report(
                "subject-type", (where, "subject", None), name=name, allowed=types, found=shown(found)
            )
        self._period(response, questionnaire.get("effectivePeriod"), (where, "authored", None))

    def _period(self, response: Json, period: Any, where: Place) -> None:
        authored = response.get("authored")
        if not isinstance(authored, str) or not isinstance(period, dict):
            return
        moment = span(authored)
        for name, message, before in (("start", "authored-before", True), ("end", "authored-after", False)):
            limit = period.get(name)
            bound = span(limit) if isinstance(limit, str) else None
            if moment and bound and (moment[1] < bound[0] if before else moment[0] > bound[1]):
                self._findings.report(message, where, value=shown(authored), limit=shown(limit))

    def _items(self, questions: tuple[Question, ...], chain: Chain, where: Place, *, enabled: bool | None) -> None:
        """Check the items of a node: a response, the item of a group, or an answer."""
        present = self._sorted(questions, chain, where)
        for question in questions:
            here = all_of([enabled, self._enabling.enabled(question, chain)])
            rows = present.get(question.link, [])
            if rows:
                self._present(question, rows, chain, where, enabled=here)
            elif here and question.required:
                self._missing(question, where)
            if question.type == "group":
                self._occurs(question, len(rows), where, enabled=here)

    def _sorted(self, questions: tuple[Question, ...], chain: Chain, where: Place) -> dict[str, list[Row]]:
        """Return the items of a node by linkId; report those that do not belong there, or not in this order."""
        order = {question.link: index for index, question in enumerate(questions)}
        present: dict[str, list[Row]] = {}
        last = ""
        for index, item in enumerate(objects(chain[-1], "item")):
            link, here = item.get("linkId"), (where, "item", index)
            if not isinstance(link, str) or not link:
                self._findings.report("item-link", here)
            elif link in order:
                if last and order[link] < order[last]:
                    self._findings.report("item-order", here, link=shown(link), before=shown(last))
                last = link
                present.setdefault(link, []).append((index, item))
            else:
                self._elsewhere(link, item, chain, here)
        return present

    def _elsewhere(self, link: str, item: Json, chain: Chain, where: Place) -> None:
        question = self._form.questions.get(link)
        if question is None:
            hint = self._findings.hint(link, self._form.questions)
            name = shown(self._form.name)
            self._findings.report("item-unknown", where, link=shown(link), name=name, hint=hint)
        else:
            above = self._form.above.get(link)
            place = f"within '{shown(above)}'" if above is not None else "at the top"
            self._findings.about("item-place", question, where, place=place)
            self._item(question, item, chain, where, enabled=None)

    def _present(
        self, question: Question, rows: list[Row], chain: Chain, where: Place, *, enabled: bool | None
    ) -> None:
        if len(rows) > 1 and not question.repeats:
            self._findings.about("item-once", question, (where, "item", rows[1][0]), found=len(rows))
        for index, item in rows:
            here = (where, "item", index)
            if enabled is False:
                if _answered(item):
                    self._findings.about("item-disabled", question, here)
            else:
                self._item(question, item, chain, here, enabled=enabled)

    def _item(self, question: Question, item: Json, chain: Chain, where: Place, *, enabled: bool | None) -> None:
        self._text(question, item, where)
        self._constraints(question.raw, item, where)
        answers, inner = objects(item, "answer"), (*chain, item)
        if question.type == "display":
            if "item" in item:
                self._findings.about("items-of-display", question, where)
        elif not question.asks:
            self._items(question.items, inner, where, enabled=enabled)
        elif "item" in item:
            self._findings.about("items-beneath", question, where, type=question.type)
        if not question.asks:
            if answers:
                move = "; what is within them belongs into 'item'" if question.type == "group" else ""
                self._findings.about("answers-none", question, where, type=shown(question.type), move=move)
            return
        self._number(question, answers, where, enabled=enabled)
        for index, answer in enumerate(answers):
            here = (where, "answer", index)
            self._answers.check(question, answer, here)
            self._items(question.items, (*inner, answer), here, enabled=enabled)
        self._answers.exclusive(question, answers, where)

    def _constraints(self, node: Json, item: Json | None, where: Place) -> None:
        for one in constraints(node):
            if self._expressions.holds(one.expression, item) is False:
                message = "constraint" if one.fails and self._complete else "constraint-yet"
                self._findings.report(message, where, key=shown(one.key), human=shown(one.human or one.expression))

    def _number(self, question: Question, answers: list[Json], where: Place, *, enabled: bool | None) -> None:
        if question.required and enabled and not answers:
            self._missing(question, where)
        if len(answers) > 1 and not question.repeats:
            self._findings.about("answers-once", question, where, found=len(answers))
        self._occurs(question, len(answers), where, enabled=enabled)

    def _occurs(self, question: Question, found: int, where: Place, *, enabled: bool | None) -> None:
        least, most = question.extended(LEAST), question.extended(MOST)
        # A question that nobody need answer is answered often enough by not being answered; `required` asks for it.
        if type(least) is int and found < least and enabled and (found or question.asks):
            message = "item-few" if self._complete else "item-few-yet"
            self._findings.about(message, question, where, min=least, found=found)
        if type(most) is int and found > most:
            self._findings.about("item-many", question, where, max=most, found=found)

    def _missing(self, question: Question, where: Place) -> None:
        text = f" ({shown(question.text)})" if question.text else ""
        self._findings.about("item-missing" if self._complete else "item-missing-yet", question, where, text=text)

    def _text(self, question: Question, item: Json, where: Place) -> None:
        text = item.get("text")
        if isinstance(text, str) and question.text and text not in _texts(question):
            given, expected = f"'{shown(text)}'", f"'{shown(question.text)}'"
            self._findings.about("item-text", question, (where, "text", None), value=given, expected=expected)


def _subject(response: Json) -> str:
    subject = response.get("subject")
    if not isinstance(subject, dict):
        return ""
    reference, stated = subject.get("reference"), subject.get("type")
    found = named(reference) if isinstance(reference, str) else ""
    return found or (stated if isinstance(stated, str) else "")


def _texts(question: Question) -> set[str]:
    """Return the text of a question in all its languages."""
    sibling = question.raw.get("_text")
    found = {question.text}
    for one in objects(sibling, "extension") if isinstance(sibling, dict) else ():
        if one.get("url") == TRANSLATION:
            parts = {part.get("url"): value(part, "value")[1] for part in objects(one, "extension")}
            if isinstance(content := parts.get("content"), str):
                found.add(content)
    return found


def _answered(item: Json) -> bool:
    """Return whether there is an answer in an item, at any depth."""
    return bool(objects(item, "answer")) or any(_answered(one) for one in objects(item, "item"))
