"""Generated `_filter`s with what they mean, told from the text of R4 3.1.3 without the server's code."""

import json
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from tests.search import asking, oracle
from tests.search.oracle import Resource, elements, fold, parameters
from tests.search.selections import PARAMETERS

Meaning = Callable[[Resource, datetime], bool]
Filter = tuple[str, Meaning]

STRINGS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda stored, wanted: stored == wanted,
    "ne": lambda stored, wanted: stored != wanted,
    "co": lambda stored, wanted: wanted in stored,
    "sw": lambda stored, wanted: stored.startswith(wanted),
    "ew": lambda stored, wanted: stored.endswith(wanted),
    "gt": lambda stored, wanted: stored > wanted,
    "ge": lambda stored, wanted: stored >= wanted,
    "lt": lambda stored, wanted: stored < wanted,
    "le": lambda stored, wanted: stored <= wanted,
}
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def generate(chance: Random, resource_type: str, pool: list[Resource], depth: int = 3) -> Filter:
    """Return a filter of a type and what it means."""
    if depth == 0 or chance.random() < 0.35:
        return _test(chance, resource_type, pool)
    if chance.random() < 0.2:
        text, inner = generate(chance, resource_type, pool, depth - 1)
        return f"not ({text})", lambda resource, now: not inner(resource, now)
    first, one = generate(chance, resource_type, pool, depth - 1)
    # What stands behind the operator binds no closer: without parentheses it may be a test alone.
    second, other = generate(chance, resource_type, pool, 0)
    if chance.random() < 0.5:
        return f"{first} and {second}", lambda resource, now: one(resource, now) and other(resource, now)
    return f"({first} or {second})", lambda resource, now: one(resource, now) or other(resource, now)


def _test(chance: Random, resource_type: str, pool: list[Resource]) -> Filter:
    known = parameters(resource_type)
    code = chance.choice([one for one in (*known, *PARAMETERS[resource_type]) if _asked(known[one][0])])
    kind, paths = known[code]
    name, _, system = kind.partition(" ")
    found = [value for resource in chance.sample(pool, min(30, len(pool))) for value in elements(resource, paths)]
    if not found or chance.random() < 0.1:
        there = chance.choice(["true", "false"])
        return f"{code} pr {there}", lambda resource, now: bool(elements(resource, paths)) == (there == "true")
    value = chance.choice(found)
    if name == "string":
        return _string(chance, code, paths, value)
    if name in {"date", "instant"} and chance.random() < 0.3:
        return _spanning(chance, code, kind, paths, value)
    if name in {"date", "instant", "number", "quantity"}:
        operator = chance.choice(PREFIXES if name != "instant" else PREFIXES[:-1])
        text = asking.TEXTS[name](chance, value, "", system)
        text = text[2:] if text[:2].isalpha() else text
        return f"{code} {operator} {json.dumps(text)}", lambda one, now: oracle.selects(one, code, operator + text, now)
    text = asking.TEXTS[name](chance, value, "", system)
    if name == "token" and chance.random() < 0.3:

        def differs(resource: Resource, now: datetime) -> bool:
            return any(
                not oracle.selects(_holding(resource, paths, coding), code, text, now)
                for each in elements(resource, paths)
                for coding in each.get("coding", [each] if "coding" not in each and "text" not in each else [])
            )

        return f"{code} ne {json.dumps(text)}", differs
    operator = "re" if name == "reference" else "eq"
    return f"{code} {operator} {json.dumps(text)}", lambda one, now: oracle.selects(one, code, text, now)


def _asked(kind: str) -> bool:
    return kind.partition(" ")[0] not in {"canonical", "composite", "uri"}


def _holding(resource: Resource, paths: str, value: Any) -> Resource:
    """Return a resource of the type with this one value at the first of the paths."""
    held: Any = value
    for name in reversed(paths.split(maxsplit=1)[0].split(".")):
        held = {name: [held]}
    return {**held, "resourceType": resource["resourceType"]}


def _string(chance: Random, code: str, paths: str, value: Any) -> Filter:
    text = chance.choice([value] if isinstance(value, str) else [one for one in oracle.texts(value) if one])
    start, size = chance.choice([(0, len(text)), (0, 3), (len(text) // 2, len(text))])
    wanted = text[start : start + size].strip() or text
    operator = chance.choice(list(STRINGS))
    holds = STRINGS[operator]

    def means(resource: Resource, now: datetime) -> bool:
        stored = [fold(one) for each in elements(resource, paths) for one in oracle.texts(each)]
        return any(holds(one, fold(wanted)) for one in stored)

    return f"{code} {operator} {json.dumps(chance.choice([wanted, wanted.upper()]))}", means


def _spanning(chance: Random, code: str, kind: str, paths: str, value: Any) -> Filter:
    text = asking.TEXTS["date"](chance, value, "", "")
    text = text[2:] if text[:2].isalpha() else text
    operator = chance.choice(["po", "co"])

    def means(resource: Resource, now: datetime) -> bool:
        # "Overlaps" is "neither wholly after nor wholly before"; "covers" is "begins no later and ends no sooner".
        for each in elements(resource, paths):
            target = oracle.interval({"start": each, "end": each} if kind == "instant" else each)
            low, high = oracle.moment(text)
            if target and (
                (target[0] < high and target[1] > low) if operator == "po" else (target[0] <= low and target[1] >= high)
            ):
                return True
        return False

    return f"{code} {operator} {json.dumps(text)}", means
