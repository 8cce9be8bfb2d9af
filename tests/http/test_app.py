"""Everything beside the FHIR API: health, metrics, OpenAPI and the pages for people."""

import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fhir_server.http.app import Application


async def test_live_and_ready(client: httpx.AsyncClient, echo: Any) -> None:
    assert (await client.get("/health/live")).json() == {"status": "alive"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    echo.is_up = False
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "reason": "The database is away."}
    assert (await client.get("/health/live")).status_code == 200


async def test_before_and_after_its_life_it_says_that_it_is_starting(app: Application) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for url in ("/fhir/Patient/1", "/openapi.json"):
            response = await client.get(url)
            assert response.status_code == 503
            assert response.json()["issue"][0]["code"] == "transient"
        assert (await client.get("/health/ready")).json() == {"status": "starting"}
        assert (await client.get("/health/live")).status_code == 200


async def test_counts_requests_by_interaction_type_and_status(client: httpx.AsyncClient) -> None:
    for url in ("/fhir/Patient/1", "/fhir/Patient/2", "/fhir/Patient/gone", "/fhir/Nonsense/1", "/fhir/Patient?name=a"):
        await client.get(url)
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(response.text)}
    counts = {tuple(sample.labels.values()): sample.value for sample in families["fhir_requests"].samples}
    assert counts == {
        ("read", "Patient", "200"): 2,
        ("read", "Patient", "404"): 1,
        ("other", "", "200"): 1,
        ("search-type", "Patient", "200"): 1,
    }
    seconds = families["fhir_request_duration_seconds"].samples
    reads = [sample for sample in seconds if sample.labels["interaction"] == "read"]
    assert next(sample.value for sample in reads if sample.labels.get("le") == "+Inf") == 3
    assert next(sample.value for sample in reads if sample.name.endswith("_count")) == 3
    assert families["fhir_requests_in_flight"].samples[0].value == 0
    assert "process_resident_memory_bytes" in families
    assert "python_gc_objects_collected" in families


async def test_openapi_names_the_base_that_was_asked(client: httpx.AsyncClient) -> None:
    response = await client.get("/openapi.json", headers={"Host": "localhost:8080"})
    assert response.headers["content-type"] == "application/json"
    assert response.json()["servers"] == [{"url": "http://localhost:8080/fhir"}]


@pytest.mark.parametrize("url", ["/", "/docs"])
async def test_pages_stand_alone(client: httpx.AsyncClient, url: str) -> None:
    page = await client.get(url)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text)
    assert not re.search(r"<script>|<style|\son\w+=|style=", page.text)
    for link in set(re.findall(r"(?:src|href)=\"(/[^\"]*)\"", page.text)):
        assert (await client.get(link.replace("&amp;", "&"))).status_code == 200, link


async def test_what_is_nowhere_says_where_the_api_is(client: httpx.AsyncClient) -> None:
    response = await client.get("/Patient/1")
    assert response.status_code == 404
    assert "The FHIR API is at /fhir" in response.json()["issue"][0]["details"]["text"]
    response = await client.delete("/docs")
    assert response.status_code == 405
    assert "DELETE is not offered" in response.json()["issue"][0]["details"]["text"]
