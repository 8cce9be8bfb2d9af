"""What is stored by another version of the extraction is indexed anew after the start; what is building cannot be searched by."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.labels import ACT_CODE
from fhir_server.main import working
from fhir_server.search.index import SV, version
from fhir_server.search.reading import PLAIN
from fhir_server.settings import Access, Jobs, Settings
from fhir_server.store.client import connect
from tests.conftest import dropped
from tests.repository.conftest import PATIENCE, Json, found, parameter, put, said
from tests.serving import own, serving

PATIENTS = 250


@pytest_asyncio.fixture(loop_scope="session")
async def settings(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Settings]:
    settings = own(data_dir, "reindexing", jobs=Jobs(reindex_share=1))
    yield settings
    await dropped(data_dir, settings.mongo.database)


async def test_a_new_release_makes_the_entries_of_an_older_one_again(settings: Settings, mongo_url: SecretStr) -> None:
    async with serving(settings) as client:
        rows: list[Json] = [
            {
                "resource": {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": "Old"}]},
                "request": {"method": "PUT", "url": f"Patient/p{number}"},
            }
            for number in range(PATIENTS)
        ]
        inside = {"resourceType": "Organization", "id": "o", "name": "Inside"}
        rows[0]["resource"] |= {"contained": [inside], "managingOrganization": {"reference": "#o"}}
        loaded = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": rows})
        assert loaded.status_code == 200, loaded.text
    async with connect(mongo_url, settings) as mongo:
        record = mongo[settings.mongo.database]
        assert await record.meta.find_one({"_id": "extraction"}) == {"_id": "extraction", "version": SV}
        await record.Patient.update_many({}, {"$set": {"sv": SV - 1, "s.family": ["other"]}, "$unset": {"c": 1}})
        await record.meta.update_one({"_id": "extraction"}, {"$set": {"version": SV - 1}})
        async with serving(settings, working) as client, asyncio.timeout(PATIENCE):
            while (await client.get("$reindex-status")).json()["parameter"][0]["part"][1]["valueCode"] != "done":  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.05)
            assert len(await found(client, "Patient?family=Old&_count=1000")) == PATIENTS
            assert await found(client, "Organization?name=inside&_contained=true") == ["Patient/p0"]
        assert await record.Patient.count_documents({"sv": version(PLAIN)}) == PATIENTS
        async with serving(settings, working) as client:
            assert len((await client.get("$reindex-status")).json()["parameter"]) == 1, "there is nothing more to do"


async def test_a_new_release_sets_the_gates_of_what_was_and_of_what_is(
    settings: Settings, mongo_url: SecretStr
) -> None:
    body: Json = {"resourceType": "Observation", "id": "o", "code": {"text": "x"}}
    async with serving(settings) as client:
        for status in ("registered", "final", "preliminary"):
            assert (await client.put("Observation/o", json={**body, "status": status})).is_success
    async with connect(mongo_url, settings) as mongo:
        record = mongo[settings.mongo.database]
        rows, past = record.Observation, record.Observation_h

        async def stored() -> list[Any]:
            found = [*await past.find().sort("_id").to_list(), *await rows.find().to_list()]
            return [(row.get("gt"), row["sv"]) for row in found]

        current = version(PLAIN)
        wanted = [("draft", current), (None, current), ("preliminary", current)]
        assert await stored() == wanted
        for name in (rows, past):
            await name.update_many({}, {"$set": {"sv": 2 * SV - 2, "gt": "other"}})
        await past.update_one({"_id": "o/00000001"}, {"$unset": {"gt": 1}})
        await record.meta.update_one({"_id": "extraction"}, {"$set": {"version": SV - 1}})
        async with serving(settings, working) as client, asyncio.timeout(PATIENCE):
            while (await client.get("$reindex-status")).json()["parameter"][0]["part"][1]["valueCode"] != "done":  # noqa: ASYNC110 - as clients do
                await asyncio.sleep(0.05)
        assert await stored() == wanted


async def test_labels_that_restrict_from_now_on_do_so_in_every_version(
    settings: Settings, mongo_url: SecretStr
) -> None:
    labels = {"security": [{"system": ACT_CODE, "code": code} for code in ("HIV", "STD")]}
    body: Json = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
    async with serving(settings) as client:
        for meta in ({"meta": labels}, {}, {"meta": labels}):
            assert (await client.put("Observation/o", json={**body, **meta})).is_success
    async with connect(mongo_url, settings) as mongo:
        record = mongo[settings.mongo.database]

        async def stored() -> list[Any]:
            past, live = record.Observation_h, record.Observation
            return [row.get("sl") for row in (*await past.find().sort("_id").to_list(), *await live.find().to_list())]

        assert await stored() == [["HIV"], None, ["HIV"]]
        for restricting in (("STD", "HIV"), ("STD",), ()):
            changed = settings.model_copy(update={"access": Access(labels=restricting)})
            async with serving(changed, working) as client, asyncio.timeout(PATIENCE):
                job = (await client.post("$reindex")).json()["parameter"][0]["valueId"]
                state = f"$reindex-status?job={job}"
                while (await client.get(state)).json()["parameter"][0]["part"][1]["valueCode"] != "done":  # noqa: ASYNC110 - as clients do
                    await asyncio.sleep(0.05)
            wanted = sorted(restricting) or None
            assert await stored() == [wanted, None, wanted]


@pytest.mark.parametrize("handling", ["strict", "lenient"])
async def test_whatever_names_a_parameter_that_is_building_is_refused(settings: Settings, handling: str) -> None:
    """No server does the work, so it stays building; leaving it out would answer another question."""
    prefer = {"Prefer": f"handling={handling}"}
    async with serving(settings) as client:
        await put(client, "Patient", "one", active=True)
        body = parameter("kin", "Patient.contact.organization", "reference", target=["Organization"])
        assert (await client.post("SearchParameter", json=body)).status_code == 201
        for search in (
            "Patient?kin=Organization/root",
            "Patient?kin:missing=true",
            "Patient?kin.name=Root",
            "Patient?_sort=-_lastUpdated,kin",
            "Patient?_include=Patient:kin:Organization",
            "Organization?_revinclude=Patient:kin",
            "Observation?subject:Patient.kin=Organization/root",
            "Observation?subject.kin=Organization/root",
            "Organization?_has:Patient:kin:active=true",
            "Organization?_has:Patient:organization:kin=Organization/root",
            "Patient/one/*?_type=Patient&kin=Organization/root",
            "?_type=Patient&kin=Organization/root",
        ):
            refused = await client.get(search, headers=prefer)
            assert refused.status_code == 400, f"{search}: {refused.text}"
            assert refused.json()["issue"][0]["code"] == "transient", f"{search}: {refused.text}"
            assert "cannot be searched by yet" in said(refused)
        form = {**prefer, "Content-Type": "application/x-www-form-urlencoded"}
        refused = await client.post("Patient/_search", content="kin=Organization/root", headers=form)
        assert refused.json()["issue"][0]["code"] == "transient"


async def test_other_types_do_not_wait_for_it(settings: Settings) -> None:
    async with serving(settings) as client:
        await put(client, "Patient", "one", active=True)
        body = parameter("subject", "Patient.contact.organization", "reference", target=["Organization"])
        assert (await client.post("SearchParameter", json=body)).status_code == 201
        assert (await client.get("Patient?subject=Organization/root")).status_code == 400
        assert (await client.get("Observation?subject=Patient/one&_sort=date")).status_code == 200
        assert (await client.get("Observation?_include=Observation:subject")).status_code == 200
        assert (await client.get("Patient?_has:Observation:subject:code=x")).status_code == 200
