"""Code systems, value sets and maps are found wherever they are kept, and nobody uses what they may not see."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.query import NOTHING, Where
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Settings
from terminology.catalogue import Catalogue
from terminology.concept import Head
from terminology.load.release import Release, Row
from tests.conftest import dropped
from tests.guides.packages import Publisher
from tests.serving import BASE, own

Json = dict[str, Any]

GENDER = "http://hl7.org/fhir/administrative-gender"
STORED = "http://town.example/CodeSystem/colours"


class Blind(Unrestricted):
    """A caller who may see no code systems."""

    def shown(self, resource_type: str) -> Where:
        return NOTHING if resource_type == "CodeSystem" else super().shown(resource_type)


@pytest.fixture(scope="module")
def settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return own(data_dir, "vocabulary")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with running(settings) as service:
        for resource in (
            colours("1.0", "red"),
            colours("2.0", "red", "blue"),
            supplement(),
            concept_map(STORED, GENDER),
            {"resourceType": "ValueSet", "id": "v", "url": f"{STORED}/vs", "version": "7", "status": "active"},
        ):
            path = (resource["resourceType"], resource["id"])
            answer = await service.dispatch(FhirRequest("PUT", path, BASE, body=json.encode(resource)))
            assert answer.status == 201, answer.body
        yield service
    await dropped(settings.data_dir, settings.mongo.database)


def colours(version: str, *codes: str, content: str = "complete", url: str = STORED) -> Json:
    rows = [{"code": code, "display": code.title()} for code in codes]
    head = {"url": url, "version": version, "status": "active", "content": content}
    return {"resourceType": "CodeSystem", "id": f"colours-{version}", **head, "concept": rows}


def supplement() -> Json:
    row = {"code": "red", "designation": [{"language": "de", "value": "Rot"}]}
    head = {"url": f"{STORED}/de", "status": "active", "content": "supplement", "supplements": f"{STORED}|2.0"}
    return {"resourceType": "CodeSystem", "id": "german", **head, "concept": [row]}


def concept_map(source: str, target: str) -> Json:
    row = {"code": "red", "target": [{"code": "other", "equivalence": "wider"}]}
    group = [{"source": source, "target": target, "element": [row]}]
    return {"resourceType": "ConceptMap", "id": "map", "url": f"{source}/map", "status": "active", "group": group}


async def catalogue(service: Service, *given: Json) -> Catalogue:
    return await service.vocabulary.catalogue(service.repository, given)


async def versions(found: Catalogue, url: str) -> list[str]:
    return sorted(one.head.version for one in await found.code_systems(url))


async def test_what_r4_defines_is_always_there(service: Service) -> None:
    found = await catalogue(service)
    (gender,) = await found.code_systems(GENDER)
    concept = await gender.find("male")
    assert concept is not None
    assert (concept.display, concept.definition) == ("Male", "Male.")
    (value_set,) = await found.value_sets("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert value_set["compose"]["include"] == [{"system": GENDER}]
    assert any(head.url == GENDER for head in await found.heads())
    assert len(await found.maps_between(GENDER, "")) == 2


async def test_every_stored_version_is_found(service: Service) -> None:
    found = await catalogue(service)
    assert await versions(found, STORED) == ["1.0", "2.0"]
    assert [one["id"] for one in await found.supplements(STORED)] == ["german"]
    assert [one["id"] for one in await found.code_system_resources(f"{STORED}/de")] == ["german"]
    assert await found.code_systems(f"{STORED}/de") == ()
    assert [one["version"] for one in await found.value_sets(f"{STORED}/vs")] == ["7"]
    assert [one["id"] for one in await found.maps_between(STORED, GENDER)] == ["map"]
    assert [one["id"] for one in await found.maps_between(STORED, "")] == ["map"]
    assert await found.maps_between(GENDER, STORED) == ()
    assert [one["id"] for one in await found.concept_maps(f"{STORED}/map")] == ["map"]


async def test_a_url_that_no_search_takes_is_not_there(service: Service) -> None:
    found = await catalogue(service)
    for url in ("", " ", "a,b", "a|b", "$", "\\", "x" * 100_000):
        assert await found.code_systems(url) == ()
        assert await found.value_sets(url) == ()


async def test_the_code_system_of_a_stored_resource_is_made_once(service: Service) -> None:
    (first,) = [one for one in await (await catalogue(service)).code_systems(STORED) if one.head.version == "2.0"]
    (again,) = [one for one in await (await catalogue(service)).code_systems(STORED) if one.head.version == "2.0"]
    assert first is again


async def test_what_comes_with_the_request_comes_before_what_is_stored(service: Service) -> None:
    found = await catalogue(service, colours("2.0", "green"))
    (newest,) = [one for one in await found.code_systems(STORED) if one.head.version == "2.0"]
    assert await newest.find("green")
    assert await newest.find("blue") is None
    assert await versions(found, STORED) == ["1.0", "2.0"]


async def test_what_a_package_defines_is_found_without_reading_what_is_stored_of_it(service: Service) -> None:
    publisher = Publisher("shades")
    url = f"{publisher.canonical}/CodeSystem/shades"
    package = publisher.package("1.0.0", {**colours("1.1", "light", url=url), "id": "shades"}, publisher.guide())
    await service.packages.install(package)
    found = await catalogue(service)
    assert await versions(found, url) == ["1.1"]
    assert any(head.url == url for head in await found.heads())
    (resource,) = await found.code_system_resources(url)
    assert resource["content"] == "complete"


async def test_a_release_is_found_from_the_moment_it_is_loaded_and_in_every_process(
    service: Service, settings: Settings
) -> None:
    url = "http://town.example/CodeSystem/streets"
    rows = (Row("1", "Main street"), Row("2", "Side street", parents=("1",)))
    async with running(settings) as another:
        early = await catalogue(another)
        await service.store.concepts.load(Release(Head(url, "2026"), "0" * 64, lambda: iter(rows)))
        assert await versions(early, url) == []
        for one in (service, another):
            found = await catalogue(one)
            (streets,) = await found.code_systems(url)
            assert [one.code for one in await streets.concepts(sorted(await streets.descendants(0)))] == ["2"]
            assert any(head.url == url and head.count == 2 for head in await found.heads())


async def test_a_caller_does_not_use_code_systems_that_are_not_shown_to_him(service: Service) -> None:
    blind = replace(service.repository, scope=Blind("nobody"))
    found = await service.vocabulary.catalogue(blind)
    assert await found.code_systems(STORED) == ()
    assert await found.supplements(STORED) == ()
    assert not [head for head in await found.heads() if head.url == STORED]
    assert [one["version"] for one in await found.value_sets(f"{STORED}/vs")] == ["7"]
