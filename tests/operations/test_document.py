"""Composition/$document over HTTP: what a document holds, in which order, and what becomes of what is not there."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.settings import Record, Settings
from tests.operations.test_everything import stored
from tests.serving import own

Json = dict[str, Any]
ANN = {"reference": "Patient/doc-ann"}


def observation(name: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"doc-{name}",
        "status": "final",
        "code": {"text": "x"},
        "subject": ANN,
        **more,
    }


def composition(name: str, *entries: str) -> Json:
    return {
        "resourceType": "Composition",
        "id": f"doc-{name}",
        "status": "final",
        "type": {"text": "summary"},
        "subject": ANN,
        "date": "2024-01-01",
        "author": [{"reference": "PractitionerRole/doc-role"}],
        "title": "Summary",
        "section": [
            {
                "title": "Results",
                "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Results</div>'},
                "section": [
                    {"title": "Inner", "entry": [{"reference": f"Observation/doc-{entry}"} for entry in entries]}
                ],
            }
        ],
    }


RECORD: list[Json] = [
    {"resourceType": "Organization", "id": "doc-house", "name": "House"},
    {"resourceType": "Practitioner", "id": "doc-grey"},
    {
        "resourceType": "PractitionerRole",
        "id": "doc-role",
        "practitioner": {"reference": "Practitioner/doc-grey"},
        "organization": {"reference": "Organization/doc-house"},
    },
    {"resourceType": "Patient", "id": "doc-bo"},
    {
        "resourceType": "Patient",
        "id": "doc-ann",
        "link": [{"other": {"reference": "Patient/doc-bo"}, "type": "seealso"}],
    },
    observation("member"),
    observation("other", subject={"reference": "Patient/doc-bo"}),
    observation(
        "panel", hasMember=[{"reference": "Observation/doc-member"}], focus=[{"reference": "Observation/doc-other"}]
    ),
    composition("whole", "panel"),
]


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    """Settings of a record in which references may lead nowhere."""
    return own(data_dir, "documents", record=Record(references="off"))


@pytest_asyncio.fixture(scope="module", autouse=True, loop_scope="session")
async def record(client: httpx.AsyncClient) -> None:
    await stored(client, RECORD)


def urls(bundle: Json) -> list[str]:
    return [entry["fullUrl"].removeprefix("http://localhost/fhir/") for entry in bundle["entry"]]


HELD = {
    "Composition/doc-whole", "Patient/doc-ann", "PractitionerRole/doc-role", "Observation/doc-panel", "Observation/doc-member",
    "Practitioner/doc-grey", "Organization/doc-house",
}  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "Composition/doc-whole/$document",
        "Composition/$document?id=doc-whole",
        "Composition/$document?id=Composition/doc-whole",
        "Composition/$document?id=http://localhost/fhir/Composition/doc-whole",
    ],
)
async def test_a_document_begins_with_its_composition_and_holds_all_that_leads_to(
    client: httpx.AsyncClient, path: str
) -> None:
    bundle = (await client.get(path)).json()
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "document")
    assert urls(bundle)[0] == "Composition/doc-whole"
    assert sorted(urls(bundle)) == sorted(HELD)
    assert bundle["identifier"]["value"].startswith("urn:uuid:")
    assert "meta" not in bundle


async def test_a_document_is_valid_and_can_be_stored(client: httpx.AsyncClient) -> None:
    rows = [{"name": "persist", "valueBoolean": True}]
    response = await client.post(
        "Composition/doc-whole/$document", json={"resourceType": "Parameters", "parameter": rows}
    )
    assert response.status_code == 201, response.text
    assert urls(response.json())[0] == "Composition/doc-whole"
    read = await client.get(response.headers["location"])
    assert read.json() == response.json()
    assert (await client.get(f"Bundle/{response.json()['id']}/$validate")).json()["issue"][0]["severity"] != "error"


async def test_what_is_not_there_is_left_out_and_the_document_says_so_and_is_not_stored(
    client: httpx.AsyncClient,
) -> None:
    await stored(client, [composition("part", "panel", "gone")])
    bundle = (await client.get("Composition/doc-part/$document")).json()
    assert bundle["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "Observation/doc-gone" not in urls(bundle)
    rows = [{"name": "persist", "valueBoolean": True}]
    refused = await client.post(
        "Composition/doc-part/$document", json={"resourceType": "Parameters", "parameter": rows}
    )
    assert refused.status_code == 422
    assert "Observation/doc-gone" in refused.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("Composition/nobody/$document", 404),
        ("Composition/$document", 400),
        ("Composition/$document?id=Patient/doc-ann", 404),
        ("Composition/doc-whole/$document?id=doc-whole", 400),
        ("Composition/doc-whole/$document?graph=urn:x", 400),
        ("Composition/doc-whole/$document?persist=true", 400),
    ],
)
async def test_what_makes_no_document_is_refused(client: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await client.get(path)).status_code == status
