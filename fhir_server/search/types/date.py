"""Date parameters: every value is an interval by its precision (R4 3.1.1.4.7).

A stored entry is `{lo, hi}`, the first and the last millisecond of the interval, UTC. The primary date of a type lives in
the scalars `d` and `dh` instead, with `dl` where the interval is longer than a day.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from datetime import MAXYEAR, UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, NamedTuple

from fhir_server.search.escapes import plain
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import ranges
from fhir_server.search.types.ranges import Within
from fhir_server.search.types.refusal import refusal

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = (
    "a date such as 2013, 2013-01, 2013-01-14 or ge2013-01-14T10:00:00%2B01:00 (a plus sign is written %2B in a URL); "
    f"prefixes are {', '.join(ranges.PREFIXES)}"
)

EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(MAXYEAR, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)
UPDATED = "lu"
EFFECTIVE = "seen"
"""Stands for the latest one of `MOMENTS`: when a patient could first see a version (`search.effective`)."""

OPENED = ("va", "op")
MOMENTS = (UPDATED, *OPENED)
"""When a version was written, when its time comes, when what held it let go of it; many documents have only the first."""
LONGEST_KEPT = 40
"""Dates of more characters, which is a fraction of a second of more than a dozen digits, are not kept in memory."""

MOST_ALTERNATIVES = 8
"""More of them are not told apart: MongoDB plans each."""

REACHING = frozenset({"gt", "ge", "ap"})
"""Prefixes that say nothing of where an interval begins, only that it reaches beyond a date."""

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


class Interval(NamedTuple):
    """The first and the last millisecond, UTC."""

    low: datetime
    high: datetime


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, datetime]]:
    """Return the interval of each value that has one."""
    return [{"lo": found.low, "hi": found.high} for found in intervals(values, reading.zone)]


def intervals(values: Sequence[tuple[str, Any]], zone: tzinfo = UTC) -> Iterator[Interval]:
    """Yield the interval of each date, dateTime, instant, Period and Timing; a bound that is not stated is open."""
    for type_name, value in values:
        match type_name:
            case "Period":
                found = _period(value, zone)
            case "Timing":
                found = _timing(value, zone)
            case "instant":
                exact = interval(value, zone)
                found = Interval(exact.low, exact.low) if exact else None
            case _:
                found = interval(value, zone)
        if found:
            yield found


def interval(text: str, zone: tzinfo = UTC) -> Interval | None:
    """Return the interval that a date of any precision stands for, or `None` where it is not a date.

    Args:
        text: `2013`, `2013-01`, `2013-01-14`, `2013-01-14T10:00`, with seconds, fraction and offset as far as stated.
        zone: Time zone where no offset is stated.
    """
    return _repeated(text, zone) if len(text) <= LONGEST_KEPT else _interval(text, zone)


def _interval(text: str, zone: tzinfo) -> Interval | None:
    match = _FORM.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    # Python knows no leap second; it counts as the one before.
    seconds = 59 if second == "60" else int(second or 0)
    milliseconds = int((fraction or "0")[:3].ljust(3, "0"))
    try:
        stated = _zone(offset) if offset else zone
        low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=stated).replace(
            hour=int(hour or 0), minute=int(minute or 0), second=seconds, microsecond=milliseconds * 1000
        )
        return Interval(_utc(low), _utc(low if fraction else _last(low, (month, day, hour, second))))
    except ValueError:
        return None


# The resources of an encounter state the same few times: reading one again costs a fiftieth of the 8 µs that it takes.
_repeated = lru_cache(maxsize=4096)(_interval)


def _last(low: datetime, stated: tuple[str | None, ...]) -> datetime:
    """Return the last millisecond, in local time, of the smallest unit among (month, day, hour, second) that is stated."""
    month, day, hour, second = stated
    if second:
        return low.replace(microsecond=999000)
    if hour:
        return low.replace(second=59, microsecond=999000)
    if month and not day:
        low = low.replace(day=monthrange(low.year, low.month)[1])
    elif not month:
        low = low.replace(month=12, day=31)
    return low.replace(hour=23, minute=59, second=59, microsecond=999000)


def _zone(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _utc(moment: datetime) -> datetime:
    """Return the moment in UTC; one that falls off the calendar is the end of the calendar."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST


def _period(value: dict[str, Any], zone: tzinfo) -> Interval | None:
    start, end = (
        interval(value[side], zone) if isinstance(value.get(side), str) else None for side in ("start", "end")
    )
    if not start and not end:
        return None
    return Interval(start.low if start else EARLIEST, end.high if end else LATEST)


