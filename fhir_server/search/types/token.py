"""Token parameters: codes, identifiers and flags (R4 3.1.1.4.10).

A stored entry is `code|system`, code first so that a code without system is a prefix; `code|` where there is no system.
Values of types without room for a system (code, boolean, id, uri, string) are the bare text. A bar or a backslash in the
code is escaped by a backslash. FHIR `string`s are not case sensitive here (R4), so they are stored in lower case.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_server.search.escapes import plain, split
from fhir_server.search.expression import Criterion, Expression, Not, Nothing
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions
from fhir_server.search.types.conditions import Condition, Is, Like, Starts
from fhir_server.search.types.refusal import refusal

MODIFIERS = frozenset({"not"})
EXAMPLE = "code, system|code, |code or system|, such as http://loinc.org|8867-4"

WITH_SYSTEM = frozenset({"Coding", "CodeableConcept", "Identifier"})
FLAGS = frozenset({"true", "false"})


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return one entry for each code of the values; the empty entry for an element that holds none."""
    found: dict[str, None] = {}
    for type_name, value in values:
        for code in _CODES.get(type_name, _of_text)(value) or ("",):
            found[code] = None
    return list(found)


def escape(code: str) -> str:
    r"""Return the code with `\` and `|` escaped."""
    return code.replace("\\", "\\\\").replace("|", "\\|") if "|" in code or "\\" in code else code


def pair(code: str, system: str) -> str:
    """Return the stored form of a code with its system, which may be empty."""
    return f"{escape(code)}|{system}"


def codes(type_name: str, value: Any) -> list[str]:
    """Return the stored form of each code of one value."""
    return _CODES.get(type_name, _of_text)(value)


def _of_concept(value: Mapping[str, Any]) -> list[str]:
    return [found for coding in value.get("coding", ()) for found in _of_coding(coding)]


def _of_coding(value: Mapping[str, Any]) -> list[str]:
    return _pair(value.get("code"), value.get("system"))


def _of_identifier(value: Mapping[str, Any]) -> list[str]:
    return _pair(value.get("value"), value.get("system"))


def _of_contact(value: Mapping[str, Any]) -> list[str]:
    return _pair(value.get("value"), None)


def _of_flag(value: bool) -> list[str]:  # noqa: FBT001 - a FHIR boolean is the value itself
    return ["true" if value else "false"]


def _of_string(value: str) -> list[str]:
    return [escape(value.casefold())]


def _of_text(value: Any) -> list[str]:
    return [escape(str(value))]


_CODES: Mapping[str, Callable[[Any], list[str]]] = {
    "CodeableConcept": _of_concept,
    "Coding": _of_coding,
    "Identifier": _of_identifier,
    "ContactPoint": _of_contact,
    "boolean": _of_flag,
    "string": _of_string,
}
"""How the codes of a value are read, by its type; all others are text."""


def _pair(code: Any, system: Any) -> list[str]:
    stated, within = isinstance(code, str), isinstance(system, str)
    return [pair(code if stated else "", system if within else "")] if stated or within else []


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a code of the parameter is one of these", or with `:not` that none is.

    Raises:
        InvalidParameter: More than one bar, a system where the element has none, or a flag other than true and false.
    """
    found = tuple(condition for text in texts for condition in _conditions(param, text, reading))
    # A system that the element cannot have leaves no condition: nothing matches.
    criterion = Criterion(param, found) if found else Nothing()
    return Not(criterion) if modifier == "not" else criterion


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    return conditions.predicate(criterion.param.field, criterion.values, array=criterion.param.array)


def matches(criterion: Criterion, entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return conditions.matches(criterion.values, entries)


def paired(system: str | None, code: str) -> Condition:
    """Return the condition on an entry of the form `code|system`.

    Args:
        system: `None` for any or no system, empty for no system.
        code: Empty for any code of the system.
    """
    if system is None:
        return Starts(f"{escape(code)}|")
    # The code may hold escaped bars: walk over it, so that the system is what follows the first plain bar.
    return Is(pair(code, system)) if code else Like(rf"^(?:[^\\|]|\\.)*\|{re.escape(system)}$")


def _conditions(param: Param, text: str, reading: Reading) -> Iterator[Condition]:
    system, code = _read(param, text)
    if param.value_types & WITH_SYSTEM:
        yield paired(system, code)
    if system is None and "ContactPoint" in param.value_types:
        yield Is(pair(code, ""))
    if system is None and param.value_types - WITH_SYSTEM - {"ContactPoint"}:
        yield from dict.fromkeys(
            [Is(escape(code)), *([Is(escape(code.casefold()))] if "string" in param.value_types else [])]
        )
    if system is not None and "code" in param.value_types:
        yield from _implicit(param, system, code, reading)


def _read(param: Param, text: str) -> tuple[str | None, str]:
    """Return (system, code) of a query text; the system is `None` where there is no bar."""
    parts = [plain(part) for part in split(text, "|")]
    takes_system = bool(param.value_types & (WITH_SYSTEM | {"code"}))
    if len(parts) > 2 or (len(parts) == 2 and not takes_system) or not any(parts):
        expected = (
            rf"{EXAMPLE}; a bar inside of the code is written \|" if takes_system else "the value alone, without a bar"
        )
        raise refusal(param, text, expected)
    if param.value_types == {"boolean"} and parts[0] not in FLAGS:
        raise refusal(param, text, "true or false")
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


def _implicit(param: Param, system: str, code: str, reading: Reading) -> Iterator[Condition]:
    """Yield the bare codes that a system stands for, where an element of type `code` is bound to a value set."""
    for url in param.bindings:
        members = reading.definitions.required_codes(url) if reading.definitions else None
        if members is None:
            if code:
                yield Is(escape(code))
        elif (system, code) in members.pairs:
            yield Is(escape(code))
        elif not code:
            yield from (Is(escape(member)) for within, member in sorted(members.pairs) if within == system)
