"""Includes of a page, in as many parts as they need: walked to the end and compared with what plain lists say."""

import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.settings import Record, Search
from tests.interactions.conftest import said
from tests.serving import alone, own

Json = dict[str, Any]
MOST = 7
"""Includes of a page in these tests."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    """A server of its own with small pages of includes."""
    settings = own(data_dir, "includes", record=Record(references="off"), search=Search(max_includes=MOST))
    async with alone(settings) as client:
        yield client


async def store(client: httpx.AsyncClient, rows: list[Json]) -> None:
    for start in range(0, len(rows), 1000):
        entries = [
            {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}}
            for row in rows[start : start + 1000]
        ]
        response = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert response.status_code == 200, response.text


def ref(name: str) -> Json:
    return {"reference": name}


def key(row: Json) -> str:
    return f"{row['resourceType']}/{row['id']}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(small: httpx.AsyncClient) -> dict[str, Json]:
    """Patients, stays that are parts of stays, measurements that derive from each other, and who made them; by reference."""
    dice = random.Random(7)
    rows: list[Json] = [{"resourceType": "Organization", "id": f"g{n}", "name": f"G{n}"} for n in range(3)]
    rows += [{"resourceType": "Practitioner", "id": f"d{n}", "gender": "female" if n % 2 else "male"} for n in range(6)]
    for n in range(12):
        doctor = ref(f"Practitioner/d{dice.randrange(6)}")
        patient = {"resourceType": "Patient", "id": f"p{n:02}", "generalPractitioner": [doctor]}
        rows.append({**patient, "managingOrganization": ref(f"Organization/g{n % 3}")})
    for n in range(60):
        stay = {"resourceType": "Encounter", "id": f"e{n:02}", "status": "finished", "class": {"code": "AMB"}}
        part = {"partOf": ref(f"Encounter/e{n - 12:02}")} if n >= 12 and n % 12 < 4 else {}
        rows.append({**stay, "subject": ref(f"Patient/p{n % 12:02}"), **part})
    for n in range(150):
        measured = {"resourceType": "Observation", "id": f"o{n:03}", "status": "final", "code": {"text": "x"}}
        derived = {"derivedFrom": [ref(f"Observation/o{dice.randrange(150):03}")]} if n % 3 == 0 else {}
        performers = [ref(f"Practitioner/d{dice.randrange(6)}"), ref(f"Organization/g{dice.randrange(3)}")]
        place = {"subject": ref(f"Patient/p{n % 12:02}"), "encounter": ref(f"Encounter/e{dice.randrange(60):02}")}
        rows.append({**measured, **place, **derived, "performer": performers})
    await store(small, rows)
    return {key(row): row for row in rows}


PATHS = {
    "Observation:subject": ("Observation", "subject"),
    "Observation:patient": ("Observation", "subject"),
    "Observation:encounter": ("Observation", "encounter"),
    "Observation:performer": ("Observation", "performer"),
    "Observation:derived-from": ("Observation", "derivedFrom"),
    "Encounter:subject": ("Encounter", "subject"),
    "Encounter:part-of": ("Encounter", "partOf"),
    "Patient:general-practitioner": ("Patient", "generalPractitioner"),
    "Patient:organization": ("Patient", "managingOrganization"),
}
"""Include to the type that holds the reference and the element."""


def follows(include: str, row: Json) -> Iterator[str]:
    """Yield what an include follows from a resource."""
    source, _, rest = include.partition(":")
    code, _, target = rest.partition(":")
    if code == "*" or source == "*":
        members = sorted({member for of, member in PATHS.values() if of == row["resourceType"]})
        members = members if source in {"*", row["resourceType"]} else []
    else:
        of, member = PATHS[f"{source}:{code}"]
        members = [member] if of == row["resourceType"] else []
    for member in members:
        value = row.get(member, [])
        for each in value if isinstance(value, list) else [value]:
            if not target or each["reference"].startswith(f"{target}/"):
                yield each["reference"]


def expected(world: dict[str, Json], matches: set[str], asked: list[tuple[str, str]]) -> set[str]:
    """Return what the includes bring for these matches, by the plainest means."""
    found, wave, first = set(matches), set(matches), True
    while wave:
        new: set[str] = set()
        for name, include in asked:
            if not first and not name.endswith(":iterate"):
                continue
            if name.startswith("_include"):
                new |= {target for one in wave for target in follows(include, world[one]) if target in world}
            else:
                new |= {one for one, row in world.items() if wave & {*follows(include, row)}}
        wave, first = new - found, False
        found |= wave
    return found - matches


async def walk(client: httpx.AsyncClient, url: str) -> list[Json]:
    """Return all pages."""
    pages: list[Json] = []
    while url:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        pages.append(response.json())
        url = next((link["url"] for link in pages[-1]["link"] if link["relation"] == "next"), "")
        assert len(pages) < 200
    return pages


def by_mode(page: Json, mode: str) -> list[str]:
    return [key(row["resource"]) for row in page.get("entry", []) if row["search"]["mode"] == mode]


@pytest.mark.parametrize("count", [1, 3, 100])
@pytest.mark.parametrize(
    ("searched", "asked"),
    [
        ("Patient", [("_revinclude", "Observation:subject")]),
        ("Patient", [("_revinclude", "Observation:patient"), ("_revinclude", "Encounter:subject")]),
        ("Patient", [("_revinclude", "Observation:subject"), ("_include", "Patient:*")]),
        ("Patient", [("_revinclude", "*"), ("_include", "*")]),
        ("Encounter", [("_include", "Encounter:part-of"), ("_revinclude", "Encounter:part-of")]),
        ("Encounter", [("_revinclude:iterate", "Encounter:part-of"), ("_revinclude:iterate", "Observation:encounter")]),
        ("Observation", [("_include", "Observation:performer:Organization"), ("_include", "Observation:encounter")]),
        ("Observation", [("_include:iterate", "Observation:derived-from"), ("_include", "Observation:*:Practitioner")]),
        (
            "Observation",
            [
                ("_include", "Observation:patient"),
                ("_include:iterate", "Patient:general-practitioner"),
                ("_revinclude:iterate", "Encounter:subject"),
            ],
        ),
    ],
)
async def test_every_include_comes_on_some_page(
    small: httpx.AsyncClient, world: dict[str, Json], searched: str, asked: list[tuple[str, str]], count: int
) -> None:
    if searched == "Observation" and count == 1:
        count = 20
    matches: list[str] = []
    shown: set[str] = set()
    wanted: set[str] = set()
    for page in await walk(small, f"{searched}?{urlencode([('_count', str(count)), *asked])}"):
        found, included = by_mode(page, "match"), by_mode(page, "include")
        if found:  # the page before is complete
            assert shown == wanted
            shown, wanted = set(), expected(world, {*found}, asked)
        assert found or included
        assert len(included) <= MOST
        assert len({*included}) == len(included)
        matches += found
        shown |= {*included}
    assert shown == wanted
    assert sorted(matches) == sorted(one for one in world if one.startswith(f"{searched}/"))


@pytest.mark.parametrize("sort", ["date", "-date", "_id", "-_lastUpdated", "status,-code", "subject"])
async def test_the_page_whose_includes_go_on_is_the_same_in_every_order(
    small: httpx.AsyncClient, world: dict[str, Json], sort: str
) -> None:
    asked = [("_include", "Observation:encounter")]
    shown: set[str] = set()
    wanted: set[str] = set()
    for page in await walk(small, f"Observation?{urlencode([('_count', '40'), ('_sort', sort), *asked])}"):
        if found := by_mode(page, "match"):
            assert shown == wanted
            shown, wanted = set(), expected(world, {*found}, asked)
        shown |= {*by_mode(page, "include")}
    assert shown == wanted


@pytest.mark.parametrize("place", ["?_type=Patient,Encounter", "Patient/p03/*?"])
async def test_includes_of_several_types_go_on_too(
    small: httpx.AsyncClient, world: dict[str, Json], place: str
) -> None:
    asked = [("_include", "*"), ("_revinclude", "Observation:encounter")]
    shown: set[str] = set()
    wanted: set[str] = set()
    matches: list[str] = []
    for page in await walk(small, f"{place}&{urlencode([('_count', '9'), ('_sort', '_id'), *asked])}"):
        if found := by_mode(page, "match"):
            assert shown == wanted
            shown, wanted = set(), expected(world, {*found}, asked)
            matches += found
        shown |= {*by_mode(page, "include")}
    assert shown == wanted
    assert len({*matches}) == len(matches) > 9


async def test_thousands_of_includes_of_one_match_come_while_others_write(client: httpx.AsyncClient) -> None:
    tag = uuid4().hex[:8]
    await store(client, [{"resourceType": "Patient", "id": tag, "name": [{"family": tag}]}])
    made = [
        {
            "resourceType": "Observation",
            "id": f"{tag}-{number:04}",
            "status": "final",
            "code": {"text": "x"},
            "subject": ref(f"Patient/{tag}"),
        }
        for number in range(3200)
    ]
    await store(client, made)
    shown: list[str] = []
    sizes: list[int] = []
    url = f"Patient?family={tag}&_revinclude=Observation:subject"
    while url:
        page = (await client.get(url)).json()
        assert by_mode(page, "match") == ([f"Patient/{tag}"] if not sizes else [])
        shown += by_mode(page, "include")
        sizes.append(len(by_mode(page, "include")))
        await store(
            client,
            [
                {**made[sizes[0]], "id": f"{tag}-0000-{len(sizes)}"},
                {"resourceType": "Patient", "id": f"{tag}-{len(sizes)}", "name": [{"family": tag}]},
            ],
        )
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    assert sizes == [1000, 1000, 1000, 200]
    assert shown == [key(row) for row in made]


async def test_a_link_into_includes_needs_them(small: httpx.AsyncClient, world: dict[str, Json]) -> None:
    page = (await small.get("Patient?_count=2&_revinclude=Observation:subject")).json()
    following = next(link["url"] for link in page["link"] if link["relation"] == "next")
    other = await small.get(following.replace("Observation%3Asubject", "Encounter%3Asubject"))
    assert other.status_code == 400
    assert "belongs to another search" in said(other)
    elsewhere = await small.get(following, headers={"Host": "127.0.0.1"})
    assert elsewhere.status_code == 400


async def test_a_score_is_given_to_matches_when_asked_for(small: httpx.AsyncClient, world: dict[str, Json]) -> None:
    rows = (await small.get("Encounter?_count=2&_include=Encounter:subject&_score=true")).json()["entry"]
    assert [row["search"] for row in rows] == [{"mode": "match", "score": 1}] * 2 + [{"mode": "include"}] * 2
