"""Generated searches: criteria whose values are taken from stored resources or lie near them, so that they meet some."""

from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Any

from tests.search import amounts, oracle
from tests.search.oracle import Resource, elements, parameters
from tests.search.selections import PARAMETERS, SYSTEMS

Pairs = list[tuple[str, str]]

PREFIXES = ("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
MODIFIERS = {
    "string": ("", "", "exact", "contains"),
    "token": ("", "", "", "not", "text"),
    "code": ("", "", "not"),
    "uri": ("", "below", "above"),
}


def search(chance: Random, resource_type: str, pool: list[Resource]) -> Pairs:
    """Return the pairs of one search of a type."""
    pairs = [criterion(chance, resource_type, pool) for _ in range(chance.choice([1, 1, 1, 2, 2, 3]))]
    if chance.random() < 0.6:
        keys = chance.sample(
            [
                code
                for code, (kind, _) in parameters(resource_type).items()
                if code != "_profile" and "composite" not in kind
            ],
            chance.choice([1, 1, 2]),
        )
        pairs.append(("_sort", ",".join(chance.choice(["", "-"]) + one for one in keys)))
    return pairs


def chain(chance: Random, resource_type: str, resources: dict[str, list[Resource]]) -> tuple[str, str, str, str, str]:
    """Return a reference parameter of a type, a type that it leads to, a criterion on that type, and the name of the chain."""
    links = [
        (code, target)
        for code, (kind, paths) in PARAMETERS[resource_type].items()
        for target in PARAMETERS
        if kind == "reference"
        and any(
            str(value.get("reference", "")).startswith(f"{target}/")
            for resource in resources[resource_type][:200]
            for value in elements(resource, paths)
        )
    ]
    if not links:
        return "", "", "", "", ""
    code, target = chance.choice(links)
    name, text = criterion(chance, target, resources[target])
    return code, target, name, text, f"{code}:{target}.{name}"


def criterion(
    chance: Random, resource_type: str, pool: list[Resource], codes: Sequence[str] | None = None
) -> tuple[str, str]:
    """Return one criterion of a type, by one of some parameters."""
    known = parameters(resource_type)
    code = chance.choice(codes or [*known, *PARAMETERS[resource_type], *PARAMETERS[resource_type]])
    kind, paths = known[code]
    found = [value for resource in chance.sample(pool, min(30, len(pool))) for value in elements(resource, paths)]
    if chance.random() < 0.08 or not found:
        return f"{code}:missing", chance.choice(["true", "false"])
    name, _, system = kind.partition(" ")
    if name == "composite":
        found = [value for value in found if all(elements(value, inside) for _, inside in oracle.parts(kind))]
        if not found:
            return f"{code}:missing", "true"
        wanted = [_together(chance, found, oracle.parts(kind)) for _ in range(chance.choice([1, 1, 2]))]
        return code, ",".join(wanted)
    if name == "reference" and chance.random() < 0.2:
        target, _, identity = str(chance.choice(found).get("reference", "Patient/nobody")).partition("/")
        return f"{code}:{target}", identity
    if name == "code" and system in SYSTEMS.values() and chance.random() < 0.15:
        return f"{code}:{chance.choice(['in', 'not-in'])}", chance.choice(list(SYSTEMS))
    typed = [one for one in found if isinstance(one, dict) and one.get("value") and "coding" in one.get("type", {})]
    if name == "token" and typed and chance.random() < 0.2:
        one = chance.choice(typed)
        kind = one["type"]["coding"][0]
        return f"{code}:of-type", "|".join(map(_escaped, (kind.get("system", ""), kind["code"], one["value"])))
    logical = [one["identifier"] for one in found if name == "reference" and "identifier" in one]
    if logical and chance.random() < 0.3:
        return f"{code}:identifier", _token(chance, chance.choice(logical), "", "")
    modifier = chance.choice(MODIFIERS.get(name, ("",)))
    texts = [TEXTS[name](chance, chance.choice(found), modifier, system) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
    return f"{code}:{modifier}" if modifier else code, ",".join(filter(None, texts)) or "x"


def _together(chance: Random, found: list[Any], parts: list[tuple[str, str]]) -> str:
    """Return a composite value: mostly of one element, at times of the parts of several."""
    one = chance.choice(found)
    texts: list[str] = []
    for name, paths in parts:
        value = chance.choice(elements(chance.choice(found) if chance.random() < 0.2 else one, paths))
        texts.append(TEXTS[name](chance, value, "", "") or "x")
    return "$".join(texts)


def _escaped(text: str) -> str:
    for special in "\\,|$":
        text = text.replace(special, f"\\{special}")
    return text


def _string(chance: Random, value: Any, modifier: str, system: str) -> str:
    text: str = chance.choice([value] if isinstance(value, str) else [one for one in oracle.texts(value) if one])
    if modifier == "exact":
        return _escaped(chance.choice([text, text, text.lower()]))
    start = chance.randrange(len(text)) if modifier == "contains" else 0
    part = text[start : start + chance.randrange(1, 8)].strip() or text
    return _escaped(chance.choice([part, part.upper(), part.lower(), oracle.fold(part) or part]))


def _token(chance: Random, value: Any, modifier: str, system: str) -> str:
    if modifier == "text":
        words = [word for text in oracle.readings(value) for word in text.split()]
        return _escaped(chance.choice(words)[: chance.randrange(3, 12)]) if words else "nothing"
    coded = chance.choice(value.get("coding", [value]))
    code, of = _escaped(coded.get("code", coded.get("value", "x"))), _escaped(coded.get("system", ""))
    of_any = f"{of}|" if of else code
    return chance.choice([code, f"{of}|{code}", f"{of}|{code}", f"|{code}", of_any, f"urn:none|{code}"])


def _code(chance: Random, value: Any, modifier: str, system: str) -> str:
    code = str(value).lower() if isinstance(value, bool) else str(value)
    return chance.choice([code, code, *([f"{system}|{code}", f"{system}|", f"urn:none|{code}"] if system else [])])


def _reference(chance: Random, value: Any, modifier: str, system: str) -> str:
    target = str(value.get("reference", "Patient/nobody"))
    return chance.choice([target, target, target.partition("/")[2] or target])


def _date(chance: Random, value: Any, modifier: str, system: str) -> str:
    text = str(value)
    if isinstance(value, dict):
        stated = [value.get("start"), value.get("end"), *value.get("event", [])]
        text = chance.choice([one for one in stated if one] or ["2015-06-01"])
    if chance.random() < 0.2:
        text = f"{chance.randrange(1950, 2021)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
    forms = [text[:length] for length in (4, 7, 10) if length <= len(text)]
    if len(text) > 19:
        forms += [text, text]
        if text[19] in "Z+-":
            forms.append(text[:16] + text[19:])
    return chance.choice(PREFIXES) + chance.choice(forms)


def _instant(chance: Random, value: Any, modifier: str, system: str) -> str:
    # Approximately is measured from the present, which goes on between two readings of a time just past.
    return _date(chance, value, modifier, system).replace("ap", "ge")


def _number(chance: Random, value: Any, modifier: str, system: str) -> str:
    stated = chance.choice([value["low"]["value"], value["high"]["value"]]) if isinstance(value, dict) else value
    near = float(stated) + chance.choice([0, 0, 0, 0.05, -0.5, 1])
    forms = [str(stated), f"{near:.0f}", f"{near:.1f}", f"{near:.2f}", f"{near:.2e}", f"{near:.0e}"]
    return chance.choice(PREFIXES) + chance.choice(forms)


def _quantity(chance: Random, value: Any, modifier: str, system: str) -> str:
    value = next((end for end in amounts.ends(value) if end), value)
    number = _number(chance, value.get("value", 1), modifier, system)
    unit = _escaped(value.get("code", value.get("unit", "")))
    if value.get("system") == amounts.UCUM and chance.random() < 0.4:
        other = chance.choice([*amounts.others(value["code"]), value["code"]])
        near = amounts.within(value, other) or Fraction(0)
        digits = f"{float(near * Fraction(chance.choice([20, 20, 21]), 20)):.{chance.choice([1, 3, 6, 12])}g}"
        return f"{chance.choice(PREFIXES)}{digits}|{_escaped(amounts.UCUM)}|{_escaped(other)}"
    full = f"{number}|{_escaped(value.get('system', ''))}|{unit}"
    return chance.choice([number, full, full, f"{number}||{_escaped(value.get('unit', 'mg'))}", f"{number}||none"])


def _uri(chance: Random, value: Any, modifier: str, system: str) -> str:
    path = str(value).partition("://")[2] or "acme.org"
    if modifier == "above":
        return f"http://{path}/more/1"
    return f"http://{path[: chance.randrange(3, 40)]}" if modifier == "below" else str(value)


def _canonical(chance: Random, value: Any, modifier: str, system: str) -> str:
    return chance.choice([str(value), str(value).partition("|")[0]])


def _contact(chance: Random, value: Any, modifier: str, system: str) -> str:
    return _escaped(value["value"])


TEXTS = {
    "string": _string, "token": _token, "code": _code, "contact": _contact, "reference": _reference, "uri": _uri,
    "canonical": _canonical, "date": _date, "instant": _instant, "number": _number, "quantity": _quantity,
}  # fmt: skip
