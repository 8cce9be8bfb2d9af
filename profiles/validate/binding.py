"""Required bindings (R4 4.1.5): codes, codings and concepts must come from their value set.

Only sets that the definitions can enumerate are checked: units of UCUM, languages, currencies and media types are
open-ended grammars and belong to a terminology service.
"""

from collections.abc import Callable
from typing import Any

from profiles.definitions.model import Element, RequiredSet
from profiles.definitions.registry import Definitions
from profiles.validate.messages import shown
from profiles.validate.walk import Json, Place, Walk

_FEW = 12
_TEXTS = frozenset({"code", "string", "uri"})


def codes(element: Element, definitions: Definitions) -> RequiredSet | None:
    """Return the set that a primitive element must take its value from, if there is one that can be enumerated."""
    bound = element.binding and element.type in _TEXTS
    return definitions.required_codes(element.binding) if bound else None


def refuse(value: str, members: RequiredSet, where: Place, walk: Walk) -> None:
    """Report a code that is not in its set."""
    hint = walk.hint(value, members.codes) or _few(members)
    walk.report("binding-code", where, value=shown(value), set=members.name, url=members.url, hint=hint)


def compile(element: Element, definitions: Definitions) -> Callable[[Json, Place, Walk], None] | None:  # noqa: A001 - the word for it
    """Return the check of a bound Coding, CodeableConcept or Quantity, or `None` where nothing is to be checked."""
    members = definitions.required_codes(element.binding) if element.binding else None
    if members is None or element.type not in _CODINGS:
        return None
    codings, pairs = _CODINGS[element.type], members.pairs

    def check(node: Json, where: Place, walk: Walk) -> None:
        found = codings(node)
        if any(coding in pairs for coding in found):
            return
        if found:
            hint = _near(found, members, walk)
            given = ", ".join(f"{shown(system)}#{shown(code)}" for system, code in found[:3])
            walk.report("binding-codings", where, value=given, set=members.name, url=members.url, hint=hint)
        else:
            walk.report("binding-missing", where, set=members.name, url=members.url, hint=_few(members))

    return check


def _pair(node: Any) -> list[tuple[str, str]]:
    if type(node) is not dict:
        return []
    system, code = node.get("system", ""), node.get("code")
    return [(system, code)] if type(code) is str and type(system) is str else []


def _of_concept(node: Json) -> list[tuple[str, str]]:
    coding = node.get("coding")
    return [pair for one in coding for pair in _pair(one)] if type(coding) is list else []


_CODINGS: dict[str, Callable[[Json], list[tuple[str, str]]]] = {
    "Coding": _pair,
    "Quantity": _pair,
    "CodeableConcept": _of_concept,
}


def _near(found: list[tuple[str, str]], members: RequiredSet, walk: Walk) -> str:
    """Return which member was meant: the code in its own system, the nearest code of the system, or the few that there are."""
    for _, code in found:
        if code in members.codes:
            right = next((system for system, member in sorted(members.pairs) if member == code), "")
            return f" (did you mean '{shown(code)}' of {right}?)" if right else ""
    for system, code in found:
        hint = walk.hint(code, [member for known, member in members.pairs if known == system])
        if hint:
            return hint
    return _few(members)


def _few(members: RequiredSet) -> str:
    """Return the members themselves where they are few enough to be read."""
    few = sorted(members.codes)
    return f" (one of {', '.join(few)})" if len(few) <= _FEW else ""
