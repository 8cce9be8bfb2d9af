"""One record for patients and clinicians: the same resources, shown to patients once they are settled (product.md 3)."""

from collections.abc import Callable

import pytest

from tests.access import record
from tests.access.house import STAFF, House, observation

Fresh = Callable[[str], str]

EVERYTHING = "patient/*.cruds"


async def test_LV_2_a_preliminary_result_is_not_there_for_the_patient_until_it_is_final(
    house: House, fresh: Fresh
) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_(EVERYTHING, patient="ann")
    name = fresh("lv2")
    search = f"Observation?patient=ann&_id={name}&_total=accurate"
    created = await doctor.put(observation(name, "ann", status="preliminary"))
    assert created.status_code == 201
    assert (await ann.get(search)).json()["total"] == 0
    assert (await ann.get(search + "&_summary=count")).json()["total"] == 0
    assert await ann.status(f"Observation/{name}") == 404
    assert await ann.status(f"Observation/{name}/_history") == 404
    assert (await doctor.get(search)).json()["total"] == 1
    assert (await doctor.put(observation(name, "ann"))).status_code == 200
    bundle = (await ann.get(search)).json()
    assert bundle["total"] == 1
    shown = bundle["entry"][0]["resource"]
    assert (shown["id"], shown["meta"]["versionId"]) == (name, "2")
    assert await ann.status(f"Observation/{name}/_history/2") == 200
    assert await ann.status(f"Observation/{name}/_history/1") == 404, "no preliminary values in the past of a final one"
    assert await ann.versions(f"Observation/{name}/_history") == [f"Observation/{name}/2"]
    assert await doctor.versions(f"Observation/{name}/_history") == [f"Observation/{name}/2", f"Observation/{name}/1"]


@pytest.mark.parametrize(
    "search",
    [
        "Observation?_id={0}",
        "Observation?status=preliminary&_id={0}",
        "Patient?_id=ann&_has:Observation:patient:_id={0}",
        "Patient?_id=ann&_revinclude=Observation:subject&_has:Observation:patient:_id={0}",
        "Provenance?target:Observation._id={0}",
        "Observation?_filter=_id eq {0}",
        "Patient/ann/Observation?_id={0}",
        "Patient/ann/*?_id={0}&_type=Observation",
        "?_type=Observation&_id={0}",
        "Observation/_history?_count=1000&_id={0}",
    ],
)
async def test_probing_for_a_preliminary_result_finds_nothing(house: House, fresh: Fresh, search: str) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_(EVERYTHING, patient="ann")
    name = fresh("probe")
    assert (await doctor.put(observation(name, "ann", status="preliminary"))).status_code == 201
    answer = await ann.get(search.format(name))
    assert answer.status_code in {200, 400}, answer.text
    if answer.status_code == 200:
        assert f"Observation/{name}" not in answer.text
        if "_has" in search:
            assert "entry" not in answer.json()


async def test_what_patients_report_themselves_is_theirs_to_see_at_once(workshop: House, fresh: Fresh) -> None:
    ann = await workshop.as_(EVERYTHING, patient="ann")
    told = observation(
        fresh("own"), "ann", "vital-signs", status="preliminary", performer=[{"reference": "Patient/ann"}]
    )
    answer = await ann.post({name: value for name, value in told.items() if name != "id"})
    assert answer.status_code == 201, answer.text
    assert await ann.status(f"Observation/{answer.json()['id']}") == 200


async def test_patients_of_apps_that_staff_use_see_as_staff_do(house: House, fresh: Fresh) -> None:
    """An app in the chart launches with a patient; who looks is still the clinician."""
    doctor = await house.as_("user/*.cruds", user=STAFF)
    name = fresh("launched")
    assert (await doctor.put(observation(name, "ann", status="preliminary"))).status_code == 201
    app = await house.as_("patient/*.rs", user=STAFF, patient="ann")
    assert await app.status(f"Observation/{name}") == 200
    hers = await house.as_("user/*.rs", user="u-ann")
    assert await hers.status(f"Observation/{name}") == 404


async def test_LV_6_both_audiences_have_the_same_version_and_tag_of_twenty_types(house: House) -> None:
    everybody = await house.as_("system/*.rs")
    ann = await house.as_("patient/*.rs", patient="ann")
    types = set()
    for one in record.everything():
        path = f"{one['resourceType']}/{one['id']}"
        shown = await ann.get(path)
        if shown.status_code != 200:
            continue
        whole = await everybody.get(path)
        assert shown.headers["etag"] == whole.headers["etag"], path
        assert shown.headers["last-modified"] == whole.headers["last-modified"], path
        types.add(one["resourceType"])
        if one["resourceType"] == "Binary":
            continue
        assert shown.json()["id"] == whole.json()["id"], path
        assert shown.json()["meta"] == whole.json()["meta"], path
    assert len(types) >= 20, sorted(types)


async def test_LV_3_what_a_patient_books_is_in_the_next_answer_to_the_clinician(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_(EVERYTHING, patient="ann")
    participants = [record.reference("Patient/ann"), record.reference("PractitionerRole/role")]
    for hour in range(8, 18):
        booked = await ann.post(
            {
                "resourceType": "Appointment",
                "status": "booked",
                "start": f"2026-09-01T{hour:02}:00:00Z",
                "end": f"2026-09-01T{hour:02}:30:00Z",
                "participant": [{"actor": one, "status": "accepted"} for one in participants],
            }
        )
        assert booked.status_code == 201, booked.text
        found = await doctor.found("Appointment?actor=PractitionerRole/role&date=2026-09-01")
        assert "/".join(booked.headers["location"].split("/")[-4:-2]) in found
