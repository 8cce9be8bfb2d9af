"""What is left out of resources that patients are shown, and that no search tells it; what staff see of what patients see."""

import json
from collections.abc import Callable

import pytest

from tests.access.house import STAFF, House, Json, observation, said
from tests.access.record import reference, resource

Fresh = Callable[[str], str]
PRIVATE = {"system": "phone", "value": "555-0199", "use": "home"}
WORK = {"system": "phone", "value": "555-0100", "use": "work"}


async def prepared(house: House, fresh: Fresh) -> dict[str, str]:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    server = await house.as_("system/*.cruds")
    names = {kind: fresh(kind) for kind in ("visit", "prac", "obs")}
    release = {"url": "https://aquifer.example/fhir/StructureDefinition/release", "valueCode": "held"}
    rows = [
        resource("Practitioner", names["prac"], telecom=[PRIVATE, WORK], address=[{"use": "home", "city": "Hidden"}]),
        resource("Appointment", names["visit"], status="booked", start="2026-05-01T09:00:00Z", end="2026-05-01T10:00:00Z",
                 participant=[{"actor": reference(f"Patient/{one}"), "status": "accepted"} for one in ("ann", "bo")]),
        {**observation(names["obs"], "ann"), "meta": {"extension": [release]}},
    ]  # fmt: skip
    for one in rows:
        answer = await server.put(one)
        assert answer.status_code == 201, answer.text
    assert (await doctor.get(f"Appointment/{names['visit']}")).text.count("Patient/") == 2
    return names


async def test_what_is_left_out_is_left_out_of_every_way_to_it(house: House, fresh: Fresh) -> None:
    names = await prepared(house, fresh)
    ann = await house.as_("patient/*.cruds", patient="ann")
    everybody = await house.as_("system/*.cruds")
    for kind, name, hidden, kept in (
        ("Appointment", "visit", "Patient/bo", "Patient/ann"),
        ("Practitioner", "prac", "555-0199", "555-0100"),
        ("Observation", "obs", "StructureDefinition/release", "Patient/ann"),
    ):
        path = f"{kind}/{names[name]}"
        for way in (path, f"{path}/_history/1", f"{path}/_history", f"{kind}?_id={names[name]}"):
            shown, whole = await ann.get(way), await everybody.get(way)
            assert shown.status_code == 200, shown.text
            assert hidden not in shown.text, way
            assert kept in shown.text, way
            assert hidden in whole.text, way
        assert (await ann.get(path)).headers["etag"] == (await everybody.get(path)).headers["etag"] == 'W/"1"'
    assert "Hidden" not in (await ann.get(f"Practitioner/{names['prac']}")).text


async def test_writing_back_what_is_shown_takes_nothing_from_others(house: House, fresh: Fresh) -> None:
    path = f"Appointment/{(await prepared(house, fresh))['visit']}"
    ann, everybody = await house.as_("patient/*.cruds", patient="ann"), await house.as_("system/*.cruds")
    mine = (await ann.get(path)).json()
    mine["participant"][0]["status"] = "declined"
    answer = await ann.put(mine)
    assert (answer.status_code, "Patient/bo" in answer.text) == (200, False), answer.text
    rows = (await everybody.get(path)).json()["participant"]
    assert [(one["actor"]["reference"], one["status"]) for one in rows] == [
        ("Patient/ann", "declined"),
        ("Patient/bo", "accepted"),
    ]
    back = await ann.ask("PATCH", path, [{"op": "replace", "path": "/participant/0/status", "value": "accepted"}])
    assert (back.status_code, "Patient/bo" in back.text) == (200, False), back.text
    assert [one["status"] for one in (await everybody.get(path)).json()["participant"]] == ["accepted", "accepted"]


