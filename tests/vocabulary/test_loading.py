"""Releases of code systems are loaded whole or not at all, tell of themselves as resources, and leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.errors import Conflict, NotFound
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Audit, Settings
from fhir_server.vocabulary.loading import large
from profiles.packages.package import read as read_package
from terminology.concept import Head
from terminology.load import formats
from terminology.load.files import Files
from terminology.load.formats import Options
from terminology.load.release import BrokenRelease, Release, Row
from tests.conftest import dropped
from tests.profiles.packages.test_package import MANIFEST, packed
from tests.serving import BASE, own
from tests.terminology.load import rf2_writer as rf2
from tests.terminology.load.tables import LOINC, written

Json = dict[str, Any]

LOINC_URL = "http://loinc.org"
TOWN = "http://town.example/CodeSystem/streets"


@pytest.fixture(scope="module")
def settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "loading", audit=Audit(mode="on"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with running(settings) as service:
        yield service
    await dropped(settings.data_dir, settings.mongo.database)


async def found(service: Service, resource_type: str, **query: str) -> list[Json]:
    answer = await service.dispatch(FhirRequest("GET", (resource_type,), BASE, tuple(query.items())))
    bundle = json.decode(answer.body) if answer.body else answer.resource
    assert answer.status == 200, bundle
    return [entry["resource"] for entry in bundle.get("entry", ())]


async def versions(service: Service, url: str) -> list[str]:
    return [
        one.head.version for one in await (await service.vocabulary.catalogue(service.repository)).code_systems(url)
    ]


def streets(version: str, *codes: str, digest: str = "") -> Release:
    def rows() -> Iterator[Row]:
        return (Row(code, code.title(), parents=(codes[0],) if code != codes[0] else ()) for code in codes)

    return Release(Head(TOWN, version, hierarchy="is-a"), digest or f"{version}{codes}", rows)


async def test_a_release_is_found_as_concepts_and_told_as_resources(service: Service, tmp_path: Path) -> None:
    with Files([written(tmp_path, LOINC)]) as files:
        release = formats.read(files, Options())
        done = await service.releases.load(release)
        again = await service.releases.load(release)
    assert (done.head.canonical, done.head.count, done.tally.inactive) == ("http://loinc.org|2.78", 9, 1)
    assert (done.resources, done.notes, done.unchanged) == ({"ValueSet": 1, "CodeSystem": 1}, (), False)
    assert (again.unchanged, again.resources) == (True, {})
    [described] = await found(service, "CodeSystem", url=LOINC_URL)
    assert (described["content"], described["count"], described["version"]) == ("not-present", 9, "2.78")
    assert {"code": "COMPONENT", "description": "Part of the fully specified name", "type": "Coding"} in described[
        "property"
    ]
    [value_set] = await found(service, "ValueSet", url="http://loinc.org/vs/LL1-9")
    assert value_set["title"] == "High or low"
    [provider] = await (await service.vocabulary.catalogue(service.repository)).code_systems(LOINC_URL)
    term = await provider.find("1000-9")
    assert term is not None
    assert term.display == "Glucose in Serum"
    trail = await found(service, "AuditEvent", entity=f"CodeSystem/{described['id']}")
    assert [one["action"] for one in trail if one["action"] != "R"], trail

    head, resources = await service.releases.drop(LOINC_URL)
    assert (head.version, resources) == ("2.78", 2)
    assert await found(service, "CodeSystem", url=LOINC_URL) == []
    assert await found(service, "ValueSet", url="http://loinc.org/vs/LL1-9") == []
    assert await versions(service, LOINC_URL) == []


async def test_a_load_that_was_cut_off_before_its_resources_is_finished(service: Service, tmp_path: Path) -> None:
    with Files([written(tmp_path, LOINC)]) as files:
        release = formats.read(files, Options(version="2.79"))
        await service.store.concepts.load(release)
        done = await service.releases.load(release)
    assert (done.unchanged, done.resources) == (True, {"ValueSet": 1, "CodeSystem": 1})
    await service.releases.drop(LOINC_URL, "2.79")


async def test_versions_stand_side_by_side(service: Service) -> None:
    await service.releases.load(streets("1", "town", "lane"))
    await service.releases.load(streets("2", "town", "lane", "alley"))
    assert sorted(await versions(service, TOWN)) == ["1", "2"]
    assert sorted(one["version"] for one in await found(service, "CodeSystem", url=TOWN)) == ["1", "2"]
    with pytest.raises(Conflict, match=r"Several versions .* Say which one: .*\|1, .*\|2"):
        await service.releases.drop(TOWN)
    with pytest.raises(NotFound, match=r"streets\|3 is not loaded\. Loaded are: "):
        await service.releases.drop(TOWN, "3")
    await service.releases.drop(TOWN, "1")
    assert await versions(service, TOWN) == ["2"]
    # The same version from other files takes the place of the one before.
    done = await service.releases.load(streets("2", "town", "lane", "alley", "mews", digest="other"))
    assert done.resources == {"CodeSystem": 1}
    [described] = await found(service, "CodeSystem", url=TOWN)
    assert described["count"] == 4


async def test_nothing_of_a_broken_release_stays(service: Service, tmp_path: Path) -> None:
    broken = {**rf2.SMALL, "Relationship": [*rf2.SMALL["Relationship"], rf2.edge("9", rf2.LUNG, rf2.IS_A, "404684003")]}
    with Files([rf2.folder(tmp_path, broken)]) as files:
        release = formats.read(files, Options())
        for attempt in (service.releases.load, checked):
            with pytest.raises(
                BrokenRelease, match=f"'{rf2.LUNG}' has the parent '404684003', which is not in the release"
            ):
                await attempt(release)
    assert await versions(service, release.head.url) == []
    assert await found(service, "CodeSystem", url=release.head.url) == []
    assert all(row.head.url != release.head.url for row in await service.releases.rows())


async def checked(release: Release) -> object:
    from fhir_server.vocabulary.loading import Loading

    return Loading.checked(release)


def test_code_systems_of_a_package_that_no_resource_can_hold_are_found() -> None:
    few, many = ([{"code": f"c{number}", "display": "x" * 1000} for number in range(count)] for count in (10, 9_000))
    head = {"resourceType": "CodeSystem", "status": "active", "content": "complete"}
    content = packed({
        "package/package.json": MANIFEST,
        "package/CodeSystem-few.json": {**head, "id": "few", "url": "http://town.example/few", "concept": few},
        "package/CodeSystem-many.json": {**head, "id": "many", "url": "http://town.example/many", "concept": many},
    })  # fmt: skip
    [release] = large(read_package(content))
    assert (release.head.url, release.head.count) == ("http://town.example/many", 9_000)


@pytest.fixture
def icd_10_cm(test_data: Path) -> Iterator[Release]:
    with Files([test_data / "terminology/icd-10-cm/icd-10-cm-april-2026.tar.xz"]) as files:
        yield formats.read(files, Options())


async def test_icd_10_cm_is_loaded_completely(service: Service, icd_10_cm: Release) -> None:
    # Reading it compares every code with the list of codes that comes with it.
    done = await service.releases.load(icd_10_cm)
    assert (done.head.count, done.tally.edges) == (98_466, 98_444)
    [provider] = await (await service.vocabulary.catalogue(service.repository)).code_systems(done.head.url)
    concept, block = await asyncio.gather(provider.find("e08.3211"), provider.find("E08-E13"))
    assert concept is not None
    assert block is not None
    assert concept.display.endswith("with macular edema, right eye")
    assert await provider.subsumes(block, concept)
