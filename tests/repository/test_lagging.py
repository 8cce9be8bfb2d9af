"""As long as a new release has not indexed everything anew, no search misses anything silently."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.search.index import SV
from fhir_server.settings import Jobs, Settings
from fhir_server.store.client import connect
from tests.conftest import dropped
from tests.repository.conftest import PATIENCE, Json, found, put, said
from tests.serving import own, serving

FAMILY = "Patient?family=Old"
STRICT = {"Prefer": "handling=strict"}
CONDITION = {"If-None-Exist": "identifier=http://example.org|1"}


@pytest_asyncio.fixture(loop_scope="session")
async def older(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Settings]:
    """A record as another version of the extraction has left it: it knew neither family names nor identifiers."""
    settings = own(data_dir, "lagging", jobs=Jobs(reindex_share=1))
    async with serving(settings) as client:
        identifier = [{"system": "http://example.org", "value": "1"}]
        await put(client, "Patient", "one", name=[{"family": "Old"}], identifier=identifier)
        await put(
            client, "Observation", "one", status="final", code={"text": "x"}, subject={"reference": "Patient/one"}
        )
    async with connect(mongo_url, settings) as mongo:
        record = mongo[settings.mongo.database]
        await record.Patient.update_many({}, {"$set": {"sv": 2 * SV - 2}, "$unset": {"s.family": 1, "s.identifier": 1}})
        await record.meta.update_one({"_id": "extraction"}, {"$set": {"version": SV - 1}})
    yield settings
    await dropped(data_dir, settings.mongo.database)


def warnings(bundle: Json) -> list[str]:
    outcomes = [entry["resource"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == "outcome"]
    issues = [issue for outcome in outcomes for issue in outcome["issue"]]
    assert all((issue["severity"], issue["code"]) == ("warning", "incomplete") for issue in issues)
    return [issue["details"]["text"] for issue in issues]


async def ask(client: httpx.AsyncClient, search: str, **headers: str) -> Json:
    response = await client.get(search, headers=headers)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_a_search_says_that_it_may_miss_something_until_the_job_is_done(older: Settings) -> None:
    async with serving(older) as client:
        for search in (
            FAMILY,
            "Observation?subject:Patient.family=Old",
            "?_type=Patient,Observation&_tag=x",
            "Patient/one/Observation",
        ):
            bundle = await ask(client, search)
            (text,) = warnings(bundle)
            assert "Patient" in text or "Observation" in text
            assert "$reindex-status" in text
            assert "total" not in bundle, "a number that may be wrong"
        assert "total" not in await ask(client, f"{FAMILY}&_total=accurate")
        assert warnings(await ask(client, FAMILY, Prefer="handling=lenient"))
    async with serving(older, working) as client, asyncio.timeout(PATIENCE):
        while warnings(bundle := await ask(client, FAMILY)):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.02)
        assert bundle["total"] == 1
        while warnings(await ask(client, "Observation?subject:Patient.family=Old")):  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.02)
    async with serving(older) as client:
        assert await found(client, FAMILY) == ["Patient/one"]
        assert not warnings(await ask(client, "Observation?code=x"))


async def test_what_rests_on_no_entries_is_answered_as_ever(older: Settings) -> None:
    async with serving(older) as client:
        for search in ("Patient", "Patient?_id=one", "Patient?_lastUpdated=ge2020&_sort=_lastUpdated"):
            bundle = await ask(client, search, **STRICT)
            assert not warnings(bundle)
            assert bundle["total"] == 1
        assert (await client.get("Patient/one")).status_code == 200
        assert (await ask(client, "Patient?_summary=count"))["total"] == 1


@pytest.mark.parametrize(
    ("search", "headers"),
    [
        (FAMILY, STRICT),
        (f"{FAMILY}&_summary=count", {}),
        (f"{FAMILY}&_count=0", {}),
        ("?_type=Patient&_tag=x&_summary=count", {}),
    ],
)
async def test_who_needs_all_or_only_a_number_is_refused(older: Settings, search: str, headers: dict[str, str]) -> None:
    async with serving(older) as client:
        refused = await client.get(search, headers=headers)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["issue"][0]["code"] == "transient"
        assert "$reindex-status" in said(refused)


async def test_no_write_is_decided_by_a_search_that_may_miss_something(older: Settings) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "http://example.org", "value": "1"}]}
    body = {"resourceType": "Bundle", "type": "transaction"}
    create = {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=http://example.org|1"}
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient?identifier=http://example.org|1"},
    }
    referring = {"resource": observation, "request": {"method": "POST", "url": "Observation"}}
    by_identifier = "Patient?identifier=http://example.org|1"
    patched: dict[str, Any] = {"headers": {"Content-Type": "application/json-patch+json"}, "json": []}
    async with serving(older) as client:
        for refused in (
            await client.post("Patient", json=patient, headers=CONDITION),
            await client.put(by_identifier, json=patient),
            await client.patch(by_identifier, **patched),
            await client.delete(by_identifier),
            await client.post("", json={**body, "entry": [{"resource": patient, "request": create}]}),
            await client.post("", json={**body, "entry": [referring]}),
        ):
            assert refused.status_code == 503, refused.text
            assert "$reindex-status" in said(refused)
            assert int(refused.headers["Retry-After"]) > 0
        assert (await ask(client, "Patient"))["total"] == 1
        assert (await client.put("Patient?_id=one", json={"resourceType": "Patient"})).status_code == 200
        batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": FAMILY}}]}
        answered = (await client.post("", json=batch)).json()["entry"][0]["resource"]
        assert warnings(answered)