def _timing(value: dict[str, Any], zone: tzinfo) -> Interval | None:
    """Return the outer limits of the events and the bounds, which is all that counts (R4)."""
    found = [event for text in value.get("event", ()) if isinstance(text, str) and (event := interval(text, zone))]
    bounds = _period(value.get("repeat", {}).get("boundsPeriod", {}), zone)
    found += [bounds] if bounds else []
    return Interval(min(one.low for one in found), max(one.high for one in found)) if found else None


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "an interval of the parameter stands to one of these as its prefix says".

    Raises:
        InvalidParameter: A text is not a date.
    """
    return Criterion(param, tuple(_value(param, plain(text), reading) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    param = criterion.param
    if param.primary_date:
        return joined([criterion])
    found = [one for value in criterion.values for one in ranges.alternatives(value)]
    if param.field == UPDATED:
        return _union(
            [{UPDATED: {key: bound for side in one.values() for key, bound in side.items()}} for one in found]
        )
    if param.field == EFFECTIVE:
        return _union([_later({key: bound for side in one.values() for key, bound in side.items()}) for one in found])
    return {param.field: {"$elemMatch": found[0] if len(found) == 1 else {"$or": found}}}


def _later(bounds: Mapping[str, datetime]) -> dict[str, Any]:
    """Return the filter "the latest of the moments lies within the bounds"."""
    upper = {key: bound for key, bound in bounds.items() if key in {"$lt", "$lte"}}
    lower = {key: bound for key, bound in bounds.items() if key not in upper}
    clauses: list[dict[str, Any]] = []
    if upper:
        clauses += [{UPDATED: upper}, *({"$or": [{name: None}, {name: upper}]} for name in OPENED)]
    if lower:
        clauses.append({"$or": [{name: lower} for name in MOMENTS]})
    return _both(clauses)


def matches(criterion: Criterion, entries: Sequence[dict[str, datetime]]) -> bool:
    """Return whether an entry fulfils the criterion."""
    return any(ranges.holds(value, entry) for value in criterion.values for entry in entries)


def _value(param: Param, text: str, reading: Reading) -> Within:
    prefix, rest = ranges.split(text)
    found = interval(rest, reading.zone)
    if not found:
        raise refusal(param, text, EXAMPLE)
    if prefix != "ap":
        return Within(prefix, found.low, found.high)
    now = reading.now or datetime.now(UTC)
    slack = max(found.low - now, now - found.high, timedelta(0)) / 10
    return Within(prefix, _moved(found.low, -slack), _moved(found.high, slack))


def _moved(moment: datetime, by: timedelta) -> datetime:
    """Return the moment moved by whole milliseconds, inside of the calendar."""
    whole = timedelta(milliseconds=by // MILLISECOND)
    try:
        return moment + whole
    except OverflowError:
        return EARLIEST if by < timedelta(0) else LATEST


def joined(criteria: Sequence[Criterion]) -> dict[str, Any]:
    """Return the filter "all of them hold" over `d`, `dh` and `dl`.

    Only `d` is in the indexes, so it is bounded wherever a bound follows. For what reaches beyond a date, that is so only
    where `dh` lies at most a day after `d`; the few resources where it does not (`dl`) have an index of their own, and the
    filter is then the union of two that are bounded, each by its index.
    """
    choices = [[clause for value in one.values for clause in _near(value)] for one in criteria]
    near = [_union(each) for each in choices]
    if not any(value.prefix in REACHING for one in criteria for value in one.values):
        return _both(near)
    alone = sum(any(value.prefix in REACHING for value in one.values) for one in criteria) == 1
    far = [_union([clause for value in one.values for clause in _far(value, later=alone)]) for one in criteria]
    # Each alternative with bounds of its own, as far as they are few: one that asks for `d` alone reads no document.
    few = prod(map(len, choices)) <= MOST_ALTERNATIVES
    bounded = [_both(list(each)) for each in product(*choices)] if few else [_both(near)]
    return {"$or": [*bounded, _both([{"dl": True}, *far])]}


def _near(value: Within) -> list[dict[str, Any]]:
    """Return the filters of which one holds, given that `dh` is at most a day after `d` where the prefix reaches on."""
    low, high = value.low, value.high
    match value.prefix:
        case "eq":
            return [{"d": {"$gte": low, "$lte": high}, "dh": {"$lte": high}}]
        case "le":
            return [{"d": {"$lte": high}, "$or": [{"d": {"$lt": low}}, {"dh": {"$lte": high}}]}]
        case "eb":
            return [{"d": {"$lt": low}, "dh": {"$lt": low}}]
        case "gt":
            return [{"d": {"$gt": high}}, {"d": {"$gt": _moved(high, -DAY), "$lte": high}, "dh": {"$gt": high}}]
        case "ge":
            before = _moved(high, -DAY)
            reaching = [{"d": {"$gte": before, "$lt": low}, "dh": {"$gt": high}}] if before < low else []
            return [{"d": {"$gte": low}}, *reaching]
        case "ap":
            return [{"d": {"$gte": _moved(low, -DAY), "$lte": high}, "dh": {"$gte": low}}]
        case _:
            return [_bounds(found) for found in ranges.alternatives(value)]


def _far(value: Within, *, later: bool) -> list[dict[str, Any]]:
    """Return the filters of which one holds, however long the interval is.

    Args:
        value: A prefix and a date.
        later: Whether only those are asked for that begin before the date; the others are among the near ones.
    """
    low, high = value.low, value.high
    begins: Mapping[str, dict[str, Any]] = {"gt": {"$lte": high}, "ge": {"$lt": low}}
    if later and value.prefix in begins:
        return [{"d": begins[value.prefix], "dh": {"$gt": high}}]
    return [_bounds(found) for found in ranges.alternatives(value)] if value.prefix in REACHING else _near(value)


def _bounds(alternative: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a filter over `lo` and `hi` as one over `d` and `dh`."""
    return {{"lo": "d", "hi": "dh"}[side]: bound for side, bound in alternative.items()}


def _union(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    return clauses[0] if len(clauses) == 1 else {"$or": clauses}


def _both(clauses: list[dict[str, Any]]) -> dict[str, Any]:
    return clauses[0] if len(clauses) == 1 else {"$and": clauses}
