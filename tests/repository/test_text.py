"""Words of resources in a real server: found, complete or refused, and within the caller's scope."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.scope_filter import Letter
from fhir_server.main import Service, running
from fhir_server.model.errors import FhirError, TooCostly
from fhir_server.repository.reindexing import Reindexing
from fhir_server.search.expression import Criterion, Expression
from fhir_server.search.params import params
from fhir_server.search.parse import parse
from fhir_server.search.types.conditions import Is
from fhir_server.settings import Mongo, Search, Settings
from tests.repository.stated import Stated

STORIES = {
    "c1": "Fracture of the left knee",
    "c2": "Bone metastases, liver clear",
    "c3": "Metastases in the liver &amp; lung",
    "c4": "",
}


@pytest.fixture(scope="module")
def own(data_dir: Path, mongo_url: SecretStr) -> Settings:
    mongo = Mongo(database=f"words_{uuid4().hex[:8]}", cache_gb=0.25)
    return Settings(data_dir=data_dir, mongo=mongo, search=Search(text="on"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(own: Settings) -> AsyncIterator[Service]:
    async with running(own) as service:
        await put(service, "Patient", "p1", gender="male", text=narrative("Likes his garden"))
        for name, story in STORIES.items():
            told = {"text": narrative(story)} if story else {}
            await put(
                service, "Condition", name, subject={"reference": "Patient/p1"}, code={"text": f"Köde {name}"}, **told
            )
        yield service


def narrative(text: str) -> dict[str, str]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></div>'}


async def put(service: Service, resource_type: str, resource_id: str, **members: Any) -> None:
    resource = {"resourceType": resource_type, "id": resource_id, **members}
    await service.repository.update(resource_type, resource_id, resource)


async def found(service: Service, resource_type: str, *pairs: tuple[str, str], scope: Any = None) -> list[str]:
    repository = replace(service.repository, scope=scope) if scope else service.repository
    limits, reading = service.settings.search, service.repository.pages.reading
    request = parse(resource_type, tuple(pairs), service.definitions, limits, strict=True, reading=reading)
    return sorted(stored.id for stored in (await repository.search(request, "http://localhost/fhir")).matches)


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "ids"),
    [
        ("Condition", "_text", "(bone OR liver) and metastases", ["c2", "c3"]),
        ("Condition", "_text", '"left knee"', ["c1"]),
        ("Condition", "_text", "metasta*", ["c2", "c3"]),
        ("Condition", "_text", "metastases not lung", ["c2"]),
        ("Condition", "_text", "kode", []),
        ("Condition", "_content", "kode", ["c1", "c2", "c3", "c4"]),
        ("Condition", "_content", "kode not liver", ["c1", "c4"]),
        ("Condition", "_content", '"kode c4" or knee', ["c1", "c4"]),
        ("Condition", "subject:Patient._text", "garden", ["c1", "c2", "c3", "c4"]),
        ("Patient", "_has:Condition:subject:_text", "knee", ["p1"]),
        ("Patient", "_has:Condition:subject:_text", "elbow", []),
        ("Observation", "_content", "anything", []),
    ],
)
async def test_words_are_found(service: Service, resource_type: str, name: str, value: str, ids: list[str]) -> None:
    assert await found(service, resource_type, (name, value)) == ids


async def test_a_new_version_has_the_words_that_it_says(service: Service) -> None:
    await put(service, "Basic", "b", code={"text": "first wording"})
    assert await found(service, "Basic", ("_content", "first")) == ["b"]
    await put(service, "Basic", "b", code={"text": "second wording"})
    assert await found(service, "Basic", ("_content", "first")) == []
    assert await found(service, "Basic", ("_content", "second")) == ["b"]


async def test_attack_words_of_others_are_not_found(service: Service) -> None:
    class OnlyFirst(Stated):
        def expression(self, resource_type: str, letter: Letter) -> Expression:
            return Criterion(params(resource_type, service.definitions)["_id"], (Is("c1"),))

    scope = OnlyFirst("the first alone")
    assert await found(service, "Condition", ("_text", "metastases"), scope=scope) == []
    assert await found(service, "Condition", ("_content", "kode"), scope=scope) == ["c1"]
    assert await found(service, "Patient", ("_has:Condition:subject:_text", "metastases"), scope=scope) == []


async def test_while_words_are_missing_the_search_is_refused_and_then_complete(own: Settings) -> None:
    mongo = Mongo(database=f"words_{uuid4().hex[:8]}", cache_gb=0.25)
    without = own.model_copy(update={"mongo": mongo, "search": Search(text="off")})
    async with running(without) as service:
        await put(service, "Basic", "old", code={"text": "long ago"})
        with pytest.raises(FhirError, match=r"The setting search\.text switches it on"):
            await found(service, "Basic", ("_content", "ago"))
    async with running(own.model_copy(update={"mongo": mongo})) as service:
        await put(service, "Basic", "new", code={"text": "a minute ago"})
        with pytest.raises(TooCostly, match="The words of some Basic resources are not stored yet"):
            await found(service, "Basic", ("_content", "ago"))
        reindexing = Reindexing(service.store, service.editions)
        after: str | None = ""
        while after is not None:
            step = await reindexing.step("Basic", after)
            after = step.last if step else None
        assert await found(service, "Basic", ("_content", "ago")) == ["new", "old"]
    async with running(without) as service:
        await put(service, "Basic", "new", code={"text": "now"})
    async with running(own.model_copy(update={"mongo": mongo})) as service:
        with pytest.raises(TooCostly, match="not stored yet"):
            await found(service, "Basic", ("_content", "ago"))


async def test_the_index_of_words_is_used_in_order(service: Service) -> None:
    names = {row["name"] async for row in await service.store._database["Condition"].list_indexes()}
    assert {"words", "version"} <= names
