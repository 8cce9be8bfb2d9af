"""Whether an answer is as a case has it: order never matters, and the case says in words between dollar signs what may differ."""

import re
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

VERSION = "version:4"
LEFT_OUT = frozenset({"text", "meta", "fhir_comments"})
"""Members of a resource that are not compared."""

SERVER = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-server"

PATTERNS = {
    "$": r".*",
    "instant": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "date": r"\d{4}(-\d\d(-\d\d(T.*)?)?)?",
    "uuid": r"(urn:uuid:)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "string": r"(?s).+",
    "version": r".+",
    "url": r"(https?|urn):.+",
    "token": r"[0-9a-zA-Z_][0-9a-zA-Z_.\-]*",
    "semver": r"\d+(\.\d+){1,2}.*",
}


class Likeness:
    """How strictly answers are compared.

    Args:
        modes: What the server claims to be.
    """

    def __init__(self, modes: frozenset[str]) -> None:
        self._modes = modes

    def difference(self, expected: Any, actual: Any, path: str = "") -> str:
        """Return what is not as it should be, with its place; nothing where all is."""
        if isinstance(expected, dict):
            return self._objects(expected, actual, path) if isinstance(actual, dict) else f"{path}: no object"
        if isinstance(expected, list):
            return self._arrays(expected, actual, path) if isinstance(actual, list) else f"{path}: no array"
        if isinstance(expected, str) and isinstance(actual, str) and _like(expected, actual):
            return ""
        same = type(expected) is type(actual) and expected == actual
        return "" if same else f"{path}: expected {expected!r}, not {actual!r}"

    def _objects(self, expected: Json, actual: Json, path: str) -> str:
        free = {*expected.get("$optional-properties$", ()), *expected.get("$optional", ())}
        counted = set(expected.get("$count-arrays$", ()))
        wanted = {key: value for key, value in _scrubbed(expected).items() if not key.startswith("$")}
        given = _scrubbed(actual)
        if "severity" in wanted and "expression" in wanted:
            # R5 lets `location` go in favour of `expression`; where it is given, it says the same.
            wanted.setdefault("location", wanted["expression"])
            free.add("location")
        for key in given.keys() - wanted.keys() - free:
            return f"{path}.{key}: not expected: {str(given[key])[:300]}"
        for key, value in wanted.items():
            if key not in given:
                if key not in free and not (isinstance(value, list) and all(self._optional(one) for one in value)):
                    return f"{path}.{key}: missing; expected {str(value)[:300]}"
            elif key in counted:
                if len(given[key]) > len(value):
                    return f"{path}.{key}: {len(given[key])} rows, {len(value)} at most"
            elif found := self.difference(value, given[key], f"{path}.{key}"):
                return found
        return ""

    def _arrays(self, expected: Sequence[Any], actual: Sequence[Any], path: str) -> str:
        """Match the elements of two arrays: those that have to be there first, each of the others at most once."""
        if len(expected) == len(actual) and not any(
            self.difference(*pair, "") for pair in zip(expected, actual, strict=True)
        ):
            return ""
        rows = sorted(range(len(expected)), key=lambda one: self._optional(expected[one]))
        partner: dict[int, int] = {}
        for row in rows:
            if not self._matched(expected, actual, row, partner, set()) and not self._optional(expected[row]):
                return self._unmatched(expected[row], [one for at, one in enumerate(actual) if at not in partner], path)
        for at, one in enumerate(actual):
            if at not in partner:
                return f"{path}: not expected: {str(one)[:400]}"
        return ""

    def _matched(
        self, expected: Sequence[Any], actual: Sequence[Any], row: int, partner: dict[int, int], tried: set[int]
    ) -> bool:
        for at, one in enumerate(actual):
            if at not in tried and not self.difference(expected[row], one):
                tried.add(at)
                if at not in partner or self._matched(expected, actual, partner[at], partner, tried):
                    partner[at] = row
                    return True
        return False

    def _unmatched(self, expected: Any, left: Sequence[Any], path: str) -> str:
        """Tell the nearest of what there is, or that there is nothing."""
        told = [self.difference(expected, one, f"{path}[{_name(expected)}]") for one in left]
        near = [text for text, one in zip(told, left, strict=True) if _name(one) == _name(expected)]
        if near or len(told) == 1:
            return (near or told)[0]
        return f"{path}: missing: {str(expected)[:400]}"

    def _optional(self, value: Any) -> bool:
        """Return whether something may be missing: always, in a release, or unless the server claims to be something."""
        said = value.get("$optional$") if isinstance(value, dict) else None
        if isinstance(said, str):
            if said.startswith("!"):
                return said[1:] not in self._modes
            return said.startswith("warning:") or said == VERSION or said in self._modes
        return said is True


def status_like(expected: str, actual: int) -> bool:
    """Return whether an HTTP status is as expected; `x` is any digit."""
    return re.fullmatch(expected.replace("x", r"\d"), str(actual)) is not None


def _like(expected: str, actual: str) -> bool:
    if not (len(expected) > 1 and expected.startswith("$") and expected.endswith("$")):
        literal, *others = expected.split("$version$")
        pattern = re.escape(literal) + "".join(PATTERNS["version"] + re.escape(part) for part in others)
        return re.fullmatch(pattern, actual) is not None
    kind, _, rest = expected[1:-1].partition(":")
    if kind == "external":
        return rest.partition(":")[2] in actual
    if kind == "choice":
        return actual in rest.split("|")
    if kind == "fragments":
        return all(one in actual for one in rest.split(";"))
    return re.fullmatch(PATTERNS[kind or "$"], actual) is not None


def _scrubbed(element: Json) -> Json:
    if "resourceType" in element:
        return {key: value for key, value in element.items() if key not in LEFT_OUT}
    if "severity" in element and "extension" in element:
        kept = [one for one in element["extension"] if one.get("url") != SERVER]
        return {
            **{key: value for key, value in element.items() if key != "extension"},
            **({"extension": kept} if kept else {}),
        }
    return element


def _name(value: Any) -> Any:
    return (
        next((value[key] for key in ("name", "code", "url") if key in value), "") if isinstance(value, dict) else value
    )
