"""Members of Groups, of those that list them and of those that are the patients of an Organization."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ROLE
from fhir_server.main import Service
from fhir_server.model.errors import NotFound, Unprocessable
from fhir_server.repository import cohorts
from fhir_server.repository.cohorts import members
from fhir_server.store.cohorts import BY_FACILITY
from tests.access.house import House, said
from tests.access.network import Json, organization, put, settled


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        await put(house, "root", organization("alpha-ward", "alpha", "department"))
        await put(house, "alpha-ward", {"resourceType": "Patient", "id": "in-ward"})
        yield house


def group(name: str, *rows: Json, **more: Any) -> Json:
    listed = {"member": [*rows]} if rows else {}
    return {"resourceType": "Group", "id": name, "type": "person", "actual": True, **listed, **more}


def row(reference: str, **more: Any) -> Json:
    return {"entity": {"reference": reference}, **more}


def affiliation(member: str, *recipients: str) -> Json:
    return {
        "resourceType": "OrganizationAffiliation",
        "id": f"net-{member}",
        "active": True,
        "organization": {"reference": "Organization/net"},
        "participatingOrganization": {"reference": f"Organization/{member}"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        "extension": [Agreement(export_recipients=frozenset(recipients)).extension()],
    }


async def every(service: Service, group_id: str, at: datetime | None = None) -> list[str]:
    """Return all members."""
    moment = at or await service.store.horizon()
    found: list[str] = []
    while page := await members(service.repository, group_id, found[-1] if found else "", moment):
        assert page == sorted(page)
        found += page
    return found


ALPHA = [*(f"alpha-{number}" for number in range(5)), "in-ward"]


async def test_the_group_of_a_facility_has_the_patients_that_it_keeps(house: House) -> None:
    assert await every(house.service, "facility.alpha") == ALPHA
    assert await every(house.service, "facility.net") == []
    assert len(await every(house.service, "facility.land")) == 12


async def test_pages_neither_miss_nor_repeat(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohorts, "AT_ONCE", 2)
    assert await every(house.service, "facility.alpha") == ALPHA


async def test_a_network_has_whom_its_members_let_go_there(house: House) -> None:
    await put(house, "root", affiliation("alpha", "net"))
    await put(house, "root", affiliation("beta"))
    assert await every(house.service, "facility.net") == ALPHA
    await put(house, "root", affiliation("alpha"))
    assert await every(house.service, "facility.net") == []


async def test_who_is_deleted_after_the_moment_is_still_a_member_of_then(house: House) -> None:
    await put(house, "beta", {"resourceType": "Patient", "id": "b-leaves"})
    before = await house.service.store.horizon()
    repository = replace(house.service.repository, scope=Unrestricted("test", "beta"))
    await repository.delete("Patient", "b-leaves")
    assert "b-leaves" in await every(house.service, "facility.beta", before)
    assert "b-leaves" not in await every(house.service, "facility.beta")


async def test_patients_are_found_by_index(house: House) -> None:
    indexes = await house.service.store._database["Patient"].index_information()
    assert indexes[BY_FACILITY]["key"] == [("f", 1), ("_id", 1)]


async def test_records_in_another_zone_are_left_out(house: House) -> None:
    patients = house.service.store._database["Patient"]
    await patients.update_one({"_id": "alpha-0"}, {"$set": {"rg": "elsewhere"}})
    assert await every(house.service, "facility.alpha") == ALPHA[1:]
    await patients.update_one({"_id": "alpha-0"}, {"$set": {"rg": "home"}})


async def test_a_stored_group_has_whom_it_lists_at_the_moment(house: House) -> None:
    past, future = {"end": "2020-01-01"}, {"start": "2020-01-01"}
    listed = group(
        "listed",
        row("Patient/alpha-3", period=future),
        row("Patient/alpha-1"),
        row("Patient/alpha-1"),
        row("Patient/alpha-0", inactive=True),
        row("Patient/alpha-2", period=past),
    )
    await put(house, "alpha", listed)
    assert await every(house.service, "listed") == ["alpha-1", "alpha-3"]


async def test_groups_inside_of_groups_count_once_and_circles_end(house: House) -> None:
    await put(house, "alpha", group("inner", row("Patient/alpha-1")))
    await put(house, "alpha", group("outer", row("Group/inner"), row("Patient/alpha-4"), row("Patient/alpha-1")))
    await put(house, "alpha", group("inner", row("Patient/alpha-1"), row("Group/outer")))
    assert await every(house.service, "outer") == ["alpha-1", "alpha-4"]


async def test_a_group_is_what_it_was_at_the_moment(house: House) -> None:
    await put(house, "alpha", group("changing", row("Patient/alpha-1")))
    before = await house.service.store.horizon()
    await put(house, "alpha", group("changing", row("Patient/alpha-2")))
    assert await every(house.service, "changing", before) == ["alpha-1"]
    repository = replace(house.service.repository, scope=Unrestricted("test", "alpha"))
    await repository.delete("Group", "changing")
    assert await every(house.service, "changing", before) == ["alpha-1"]
    with pytest.raises(NotFound):
        await every(house.service, "changing", await house.service.store.horizon() + timedelta(milliseconds=1))


async def test_a_definition_of_a_group_has_no_members(house: House) -> None:
    defined = {"resourceType": "Group", "id": "defined", "type": "person", "actual": False}
    await put(house, "alpha", defined)
    assert await every(house.service, "defined") == []


@pytest.mark.parametrize("name", ["nowhere", "facility.nowhere", "facility."])
async def test_there_is_no_group_of_what_is_not_there(house: House, name: str) -> None:
    with pytest.raises(NotFound):
        await every(house.service, name)


async def test_a_virtual_group_is_read_and_searched_like_others(house: House) -> None:
    caller = await house.as_("system/*.rs")
    answer = await caller.get("Group/facility.alpha")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["actual"], body["type"], body["active"]) == (True, "person", True)
    assert body["managingEntity"]["reference"] == "Organization/alpha"
    assert "member" not in body
    assert answer.headers["etag"] == f'W/"{body["meta"]["versionId"]}"'
    assert await caller.status(f"Group/facility.alpha/_history/{body['meta']['versionId']}") == 200
    assert await caller.status("Group/facility.alpha/_history/99") == 404
    await put(house, "alpha", group("managed", managingEntity={"reference": "Organization/alpha"}))
    both = ["Group/managed", "Group/facility.alpha"]
    assert await caller.found("Group?managing-entity=Organization/alpha") == both
    assert await caller.found("Group?managing-entity=alpha&type=person&_count=2") == both
    assert await caller.found("Group?managing-entity=alpha&type=animal") == []
    assert await caller.found("Group?_id=facility.alpha,facility.nowhere&_count=3") == ["Group/facility.alpha"]
    counted = await caller.get("Group?managing-entity=alpha&_summary=count")
    assert counted.json()["total"] == 2
    narrow = await caller.get("Group?managing-entity=alpha&_count=1")
    assert narrow.status_code == 400
    assert "_count" in said(narrow)


async def test_nobody_writes_a_group_over_a_virtual_one(house: House) -> None:
    caller = await house.as_("system/*.cruds")
    answer = await caller.put(group("facility.alpha", row("Patient/beta-1")))
    assert answer.status_code == 422, answer.text
    with pytest.raises(Unprocessable):
        await house.service.repository.update("Group", "facility.new", group("facility.new", row("Patient/beta-1")))


async def test_staff_of_another_facility_see_no_group_of_ours(house: House) -> None:
    ours = await house.as_("user/*.rs", user="u-doc-alpha", role="doc-alpha")
    theirs = await house.as_("user/*.rs", user="u-doc-beta", role="doc-beta")
    patient = await house.as_("patient/*.rs", patient="ann")
    assert await ours.status("Group/facility.alpha") == 200
    assert await theirs.status("Group/facility.alpha") == 404
    assert await theirs.found("Group?managing-entity=alpha") == []
    assert await patient.status("Group/facility.alpha") in {403, 404}


async def test_a_service_for_one_facility_sees_no_group_above_it(house: House) -> None:
    service = await house.registered("system/*.rs", facilities=("alpha",))
    assert await service.status("Group/facility.alpha") == 200
    assert await service.status("Group/facility.beta") == 404
    assert await service.status("Group/facility.land") == 404


async def test_a_scope_for_other_types_reads_no_group(house: House) -> None:
    caller = await house.as_("system/Patient.rs")
    assert await caller.status("Group/facility.alpha") == 403


async def test_a_service_without_scopes_for_groups_names_those_that_it_is_registered_for(house: House) -> None:
    await put(house, "alpha", group("ours", row("Patient/alpha-1")))
    await put(house, "beta", group("theirs", row("Patient/beta-1")))
    free = await house.registered("system/Patient.rs")
    narrow = await house.registered("system/Patient.rs", facilities=("alpha",))
    other = await house.registered("system/Patient.rs", types=("Patient",))
    for name in ("ours", "facility.alpha"):
        for caller, status in ((free, 202), (narrow, 202), (other, 403)):
            assert await caller.status(f"Group/{name}/$export?_type=Patient") == status, (name, status)
    for name in ("theirs", "facility.beta", "facility.land"):
        assert await narrow.status(f"Group/{name}/$export?_type=Patient") == 404, name
    assert await free.status("Group/ours") == 403


async def test_staff_without_scopes_for_groups_export_none(house: House) -> None:
    doctor = await house.as_("user/Patient.rs", user="u-doc-alpha", role="doc-alpha")
    assert await doctor.status("Group/facility.alpha/$export?_type=Patient") == 403
