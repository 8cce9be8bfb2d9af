"""ConceptMap/$closure over HTTP: begun, added to, told again."""

import asyncio
from typing import Any

import httpx
import pytest
import pytest_asyncio

Json = dict[str, Any]
SYSTEM = "https://clinic.example/CodeSystem/animals"
PATH = "$closure"


def concepts(*codes: str, system: str = SYSTEM) -> list[Json]:
    return [{"name": "concept", "valueCoding": {"system": system, "code": code}} for code in codes]


def sent(name: str, *codes: str, version: object = None, system: str = SYSTEM) -> Json:
    rows = [{"name": "name", "valueString": name}, *concepts(*codes, system=system)]
    if version is not None:
        rows.append({"name": "version", "valueString": str(version)})
    return {"resourceType": "Parameters", "parameter": rows}


def told(response: httpx.Response) -> tuple[int, set[tuple[str, str]]]:
    """Return the version and the (concept, what subsumes it) of an answer."""
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["resourceType"] == "ConceptMap"
    rows = [
        (element["code"], target["code"])
        for group in found.get("group", ())
        for element in group["element"]
        for target in element["target"]
        if target["equivalence"] == "subsumes" and group["source"] == group["target"] == SYSTEM
    ]
    assert len(rows) == len(set(rows))
    return int(found["version"]), set(rows)


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    return " ".join(one["details"]["text"] for one in response.json()["issue"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(client: httpx.AsyncClient) -> httpx.AsyncClient:
    dog = {"code": "dog", "concept": [{"code": "puppy"}]}
    mammal = {"code": "mammal", "concept": [dog, {"code": "cat"}]}
    rows = [{"code": "animal", "concept": [mammal, {"code": "bird"}]}]
    system = {"resourceType": "CodeSystem", "id": "animals", "url": SYSTEM, "status": "active", "content": "complete"}
    response = await client.put("CodeSystem/animals", json={**system, "hierarchyMeaning": "is-a", "concept": rows})
    assert response.status_code == 201, response.text
    return client


async def test_a_table_grows_and_tells_only_what_is_new(record: httpx.AsyncClient) -> None:
    assert told(await record.post(PATH, json=sent("pets"))) == (0, set())
    assert told(await record.post(PATH, json=sent("pets", "dog", "bird"))) == (1, set())
    assert told(await record.post(PATH, json=sent("pets", "animal"))) == (2, {("dog", "animal"), ("bird", "animal")})
    third = {("dog", "mammal"), ("mammal", "animal"), ("puppy", "dog"), ("puppy", "mammal"), ("puppy", "animal")}
    assert told(await record.post(f"ConceptMap/{PATH}", json=sent("pets", "puppy", "mammal", "dog", "puppy"))) == (
        3,
        third,
    )
    assert told(await record.post(PATH, json=sent("pets", "puppy"))) == (3, set())
    assert told(await record.post(PATH, json=sent("pets", version=2))) == (3, third)
    whole = {("dog", "animal"), ("bird", "animal"), *third}
    assert told(await record.post(PATH, json=sent("pets", version=0))) == (3, whole)
    assert told(await record.post(PATH, json=sent("pets", version=3))) == (3, set())


async def test_a_table_that_is_begun_anew_goes_on_with_its_versions(record: httpx.AsyncClient) -> None:
    await record.post(PATH, json=sent("again"))
    await record.post(PATH, json=sent("again", "dog", "mammal"))
    assert told(await record.post(PATH, json=sent("again"))) == (2, set())
    assert told(await record.post(PATH, json=sent("again", version=2))) == (2, set())
    assert "begun anew at version 2" in refused(await record.post(PATH, json=sent("again", version=1)), 422)
    assert told(await record.post(PATH, json=sent("again", "dog", "mammal"))) == (3, {("dog", "mammal")})


async def test_a_table_follows_its_code_system(record: httpx.AsyncClient) -> None:
    """Concepts stand elsewhere in a changed code system; their relations are those of now."""
    rows: list[Json] = [{"code": "bug"}, {"code": "insect"}]
    system: Json = {
        "resourceType": "CodeSystem",
        "id": "bugs",
        "url": "urn:bugs",
        "status": "active",
        "content": "complete",
    }
    assert (await record.put("CodeSystem/bugs", json={**system, "concept": rows})).status_code == 201
    await record.post(PATH, json=sent("bugs"))
    await record.post(PATH, json=sent("bugs", "bug", "insect", system="urn:bugs"))
    moved = [{"code": "animal", "concept": [{"code": "insect", "concept": [{"code": "bug"}]}]}]
    assert (await record.put("CodeSystem/bugs", json={**system, "concept": moved})).status_code == 200
    answer = (await record.post(PATH, json=sent("bugs", "animal", system="urn:bugs"))).json()
    elements = {row["code"]: [one["code"] for one in row["target"]] for row in answer["group"][0]["element"]}
    assert elements == {"insect": ["animal"], "bug": ["animal"]}


async def test_additions_at_the_same_time_are_all_there(record: httpx.AsyncClient) -> None:
    await record.post(PATH, json=sent("many"))
    codes = ["animal", "mammal", "dog", "puppy", "cat", "bird"]
    answers = await asyncio.gather(*(record.post(PATH, json=sent("many", code)) for code in codes))
    parts = [told(answer) for answer in answers]
    assert sorted(version for version, _ in parts) == [1, 2, 3, 4, 5, 6]
    _, whole = told(await record.post(PATH, json=sent("many", version=0)))
    assert len(whole) == 9
    assert sum(len(rows) for _, rows in parts) == len(whole)


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (sent("unknown", "dog"), 404, "Begin it"),
        (sent("unknown", version=1), 404, "Begin it"),
        (sent("known", "dog", version=1), 400, "not both"),
        (sent("known", version="x"), 400, "is no version"),
        (sent("known", version=999), 422, "no version 999 yet"),
        (sent("known", "dog", "unicorn"), 422, "no code 'unicorn'. No concept was added"),
        (sent("known", "dog", system="urn:none"), 422, "is not known here"),
        (sent("x" * 201), 400, "at most 200"),
        ({"resourceType": "Parameters"}, 400, "'name'"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    record: httpx.AsyncClient, body: Json, status: int, text: str
) -> None:
    await record.post(PATH, json=sent("known"))
    before, _ = told(await record.post(PATH, json=sent("known", "cat")))
    assert text in refused(await record.post(PATH, json=body), status)
    assert told(await record.post(PATH, json=sent("known", version=before))) == (before, set())
