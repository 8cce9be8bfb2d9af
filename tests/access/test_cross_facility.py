"""Two facilities of a network: what makes a clinician of one reach a patient of the other, and what does not (product.md 9)."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.facilities.agreement import Agreement, TreatmentAccess
from fhir_server.facilities.nodes import ROLE
from fhir_server.repository import glass
from tests.access.house import Caller, House, Json, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import facility, put, role

PRIVACY = {"coding": [{"code": "patient-privacy"}]}
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
REASON: Json = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "found unconscious"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in (
            facility("surgery"),
            facility("hospital"),
            facility("stranger"),
            resource("Organization", "net", name="Net"),
        ):
            await put(house, "", one)
        await put(house, "", resource("Practitioner", "gp", name=[{"family": "Gee"}]))
        for name, where, code in (
            ("gp", "surgery", "doctor"), ("gp-two", "surgery", "nurse"), ("desk", "surgery", "front-desk"),
            ("surgeon", "hospital", "doctor"), ("officer", "hospital", "privacy-officer"), ("other", "stranger", "doctor"),
        ):  # fmt: skip
            await put(house, where, role(name, where, code))
        await house.add_staff("u-gp", "gp", "gp-two", "desk")
        await house.add_staff("u-surgeon", "surgeon")
        await house.add_staff("u-officer", "officer")
        await house.add_staff("u-other", "other")
        yield house


async def agree(house: House, access: TreatmentAccess, *, emergency: bool = True, active: bool = True) -> None:
    """Have both facilities take part in the network, or leave it."""
    for member in ("surgery", "hospital"):
        agreement = Agreement(access, emergency=emergency).extension()
        affiliation = resource(
            "OrganizationAffiliation",
            f"net-{member}",
            active=active,
            organization=reference("Organization/net"),
            participatingOrganization=reference(f"Organization/{member}"),
            code=[{"coding": [{"system": ROLE, "code": "member"}]}],
            extension=[agreement],
        )
        await put(house, "", affiliation)


@pytest_asyncio.fixture(loop_scope="session")
async def patient(house: House, fresh: Callable[[str], str]) -> str:
    """A patient of the hospital, with a finding, and an agreement for relationships."""
    name = fresh("pat")
    await agree(house, "relationship")
    await put(house, "hospital", resource("Patient", name, name=[{"family": "Payne"}]))
    await put(house, "hospital", observation(f"{name}-lab", name))
    await house.add_patient(f"u-{name}", name)
    return name


@pytest_asyncio.fixture(loop_scope="session")
async def gp(house: House) -> Caller:
    return await house.as_("user/*.cruds", user="u-gp", role="gp")


@pytest_asyncio.fixture(loop_scope="session")
async def surgeon(house: House) -> Caller:
    return await house.as_("user/*.cruds", user="u-surgeon", role="surgeon")


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


def code(answer: httpx.Response) -> str:
    return str(answer.json()["issue"][0]["extension"][0]["valueString"])


def purpose(event: Json) -> str:
    """Return the purpose of an AuditEvent."""
    return str(event.get("purposeOfEvent", [{"coding": [{"code": ""}]}])[0]["coding"][0]["code"])


async def reaches(caller: Caller, patient: str) -> bool:
    """Return whether a caller reaches the record by any way; all ways agree."""
    ways: list[bool] = [
        await caller.status(f"Patient/{patient}") == 200,
        await caller.status(f"Observation/{patient}-lab") == 200,
        await caller.status(f"Observation/{patient}-lab/_history/1") == 200,
        (await caller.get(f"Observation?patient={patient}&_total=accurate")).json()["total"] == 1,
        (await caller.get(f"Patient?_id={patient}&_summary=count")).json()["total"] == 1,
    ]
    assert len(set(ways)) == 1, ways
    return ways[0]


def request(patient: str, status: str = "active") -> Json:
    subject = reference(f"Patient/{patient}")
    performer = [reference("Organization/surgery")]
    return resource(
        "ServiceRequest", f"{patient}-sr", status=status, intent="order", subject=subject, performer=performer
    )


def task(patient: str, status: str) -> Json:
    focus = reference(f"ServiceRequest/{patient}-sr")
    owner = reference("Organization/surgery")
    subject = reference(f"Patient/{patient}")
    return resource("Task", f"{patient}-t", status=status, intent="order", focus=focus, owner=owner, **{"for": subject})


def parameters(**values: str) -> Json:
    kinds = {"status": "valueCode", "reason": "valueString"}
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kinds[name]: one} for name, one in values.items()],
    }


async def respond(caller: Caller, patient: str, status: str) -> httpx.Response:
    return await caller.ask("POST", f"Task/{patient}-t/$respond", parameters(status=status, reason="as asked"))


async def kept(caller: Caller, one: Json) -> Json:
    """Create a resource under an id that the server gives; return it."""
    answer = await caller.post({name: value for name, value in one.items() if name != "id"})
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def done(answer: httpx.Response) -> None:
    assert answer.status_code in {200, 201}, answer.text


async def test_HI_5_a_referral_opens_the_record_when_it_is_accepted_and_closes_it_when_it_ends(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    assert not await reaches(gp, patient)
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "requested"))
    assert not await reaches(gp, patient), "a referral that nobody accepted"
    await done(await surgeon.put(task(patient, "accepted")))
    assert await reaches(gp, patient)
    other = await house.as_("user/*.cruds", user="u-other", role="other")
    assert not await reaches(other, patient), "a referral to somebody else"
    await done(await surgeon.put(request(patient, "completed")))
    assert not await reaches(gp, patient)


async def test_HI_5_the_facility_that_a_referral_is_addressed_to_accepts_it_and_ends_it(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "requested"))
    inbox = (await gp.get("Task?owner=Organization/surgery&status=requested&_count=100")).json()
    assert f"{patient}-t" in {one["resource"]["id"] for one in inbox["entry"]}
    assert not await reaches(gp, patient), "who sees the referral does not see the record yet"
    assert (await gp.put(task(patient, "accepted"))).status_code == 403
    other = await house.as_("user/*.cruds", user="u-other", role="other")
    assert (await respond(other, patient, "accepted")).status_code == 404

    accepted = await respond(gp, patient, "accepted")
    assert (accepted.status_code, accepted.json()["status"]) == (200, "accepted")
    assert await reaches(gp, patient)
    assert (await respond(gp, patient, "rejected")).status_code == 409
    assert (await respond(gp, patient, "completed")).json()["status"] == "completed"
    assert not await reaches(gp, patient)
    assert (await respond(gp, patient, "accepted")).status_code == 409, "what has ended does not begin again"


async def test_HI_9_a_referral_of_a_patient_who_denies_sharing_is_not_seen(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "requested"))
    await kept(await house.as_("patient/*.cruds", patient=patient), consent(patient, "deny"))
    await agree(house, "network")
    for kind in ("Task", "Device"):
        await put(house, "hospital", {**resource("Device", f"{patient}-d"), "patient": reference(f"Patient/{patient}")})
        assert (await gp.get(f"{kind}?patient={patient}&_total=accurate")).json()["total"] == 0, kind
    assert (await respond(gp, patient, "accepted")).status_code == 404


async def test_nobody_opens_a_record_by_answering_an_own_referral(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "surgery", task(patient, "requested"))
    assert (await respond(gp, patient, "accepted")).status_code == 403
    assert not await reaches(gp, patient)


async def test_a_task_that_is_no_referral_is_not_answered(house: House, patient: str, gp: Caller) -> None:
    about = reference(f"Patient/{patient}")
    await put(house, "hospital", {**task(patient, "requested"), "focus": about})
    assert (await respond(gp, patient, "accepted")).status_code == 422
    refused = await gp.ask("POST", f"Task/{patient}-t/$respond", parameters(status="draft"))
    assert (refused.status_code, code(refused)) == (422, "code-invalid")


async def test_HI_5_a_relationship_opens_nothing_without_an_agreement(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "accepted"))
    assert await reaches(gp, patient)
    await agree(house, "none")
    assert not await reaches(gp, patient)
    await agree(house, "relationship", active=False)
    assert not await reaches(gp, patient)


async def test_a_record_is_not_opened_by_naming_the_patient(patient: str, gp: Caller) -> None:
    subject = reference(f"Patient/{patient}")
    visit = {"class": {"code": "AMB"}, "status": "in-progress", "subject": subject}
    claims = [
        resource("Encounter", f"{patient}-e", **visit),
        resource("CareTeam", f"{patient}-c", status="active", subject=subject,
                 managingOrganization=[reference("Organization/surgery")]),
        resource("Appointment", f"{patient}-a", status="booked", start="2099-01-01T10:00:00Z", end="2099-01-01T10:10:00Z",
                 participant=[{"actor": one, "status": "accepted"} for one in (subject, reference("PractitionerRole/gp"))]),
        consent(patient, "permit", "Organization/surgery"),
    ]  # fmt: skip
    for one in claims:
        del one["id"]
        assert (await gp.post(one)).status_code == 422, one["resourceType"]
        assert not await reaches(gp, patient)


async def test_an_own_visit_of_somebody_elses_patient_goes_on_until_it_is_over(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "accepted"))
    visit = resource("Encounter", f"{patient}-e", **{"class": {"code": "AMB"}}, subject=reference(f"Patient/{patient}"))
    visit = await kept(gp, {**visit, "status": "in-progress"})
    await done(await surgeon.put(task(patient, "completed")))
    assert await reaches(gp, patient)
    await done(await gp.put({**visit, "status": "finished"}))
    assert not await reaches(gp, patient)


async def test_what_is_reached_of_another_facility_is_not_written(house: House, patient: str, gp: Caller) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "accepted"))
    assert (await gp.put(observation(f"{patient}-lab", patient, status="amended"))).status_code == 403
    assert (await gp.ask("DELETE", f"Observation/{patient}-lab")).status_code == 403


def consent(patient: str, kind: str, *who: str, **more: Any) -> Json:
    recipient = {"coding": [{"system": PARTICIPATION, "code": "IRCP"}]}
    actors = [{"role": recipient, "reference": reference(one)} for one in who]
    provision = {"type": kind, **({"actor": actors} if actors else {}), **more.pop("provision", {})}
    category = [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]
    stated = {"status": "active", "scope": PRIVACY, "category": category, "policy": [{"uri": "http://example.org/p"}]}
    subject = reference(f"Patient/{patient}")
    return resource("Consent", f"{patient}-consent", **{**stated, "patient": subject, "provision": provision, **more})


async def test_HI_9_a_patient_who_denies_sharing_closes_the_record_to_others_but_not_to_an_emergency(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "accepted"))
    assert await reaches(gp, patient)
    herself = await house.as_("patient/*.cruds", patient=patient)
    stored = await kept(herself, consent(patient, "deny"))
    assert not await reaches(gp, patient)
    assert await reaches(surgeon, patient), "the own facility is no matter of sharing"
    assert await surgeon.status(f"Consent/{stored['id']}") == 200, "and it knows of the objection"
    await agree(house, "network")
    assert not await reaches(gp, patient)

    await done(await gp.ask("POST", f"Patient/{patient}/$break-glass", REASON))
    assert await reaches(gp, patient)
    tasks = (await surgeon.get(f"Task?patient={patient}&code=break-glass-review")).json()
    assert len(tasks["entry"]) == 1, "and it is logged"

    await agree(house, "relationship")
    await done(await herself.put({**stored, "status": "inactive"}))
    second = await house.as_("user/*.cruds", user="u-gp", role="gp-two")
    assert await reaches(second, patient), "withdrawn: the relationship counts again"


async def test_a_patient_lets_in_whom_she_names_and_nobody_else(house: House, patient: str, gp: Caller) -> None:
    herself = await house.as_("patient/*.cruds", patient=patient)
    stored = await kept(herself, consent(patient, "permit", "PractitionerRole/gp"))
    assert await reaches(gp, patient)
    colleague = await house.as_("user/*.cruds", user="u-gp", role="gp-two")
    assert not await reaches(colleague, patient)
    await done(await herself.put({**stored, "status": "rejected"}))
    assert not await reaches(gp, patient)


async def test_consent_of_another_patient_is_not_given(house: House, patient: str, fresh: Callable[[str], str]) -> None:
    mallory = fresh("mal")
    await put(house, "surgery", resource("Patient", mallory))
    await house.add_patient(f"u-{mallory}", mallory)
    caller = await house.as_("patient/*.cruds", patient=mallory)
    foreign = consent(patient, "permit", "Organization/surgery")
    del foreign["id"]
    assert (await caller.post(foreign)).status_code == 403


async def test_a_consent_that_could_not_be_enforced_is_refused_at_the_element(house: House, patient: str) -> None:
    herself = await house.as_("patient/*.cruds", patient=patient)
    wrong = consent(patient, "deny", provision={"class": [{"code": "Observation"}]})
    del wrong["id"]
    refused = await herself.post(wrong)
    assert (refused.status_code, code(refused)) == (422, "consent-not-enforceable")
    assert refused.json()["issue"][0]["expression"] == ["Consent.provision.class"]
    assert await herself.found(f"Consent?patient={patient}") == []


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


async def test_a_transaction_with_a_consent_that_cannot_be_enforced_stores_nothing(
    house: House, patient: str, surgeon: Caller
) -> None:
    wrong = consent(patient, "deny", provision={"data": [{"meaning": "instance", "reference": reference("Patient/x")}]})
    wrong["provision"]["data"][0]["reference"] = reference(f"Patient/{patient}")
    subject = reference(f"Patient/{patient}")
    visit = resource("Encounter", "", status="planned", subject=subject, **{"class": {"code": "AMB"}})
    entries = [
        {"resource": {**one, "id": "x"}, "request": {"method": "POST", "url": one["resourceType"]}}
        for one in (visit, wrong)
    ]
    refused = await surgeon.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert (refused.status_code, code(refused)) == (422, "consent-not-enforceable"), refused.text
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.provision.data"]
    for kind in ("Encounter", "Consent"):
        assert await surgeon.found(f"{kind}?patient={patient}") == []


async def test_a_patch_does_not_make_a_consent_what_cannot_be_enforced(
    house: House, patient: str, gp: Caller, surgeon: Caller
) -> None:
    await put(house, "hospital", request(patient))
    await put(house, "hospital", task(patient, "accepted"))
    path = f"Consent/{(await kept(surgeon, consent(patient, 'deny')))['id']}"
    narrowed = [{"op": "add", "path": "/provision/class", "value": [{"code": "Observation"}]}]
    refused = await surgeon.ask("PATCH", path, narrowed)
    assert (refused.status_code, code(refused)) == (422, "consent-not-enforceable")
    assert not await reaches(gp, patient)
    ended = [{"op": "replace", "path": "/status", "value": "inactive"}]
    await done(await surgeon.ask("PATCH", path, ended))
    assert await reaches(gp, patient)
