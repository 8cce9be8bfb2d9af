"""$import and $import-status: lines by URL and sent, what is refused and why, bad files, and who may ask for what became of it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model import json

PATIENCE = 60.0
Json = dict[str, Any]
Record = AsyncDatabase[Json]


def patient(name: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": name, **more}


def weight(name: str, subject: str, **more: Any) -> Json:
    row = {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "weight"}}
    return {**row, "subject": {"reference": subject}, **more}


def lines(*rows: Json) -> bytes:
    return b"".join(json.encode(row) + b"\n" for row in rows)


@asynccontextmanager
async def files(served: Mapping[str, bytes]) -> AsyncIterator[str]:
    """Yield the URL of a server on loopback that has these files, and cuts a connection in the middle of one called `cut`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].strip(b"/").decode()
        body = served.get(name)
        status = b"200 OK" if body is not None else b"404 Not Found"
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body or b"")))
        writer.write((body or b"")[: 100 if name == "cut" else None])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def asked(*inputs: tuple[str, str]) -> Json:
    rows: list[Json] = []
    for kind, url in inputs:
        named = [{"name": "type", "valueCode": kind}] if kind else []
        rows.append({"name": "input", "part": [*named, {"name": "url", "valueUrl": url}]})
    return {"resourceType": "Parameters", "parameter": rows}


async def answered(client: httpx.AsyncClient, kicked: httpx.Response) -> httpx.Response:
    """Return what is told at last at the place that an answer names."""
    assert kicked.status_code == 202, kicked.text
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await client.get(kicked.headers["content-location"])
            if found.status_code != 202:
                return found
            assert found.headers["x-progress"]
            await asyncio.sleep(0.05)


async def ended(client: httpx.AsyncClient, kicked: httpx.Response) -> Json:
    """Return the manifest of an import when it is over."""
    found = await answered(client, kicked)
    assert found.status_code == 200, found.text
    manifest: Json = found.json()
    return manifest


