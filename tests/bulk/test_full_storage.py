"""An export whose files cannot be written waits, says why, and goes on when they can."""

import asyncio
from pathlib import Path

from fhir_server.main import Service, working
from fhir_server.model.queue import JobRecord
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Settings
from fhir_server.settings.bulk import Bulk

BASE = "http://localhost/fhir"


async def asked(service: Service, *path: str, **query: str) -> FhirResponse:
    return await service.dispatch(FhirRequest("GET", path, BASE, tuple(query.items()), {"prefer": "respond-async"}))


async def noted(service: Service, job_id: str) -> JobRecord:
    record = await service.store.jobs.get(job_id)
    assert record is not None
    return record


async def test_an_export_waits_for_its_storage(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "files"
    place.write_text("in the way of the folder")
    async with working(settings.model_copy(update={"bulk": Bulk(storage="folder", folder=place)})) as service:
        await service.repository.create("Patient", "one", {"resourceType": "Patient", "id": "one"})
        kicked = await asked(service, "$export", _type="Patient")
        assert kicked.status == 202, kicked.body
        job_id = kicked.headers["Content-Location"].partition("job=")[2]
        async with asyncio.timeout(60):
            while not (record := await noted(service, job_id)).error:  # noqa: ASYNC110 - a worker beside notes it
                await asyncio.sleep(0.05)
        assert "cannot be used now" in record.error
        assert str(tmp_path) not in record.error
        assert record.is_live
        assert (await asked(service, "$export-status", job=job_id)).status == 202
        place.unlink()
        async with asyncio.timeout(60):
            while (answer := await asked(service, "$export-status", job=job_id)).status == 202:  # noqa: ASYNC110 - as clients poll
                await asyncio.sleep(0.1)
        assert answer.status == 200, answer.body
        (row,) = answer.resource["output"]
        assert row["count"] == 1
        assert (place / "export" / job_id / "Patient-0.ndjson").read_bytes().count(b"\n") == 1
