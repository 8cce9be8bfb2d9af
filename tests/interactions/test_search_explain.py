"""`_explain`: what a search did, where the deployment allows to ask."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.settings import Record, Search
from tests.interactions.conftest import said
from tests.interactions.test_batch import entry
from tests.interactions.test_search_includes import store
from tests.interactions.test_transaction import transaction
from tests.serving import alone, own

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def explaining(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    """A server that explains, with 60 measurements of one patient and 40 of another."""
    settings = own(data_dir, "explain", record=Record(references="off"), search=Search(explain="on"))
    async with alone(settings) as client:
        await store(client, [{"resourceType": "Patient", "id": name, "gender": "male"} for name in ("a", "b")])
        await store(
            client,
            [
                {
                    "resourceType": "Observation",
                    "id": f"o{number}",
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
                    "subject": {"reference": "Patient/a" if number < 60 else "Patient/b"},
                    "effectiveDateTime": f"2026-01-{number % 28 + 1:02}",
                }
                for number in range(100)
            ],
        )
        yield client


def explained(bundle: Json) -> tuple[list[Json], Json]:
    """Return what each query did, and the time of the stages."""
    (outcome,) = [row["resource"] for row in bundle["entry"] if row["search"]["mode"] == "outcome"]
    assert all(issue["severity"] == "information" for issue in outcome["issue"])
    *queries, stages = [json.loads(issue["diagnostics"]) for issue in outcome["issue"] if "diagnostics" in issue]
    return queries, stages["milliseconds"]


async def test_it_tells_index_keys_documents_and_times(explaining: httpx.AsyncClient) -> None:
    url = "Observation?patient=a&code=http://loinc.org|1-8&_count=20&_include=Observation:subject&_explain=true"
    bundle = (await explaining.get(url)).json()
    queries, stages = explained(bundle)
    (query,) = queries
    assert query["index"] == "patient_code_date"
    assert query["returned"] == 21
    assert query["keysExamined"] in range(21, 24)
    assert query["documentsExamined"] in range(21, 24)
    assert list(stages) == ["parse", "chains", "plan", "database", "includes"]
    assert all(0 <= each < 10_000 for each in stages.values())
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    assert "_explain=true" in links["self"]
    following = (await explaining.get(links["next"])).json()
    assert explained(following)[0][0]["index"] == "patient_code_date"
    assert len([row for row in following["entry"] if row["search"]["mode"] == "match"]) == 20


async def test_it_tells_of_computed_orders_counts_chains_and_several_types(explaining: httpx.AsyncClient) -> None:
    ordered = (await explaining.get("Observation?patient=a&_sort=status,-code&_explain=true&_total=accurate")).json()
    queries, stages = explained(ordered)
    assert queries[0]["documentsExamined"] == 60
    assert "total" in stages
    upwards = (await explaining.get("Observation?_sort=date&_count=200&_explain=true")).json()
    assert [query["returned"] for query in explained(upwards)[0]] == [100, 0]
    chained = (await explaining.get("Observation?patient.gender=male&_explain=true")).json()
    assert explained(chained)[1]["chains"] > 0
    counted = (await explaining.get("Observation?_summary=count&_explain=true")).json()
    assert counted["total"] == 100
    assert explained(counted)[0] == []
    several = (await explaining.get("?_type=Patient,Observation&_count=3&_explain=true")).json()
    assert sorted(query["type"] for query in explained(several)[0]) == ["Observation", "Patient"]


async def test_it_is_silent_when_not_asked(explaining: httpx.AsyncClient) -> None:
    for url in ("Observation?_count=1", "Observation?_count=1&_explain=false"):
        bundle = (await explaining.get(url)).json()
        assert [row["search"]["mode"] for row in bundle["entry"]] == ["match"]


async def test_inside_of_a_transaction_only_times_are_known(explaining: httpx.AsyncClient) -> None:
    response = await explaining.post("", json=transaction(entry("GET", "Observation?_count=1&_explain=true")))
    assert response.status_code == 200, response.text
    queries, stages = explained(response.json()["entry"][0]["resource"])
    assert queries == []
    assert "database" in stages


async def test_it_is_off_unless_the_deployment_says_otherwise(client: httpx.AsyncClient) -> None:
    response = await client.get("Observation?_explain=true")
    assert response.status_code == 400
    assert "search.explain" in said(response)
    assert response.json()["issue"][0]["expression"] == ["http._explain"]


@pytest.mark.parametrize("value", ["yes", "1", "True"])
async def test_other_values_are_refused(explaining: httpx.AsyncClient, value: str) -> None:
    response = await explaining.get("Observation", params={"_explain": value})
    assert response.status_code == 400
