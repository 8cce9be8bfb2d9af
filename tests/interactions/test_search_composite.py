"""Composite parameters through the whole server: alone, in chains, in `_has`, with includes and revincludes."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import said

Json = dict[str, Any]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def pressure(code: str, value: float) -> Json:
    amount = {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
    return {"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": amount}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(client: httpx.AsyncClient) -> str:
    """Two patients, each with a blood pressure of the same numbers, but on different sides; ids end in this tag."""
    tag = uuid4().hex[:10]

    def ref(resource_type: str, name: str) -> Json:
        return {"reference": f"{resource_type}/{name}-{tag}"}

    rows: list[Json] = []
    for name, systolic, diastolic in (("ada", 160, 90), ("bob", 150, 100)):
        rows += [
            {"resourceType": "Patient", "id": f"{name}-{tag}", "identifier": [{"value": tag}]},
            {
                "resourceType": "Observation",
                "id": f"{name}-{tag}",
                "status": "final",
                "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
                "subject": ref("Patient", name),
                "component": [pressure("8480-6", systolic), pressure("8462-4", diastolic)],
            },
            {
                "resourceType": "DiagnosticReport",
                "id": f"{name}-{tag}",
                "status": "final",
                "code": {"text": "report"},
                "subject": ref("Patient", name),
                "result": [ref("Observation", name)],
            },
        ]
    for row in rows:
        response = await client.put(f"{row['resourceType']}/{row['id']}", json=row)
        assert response.status_code == 201, response.text
    return tag


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Observation?patient.identifier={tag}&component-code-value-quantity=8480-6$gt155", {"Observation/ada"}),
        ("Observation?patient.identifier={tag}&component-code-value-quantity=8462-4$gt95", {"Observation/bob"}),
        ("Observation?patient.identifier={tag}&component-code-value-quantity=8462-4$gt155", set()),
        (
            "DiagnosticReport?patient.identifier={tag}&result.component-code-value-quantity=8462-4$gt95",
            {"DiagnosticReport/bob"},
        ),
        (
            "Patient?identifier={tag}&_has:Observation:patient:combo-code-value-quantity=http://loinc.org|8480-6$gt155",
            {"Patient/ada"},
        ),
        (
            (
                "Patient?identifier={tag}&_has:Observation:patient:component-code-value-quantity=8480-6$gt155"
                "&_revinclude=Observation:patient&_revinclude:iterate=DiagnosticReport:result"
            ),
            {"Patient/ada", "Observation/ada", "DiagnosticReport/ada"},
        ),
        (
            "Observation?patient.identifier={tag}&component-code-value-quantity=8462-4$gt95&_include=Observation:subject",
            {"Observation/bob", "Patient/bob"},
        ),
        ("Patient/ada-{tag}/Observation?component-code-value-quantity=8480-6$gt155", {"Observation/ada"}),
        ("Patient/bob-{tag}/Observation?component-code-value-quantity=8480-6$gt155", set()),
        ("Observation?patient.identifier={tag}&code-value-quantity:missing=false", set()),
    ],
)
async def test_what_is_found(client: httpx.AsyncClient, ward: str, search: str, expected: set[str]) -> None:
    response = await client.get(search.replace("{tag}", ward))
    assert response.status_code == 200, response.text
    found = {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in response.json().get("entry", [])}
    assert found == {f"{name}-{ward}" for name in expected}


async def test_a_conditional_create_by_a_composite_finds_what_is_there(client: httpx.AsyncClient, ward: str) -> None:
    condition = f"patient=Patient/ada-{ward}&component-code-value-quantity=8480-6$160&_format=json"
    row = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    response = await client.post("Observation", json=row, headers={"If-None-Exist": condition})
    assert (response.status_code, response.headers["Location"].split("/")[-3]) == (200, f"ada-{ward}")


async def test_the_capability_statement_lists_composites(client: httpx.AsyncClient) -> None:
    stated = (await client.get("metadata")).json()
    row = next(one for one in stated["rest"][0]["resource"] if one["type"] == "Observation")
    assert {"component-code-value-quantity", "combo-code-value-concept"} <= {
        one["name"] for one in row["searchParam"] if one["type"] == "composite"
    }


async def test_a_value_without_all_parts_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.get("Observation?component-code-value-quantity=8480-6")
    assert response.status_code == 400
    assert "Write [component-code]$[component-value-quantity]" in said(response)
