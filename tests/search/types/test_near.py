"""`near`: the database and the evaluation in memory measure alike, and as geography does."""

from math import acos, cos, radians, sin
from random import Random

import pytest

from fhir_server.model.errors import InvalidParameter
from fhir_server.search.expression import Criterion
from fhir_server.search.index import Indexer
from fhir_server.search.params import params
from fhir_server.search.types import near
from profiles.definitions.registry import Definitions
from tests.search.shelf import Shelf

PLACES = {
    "boston": (42.3601, -71.0589),
    "cambridge": (42.3736, -71.1097),
    "worcester": (42.2626, -71.8023),
    "delhi": (28.6139, 77.2090),
    "suva": (-18.1416, 178.4419),
    "apia": (-13.8333, -171.7667),
    "pole": (90.0, 0.0),
}


def location(name: str, latitude: float, longitude: float) -> dict[str, object]:
    return {"resourceType": "Location", "id": name, "position": {"latitude": latitude, "longitude": longitude}}


async def filled(shelf: Shelf) -> Shelf:
    await shelf.put(*(location(name, *place) for name, place in PLACES.items()))
    await shelf.put({"resourceType": "Location", "id": "nowhere"}, location("off", 42.0, 200.0))
    return shelf


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("42.3601|-71.0589", ["boston", "cambridge"]),
        ("42.3601|-71.0589|4|km", ["boston"]),
        ("42.3601|-71.0589|5|km", ["boston", "cambridge"]),
        ("42.3601|-71.0589|5", ["boston", "cambridge"]),
        ("42.3601|-71.0589|5000|m", ["boston", "cambridge"]),
        ("42.3601|-71.0589|2.6|[mi_i]", ["boston"]),
        ("42.3601|-71.0589|2.8|[mi_i]", ["boston", "cambridge"]),
        ("42.3601|-71.0589|2.4|[nmi_i]", ["boston", "cambridge"]),
        ("42.3601|-71.0589||[mi_i]", ["boston", "cambridge", "worcester"]),
        ("42.3601|-71.0589|0|km", ["boston"]),
        ("42.3601|-71.0589|0|km,28.6|77.2|5|km", ["boston", "delhi"]),
        # Over the date line: 1,141 km, not three quarters of the way round.
        ("-18.1416|178.4419|1200|km", ["apia", "suva"]),
        ("89|120|200|km", ["pole"]),
        ("0|0|20100|km", sorted(PLACES)),
        ("0|0|1e300|km", sorted(PLACES)),
        ("0|0|1e300|[ly]", sorted(PLACES)),
    ],
)
async def test_places_within_a_distance(shelf: Shelf, value: str, found: list[str]) -> None:
    await filled(shelf)
    assert sorted(await shelf.ids("Location", f"near={value}")) == found


async def test_without_a_position_there_is_no_place(shelf: Shelf) -> None:
    await filled(shelf)
    assert sorted(await shelf.ids("Location", "near:missing=true")) == ["nowhere", "off"]
    assert sorted(await shelf.ids("Location", "near:missing=false")) == sorted(PLACES)


async def test_the_index_of_places_is_used(shelf: Shelf) -> None:
    chance = Random(1)
    await shelf.put(*(location(f"l{n}", chance.uniform(-60, 60), chance.uniform(-180, 180)) for n in range(2000)))
    keys, documents, found = await shelf.keys_and_docs(shelf.query("Location", "near=10|10|1500|km"))
    assert 0 < found < 60
    assert documents < 150
    assert keys < 300


async def test_the_database_and_the_evaluation_in_memory_measure_alike(shelf: Shelf, definitions: Definitions) -> None:
    chance = Random(7)
    rows = [location(f"r{n}", chance.uniform(-90, 90), chance.uniform(-180, 180)) for n in range(300)]
    documents = await shelf.put(*rows)
    param = params("Location", definitions)["near"]
    for _ in range(60):
        latitude, longitude = chance.uniform(-90, 90), chance.uniform(-180, 180)
        kilometres = chance.choice([100, 1000, 5000, 15000])
        text = f"{latitude:.4f}|{longitude:.4f}|{kilometres}|km"
        criterion = near.parse(param, "", [text], shelf.indexer.reading)
        assert isinstance(criterion, Criterion)
        in_memory = {row["_id"] for row in documents if near.matches(criterion, [row["s"]["near"]])}
        apart = {
            str(row["id"])
            for row in rows
            if spherical(float(f"{latitude:.4f}"), float(f"{longitude:.4f}"), row["position"]) <= kilometres
        }
        assert set(await shelf.ids("Location", f"near={text}&_count=1000")) == in_memory == apart


def spherical(latitude: float, longitude: float, position: object) -> float:
    """Return kilometres by the law of cosines."""
    assert isinstance(position, dict)
    first, second, turn = radians(latitude), radians(position["latitude"]), radians(position["longitude"] - longitude)
    return 6371.0088 * acos(min(1, sin(first) * sin(second) + cos(first) * cos(second) * cos(turn)))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("42", "latitude|longitude|distance|unit in degrees"),
        ("a|b", "such as 42.256|-83.694|11.2|km"),
        ("1|2|3|km|x", "latitude|longitude|distance|unit"),
        ("-171.7|13.8|5|km", "the latitude comes first, from -90 to 90"),
        ("1|181", "then the longitude, from -180 to 180"),
        ("1|2|-3|km", "the distance is a number from 0"),
        ("1|2|lt3|km", "the distance is a number from 0"),
        ("1|2|3|miles", "km, m, [mi_i] for miles, [nmi_i], [ft_i]"),
        ("1|2|3|kg", "the unit is a UCUM code of length"),
        ("lt1|2", "in degrees"),
        ("NaN|2", "in degrees"),
    ],
)
def test_what_is_no_circle_is_refused(indexer: Indexer, definitions: Definitions, text: str, hint: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        near.parse(params("Location", definitions)["near"], "", [text], indexer.reading)
    assert hint in str(refused.value)
