"""create and conditional create (R4 3.1.0.8)."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.interactions.conftest import codes, patient, said


async def test_answers_201_with_location_and_the_stored_resource(client: httpx.AsyncClient) -> None:
    response = await client.post("Patient", json=patient(id="mine", meta={"versionId": "9"}))
    assert response.status_code == 201
    body = response.json()
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert response.headers["etag"] == 'W/"1"'
    assert response.headers["location"] == f"http://localhost/fhir/Patient/{body['id']}/_history/1"
    again = await client.get(f"Patient/{body['id']}")
    assert again.content == response.content


async def test_keeps_decimals_as_written(client: httpx.AsyncClient) -> None:
    text = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}'
    response = await client.post("Observation", content=text)
    assert response.status_code == 201, response.text
    assert '"value":1.00' in (await client.get(f"Observation/{response.json()['id']}")).text


async def test_refuses_a_decimal_with_more_than_34_digits(client: httpx.AsyncClient) -> None:
    text = (
        '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":0.'
        + "1" * 40
        + "}}"
    )
    response = await client.post("Observation", content=text)
    assert response.status_code == 400
    assert "34" in said(response)


async def test_says_everything_that_is_wrong_at_once(client: httpx.AsyncClient) -> None:
    response = await client.post("Patient", json=patient(gender="mail", birthdate="2020-01-01", active="yes"))
    assert response.status_code == 400
    text = said(response)
    assert "birthDate" in text
    assert len(codes(response)) >= 3
    assert "Patient.gender" in [issue["expression"][0] for issue in response.json()["issue"]]


async def test_refuses_a_body_of_another_type(client: httpx.AsyncClient) -> None:
    response = await client.post("Observation", json=patient())
    assert response.status_code == 400
    assert "Patient" in said(response)
    assert "Observation" in said(response)


async def test_refuses_a_reference_to_what_is_not_there(client: httpx.AsyncClient) -> None:
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": "Patient/nobody"},
    }
    response = await client.post("Observation", json=body)
    assert response.status_code == 422
    assert "Patient/nobody" in said(response)
    assert response.json()["issue"][0]["expression"] == ["Observation.subject.reference"]


async def test_refuses_duplicate_properties(client: httpx.AsyncClient) -> None:
    response = await client.post("Patient", content='{"resourceType":"Patient","active":true,"active" :false}')
    assert response.status_code == 400
    assert "'active' twice" in said(response)


async def test_refuses_deep_nesting(client: httpx.AsyncClient) -> None:
    for depth in (101, 100_000):
        text = '{"resourceType":"Patient","extension":' + "[" * depth + "]" * depth + "}"
        response = await client.post("Patient", content=text)
        assert response.status_code == 400
        assert "100" in said(response)


async def test_prefer_decides_the_body(client: httpx.AsyncClient) -> None:
    minimal = await client.post("Patient", json=patient(), headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    outcome = await client.post("Patient", json=patient(), headers={"Prefer": "return=OperationOutcome"})
    assert outcome.status_code == 201
    assert "was created" in said(outcome)


async def test_if_none_exist_creates_once(client: httpx.AsyncClient, fresh: Callable[[str], str]) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    headers = {"If-None-Exist": f"identifier=urn:mrn|{key}"}
    first = await client.post("Patient", json=body, headers=headers)
    second = await client.post("Patient", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


async def test_64_concurrent_conditional_creates_make_one_resource(
    client: httpx.AsyncClient, fresh: Callable[[str], str]
) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    headers = {"If-None-Exist": f"identifier=urn:mrn|{key}"}
    answers = await asyncio.gather(*(client.post("Patient", json=body, headers=headers) for _ in range(64)))
    assert sorted(answer.status_code for answer in answers) == [200] * 63 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (await client.get("Patient", params={"identifier": f"urn:mrn|{key}"})).json()["total"] == 1


async def test_if_none_exist_refuses_more_than_one_match(
    client: httpx.AsyncClient, fresh: Callable[[str], str]
) -> None:
    key = fresh("mrn")
    body = patient(identifier=[{"system": "urn:mrn", "value": key}])
    for _ in range(2):
        await client.post("Patient", json=body)
    response = await client.post("Patient", json=body, headers={"If-None-Exist": f"identifier=urn:mrn|{key}"})
    assert response.status_code == 412
    assert codes(response) == ["multiple-matches"]


async def test_if_none_exist_needs_a_criterion(client: httpx.AsyncClient) -> None:
    for query in ("_count=1", "identifier=", "?"):
        response = await client.post("Patient", json=patient(), headers={"If-None-Exist": query})
        assert response.status_code == 400, query


async def test_a_condition_is_read_in_either_encoding(client: httpx.AsyncClient) -> None:
    """A client that does not percent-encode the header must not get a second resource for it."""
    family = f"Müller{uuid4().hex}"
    first = await client.post("Patient", json={"resourceType": "Patient", "name": [{"family": family}]})
    for header in (
        f"family={family}".encode(),
        f"family={family}".encode("latin-1"),
        f"family={quote(family)}".encode(),
    ):
        again = await client.post("Patient", json={"resourceType": "Patient"}, headers={b"If-None-Exist": header})
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
