"""What staff of one facility reach in a deployment of several, over HTTP; and that a change is felt at the next request."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.privileges import HL7_ROLE, OWN_ROLE
from fhir_server.access.scope_filter import Unrestricted
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from tests.access.house import House, Json, observation, opened
from tests.access.record import reference, resource

LEVEL = "https://aquifer.example/fhir/CodeSystem/org-level"
KINDS = ("Patient", "Observation", "Encounter", "Task", "Binary", "Appointment")


def facility(name: str, **more: Any) -> Json:
    level = [{"coding": [{"system": LEVEL, "code": "facility"}]}]
    return resource("Organization", name, active=True, name=name.title(), type=level, **more)


def role(name: str, where: str, code: str = "doctor", **more: Any) -> Json:
    system = HL7_ROLE if code in {"doctor", "nurse"} else OWN_ROLE
    codes = [{"coding": [{"system": system, "code": code}]}]
    return resource(
        "PractitionerRole", name, organization=reference(f"Organization/{where}"), code=codes, **{"active": True, **more}
    )  # fmt: skip


def of(patient: str) -> list[Json]:
    subject = reference(f"Patient/{patient}")
    return [
        resource("Patient", patient, name=[{"family": patient.title()}]),
        observation(f"{patient}-lab", patient),
        resource("Encounter", f"{patient}-visit", status="finished", **{"class": {"code": "AMB"}}, subject=subject),
        resource("Task", f"{patient}-task", status="requested", intent="order", **{"for": subject}),
        resource("Binary", f"{patient}-plain", contentType="text/plain", data="aGVsbG8="),
        resource("Binary", f"{patient}-bound", contentType="text/plain", data="aGk=", securityContext=subject),
        resource(
            "Appointment",
            f"{patient}-time",
            status="booked",
            start="2026-05-05T10:00:00Z",
            end="2026-05-05T10:15:00Z",
            participant=[{"actor": subject, "status": "accepted"}],
        ),
    ]


async def put(house: House, facility: str, one: Json) -> None:
    """Have a facility keep a resource."""
    request = FhirRequest("PUT", (one["resourceType"], one["id"]), "http://x/fhir", resource=one)
    scope = Unrestricted("the test's own work", facility)
    answer = await house.service._pipeline.answer(request, scope)
    assert answer.status in {200, 201}, answer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in (facility("east"), facility("west"), facility("ward", partOf=reference("Organization/east"))):
            await put(house, "", one)
        await put(house, "", resource("Practitioner", "grey", name=[{"family": "Grey"}]))
        for one in (role("east-doctor", "east"), role("east-desk", "east", "front-desk"), role("moving", "east")):
            await put(house, "east", one)
        for one in (role("west-admin", "west", "administrator"), role("west-doctor", "west")):
            await put(house, "west", one)
        await put(house, "east", role("former", "east", period={"end": "2020-01-01"}))
        await put(house, "east", role("future", "east", period={"start": "2099-01-01"}))
        await put(house, "east", role("asleep", "east", active=False))
        for where, patient in (("east", "eve"), ("west", "wes"), ("ward", "wanda")):
            for one in of(patient):
                await put(house, where, one)
        await house.add_staff(
            "grey", *["east-doctor", "east-desk", "moving", "west-admin", "west-doctor", "former", "future", "asleep"]
        )
        await house.add_staff("loose")
        yield house


@pytest.mark.parametrize("kind", KINDS)
async def test_staff_of_one_facility_find_nothing_of_another(house: House, kind: str) -> None:
    doctor = await house.as_("user/*.cruds", user="grey", role="east-doctor")
    found = (await doctor.get(f"{kind}?_total=accurate&_count=100")).json()
    ids = {entry["resource"]["id"] for entry in found.get("entry", [])}
    assert {one for one in ids if one.startswith("wes")} == set()
    assert found["total"] == len(ids)
    if kind != "Binary":
        assert {one.partition("-")[0] for one in ids} == {"eve", "wanda"}


@pytest.mark.parametrize("path", [f"{one['resourceType']}/{one['id']}" for one in of("wes")])
async def test_what_another_facility_keeps_reads_as_if_it_was_never_there(house: House, path: str) -> None:
    doctor = await house.as_("user/*.cruds", user="grey", role="east-doctor")
    kind = path.partition("/")[0]
    answer, never = await doctor.get(path), await doctor.get(f"{kind}/never")
    assert answer.status_code == never.status_code == 404
    assert answer.text.replace(path, f"{kind}/never") == never.text
    assert await doctor.status(f"{path}/_history") == 404
    assert await doctor.status(f"{path}/_history/1") == 404
    assert await doctor.status(path.replace("wes", "eve")) == 200
    assert await doctor.status(path.replace("wes", "wanda")) == 200


async def test_what_staff_create_is_kept_by_the_facility_of_their_role(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user="grey", role="east-doctor")
    made = await doctor.ask("POST", "Observation", observation("x", "eve"))
    assert made.status_code == 201
    other = await house.as_("user/*.cruds", user="grey", role="west-doctor")
    path = f"Observation/{made.json()['id']}"
    assert await doctor.status(path) == 200
    assert await other.status(path) == 404


async def test_a_record_of_another_facility_cannot_be_written_into(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user="grey", role="east-doctor")
    assert (await doctor.ask("POST", "Observation", observation("x", "wes"))).status_code == 422
    assert (await doctor.put(observation("wes-lab", "eve"))).status_code == 404
    assert (await doctor.ask("DELETE", "Observation/wes-lab")).status_code in {204, 404}
    other = await house.as_("user/*.cruds", user="grey", role="west-doctor")
    assert await other.status("Observation/wes-lab") == 200


async def test_HI_7_a_doctor_of_one_facility_who_administers_another_opens_no_clinical_data_as_the_administrator(
    house: House,
) -> None:
    admin = await house.as_("user/*.cruds", user="grey", role="west-admin")
    for path in ("Observation/eve-lab", "Observation/wes-lab", "Patient/eve", "Observation", "Patient"):
        assert await admin.status(path) == 403
    assert await admin.status("Organization/west") == 200
    doctor = await house.as_("user/*.cruds", user="grey", role="east-doctor")
    assert await doctor.status("Observation/eve-lab") == 200


async def test_the_front_desk_books_and_registers_and_reads_no_findings(house: House) -> None:
    desk = await house.as_("user/*.cruds", user="grey", role="east-desk")
    assert await desk.status("Patient/eve") == 200
    assert await desk.status("Appointment/eve-time") == 200
    assert await desk.status("Observation/eve-lab") == 403
    told = (await desk.get("Observation/eve-lab")).json()["issue"][0]["details"]["text"]
    assert told.startswith("PractitionerRole/east-desk does not allow this: 'r' of Observation.")
    assert await desk.status("Patient/eve/Observation") == 403
    included = (await desk.get("Patient?_id=eve&_revinclude=Observation:subject")).json()
    assert [entry["resource"]["id"] for entry in included["entry"]] == ["eve"]
    assert await desk.status("Patient?_has:Observation:subject:status=final") == 403


@pytest.mark.parametrize("name", ["former", "future", "asleep", "nobody"])
async def test_a_role_that_is_not_held_now_gives_the_directory_only(house: House, name: str) -> None:
    caller = await house.as_("user/*.cruds", user="grey", role=name)
    assert await caller.status("Organization/east") == 200
    assert await caller.status("Patient/eve") == 403
    assert await caller.status("Observation?status=final") == 403


async def test_staff_without_a_role_reach_nobody_once_there_are_several_facilities(house: House) -> None:
    loose = await house.as_("user/*.cruds", user="loose")
    assert await loose.status("Patient/eve") == 403
    assert await loose.status("Organization") == 200


async def test_a_role_that_moves_or_ends_is_felt_at_the_next_request_with_the_same_token(house: House) -> None:
    caller = await house.as_("user/*.cruds", user="grey", role="moving")
    assert (await caller.status("Patient/eve"), await caller.status("Patient/wes")) == (200, 404)
    await put(house, "east", role("moving", "west"))
    assert (await caller.status("Patient/eve"), await caller.status("Patient/wes")) == (404, 200)
    await put(house, "east", role("moving", "west", "front-desk"))
    assert (await caller.status("Patient/wes"), await caller.status("Observation/wes-lab")) == (200, 403)
    await put(house, "east", role("moving", "west", active=False))
    assert (await caller.status("Patient/eve"), await caller.status("Patient/wes")) == (403, 403)


async def test_an_organization_that_moves_takes_its_records_along_for_those_above_without_rewriting_them(
    house: House,
) -> None:
    for one in (facility("annex"), *of("ann")):
        await put(house, "annex", one)
    doctor = await house.as_("user/*.cruds", user="grey", role="west-doctor")
    assert await doctor.status("Patient/ann") == 404
    before = json.decode((await house.service.repository.read("Observation", "ann-lab")).body)["meta"]
    await put(house, "annex", facility("annex", partOf=reference("Organization/west")))
    assert await doctor.status("Patient/ann") == 200
    await put(house, "annex", facility("annex"))
    assert await doctor.status("Patient/ann") == 404
    assert json.decode((await house.service.repository.read("Observation", "ann-lab")).body)["meta"] == before


async def test_an_app_of_staff_launched_for_a_patient_reaches_that_one_within_the_own_facility(house: House) -> None:
    app = await house.as_("patient/*.rs", user="grey", role="east-doctor", patient="eve")
    assert await app.status("Observation/eve-lab") == 200
    assert await app.status("Observation/wanda-lab") == 404
    other = await house.as_("patient/*.rs", user="grey", role="east-doctor", patient="wes")
    assert await other.status("Observation/wes-lab") == 404
