"""Dates, dates with a time, and times of day: as precise as they are written, with the time zone that they have.

Two moments are compared part by part. Where one is less precise, or has a time zone and the other none, the answer may be
unknown (FHIRPath N1, 6.1.1 and 6.2).
"""

from calendar import isleap, monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_DOWN, Decimal
from typing import Literal, Self

Kind = Literal["Date", "DateTime", "Time"]

DAY = 86_400
FARTHEST_EAST = 14 * 60
FARTHEST_WEST = -12 * 60

_UNIT_PARTS: Mapping[str, int] = {
    "year": 0,
    "month": 1,
    "week": 2,
    "day": 2,
    "hour": 3,
    "minute": 4,
    "second": 5,
    "millisecond": 5,
}
_SECONDS: Mapping[str, Decimal] = {
    "week": Decimal(7 * DAY),
    "day": Decimal(DAY),
    "hour": Decimal(3600),
    "minute": Decimal(60),
    "second": Decimal(1),
    "millisecond": Decimal("0.001"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, date with time, or time.

    Attributes:
        kind: Which of them.
        parts: Year, month, day, hour, minute and second (with its fraction), as far as they are known; a time begins with the hour.
        zone: Minutes that its clock is ahead of UTC; `None` where it has no time zone.
    """

    kind: Kind
    parts: tuple[int | Decimal, ...]
    zone: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the moment of a text such as `2026-01`, `2026-01-31T08:30:00+05:30`, `2026T` or `T08:30`; `None` if it is none."""
        try:
            return cls._parsed(text)
        except ValueError:
            return None

    @classmethod
    def _parsed(cls, text: str) -> Self | None:
        head, marked, tail = text.partition("T")
        days = tuple(int(part) for part in head.split("-")) if head else ()
        if days and not _real(days, head):
            return None
        if not marked:
            return cls("Date", days) if days else None
        clock, zone = _zoned(tail) if head else (tail, None)
        times = _clock(clock) if clock else ()
        if times is None or (times and days and len(days) < 3) or not (times or days):
            return None
        return cls("DateTime", (*days, *times), zone) if days else cls("Time", times)

    @property
    def known(self) -> int:
        """How many parts are known, counted from the year: 6 for a time of day with seconds."""
        return len(self.parts) + (3 if self.kind == "Time" else 0)

    @property
    def literal(self) -> str:
        """The literal of an expression, such as `@2026T`."""
        if self.kind == "Time":
            return f"@T{self}"
        return f"@{self}T" if self.kind == "DateTime" and len(self.parts) < 4 else f"@{self}"

    def __str__(self) -> str:
        parts = [_written(part) for part in self.parts]
        if self.kind == "Time":
            return ":".join(parts)
        days = "-".join([f"{self.parts[0]:04}", *parts[1:3]])
        return f"{days}T{':'.join(parts[3:])}{_offset(self.zone)}" if len(parts) > 3 else days

    @property
    def digits(self) -> int:
        """How many digits it has (`precision()`): 4 for a year, 8 for a day, 17 with milliseconds."""
        fraction = self.parts[-1]
        more = max(-int(fraction.as_tuple().exponent), 0) if isinstance(fraction, Decimal) else 0
        return 2 * len(self.parts) + (0 if self.kind == "Time" else 2) + more

    def key(self) -> tuple[int | Decimal, ...]:
        """Return the parts as UTC where there is a zone: equal keys of equal length are equal moments."""
        if not self.zone or len(self.parts) < 4:
            return self.parts
        year, month, day = (int(part) for part in self.parts[:3])
        clock = [int(part) for part in self.parts[3:5]] + [0]
        minutes = (date(year, month, day).toordinal() * 24 + clock[0]) * 60 + clock[1] - self.zone
        hours, minute = divmod(minutes, 60)
        ordinal, hour = divmod(hours, 24)
        if not 1 <= ordinal <= date.max.toordinal():
            return self.parts
        there = date.fromordinal(ordinal)
        return (there.year, there.month, there.day, hour, minute, *self.parts[5:])[: len(self.parts)]

    def seconds(self) -> tuple[Decimal, Decimal]:
        """Return the first and the last second that a date or date with time may mean, in UTC, from the year 1."""
        given = [int(part) for part in self.parts[:5]]
        year, month, day, hour, minute = given + [1, 1, 1, 0, 0][len(given) :]
        low = Decimal((date(year, month, day).toordinal() * 24 + hour) * 3600 + minute * 60)
        width = ((365 + isleap(year)) * DAY, monthrange(year, month)[1] * DAY, DAY, 3600, 60)
        if len(self.parts) == 6:
            low += self.parts[5]
            high = low
        else:
            high = low + width[len(self.parts) - 1]
        if self.zone is None:
            return low - FARTHEST_EAST * 60, high - FARTHEST_WEST * 60
        return low - self.zone * 60, high - self.zone * 60


def compare(one: Moment, other: Moment) -> int | None:
    """Return -1, 0 or 1 as one is before, at or after the other; `None` where that is not known."""
    left, right = one.parts, other.parts
    if one.zone != other.zone:
        if one.zone is None or other.zone is None:
            return _apart(one, other)
        left, right = one.key(), other.key()
    for first, second in zip(left, right, strict=False):
        if first != second:
            return -1 if first < second else 1
    return 0 if len(left) == len(right) else None


def _apart(one: Moment, other: Moment) -> int | None:
    """Compare where only one has a zone: known when no zone of the other could change it."""
    low, high = one.seconds()
    other_low, other_high = other.seconds()
    return -1 if high < other_low else 1 if low > other_high else None


def shifted(moment: Moment, amount: Decimal, unit: str) -> Moment | None:
    """Return a moment plus so many units of the calendar, as precise as it is; `None` beyond the years 1 to 9999.

    A fraction of a unit does not count, but of a second. A unit that is finer than the moment counts as far as it fills the moment's own.
    """
    if moment.kind == "Time" and _UNIT_PARTS[unit] < 3:
        return moment
    finest = moment.known - 1
    if unit in {"year", "month"}:
        months = int(amount) * (12 if unit == "year" else 1)
        return _by_months(moment, months if finest else int(Decimal(months) / 12) * 12)
    whole = amount if unit == "second" else amount.to_integral_value(ROUND_DOWN)
    seconds = whole * _SECONDS[unit]
    if finest < 2:
        days = int(seconds / DAY)
        return _by_months(moment, int(Decimal(days) / 365) * 12 if not finest else int(Decimal(days) / 30))
    return _by_seconds(moment, seconds, finest)


def _by_months(moment: Moment, months: int) -> Moment | None:
    year, month, *rest = (*moment.parts, 1) if len(moment.parts) == 1 else moment.parts
    count = int(year) * 12 + int(month) - 1 + months
    new_year, new_month = count // 12, count % 12 + 1
    if not 1 <= new_year <= 9999:
        return None
    if rest:
        rest[0] = min(int(rest[0]), monthrange(new_year, new_month)[1])
    return Moment(moment.kind, (new_year, new_month, *rest)[: len(moment.parts)], moment.zone)


def _by_seconds(moment: Moment, seconds: Decimal, finest: int) -> Moment | None:
    step = {2: DAY, 3: 3600, 4: 60}.get(finest)
    if step is not None:
        seconds = Decimal(int(seconds / step) * step)
    clock = moment.parts if moment.kind == "Time" else moment.parts[3:]
    hour, minute, second = (*clock, 0, 0, 0)[:3]
    total = Decimal(int(hour) * 3600 + int(minute) * 60) + second + seconds
    day, rest = divmod(total, DAY)
    if rest < 0:
        day, rest = day - 1, rest + DAY
    whole = int(rest)
    times = (whole // 3600, whole % 3600 // 60, rest % 60)[: len(clock)]
    if moment.kind == "Time":
        return Moment("Time", times)
    ordinal = date(*(int(part) for part in moment.parts[:3])).toordinal() + int(day)
    if not 1 <= ordinal <= date.max.toordinal():
        return None
    there = date.fromordinal(ordinal)
    return Moment(moment.kind, (there.year, there.month, there.day, *times), moment.zone)


def boundary(moment: Moment, digits: int | None, *, high: bool) -> Moment | None:
    """Return the first (or last) moment that it may mean, to so many digits; `None` where it cannot have that many."""
    wanted = digits if digits is not None else {"Date": 8, "DateTime": 17, "Time": 9}[moment.kind]
    known = _DIGITS[moment.kind == "Time"].get(wanted)
    if known is None or (moment.kind == "Date" and wanted > 8):
        return None
    parts = list(moment.parts if moment.kind != "Time" else (1, 1, 1, *moment.parts))
    _fill(parts, 12 if high else 1, lambda: monthrange(int(parts[0]), int(parts[1]))[1] if high else 1, high)
    first = 3 if moment.kind == "Time" else 0
    zone = moment.zone
    if zone is None and moment.kind == "DateTime" and known > 3:
        zone = FARTHEST_WEST if high else FARTHEST_EAST
    return Moment(moment.kind, tuple(parts[first:known]), zone if known > 3 else None)


_DIGITS: tuple[Mapping[int, int], Mapping[int, int]] = (
    {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 6},
    {2: 4, 4: 5, 6: 6, 9: 6},
)


def _fill(parts: list[int | Decimal], month: int, day: Callable[[], int], high: bool) -> None:  # noqa: FBT001 - one caller
    """Complete the parts with their least or greatest values."""
    if len(parts) < 2:
        parts.append(month)
    if len(parts) < 3:
        parts.append(day())
    if len(parts) < 4:
        parts.append(23 if high else 0)
    if len(parts) < 5:
        parts.append(59 if high else 0)
    if len(parts) < 6:
        parts.append(Decimal("59.999" if high else "0.000"))
    elif isinstance(parts[5], Decimal) and int(parts[5].as_tuple().exponent) > -3:
        step = Decimal(10) ** int(parts[5].as_tuple().exponent)
        parts[5] = parts[5].quantize(Decimal("0.001")) + (step - Decimal("0.001") if high else 0)


def _real(days: tuple[int, ...], text: str) -> bool:
    if len(text) not in {4, 7, 10} or len(days) > 3 or not text.replace("-", "0").isdecimal() or not days[0]:
        return False
    if len(days) > 1 and not 1 <= days[1] <= 12:
        return False
    return len(days) < 3 or 1 <= days[2] <= monthrange(days[0], days[1])[1]


def _clock(text: str) -> tuple[int | Decimal, ...] | None:
    pieces = text.split(":")
    if len(pieces) > 3 or not all(len(piece) == 2 for piece in pieces[:2]):
        return None
    parts: tuple[int | Decimal, ...] = tuple(int(piece) for piece in pieces[:2])
    if len(pieces) == 3:
        whole, _, fraction = pieces[2].partition(".")
        if len(whole) != 2 or not (whole + fraction).isdecimal() or len(fraction) > 20:
            return None
        parts = (*parts, Decimal(pieces[2]))
    return parts if all(0 <= part < most for part, most in zip(parts, (24, 60, 61), strict=False)) else None


def _zoned(text: str) -> tuple[str, int | None]:
    if text.endswith("Z"):
        return text[:-1], 0
    if len(text) > 6 and text[-6] in "+-" and text[-3] == ":":
        minutes = int(text[-5:-3]) * 60 + int(text[-2:])
        if minutes > 24 * 60:
            raise ValueError(text)
        return text[:-6], -minutes if text[-6] == "-" else minutes
    return text, None


def _written(part: int | Decimal) -> str:
    if isinstance(part, Decimal):
        whole, point, fraction = format(part, "f").partition(".")
        return f"{whole:>02}{point}{fraction}"
    return f"{part:02}"


def _offset(zone: int | None) -> str:
    if zone is None:
        return ""
    hours, minutes = divmod(abs(zone), 60)
    return f"{'-' if zone < 0 else '+'}{hours:02}:{minutes:02}" if zone else "Z"
