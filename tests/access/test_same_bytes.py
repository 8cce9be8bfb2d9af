"""$view-as-patient of records of many types with mixed gates: the bytes are the patient's own, and the trail has a read by staff (LV-4)."""

import random
from collections.abc import Callable, Iterator

import pytest

from fhir_server.model import json
from tests.access.house import STAFF, House, Json, observation
from tests.access.record import code, reference, resource
from tests.access.test_holds import HOLD, put, report
from tests.audit.trail import left

Fresh = Callable[[str], str]

ME = reference("Patient/ann")
PAT = reference("Practitioner/pat")
RECORDS = 30
MEDICINE = {"medicationCodeableConcept": code("pill")}
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

KINDS: dict[str, tuple[Json, tuple[Json, ...]]] = {
    "Condition": ({}, tuple(
        {"verificationStatus": {"coding": [{"system": VERIFIED, "code": one}]}} for one in ("confirmed", "provisional", "refuted")
    )),
    "MedicationRequest": (MEDICINE, (
        {"status": "active", "intent": "order"}, {"status": "draft", "intent": "order"}, {"status": "active", "intent": "plan"},
    )),
    "DocumentReference": ({"content": [{"attachment": {"contentType": "text/plain"}}]}, (
        {"status": "current"}, {"status": "current", "docStatus": "preliminary"}, {"status": "superseded"},
    )),
    "Communication": ({"sender": PAT}, (
        {"status": "completed", "recipient": [ME]}, {"status": "preparation", "recipient": [ME]}, {"status": "completed"},
    )),
    "Encounter": ({"class": {"code": "AMB"}}, ({"status": "finished"}, {"status": "planned"}, {"status": "unknown"})),
}  # fmt: skip
"""What each type has anyway, and versions of it, the first of which is open."""


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


def generated(chance: random.Random, fresh: Fresh) -> Iterator[Json]:
    """Yield a small record: a report of results, some held, and one of each other kind, all with gates by chance."""
    names = [fresh("bytes") for _ in range(chance.randint(1, 2))]
    for name in names:
        status = chance.choice(["final", "preliminary", "amended", "registered"])
        yield observation(name, "ann", status=status, **(HOLD if chance.random() < 0.2 else {}))
    status = chance.choice(["final", "partial", "corrected"])
    yield report(fresh("bytes"), *names, status=status, **(HOLD if chance.random() < 0.3 else {}))
    kind = chance.choice(sorted(KINDS))
    base, versions = KINDS[kind]
    held = HOLD if chance.random() < 0.2 else {}
    yield resource(kind, fresh("bytes"), subject=ME, **base, **chance.choice(versions), **held)


async def test_LV_4_the_bytes_of_mixed_types_and_gates_are_the_patient_s_own(house: House, fresh: Fresh) -> None:
    chance = random.Random(4)
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    written = 0
    for _ in range(RECORDS):
        for one in generated(chance, fresh):
            await put(doctor, one)
            written += 1
    shown = 0
    for kind in ("Observation", "DiagnosticReport", *sorted(KINDS), "Task", "Patient", "Appointment", "Coverage"):
        for query in ("_count=200", "_count=3", "_sort=_lastUpdated&_count=200"):
            own = await ann.get(f"{kind}?{query}")
            view = await doctor.get(f"Patient/ann/$view-as-patient?_type={kind}&{query}")
            assert (own.status_code, view.status_code) == (200, 200), view.text
            bundle, theirs = json.decode(own.content), json.decode(view.content)
            assert entries(theirs) == entries(bundle), (kind, query)
            if len(bundle.get("entry", [])) < 3:  # a paging link is for the caller and the grant that it was given to
                assert view.text.replace(theirs["id"], bundle["id"]) == own.text
            names = [one["resource"]["id"] for one in bundle.get("entry", []) if query == "_count=200"]
            shown += sum(name.startswith("bytes-") for name in names)
    assert 0 < shown < written, "some of it is open and some is not"


def entries(bundle: Json) -> list[bytes]:
    return [json.encode(one) for one in bundle.get("entry", [])]


async def test_LV_4_looking_as_the_patient_is_a_read_by_staff_and_no_opening(house: House, fresh: Fresh) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    name = fresh("looked")
    await put(doctor, observation(name, "ann"))
    answer, rows = await left(house, doctor, "GET", f"Patient/ann/$view-as-patient?_type=Observation&_id={name}")
    assert name in answer.text
    assert [(row["au"], row["u"], row["k"], row["p"], row["st"]) for row in rows] == [
        ("staff", STAFF, "$view-as-patient", "ann", 200)
    ]
    told = (await doctor.get(f"Observation/{name}/$patient-view-status")).json()
    assert "firstSeen" not in {one["name"] for one in told["parameter"]}
