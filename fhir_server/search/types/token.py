"""Token parameters: codes, identifiers and flags (R4 3.1.1.4.10).

A stored entry is `code|system`, code first so that a code without system is a prefix; `code|` where there is no system.
Values of types without room for a system (code, boolean, id, uri, string) are the bare text. A bar or a backslash in the
code is escaped by a backslash. FHIR `string`s are not case sensitive here (R4), so they are stored in lower case.

Beside them, as `s.<code>:text` and `s.<code>:of-type`, stand the folded texts that people read, and the identifiers with
their types. A value set or a hierarchy of codes is named by a node of its own, which is resolved before it is compiled.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from fhir_server.search.escapes import plain, split
from fhir_server.search.expression import Concepts, Criterion, Expression, Not, Nothing, all_of, any_of
from fhir_server.search.params import Param, facet
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import conditions
from fhir_server.search.types.conditions import Condition, Is, Like, Pattern, Starts
from fhir_server.search.types.refusal import refusal
from terminology.words import fold

MODIFIERS = frozenset({"not", "text", "in", "not-in", "above", "below", "of-type"})
EXAMPLE = "code, system|code, |code or system|, such as http://loinc.org|8867-4"

TEXT, OF_TYPE = "text", "of-type"
FACETS: Mapping[str, frozenset[str]] = {
    TEXT: frozenset({"Coding", "CodeableConcept", "Identifier"}),
    OF_TYPE: frozenset({"Identifier"}),
}
"""What is stored beside the codes (`params.facet`), and of which types of values."""

CONCEPTS: Mapping[str, Literal["in", "below", "above"]] = {
    "in": "in", "not-in": "in", "below": "below", "above": "above"
}  # fmt: skip
"""Modifiers that name codes instead of listing them."""

CODED = frozenset({"Coding", "CodeableConcept", "code"})

_ENTRY = re.compile(r"((?:[^\\|]|\\.)+)\|(.+)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

# Where a word begins. The punctuation is spelt out, because MongoDB knows no letters outside of ASCII in a class.
_WORD = "(?:^|[\\s!-/:-@\\[-`{-~\u00a0-\u00bf\u2000-\u206f\u3000-\u303f])"

WITH_SYSTEM = frozenset({"Coding", "CodeableConcept", "Identifier"})
FLAGS = frozenset({"true", "false"})


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[str]:
    """Return one entry for each code of the values; the empty entry for an element that holds none."""
    found: dict[str, None] = {}
    for type_name, value in values:
        for code in _CODES.get(type_name, _of_text)(value) or ("",):
            found[code] = None
    return list(found)


def texts(values: Sequence[tuple[str, Any]]) -> list[str]:
    """Return the folded texts that people read with the codes of the values, for `:text` (R4 3.1.1.4.4)."""
    told = {text: None for type_name, value in values for text in _told(type_name, value) if text}
    return list(dict.fromkeys(map(fold, told)))


def typed(values: Sequence[tuple[str, Any]]) -> list[str]:
    """Return `value|code|system` for each type of each identifier among the values, for `:of-type`."""
    return list(
        dict.fromkeys(
            _typed(value["value"], one.get("code", ""), one.get("system", ""))
            for type_name, value in values
            if type_name == "Identifier" and isinstance(value.get("value"), str)
            for one in value.get("type", {}).get("coding", ())
        )
    )


def _told(type_name: str, value: Any) -> list[Any]:
    match type_name:
        case "CodeableConcept":
            return [value.get("text"), *(coding.get("display") for coding in value.get("coding", ()))]
        case "Coding":
            return [value.get("display")]
        case "Identifier":
            return [value.get("type", {}).get("text")]
    return []


def _typed(value: str, code: str, system: str) -> str:
    return f"{escape(value)}|{pair(code, system)}"


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


def modifiers(param: Param) -> frozenset[str]:
    """Return the modifiers that a parameter takes: those that make sense for the values that it reads."""
    facets = {name for name, types in FACETS.items() if types & param.value_types}
    return frozenset({"not", *facets, *(CONCEPTS if param.value_types & CODED else ())})


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "a code of the parameter is one of these", or what the modifier makes of it.

    Raises:
        InvalidParameter: More than one bar, a system where the element has none, or a flag other than true and false; with a
            modifier, what is not of its form.
    """
    if modifier == TEXT:
        return Criterion(facet(param, TEXT), tuple(_words(param, plain(text)) for text in texts))
    if modifier == OF_TYPE:
        return any_of(_of_type(param, text) for text in texts)
    if modifier in CONCEPTS:
        relation = CONCEPTS[modifier]
        name = _value_set if relation == "in" else _concept
        concepts = Concepts(param, relation, tuple(dict.fromkeys(name(param, modifier, text) for text in texts)))
        return Not(concepts) if modifier == "not-in" else concepts
    found = tuple(condition for text in texts for condition in _conditions(param, text, reading))
    # A system that the element cannot have leaves no condition: nothing matches.
    criterion = Criterion(param, found) if found else Nothing()
    return Not(criterion) if modifier == "not" else criterion


