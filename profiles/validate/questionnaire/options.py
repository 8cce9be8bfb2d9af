"""`Options`: the answers that a question permits (answerOption), each found by what an answer names it by."""

from typing import Any

from profiles.validate.questionnaire.form import EXCLUSIVE, Question, objects, value

Json = dict[str, Any]
Key = tuple[str, str, str | None]


class Options:
    """The options of one question, sorted once.

    Attributes:
        rows: The options.
        kinds: Types of their values.
    """

    def __init__(self, question: Question) -> None:
        self.rows = question.options
        self.kinds: set[str] = set()
        self._table: dict[Key, Json] = {}
        for option in self.rows:
            kind, permitted = value(option, "value")
            if kind:
                self.kinds.add(kind)
                code, system = _named(kind, permitted)
                self._table.setdefault((kind, code, system), option)
                self._table.setdefault((kind, code, None), option)

    def find(self, kind: str, given: Any) -> Json | None:
        """Return the option that an answer is, `None` where it is none; option or answer may leave out the system."""
        code, system = _named(kind, given)
        keys: list[Key] = [(kind, code, system), (kind, code, "")] if system else [(kind, code, None)]
        return next((self._table[key] for key in keys if key in self._table), None)


def _named(kind: str, given: Any) -> tuple[str, str]:
    """Return code and system of a value, or what else it is told by."""
    if kind == "Coding" and isinstance(given, dict):
        code, system = given.get("code"), given.get("system")
        if isinstance(code, str):
            return code, system if isinstance(system, str) else ""
        return str(given.get("display")), "by its display"
    if kind == "Reference" and isinstance(given, dict):
        return str(given.get("reference")), ""
    return str(given), ""


def excludes(option: Json) -> bool:
    """Return whether an option is chosen alone or not at all."""
    return any(one.get("url") == EXCLUSIVE and one.get("valueBoolean") is True for one in objects(option, "extension"))
