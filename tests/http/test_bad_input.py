"""Bodies that are no FHIR resource: each is refused with its status and a sentence, and nothing is stored."""

from collections.abc import Iterator

import httpx
import pytest

from fhir_server.model import json
from tests.http.conftest import Served

JSON = {"Content-Type": "application/fhir+json"}
PATIENT = b'{"resourceType":"Patient","id":"x1"'


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{served.url}/fhir", timeout=60) as client:
        yield client


def nested(depth: int) -> bytes:
    return PATIENT + b',"extension":' + b'[{"extension":' * depth + b"[]" + b"}]" * depth + b"}"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"  \n", 400, "empty"),
        (b"{", 400, "not valid JSON"),
        (b"nonsense", 400, "not valid JSON"),
        (b"<Patient/>", 400, "not valid JSON"),
        (b"[]", 400, "must be a JSON object"),
        (b'"Patient"', 400, "must be a JSON object"),
        (b"null", 400, "must be a JSON object"),
        (b"\xef\xbb\xbf" + PATIENT + b"}", 400, "not valid JSON"),
        (PATIENT + b"}}", 400, "not valid JSON"),
        (PATIENT + b',"active":NaN}', 400, "not valid JSON"),
        (PATIENT + b',"id":"\xff"}', 400, "not valid JSON"),
        (PATIENT + b',"active":true,"active":false}', 400, "'active' twice"),
        (PATIENT + b',"name":[{"family":"a","\\u0066amily":"b"}]}', 400, "'family' twice"),
        (nested(60), 400, "nested more than 100"),
        (nested(50_000), 400, "nested"),
        (b"[" * 200_000, 400, ""),
        (b'{"a":' * 200_000, 400, ""),
        (PATIENT + b',"gender":"\\ud800"}', 400, ""),
        (PATIENT + b',"name":[{"family":"\\u0000"}]}', 400, ""),
        (PATIENT + b',"a\\u0000b":1}', 400, ""),
        (PATIENT + b',"$where":"1"}', 400, "$where"),
        (PATIENT + b',"a.b":1}', 400, ""),
        (PATIENT + b',"multipleBirthInteger":9' + b"9" * 400 + b"}", 400, ""),
        (PATIENT + b',"multipleBirthInteger":' + b"9" * 10_000 + b"}", 400, ""),
        (PATIENT + b',"multipleBirthInteger":1.0}', 400, ""),
        (PATIENT + b',"multipleBirthInteger":1e400}', 400, ""),
        (PATIENT + b',"extension":[{"url":"http://x.example","valueDecimal":1e99999}]}', 400, ""),
        (PATIENT + b',"extension":[{"url":"http://x.example","valueDecimal":1E-7000}]}', 400, ""),
        (PATIENT + b',"extension":[{"url":"http://x.example","valueDecimal":0.' + b"1" * 60 + b"}]}", 400, ""),
        (b'{"resourceType":"Nonsense"}', 400, ""),
        (b'{"resourceType":{"a":1}}', 400, ""),
        (b'{"resourceType":"Observation","status":"final","code":{"text":"x"}}', 400, ""),
        (b'{"id":"x1"}', 400, "resourceType"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_refuses_what_is_no_resource(http: httpx.Client, method: str, body: bytes, status: int, words: str) -> None:
    response = http.request(method, "/Patient" if method == "POST" else "/Patient/x1", content=body, headers=JSON)
    assert response.status_code == status, response.text[:1000]
    outcome = json.decode(response.content)
    assert outcome["resourceType"] == "OperationOutcome"
    assert words in outcome["issue"][0]["details"]["text"]
    assert len(response.content) < 100_000
    assert http.get("/Patient?_summary=count").json()["total"] == 0