def listed(param: Param, codes: Iterable[tuple[str, str]], reading: Reading) -> Expression:
    """Return the criterion "a code of the parameter is one of these (system, code)"."""
    found: dict[Condition, None] = {}
    for system, code in sorted(codes):
        if param.value_types & WITH_SYSTEM:
            found[Is(pair(code, system))] = None
        if "code" in param.value_types:
            found.update(dict.fromkeys(_implicit(param, system, code, reading)))
    return Criterion(param, tuple(found)) if found else Nothing()


def pairs(param: Param, entries: Iterable[str], reading: Reading) -> set[tuple[str, str]]:
    """Return what (system, code) stored entries of a parameter stand for; a bare code for those that it has in its bindings."""
    found: set[tuple[str, str]] = set()
    if param.value_types & WITH_SYSTEM:
        found.update(pair for entry in entries if (pair := unpaired(entry)) is not None)
    if "code" in param.value_types and reading.definitions:
        for url in param.bindings:
            members = reading.definitions.required_codes(url)
            found.update(members.pairs if members else ())
    return found


def unpaired(entry: str) -> tuple[str, str] | None:
    """Return the (system, code) of a stored entry `code|system`, `None` of one without code or without system."""
    found = _ENTRY.fullmatch(entry)
    return (found[2], _ESCAPED.sub(r"\1", found[1])) if found else None


def _words(param: Param, text: str) -> Condition:
    """Return the condition that a word of the text, and what follows it, begins so."""
    folded = fold(text)
    if not folded:
        raise refusal(param, text, "with :text the beginning of a word, such as headache")
    return Like(_WORD + re.escape(folded))


def _of_type(param: Param, text: str) -> Expression:
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise refusal(
            param,
            text,
            "with :of-type system|code|value, such as http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053; the system and "
            "the code are those of the type of the identifier",
        )
    system, code, value = parts
    # The value alone selects few, by the index of the codes.
    stated = Criterion(param, (Starts(f"{escape(value)}|"),))
    return all_of([stated, Criterion(facet(param, OF_TYPE), (Is(_typed(value, code, system)),))])


def _value_set(param: Param, modifier: str, text: str) -> tuple[str, str]:
    url = plain(text)
    if ":" not in url:
        raise refusal(
            param,
            text,
            f"with :{modifier} the canonical URL of a value set, such as http://hl7.org/fhir/ValueSet/care-plan-category",
        )
    return url, ""


def _concept(param: Param, modifier: str, text: str) -> tuple[str, str]:
    parts = [plain(part) for part in split(text, "|")]
    if len(parts) != 2 or not all(parts):
        raise refusal(
            param,
            text,
            f"with :{modifier} system|code, such as http://terminology.hl7.org/CodeSystem/v3-ActCode|_ActEncounterCode",
        )
    return parts[0], parts[1]


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    return conditions.predicate(criterion.param.field, criterion.values, array=criterion.param.array)


def matches(criterion: Criterion, entries: Sequence[str]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return conditions.matches(criterion.values, entries)


def paired(system: str | None, code: str) -> Pattern:
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
