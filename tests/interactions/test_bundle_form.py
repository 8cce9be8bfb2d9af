"""What a batch or transaction must look like, and what its answer does (R4 3.1.0.11, Bundle.entry.request)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.interactions.conftest import codes, patient, said
from tests.interactions.test_batch import bundle, entry
from tests.interactions.test_transaction import observation, transaction

Fresh = Callable[[str], str]
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
METADATA = entry("GET", "metadata")


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"resourceType": "Bundle"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": 5}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": {}}, "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": None}, "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "batch", "entrys": [METADATA]}, "Bundle.entrys"),
        ({"resourceType": "Bundle", "type": "batch", "total": 1, "entry": [METADATA]}, "Bundle"),
        ({"resourceType": "Patient"}, "resourceType"),
    ],
)
async def test_a_malformed_bundle_is_refused(client: httpx.AsyncClient, body: Any, expression: str) -> None:
    response = await client.post("", json=body)
    assert response.status_code == 400
    assert response.json()["issue"][0]["expression"] == [expression]
    assert "None" not in said(response)


MALFORMED: list[tuple[Any, str]] = [
    (5, ""),
    (None, ""),
    ({}, ""),
    ({"request": []}, ".request"),
    ({"request": {"method": "GET"}}, ".request"),
    ({"request": {"method": "get", "url": "metadata"}}, ".request.method"),
    ({"request": {"method": ["GET"], "url": "metadata"}}, ".request.method"),
    ({"request": {"method": "GET", "url": 5}}, ".request.url"),
    (entry("GET", "http://elsewhere.org/fhir/Patient"), ".request.url"),
    (entry("GET", "http://localhost/fhirs/Patient"), ".request.url"),
    ({**METADATA, "fullUrl": []}, ".fullUrl"),
    ({**METADATA, "fullUrl": "http://x.org/Patient/1/_history/1"}, ""),
    ({**METADATA, "resources": {}}, ".resources"),
    ({"request": {"method": "PUT", "url": "Patient/1", "ifMatch": 1}}, ".request.ifMatch"),
    ({"request": {"method": "PUT", "url": "Patient/1", "ifmatch": "1"}}, ".request.ifmatch"),
    (entry("PUT", "Patient/1"), ".resource"),
    (entry("POST", "Patient"), ".resource"),
    (entry("PATCH", "Patient/1", {"resourceType": "Patient"}), ".resource"),
    (entry("PATCH", "Patient/1", {"resourceType": "Binary", "data": "?"}), ".resource.data"),
    (entry("DELETE", "Patient"), ".request"),
    (entry("PUT", "Patient?_format=json", patient()), ".request"),
    (entry("POST", "Patient", patient(), ifNoneExist=""), ".request.ifNoneExist"),
    (entry("POST", "Patient", patient(), ifNoneExist="_count=1"), ".request"),
]


@pytest.mark.parametrize(("row", "place"), MALFORMED)
async def test_a_malformed_entry_is_named(client: httpx.AsyncClient, row: Any, place: str) -> None:
    """It refuses a transaction, and only itself in a batch."""
    whole = await client.post("", json=transaction(METADATA, row))
    assert whole.status_code == 400, whole.text
    places = [found for issue in whole.json()["issue"] for found in issue.get("expression", ())]
    assert f"Bundle.entry[1]{place}" in places
    single = await client.post("", json=bundle(METADATA, row))
    assert single.status_code == 200, single.text
    answers = [answer["response"] for answer in single.json()["entry"]]
    assert [answer["status"][:3] for answer in answers] == ["200", "400"]
    assert answers[1]["outcome"]["issue"][0]["expression"][0].startswith("Bundle.entry[1]")


async def test_all_findings_of_a_transaction_come_at_once(client: httpx.AsyncClient) -> None:
    response = await client.post("", json=transaction(MALFORMED[5][0], MALFORMED[7][0], MALFORMED[13][0]))
    places = {found for issue in response.json()["issue"] for found in issue["expression"]}
    assert places >= {
        "Bundle.entry[0].request.method",
        "Bundle.entry[1].request.url",
        "Bundle.entry[2].request.ifMatch",
    }


async def test_too_many_entries_are_413(client: httpx.AsyncClient) -> None:
    for kind in ("batch", "transaction"):
        response = await client.post("", json=bundle(*[METADATA] * 10_001, kind=kind))
        assert (response.status_code, codes(response)) == (413, ["too-long"])
        assert "server.max_entries" in said(response)


async def test_urls_may_be_absolute_on_our_own_base(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    rows = (
        await client.post(
            "", json=bundle(entry("GET", f"http://localhost/fhir/Patient/{key}"), entry("GET", f"/Patient/{key}"))
        )
    ).json()["entry"]
    assert [row["resource"]["id"] for row in rows] == [key, key]


async def test_head_has_no_resource(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    for kind in ("batch", "transaction"):
        response = await client.post("", json=bundle(entry("HEAD", f"Patient/{key}"), kind=kind))
        row = response.json()["entry"][0]
        assert set(row) == {"response"}
        assert (row["response"]["status"], row["response"]["etag"]) == ("200 OK", 'W/"1"')
    missing = await client.post("", json=bundle(entry("HEAD", "Patient/nobody")))
    assert missing.json()["entry"][0]["response"]["outcome"]["issue"][0]["code"] == "not-found"


async def test_resources_are_only_sent_back_when_the_client_prefers_it(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")

    def rows(response: httpx.Response) -> list[dict[str, Any]]:
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["entry"]
        return found

    def body() -> list[dict[str, Any]]:
        return [entry("PUT", f"Patient/{key}", patient(id=key)), entry("GET", f"Patient/{key}")]

    for kind in ("batch", "transaction"):
        for preference in ({}, {"Prefer": "return=minimal"}, {"Prefer": "handling=lenient"}):
            write, read = rows(await client.post("", json=bundle(*body(), kind=kind), headers=preference))
            assert set(write) == {"response"}
            assert {"status", "location", "etag", "lastModified"} == set(write["response"])
            assert read["resource"]["id"] == key
        write, _ = rows(
            await client.post("", json=bundle(*body(), kind=kind), headers={"Prefer": "return=representation"})
        )
        assert write["resource"]["id"] == key
        write, _ = rows(
            await client.post("", json=bundle(*body(), kind=kind), headers={"Prefer": "return=OperationOutcome"})
        )
        assert write["response"]["outcome"]["issue"][0]["severity"] == "information"
        assert "resource" not in write


async def test_what_needs_no_write_answers_as_preferred_too(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key, identifier=[{"value": key}]))
    rows = [
        entry("POST", "Patient", patient(), ifNoneExist=f"identifier={key}"),
        entry("DELETE", f"Patient?identifier={fresh('none')}"),
    ]
    for kind in ("batch", "transaction"):
        found, nothing = (await client.post("", json=bundle(*rows, kind=kind))).json()["entry"]
        assert found["response"]["status"] == "200 OK"
        assert found["response"]["location"] == f"Patient/{key}/_history/1"
        assert nothing == {"response": {"status": "204 No Content"}}
        whole = await client.post("", json=bundle(*rows, kind=kind), headers={"Prefer": "return=representation"})
        assert whole.json()["entry"][0]["resource"]["id"] == key
        told = await client.post("", json=bundle(*rows, kind=kind), headers={"Prefer": "return=OperationOutcome"})
        for row in told.json()["entry"]:
            assert row["response"]["status"] == "200 OK"
            assert "nothing" in row["response"]["outcome"]["issue"][0]["details"]["text"]


async def test_lenient_handling_reaches_the_entries(client: httpx.AsyncClient) -> None:
    search = bundle(entry("GET", "Patient?birthday=1980&_summary=count"))
    strict = await client.post("", json=search)
    lenient = await client.post("", json=search, headers={"Prefer": "handling=lenient"})
    assert strict.json()["entry"][0]["response"]["status"][:3] == "400"
    assert lenient.json()["entry"][0]["response"]["status"][:3] == "200"


async def test_a_batch_has_no_references_between_its_entries(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("b")
    rows = (
        await client.post(
            "",
            json=bundle(
                {"fullUrl": URN, **entry("POST", "Patient", patient(identifier=[{"value": key}]))},
                entry("POST", "Observation", observation(URN)),
                entry("POST", "Observation", observation(f"Patient?identifier={key}")),
            ),
        )
    ).json()["entry"]
    assert [row["response"]["status"][:3] for row in rows] == ["201", "400", "400"]
    for index in (1, 2):
        issue = rows[index]["response"]["outcome"]["issue"][0]
        assert issue["expression"] == [f"Bundle.entry[{index}].resource.subject.reference"]
        assert "transaction" in issue["details"]["text"]


async def test_reads_of_a_transaction_see_what_it_wrote(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key, other = fresh("p"), fresh("o")
    await client.put(f"Patient/{key}", json=patient(id=key))
    rows = (
        await client.post(
            "",
            json=transaction(
                entry("GET", f"Patient/{key}/_history"),
                entry("GET", f"Patient/{key}/_history/2"),
                entry("GET", "Patient/_history?_count=2"),
                entry("GET", "_history?_count=2"),
                entry("GET", f"Patient?_id={key}&_revinclude=Observation:subject&_total=accurate"),
                entry("GET", f"Observation?patient={key}&_summary=count"),
                entry("PUT", f"Patient/{key}", patient(id=key, active=True)),
                entry("PUT", f"Observation/{other}", observation(f"Patient/{key}", id=other)),
            ),
        )
    ).json()["entry"]
    own, version, of_type, system, found, count = (row["resource"] for row in rows[:6])
    assert own["total"] == 2
    assert own["entry"][0]["resource"]["active"] is True
    assert version["meta"]["versionId"] == "2"
    assert of_type["entry"][0]["resource"] == version
    assert {row["resource"]["id"] for row in system["entry"]} == {key, other}
    assert [row["resource"]["id"] for row in found["entry"]] == [key, other]
    assert count["total"] == 1


async def test_presentation_parameters_of_entries_have_no_effect(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    rows = (
        await client.post(
            "",
            json=bundle(
                entry("PUT", f"Patient/{key}?_format=json&_pretty=true", patient(id=key)),
                entry("GET", f"Patient/{key}?_format=xml&_pretty=true"),
                entry("GET", f"Patient?_id={key}&_format=json&_pretty=true"),
            ),
        )
    ).json()["entry"]
    assert [row["response"]["status"][:3] for row in rows] == ["201", "200", "200"]
    assert rows[2]["resource"]["link"][0]["url"] == f"http://localhost/fhir/Patient?_id={key}"
