"""What one process installs, the others work by: they look before they answer what depends on it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings
from tests.guides.packages import Publisher

BASE = "http://localhost/fhir"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def another(service: Service, own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as another:
        yield another


async def findings(service: Service, profile: str) -> list[str]:
    body = json.encode({"resourceType": "Patient", "meta": {"profile": [profile]}})
    answer = await service.dispatch(FhirRequest("POST", ("Patient", "$validate"), BASE, body=body))
    assert answer.status == 200, answer.body
    return [one["details"]["text"] for one in json.decode(answer.body)["issue"] if one["severity"] == "error"]


async def test_a_package_counts_in_every_process_from_the_moment_it_is_whole(
    service: Service, another: Service
) -> None:
    publisher = Publisher("felt")
    assert await findings(another, publisher.profile_url) == []
    before = another.shelf.checks.library
    await service.packages.install(publisher.whole())
    for one in (service, another):
        (text,) = await findings(one, publisher.profile_url)
        assert "name" in text
        assert publisher.profile_url in text
        assert "felt#1.0.0" in one.shelf.library.packages
    assert another.shelf.checks.library is not before
    assert not await another.shelf.refresh()


async def test_a_process_that_writes_learns_of_it_without_being_asked(service: Service, another: Service) -> None:
    await service.packages.install(Publisher("unasked").whole())
    body = b'{"resourceType":"Basic","code":{"text":"x"}}'
    answer = await another.dispatch(FhirRequest("POST", ("Basic",), BASE, body=body))
    assert answer.status == 201, answer.body
    assert "unasked#1.0.0" in another.shelf.library.packages


async def test_a_package_that_is_damaged_is_left_out_until_it_is_installed_again(
    service: Service, own_settings: Settings
) -> None:
    for name in ("damaged", "sound"):
        await service.packages.install(Publisher(name).whole())
    row = next(row for row in await service.store.packages.rows() if row.name == "damaged")
    await service.store.packages.keep(row.digest, b"something else")
    async with running(own_settings) as late:
        assert "sound#1.0.0" in late.shelf.library.packages
        assert "damaged#1.0.0" not in late.shelf.library.packages
        assert late.shelf.version == service.shelf.version
        await service.packages.install(Publisher("damaged").whole())
        assert await late.shelf.refresh()
        assert "damaged#1.0.0" in late.shelf.library.packages
