"""Breaking the glass: for one patient, with a reason, for some hours, by who treats people, and seen by all (product.md 9, HI-6)."""

from datetime import datetime, timedelta

import pytest

from fhir_server.repository import glass
from tests.access.house import Caller, House, observation
from tests.access.neighbours import REASON, agree, code, done, purpose, reaches
from tests.access.record import resource
from tests.access.test_standings import put


@pytest.fixture(name="house", scope="session")
def among_neighbours(neighbours: House) -> House:
    return neighbours


class Clock:
    """The clock that access goes by, set forward."""

    def __init__(self, house: House) -> None:
        self._now = house.service.store.clock.now
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return self._now() + self.ahead


@pytest.fixture
def clock(house: House, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(house)
    gate = house.service._gate
    assert gate is not None
    monkeypatch.setattr(gate._grants, "_clock", clock)
    return clock


async def test_HI_6_breaking_the_glass_opens_one_record_for_four_hours_and_everybody_concerned_sees_it(
    house: House, patient: str, gp: Caller, clock: Clock
) -> None:
    assert not await reaches(gp, patient)
    opened = await gp.ask("POST", f"Patient/{patient}/$break-glass", REASON)
    assert opened.status_code == 200, opened.text
    until, review = (one for one in opened.json()["parameter"])
    assert await reaches(gp, patient)

    officer = await house.as_("user/*.cruds", user="u-officer", role="officer")
    task = (await officer.get(review["valueReference"]["reference"])).json()
    assert (task["priority"], task["status"], task["for"]["reference"]) == ("urgent", "requested", f"Patient/{patient}")
    assert task["reasonCode"]["text"] == "found unconscious"
    assert task["requester"]["reference"] == "PractitionerRole/gp"
    assert task["executionPeriod"]["end"] == until["valueInstant"]

    herself = await house.as_("patient/*.rs", patient=patient)
    notice = (await herself.get(f"Communication?patient={patient}")).json()["entry"][0]["resource"]
    assert "emergency" in notice["payload"][0]["contentString"]
    assert await herself.status(review["valueReference"]["reference"]) == 404, "the reason is the officer's to tell"
    assert {"reference": "PractitionerRole/gp"} in notice["about"]

    trail = (await herself.get(f"AuditEvent?patient={patient}&_count=50")).json()["entry"]
    broken = [one["resource"] for one in trail if purpose(one["resource"]) == "BTG"]
    kinds = {one["code"] for event in broken for one in event["subtype"]}
    assert {"$break-glass", "read", "search-type"} <= kinds, "and in the trail all of it is broken glass"

    seen = (await officer.get(f"AuditEvent?patient={patient}&agent=PractitionerRole/gp&_count=50")).json()["entry"]
    assert {one["resource"]["id"] for one in seen} >= {event["id"] for event in broken}
    told = (await herself.get(f"Patient/{patient}/$access-report")).json()
    assert "in an emergency, by breaking the glass." in str(told)

    clock.ahead = timedelta(hours=3, minutes=59)
    assert await reaches(gp, patient)
    clock.ahead = timedelta(hours=4, seconds=1)
    assert not await reaches(gp, patient), "reuse after the end"


async def test_HI_6_glass_is_broken_for_reading_in_one_role_by_one_person(
    house: House, patient: str, gp: Caller
) -> None:
    await done(await gp.ask("POST", f"Patient/{patient}/$break-glass", REASON))
    other_role = await house.as_("user/*.cruds", user="u-gp", role="gp-two")
    stranger = await house.as_("user/*.cruds", user="u-other", role="other")
    assert not await reaches(other_role, patient)
    assert not await reaches(stranger, patient)
    assert (await gp.put(observation(f"{patient}-lab", patient, status="amended"))).status_code == 403
    narrow = await house.as_("user/Patient.rs", user="u-gp", role="gp")
    assert await narrow.status(f"Patient/{patient}") == 200
    assert await narrow.status(f"Observation/{patient}-lab") == 403, "scopes still hold"


async def test_HI_6_who_broke_the_glass_can_close_the_record_again(house: House, patient: str, gp: Caller) -> None:
    path = f"Patient/{patient}"
    await done(await gp.ask("POST", f"{path}/$break-glass", REASON))
    other_role = await house.as_("user/*.cruds", user="u-gp", role="gp-two")
    assert (await other_role.ask("POST", f"{path}/$end-break-glass")).json()["parameter"][0]["valueBoolean"] is False
    assert await reaches(gp, patient)
    assert (await gp.ask("POST", f"{path}/$end-break-glass")).json()["parameter"][0]["valueBoolean"] is True
    assert not await reaches(gp, patient)
    app = await house.as_("patient/*.cruds", patient=patient)
    assert (await app.ask("POST", f"{path}/$end-break-glass")).status_code == 403


async def test_HI_6_glass_is_not_broken_for_one_patient_after_the_other(
    house: House, patient: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glass, "MOST_AT_ONCE", 1)
    nurse = await house.as_("user/*.cruds", user="u-gp", role="gp-two")
    await put(house, "hospital", resource("Patient", f"{patient}-x"))
    await done(await nurse.ask("POST", f"Patient/{patient}-x/$break-glass", REASON))
    assert (await nurse.ask("POST", f"Patient/{patient}/$break-glass", REASON)).status_code == 409
    assert not await reaches(nurse, patient)
    await done(await nurse.ask("POST", f"Patient/{patient}-x/$end-break-glass"))
    await done(await nurse.ask("POST", f"Patient/{patient}/$break-glass", REASON))
    await done(await nurse.ask("POST", f"Patient/{patient}/$end-break-glass"))


async def test_HI_6_broken_glass_is_whole_again_when_the_network_is_left(
    house: House, patient: str, gp: Caller
) -> None:
    await done(await gp.ask("POST", f"Patient/{patient}/$break-glass", REASON))
    assert await reaches(gp, patient)
    await agree(house, "relationship", active=False)
    assert not await reaches(gp, patient)
    await agree(house, "relationship", emergency=False)
    assert not await reaches(gp, patient)


@pytest.mark.parametrize("reason", [None, "", "   ", "\n\t"])
async def test_HI_6_glass_is_not_broken_without_a_reason(
    house: House, patient: str, gp: Caller, reason: str | None
) -> None:
    rows = [{"name": "reason", "valueString": reason}] if reason is not None else [{"name": "code", "valueCode": "BTG"}]
    refused = await gp.ask("POST", f"Patient/{patient}/$break-glass", {"resourceType": "Parameters", "parameter": rows})
    assert (refused.status_code, code(refused)) == (422, "break-glass-reason-required")
    assert not await reaches(gp, patient)
    assert await house.service.repository.matches("Task", (("patient", patient),), 1) == []


@pytest.mark.parametrize("path", ["Organization/hospital/$break-glass", "Patient/$break-glass", "$break-glass"])
async def test_HI_6_glass_is_not_broken_for_a_whole_facility(gp: Caller, path: str) -> None:
    assert (await gp.ask("POST", path, REASON)).status_code in {404, 405}


async def test_HI_6_glass_is_broken_by_staff_who_treat_and_by_nobody_else(house: House, patient: str) -> None:
    path = f"Patient/{patient}/$break-glass"
    app = await house.as_("patient/*.cruds", patient=patient)
    system = await house.as_("system/*.cruds")
    desk = await house.as_("user/*.cruds", user="u-gp", role="desk")
    roleless = await house.as_("user/*.cruds", user="u-gp")
    for caller in (app, system, desk, roleless):
        assert (await caller.ask("POST", path, REASON)).status_code == 403
    assert await house.service.repository.matches("Task", (("patient", patient),), 1) == []


async def test_HI_6_who_may_not_break_the_glass_is_not_told_that_there_is_a_patient(
    house: House, patient: str, gp: Caller
) -> None:
    stranger = await house.as_("user/*.cruds", user="u-other", role="other")
    for caller, leaves in ((stranger, False), (gp, True)):
        if leaves:
            await agree(house, "relationship", emergency=False)
        hidden = await caller.ask("POST", f"Patient/{patient}/$break-glass", REASON)
        never = await caller.ask("POST", "Patient/never/$break-glass", REASON)
        assert hidden.status_code == never.status_code == 404
        assert hidden.text.replace(patient, "never") == never.text


async def test_HI_6_what_labels_restrict_in_the_own_facility_is_opened_too(
    house: House, patient: str, surgeon: Caller
) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    await put(house, "hospital", observation(f"{patient}-secret", patient, meta={"security": [label]}))
    path = f"Observation/{patient}-secret"
    assert await surgeon.status(path) == 404
    await done(await surgeon.ask("POST", f"Patient/{patient}/$break-glass", REASON))
    assert await surgeon.status(path) == 200


async def test_staff_are_told_of_glass_only_where_the_setting_says_so_and_the_role_may(
    house: House, patient: str, gp: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await gp.status(f"Patient/{patient}") == 404
    gate = house.service._gate
    assert gate is not None
    monkeypatch.setattr(gate._grants.standings, "_reveals", True)
    await agree(house, "relationship")
    told = await gp.get(f"Patient/{patient}")
    assert (told.status_code, code(told)) == (403, "break-glass-available")
    assert await gp.status("Patient/never") == 404
    stranger = await house.as_("user/*.cruds", user="u-other", role="other")
    desk = await house.as_("user/*.cruds", user="u-gp", role="desk")
    for caller in (stranger, desk):
        assert await caller.status(f"Patient/{patient}") == 404
    await agree(house, "relationship", emergency=False)
    assert await gp.status(f"Patient/{patient}") == 404
    monkeypatch.setattr(gate._grants.standings, "_reveals", False)
    await agree(house, "relationship")
