"""Backend services that are registered for a part of the house reach that part, and never more than their scopes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from smart_auth import tokens
from smart_auth.records import Client
from tests.access.house import Caller, House, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import facility, put

POLICY: dict[str, Any] = {"facility": "east", "facilities": ("east",), "purpose": "TREAT"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in (facility("east"), facility("west"), facility("ward", partOf=reference("Organization/east"))):
            await put(house, "", one)
        for where, patient in (("east", "eve"), ("west", "wes"), ("ward", "wanda")):
            await put(house, where, resource("Patient", patient, name=[{"family": patient.title()}]))
            await put(house, where, observation(f"{patient}-lab", patient))
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(house: House) -> Caller:
    return await house.registered("system/*.cruds", **POLICY)


async def test_a_service_of_one_facility_finds_nothing_of_another(lab: Caller) -> None:
    assert sorted(await lab.found("Patient")) == ["Patient/eve", "Patient/wanda"]
    assert (await lab.get("Patient?_total=accurate")).json()["total"] == 2
    assert await lab.status("Observation/wanda-lab") == 200
    for path in ("Observation/wes-lab", "Observation/wes-lab/_history/1", "Patient/wes"):
        assert await lab.status(path) == 404


async def test_what_it_creates_is_kept_by_its_facility_and_nothing_is_written_elsewhere(
    house: House, lab: Caller
) -> None:
    made = await lab.post(observation("x", "eve"))
    assert made.status_code == 201
    east = await house.registered("system/*.rs", facility="east", facilities=("east",))
    west = await house.registered("system/*.rs", facility="west", facilities=("west",))
    place = f"Observation/{made.json()['id']}"
    assert (await east.status(place), await west.status(place)) == (200, 404)
    assert (await lab.put(observation("wes-lab", "eve"))).status_code == 404
    assert (await lab.post(observation("x", "wes"))).status_code == 422


async def test_several_facilities_add_up_and_the_root_is_everything(house: House) -> None:
    both = await house.registered("system/*.rs", facility="ward", facilities=("ward", "west"))
    assert sorted(await both.found("Patient")) == ["Patient/wanda", "Patient/wes"]
    root = await house.registered("system/*.rs", facility="root", facilities=("root",))
    assert len(await root.found("Patient")) == 3


@pytest.mark.parametrize("scope", ["system/Patient.rs", "system/Patient.r"])
async def test_a_policy_adds_nothing_to_the_scopes(house: House, scope: str) -> None:
    narrow = await house.registered(scope, **POLICY, types=("Patient", "Observation"))
    assert await narrow.status("Patient/eve") == 200
    assert await narrow.status("Observation/eve-lab") == 403
    assert (await narrow.put(resource("Patient", "eve"))).status_code == 403


async def test_a_service_of_one_facility_changes_nothing_for_everybody(lab: Caller) -> None:
    parameter = {
        "resourceType": "SearchParameter", "url": "urn:x", "name": "X", "status": "active", "description": "x", "code": "x",
        "base": ["Patient"], "type": "token", "expression": "Patient.gender",
    }  # fmt: skip
    assert (await lab.post(parameter)).status_code == 403
    assert (await lab.ask("POST", "$reindex", {"resourceType": "Parameters"})).status_code == 403


async def test_what_is_taken_from_the_policy_is_out_of_reach_at_the_next_request(house: House) -> None:
    caller = await house.registered("system/*.rs", facility="east", facilities=("east", "west"))
    assert await caller.status("Patient/wes") == 200
    realm = house.service.realm
    bearer = await tokens.find(realm, caller.token)
    assert bearer is not None
    assert bearer.client is not None
    client = await realm.store.get(Client, bearer.client.id)
    assert client is not None
    await realm.store.swap(client, replace(client, facilities=("east",)), felt=True)
    assert await caller.status("Patient/wes") == 404
