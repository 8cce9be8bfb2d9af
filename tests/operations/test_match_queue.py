"""The match queue of a network: pairs of Patients of its facilities as Tasks, and what becomes of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, working
from fhir_server.model import json
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Jobs, Mongo, Settings

Json = dict[str, Any]
BASE = "http://localhost/fhir"
LEVEL = "https://aquifer.example/fhir/CodeSystem/org-level"
NAMES = {"clara": ("Ashby", "Clara", "1992-09-03"), "ruth": ("Penrose", "Ruth", "1938-03-29")}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    settings = Settings(
        data_dir=data_dir,
        mongo=Mongo(database=f"queue_{uuid4().hex[:8]}", cache_gb=0.25),
        jobs=Jobs(concurrency=1, reindex_share=1),
    )
    async with working(settings) as service:
        for name, level in (("net", "network"), ("east", "facility"), ("west", "facility"), ("solo", "facility")):
            kind = [{"coding": [{"system": LEVEL, "code": level}]}]
            await put(service, {"resourceType": "Organization", "id": name, "name": name, "type": kind, "active": True})
        for member in ("east", "west"):
            await put(service, membership(member))
        for where in ("east", "west", "solo"):
            await put(service, patient(f"clara-{where}", "clara"), where)
        await put(service, patient("clara-again", "clara"), "east")
        await put(service, patient("ruth-east", "ruth"), "east")
        yield service


def membership(member: str) -> Json:
    return {
        "resourceType": "OrganizationAffiliation",
        "id": f"net-{member}",
        "active": True,
        "period": {"start": "2024-01-01"},
        "organization": {"reference": "Organization/net"},
        "participatingOrganization": {"reference": f"Organization/{member}"},
        "code": [{"coding": [{"system": "http://hl7.org/fhir/organization-role", "code": "member"}]}],
    }


def patient(name: str, who: str) -> Json:
    family, given, born = NAMES[who]
    return {
        "resourceType": "Patient",
        "id": name,
        "name": [{"family": family, "given": [given]}],
        "birthDate": born,
        "gender": "female",
        "address": [{"line": ["1 Mill Lane"], "postalCode": "12000"}],
    }


async def ask(service: Service, method: str, *path: str, body: Json | None = None, facility: str = "") -> FhirResponse:
    return await service.dispatch(FhirRequest(method, path, BASE, resource=body), facility)


async def put(service: Service, resource: Json, facility: str = "") -> None:
    answer = await ask(service, "PUT", resource["resourceType"], resource["id"], body=resource, facility=facility)
    assert answer.status in {200, 201}, answer.resource


async def filled(service: Service) -> Json:
    """Fill the queue; return what is told of it at the end."""
    queued = await ask(service, "POST", "Organization", "net", "$match-queue")
    assert queued.status == 202, queued.resource
    assert queued.headers["Content-Location"] == f"{BASE}/Organization/net/$match-queue"
    async with asyncio.timeout(60):
        while True:
            answer = await ask(service, "GET", "Organization", "net", "$match-queue")
            told = {row["name"]: next(v for k, v in row.items() if k != "name") for row in answer.resource["parameter"]}
            if told["state"] == "done":
                return told
            assert told["state"] in {"queued", "leased"}, told
            await asyncio.sleep(0.1)


async def tasks(service: Service) -> list[Json]:
    found = await service.repository.matches("Task", (("code", "match-review"),), 100)
    return [json.decode(one.body) for one in found]


async def test_who_may_be_registered_at_two_facilities_is_a_task_and_nothing_is_linked(service: Service) -> None:
    told = await filled(service)
    assert (told["done"], told["new"]) == (4, 2), "solo is no member; two of one facility are no matter of the network"
    found = {
        one["focus"]["reference"] + " " + one["input"][0]["valueReference"]["reference"]: one
        for one in await tasks(service)
    }
    assert set(found) == {"Patient/clara-east Patient/clara-west", "Patient/clara-again Patient/clara-west"}
    for task in found.values():
        assert (task["status"], task["intent"], task["owner"]) == (
            "requested",
            "proposal",
            {"reference": "Organization/net"},
        )
        inputs = {row["type"]["coding"][0]["code"]: row for row in task["input"]}
        assert inputs["match-grade"]["valueCode"] == "certain"
        assert inputs["match-score"]["valueDecimal"] >= json.decode(b"0.99")
        assert "for" not in task, "patients read what is for them"
        live = await service.store.current("Task", [task["id"]], service.repository.scope.where("Task", "r"))
        assert live[task["id"]].document["f"] == "net"
        assert "p" not in live[task["id"]].document
    assert "link" not in json.decode((await service.repository.read("Patient", "clara-east")).body)


async def test_filling_again_makes_no_second_task_and_opens_none_that_was_decided(service: Service) -> None:
    await filled(service)
    (first, *_), count = await tasks(service), len(await tasks(service))
    await put(service, {**first, "status": "rejected"})
    assert (await filled(service))["new"] == 0
    after = await tasks(service)
    assert len(after) == count
    assert [one["status"] for one in after if one["id"] == first["id"]] == ["rejected"]


async def test_a_link_completes_the_task_about_it(service: Service) -> None:
    await filled(service)
    rows = [{"name": "other", "valueReference": {"reference": "Patient/clara-west"}}]
    body = {"resourceType": "Parameters", "parameter": rows}
    assert (await ask(service, "POST", "Patient", "clara-again", "$link", body=body)).status == 200
    (task,) = [one for one in await tasks(service) if one["focus"]["reference"] == "Patient/clara-again"]
    assert task["status"] == "completed"


async def test_a_queue_of_no_organization_or_that_nobody_asked_for_is_not_there(service: Service) -> None:
    assert (await ask(service, "POST", "Organization", "nobody", "$match-queue")).status == 404
    assert (await ask(service, "GET", "Organization", "solo", "$match-queue")).status == 404
    answer = await ask(
        service,
        "POST",
        "Organization",
        "net",
        "$match-queue",
        body={"resourceType": "Parameters", "parameter": [{"name": "x", "valueString": "y"}]},
    )
    assert answer.status == 400
