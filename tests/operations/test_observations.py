"""$lastn and $stats of observations over HTTP: kinds, order, criteria; statistics, units, components."""

from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.model import json
from tests.operations.test_everything import names

Json = dict[str, Any]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
PULSE, PRESSURE, UPPER, LOWER, WEIGHT = "8867-4", "85354-9", "8480-6", "8462-4", "29463-7"


def coded(*codes: str, system: str = LOINC) -> Json:
    return {"coding": [{"system": system, "code": code} for code in codes]}


def quantity(value: str, unit: str) -> Json:
    return {"value": Decimal(value), "unit": unit, "system": UCUM, "code": unit}


def observation(name: str, code: Json, day: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"obs-{name}",
        "status": "final",
        "category": [coded("vital-signs", system="http://terminology.hl7.org/CodeSystem/observation-category")],
        "code": code,
        "subject": {"reference": "Patient/obs-ann"},
        "effectiveDateTime": day,
        **more,
    }


def pressure(name: str, day: str, upper: str, lower: str) -> Json:
    parts = [
        {"code": coded(code), "valueQuantity": quantity(value, "mm[Hg]")}
        for code, value in ((UPPER, upper), (LOWER, lower))
    ]
    return observation(name, coded(PRESSURE), day, component=parts)


RECORD: list[Json] = [
    {"resourceType": "Patient", "id": "obs-ann"},
    {"resourceType": "Patient", "id": "obs-bo"},
    *(
        observation(f"pulse-{day}", coded(PULSE), f"2024-01-0{day}", valueQuantity=quantity(str(60 + 10 * day), "/min"))
        for day in range(1, 6)
    ),
    observation("pulse-wrong", coded(PULSE), "2024-02-01", status="entered-in-error"),
    observation("pulse-absent", coded(PULSE), "2023-12-31", dataAbsentReason=coded("unknown", system="urn:reasons")),
    pressure("pressure-1", "2024-01-01", "120", "80"),
    pressure("pressure-2", "2024-01-03", "140", "90"),
    observation("weight-1", coded(WEIGHT), "2024-01-01", valueQuantity=quantity("70.5", "kg")),
    observation("weight-2", coded(WEIGHT, "local-weight"), "2024-01-02", valueQuantity=quantity("69500", "g")),
    observation("weight-3", coded("local-weight"), "2024-01-04"),
    observation("mood-1", {"text": "mood"}, "2024-01-01", valueString="good"),
    observation("mood-2", {"text": "mood"}, "2024-01-02", valueString="better"),
    observation("bo", coded(PULSE), "2024-03-01", subject={"reference": "Patient/obs-bo"}),
    observation("odd", coded("odd"), "2024-01-01", valueQuantity=quantity("1", "kg")),
    observation("even", coded("odd"), "2024-01-02", valueQuantity=quantity("1", "s")),
]


@pytest_asyncio.fixture(scope="module", autouse=True, loop_scope="session")
async def record(client: httpx.AsyncClient) -> None:
    rows = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}} for one in RECORD
    ]
    body = json.encode({"resourceType": "Bundle", "type": "transaction", "entry": rows})
    response = await client.post("", content=body)
    assert response.status_code == 200, response.text


async def last(client: httpx.AsyncClient, query: str) -> list[str]:
    response = await client.get(f"Observation/$lastn?{query}")
    assert response.status_code == 200, response.text
    return [name.removeprefix("Observation/obs-") for name in names(response.json())]


async def test_the_last_of_each_kind_comes_the_latest_kind_first(client: httpx.AsyncClient) -> None:
    found = await last(client, "patient=Patient/obs-ann&category=vital-signs")
    assert found == ["pulse-5", "weight-3", "pressure-2", "even", "mood-2"]


async def test_more_of_each_kind_come_together_the_latest_first(client: httpx.AsyncClient) -> None:
    found = await last(client, "subject=Patient/obs-ann&max=2&category=vital-signs")
    assert found[:4] == ["pulse-5", "pulse-4", "weight-3", "weight-2"]
    assert await last(client, f"patient=obs-ann&max=3&code={LOINC}|{PULSE}") == ["pulse-5", "pulse-4", "pulse-3"]
    assert await last(client, f"patient=obs-ann&max=3&code={LOINC}|{PULSE}&date=lt2024-01-03") == [
        "pulse-2",
        "pulse-1",
        "pulse-absent",
    ]


async def test_what_shares_a_code_with_something_else_is_one_kind(client: httpx.AsyncClient) -> None:
    assert await last(client, "patient=obs-ann&max=9&code=29463-7,local-weight") == ["weight-3", "weight-2", "weight-1"]


async def test_each_patient_has_kinds_of_their_own(client: httpx.AsyncClient) -> None:
    assert await last(client, "patient=obs-ann,obs-bo&code=8867-4") == ["bo", "pulse-5"]


