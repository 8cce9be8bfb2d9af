"""Files of exports: whole or in parts, compressed or not, and for nobody but whoever asked for them."""

import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.mandate import mandate
from fhir_server.model.queue import JobRecord
from fhir_server.store.jobs import worker_name
from fhir_server.store.trail import EVENTS
from tests.access.house import Caller, House, opened, said

PATIENTS = b"".join(b'{"resourceType":"Patient","id":"p%d"}\n' % number for number in range(60_000))
FULL = "system/*.rs"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def service(house: House) -> Caller:
    return await house.as_(FULL)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def job(house: House, service: Caller) -> JobRecord:
    """An export that is complete."""
    return await made(house, service, {"Patient-0.ndjson": PATIENTS, "Observation-0.ndjson": b"{}\n"})


async def content(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def made(house: House, caller: Caller, files: dict[str, bytes], **more: Any) -> JobRecord:
    """Return an export of a caller, with its files."""
    gate = house.service._gate
    assert gate
    scope = await gate.scope({"authorization": f"Bearer {caller.token}"})
    jobs = house.service.store.jobs
    record = await jobs.enqueue("export", {"types": ["Patient", "Observation"], **more}, mandate=mandate(scope))
    for name, data in files.items():
        await house.service.files.write(f"export/{record.id}/{name}", content(data))
    claimed = await jobs.claim(worker_name(), {"export": 0}, 60)
    assert claimed is not None
    assert claimed.id == record.id
    await jobs.finish(claimed, {"outputs": [{"name": name, "types": []} for name in files]})
    return record


def url(job: JobRecord, name: str = "Patient-0.ndjson") -> str:
    return f"$export-file?job={job.id}&name={name}"


async def test_a_file_is_given_whole(service: Caller, job: JobRecord) -> None:
    answer = await service.get(url(job), **{"Accept-Encoding": "identity", "Accept": "application/fhir+ndjson"})
    assert answer.status_code == 200, answer.text
    assert answer.content == PATIENTS
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert answer.headers["content-length"] == str(len(PATIENTS))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "no-store"
    assert {"etag", "expires", "last-modified"} <= answer.headers.keys()


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/ndjson", "text/html", "nonsense"])
async def test_whatever_is_accepted_the_file_is_ndjson(service: Caller, job: JobRecord, accept: str) -> None:
    answer = await service.get(url(job, "Observation-0.ndjson"), Accept=accept)
    assert (answer.status_code, answer.content) == (200, b"{}\n")
    assert answer.headers["content-type"] == "application/fhir+ndjson"


async def test_it_is_compressed_for_who_takes_that(service: Caller, job: JobRecord) -> None:
    request = service.client.build_request(
        "GET", f"/fhir/{url(job)}", headers={"Authorization": f"Bearer {service.token}", "Accept-Encoding": "gzip"}
    )
    answer = await service.client.send(request, stream=True)
    raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert "content-length" not in answer.headers
    assert len(raw) < len(PATIENTS) / 4
    assert gzip.decompress(raw) == PATIENTS
    plain = await service.ask("HEAD", url(job), headers={"Accept-Encoding": "identity"})
    assert plain.headers["etag"] != answer.headers["etag"]


async def test_head_tells_what_get_would_give(service: Caller, job: JobRecord) -> None:
    answer = await service.ask("HEAD", url(job), headers={"Accept-Encoding": "identity"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(PATIENTS))


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000000-1100000", 1_000_000, 1_100_001),
        ("bytes=2000000-", 2_000_000, len(PATIENTS)),
        ("bytes=-5", len(PATIENTS) - 5, len(PATIENTS)),
        ("bytes=100-999999999999", 100, len(PATIENTS)),
    ],
)
async def test_a_part_is_given(service: Caller, job: JobRecord, asked: str, start: int, end: int) -> None:
    answer = await service.get(url(job), Range=asked)
    assert answer.status_code == 206, answer.text
    assert answer.content == PATIENTS[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(PATIENTS)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=5-2", "bytes=-", "bytes=a-b"])
async def test_ranges_that_are_none_are_passed_over(service: Caller, job: JobRecord, asked: str) -> None:
    assert (await service.get(url(job, "Observation-0.ndjson"), Range=asked)).status_code == 200


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
async def test_there_is_nothing_behind_the_end(service: Caller, job: JobRecord, asked: str) -> None:
    answer = await service.get(url(job), Range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(PATIENTS)}"
    assert str(len(PATIENTS)) in said(answer)


async def test_a_download_goes_on_only_with_the_same_file(service: Caller, job: JobRecord) -> None:
    tag = (await service.ask("HEAD", url(job), headers={"Accept-Encoding": "identity"})).headers["etag"]
    assert (await service.get(url(job), **{"Range": "bytes=5-9", "If-Range": tag})).status_code == 206
    assert (await service.get(url(job), **{"Range": "bytes=5-9", "If-Range": '"other"'})).status_code == 200
    assert (await service.get(url(job), **{"If-None-Match": tag})).status_code == 304


async def test_what_cannot_be_read_to_the_end_has_no_end(house: House, service: Caller) -> None:
    large = b"x" * 3 * 2**20
    broken = await made(house, service, {"Patient-0.ndjson": large})
    files = house.service.store._database["files.files"]
    row = await files.find_one({"filename": f"export/{broken.id}/Patient-0.ndjson"})
    assert row
    await house.service.store._database["files.chunks"].delete_one({"files_id": row["_id"], "n": 2})
    answer: httpx.Response | None = None
    with pytest.raises((httpx.HTTPError, AssertionError)):
        answer = await service.get(url(broken), **{"Accept-Encoding": "identity"})
    assert answer is None


async def test_another_client_finds_no_file(house: House, job: JobRecord) -> None:
    other = await house.registered(FULL)
    answer = await other.get(url(job))
    assert answer.status_code == 404
    never = await other.get("$export-file?job=never&name=Patient-0.ndjson")
    assert answer.json()["issue"] == never.json()["issue"]


async def test_nobody_gets_a_file_without_a_token(house: House, job: JobRecord) -> None:
    assert (await house.client.get(f"/fhir/{url(job)}")).status_code == 401


async def test_a_patient_gets_no_file_of_a_service(house: House, job: JobRecord) -> None:
    assert await (await house.as_("patient/*.rs", patient="ann")).status(url(job)) == 404


async def test_a_scope_that_was_narrowed_gives_no_file_of_other_types(house: House, service: Caller) -> None:
    record = await made(
        house, service, {"Patient-0.ndjson": b"{}\n", "both-0.ndjson": b"{}\n", "deleted-Patient-0.ndjson": b"{}\n"}
    )
    gate = house.service._gate
    assert gate
    whole = await gate.scope({"authorization": f"Bearer {service.token}"})
    narrow = await house.as_("system/Observation.rs")
    rows = house.service.store._database["jobs"]
    told = {
        **mandate(whole),
        "client": (await gate.scope({"authorization": f"Bearer {narrow.token}"})).principal.client_id,
    }
    await rows.update_one(
        {"_id": record.id},
        {"$set": {"mandate": told, "result.outputs": [{"name": "both-0.ndjson", "types": ["Observation", "Patient"]}]}},
    )
    for name in ("Patient-0.ndjson", "both-0.ndjson", "deleted-Patient-0.ndjson"):
        assert await narrow.status(url(record, name)) == 404, name


@pytest.mark.parametrize(
    ("then", "status"), [({"facilities": ["alpha"]}, 404), ({"acting_as": "PractitionerRole/other"}, 404), ({}, 200)]
)
async def test_who_was_narrowed_since_gets_nothing_of_before(house: House, then: dict[str, Any], status: int) -> None:
    narrow = await house.registered(FULL, facilities=("beta",) if "facilities" in then else ())
    record = await made(house, narrow, {"Patient-0.ndjson": b"{}\n"})
    told = {f"mandate.{name}": value for name, value in then.items()}
    if told:
        await house.service.store._database["jobs"].update_one({"_id": record.id}, {"$set": told})
    assert await narrow.status(url(record)) == status


@pytest.mark.parametrize(
    "name", ["../x.ndjson", "manifest.json", "Patient-9.ndjson", "Patient-0.ndjson/", "%00", "Patient"]
)
async def test_names_lead_to_files_of_the_export_only(house: House, service: Caller, job: JobRecord, name: str) -> None:
    await house.service.files.write(f"export/{job.id}/manifest.json", content(b"{}"))
    assert await service.status(url(job, name)) in {400, 404}


async def test_files_are_not_given_longer_than_they_are_kept(house: House, service: Caller) -> None:
    record = await made(house, service, {"Patient-0.ndjson": b"{}\n"})
    assert await service.status(url(record)) == 200
    long_ago = house.service.store.clock.now() - timedelta(hours=25)
    await house.service.store._database["jobs"].update_one({"_id": record.id}, {"$set": {"ended": long_ago}})
    assert await service.status(url(record)) == 404


async def test_jobs_that_make_no_files_for_anybody_give_none(house: House, service: Caller) -> None:
    record = await house.service.store.jobs.enqueue("reindex", {"types": []})
    assert await service.status(url(replace(record))) == 404


async def test_a_file_does_not_fit_into_a_bundle(service: Caller, job: JobRecord) -> None:
    entry = {"request": {"method": "GET", "url": url(job)}}
    answer = await service.ask("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert answer.json()["entry"][0]["response"]["status"].startswith("400"), answer.text


async def test_the_trail_names_the_file(house: House, service: Caller, job: JobRecord) -> None:
    await service.get(url(job, "Observation-0.ndjson"))
    rows = (
        await house.service.store.trail.database[EVENTS]
        .find({"k": "$export-file", "x.file": "Observation-0.ndjson"})
        .to_list(5)
    )
    assert rows
    assert rows[-1]["x"]["job"] == job.id
