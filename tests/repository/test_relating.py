"""Relationships and objections follow from what is written, in the same unit of work, and end with it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.consent import CODE
from fhir_server.access.scope_filter import Unrestricted
from fhir_server.access.standing import Standing
from fhir_server.main import Service, running
from fhir_server.model.errors import Forbidden, Unprocessable
from fhir_server.model.query import NOTHING, Where
from fhir_server.repository import Repository, effects
from fhir_server.repository.referral import Answer, respond
from fhir_server.search.expression import OwnedBy
from fhir_server.settings import Mongo, Settings
from fhir_server.store import Create

Json = dict[str, Any]

NOW_CLASS = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
RECIPIENT = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]}
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    mongo = Mongo(database=f"relating_{uuid4().hex[:8]}", cache_gb=0.25)
    async with running(Settings(data_dir=data_dir, mongo=mongo)) as service:
        for name in ("a", "b", "c"):
            await put(at(service, name), "Organization", name, name=name.upper())
        a = at(service, "a")
        await put(a, "Practitioner", "gp", name=[{"family": "Gee"}])
        await put(a, "PractitionerRole", "gp-a", organization=ref("Organization/a"))
        await put(a, "Location", "room-a", name="Room")
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def patient(service: Service) -> str:
    """Return a patient of facility b whom nobody else has to do with."""
    name = f"p-{uuid4().hex[:12]}"
    await put(at(service, "b"), "Patient", name)
    return name


def at(service: Service, facility: str) -> Repository:
    return replace(service.repository, scope=Unrestricted("a test", facility))


def ref(text: str) -> Json:
    return {"reference": text}


async def put(repository: Repository, resource_type: str, name: str, /, **elements: Any) -> None:
    await repository.update(resource_type, name, {"resourceType": resource_type, "id": name, **elements})


async def related(
    service: Service, *who: str, purpose: str = "TREAT", after: timedelta = timedelta()
) -> frozenset[str]:
    who = who or ("Organization/a",)
    return await service.store.relations.related(who, purpose, service.store.clock.now() + after)


async def objecting(service: Service, who: str = "Organization/a") -> set[str]:
    found = await service.store.relations.objections([who], ["b"], service.store.clock.now())
    return {one.patient for one in found}


def encounter(patient: str, status: str = "in-progress", **more: Any) -> Json:
    return {"status": status, "class": NOW_CLASS, "subject": ref(f"Patient/{patient}"), **more}


def consent(patient: str, kind: str, *who: str, **more: Any) -> Json:
    actors = [{"role": RECIPIENT, "reference": ref(one)} for one in who]
    said = {"type": kind, **({"actor": actors} if actors else {}), **more.pop("provision", {})}
    return {
        "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": ref(f"Patient/{patient}"),
        "policy": [{"uri": "http://example.org/policy"}],
        "provision": said,
        **more,
    }


async def test_an_open_encounter_relates_and_a_finished_one_does_not(service: Service, patient: str) -> None:
    a = at(service, "a")
    await put(a, "Encounter", f"e-{patient}", **encounter(patient))
    assert patient in await related(service)
    assert patient not in await related(service, "Organization/c")
    await put(a, "Encounter", f"e-{patient}", **encounter(patient, "finished"))
    assert patient not in await related(service)
    await put(a, "Encounter", f"e-{patient}", **encounter(patient))
    assert patient in await related(service)
    await a.delete("Encounter", f"e-{patient}")
    assert patient not in await related(service)


async def test_what_is_done_for_an_own_patient_leaves_no_row(service: Service, patient: str) -> None:
    await put(at(service, "b"), "Encounter", f"e-{patient}", **encounter(patient))
    assert patient not in await related(service, "Organization/b")


async def test_what_is_done_for_an_own_patient_goes_out_with_other_writes(service: Service, patient: str) -> None:
    body = {"resourceType": "Encounter", "id": f"e-{patient}", **encounter(patient)}
    for keeper, crosses in (("b", False), ("a", True)):
        change = Create("Encounter", {"_id": body["id"], "f": keeper, "p": patient, "r": body})
        assert await effects.needed(service.store, [change]) is crosses
        over = Create("Encounter", {"_id": body["id"], "f": keeper, "p": patient, "r": {**body, "status": "finished"}})
        assert not await effects.needed(service.store, [over])


async def test_an_encounter_that_ends_at_a_time_ends_the_relationship_then(service: Service, patient: str) -> None:
    end = service.store.clock.now() + timedelta(hours=1)
    period = {"start": "2026-01-01", "end": end.isoformat()}
    await put(at(service, "a"), "Encounter", f"e-{patient}", **encounter(patient, period=period))
    assert patient in await related(service)
    assert patient not in await related(service, after=timedelta(hours=2))


@pytest.mark.parametrize("actor", ["PractitionerRole/gp-a", "Location/room-a"])
async def test_a_booked_appointment_relates_until_a_day_after_it(service: Service, patient: str, actor: str) -> None:
    end = service.store.clock.now() + timedelta(hours=1)
    times = {"start": (end - timedelta(minutes=30)).isoformat(), "end": end.isoformat()}
    participants = [
        {"actor": ref(f"Patient/{patient}"), "status": "accepted"},
        {"actor": ref(actor), "status": "accepted"},
    ]
    b = at(service, "b")
    await put(b, "Appointment", f"x-{patient}", status="proposed", participant=participants, **times)
    assert patient not in await related(service)
    await put(b, "Appointment", f"x-{patient}", status="booked", participant=participants, **times)
    assert patient in await related(service)
    assert patient not in await related(service, after=timedelta(hours=26))
    await put(b, "Appointment", f"x-{patient}", status="cancelled", participant=participants, **times)
    assert patient not in await related(service)


async def refer(service: Service, patient: str, *, status: str = "active", accepted: bool = True) -> None:
    b = at(service, "b")
    subject = ref(f"Patient/{patient}")
    request = {"status": status, "intent": "order", "subject": subject, "performer": [ref("Organization/a")]}
    await put(b, "ServiceRequest", f"s-{patient}", **request)
    if accepted:
        await put(b, "Task", f"t-{patient}", **task(patient))


def task(patient: str, status: str = "accepted") -> Json:
    focus = ref(f"ServiceRequest/s-{patient}")
    return {"status": status, "intent": "order", "focus": focus, "owner": ref("PractitionerRole/gp-a")}


async def test_a_referral_relates_from_its_acceptance_to_its_end(service: Service, patient: str) -> None:
    b = at(service, "b")
    await refer(service, patient, accepted=False)
    await put(b, "Task", f"t-{patient}", **task(patient, "requested"))
    assert patient not in await related(service)
    await put(b, "Task", f"t-{patient}", **task(patient))
    assert patient in await related(service)
    await put(b, "Task", f"t-{patient}", **task(patient, "completed"))
    assert patient not in await related(service)


async def test_a_referral_that_is_revoked_ends_what_was_accepted(service: Service, patient: str) -> None:
    await refer(service, patient)
    assert patient in await related(service)
    await refer(service, patient, status="revoked", accepted=False)
    assert patient not in await related(service)
    await refer(service, patient, accepted=False)
    assert patient in await related(service), "and what goes on again goes on"


async def test_accepting_and_revoking_at_the_same_time_never_leaves_the_record_open(service: Service) -> None:
    for _ in range(5):
        patient = f"p-{uuid4().hex[:12]}"
        b = at(service, "b")
        await put(b, "Patient", patient)
        await refer(service, patient, accepted=False)
        await asyncio.gather(
            put(b, "Task", f"t-{patient}", **task(patient)),
            refer(service, patient, status="revoked", accepted=False),
        )
        assert patient not in await related(service)


async def test_a_team_relates_the_facilities_of_its_members(service: Service, patient: str) -> None:
    b, subject = at(service, "b"), ref(f"Patient/{patient}")
    members = [{"member": ref("Practitioner/gp"), "onBehalfOf": ref("Organization/c")}]
    await put(b, "CareTeam", f"t-{patient}", status="active", subject=subject, participant=members)
    assert patient in await related(service, "Organization/c")
    assert patient not in await related(service, "Practitioner/gp"), "nobody says in which facility"
    await put(b, "CareTeam", f"t-{patient}", status="inactive", subject=subject, participant=members)
    assert patient not in await related(service, "Organization/c")


async def test_a_grant_relates_whom_it_names_for_its_purpose_and_time(service: Service, patient: str) -> None:
    b, name = at(service, "b"), f"c-{patient}"
    limits = {"purpose": [{"system": REASON, "code": "TREAT"}], "period": {"start": "2020-01-01", "end": "2099-12-31"}}
    await put(
        b, "Consent", name, **consent(patient, "permit", "Organization/a", "PractitionerRole/gp-a", provision=limits)
    )
    assert patient in await related(service)
    assert patient in await related(service, "PractitionerRole/gp-a")
    assert patient not in await related(service, purpose="HRESCH")
    assert patient not in await related(service, "Organization/c")
    await put(b, "Consent", name, **consent(patient, "permit", "Organization/a", provision=limits, status="inactive"))
    assert patient not in await related(service)


async def test_an_objection_holds_until_it_is_withdrawn_and_raises_the_epoch(service: Service, patient: str) -> None:
    b, name = at(service, "b"), f"c-{patient}"
    before = await service.realm.store.epoch()
    await put(b, "Consent", name, **consent(patient, "deny"))
    assert patient in await objecting(service)
    assert await service.realm.store.epoch() > before
    before = await service.realm.store.epoch()
    await put(b, "Consent", name, **consent(patient, "deny", status="rejected"))
    assert patient not in await objecting(service)
    assert await service.realm.store.epoch() > before


async def test_an_objection_to_one_facility_does_not_concern_others(service: Service, patient: str) -> None:
    await put(at(service, "b"), "Consent", f"c-{patient}", **consent(patient, "deny", "Organization/a"))
    assert patient in await objecting(service)
    assert patient not in await objecting(service, "Organization/c")


UNENFORCEABLE: list[tuple[str, Json, str]] = [
    ("deny", {"data": [{"meaning": "instance", "reference": ref("Organization/a")}]}, "Consent.provision.data"),
    ("deny", {"provision": [{"type": "permit"}]}, "Consent.provision.provision"),
    ("deny", {"class": [{"code": "Observation"}]}, "Consent.provision.class"),
    ("deny", {"code": [{"text": "mental health"}]}, "Consent.provision.code"),
    ("deny", {"securityLabel": [{"code": "PSY"}]}, "Consent.provision.securityLabel"),
    ("deny", {"dataPeriod": {"start": "2020"}}, "Consent.provision.dataPeriod"),
    ("deny", {"action": [{"text": "use"}]}, "Consent.provision.action"),
    ("deny", {"purpose": [{"system": "urn:x", "code": "y"}]}, "Consent.provision.purpose[0]"),
    ("permit", {}, "Consent.provision.actor"),
    (
        "deny",
        {"actor": [{"role": RECIPIENT, "reference": ref("Practitioner/gp")}]},
        "Consent.provision.actor[0].reference",
    ),
    (
        "deny",
        {"actor": [{"role": {"text": "x"}, "reference": ref("Organization/a")}]},
        "Consent.provision.actor[0].role",
    ),
    ("deny", {"actor": [{"role": RECIPIENT, "reference": ref("Organization/b")}]}, "Consent.provision.actor[0]"),
]


@pytest.mark.parametrize(("kind", "more", "place"), UNENFORCEABLE, ids=[place for _, _, place in UNENFORCEABLE])
async def test_a_consent_that_cannot_be_enforced_is_refused_and_not_stored(
    service: Service, patient: str, kind: str, more: Json, place: str
) -> None:
    b = at(service, "b")
    with pytest.raises(Unprocessable) as refused:
        await put(b, "Consent", f"c-{patient}", **consent(patient, kind, provision=more))
    assert [(issue.message_id, issue.expression) for issue in refused.value.issues] == [(CODE, place)]
    assert await b.matches("Consent", (("patient", patient),), 1) == []
    assert patient not in await objecting(service)


async def test_a_consent_that_is_kept_unenforceable_closes_more_than_it_says_and_opens_nothing(
    service: Service, patient: str
) -> None:
    rules = service.repository.rules.model_copy(update={"consent": "keep"})
    b = replace(at(service, "b"), rules=rules)
    narrow = {"class": [{"code": "Observation"}]}
    await put(b, "Consent", f"c-{patient}", **consent(patient, "permit", "Organization/a", provision=narrow))
    assert patient not in await related(service)
    await put(b, "Consent", f"d-{patient}", **consent(patient, "deny", "Organization/c", provision=narrow))
    assert patient in await objecting(service)
    nobody = consent("nobody", "deny")
    await put(replace(b, rules=rules.model_copy(update={"references": "off"})), "Consent", f"e-{patient}", **nobody)


async def test_a_change_that_cannot_be_enforced_leaves_what_was_said_before(service: Service, patient: str) -> None:
    b, name = at(service, "b"), f"c-{patient}"
    await put(b, "Consent", name, **consent(patient, "deny"))
    with pytest.raises(Unprocessable):
        await put(b, "Consent", name, **consent(patient, "deny", provision={"dataPeriod": {"start": "2020"}}))
    assert patient in await objecting(service)


async def test_a_record_of_something_else_that_was_agreed_is_kept_as_it_is(service: Service, patient: str) -> None:
    research = {"coding": [{"code": "research"}]}
    said = consent(patient, "permit", provision={"class": [{"code": "Observation"}]}, scope=research)
    await put(at(service, "b"), "Consent", f"c-{patient}", **said)
    said = consent(patient, "permit", provision={"class": [{"code": "Observation"}]}, status="draft")
    await put(at(service, "b"), "Consent", f"d-{patient}", **said)
    assert patient not in await related(service)


async def test_a_facility_cannot_grant_itself_the_record_of_another_one(service: Service, patient: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        await put(at(service, "a"), "Consent", f"c-{patient}", **consent(patient, "permit", "Organization/a"))
    assert refused.value.issues[0].message_id == CODE
    assert patient not in await related(service)


async def test_a_bundle_that_fails_leaves_no_relationship(service: Service, patient: str) -> None:
    a = at(service, "a")

    async def work(bound: Repository) -> None:
        body = {"resourceType": "Encounter", "id": f"e-{patient}", **encounter(patient)}
        await bound.update("Encounter", f"e-{patient}", body)
        await bound.send()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await a.exclusively([], ["Encounter"], work)
    assert patient not in await related(service)


async def test_a_writer_who_does_not_see_the_patient_makes_no_relationship(service: Service, patient: str) -> None:
    """With `record.references: off` an id is all that it takes to name somebody."""

    class Blind(Unrestricted):
        def shown(self, resource_type: str) -> Where:
            return NOTHING if resource_type == "Patient" else super().shown(resource_type)

    rules = service.repository.rules.model_copy(update={"references": "off"})
    blind = replace(service.repository, scope=Blind("a test", "a"), rules=rules)
    await put(blind, "Encounter", f"e-{patient}", **encounter(patient))
    assert patient not in await related(service)


@pytest.mark.parametrize("sender", ["a", "c"])
async def test_where_references_are_not_checked_a_referral_by_somebody_else_opens_nothing(
    service: Service, patient: str, sender: str
) -> None:
    """Whoever knows an id could write a referral of that patient, and have it accepted."""
    rules = service.repository.rules.model_copy(update={"references": "off"})
    forger = replace(at(service, sender), rules=rules)
    request = {"status": "active", "intent": "order", "subject": ref(f"Patient/{patient}")}
    await put(forger, "ServiceRequest", f"s-{patient}", **request)
    await put(forger, "Task", f"t-{patient}", **{**task(patient, "requested"), "owner": ref("Organization/a")})

    class Staff(Unrestricted):
        @property
        def standing(self) -> Standing:
            return Standing("a", custody=OwnedBy(frozenset({"a"})))

    accepting = replace(service.repository, scope=Staff("a test", "a"), rules=rules)
    with pytest.raises(Forbidden):
        await respond(accepting, f"t-{patient}", Answer("accepted"))
    assert patient not in await related(service)