async def test_what_was_entered_in_error_comes_where_it_is_asked_for(client: httpx.AsyncClient) -> None:
    assert await last(client, "patient=obs-ann&code=8867-4&status=entered-in-error") == ["pulse-wrong"]


async def test_criteria_of_lastn_can_be_posted(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "patient", "valueReference": {"reference": "Patient/obs-ann"}},
        {"name": "code", "valueString": PULSE},
        {"name": "max", "valuePositiveInt": 1},
    ]
    response = await client.post("Observation/$lastn", json={"resourceType": "Parameters", "parameter": rows})
    assert names(response.json()) == ["Observation/obs-pulse-5"]


@pytest.mark.parametrize(
    "query",
    [
        "code=8867-4", "patient=obs-ann&max=0", "patient=obs-ann&max=two", "patient=obs-ann&max=1&max=2",
        "patient=obs-ann&_sort=date", "patient=obs-ann&colour=red", "patient=obs-ann&_include=Observation:subject",
    ],
)  # fmt: skip
async def test_lastn_refuses_what_it_cannot_answer(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"Observation/$lastn?{query}")
    assert response.status_code == 400, response.text


async def statistics(client: httpx.AsyncClient, query: str) -> dict[str, Json]:
    response = await client.get(f"Observation/$stats?subject=Patient/obs-ann&{query}")
    assert response.status_code == 200, response.text
    rows = json.decode(response.content)["parameter"]
    (one,) = [row["resource"] for row in rows if row["name"] == "statistics"]
    return {part["code"]["coding"][0]["code"]: part for part in one["component"]}


async def test_statistics_are_those_of_the_values(client: httpx.AsyncClient) -> None:
    wanted = (
        "average,maximum,minimum,count,total-count,median,sum,variance,20-percent,80-percent,4-lower,4-upper,4-dev,skew"
    )
    found = await statistics(client, f"code={PULSE}&statistic={wanted}")
    values = {name: part["valueQuantity"]["value"] for name, part in found.items()}
    assert values == {
        "average": 90, "maximum": 110, "minimum": 70, "count": 5, "total-count": 6, "median": 90, "sum": 450,
        "variance": 250, "20-percent": 78, "80-percent": 102, "4-lower": 80, "4-upper": 100, "4-dev": 10, "skew": 0,
    }  # fmt: skip
    assert found["average"]["valueQuantity"]["code"] == "/min"
    assert found["count"]["valueQuantity"]["code"] == "1"


async def test_a_period_selects(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "subject", "valueUri": "Patient/obs-ann"},
        {"name": "coding", "valueCoding": {"system": LOINC, "code": PULSE}},
        {"name": "period", "valuePeriod": {"start": "2024-01-02", "end": "2024-01-04"}},
        {"name": "statistic", "valueCode": "average"},
        {"name": "statistic", "valueCode": "count"},
        {"name": "include", "valueBoolean": True},
        {"name": "limit", "valuePositiveInt": 2},
    ]
    response = await client.post("Observation/$stats", json={"resourceType": "Parameters", "parameter": rows})
    assert response.status_code == 200, response.text
    found = response.json()["parameter"]
    assert [part["valueQuantity"]["value"] for part in found[0]["resource"]["component"]] == [80 + 10, 3]
    assert found[0]["resource"]["effectivePeriod"] == {"start": "2024-01-02", "end": "2024-01-04"}
    assert [row["resource"]["id"] for row in found[1:]] == ["obs-pulse-4", "obs-pulse-3"]


async def test_components_count_as_what_they_are_of(client: httpx.AsyncClient) -> None:
    found = await statistics(client, f"code={LOWER}&statistic=average,std-dev")
    assert found["average"]["valueQuantity"] == quantity("85", "mm[Hg]")
    assert found["std-dev"]["valueQuantity"]["value"] == Decimal("7.071068")


async def test_units_are_converted_to_that_of_the_latest(client: httpx.AsyncClient) -> None:
    found = await statistics(client, f"code={WEIGHT}&statistic=minimum,maximum")
    assert [part["valueQuantity"] for part in found.values()] == [quantity("69500", "g"), quantity("70500", "g")]


async def test_a_statistic_of_too_few_values_is_absent(client: httpx.AsyncClient) -> None:
    found = await statistics(client, "code=nothing&statistic=average,count")
    assert found["average"]["dataAbsentReason"]["coding"][0]["code"] == "not-applicable"
    assert found["count"]["valueQuantity"]["value"] == 0


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("code=8867-4", 400),
        ("statistic=average", 400),
        ("code=8867-4&statistic=luck", 400),
        ("code=8867-4&statistic=average&duration=-1", 400),
        ("code=odd&statistic=average", 422),
    ],
)
async def test_stats_refuses_what_it_cannot_answer(client: httpx.AsyncClient, query: str, status: int) -> None:
    response = await client.get(f"Observation/$stats?subject=Patient/obs-ann&{query}")
    assert response.status_code == status, response.text
