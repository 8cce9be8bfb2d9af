"""$patient-view-status: whether a patient is shown something, by which rule, since when, and has opened it (product.md 3)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.access.house import STAFF, Caller, House, Json, observation
from tests.access.record import reference, resource

Fresh = Callable[[str], str]

NOPAT = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPAT"}]}


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


async def told(doctor: Caller, path: str) -> Json:
    """Return the answer by name; what is there several times as a list."""
    answer = await doctor.get(f"{path}/$patient-view-status")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for one in answer.json()["parameter"]:
        value = next(value for name, value in one.items() if name != "name")
        found[one["name"]] = [*found.get("seenBy", ()), value] if one["name"] == "seenBy" else value
    return found


async def test_LV_5_opening_a_result_is_told_and_listing_it_is_not(
    house: House, fresh: Fresh, doctor: Caller, ann: Caller
) -> None:
    name = fresh("lv5")
    written = await doctor.put(observation(name, "ann"))
    path = f"Observation/{name}"
    for asked in (f"Observation?patient=ann&_id={name}", f"Observation?_id={name}&_summary=count", f"{path}/_history"):
        assert await ann.status(asked) == 200
    assert (await ann.ask("HEAD", path)).status_code == 200
    assert await doctor.status(path) == 200
    before = await told(doctor, path)
    moment = written.json()["meta"]["lastUpdated"]
    assert before == {
        "patient": {"reference": "Patient/ann"}, "visible": True, "rule": "record", "since": moment, "visibleAt": moment,
    }  # fmt: skip
    assert await ann.status(path) == 200
    once = await told(doctor, path)
    assert once["firstSeen"] == once["lastSeen"] > before["since"]
    assert [one["identifier"]["value"] for one in once["seenBy"]] == ["u-ann"]
    await house.add_patient("u-carer", "ann")
    carer = await house.as_("user/*.rs", user="u-carer")
    assert await carer.status(f"{path}/_history/1") == 200
    twice = await told(doctor, path)
    assert twice["firstSeen"] == once["firstSeen"] < twice["lastSeen"]
    assert [one["identifier"]["value"] for one in twice["seenBy"]] == ["u-carer", "u-ann"]


@pytest.mark.parametrize(
    ("closed", "reason"),
    [({"status": "preliminary"}, "preliminary"), ({"status": "registered"}, "draft"), ({"meta": NOPAT}, "held")],
)
async def test_what_is_closed_is_told_with_its_reason_and_opens_when_it_is_written(
    fresh: Fresh, doctor: Caller, ann: Caller, closed: Json, reason: str
) -> None:
    name = fresh("closed")
    path = f"Observation/{name}"
    first = (await doctor.put(observation(name, "ann", **closed))).json()
    await doctor.put(observation(name, "ann", valueString="again", **closed))
    now = await told(doctor, path)
    assert (now["visible"], now["rule"], now["reason"]) == (False, "disclosure", reason)
    assert now["since"] == first["meta"]["lastUpdated"]
    assert "visibleAt" not in now
    assert await ann.status(path) == 404
    opened = (await doctor.put(observation(name, "ann"))).json()
    await doctor.put(observation(name, "ann", status="amended"))
    then = await told(doctor, path)
    assert (then["visible"], then["rule"], then["since"]) == (True, "record", opened["meta"]["lastUpdated"])
    assert then["visibleAt"] == then["since"]
    assert await ann.status(path) == 200


async def test_what_a_report_holds_and_what_is_in_nobody_s_record(fresh: Fresh, doctor: Caller, ann: Caller) -> None:
    name, report = fresh("inside"), fresh("report")
    await doctor.put(observation(name, "ann"))
    held = resource(
        "DiagnosticReport", report, status="final", code={"text": "x"}, subject=reference("Patient/ann"), meta=NOPAT,
        result=[reference(f"Observation/{name}")],
    )  # fmt: skip
    assert (await doctor.put(held)).status_code == 201
    now = await told(doctor, f"Observation/{name}")
    assert (now["visible"], now["reason"]) == (False, "held")
    await doctor.put({key: value for key, value in held.items() if key != "meta"})
    assert (await told(doctor, f"Observation/{name}"))["visible"]
    nobody = await told(doctor, "Schedule/ann-schedule")
    assert (nobody["visible"], nobody["rule"]) == (False, "scope"), "no scope of a patient reaches it"


async def test_asking_as_a_patient_or_for_what_one_may_not_see(house: House, fresh: Fresh, ann: Caller) -> None:
    for name in ("ann-lab", "bo-lab", fresh("absent")):
        answer = await ann.get(f"Observation/{name}/$patient-view-status")
        assert answer.status_code == 403, answer.text
    nobody = await house.as_("user/Patient.rs", user=STAFF)
    assert await nobody.status("Observation/ann-lab/$patient-view-status") == 403
    doctor = await house.as_("user/*.rs", user=STAFF)
    assert await doctor.status("Observation/absent/$patient-view-status") == 404
