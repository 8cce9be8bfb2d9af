"""Searches by sets of codes over a hierarchy that was loaded, held against a walk through it by hand."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import Service, running
from loadtests import nomenclature
from loadtests.nomenclature import URL
from tests.conftest import dropped
from tests.serving import BASE, own

Json = dict[str, Any]
CONCEPTS, CONDITIONS = 3_000, 150
PATIENTS = ("one", "two", "three")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    settings = own(data_dir, "searches")
    async with running(settings) as service:
        await service.store.concepts.load(nomenclature.release(CONCEPTS))
        yield service
    await dropped(settings.data_dir, settings.mongo.database)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(service.settings, lambda _: _There(service))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE, timeout=300) as client,
    ):
        yield client


class _There:
    """A service that is running already."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __aenter__(self) -> Service:
        return self._service

    async def __aexit__(self, *_: object) -> None:
        return


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def coded(service: Service) -> dict[str, str]:
    """Conditions, by id the code that each has; also one of another system, one without system, one without code."""
    chance = random.Random(3)
    found = {f"c{number}": nomenclature.code(int(CONCEPTS * chance.random() ** 2)) for number in range(CONDITIONS)}
    for name in PATIENTS:
        await service.repository.update("Patient", name, {"resourceType": "Patient", "id": name})
    rows: dict[str, Json] = {name: {"coding": [{"system": URL, "code": code}]} for name, code in found.items()}
    rows["other"] = {"coding": [{"system": "urn:other", "code": nomenclature.code(1)}]}
    rows["bare"] = {"coding": [{"code": nomenclature.code(1)}]}
    rows["text"] = {"text": "no code"}
    for number, (name, code) in enumerate(rows.items()):
        patient = {"reference": f"Patient/{PATIENTS[number % len(PATIENTS)]}"}
        condition = {"resourceType": "Condition", "id": name, "code": code, "subject": patient}
        await service.repository.update("Condition", name, condition)
    return found


@pytest.fixture(scope="module")
def parents() -> dict[str, tuple[str, ...]]:
    return {row.code: row.parents for row in nomenclature.release(CONCEPTS).rows()}


def above(code: str, parents: dict[str, tuple[str, ...]]) -> set[str]:
    """Return a code and all above it, by walking."""
    found, waiting = {code}, [code]
    while waiting:
        for one in parents[waiting.pop()]:
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


async def ids(client: httpx.AsyncClient, search: str) -> set[str]:
    answer = await client.get(f"{search}&_count=1000")
    assert answer.status_code == 200, answer.text
    return {row["resource"]["id"] for row in answer.json().get("entry", ())}


@pytest.fixture(params=["asked for one by one", "asked of what is stored"])
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "asked of what is stored":
        for name in ("fhir_server.vocabulary.sets.MOST_CODES", "fhir_server.search.codes.MOST_CODES"):
            monkeypatch.setattr(name, 0)
    return str(request.param)


async def test_below_and_above_are_what_a_walk_finds(
    client: httpx.AsyncClient, coded: dict[str, str], parents: dict[str, tuple[str, ...]], limits: str
) -> None:
    for ordinal in (0, 1, 5, 20, 100, 1_000, 2_999):
        code = nomenclature.code(ordinal)
        below = {name for name, one in coded.items() if code in above(one, parents)}
        assert await ids(client, f"Condition?code:below={quote(f'{URL}|{code}')}") == below
    for name, code in [*coded.items()][::15]:
        wanted = {other for other, one in coded.items() if one in above(code, parents)}
        assert name in wanted
        assert await ids(client, f"Condition?code:above={quote(f'{URL}|{code}')}") == wanted


async def test_they_combine_with_everything_else(
    client: httpx.AsyncClient, coded: dict[str, str], parents: dict[str, tuple[str, ...]], limits: str
) -> None:
    code = nomenclature.code(2)
    token = quote(f"{URL}|{code}")
    below = {name for name, one in coded.items() if code in above(one, parents)}
    of_one = await ids(client, "Condition?patient=one")
    assert 0 < len(below & of_one) < len(below)
    assert await ids(client, f"Condition?code:below={token}&patient=one") == below & of_one
    assert await ids(client, f"Patient?_has:Condition:patient:code:below={token}") == {
        name for name in PATIENTS if below & await ids(client, f"Condition?patient={name}")
    }
    assert (
        await ids(client, f"Condition?_filter=code%20ss%20{token}%20and%20patient%20eq%20Patient/one") == below & of_one
    )
    stored = {"resourceType": "ValueSet", "id": "below", "url": "urn:vs:below", "status": "active", "compose": {
        "include": [{"system": URL, "filter": [{"property": "concept", "op": "is-a", "value": code}]}]}}  # fmt: skip
    assert (await client.put("ValueSet/below", json=stored)).status_code in {200, 201}
    assert await ids(client, "Condition?code:in=urn:vs:below") == below
    rest = {*coded, "other", "bare", "text"} - below
    assert await ids(client, "Condition?code:not-in=urn:vs:below") == rest


async def test_what_is_too_much_is_refused_with_its_number(
    client: httpx.AsyncClient, coded: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.vocabulary.sets.MOST_CODES", 10)
    monkeypatch.setattr("fhir_server.repository.chains.MOST_STORED", 20)
    answer = await client.get(f"Condition?code:below={quote(f'{URL}|{nomenclature.code(0)}')}")
    assert answer.status_code == 400, answer.text
    (issue,) = answer.json()["issue"]
    assert issue["code"] == "too-costly"
    assert f"has {CONCEPTS:,} codes" in issue["details"]["text"]
    assert "different codes there, of which at most 20 are looked at" in issue["details"]["text"]
