"""Two facilities of a network: what makes a clinician of one reach a patient of the other, and what does not (product.md 9)."""

from collections.abc import Callable

import pytest

from tests.access.house import Caller, House, observation
from tests.access.neighbours import (
    REASON,
    agree,
    code,
    consent,
    done,
    kept,
    parameters,
    reaches,
    request,
    respond,
    task,
)
from tests.access.record import reference, resource
from tests.access.test_standings import put


@pytest.fixture(name="house", scope="session")
def among_neighbours(neighbours: House) -> House:
    return neighbours


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
