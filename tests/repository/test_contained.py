"""Contained resources under a caller's scope: they are found only inside of what the caller may search."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from fhir_server.access.scope_filter import Letter
from fhir_server.main import Service, running
from fhir_server.model.errors import Forbidden, TooCostly
from fhir_server.search.expression import Anything, Expression, InCompartment, Nothing
from fhir_server.search.parse import parse
from fhir_server.settings import Mongo, Search, Settings
from tests.repository.stated import Stated

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Any, mongo_url: Any) -> AsyncIterator[Service]:
    """Each of two patients has a request with a medication inside; their practitioner has a list with one inside."""
    settings = Settings(
        data_dir=data_dir,
        mongo=Mongo(database=f"contained_{uuid4().hex[:12]}", cache_gb=0.25),
        search=Search(max_chain=1),
    )
    async with running(settings) as service:
        for name in ("mine", "foreign"):
            await put(service, "Patient", name)
            await put(
                service,
                "MedicationRequest",
                f"of-{name}",
                status="active",
                intent="order",
                subject={"reference": f"Patient/{name}"},
                medicationReference={"reference": "#m"},
                contained=[medication("m")],
            )
        await put(
            service,
            "MedicationDispense",
            "wide",
            status="completed",
            medicationReference={"reference": "#m"},
            contained=[medication("m", "wide")],
        )
        await put(
            service,
            "List",
            "of-nobody",
            status="current",
            mode="working",
            entry=[{"item": {"reference": "#m"}}],
            contained=[medication("m")],
        )
        for name in ("one", "two"):
            await put(service, "Medication", name, code=code("wide"))
        yield service


def code(text: str) -> Json:
    return {"coding": [{"system": "urn:code", "code": text}]}


def medication(local: str, text: str = "secret") -> Json:
    return {"resourceType": "Medication", "id": local, "code": code(text)}


async def put(service: Service, resource_type: str, resource_id: str, **members: Any) -> None:
    resource = {"resourceType": resource_type, "id": resource_id, **members}
    await service.repository.update(resource_type, resource_id, resource)


class Granted(Stated):
    """A grant for the record of a patient, and for all of some types."""

    def __init__(self, patient: str, *types: str) -> None:
        super().__init__(patient)
        self.patient = patient
        self.types = types

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        if resource_type in self.types:
            return Anything()
        return InCompartment(self.patient) if resource_type in {"Patient", "MedicationRequest"} else Nothing()


async def chained(service: Service, scope: Any, resource_type: str, *pairs: tuple[str, str]) -> list[str]:
    repository = replace(service.repository, scope=scope) if scope else service.repository
    request = parse(resource_type, pairs, service.definitions, service.settings.search, strict=True)
    return sorted(stored.id for stored in (await repository.search(request, "")).matches)


async def found(service: Service, scope: Any, kind: str, *more: tuple[str, str]) -> tuple[list[str], int | None]:
    repository = replace(service.repository, scope=scope) if scope else service.repository
    pairs = (("code", "urn:code|secret"), ("_containedType", kind), ("_total", "accurate"), *more)
    request = parse("Medication", pairs, service.definitions, service.settings.search, strict=True)
    ids: list[str] = []
    totals = set[int | None]()
    while True:
        page = await repository.search(request, "")
        ids += [f"{stored.resource_type}/{stored.id}" for stored in page.matches]
        totals.add(page.total)
        if not page.next:
            assert len(totals) == 1
            return sorted(ids), totals.pop()
        request = msgspec.structs.replace(request, cursor=page.next)


@pytest.mark.parametrize("count", ["1", "50"])
@pytest.mark.parametrize("contained", ["true", "both"])
@pytest.mark.parametrize(("kind", "suffix"), [("container", ""), ("contained", "#m")])
async def test_contained_resources_do_not_reveal_foreign_containers(
    service: Service, kind: str, suffix: str, contained: str, count: str
) -> None:
    more = (("_contained", contained), ("_count", count))
    everything = [
        f"List/of-nobody{suffix}",
        f"MedicationRequest/of-foreign{suffix}",
        f"MedicationRequest/of-mine{suffix}",
    ]
    assert await found(service, None, kind, *more) == (everything, 3)
    assert await found(service, Granted("mine", "Medication"), kind, *more) == (everything[2:], 1)
    assert await found(service, Granted("nobody", "Medication"), kind, *more) == ([], 0)
    assert await found(service, Granted("mine", "Medication", "List"), kind, *more) == (
        [everything[0], everything[2]],
        2,
    )


@pytest.mark.parametrize("kind", ["container", "contained"])
@pytest.mark.parametrize("contained", ["true", "both"])
async def test_a_type_that_may_not_be_searched_is_not_found_inside_of_others(
    service: Service, kind: str, contained: str
) -> None:
    with pytest.raises(Forbidden, match="'s' of Medication"):
        await found(service, Granted("mine", "List"), kind, ("_contained", contained))


@pytest.mark.parametrize("kind", ["container", "contained"])
async def test_a_count_does_not_reveal_foreign_containers(service: Service, kind: str) -> None:
    more = (("_contained", "true"), ("_summary", "count"))
    assert await found(service, Granted("mine", "Medication"), kind, *more) == ([], 1)


async def test_a_chain_does_not_ask_contained_resources_of_a_type_that_may_not_be_searched(service: Service) -> None:
    secret = ("medication.code", "urn:code|secret")
    assert await chained(service, None, "MedicationRequest", secret) == ["of-foreign", "of-mine"]
    assert await chained(service, Granted("mine", "Medication"), "MedicationRequest", secret) == ["of-mine"]
    with pytest.raises(Forbidden, match="'s' of Medication"):
        await chained(service, Granted("mine"), "MedicationRequest", secret)


async def test_a_wide_chain_that_is_asked_from_outside_still_leads_to_what_is_contained(service: Service) -> None:
    wide = ("medication.code", "urn:code|wide")
    with pytest.raises(TooCostly):
        await chained(service, None, "MedicationDispense", wide)
    assert await chained(service, None, "MedicationDispense", wide, ("status", "completed")) == ["wide"]
