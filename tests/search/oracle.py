"""R4 search told a second time: slow, over plain JSON, from the text of the specification, sharing no code with the server.

`selections` says by hand which elements a parameter reads. `selects` decides one criterion for one resource; `key` gives
what a resource is sorted by. Dates are half-open intervals of exact time, numbers are fractions.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.search import amounts
from tests.search.selections import COMMON, PARAMETERS, SYSTEMS, VALUE_SETS

Resource = dict[str, Any]

PAST, FUTURE = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


ITSELF = "."
"""The path that leads nowhere else: the resource is the element."""


def parameters(resource_type: str) -> dict[str, tuple[str, str]]:
    """Return the parameters that are told for a type; of the types that `selections` leaves out those that all types have."""
    return {**PARAMETERS.get(resource_type, {}), **COMMON}


def elements(resource: Resource, paths: str) -> list[Any]:
    """Return the values at some paths of member names, through arrays."""
    found: list[Any] = []
    for path in paths.split():
        values: list[Any] = [resource]
        for name in path.split(".") if path != ITSELF else ():
            values = [inner for value in values if name in value for inner in _listed(value[name])]
        found += values
    return found


def selects(resource: Resource, name: str, text: str, now: datetime) -> bool:
    """Return whether a resource fulfils one criterion: `name` with its modifier, `text` with commas and escapes."""
    code, _, modifier = name.partition(":")
    kind, paths = parameters(resource["resourceType"])[code]
    values = elements(resource, paths)
    if kind.startswith("composite"):
        values = [value for value in values if all(elements(value, inside) for _, inside in parts(kind))]
    if modifier == "missing":
        return (not values) == (text == "true")
    matched = any(_matches(kind, value, modifier, part, now) for part in _split(text, ",") for value in values)
    return not matched if modifier in {"not", "not-in"} else matched


def key(resource: Resource, code: str, *, descending: bool) -> Any:
    """Return what a resource is sorted by: of several values the one that comes first, `None` where there is none."""
    kind, paths = parameters(resource["resourceType"])[code]
    keys = [one for value in elements(resource, paths) for one in _keys(kind, value)]
    return (max(keys) if descending else min(keys)) if keys else None


def parts(kind: str) -> list[tuple[str, str]]:
    """Return kind and paths of each part of a composite, stated as `composite token:code quantity:valueQuantity`."""
    stated = [part.partition(":") for part in kind.split()[1:]]
    return [(name, paths.replace("+", " ")) for name, _, paths in stated]


def fold(text: str) -> str:
    """Return a text without case and accents, and with single spaces."""
    # Strokes are no combining marks in Unicode; readers take them for such.
    bare = text.replace("Ł", "L").replace("ł", "l")
    letters = [one for one in unicodedata.normalize("NFD", bare) if unicodedata.category(one) != "Mn"]
    return " ".join("".join(letters).casefold().split())


# Matching, kind by kind.


def _matches(kind: str, value: Any, modifier: str, text: str, now: datetime) -> bool:
    name, _, system = kind.partition(" ")
    return MATCHES[name](value, modifier, text, system, now)


def _string(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    wanted = _plain(text)
    for stored in texts(value):
        if modifier == "exact":
            found = stored == wanted
        elif modifier == "contains":
            found = fold(wanted) in fold(stored)
        else:
            found = fold(stored).startswith(fold(wanted))
        if found:
            return True
    return False


def _token(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    if modifier == "text":
        wanted = fold(_plain(text))
        told = [fold(each) for each in readings(value)]
        befores = [each[:place] for each in told for place in range(len(each)) if each[place:].startswith(wanted)]
        return any(not start or unicodedata.category(start[-1])[0] in "PSZ" for start in befores)
    parts = [_plain(part) for part in _split(text, "|")]
    if modifier == "of-type":
        kinds = [(one.get("system"), one.get("code")) for one in value.get("type", {}).get("coding", [])]
        return (parts[0], parts[1]) in kinds and value.get("value") == parts[2]
    for stored_system, stored_code in _codes(value):
        if len(parts) == 1:
            found = stored_code == parts[0]
        elif not parts[0]:
            found = stored_code == parts[1] and stored_system is None
        elif not parts[1]:
            found = stored_system == parts[0]
        else:
            found = (stored_system, stored_code) == (parts[0], parts[1])
        if found:
            return True
    return False


def _code(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    if modifier in {"in", "not-in"}:
        return value in VALUE_SETS[_plain(text)] and system == SYSTEMS[_plain(text)]
    parts = [_plain(part) for part in _split(text, "|")]
    stored = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
    if len(parts) == 1:
        return bool(stored == parts[0])
    return parts[0] == system and parts[1] in {"", stored}


def _contact(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    return bool(value.get("value") == _plain(text))


def _reference(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    if modifier == "identifier":
        return _token(value.get("identifier", {}), "", text, "", now)
    stored, wanted = value.get("reference", ""), _plain(text)
    if modifier:
        return bool(stored == f"{modifier}/{wanted}")
    return bool(stored == wanted or ("/" not in wanted and stored.endswith(f"/{wanted}")))


def _uri(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    wanted = _plain(text)
    if modifier == "below":
        return bool(value.startswith(wanted))
    if modifier == "above":
        return bool(wanted == value or wanted.startswith(value.rstrip("/") + "/"))
    return bool(value == wanted)


def _canonical(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    wanted = _plain(text)
    return bool(value == wanted or ("|" not in wanted and value.partition("|")[0] == wanted))


def _date(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    target = interval(value)
    if target is None:
        return False
    prefix, rest = _prefix(text)
    low, high = moment(_plain(rest))
    contained = low <= target[0] and target[1] <= high
    if prefix == "ap":
        slack = (low - now if low > now else now - high if high < now else timedelta(0)) / 10
        return target[0] < high + slack and target[1] > low - slack
    return {
        "eq": contained,
        "ne": not contained,
        "gt": target[1] > high,
        "lt": target[0] < low,
        "ge": contained or target[1] > high,
        "le": contained or target[0] < low,
        "sa": target[0] >= high,
        "eb": target[1] <= low,
    }[prefix]


def _instant(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    return _date({"start": value, "end": value}, modifier, text, system, now)


def _number(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    if isinstance(value, dict):
        low, high = (Fraction(str(value[side]["value"])) if side in value else None for side in ("low", "high"))
        return _compared(low, high, text)
    return _compared(Fraction(str(value)), Fraction(str(value)), text)


def _quantity(value: Any, modifier: str, text: str, system: str, now: datetime) -> bool:
    parts = [_plain(part) for part in _split(text, "|")]
    named = next((end for end in amounts.ends(value) if end), {})
    if len(parts) == 3:
        wanted_system, wanted_unit = parts[1:]
        converted = amounts.reach(value, wanted_unit) if wanted_system == amounts.UCUM and wanted_unit else None
        if converted is not None:
            return _compared(*converted, parts[0])
        if wanted_system and named.get("system") != wanted_system:
            return False
        units = {named.get("code")} if wanted_system else {named.get("code"), named.get("unit")}
        if wanted_unit and wanted_unit not in units:
            return False
    stated = amounts.reach(value)
    return stated is not None and _compared(*stated, parts[0])


def _composite(value: Any, modifier: str, text: str, stated: str, now: datetime) -> bool:
    wanted = zip(parts(f"composite {stated}"), _split(text, "$"), strict=True)
    return all(
        any(_matches(name, one, "", part, now) for one in elements(value, paths)) for (name, paths), part in wanted
    )


MATCHES: dict[str, Callable[[Any, str, str, str, datetime], bool]] = {
    "string": _string, "token": _token, "code": _code, "contact": _contact, "reference": _reference, "uri": _uri,
    "canonical": _canonical, "date": _date, "instant": _instant, "number": _number, "quantity": _quantity,
    "composite": _composite,
}  # fmt: skip


# Values.


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    names = (
        "family",
        "given",
        "prefix",
        "suffix",
        "text",
        "line",
        "city",
        "district",
        "state",
        "postalCode",
        "country",
    )
    return [text for name in names for text in _listed(value.get(name, []))]


def readings(value: Any) -> list[str]:
    """Return what people read of a concept, a coding or an identifier."""
    kind = value.get("type") if isinstance(value.get("type"), dict) else {}
    stated = [value.get("text"), value.get("display"), *(one.get("display") for one in value.get("coding", []))]
    return [text for text in [*stated, kind.get("text")] if text]


def _codes(value: Any) -> Iterator[tuple[str | None, str | None]]:
    for coding in value.get("coding", [value]):
        yield coding.get("system"), coding.get("code", coding.get("value"))


def _keys(kind: str, value: Any) -> list[Any]:
    name = kind.partition(" ")[0]
    if name == "string":
        return [fold(text) for text in texts(value)]
    if name == "token":
        return [code or "" for _, code in _codes(value)]
    if name in {"date", "instant"}:
        found = interval(value)
        return [found[0]] if found else []
    if name == "quantity":
        least = amounts.least(value)
        return [] if least is None else [least]
    if name == "number":
        return [Fraction(str(value["low"]["value"] if isinstance(value, dict) else value))]
    if name == "reference":
        return [value["reference"]] if "reference" in value else []
    if name == "contact":
        return [value["value"]]
    return [str(value).lower() if isinstance(value, bool) else value]


def interval(value: Any) -> tuple[datetime, datetime] | None:
    """Return the first moment and the one after the last."""
    if isinstance(value, str):
        return moment(value)
    if "start" in value or "end" in value:
        start = moment(value["start"])[0] if "start" in value else PAST
        return start, moment(value["end"])[1] if "end" in value else FUTURE
    events = [moment(event) for event in value.get("event", [])]
    bounds = interval(value["repeat"]["boundsPeriod"]) if "boundsPeriod" in value.get("repeat", {}) else None
    limits = [*events, *([bounds] if bounds else [])]
    return (min(low for low, _ in limits), max(high for _, high in limits)) if limits else None


def moment(text: str) -> tuple[datetime, datetime]:
    """Return the interval of a date or time by its precision."""
    if len(text) == 4:
        year = datetime(int(text), 1, 1, tzinfo=UTC)
        return year, year.replace(year=year.year + 1)
    if len(text) == 7:
        month = datetime(int(text[:4]), int(text[5:]), 1, tzinfo=UTC)
        return month, (month + timedelta(days=31)).replace(day=1)
    if len(text) == 10:
        day = datetime(*map(int, text.split("-")), tzinfo=UTC)  # type: ignore[arg-type, misc]
        return day, day + timedelta(days=1)
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    clock = text.partition("T")[2]
    if "." in clock:
        return moment, moment + timedelta(milliseconds=1)
    seconds = len(re.split(r"[Z+-]", clock)[0]) == 8
    return moment, moment + (timedelta(seconds=1) if seconds else timedelta(minutes=1))


def _compared(low: Fraction | None, high: Fraction | None, text: str) -> bool:
    """Return whether a range, open where a bound is `None`, stands to a number as its prefix says."""
    prefix, digits = _prefix(text)
    exact = Fraction(digits)
    mantissa, _, exponent = digits.lower().partition("e")
    half = Fraction(1, 2) * Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    inside = low is not None and high is not None and exact - half <= low and high < exact + half
    above = high is None or high > exact
    below = low is None or low < exact
    same = low == high == exact
    slack = abs(exact) / 10
    return {
        "eq": inside,
        "ne": not inside,
        "gt": above,
        "lt": below,
        "ge": above or same,
        "le": below or same,
        "sa": low is not None and low > exact,
        "eb": high is not None and high < exact,
        "ap": (low is None or low <= exact + slack) and (high is None or high >= exact - slack),
    }[prefix]


def _prefix(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)


def _split(text: str, separator: str) -> list[str]:
    return re.split(rf"(?<!\\){re.escape(separator)}", text)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
