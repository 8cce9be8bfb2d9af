"""The record grows by portions that fit together, and what was found is told by size."""

from pathlib import Path
from xml.etree import ElementTree as ET

from fhir_server.model import json
from loadtests import growth, population
from loadtests.curve import curve
from loadtests.growth import QUESTIONS, Row, Size, State


def test_portions_together_are_the_whole(tmp_path: Path) -> None:
    count = 0
    found: list[tuple[str, str]] = []
    for number, (first, until) in enumerate(((0, 30), (30, 70), (70, 110))):
        folder = tmp_path / str(number)
        count += growth.write(folder, first, until)
        for file in folder.iterdir():
            rows = [json.decode(line) for line in file.read_bytes().splitlines()]
            assert {row["resourceType"] for row in rows} == {file.stem}
            found += [(row["resourceType"], row["id"]) for row in rows]
    people = [row for person in range(110) for row in population.of(person)]
    assert sorted(found) == sorted((row["resourceType"], row["id"]) for row in [*population.shared(110), *people])
    assert count == len(found)


def test_every_search_is_a_url_about_somebody() -> None:
    urls = [growth.url(question, 7) for question in QUESTIONS.values()]
    assert len(set(urls)) == len(urls)
    assert urls[0] == "/fhir/Patient/pop-7"
    assert all(url.startswith("/fhir/") and " " not in url for url in urls)


def test_sizes_stand_beside_each_other() -> None:
    def size(resources: int, p50: float) -> Size:
        return Size(resources, 2**20, 3 * 2**20, 2**28, {name: Row(p50, 2 * p50, 1000, 0) for name in QUESTIONS})

    state = State(100_000, 3_600_000, 1_000, {1_000: size(36_000, 1.5), 100_000: size(3_600_000, 1.8)})
    lines = growth.markdown(state).splitlines()
    assert "3,600 resources per s" in lines[0]
    assert "| 100,000 | 3,600,000 | 1 | 3 | 256 |" in lines
    assert "| a patient by id | 1.50 | 3.00 | 1,000 | 1.80 | 3.60 | 1,000 | 1.20 |" in lines
    assert growth.markdown(State()) == "Nothing was measured.\n"


def test_curves_are_drawn_with_their_legend() -> None:
    drawn = ET.fromstring(curve("p50, ms", "patients", [1_000, 100_000], {"a < b": [1, 2], "c": [3, 4.5]}))
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(drawn.iter(f"{space}polyline"))) == 2
    assert {"a < b", "c", "1,000", "100,000", "5"} <= {text.text for text in drawn.iter(f"{space}text")}
