"""`Findings`: what has been found so far, and how values of an answer are shown in it."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Any

from profiles.issue import Issue
from profiles.validate.messages import shown
from profiles.validate.questionnaire.form import Question
from profiles.validate.questionnaire.messages import issue
from profiles.validate.walk import MOST_HINTS, MOST_ISSUES, Place, render

Json = dict[str, Any]

MOST_COMPARED = 1_000


class Findings:
    """What has been found, each with its place; after a thousand, nothing more is worth its time."""

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self._hints = MOST_HINTS

    def report(self, message_id: str, where: Place | None, **places: object) -> None:
        """Add the finding of a message at a place."""
        if len(self.issues) < MOST_ISSUES:
            self.issues.append(issue(message_id, render(where), **places))

    def about(self, message_id: str, question: Question, where: Place, **places: object) -> None:
        """Add a finding about the answer to a question."""
        self.report(message_id, where, link=shown(question.link), **places)

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Return ` (did you mean 'x'?)` for the known name that is nearest, else nothing."""
        if self._hints <= 0 or len(name) > 64:
            return ""
        self._hints -= 1
        found = get_close_matches(name, islice(known, MOST_COMPARED), n=1, cutoff=0.6)
        return f" (did you mean '{shown(found[0])}'?)" if found else ""


def words(kind: str, value: Any) -> str:
    """Return a value as it is written in a message."""
    if kind == "Coding" and isinstance(value, dict):
        if "code" not in value:
            return f"'{shown(value.get('display', ''))}'"
        return f"{shown(value.get('system', ''))}#{shown(value['code'])}"
    if kind == "Quantity" and isinstance(value, dict):
        unit = value.get("unit", value.get("code", ""))
        return f"{shown(value.get('value', ''))} {shown(unit)}".strip()
    if kind == "Reference" and isinstance(value, dict):
        return f"'{shown(value.get('reference', ''))}'"
    return f"'{shown(value)}'" if isinstance(value, str) else shown(value)