async def test_a_patch_does_not_tell_what_is_not_shown(house: House, fresh: Fresh) -> None:
    path = f"Appointment/{(await prepared(house, fresh))['visit']}"
    ann, everybody = await house.as_("patient/*.cruds", patient="ann"), await house.as_("system/*.cruds")
    told = []
    for guess in ("Patient/bo", "Patient/nobody"):
        tested = [{"op": "test", "path": "/participant/1/actor/reference", "value": guess}]
        told.append(await ann.ask("PATCH", path, tested))
        condition = f"Appointment.participant.where(actor.reference = '{guess}')"
        part = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": condition}]
        steps = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": part}]}
        told.append(await ann.ask("PATCH", path, steps, {"Content-Type": "application/fhir+json"}))
    assert [one.status_code for one in told] == [422, 200, 422, 200]
    assert told[0].text == told[2].text.replace("nobody", "bo")
    shown = [one.json()["participant"] for one in told[1::2]]
    assert shown[0] == shown[1]
    assert "Patient/bo" in (await everybody.get(path)).text
    named = (await ann.get(path)).json()
    for guess in ("bo", "nobody"):
        rows = [*named["participant"], {"actor": {"reference": f"Patient/{guess}"}, "status": "accepted"}]
        told.append(await ann.put({**named, "participant": rows}))
    assert told[-2].status_code == told[-1].status_code == 422
    assert told[-2].text == told[-1].text.replace("nobody", "bo")


@pytest.mark.parametrize(
    "search",
    [
        "Practitioner?telecom=555-0199",
        "Practitioner?phone=555-0199",
        "Practitioner?address-city=Hidden",
        "Practitioner?_filter=phone eq 555-0199",
        "PractitionerRole?practitioner.phone=555-0199",
        "Appointment?actor=Patient/bo",
        "Appointment?patient=bo",
        "Appointment?patient:Patient=bo",
        "Appointment?_filter=actor eq Patient/bo",
        "Patient?link=Patient/bo",
    ],
)
async def test_probing_by_what_is_left_out_is_refused(house: House, search: str) -> None:
    ann = await house.as_("patient/*.cruds", patient="ann")
    answer = await ann.get(search)
    assert answer.status_code == 403, answer.text
    assert "not shown" in said(answer)


async def test_patients_still_search_by_what_they_are_shown(house: House, fresh: Fresh) -> None:
    names = await prepared(house, fresh)
    ann = await house.as_("patient/*.cruds", patient="ann")
    for value in ("actor=Patient/ann", "patient=ann", "patient=Patient/ann"):
        assert await ann.found(f"Appointment?{value}&_id={names['visit']}") == [f"Appointment/{names['visit']}"]
    assert await ann.status("Patient?phone=555") == 200


def entries(text: str) -> list[Json]:
    return [{name: one[name] for name in ("fullUrl", "resource")} for one in json.loads(text).get("entry", [])]


async def test_LV_4_staff_see_what_the_patient_sees(house: House, fresh: Fresh) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    await prepared(house, fresh)
    statuses = ("final", "preliminary", "registered", "amended", "entered-in-error", "cancelled")
    for number in range(30):
        name = fresh("lv4")
        assert (await doctor.put(observation(name, "ann", status=statuses[number % 6]))).status_code == 201
    for query in ("_type=Observation&_count=200", "_type=Appointment", "_type=Patient", "_type=Condition"):
        kind, _, rest = query.removeprefix("_type=").partition("&")
        own = await ann.get(f"{kind}?{rest}")
        view = await doctor.get(f"Patient/ann/$view-as-patient?{query}")
        assert view.status_code == 200, view.text
        assert entries(view.text) == entries(own.text) != []
        # Each answer has an id of its own; every other byte is the same.
        ids = [json.loads(one.text)["id"] for one in (own, view)]
        assert view.text.replace(ids[1], ids[0]) == own.text
    assert (await ann.get("Patient/ann/$view-as-patient?_type=Observation")).status_code == 403
    assert (await doctor.get("Patient/nobody/$view-as-patient?_type=Observation")).status_code == 404
    for wrong in (
        "",
        "?_type=Nothing",
        "?_type=Patient&_has:Observation:patient:code=x",
        "?_type=Observation&subject.name=x",
    ):
        assert (await doctor.get(f"Patient/ann/$view-as-patient{wrong}")).status_code == 400
