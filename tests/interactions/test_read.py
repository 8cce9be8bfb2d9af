"""read, vread and their conditions (R4 3.1.0.2, 3.1.0.3)."""

from collections.abc import Callable

import httpx

from tests.interactions.conftest import codes, patient, said

Fresh = Callable[[str], str]


async def test_tells_unknown_deleted_and_malformed_apart(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    assert (await client.get(f"Patient/{key}")).status_code == 404
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.delete(f"Patient/{key}")
    gone = await client.get(f"Patient/{key}")
    assert gone.status_code == 410
    assert codes(gone) == ["deleted"]
    malformed = await client.get("Patient/not_an_id")
    assert malformed.status_code == 400
    assert "64" in said(malformed)


async def test_unknown_types_get_a_hint(client: httpx.AsyncClient) -> None:
    response = await client.get("patient/1")
    assert response.status_code == 404
    assert "Did you mean 'Patient'?" in said(response)
    assert (await client.get("DomainResource/1")).status_code == 404


async def test_answers_304_to_those_who_have_it(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    first = await client.get(f"Patient/{key}")
    same = await client.get(f"Patient/{key}", headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    since = await client.get(f"Patient/{key}", headers={"If-Modified-Since": first.headers["last-modified"]})
    assert since.status_code == 304
    await client.put(f"Patient/{key}", json=patient(id=key, active=True))
    newer = await client.get(f"Patient/{key}", headers={"If-None-Match": first.headers["etag"]})
    assert newer.status_code == 200


async def test_summary_and_elements(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    body = patient(id=key, active=True, contact=[{"name": {"text": "Mother"}}], birthDate="1815-12-10")
    await client.put(f"Patient/{key}", json=body)
    summary = (await client.get(f"Patient/{key}?_summary=true")).json()
    assert summary["birthDate"] == "1815-12-10"
    assert "contact" not in summary
    assert summary["meta"]["tag"][0]["code"] == "SUBSETTED"
    elements = (await client.get(f"Patient/{key}?_elements=birthDate")).json()
    assert set(elements) == {"resourceType", "id", "meta", "birthDate", "active"}  # active is a modifier element
    assert (await client.get(f"Patient/{key}?_summary=some")).status_code == 400
    assert (await client.get(f"Patient/{key}?name=x")).status_code == 400


async def test_vread_of_missing_and_deleted_versions(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    await client.delete(f"Patient/{key}")
    assert (await client.get(f"Patient/{key}/_history/1")).status_code == 200
    assert (await client.get(f"Patient/{key}/_history/2")).status_code == 410
    assert (await client.get(f"Patient/{key}/_history/3")).status_code == 404
    assert (await client.get(f"Patient/{key}/_history/abc")).status_code == 404


async def test_head_has_the_headers_without_the_body(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    whole, head = await client.get(f"Patient/{key}"), await client.head(f"Patient/{key}")
    assert head.content == b""
    assert head.headers["etag"] == whole.headers["etag"]


async def test_unknown_urls_methods_and_operations(client: httpx.AsyncClient) -> None:
    assert (await client.get("Patient/1/_history/1/x")).status_code == 404
    wrong = await client.delete("Patient/1/_history/1")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "GET"
    assert (await client.post("Patient/$frobnicate", json={})).status_code == 405
