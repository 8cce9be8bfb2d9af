"""From a token to what a request reaches, over a running service."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.bearer import Gate
from fhir_server.access.grants import Grants
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Unauthenticated
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Mongo, Settings
from smart_auth.tokens import TokenCheck
from tests.smart_auth.house import BASE, House

ANN, BO = {"resourceType": "Patient", "id": "ann"}, {"resourceType": "Patient", "id": "bo"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"bearer_{uuid4().hex[:8]}", cache_gb=0.25))
    async with running(settings) as service:
        for patient in (ANN, BO):
            await service.repository.update("Patient", patient["id"], patient)
            observation = {"resourceType": "Observation", "id": f"o-{patient['id']}", "status": "final"}
            more = {"code": {"text": "x"}, "subject": {"reference": f"Patient/{patient['id']}"}}
            await service.repository.update("Observation", f"o-{patient['id']}", {**observation, **more})
        yield service


class Caller:
    def __init__(self, house: House, service: Service) -> None:
        self.house = house
        self.service = service
        self.gate = Gate(
            TokenCheck(house.realm),
            house.store.epoch,
            Grants(
                service.grants.standings,
                lambda: service.definitions,
                service.settings,
                house.store,
                house.realm.clock,
            ),
            realm=BASE,
        )
        self.token = ""

    async def as_app(self, scope: str, user_id: str = "u-ann", patient: str = "ann") -> "Caller":
        asking = self.house.asking(scope=scope)
        self.token = (await self.house.redeem(await self.house.code(asking, user_id, patient=patient))).body[
            "access_token"
        ]
        return self

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> FhirResponse:
        scope = await self.gate.scope({"authorization": f"Bearer {self.token}"})
        sent = {"content-type": "application/fhir+json", **headers}
        content = json.encode(body) if body is not None else b""
        target, _, query = path.partition("?")
        pairs = tuple(tuple(pair.split("=")) for pair in query.split("&") if pair)
        request = FhirRequest(method, tuple(target.split("/")) if target else (), BASE, pairs, sent, content)  # type: ignore[arg-type]
        return await self.service._pipeline.answer(request, scope)


@pytest.fixture
def caller(house: House, service: Service) -> Caller:
    return Caller(house, service)


@pytest_asyncio.fixture(loop_scope="session")
async def house() -> House:
    return await House.built()


async def test_an_app_reads_the_launch_patient_and_nobody_else(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs patient/Observation.rs")
    assert (await caller.send("GET", "Patient/ann")).status == 200
    assert (await caller.send("GET", "Patient/bo")).status == 404
    assert (await caller.send("GET", "Observation/o-ann")).status == 200
    assert (await caller.send("GET", "Observation/o-bo")).status == 404
    found = json.decode((await caller.send("GET", "Observation")).body)
    assert [entry["resource"]["id"] for entry in found["entry"] if entry["search"]["mode"] == "match"] == ["o-ann"]


async def test_a_type_without_scope_is_403_and_no_empty_bundle(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs")
    for method, path in (("GET", "Observation"), ("GET", "Observation/o-ann"), ("GET", "Condition?patient=ann")):
        response = await caller.send(method, path)
        assert response.status == 403, path
        assert "insufficient_scope" in response.headers["WWW-Authenticate"]
    assert (await caller.send("PUT", "Patient/ann", ANN)).status == 403
    assert (await caller.send("DELETE", "Patient/ann")).status == 403


async def test_writing_into_the_record_of_somebody_else_is_refused(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs patient/Observation.cruds")
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    ann, bo = ({"reference": f"Patient/{name}"} for name in ("ann", "bo"))
    hers, his = {**body, "subject": ann, "performer": [ann]}, {**body, "subject": bo, "performer": [bo]}
    created = await caller.send("POST", "Observation", hers)
    assert created.status == 201
    moved_id = created.headers["Location"].split("/")[-3]
    assert (await caller.send("POST", "Observation", body)).status == 403
    assert (await caller.send("PUT", f"Observation/{moved_id}", {**body, "id": moved_id})).status == 403
    # That there is such a patient must not show either.
    nobodys = {**body, "subject": {"reference": "Patient/nobody"}}
    assert (await caller.send("POST", "Observation", his)).status == 403
    assert (await caller.send("POST", "Observation", nobodys)).status == 403
    assert (await caller.send("PUT", f"Observation/{moved_id}", {**his, "id": moved_id})).status == 403


async def test_a_batch_is_judged_entry_by_entry(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs")
    entries = [{"request": {"method": "GET", "url": url}} for url in ("Patient/ann", "Patient/bo", "Observation/o-ann")]
    response = await caller.send("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})
    statuses = [entry["response"]["status"][:3] for entry in json.decode(response.body)["entry"]]
    assert statuses == ["200", "404", "403"]


async def test_a_revoked_token_opens_nothing_from_the_next_request_on(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs")
    assert (await caller.send("GET", "Patient/ann")).status == 200
    await caller.house.store.end_grants(caller.house.clock(), "person", user_id="u-ann")
    with pytest.raises(Unauthenticated):
        await caller.send("GET", "Patient/ann")


@pytest.mark.parametrize(("header", "code"), [("", ""), ("Basic x", ""), ("Bearer wrong", "invalid_token")])
async def test_without_a_valid_token_the_answer_says_how_to_get_in(caller: Caller, header: str, code: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await caller.gate.scope({"authorization": header} if header else {})
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith(f'Bearer realm="{BASE}"')
    assert (f'error="{code}"' in challenge) if code else ("error" not in challenge)


@pytest.mark.parametrize("header", ["Bearer", "Bearer a, Bearer b", "Bearer a b", "Bearer  a", "Bearer ä"])
async def test_two_tokens_or_half_a_token_are_no_token(caller: Caller, header: str) -> None:
    with pytest.raises(BadRequest, match="sent once") as caught:
        await caller.gate.scope({"authorization": header})
    assert 'error="invalid_request"' in caught.value.headers["WWW-Authenticate"]


async def test_a_grant_is_compiled_once(caller: Caller) -> None:
    await caller.as_app("patient/Patient.rs")
    headers = {"authorization": f"Bearer {caller.token}"}
    assert await caller.gate.scope(headers) is await caller.gate.scope(headers)
