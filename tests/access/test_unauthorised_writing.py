"""Patients writing what is for the care team: types outside the list, orders, tasks of others, and what was deleted (product.md 2.3, 3)."""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.access import contribution
from fhir_server.access.granted import REFERENCED, TRAIL
from tests.access import record
from tests.access.house import Caller, House, Json, observation
from tests.access.test_contribution import ANN, CODE, DOCTOR, KINDS, entry, refused, stored

Fresh = Callable[[str], str]

ME, THEM = ANN[0], DOCTOR[0]
WHEN = "2026-01-01T00:00:00Z"
FOR_PATIENTS = {"system": "https://aquifer.example/fhir/CodeSystem/patient-task", "code": "read"}

CLINICAL: tuple[Json, ...] = (
    {"resourceType": "Procedure", "status": "completed", "subject": ME},
    {"resourceType": "Procedure", "status": "completed", "subject": ME, "asserter": ME, "recorder": THEM},
    {"resourceType": "Procedure", "status": "completed", "subject": ME, "asserter": ME, "performer": [{"actor": THEM}]},
    {"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "x"}, "patient": ME, "occurrenceString": "once"},
    {"resourceType": "MedicationStatement", "status": "active", "subject": ME, "medicationCodeableConcept": {"text": "x"}},
    {"resourceType": "MedicationStatement", "status": "active", "subject": ME, "medicationCodeableConcept": {"text": "x"},
     "informationSource": THEM},
    {"resourceType": "MedicationDispense", "status": "completed", "subject": ME, "medicationCodeableConcept": {"text": "x"}},
    {"resourceType": "MedicationAdministration", "status": "completed", "subject": ME, "effectiveDateTime": WHEN,
     "medicationCodeableConcept": {"text": "x"}, "performer": [{"actor": ME}]},
    {"resourceType": "FamilyMemberHistory", "status": "completed", "patient": ME, "relationship": {"text": "mother"}},
    {"resourceType": "Media", "status": "completed", "subject": ME, "content": {"contentType": "image/png"}},
    {"resourceType": "Media", "status": "completed", "subject": ME, "operator": THEM, "content": {"contentType": "image/png"}},
    {"resourceType": "Specimen", "subject": ME},
    {"resourceType": "Account", "status": "active", "subject": [ME]},
    {"resourceType": "CareTeam", "status": "active", "subject": ME},
    {"resourceType": "EpisodeOfCare", "status": "active", "patient": ME},
    {"resourceType": "Device", "patient": ME},
    {"resourceType": "List", "status": "current", "mode": "working", "subject": ME},
    {"resourceType": "List", "status": "current", "mode": "working", "subject": ME, "source": THEM},
    {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": ME},
    {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": ME, "author": THEM, "source": ME},
    {"resourceType": "Provenance", "target": [ME], "recorded": WHEN, "agent": [{"who": THEM}]},
    {"resourceType": "Provenance", "target": [ME], "recorded": WHEN, "agent": [{"who": ME}, {"who": {"display": "Dr Pat"}}]},
    {"resourceType": "DocumentReference", "status": "current", "subject": ME, "author": ANN, "authenticator": THEM,
     "content": [{"attachment": {"contentType": "text/plain"}}]},
    {"resourceType": "Composition", "status": "final", "subject": ME, "author": ANN, "date": WHEN, "title": "x",
     "type": {"text": "x"}, "attester": [{"mode": "professional"}]},
    {"resourceType": "Task", "status": "requested", "intent": "order", "for": ME, "code": {"coding": [FOR_PATIENTS]}},
    {"resourceType": "Task", "status": "requested", "intent": "order", "for": ME, "requester": THEM, "owner": ME},
    {"resourceType": "Task", "status": "completed", "intent": "order", "for": ME, "requester": ME},
)  # fmt: skip

ORDERS: tuple[Json, ...] = (
    {"resourceType": "MedicationRequest", "medicationCodeableConcept": {"text": "opium"}, "requester": ME},
    {"resourceType": "ServiceRequest", "code": {"text": "scan"}, "requester": ME},
    {"resourceType": "CarePlan", "author": ME},
)


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


def assert_refused(answer: Any) -> None:
    assert answer.status_code == 403, answer.text
    assert refused(answer.json()["issue"][0]), answer.text


@pytest.mark.parametrize("resource", CLINICAL, ids=lambda one: one["resourceType"])
async def test_writing_into_the_chart_as_if_one_were_the_care_team(
    house: House, fresh: Fresh, ann: Caller, resource: Json
) -> None:
    assert_refused(await ann.post(resource))
    name = fresh("theirs")
    path = await stored(house, {**resource, "id": name})
    if resource.get("owner") != ME:  # what is given to the patient has a test of its own
        assert_refused(await ann.put({**resource, "id": name, "language": "en"}))
        assert_refused(await ann.ask("PATCH", path, [{"op": "add", "path": "/language", "value": "en"}]))
    assert_refused(await ann.ask("DELETE", path))
    after = await (await house.as_("system/*.rs")).get(path)
    assert after.headers["etag"] == 'W/"1"'


def test_every_type_that_is_not_named_is_refused(house: House) -> None:
    """What a patient's scopes could reach and nobody has thought of is refused by default."""
    named = contribution.FREE | contribution.AUTHORS.keys()
    members = set(house.service.definitions.compartments["Patient"].members) | {"Device", "Task"}
    assert not named & (REFERENCED - {"Medication", "Substance"})
    assert TRAIL not in named
    for kind in ("Claim", "Invoice", "Immunization", "Specimen", "Person", "Device", "Encounter", "ResearchSubject"):
        assert kind in members
        assert kind not in named


@pytest.mark.parametrize("order", ORDERS, ids=lambda one: one["resourceType"])
@pytest.mark.parametrize("intent", ["order", "original-order", "plan"])
async def test_ordering_for_oneself(house: House, fresh: Fresh, ann: Caller, order: Json, intent: str) -> None:
    if order["resourceType"] == "CarePlan" and intent == "original-order":
        intent = "option"
    wanted = {**order, "status": "active", "subject": ME}
    assert_refused(await ann.post({**wanted, "intent": intent}))
    made = await ann.post({**wanted, "status": "draft", "intent": "proposal"})
    assert made.status_code == 201, made.text
    path = f"{order['resourceType']}/{made.json()['id']}"
    assert_refused(await ann.ask("PATCH", path, [{"op": "replace", "path": "/intent", "value": intent}]))
    assert_refused(await ann.put({**wanted, "id": made.json()["id"], "intent": intent}))
    ordered = await stored(house, {**wanted, "id": fresh("ordered"), "intent": intent})
    assert_refused(await ann.ask("PATCH", ordered, [{"op": "replace", "path": "/intent", "value": "proposal"}]))
    assert_refused(await ann.ask("DELETE", ordered))


async def test_changing_a_task_that_was_given_to_one(house: House, fresh: Fresh, ann: Caller) -> None:
    name = fresh("task")
    task: Json = {
        "resourceType": "Task", "id": name, "status": "requested", "intent": "order", "for": ME, "owner": ME, "requester": THEM,
        "description": "weigh yourself", "input": [{"type": {"text": "above"}, "valueDecimal": 71.50}],
    }  # fmt: skip
    path = await stored(house, task)
    wrong: tuple[Json, ...] = ({"description": "rest"}, {"requester": ME}, {"input": []}, {"intent": "plan"})
    for changed in wrong:
        kept = {key: value for key, value in {**task, **changed}.items() if value != []}
        assert_refused(await ann.put(kept))
    assert (await ann.put({**task, "owner": THEM})).status_code == 403
    assert_refused(await ann.ask("DELETE", path))
    done = [
        {"op": "replace", "path": "/status", "value": "completed"},
        {"op": "add", "path": "/output", "value": [{"type": {"text": "weight"}, "valueDecimal": 70.0}]},
    ]
    answer = await ann.ask("PATCH", path, done)
    assert answer.status_code == 200, answer.text
    assert answer.json()["input"][0]["valueDecimal"] == 71.5


async def test_asking_by_a_task_and_taking_it_back(ann: Caller) -> None:
    task = {"resourceType": "Task", "status": "requested", "intent": "order", "for": ME, "requester": ME,
            "owner": {"reference": "Organization/clinic"}}  # fmt: skip
    made = await ann.post(task)
    assert made.status_code == 201, made.text
    path = f"Task/{made.json()['id']}"
    for status, answered in (("accepted", 403), ("completed", 403), ("cancelled", 200)):
        patch = [{"op": "replace", "path": "/status", "value": status}]
        assert (await ann.ask("PATCH", path, patch)).status_code == answered, status


async def buried(house: House, resource: Json) -> str:
    """Have a resource stored and deleted by a system; return its path."""
    path = await stored(house, resource)
    assert (await (await house.as_("system/*.cruds")).ask("DELETE", path)).status_code == 204
    return path


REVIVED: tuple[Json, ...] = (
    observation("x", "ann", performer=DOCTOR),
    {"resourceType": "Coverage", "status": "active", "beneficiary": ME, "payor": ANN},
    record.resource("Appointment", "x", status="proposed", participant=[{"actor": ME, "status": "accepted"}]),
    {"resourceType": "Consent", "status": "active", "patient": ME, "scope": {"text": "x"}, "category": [{"text": "x"}],
     "policyRule": {"text": "x"}},
)  # fmt: skip


@pytest.mark.parametrize("resource", REVIVED, ids=lambda one: one["resourceType"])
@pytest.mark.parametrize("way", ["PUT", "batch", "transaction"])
async def test_reviving_what_the_care_team_has_deleted(
    house: House, fresh: Fresh, ann: Caller, resource: Json, way: str
) -> None:
    dead = {**resource, "id": fresh("dead")}
    path = await buried(house, dead)
    living = {**dead, "performer": ANN} if resource["resourceType"] == "Observation" else dead
    if way == "PUT":
        assert_refused(await ann.put(living))
    else:
        bundle = {"resourceType": "Bundle", "type": way, "entry": [entry("PUT", path, living)]}
        answer = await ann.ask("POST", "", bundle)
        if way == "transaction":
            assert_refused(answer)
        else:
            told = answer.json()["entry"][0]["response"]
            assert (told["status"][:3], refused(told["outcome"]["issue"][0])) == ("403", True)
    assert await (await house.as_("system/*.rs")).status(path) == 410


async def test_one_s_own_contribution_comes_back(house: House, fresh: Fresh, ann: Caller) -> None:
    own = observation("x", "ann", performer=ANN)
    made = await ann.post({key: value for key, value in own.items() if key != "id"})
    name = made.json()["id"]
    assert (await ann.ask("DELETE", f"Observation/{name}")).status_code == 204
    assert (await ann.put({**own, "id": name})).status_code == 201


async def test_staff_are_not_bound_by_what_patients_may_write(house: House) -> None:
    """The list is for patients' tokens."""
    service = await house.as_("system/*.cruds")
    for resource in CLINICAL[:4]:
        assert (await service.post(resource)).status_code == 201


def test_the_code_is_the_one_that_clients_know() -> None:
    assert contribution.DENIED == CODE
    assert set(KINDS) <= contribution.AUTHORS.keys() | {"Encounter"}
