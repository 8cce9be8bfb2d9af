"""What one process installs, the others work by: they look before they answer what depends on it."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Mongo, Settings
from fhir_server.store import PackageRow
from profiles.packages import package
from profiles.packages.packed import pack
from tests.profiles.packages.test_package import MANIFEST, PROFILE, packed

STRICT = {
    **PROFILE,
    "name": "P",
    "status": "active",
    "abstract": False,
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {
        "element": [{"id": "Patient", "path": "Patient"}, {"id": "Patient.name", "path": "Patient.name", "min": 1}]
    },
}
BASE = "http://localhost/fhir"
NAMELESS = {"resourceType": "Patient", "meta": {"profile": [PROFILE["url"]]}}


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return Settings(data_dir=data_dir, mongo=Mongo(database=f"guides_{uuid4().hex[:8]}", cache_gb=0.25))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def another(service: Service, own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as another:
        yield another


async def installed(service: Service) -> PackageRow:
    found = package.read(packed({"package/package.json": MANIFEST, "package/p.json": STRICT}))
    content = pack(found)
    digest = hashlib.sha256(content).hexdigest()
    row = PackageRow(
        found.name, found.version, "", "installing", found.sha256, digest, len(content), found.dependencies
    )
    await service.store.packages.begin(row, content)
    return row


async def findings(service: Service) -> list[str]:
    body = json.encode(NAMELESS)
    answer = await service.dispatch(FhirRequest("POST", ("Patient", "$validate"), BASE, body=body))
    assert answer.status == 200, answer.body
    return [one["details"]["text"] for one in json.decode(answer.body)["issue"] if one["severity"] == "error"]


async def test_a_package_counts_from_the_moment_it_is_whole_in_every_process(
    service: Service, another: Service
) -> None:
    row = await installed(service)
    assert not await another.shelf.refresh()
    assert await findings(another) == []
    before = another.shelf.checks.library
    await service.store.transact(lambda unit: service.store.packages.enter(row.key, "installed", unit.session))
    for one in (service, another):
        (text,) = await findings(one)
        assert "name" in text
        assert "http://x.org/p" in text
        assert [*one.shelf.library.packages] == ["guide#1.0.0"]
    assert another.shelf.checks.library is not before
    assert not await another.shelf.refresh()


async def test_a_package_that_is_damaged_is_left_out_and_the_server_starts(
    service: Service, own_settings: Settings
) -> None:
    (row,) = await service.store.packages.rows()
    await service.store.packages.begin(row, b"something else")
    async with running(own_settings) as late:
        assert not late.shelf.library.packages
        assert late.shelf.version == service.shelf.version