async def told(client: httpx.AsyncClient, row: Json) -> Iterator[Json]:
    answer = await client.get(row["url"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+ndjson")
    return map(json.decode, answer.content.splitlines())


async def test_files_are_stored_whatever_their_order_and_what_is_refused_is_told_line_by_line(
    client: httpx.AsyncClient,
) -> None:
    early = lines(weight("im-w1", "Patient/im-1"), weight("im-w2", "Patient/im-none"), weight("im-w3", "Patient/im-2"))
    late = lines(patient("im-1"), patient("im-2", gender="m")) + b"{broken\n\n" + lines(patient("im-2"))
    async with files({"early": early, "late": gzip.compress(late)}) as url:
        manifest = await ended(
            client, await client.post("$import", json=asked(("", f"{url}/early"), ("", f"{url}/late")))
        )
    assert [(row["inputUrl"].rsplit("/")[-1], row["count"]) for row in manifest["output"]] == [
        ("early", 2),
        ("late", 2),
    ]
    assert manifest["request"].endswith("/$import")
    wrong = {row["inputUrl"].rsplit("/")[-1]: [*await told(client, row)] for row in manifest["error"]}
    assert [one["issue"][0]["diagnostics"] for one in wrong["early"]] == ["Line 2, Observation/im-w2"]
    assert "Patient/im-none, which is not here" in wrong["early"][0]["issue"][0]["details"]["text"]
    assert [one["issue"][0]["diagnostics"] for one in wrong["late"]] == ["Line 2, Patient/im-2", "Line 3"]
    assert (await client.get("Observation/im-w3")).status_code == 200


async def test_lines_that_are_sent_are_stored_and_sent_again_change_nothing(client: httpx.AsyncClient) -> None:
    body = lines(patient("im-sent"), weight("im-sent-w", "Patient/im-sent"))
    headers = {"Content-Type": "application/fhir+ndjson"}
    for _ in range(2):
        manifest = await ended(client, await client.post("$import", content=body, headers=headers))
        assert (manifest["output"], manifest["error"]) == ([{"count": 2}], [])
    assert (await client.get("Patient/im-sent")).json()["meta"]["versionId"] == "1"
    changed = lines(patient("im-sent", active=True), patient("im-sent", active=False))
    await ended(client, await client.post("$import", content=changed, headers=headers))
    last = (await client.get("Patient/im-sent")).json()
    assert (last["meta"]["versionId"], last["active"]) == ("3", False), "the later line wins"


async def test_the_manifest_of_the_proposal_is_understood(client: httpx.AsyncClient) -> None:
    async with files({"one": lines(patient("im-manifest"))}) as url:
        body = {"inputFormat": "application/fhir+ndjson", "input": [{"type": "Patient", "url": f"{url}/one"}]}
        kicked = await client.post("$import", json=body, headers={"Content-Type": "application/json"})
        manifest = await ended(client, kicked)
    assert manifest["output"] == [{"type": "Patient", "inputUrl": f"{url}/one", "count": 1}]


async def test_a_line_without_id_is_stored_once_and_one_that_refers_by_a_search_too(
    client: httpx.AsyncClient, record: Record
) -> None:
    nameless = {key: value for key, value in weight("", "Patient/im-bare").items() if key != "id"}
    known = patient("im-bare", identifier=[{"system": "urn:im", "value": "7"}])
    searching = weight("im-searching", "Patient?identifier=urn:im|7")
    headers = {"Content-Type": "application/fhir+ndjson"}
    manifest = await ended(
        client, await client.post("$import", content=lines(known, nameless, searching), headers=headers)
    )
    assert (manifest["output"], manifest["error"]) == ([{"count": 3}], [])
    assert await record.Observation.count_documents({"p": "im-bare"}) == 2
    assert (await client.get("Observation/im-searching")).json()["subject"] == {"reference": "Patient/im-bare"}


async def test_a_file_that_cannot_be_read_is_told_and_the_others_are_stored(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.jobs.importing.PAUSE", 0.01)
    good = lines(patient("im-good"))
    bomb = gzip.compress(b" " * (64 * 2**20))
    served = {
        "good": good,
        "bomb": bomb,
        "half": gzip.compress(good)[:-9],
        "cut": good * 50,
        "wrong": b"<html>no</html>",
    }
    async with files(served) as url:
        names = ("bomb", "half", "cut", "gone", "wrong", "good")
        manifest = await ended(
            client, await client.post("$import", json=asked(*(("", f"{url}/{name}") for name in names)))
        )
    reasons = {
        row["inputUrl"].rsplit("/")[-1]: [*await told(client, row)][-1]["issue"][0]["details"]["text"]
        for row in manifest["error"]
    }
    assert "200 times" in reasons["bomb"]
    assert "cut off" in reasons["half"]
    assert "could not be fetched to its end" in reasons["cut"]
    assert "status 404" in reasons["gone"]
    assert "not valid JSON" in reasons["wrong"]
    assert "good" not in reasons
    assert (await client.get("Patient/im-good")).status_code == 200


async def test_urls_that_lead_into_the_network_are_refused_at_once(client: httpx.AsyncClient) -> None:
    for url in (
        "http://169.254.169.254/latest",
        "http://10.0.0.1/x",
        "file:///etc/passwd",
        "ftp://example.org/x",
        "no",
    ):
        answer = await client.post("$import", json=asked(("Patient", url)))
        assert answer.status_code == 400, url
        assert "is not fetched" in answer.json()["issue"][0]["details"]["text"] or "not a valid url" in answer.text


async def test_what_is_no_import_is_refused(client: httpx.AsyncClient) -> None:
    ndjson = {"Content-Type": "application/fhir+ndjson"}
    assert (await client.post("$import", content=b" \n", headers=ndjson)).status_code == 400
    assert (await client.post("$import", json=asked())).status_code == 400
    assert (await client.post("$import", json=asked(("Nothing", "https://example.org/x")))).status_code == 400
    body = {"inputFormat": "text/csv", "input": [{"url": "https://example.org/x"}]}
    assert (await client.post("$import", json=body, headers={"Content-Type": "application/json"})).status_code == 400
    assert (await client.get("$import-status?job=nothing")).status_code == 404


async def test_an_import_that_is_stopped_is_not_there_any_more(client: httpx.AsyncClient) -> None:
    kicked = await client.post(
        "$import", content=lines(patient("im-stop")), headers={"Content-Type": "application/fhir+ndjson"}
    )
    location = kicked.headers["content-location"]
    await ended(client, kicked)
    assert (await client.delete(location)).status_code == 202
    assert (
        await client.get("$export-file?name=OperationOutcome-0.ndjson&job=" + location.partition("=")[2])
    ).status_code == 404


def submission(number: str, *, status: str = "", url: str = "", base: bool = True, **more: Json) -> Json:
    rows: list[Json] = [
        {"name": "submitter", "valueIdentifier": {"system": "urn:im", "value": "lab"}},
        {"name": "submissionId", "valueString": number},
        *({"name": name, **value} for name, value in more.items()),
    ]
    rows += [{"name": "submissionStatus", "valueCoding": {"code": status}}] if status else []
    rows += [{"name": "manifestUrl", "valueUrl": url}] if url else []
    rows += [{"name": "fhirBaseUrl", "valueUrl": "https://lab.example/fhir"}] if url and base else []
    return {"resourceType": "Parameters", "parameter": rows}


async def test_a_submission_of_manifests_is_imported_and_told_of_when_it_is_completed(
    client: httpx.AsyncClient,
) -> None:
    served: dict[str, bytes] = {"one": lines(patient("im-bs-1")), "two": lines(weight("im-bs-2", "Patient/im-no"))}
    async with files(served) as url:
        output = [{"type": "Observation", "url": f"{url}/two"}]
        served["more"] = json.encode({"output": output})
        link = [{"relation": "next", "url": f"{url}/more"}]
        served["manifest"] = json.encode({"output": [{"type": "Patient", "url": f"{url}/one"}], "link": link})
        asked = submission("s1", url=f"{url}/manifest")
        assert (await client.post("$bulk-submit", json=asked)).status_code == 200
        assert (await client.post("$bulk-submit", json=asked)).status_code == 400, "the same manifest again"
        kicked = await client.post("$bulk-submit-status", json=submission("s1"))
        assert kicked.status_code == 202, kicked.text
        assert (await client.get(kicked.headers["content-location"])).status_code == 202, "more may come"
        assert (await client.post("$bulk-submit", json=submission("s1", status="completed"))).status_code == 200
        found = await answered(client, kicked)
    body = found.json()
    assert (body["submissionId"], [row["manifestUrl"] for row in body["outcome"]]) == ("s1", [f"{url}/manifest"])
    assert "Patient/im-no" in str([*await told(client, body["outcome"][0])])
    assert (await client.get("Patient/im-bs-1")).status_code == 200
    late = await client.post("$bulk-submit", json=submission("s1", status="in-progress"))
    assert late.status_code == 400
    assert "completed" in late.text


async def test_what_is_no_submission_is_refused(client: httpx.AsyncClient) -> None:
    url = "https://lab.example/manifest"
    encrypted: Json = {"part": [{"name": "value", "valueString": "x"}]}
    for wrong in (
        submission("s2"),
        submission("s2", status="entered-in-error"),
        submission("s2", url=url, base=False),
        submission("s2", url="http://10.0.0.1/manifest"),
        submission("s2", url=url, replacesManifestUrl={"valueUrl": "https://lab.example/other"}),
        submission("s2", url=url, fileEncryptionKey=encrypted),
    ):
        answer = await client.post("$bulk-submit", json=wrong)
        assert answer.status_code in {400, 422}, answer.text
    assert (await client.post("$bulk-submit-status", json=submission("s2"))).status_code == 404
    assert (await client.get("$bulk-submit-status?submission=bm9ib2R5")).status_code == 404


async def test_a_manifest_that_is_none_is_told_in_the_outcome(client: httpx.AsyncClient) -> None:
    async with files({"manifest": b'{"output": 5}'}) as url:
        both = submission("s3", status="completed", url=f"{url}/manifest")
        assert (await client.post("$bulk-submit", json=both)).status_code == 200
        kicked = await client.post("$bulk-submit-status", json=submission("s3"))
        found = await answered(client, kicked)
    (row,) = found.json()["outcome"]
    assert "has no 'output'" in str([*await told(client, row)])
