"""Chains under a cap and under a caller's scope: never a part of an answer, never a word about what is out of reach."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from fhir_server.access.scope_filter import Letter
from fhir_server.main import Service, running
from fhir_server.model.errors import Forbidden, TooCostly
from fhir_server.model.request import Pairs
from fhir_server.repository import Repository
from fhir_server.search.expression import Anything, Expression, InCompartment, Nothing
from fhir_server.search.parse import parse
from fhir_server.settings import Mongo, Search, Settings
from tests.repository.stated import Stated

Json = dict[str, Any]
PATIENTS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Any, mongo_url: Any) -> AsyncIterator[Service]:
    """Twelve patients with an observation and an encounter each, where a chain may lead to five resources at most."""
    settings = Settings(
        data_dir=data_dir, mongo=Mongo(database=f"chains_{uuid4().hex[:12]}", cache_gb=0.25), search=Search(max_chain=5)
    )
    async with running(settings) as service:
        for number in range(PATIENTS):
            subject = {"reference": f"Patient/p{number}"}
            await put(service, "Patient", f"p{number}", gender="female", name=[{"family": f"Muster{number}"}])
            await put(
                service, "Encounter", f"e{number}", status="finished", **{"class": {"code": "AMB"}}, subject=subject
            )
            await put(
                service,
                "Observation",
                f"o{number}",
                status="final",
                code={"coding": [{"system": "urn:code", "code": str(number % 4)}]},
                subject=subject,
                encounter={"reference": f"Encounter/e{number}"},
            )
        yield service


async def put(service: Service, resource_type: str, resource_id: str, **members: Any) -> None:
    resource = {"resourceType": resource_type, "id": resource_id, **members}
    await service.repository.update(resource_type, resource_id, resource)


class Patientwise(Stated):
    """A grant for the record of one patient; of other types nothing but what it lists."""

    def __init__(self, patient: str, *open_types: str) -> None:
        super().__init__(patient)
        self._patient = patient
        self._open = open_types

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        if resource_type in self._open:
            return Anything()
        return InCompartment(self._patient) if resource_type in {"Patient", "Observation"} else Nothing()


async def found(service: Service, resource_type: str, *pairs: tuple[str, str], scope: Any = None) -> list[str]:
    repository: Repository = replace(service.repository, scope=scope) if scope else service.repository
    asked: Pairs = tuple(pairs)
    request = parse(resource_type, asked, service.definitions, service.settings.search, strict=True)
    return sorted(stored.id for stored in (await repository.search(request, "")).matches)


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "text"),
    [
        ("Observation", "patient.gender", "female", "By 'patient' of Observation this search leads to more than 5 Patient resources."),
        ("Observation", "subject.gender", "female", "By 'subject' of Observation this search leads to more than 5 Patient resources."),
        ("Patient", "_has:Observation:patient:status", "final", "By 'patient' of Observation this search leads to more than 5 Patient resources."),
        ("Encounter", "_has:Observation:encounter:patient.family", "muster", "By 'patient' of Observation this search leads to more"),
    ],
)  # fmt: skip
async def test_a_chain_that_leads_to_too_much_is_refused_and_not_cut(
    service: Service, resource_type: str, name: str, value: str, text: str
) -> None:
    with pytest.raises(TooCostly) as caught:
        await found(service, resource_type, (name, value))
    assert str(caught.value).startswith(text)
    assert "search.max_chain" in str(caught.value)


async def test_a_chain_just_below_the_cap_is_answered(service: Service) -> None:
    names = ",".join(f"muster{number}" for number in (2, 3, 4, 5, 6))
    assert await found(service, "Observation", ("patient.family:exact", names.title())) == [
        "o2",
        "o3",
        "o4",
        "o5",
        "o6",
    ]
    assert await found(service, "Patient", ("_has:Observation:patient:code", "1")) == ["p1", "p5", "p9"]


async def test_a_wide_chain_is_asked_only_for_what_the_rest_of_the_search_leaves(service: Service) -> None:
    wide = ("patient.gender", "female")
    assert await found(service, "Observation", wide, ("code", "urn:code|3")) == ["o11", "o3", "o7"]
    assert await found(service, "Observation", ("subject.gender", "female"), ("code", "3")) == ["o11", "o3", "o7"]
    assert await found(service, "Observation", ("patient.gender", "male"), ("code", "3")) == []
    has = ("_has:Observation:patient:status", "final")
    assert await found(service, "Patient", has, ("family", "muster7")) == ["p7"]
    assert await found(service, "Patient", has, ("_id", "p1,p2")) == ["p1", "p2"]
    assert await found(service, "Patient", has, ("family", "nobody")) == []
    with pytest.raises(TooCostly):
        await found(service, "Observation", wide, ("status", "final"))


async def test_a_hierarchy_above_the_cap_is_refused(service: Service) -> None:
    for number in range(6):
        part_of = {"partOf": {"reference": f"Location/l{number - 1}"}} if number else {}
        await put(service, "Location", f"l{number}", **part_of)
    assert await found(service, "Location", ("partof:below", "l1")) == ["l2", "l3", "l4", "l5"]
    assert await found(service, "Location", ("partof:above", "l4")) == ["l1", "l2", "l3", "l4", "l5"]
    for search in (("partof:below", "l0"), ("partof:above", "l5")):
        with pytest.raises(TooCostly, match="By 'partof' of Location this search leads to more than 5 Location"):
            await found(service, "Location", search)


async def test_attack_a_hierarchy_does_not_tell_of_hidden_places(service: Service) -> None:
    with pytest.raises(Forbidden, match="'s' of Location"):
        await found(service, "Location", ("partof:below", "l1"), scope=Patientwise("p1"))


async def test_criteria_on_one_single_reference_are_asked_together(service: Service) -> None:
    assert await found(service, "Observation", ("patient.gender", "female"), ("patient.family", "muster7")) == ["o7"]


async def test_attack_a_chain_does_not_tell_of_other_patients(service: Service) -> None:
    """Observations of all are open; whose they are must not be found out by asking for names."""
    scope = Patientwise("p3", "Observation")
    everybody = [f"muster{number}" for number in range(4)]
    assert await found(service, "Observation", ("patient.family", ",".join(everybody)), scope=scope) == ["o3"]
    assert await found(service, "Observation", ("patient.family", "muster2"), scope=scope) == []
    with pytest.raises(Forbidden, match="'s' of Encounter"):
        await found(service, "Observation", ("encounter.patient.family", "muster3"), scope=scope)


async def test_attack_has_does_not_tell_of_hidden_referrers(service: Service) -> None:
    """All patients are open; what was observed of others must not be found out."""
    scope = Patientwise("p3", "Patient")
    assert await found(service, "Patient", ("_has:Observation:patient:code", "2,3"), scope=scope) == ["p3"]
    for chain in ("_has:Encounter:patient:status", "_has:Observation:patient:encounter.status"):
        with pytest.raises(Forbidden, match="'s' of Encounter"):
            await found(service, "Patient", (chain, "finished"), scope=scope)


async def test_attack_the_cap_counts_only_what_the_caller_may_see(service: Service) -> None:
    """A refusal for too many matches would tell that there are others."""
    scope = Patientwise("p3", "Observation")
    assert await found(service, "Observation", ("patient.gender", "female"), scope=scope) == ["o3"]


async def test_attack_a_filter_does_not_tell_of_other_patients(service: Service) -> None:
    """The links of a filter are chains: what the caller may not see is not there, in brackets and under `not`, too."""
    scope = Patientwise("p1", "Observation", "Encounter")
    for text in (
        'subject:Patient.family eq "{}"',
        'subject:Patient[family eq "{}"].gender eq female',
        'encounter.subject:Patient[family eq "{}"].gender eq female',
    ):
        own, other = (("_filter", text.format(name)) for name in ("Muster1", "Muster2"))
        assert await found(service, "Observation", other) == ["o2"]
        assert await found(service, "Observation", other, scope=scope) == []
        assert await found(service, "Observation", own) == ["o1"]
    assert await found(service, "Observation", ("_filter", 'patient.family eq "muster1"'), scope=scope) == ["o1"]
    every = await found(service, "Observation")
    hidden = ("_filter", 'not (patient.family eq "muster2")')
    assert await found(service, "Observation", hidden, scope=scope) == every


async def test_a_filter_that_leads_to_too_much_is_refused_and_not_cut(service: Service) -> None:
    with pytest.raises(TooCostly, match="By 'patient' of Observation this search leads to more than 5 Patient"):
        await found(service, "Observation", ("_filter", "patient.gender eq female or status eq final"))
