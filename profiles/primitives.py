"""The primitive types (R4 2.24.0.1): which JSON values have their shape, and why one has not.

`SHAPES` answers quickly for the walk that every write takes; `fault` explains afterwards. JSON numbers are `int` or
`Decimal`, never `float`: the digits that were sent are part of a decimal's value. `span` gives dates of partial
precision as an interval, so that rules can compare them.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

LONGEST_STRING = 1024 * 1024
MOST_DIGITS = 34
EXPONENTS = range(-6176, 6112)
_INT32 = 2**31

_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_MONTH = r"(0[1-9]|1[0-2])"
_DAY = r"(0[1-9]|[1-2][0-9]|3[0-1])"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

ID = re.compile(r"[A-Za-z0-9\-\.]{1,64}", re.ASCII)
OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+", re.ASCII)
UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
DATE = re.compile(f"{_YEAR}(-{_MONTH}(-{_DAY})?)?", re.ASCII)
DATE_TIME = re.compile(f"{_YEAR}(-{_MONTH}(-{_DAY}(T{_CLOCK}{_ZONE})?)?)?", re.ASCII)
INSTANT = re.compile(f"{_YEAR}-{_MONTH}-{_DAY}T{_CLOCK}{_ZONE}", re.ASCII)
TIME = re.compile(_CLOCK, re.ASCII)

# The expressions above are the published ones; those of string, code, uri and base64Binary are replaced below.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# ASCII on purpose: with Unicode rules `\s` would also refuse the no-break space, which is content.
_SPACE = re.compile(r"\s", re.ASCII)
_CODE = re.compile(r"[^\s]+(\s[^\s]+)*", re.ASCII)
_BASE64 = bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"0123456789+/"
_WHITE = b" \t\r\n"

STRINGS = frozenset(
    {
        "base64Binary",
        "canonical",
        "code",
        "date",
        "dateTime",
        "id",
        "instant",
        "markdown",
        "oid",
        "string",
        "time",
        "uri",
        "url",
        "uuid",
        "xhtml",
    }
)


def _boolean(value: Any) -> bool:
    return value is True or value is False


def _integer(value: Any) -> bool:
    return type(value) is int and -_INT32 <= value < _INT32


def _unsigned(value: Any) -> bool:
    return type(value) is int and 0 <= value < _INT32


def _positive(value: Any) -> bool:
    return type(value) is int and 0 < value < _INT32


def _decimal(value: Any) -> bool:
    if type(value) is Decimal:
        text = str(value)
        if len(text) <= MOST_DIGITS and "E" not in text and value.is_finite():
            return True  # without looking at each digit, a fifth of the time
        _, digits, exponent = value.as_tuple()
        return len(digits) <= MOST_DIGITS and type(exponent) is int and exponent in EXPONENTS
    return type(value) is int and abs(value) < 10**MOST_DIGITS


def _string(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    # isprintable() is many times faster than the expression and true for nearly every value.
    return len(value) <= LONGEST_STRING and (value.isprintable() or _CONTROL.search(value) is None)


def _code(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    if value.isprintable() and " " not in value:
        return True
    return _CODE.fullmatch(value) is not None and _CONTROL.search(value) is None


def _uri(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    if value.isprintable():
        return " " not in value
    return _SPACE.search(value) is None and _CONTROL.search(value) is None


def _id(value: Any) -> bool:
    return type(value) is str and ID.fullmatch(value) is not None


def _oid(value: Any) -> bool:
    return type(value) is str and OID.fullmatch(value) is not None


def _uuid(value: Any) -> bool:
    return type(value) is str and UUID.fullmatch(value) is not None


def _date(value: Any) -> bool:
    return type(value) is str and DATE.fullmatch(value) is not None and _in_calendar(value)


def _date_time(value: Any) -> bool:
    return type(value) is str and DATE_TIME.fullmatch(value) is not None and _in_calendar(value)


def _instant(value: Any) -> bool:
    return type(value) is str and INSTANT.fullmatch(value) is not None and _in_calendar(value)


def _time(value: Any) -> bool:
    return type(value) is str and TIME.fullmatch(value) is not None


def _in_calendar(text: str) -> bool:
    day = text[8:10]
    return day <= "28" or int(day) <= monthrange(int(text[:4]), int(text[5:7]))[1]


def _base64(value: Any) -> bool:
    """By table: the published expression takes a minute for a hundred malformed characters."""
    if type(value) is not str or not value.isascii():
        return False
    data = value.encode().translate(None, _WHITE)
    body = data.rstrip(b"=")
    return bool(body) and len(data) % 4 == 0 and len(data) - len(body) <= 2 and not body.translate(None, _BASE64)


SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "base64Binary": _base64,
    "boolean": _boolean,
    "canonical": _uri,
    "code": _code,
    "date": _date,
    "dateTime": _date_time,
    "decimal": _decimal,
    "id": _id,
    "instant": _instant,
    "integer": _integer,
    "markdown": _string,
    "oid": _oid,
    "positiveInt": _positive,
    "string": _string,
    "time": _time,
    "unsignedInt": _unsigned,
    "uri": _uri,
    "url": _uri,
    "uuid": _uuid,
    "xhtml": _string,
}

ALLOWED: Mapping[str, str] = {
    "base64Binary": "base64 in groups of four characters (A-Z, a-z, 0-9, + and /), padded with '='",
    "boolean": "true or false",
    "canonical": "a URI without spaces",
    "code": "text without leading, trailing or double spaces",
    "date": "a real calendar date as YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz, with a time zone (or Z) where there is a time",
    "decimal": "a number of at most 34 significant digits with an exponent from -6176 to 6111",
    "id": "1 to 64 letters, digits, hyphens and dots",
    "instant": "YYYY-MM-DDThh:mm:ss.sss+zz:zz, to the second at least and with a time zone or Z",
    "integer": "a whole number from -2147483648 to 2147483647",
    "markdown": "text of at most 1 MB without control characters",
    "oid": "an OID as urn:oid:1.2.3",
    "positiveInt": "a whole number from 1 to 2147483647",
    "string": "text of at most 1 MB without control characters",
    "time": "a time as hh:mm:ss without a time zone",
    "unsignedInt": "a whole number from 0 to 2147483647",
    "uri": "a URI without spaces",
    "url": "a URL without spaces",
    "uuid": "a UUID as urn:uuid:c757873d-ec9a-4326-a141-556f43239520, in lower case",
    "xhtml": "XHTML",
}
"""What each type allows, as the end of the sentence 'it must be …'."""


def kind(type_name: str) -> str:
    """Return the JSON kind of a primitive type: `boolean`, `number` or `string`."""
    if type_name == "boolean":
        return "boolean"
    return "string" if type_name in STRINGS else "number"


def json_kind(value: Any) -> str:
    """Return what a JSON value is: `null`, `boolean`, `number`, `string`, `array` or `object`."""
    if value is None:
        return "null"
    kinds = {bool: "boolean", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "number")


def article(value: Any) -> str:
    """Return the JSON kind of a value with its article: `an array`, `a string`, `null`."""
    found = json_kind(value)
    return found if value is None else f"an {found}" if found[0] in "ao" else f"a {found}"


def fault(type_name: str, value: Any) -> str:
    """Return why a value of the right JSON kind is not of a primitive type, as a short clause."""
    if type(value) is str:
        return _text_fault(type_name, value)
    if type_name == "decimal":
        if type(value) not in {int, Decimal} or not Decimal(value).is_finite():
            return "it is not an exact decimal number"
        digits = len(Decimal(value).as_tuple().digits)
        return f"it has {digits} digits" if digits > MOST_DIGITS else "its exponent is out of range"
    return "it is out of range" if type(value) is int else "it is written with a fraction or an exponent"


def _text_fault(type_name: str, text: str) -> str:
    if not text:
        return "it is empty"
    if _CONTROL.search(text):
        return "it has a control character"
    if len(text) > LONGEST_STRING:
        return f"it has {len(text)} characters"
    if type_name == "id":
        return (
            f"it is too long ({len(text)} characters)" if len(text) > 64 else "it has characters that are not allowed"
        )
    if type_name in {"uri", "url", "canonical"}:
        return "it has a space"
    if type_name == "code":
        return "its spaces are not allowed"
    patterns = {"date": DATE, "dateTime": DATE_TIME, "instant": INSTANT}
    if type_name in patterns and patterns[type_name].fullmatch(text):
        return "there is no such day"
    return "its format is not valid"


def span(text: str) -> tuple[datetime, datetime] | None:
    """Return the first and the last moment (UTC) that a valid date, dateTime or instant may mean, else `None`.

    A value without a time zone may mean any zone, so its interval is 14 hours wider on either side.
    """
    if not _date_time(text) and not _instant(text):
        return None
    year, month, day = int(text[:4]), int(text[5:7] or 1), int(text[8:10] or 1)
    if len(text) > 10:
        return _moment(text, datetime(year, month, day, tzinfo=UTC))
    last_month = int(text[5:7] or 12)
    last_day = int(text[8:10] or monthrange(year, last_month)[1])
    low = datetime(year, month, day, tzinfo=UTC)
    high = datetime(year, last_month, last_day, 23, 59, 59, 999999, tzinfo=UTC)
    wide = timedelta(hours=14)
    # The calendar of Python ends where the calendar of FHIR ends: years 0001 to 9999.
    return (
        low if year == 1 else low - wide,
        high if year == 9999 else high + wide,
    )


def _moment(text: str, day: datetime) -> tuple[datetime, datetime]:
    clock, zone = (text[11:-1], "+00:00") if text.endswith("Z") else (text[11:-6], text[-6:])
    seconds, _, fraction = clock[6:].partition(".")
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    try:
        low = day.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset)).astimezone(UTC)
        low += timedelta(hours=int(clock[:2]), minutes=int(clock[3:5]), seconds=int(seconds))
        low += timedelta(microseconds=int(fraction[:6].ljust(6, "0")))
    except OverflowError:
        return day, day
    width = timedelta(seconds=1) - timedelta(microseconds=1) if not fraction else timedelta(0)
    return low, min(low, datetime.max.replace(tzinfo=UTC) - width) + width
