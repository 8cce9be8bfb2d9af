"""Rules that the hierarchy keeps, on every way in which it can be written, and by two at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.facilities.agreement import RESIDENCY, Agreement
from fhir_server.facilities.nodes import ORG_LEVEL, ROLE
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest, FhirResponse
from fhir_server.settings import Mongo, Settings

Json = dict[str, Any]
BASE = "http://x/fhir"


@pytest.fixture(scope="module")
def own_settings(data_dir: Path, mongo_url: SecretStr) -> Settings:
    return Settings(data_dir=data_dir, mongo=Mongo(database=f"hierarchy_{uuid4().hex[:8]}", cache_gb=0.25))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(own_settings: Settings) -> AsyncIterator[Service]:
    async with running(own_settings) as service:
        yield service


@pytest.fixture
def name() -> str:
    """What the ids of a test begin with."""
    return f"t{uuid4().hex[:8]}"


def organization(id_: str, parent: str = "", level: str = "", **more: Any) -> Json:
    kinds = [{"coding": [{"system": ORG_LEVEL, "code": level}]}] if level else []
    part = {"partOf": {"reference": f"Organization/{parent}"}} if parent else {}
    typed = {"type": kinds} if kinds else {}
    return {"resourceType": "Organization", "id": id_, "active": True, "name": id_, **typed, **part, **more}


def membership(
    network: str, member: str, agreement: Agreement | None = None, *, id_: str = "", active: bool = True, **more: Any
) -> Json:
    return {
        "resourceType": "OrganizationAffiliation",
        "id": id_ or f"{network}-{member}"[-60:],
        "active": active,
        "organization": {"reference": f"Organization/{network}"},
        "participatingOrganization": {"reference": f"Organization/{member}"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        **({"extension": [agreement.extension()]} if agreement else {}),
        **more,
    }


def location(id_: str, parent: str = "", kind: str = "") -> Json:
    system = "http://terminology.hl7.org/CodeSystem/location-physical-type"
    physical = {"physicalType": {"coding": [{"system": system, "code": kind}]}} if kind else {}
    part = {"partOf": {"reference": f"Location/{parent}"}} if parent else {}
    return {"resourceType": "Location", "id": id_, "name": id_, **physical, **part}


def entry(resource: Json) -> Json:
    return {"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}


async def put(service: Service, resource: Json) -> FhirResponse:
    path = (resource["resourceType"], resource["id"])
    return await service.dispatch(FhirRequest("PUT", path, BASE, resource=resource))


async def post(service: Service, resource: Json) -> FhirResponse:
    new = {key: value for key, value in resource.items() if key != "id"}
    return await service.dispatch(FhirRequest("POST", (resource["resourceType"],), BASE, resource=new))


async def there(service: Service, *resources: Json) -> None:
    """Write what a test begins with."""
    for one in resources:
        answer = await put(service, one)
        assert answer.status in {200, 201}, answer.body


def refused(answer: FhirResponse, status: int, code: str, place: str = "") -> str:
    """Check a refusal and return its text."""
    assert answer.status == status, answer.body
    issue = json.decode(answer.body)["issue"][0]
    assert issue["extension"][0]["valueString"] == code
    if place:
        assert issue["expression"] == [place]
    return str(issue["details"]["text"])


async def test_no_organization_is_part_of_itself_on_any_way_of_writing(service: Service, name: str) -> None:
    top, low = f"{name}-top", f"{name}-low"
    await there(service, organization(top), organization(f"{name}-mid", top), organization(low, f"{name}-mid"))
    circle = organization(top, low)
    place = "Organization.partOf"
    said = refused(await put(service, circle), 422, "org-cycle", place)
    assert f"Organization/{top} would be part of itself" in said
    refused(await put(service, organization(top, top)), 422, "org-cycle", place)
    patch = [{"op": "add", "path": "/partOf", "value": {"reference": f"Organization/{low}"}}]
    headers = {"content-type": "application/json-patch+json"}
    asked = FhirRequest("PATCH", ("Organization", top), BASE, headers=headers, body=json.encode(patch))
    refused(await service.dispatch(asked), 422, "org-cycle", place)
    where = FhirRequest("PUT", ("Organization",), BASE, query=(("name:exact", top),), resource=circle)
    refused(await service.dispatch(where), 422, "org-cycle", place)
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry(organization(f"{name}-new")), entry(circle)],
    }
    refused(
        await service.dispatch(FhirRequest("POST", (), BASE, resource=bundle)),
        422,
        "org-cycle",
        "Bundle.entry[1].resource.partOf",
    )
    batch = await service.dispatch(FhirRequest("POST", (), BASE, resource={**bundle, "type": "batch"}))
    statuses = [row["response"]["status"][:3] for row in json.decode(batch.body)["entry"]]
    assert statuses == ["201", "422"]
    stored = await service.repository.read("Organization", top)
    assert (stored.vid, b"partOf" in stored.body) == (1, False)


async def test_a_transaction_alone_can_make_a_circle_and_stores_nothing_of_it(service: Service, name: str) -> None:
    rows = [entry(organization(f"{name}-a", f"{name}-b")), entry(organization(f"{name}-b", f"{name}-a"))]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": rows}
    refused(await service.dispatch(FhirRequest("POST", (), BASE, resource=bundle)), 422, "org-cycle")
    for one in ("a", "b"):
        answer = await service.dispatch(FhirRequest("GET", ("Organization", f"{name}-{one}"), BASE))
        assert answer.status == 404


async def test_two_writers_on_two_processes_make_no_circle_together(
    service: Service, own_settings: Settings, name: str
) -> None:
    async with running(own_settings) as other:
        for number in range(10):
            one, two = f"{name}-{number}a", f"{name}-{number}b"
            await there(service, organization(one), organization(two))
            answers = await asyncio.gather(put(service, organization(one, two)), put(other, organization(two, one)))
            assert sorted(answer.status for answer in answers) == [200, 422]


@pytest.mark.parametrize(
    ("upper", "lower"), [("facility", "region"), ("department", "facility"), ("network", "sovereign")]
)
async def test_what_is_higher_does_not_stand_below(service: Service, name: str, upper: str, lower: str) -> None:
    await there(service, organization(f"{name}-up", level=upper), organization(f"{name}-mid", f"{name}-up"))
    answer = await put(service, organization(f"{name}-low", f"{name}-mid", lower))
    said = refused(answer, 422, "org-level", "Organization.partOf")
    assert f"is a {lower}, and cannot stand below" in said
    await there(service, organization(f"{name}-low", f"{name}-mid", upper))
    refused(await put(service, organization(f"{name}-low", f"{name}-mid", lower)), 422, "org-level")


async def test_a_level_is_not_lowered_below_what_stands_under_it(service: Service, name: str) -> None:
    await there(
        service,
        organization(f"{name}-up", level="region"),
        organization(f"{name}-mid", f"{name}-up"),
        organization(f"{name}-low", f"{name}-mid", "facility"),
    )
    await there(service, organization(f"{name}-up", level="facility"))
    refused(await put(service, organization(f"{name}-up", level="department")), 422, "org-level", "Organization.type")


async def test_unknown_and_double_levels_are_refused(service: Service, name: str) -> None:
    said = refused(
        await put(service, organization(name, level="hospital")), 422, "org-level-unknown", "Organization.type"
    )
    assert "sovereign, region, network, facility, department" in said
    both = organization(name, level="facility")
    both["type"] += organization(name, level="network")["type"]
    refused(await put(service, both), 422, "org-level")


async def test_memberships_make_no_circle_and_no_inversion(service: Service, name: str) -> None:
    a, b, c, clinic = (f"{name}-{one}" for one in ("a", "b", "c", "clinic"))
    await there(
        service, *(organization(one, level="network") for one in (a, b, c)), organization(clinic, level="facility")
    )
    await there(service, membership(a, b), membership(b, c), membership(c, a, active=False))
    refused(await put(service, membership(c, a)), 422, "org-cycle")
    past: Json = {"period": {"start": "2001-01-01", "end": "2002-01-01"}}
    await there(service, membership(a, b, period={"start": "2010-01-01"}), membership(c, a, **past))
    refused(
        await put(service, membership(a, a)),
        422,
        "self-affiliation",
        "OrganizationAffiliation.participatingOrganization",
    )
    refused(await put(service, membership(clinic, a)), 422, "org-level")
    await there(service, membership(a, clinic))
    refused(await put(service, organization(a, level="department")), 422, "org-level", "Organization.type")
    one_sided = membership(a, clinic, Agreement("network"), id_=f"{name}-half")
    del one_sided["organization"]
    await there(service, {key: value for key, value in one_sided.items() if key != "extension"})
    refused(await put(service, one_sided), 422, "affiliation-incomplete", "OrganizationAffiliation.organization")


async def test_agreements_are_readable_and_do_not_contradict(service: Service, name: str) -> None:
    net, clinic, zoned = f"{name}-net", f"{name}-clinic", f"{name}-zoned"
    residing: Json = {"extension": [{"url": RESIDENCY, "valueCode": "north"}]}
    await there(service, organization(net), organization(clinic), organization(f"{name}-land", **residing))
    await there(service, organization(zoned, f"{name}-land"))
    await there(service, membership(net, clinic, Agreement("network")))
    second = membership(net, clinic, Agreement("relationship"), id_=f"{name}-second")
    refused(await put(service, second), 409, "agreement-overlap", "OrganizationAffiliation.period")
    await there(service, {**second, "active": False})
    refused(await put(service, membership(net, zoned, Agreement(residency="south"))), 409, "residency-conflict")
    await there(service, membership(net, zoned, Agreement(residency="north")))
    bad = membership(net, clinic, Agreement("all"))  # type: ignore[arg-type]
    where = "OrganizationAffiliation.extension[0].extension[0]"
    refused(await put(service, bad), 422, "agreement-invalid", where)


async def test_an_organization_that_keeps_records_is_not_deleted(service: Service, name: str) -> None:
    await there(service, organization(name))
    patient = {"resourceType": "Patient", "id": name}
    asked = FhirRequest("PUT", ("Patient", name), BASE, resource=patient)
    assert (await service.dispatch(asked, facility=name)).status == 201
    said = refused(await service.dispatch(FhirRequest("DELETE", ("Organization", name), BASE)), 409, "org-has-records")
    assert "(Patient)" in said
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": f"Organization/{name}"}}],
    }
    refused(await service.dispatch(FhirRequest("POST", (), BASE, resource=bundle)), 409, "org-has-records")
    assert (await service.dispatch(FhirRequest("DELETE", ("Patient", name), BASE))).status == 204
    assert (await service.dispatch(FhirRequest("DELETE", ("Organization", name), BASE))).status == 204


async def test_organizations_of_two_processes_come_and_go_beside_what_alters_others(
    service: Service, own_settings: Settings, name: str
) -> None:
    """What stands apart needs no lock; who moves others holds one, and is not kept from it by those who never stop."""
    ids: list[str] = []
    done = asyncio.Event()

    async def come_and_go(some: Service) -> None:
        while not done.is_set():
            made = await post(some, organization("new"))
            assert made.status == 201, made.body
            one = json.decode(made.body)["id"]
            if len(ids) % 2:
                gone = await some.dispatch(FhirRequest("DELETE", ("Organization", one), BASE))
                assert gone.status == 204, gone.body
            else:
                ids.append(one)

    async def move() -> None:
        for number in range(10):
            await there(service, organization(f"{name}-low", (top, mid)[number % 2]))

    top, mid = f"{name}-top", f"{name}-mid"
    await there(service, organization(top), organization(mid, top))
    before = await service.store.facilities.version()
    async with running(own_settings) as other:
        crowd = [asyncio.create_task(come_and_go(some)) for some in (service, other) for _ in range(4)]
        try:
            await asyncio.wait_for(move(), 60)
        finally:
            done.set()
            await asyncio.gather(*crowd)
        assert await service.store.facilities.version() > before + 10
        for some in (service, other):
            tree = await some.repository.house.now()
            assert all(one in tree for one in ids)
            assert tree.above(f"{name}-low") == (mid, top)


@pytest.mark.parametrize("way", ["POST", "PUT"])
async def test_a_new_organization_has_a_level_that_there_is(service: Service, name: str, way: str) -> None:
    wrong = organization(name, level="galaxy")
    answer = await (post if way == "POST" else put)(service, wrong)
    said = refused(answer, 422, "org-level-unknown", "Organization.type")
    assert "'galaxy' is no level" in said


async def test_an_organization_that_goes_while_others_become_part_of_it_leaves_none_dangling(
    service: Service, name: str
) -> None:
    for number in range(10):
        upper = f"{name}-{number}"
        await there(service, organization(upper))
        deletion, *below = await asyncio.gather(
            service.dispatch(FhirRequest("DELETE", ("Organization", upper), BASE)),
            *(post(service, organization("new", upper)) for _ in range(3)),
        )
        made = [one for one in below if one.status == 201]
        assert deletion.status == (409 if made else 204), deletion.body


async def test_places_are_not_part_of_themselves_nor_of_smaller_ones(service: Service, name: str) -> None:
    site, ward, bed = f"{name}-site", f"{name}-ward", f"{name}-bed"
    await there(service, location(site, kind="si"), location(ward, site, "wa"), location(bed, ward, "bd"))
    refused(await put(service, location(site, bed)), 422, "location-cycle", "Location.partOf")
    refused(await put(service, location(f"{name}-room", bed, "ro")), 422, "location-level", "Location.partOf")
    refused(await put(service, location(site, kind="bd")), 422, "location-level", "Location.physicalType")
