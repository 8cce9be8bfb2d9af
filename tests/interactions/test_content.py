"""Content at the edge of what can be stored: numbers, texts, ids, names and sizes (R4 2.24.0.1, 2.26.3.1, Binary)."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.interactions.conftest import patient, said
from tests.interactions.test_batch import entry
from tests.interactions.test_transaction import transaction

Fresh = Callable[[str], str]
FHIR = {"Accept": "application/fhir+json"}
MEBI = 2**20


def observation(member: str) -> bytes:
    return b'{"resourceType":"Observation","status":"final","code":{"text":"x"},%b}' % member.encode()


@pytest.mark.parametrize(
    "digits",
    ["1.00", "100", "0.010", "-0.0", "1E+400", "1E-400", "9223372036854775808", "1234567890123456789012345678901234"],
)
async def test_decimals_come_back_digit_for_digit(client: httpx.AsyncClient, digits: str) -> None:
    written = await client.post("Observation", content=observation(f'"valueQuantity":{{"value":{digits}}}'))
    assert written.status_code == 201, written.text
    read = await client.get(f"Observation/{written.json()['id']}")
    assert f'"valueQuantity":{{"value":{digits}}}' in read.text


@pytest.mark.parametrize("digits", ["1e7000", "-1e-7000", "1e999999999999999999", "0.1" + "0" * 34, "1" * 35])
async def test_decimals_beyond_what_can_be_kept_exactly_are_refused(client: httpx.AsyncClient, digits: str) -> None:
    response = await client.post("Observation", content=observation(f'"valueQuantity":{{"value":{digits}}}'))
    assert response.status_code == 400
    assert "34 significant digits" in said(response)


@pytest.mark.parametrize("digits", ["01", "1.", "+1", ".5", "NaN", "-Infinity", "0x1", "1" * 5000])
async def test_numbers_that_are_no_json_are_refused(client: httpx.AsyncClient, digits: str) -> None:
    response = await client.post("Observation", content=observation(f'"valueQuantity":{{"value":{digits}}}'))
    assert response.status_code == 400


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "$where", "a.b", "\\u0085", "\\r\\n\\t", "\\uffff", "\\\\", '\\"'])
async def test_texts_come_back_as_they_were(client: httpx.AsyncClient, text: str) -> None:
    written = await client.post("Observation", content=observation(f'"valueString":"{text}"'))
    assert written.status_code == 201, written.text
    read = await client.get(f"Observation/{written.json()['id']}")
    assert read.json()["valueString"] == json.loads(f'"{text}"')


@pytest.mark.parametrize("text", ["\\u0000", "a\\u0000b", "\\u001b", "\\ud800", "\\udc00x", "\\ud83dx", ""])
async def test_texts_that_are_none_are_refused(client: httpx.AsyncClient, text: str) -> None:
    response = await client.post("Observation", content=observation(f'"valueString":"{text}"'))
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["$set", "a.b", "", "$", ".", "a\\u0000", "__proto__", "_", "\\ud800", "_valueStrin"])
async def test_names_that_no_element_has_are_refused(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("Observation", content=observation(f'"{name}":"x"'))
    assert response.status_code == 400
    assert said(response)


@pytest.mark.parametrize("given", [".", "..", "a" * 65, "a_b", "a/b", "ä", "a b", "a\n", "%", "", "\x00"])
async def test_ids_that_no_url_could_name_are_refused(client: httpx.AsyncClient, given: str) -> None:
    quoted = "".join(f"%{byte:02X}" for byte in given.encode())
    row = entry("PUT", f"Patient/{quoted}", patient(id=given))
    response = await client.post("", json=transaction(row))
    assert response.status_code == 400, response.text
    conditional = await client.put("Patient?identifier=nobody-has-this", json=patient(id=given))
    assert conditional.status_code == 400, conditional.text


@pytest.mark.parametrize("given", ["...", "-", "a.", "A" * 64, "0"])
async def test_other_ids_are_fine(client: httpx.AsyncClient, given: str) -> None:
    assert (await client.put(f"Patient/{given}", json=patient(id=given))).status_code in {200, 201}
    assert (await client.get(f"Patient/{given}")).json()["id"] == given


async def test_version_ids_have_one_form(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    await client.put(f"Patient/{key}", json=patient(id=key))
    for version in ("01", "0", "1.0", "-1", "9" * 64):
        assert (await client.get(f"Patient/{key}/_history/{version}")).status_code == 404, version


@pytest.mark.parametrize("meta", [5, "x", [1], None, {}, [], {"versionId": "1", "color": "red"}])
async def test_meta_that_is_none_is_refused(client: httpx.AsyncClient, meta: Any) -> None:
    response = await client.post("Patient", json=patient(meta=meta))
    assert response.status_code == 400
    assert response.json()["issue"][0]["expression"][0].startswith("Patient.meta")


async def test_what_the_server_owns_is_passed_over_whatever_it_is(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("p")
    tag = [{"system": "http://x.org", "code": "a"}]
    for meta in ({"versionId": 5, "lastUpdated": []}, {"versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"}):
        response = await client.put(f"Patient/{key}", json=patient(id=key, meta={**meta, "tag": tag}))
        assert response.status_code in {200, 201}
        assert response.json()["meta"]["versionId"] in {"1", "2"}
        assert response.json()["meta"]["tag"] == tag
    junk: Any
    for junk in (5, None, "not_an_id", []):
        assert (await client.post("Patient", json=patient(id=junk))).status_code == 201


async def test_meta_is_what_the_last_update_sent(client: httpx.AsyncClient, fresh: Fresh) -> None:
    """Tags, profiles and security labels are replaced with the rest, neither merged nor kept (docs/interactions/update.md)."""
    key = fresh("p")
    meta = {
        "tag": [{"system": "http://x.org", "code": "a"}],
        "profile": ["http://x.org/p"],
        "security": [{"code": "R"}],
        "source": "urn:x",
    }
    first = (await client.put(f"Patient/{key}", json=patient(id=key, meta=meta))).json()["meta"]
    assert {name: first[name] for name in meta} == meta
    second = (await client.put(f"Patient/{key}", json=patient(id=key))).json()["meta"]
    assert set(second) == {"versionId", "lastUpdated"}


async def test_a_large_binary_comes_back_byte_for_byte_in_every_version(
    client: httpx.AsyncClient, fresh: Fresh
) -> None:
    key = fresh("big")
    url = f"Binary/{key}"
    first, second = (hashlib.shake_256(seed).digest(size) for seed, size in ((b"1", 20 * MEBI), (b"2", 3 * MEBI)))
    body = {"resourceType": "Binary", "id": key, "contentType": "application/pdf", "data": _base64(first)}
    minimal = {"Prefer": "return=minimal"}
    assert (await client.put(url, json=body, headers=minimal)).status_code == 201
    raw = await client.put(url, content=second, headers={"Content-Type": "image/png", **minimal})
    assert raw.status_code == 200, raw.text

    async def content(address: str) -> tuple[str, bytes]:
        response = await client.get(address)
        return response.headers["content-type"], response.content

    assert await content(url) == ("image/png", second)
    assert await content(f"{url}/_history/1") == ("application/pdf", first)
    assert (await client.get(url, headers=FHIR)).json()["data"] == _base64(second)
    found = (await client.get("Binary", params={"_id": key, "_elements": "contentType"}, headers=FHIR)).json()
    assert found["entry"][0]["resource"]["contentType"] == "image/png"
    assert "data" not in found["entry"][0]["resource"]

    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 410
    assert await content(f"{url}/_history/2") == ("image/png", second)
    rows = (await client.get(f"{url}/_history", headers=FHIR)).json()["entry"]
    assert [row["request"]["method"] for row in rows] == ["DELETE", "PUT", "PUT"]
    assert [row["resource"]["data"] for row in rows[1:]] == [_base64(second), _base64(first)]

    assert (await client.put(url, json=body, headers=minimal)).headers["etag"] == 'W/"4"'
    assert await content(url) == ("application/pdf", first)


async def test_large_content_takes_part_in_transactions(client: httpx.AsyncClient, fresh: Fresh) -> None:
    key = fresh("big")
    binary = {
        "resourceType": "Binary",
        "id": key,
        "contentType": "text/plain",
        "data": _base64(b"x" * 2 * MEBI),
    }
    bad = await client.post(
        "", json=transaction(entry("PUT", f"Binary/{key}", binary), entry("POST", "Patient", patient(gender="x")))
    )
    assert bad.status_code == 400
    assert (await client.get(f"Binary/{key}")).status_code == 404
    good = await client.post("", json=transaction(entry("PUT", f"Binary/{key}", binary), entry("GET", f"Binary/{key}")))
    assert good.json()["entry"][1]["resource"]["data"] == binary["data"]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


@pytest.mark.parametrize(("method", "url"), [("POST", "Binary"), ("PUT", "Binary/empty")])
async def test_an_empty_body_is_no_content(client: httpx.AsyncClient, method: str, url: str) -> None:
    response = await client.request(method, url, content=b"", headers={"Content-Type": "image/png"})
    assert response.status_code == 400
    assert "Send the content itself" in said(response)
