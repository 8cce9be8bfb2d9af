"""`near`: places within a distance of a point on the earth, the one special parameter that selects values (R4 Location).

A stored entry is a GeoJSON point. Distances are those of the great circle on a sphere with the mean radius of the earth, which
differs from the surface by half a per cent at most; the same formula decides in the database and in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import asin, cos, pi, radians, sin, sqrt
from typing import Any

from fhir_server.search.escapes import plain, split
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import Param
from fhir_server.search.reading import PLAIN, Reading
from fhir_server.search.types import number
from fhir_server.search.types.refusal import refusal

MODIFIERS: frozenset[str] = frozenset()
EXAMPLE = "latitude|longitude|distance|unit in degrees, such as 42.256|-83.694|11.2|km"

EARTH = 6_371_008.8
"""Mean radius in metres (IUGG)."""

USUAL = Decimal(50)
"""Distance where none is stated, which R4 leaves to the server: a day's care is rarely farther away."""

FARTHEST = Fraction(10**8)
"""Metres; twice around the earth and more are all of it."""

UNIT = "km"
METRES: Mapping[str, int] = {"km": 1000, "m": 1}
"""What needs no table of units."""

LEAST = 1e-9
"""Radians; six millimetres, so that a place is within no distance of itself."""


@dataclass(frozen=True, slots=True)
class Circle:
    """All places within a distance of a point: degrees, and radians on the sphere."""

    latitude: float
    longitude: float
    radius: float


def entries(values: Sequence[tuple[str, Any]], param: Param, reading: Reading = PLAIN) -> list[dict[str, Any]]:
    """Return the point of each position that lies on the earth."""
    points = [(float(value.get("latitude", 91)), float(value.get("longitude", 181))) for _, value in values]
    return [
        {"type": "Point", "coordinates": [longitude, latitude]}
        for latitude, longitude in points
        if abs(latitude) <= 90 and abs(longitude) <= 180
    ]


def parse(param: Param, modifier: str, texts: Sequence[str], reading: Reading = PLAIN) -> Expression:
    """Return the criterion "it lies within the distance of one of the points".

    Raises:
        InvalidParameter: A text is malformed, its point is not on the earth, or its unit is not one of length.
    """
    return Criterion(param, tuple(_circle(param, text, reading) for text in texts))


def predicate(criterion: Criterion) -> dict[str, Any]:
    """Return the filter over stored documents."""
    found = [
        {criterion.param.field: {"$geoWithin": {"$centerSphere": [[one.longitude, one.latitude], one.radius]}}}
        for one in criterion.values
    ]
    return found[0] if len(found) == 1 else {"$or": found}


def matches(criterion: Criterion, entries: Sequence[dict[str, Any]]) -> bool:
    """Return whether a point lies within one of the circles."""
    return any(_angle(one, entry["coordinates"]) <= one.radius for one in criterion.values for entry in entries)


def _angle(circle: Circle, coordinates: Sequence[float]) -> float:
    """Return the angle between a point and the centre, seen from that of the earth (haversine)."""
    longitude, latitude = map(radians, coordinates)
    own = radians(circle.latitude)
    north, east = latitude - own, longitude - radians(circle.longitude)
    chord = sin(north / 2) ** 2 + cos(own) * cos(latitude) * sin(east / 2) ** 2
    return 2 * asin(sqrt(min(1.0, chord)))


def _circle(param: Param, text: str, reading: Reading) -> Circle:
    parts = [plain(part).strip() for part in split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise refusal(param, text, EXAMPLE)
    latitude, longitude = (_degrees(param, text, part) for part in parts[:2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise refusal(
            param, text, f"{EXAMPLE}; the latitude comes first, from -90 to 90, then the longitude, from -180 to 180"
        )
    distance, unit = ([*parts[2:], "", ""])[:2]
    metres = _metres(param, text, distance, unit or UNIT, reading)
    return Circle(latitude, longitude, min(max(metres / EARTH, LEAST), pi))


def _degrees(param: Param, text: str, part: str) -> float:
    found = number.stated(part)
    if found is None or found.prefix != "eq" or part[:2] == "eq":
        raise refusal(param, text, EXAMPLE)
    return float(found.point)


def _metres(param: Param, text: str, distance: str, unit: str, reading: Reading) -> float:
    stated = number.stated(distance) if distance else None
    if distance and (stated is None or stated.point < 0 or distance[:1].isalpha()):
        raise refusal(param, text, f"{EXAMPLE}; the distance is a number from 0")
    amount = stated.point if stated else USUAL
    if unit in METRES:
        metres: Fraction | None = METRES[unit] * Fraction(amount)
    else:
        length = reading.units.unit(unit) if reading.units else None
        metres = length.canonical_value(amount) if length and length.canonical == "m" else None
    if metres is None:
        raise refusal(
            param, text, f"{EXAMPLE}; the unit is a UCUM code of length: km, m, [mi_i] for miles, [nmi_i], [ft_i]"
        )
    return float(min(metres, FARTHEST))
