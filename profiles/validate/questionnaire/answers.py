"""One answer against its question: the type of its value, the options that it is one of, the limits of the value."""

from collections.abc import Mapping
from typing import Any

from profiles.fhirpath.scope import Units
from profiles.validate.messages import shown
from profiles.validate.profile.codes import Codes
from profiles.validate.questionnaire.findings import Findings, words
from profiles.validate.questionnaire.form import ANSWERED_BY, CHOICES, Form, Question, value
from profiles.validate.questionnaire.limits import Limits
from profiles.validate.questionnaire.options import Options, excludes
from profiles.validate.walk import Place

Json = dict[str, Any]


class Answers:
    """The checks of answers to the questions of one form.

    Args:
        form: The form.
        findings: Where to report.
        codes: Membership in value sets.
        units: Units of measure.
        value_sets: ValueSets by URL that come before those that `codes` knows.
    """

    def __init__(
        self, form: Form, findings: Findings, codes: Codes, units: Units | None, value_sets: Mapping[str, Json]
    ) -> None:
        self._form = form
        self._findings = findings
        self._codes = codes
        self._value_sets = value_sets
        self._limits = Limits(findings, units, self)
        self._sorted: dict[int, Options] = {}

    def check(self, question: Question, answer: Json, where: Place) -> None:
        """Report what is wrong with one answer."""
        kind, given = value(answer, "value")
        if not kind:
            if not any(key.startswith("_value") for key in answer):
                self._findings.about("answer-empty", question, where)
            return
        if kind not in ANSWERED_BY[question.type]:
            self._wrong_type(question, kind, where)
            return
        here = (where, f"value.ofType({kind})", None)
        if question.type in CHOICES or "answerOption" in question.raw or question.value_set:
            self._option(question, kind, given, here)
        self._limits.check(question, kind, given, here)

    def exclusive(self, question: Question, answers: list[Json], where: Place) -> None:
        """Report an answer that excludes others and is not alone."""
        if len(answers) < 2 or "answerOption" not in question.raw:
            return
        options = self._options(question)
        for index, answer in enumerate(answers):
            kind, given = value(answer, "value")
            option = options.find(kind, given)
            if option is not None and excludes(option):
                places = {"value": words(kind, given), "found": len(answers)}
                self._findings.about("answer-exclusive", question, (where, "answer", index), **places)
                return

    def member(self, value_set: str, system: str, code: str) -> bool | None:
        """Return whether a code is in a value set, which may be contained in the form; `None` where that is not known."""
        own = self._form.contained(value_set) or self._value_sets.get(value_set)
        if own is None and value_set.startswith("#"):
            return None
        return self._codes.holds(own, system, code) if own is not None else self._codes.member(value_set, system, code)

    def _wrong_type(self, question: Question, kind: str, where: Place) -> None:
        allowed = " or ".join(ANSWERED_BY[question.type][: 2 if question.type == "open-choice" else 1])
        self._findings.about("answer-type", question, where, found=kind, type=question.type, allowed=allowed)

    def _option(self, question: Question, kind: str, given: Any, where: Place) -> None:
        free = question.type == "open-choice" and kind == "string"
        if "answerOption" in question.raw:
            if not free:
                self._listed(question, kind, given, where)
        elif kind == "Coding":
            if question.value_set:
                self._in_set(question, given, where)
        elif question.value_set and not free:
            self._findings.about("answer-not-coded", question, where, found=kind, type=question.type)

    def _listed(self, question: Question, kind: str, given: Any, where: Place) -> None:
        options = self._options(question)
        if kind not in options.kinds:
            allowed = ", ".join(sorted(options.kinds))
            self._findings.about("answer-option-type", question, where, found=kind, allowed=allowed)
            return
        option = options.find(kind, given)
        if option is None:
            known = (words(*value(one, "value")) for one in options.rows)
            hint = self._findings.hint(words(kind, given), known)
            self._findings.about("answer-option", question, where, value=words(kind, given), hint=hint)
        elif kind == "Coding":
            self._shown(question, given, value(option, "value")[1], where)

    def _shown(self, question: Question, given: Json, option: Json, where: Place) -> None:
        found, expected = given.get("display"), option.get("display")
        if isinstance(found, str) and isinstance(expected, str) and found != expected:
            code = words("Coding", given)
            self._findings.about(
                "answer-display", question, where, value=code, found=shown(found), expected=shown(expected)
            )

    def _options(self, question: Question) -> Options:
        found = self._sorted.get(id(question))
        if found is None:
            found = self._sorted[id(question)] = Options(question)
        return found

    def _in_set(self, question: Question, given: Json, where: Place) -> None:
        system, code = given.get("system", ""), given.get("code")
        if not isinstance(code, str) or not isinstance(system, str):
            found: bool | None = None if question.type == "open-choice" else False
        else:
            found = self.member(question.value_set, system, code)
        if found is False:
            message = "answer-set"
        elif found is None:
            message = "answer-set-unchecked"
        else:
            return
        self._findings.about(message, question, where, value=words("Coding", given), set=shown(question.value_set))
