"""Load tests: they run against this machine only, tell what they saw, and find what must not be."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from fhir_server.model import json
from loadtests import population
from loadtests.load.__main__ import WORKLOADS, markdown, run
from loadtests.load.bounds import refuse, refuse_size
from loadtests.load.chart import ceiling, chart
from loadtests.load.seen import Seen, Watching
from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from tests.processes import Nursery


@pytest.fixture(scope="module")
def url(data_dir: Path, mongo_url: SecretStr, nursery: Nursery) -> Iterator[str]:
    """The address of a server."""
    name = f"load_{uuid4().hex[:12]}"
    mine = {"FHIR_DATA_DIR": str(data_dir), "FHIR_MONGO__DATABASE": name, "FHIR_MONGO__CACHE_GB": "0.25"}
    with nursery.start("serve", "--port", "0", "--json", environment=os.environ | mine) as process:
        yield json.decode(process.out.readline())["url"]
    with MongoClient[dict[str, object]](mongo_url.get_secret_value()) as client:
        client.drop_database(name)
        client.drop_database(f"{name}_audit")


def test_the_crud_mix_does_its_rounds_without_a_failure(url: str) -> None:
    seen = run(WORKLOADS["crud"], url, "", 4, 1)
    assert (seen.total.failures, seen.said, seen.broken) == (0, [], [])
    kinds = {kind.name.split()[0]: kind.requests for kind in seen.kinds}
    assert set(kinds) == {"create", "read", "update", "delete"}
    assert len(seen.kinds) == 36
    assert sum(second.requests for second in seen.course) == seen.total.requests


def test_a_storm_of_bookings_takes_no_slot_twice(url: str) -> None:
    seen = run(WORKLOADS["booking"], url, "", 8, 1)
    assert (seen.total.failures, seen.said, seen.broken) == (0, [], [])
    assert seen.counted["booked"] > 0
    assert "count" in {kind.name for kind in seen.kinds}


def test_locust_itself_refuses_another_machine() -> None:
    with pytest.raises(SystemExit, match=r"192\.0\.2\.1 is not this machine"):
        run(WORKLOADS["crud"], "http://192.0.2.1:8080", "", 1, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "https://[::1]:1"])
def test_this_machine_may_be_loaded(url: str) -> None:
    assert not refuse(url)


@pytest.mark.parametrize(
    "url", ["http://10.0.0.7", "https://fhir.example.org/fhir", "127.0.0.1:8080", "file:///etc", ""]
)
def test_no_other_may_be_loaded(url: str) -> None:
    assert refuse(url)


def test_a_load_test_has_bounds() -> None:
    assert not refuse_size(64, 60)
    assert all((refuse_size(0, 60), refuse_size(5_000, 60), refuse_size(64, 0), refuse_size(64, 100_000)))


def test_the_made_up_population_is_valid_and_the_same_each_time() -> None:
    validator = Validator(load())
    rows = [*population.shared(60), *population.of(7), *population.of(59)]
    assert len({(row["resourceType"], row["id"]) for row in rows}) == len(rows)
    assert [issue for row in rows for issue in validator.check(row) if issue.severity == "error"] == []
    assert [*population.of(7)] == [*population.of(7)]
    there = {f"{row['resourceType']}/{row['id']}" for row in rows}
    assert {*_references(rows)} <= there


def test_what_was_seen_is_told_as_table_and_chart(tmp_path: Path) -> None:
    watching = Watching()
    for number in range(100):
        watching.answered("read", 10 + number / 20, number, "refused" if number == 99 else None)
    watching.counted["resources"] = 50
    watching.seen().write(tmp_path / "seen.json")
    seen = Seen.read(tmp_path / "seen.json")
    assert (seen.total.p50, seen.total.p95, seen.total.failures) == (49, 94, 1)
    assert (len(seen.course), seen.said) == (5, ["read: refused"])
    text = markdown({"reads": seen}, "one second")
    assert "| reads | 20 | 49 | 94 | 98 | 1 | 50 resources (10 per s) |" in text
    drawn = ET.fromstring(chart({"a < b": seen}, "one second"))
    assert [line.get("class") for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")] == ["rate", "p50", "p95"]
    assert [ceiling(value) for value in (0.7, 1, 7, 900, 1234)] == [0.8, 1, 8, 1000, 2000]


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
