"""The audit trail as AuditEvents: read and searched as anything else, by those whom it concerns."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fhir_server.search.parse import parse
from tests.access.house import STAFF, House, observation, said
from tests.audit.trail import left

Fresh = Callable[[str], str]
Json = dict[str, Any]


async def events(caller: Any, search: str) -> list[Json]:
    answer = await caller.get(search)
    assert answer.status_code == 200, answer.text
    return [one["resource"] for one in answer.json().get("entry", []) if one["search"]["mode"] == "match"]


def codes(event: Json) -> set[str]:
    return {one["code"] for one in event["subtype"]}


async def test_AU_4_a_patient_sees_a_clinician_s_read_within_the_next_request(house: House, fresh: Fresh) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    name = fresh("au4")
    await doctor.put(observation(name, "ann"))
    assert await doctor.status(f"Observation/{name}") == 200

    newest, *_ = await events(ann, f"AuditEvent?patient=ann&entity=Observation/{name}&_count=1")

    assert codes(newest) == {"read"}
    assert newest["entity"][0]["what"]["reference"] == f"Observation/{name}/_history/1"
    assert newest["agent"][2]["who"] == {"display": "A member of staff"}
    assert newest["agent"][2]["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"


async def test_AU_4_the_patient_s_own_viewing_is_listed_as_own(house: House, fresh: Fresh) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    answer, rows = await left(house, ann, "GET", "Observation/ann-lab")
    assert answer.status_code == 200, answer.text

    read = await ann.get(f"AuditEvent/{rows[0]['_id']}")

    assert read.status_code == 200
    event = read.json()
    assert event["agent"][2]["who"]["identifier"]["value"] == "u-ann"
    assert event["agent"][2]["purposeOfUse"][0]["coding"][0]["code"] == "PATRQT"
    assert event["meta"] == {
        "versionId": "1",
        "lastUpdated": event["recorded"],
        "profile": ["https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead"],
    }


async def test_AU_4_broken_glass_is_flagged(
    house: House,
) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    answer, rows = await left(house, doctor, "GET", "Observation/ann-lab")
    assert answer.status_code == 200
    broken = {**rows[0], "_id": f"{rows[0]['_id'][:-4]}ffff", "pu": "BTG"}
    await house.service.store.trail.add(broken)

    event = (await ann.get(f"AuditEvent/{broken['_id']}")).json()

    assert event["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"


async def test_a_patient_who_only_performed_is_not_told_who_looks_at_another_one_s_record(
    house: House, fresh: Fresh
) -> None:
    """Counting her own AuditEvents, the performer would learn of every access to what is about somebody else."""
    name = fresh("obs")
    writer = await house.as_("system/*.cruds")
    performed = observation(name, "bo", performer=[{"reference": "Patient/ann"}])
    assert (await writer.put(performed)).status_code == 201
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    answer, rows = await left(house, doctor, "GET", f"Observation/{name}")
    assert answer.status_code == 200, answer.text
    assert (rows[0]["p"], "ps" in rows[0]) == ("bo", False)
    assert await ann.status(f"AuditEvent/{rows[0]['_id']}") == 404
    assert (await doctor.get(f"Observation?_id={name}")).json()["total"] == 1
    entities = [entity for event in await events(ann, "AuditEvent?_count=200") for entity in event.get("entity", [])]
    assert not any(name in str(entity) or "Patient/bo" in str(entity) for entity in entities)


async def test_a_patient_sees_nothing_of_other_patients_records(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    _, rows = await left(house, doctor, "GET", "Observation/bo-vital")
    assert rows[0]["p"] == "bo"

    assert await ann.status(f"AuditEvent/{rows[0]['_id']}") == 404
    assert await ann.status(f"AuditEvent/{rows[0]['_id']}/_history/1") == 404
    assert await ann.status(f"AuditEvent/{rows[0]['_id']}/_history") == 404
    assert await events(ann, "AuditEvent?patient=bo") == []
    assert await events(ann, f"AuditEvent?_id={rows[0]['_id']}") == []
    assert await events(ann, "AuditEvent?entity=Observation/bo-vital") == []
    assert await events(ann, "Patient/bo/AuditEvent") == []
    assert (await ann.get(f"AuditEvent?_id={rows[0]['_id']}&_summary=count")).json()["total"] == 0


async def test_of_an_access_to_several_records_a_patient_sees_the_own_part(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    _, rows = await left(house, doctor, "GET", "Observation?patient=ann,bo&code=http://loinc.org|8867-4")
    assert {"ann", "bo"} <= set(rows[0]["ps"])

    answer = await ann.get(f"AuditEvent/{rows[0]['_id']}")

    event = answer.json()
    assert [one["what"]["reference"] for one in event["entity"] if "what" in one] == ["Patient/ann"]
    assert "bo" not in {part.strip("/") for part in answer.text.replace('"', "/").split("/")}
    assert "8867-4" not in answer.text
    assert "u-doc" not in answer.text


async def test_what_the_patient_may_not_see_is_left_out_of_what_was_touched(house: House, fresh: Fresh) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    doctor = await house.as_("user/*.cruds", user=STAFF)
    hidden = fresh("hidden")
    await doctor.put(observation(hidden, "ann"))
    _, rows = await left(house, doctor, "GET", f"Observation/{hidden}")
    assert (await doctor.ask("DELETE", f"Observation/{hidden}")).status_code in {200, 204}

    answer = await ann.get(f"AuditEvent/{rows[0]['_id']}")

    assert answer.status_code == 200
    assert hidden not in answer.text
    assert "Observation" not in answer.text
    assert await events(ann, f"AuditEvent?entity=Observation/{hidden}") == []


@pytest.mark.parametrize(
    "search", ["AuditEvent?address=127", "AuditEvent?policy=urn:aquifer:grant:x", "AuditEvent?_filter=address sw 127"]
)
async def test_a_patient_does_not_search_by_what_is_of_the_house(house: House, search: str) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")

    assert (await ann.get(search)).status_code == 403


async def test_staff_without_the_duty_do_not_see_the_trail(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    _, rows = await left(house, doctor, "GET", "Observation/ann-lab")

    for path in (
        "AuditEvent",
        f"AuditEvent/{rows[0]['_id']}",
        "AuditEvent?patient=ann",
        f"AuditEvent/{rows[0]['_id']}/_history",
    ):
        assert await doctor.status(path) == 403, path
    launched = await house.as_("patient/*.rs", user=STAFF, patient="ann")
    assert await launched.status("AuditEvent?patient=ann") == 403


async def test_administrators_see_the_trail_without_the_names_in_records(house: House) -> None:
    adam = await house.as_("user/*.cruds", user="u-adam")
    doctor = await house.as_("user/*.cruds", user=STAFF)
    _, rows = await left(house, doctor, "GET", "Observation/ann-lab")

    event = (await adam.get(f"AuditEvent/{rows[0]['_id']}")).json()

    (patient,) = [one for one in event["entity"] if one.get("what", {}).get("reference") == "Patient/ann"]
    assert "display" not in patient["what"]
    assert event["agent"][2]["who"]["identifier"]["value"] == STAFF


async def test_A5_reading_the_trail_is_itself_in_the_trail(
    house: House,
) -> None:
    adam = await house.as_("user/*.cruds", user="u-adam")
    ann = await house.as_("patient/*.rs", patient="ann")
    _, rows = await left(house, adam, "GET", "AuditEvent?patient=ann&_count=3")
    _, own = await left(house, ann, "GET", "AuditEvent?patient=ann&_count=3")

    assert rows[0]["rt"] == "AuditEvent"
    assert "ann" in {rows[0].get("p"), *rows[0].get("ps", ())}
    shown = {event["id"] for event in await events(ann, "AuditEvent?patient=ann&_count=10")}
    assert rows[0]["_id"] in shown
    assert own[0]["_id"] not in shown


async def test_events_that_systems_send_are_found_in_the_same_results(house: House, fresh: Fresh) -> None:
    siem = await house.as_("system/*.cruds")
    sent = {
        "resourceType": "AuditEvent",
        "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
        "action": "R",
        "recorded": "2026-03-01T10:00:00.500Z",
        "outcome": "0",
        "agent": [{"requestor": True, "who": {"reference": "Patient/ann"}}],
        "source": {"observer": {"display": fresh("device")}},
        "entity": [{"what": {"reference": "Patient/ann"}}],
    }
    first = (await siem.post(sent)).json()["id"]
    second = (await siem.post({**sent, "recorded": "2999-03-01T10:00:00.500Z"})).json()["id"]
    _, rows = await left(house, siem, "GET", "Observation/ann-lab")
    ids = {first, second, rows[0]["_id"]}

    async def order(sort: str) -> list[str]:
        found = await siem.found(f"AuditEvent?patient=ann&_sort={sort}&_count=3")
        return [name.partition("/")[2] for name in found if name.partition("/")[2] in ids]

    assert await order("-date") == [second, rows[0]["_id"], first]
    assert await order("date") == [first, rows[0]["_id"], second]
    assert await order("-_lastUpdated") == [rows[0]["_id"], second, first]
    assert await order("_lastUpdated") == [first, second, rows[0]["_id"]]


async def test_pages_hold_every_event_once(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    for _ in range(5):
        await siem.get("Observation/ann-lab")
    everything = await siem.found("AuditEvent?entity=Observation/ann-lab&_count=500")

    for sort in ("-date", "_lastUpdated"):
        paged = await siem.found(f"AuditEvent?entity=Observation/ann-lab&_count=2&_sort={sort}")
        assert len(paged) == len(set(paged))
        assert set(paged) == set(everything)


async def test_totals_count_both_lanes(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    search = "AuditEvent?entity=Observation/ann-lab"
    found = await siem.found(f"{search}&_count=500")

    assert (await siem.get(f"{search}&_summary=count")).json()["total"] == len(found)
    assert (await siem.get(f"{search}&_total=accurate&_count=1")).json()["total"] == len(found)


async def test_a_paging_link_is_the_caller_s_own(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    ann = await house.as_("patient/*.rs", patient="ann")
    page = (await siem.get("AuditEvent?patient=ann&_count=1")).json()
    (url,) = [link["url"] for link in page["link"] if link["relation"] == "next"]

    assert (await ann.get(url)).status_code == 400


async def test_what_events_refer_to_is_included_within_rights(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    ann = await house.as_("patient/*.rs", patient="ann")
    await siem.get("Observation/ann-lab")
    search = "AuditEvent?entity=Observation/ann-lab&_include=AuditEvent:patient&_include=AuditEvent:entity"

    assert {"Patient/ann", "Observation/ann-lab"} <= {*await siem.found(search)}
    assert "Patient/bo" not in await ann.found("AuditEvent?_include=AuditEvent:patient&_count=500")


async def test_chains_out_of_events_work(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    ids = {event["id"] for event in await events(siem, "AuditEvent?patient=ann&_count=5")}

    chained = {event["id"] for event in await events(siem, "AuditEvent?patient.family=ann&patient=ann&_count=50")}

    assert ids & chained
    assert await events(siem, "AuditEvent?patient.family=nobody&patient=ann") == []


@pytest.mark.parametrize(
    "search",
    [
        "Patient?_has:AuditEvent:patient:action=R",
        "Patient?_revinclude=AuditEvent:patient",
        "Provenance?target:AuditEvent.action=R",
        "?_type=AuditEvent,Patient",
        "AuditEvent?_sort=agent",
        "AuditEvent?_sort=date,_id",
        "AuditEvent?agent-name=smith",
        "AuditEvent?_contained=true",
        "AuditEvent?_explain=true",
        "AuditEvent?_profile=https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Read",
        "AuditEvent?patient:identifier=1",
        "AuditEvent?colour=red",
        "AuditEvent/_history",
    ],
)
async def test_what_the_trail_cannot_answer_is_refused(house: House, search: str) -> None:
    siem = await house.as_("system/*.cruds")

    answer = await siem.get(search)

    assert answer.status_code == 400, answer.text
    assert said(answer)


async def test_the_record_of_a_patient_holds_the_events_about_it(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    _, rows = await left(house, siem, "GET", "Observation/ann-lab")

    assert f"AuditEvent/{rows[0]['_id']}" in await siem.found("Patient/ann/AuditEvent?action=R&_count=500")
    assert [name for name in await siem.found("Patient/ann/*?_count=500") if name.startswith("AuditEvent/")] == []


async def test_an_event_has_one_version_and_is_never_changed(house: House) -> None:
    siem = await house.as_("system/*.cruds")
    _, rows = await left(house, siem, "GET", "Observation/ann-lab")
    path = f"AuditEvent/{rows[0]['_id']}"

    assert await siem.versions(f"{path}/_history") == [f"{path}/1".removeprefix("x")]
    assert (await siem.get(f"{path}/_history/1")).headers["etag"] == 'W/"1"'
    assert await siem.status(f"{path}/_history/2") == 404
    event = (await siem.get(path)).json()
    assert (await siem.put(event)).status_code == 403
    assert (await siem.ask("DELETE", path)).status_code == 403


async def test_events_are_shortened_as_any_resource(house: House) -> None:
    siem = await house.as_("system/*.cruds")

    (event,) = await events(siem, "AuditEvent?patient=ann&_elements=recorded&_count=1")

    assert set(event) <= {"resourceType", "id", "meta", "recorded", "type", "agent", "source"}


@pytest.mark.parametrize("sort", ["-date", "date"])
async def test_all_that_events_refer_to_comes_however_many_there_are(house: House, fresh: Fresh, sort: str) -> None:
    siem = await house.as_("system/*.cruds")
    names = [fresh("inc") for _ in range(5)]
    for name in names:
        await siem.put(observation(name, "ann"))
    repository = house.service.repository
    limits = repository.pages.limits.model_copy(update={"max_includes": 2})
    narrow = replace(repository, pages=replace(repository.pages, limits=limits))
    asked = ",".join(f"Observation/{name}" for name in names)
    pairs = (("entity", asked), ("action", "U"), ("_include", "AuditEvent:entity"), ("_count", "3"), ("_sort", sort))
    matched: list[str] = []
    included: list[str] = []
    cursor = ""

    while True:
        more = (("_cursor", cursor),) if cursor else ()
        request = parse("AuditEvent", (*pairs, *more), narrow.definitions, limits, strict=True)
        page = await narrow.search(request, "http://127.0.0.1:8080/fhir")
        matched += [hit.id for hit in page.matches]
        included += [hit.id for hit in page.included if hit.resource_type == "Observation"]
        await siem.put(observation(names[0], "bo"))  # what is new does not move what is shown
        cursor = page.next
        if not cursor:
            break

    assert len(matched) == len(set(matched))
    assert len(matched) >= len(names)
    assert set(names) <= set(included)
