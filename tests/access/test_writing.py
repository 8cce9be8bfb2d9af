"""Writing beyond the scope: into another record, out of the own one, and over what cannot be seen (SMART 2.2, 3.0.2)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.access.house import CATEGORY, STAFF, House, Json, assert_forbidden, observation, said

Fresh = Callable[[str], str]

LAB = f"category={CATEGORY}|laboratory"


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


def fields(resource: Json, *without: str) -> Json:
    return {name: value for name, value in resource.items() if name not in without}


def measured(name: str, patient: str, category: str = "laboratory", **more: Any) -> Json:
    """Return an observation that the patient contributes."""
    return observation(name, patient, category, **{"performer": [{"reference": f"Patient/{patient}"}], **more})


async def writer(house: House, scope: str = "patient/*.cruds") -> Any:
    return await house.as_(scope, patient="ann")


async def stored(house: House, path: str) -> httpx.Response:
    return await (await house.as_("system/*.rs")).get(path)


async def test_creating_in_the_record_of_another(house: House) -> None:
    ann = await writer(house)
    assert (await ann.post(fields(measured("x", "ann"), "id"))).status_code == 201
    for resource in (
        fields(measured("x", "bo"), "id"),
        fields(measured("x", "bo", performer=[{"reference": "Patient/ann"}]), "id"),
        fields(measured("x", "ann"), "id", "subject"),
        {**fields(measured("x", "ann"), "id"), "subject": {"identifier": {"value": "ann"}}},
        {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": "Patient/bo"},
         "payor": [{"reference": "Patient/ann"}]},
        {"resourceType": "Patient", "name": [{"family": "New"}]},
        {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": {"reference": "Patient/ann"}}]},
        {"resourceType": "Organization", "name": "Mine"},
        {"resourceType": "AuditEvent", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
         "agent": [{"who": {"reference": "Patient/ann"}, "requestor": True}],
         "source": {"observer": {"reference": "Practitioner/pat"}}},
    ):  # fmt: skip
        assert (await ann.post(resource)).status_code == 403, resource


async def test_creating_by_absolute_references_to_another(house: House) -> None:
    ann = await writer(house)
    for url, status in (
        ("http://127.0.0.1:8080/fhir/Patient/ann", 201),
        ("http://127.0.0.1:8080/fhir/Patient/bo", 403),
    ):
        resource = {**fields(measured("x", "ann", performer=[{"reference": url}]), "id"), "subject": {"reference": url}}
        assert (await ann.post(resource)).status_code == status
    elsewhere = {**fields(measured("x", "ann"), "id"), "subject": {"reference": "http://else.where/Patient/ann"}}
    assert (await ann.post(elsewhere)).status_code == 403


async def test_creating_without_the_letter(house: House) -> None:
    for letters in ("ruds", "rs"):
        ann = await writer(house, f"patient/Observation.{letters}")
        assert_forbidden(await ann.post(fields(measured("x", "ann"), "id")), "patient/Observation.c")


async def test_creating_supplies_takes_a_scope_that_names_them(house: House) -> None:
    medication = {"resourceType": "Medication", "code": {"text": "herbs"}}
    assert (await (await writer(house)).post(medication)).status_code == 403
    assert (await (await writer(house, "patient/Medication.c")).post(medication)).status_code == 201


async def test_creating_alone_needs_no_scope_to_read_the_patient_of_the_launch(house: House) -> None:
    ann = await writer(house, "patient/Observation.c")
    assert (await ann.post(fields(measured("x", "ann"), "id"))).status_code == 201
    linked = fields(measured("x", "ann", encounter={"reference": "Encounter/ann-encounter"}), "id")
    assert (await ann.post(linked)).status_code == 422


async def test_references_as_an_oracle_of_what_is_there(house: House) -> None:
    ann = await writer(house)
    answers = []
    for target in ("Encounter/bo-encounter", "Encounter/no-encounter", "Patient/bo", "Patient/nobody"):
        kind = "focus" if "Patient" in target else "encounter"
        value: Any = [{"reference": target}] if kind == "focus" else {"reference": target}
        answer = await ann.post(fields(measured("x", "ann", **{kind: value}), "id"))
        assert answer.status_code == 422
        answers.append(answer.text.replace(target, "it"))
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]


async def given(house: House, resource: Json) -> None:
    """Have a resource stored."""
    answer = await (await house.as_("system/*.cruds")).put(resource)
    assert answer.status_code == 201, answer.text


async def test_the_id_of_what_is_hidden_cannot_be_told_from_a_free_one(house: House, fresh: Fresh) -> None:
    ann, hidden, free = await writer(house), fresh("hidden"), fresh("free")
    await given(house, measured(hidden, "bo"))
    for condition in ("", "?identifier=urn:x|nothing"):
        told = [
            (await ann.ask("PUT", f"Observation{condition or '/' + name}", measured(name, "ann")))
            for name in (hidden, free)
        ]
        assert [one.status_code for one in told] == [404, 404]
        assert told[0].text.replace(hidden, free) == told[1].text


async def test_moving_a_resource_to_another_patient(house: House, fresh: Fresh) -> None:
    ann, name = await writer(house), fresh("move")
    await given(house, measured(name, "ann"))
    moved = measured(name, "bo")
    assert_forbidden(await ann.put(moved), "patient/Observation.u")
    patch = [{"op": "replace", "path": "/subject/reference", "value": "Patient/bo"}]
    assert_forbidden(await ann.ask("PATCH", f"Observation/{name}", patch), "patient/Observation.u")
    patch = [{"op": "remove", "path": "/subject"}]
    assert_forbidden(await ann.ask("PATCH", f"Observation/{name}", patch), "patient/Observation.u")
    after = (await stored(house, f"Observation/{name}")).json()
    assert (after["subject"]["reference"], after["meta"]["versionId"]) == ("Patient/ann", "1")


async def test_taking_a_resource_out_of_another_record(house: House, fresh: Fresh) -> None:
    ann, name = await writer(house), fresh("theirs")
    await (await house.as_("system/*.cruds")).put(measured(name, "bo"))
    nothing = fresh("nothing")
    assert (await ann.put(measured(name, "ann"))).status_code == 404
    patch = [{"op": "replace", "path": "/subject/reference", "value": "Patient/ann"}]
    hidden, absent = [await ann.ask("PATCH", f"Observation/{one}", patch) for one in (name, nothing)]
    assert hidden.status_code == absent.status_code == 404
    assert hidden.text.replace(name, nothing) == absent.text
    hidden, absent = [await ann.ask("DELETE", f"Observation/{one}") for one in (name, nothing)]
    assert hidden.status_code == absent.status_code == 204
    assert "etag" not in hidden.headers
    tests = [{"op": "test", "path": "/status", "value": value} for value in ("final", "amended")]
    for one in tests:
        assert (await ann.ask("PATCH", f"Observation/{name}", [one])).status_code == 404
    assert (await stored(house, f"Observation/{name}")).json()["meta"]["versionId"] == "1"


async def test_conditions_on_versions_of_what_is_hidden(house: House, fresh: Fresh) -> None:
    ann, name, nothing = await writer(house), fresh("versioned"), fresh("nothing")
    await (await house.as_("system/*.cruds")).put(measured(name, "bo"))
    for match in ('W/"1"', 'W/"2"', "*"):
        hidden, absent = [await ann.put(measured(one, "ann"), **{"If-Match": match}) for one in (name, nothing)]
        assert hidden.status_code == absent.status_code == 412
        assert hidden.text.replace(name, nothing) == absent.text
        hidden, absent = [
            await ann.ask("DELETE", f"Observation/{one}", headers={"If-Match": match}) for one in (name, nothing)
        ]
        assert hidden.status_code == absent.status_code == 412


async def test_taking_over_the_id_of_what_another_had_deleted(house: House, fresh: Fresh) -> None:
    ann, name, whole = await writer(house), fresh("former"), await house.as_("system/*.cruds")
    await whole.put(measured(name, "bo"))
    await whole.ask("DELETE", f"Observation/{name}")
    assert (await ann.put(measured(name, "ann"))).status_code == 404
    own = fresh("own")
    await given(house, measured(own, "ann"))
    assert (await ann.ask("DELETE", f"Observation/{own}")).status_code == 204
    again = await ann.put(measured(own, "ann"))
    assert (again.status_code, again.json()["meta"]["versionId"]) == (201, "3")


async def test_an_update_needs_the_letter_for_updates_only(house: House, fresh: Fresh) -> None:
    name = fresh("upsert")
    assert_forbidden(
        await (await writer(house, "patient/Observation.c")).put(measured(name, "ann")), "patient/Observation.u"
    )
    ann = await writer(house, "patient/Observation.u")
    await given(house, measured(name, "ann"))
    assert (await ann.put(measured(name, "ann", status="amended"))).status_code == 200
    assert (await ann.ask("DELETE", f"Observation/{name}")).status_code == 403


async def test_writing_what_can_only_be_seen(house: House, fresh: Fresh) -> None:
    name = fresh("vital")
    await (await house.as_("system/*.cruds")).put(measured(name, "ann", "vital-signs"))
    ann = await writer(house, f"patient/Observation.rs patient/Observation.cud?{LAB}")
    assert (await ann.get(f"Observation/{name}")).status_code == 200
    for answer in (
        await ann.put(measured(name, "ann")),
        await ann.ask("PATCH", f"Observation/{name}", [{"op": "replace", "path": "/status", "value": "amended"}]),
        await ann.ask("DELETE", f"Observation/{name}"),
        await ann.post(fields(measured("x", "ann", "vital-signs"), "id")),
    ):
        assert answer.status_code == 403, answer.text
    assert (await stored(house, f"Observation/{name}")).json()["meta"]["versionId"] == "1"


async def test_writing_past_the_criteria_of_a_granular_scope(house: House, fresh: Fresh) -> None:
    name = fresh("lab")
    ann = await writer(house, f"patient/Observation.cruds?{LAB}")
    await given(house, measured(name, "ann"))
    assert (await ann.put(measured(name, "ann", "vital-signs"))).status_code == 403
    patch = [{"op": "replace", "path": "/category/0/coding/0/code", "value": "vital-signs"}]
    assert (await ann.ask("PATCH", f"Observation/{name}", patch)).status_code == 403
    assert (await ann.post(fields(measured("x", "ann", "vital-signs"), "id"))).status_code == 403
    assert (await ann.put(measured(name, "ann", status="amended"))).status_code == 200
    assert (await ann.ask("DELETE", f"Observation/{name}")).status_code == 204


async def test_conditions_as_an_oracle_of_what_is_hidden(house: House, fresh: Fresh) -> None:
    code = fresh("code")
    theirs = measured(fresh("cond"), "bo", identifier=[{"system": "urn:x", "value": code}])
    await (await house.as_("system/*.cruds")).put(theirs)
    ann = await writer(house)
    mine = {**fields(measured("x", "ann"), "id"), "identifier": [{"system": "urn:x", "value": code}]}
    where = f"identifier=urn:x|{code}"
    assert (await ann.ask("DELETE", f"Observation?{where}")).status_code == 204
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    assert (await ann.ask("PATCH", f"Observation?{where}", patch)).status_code == 404
    made = await ann.post(mine, **{"If-None-Exist": where})
    assert made.status_code == 201
    assert (await ann.post(mine, **{"If-None-Exist": where})).status_code == 200
    updated = await ann.ask("PUT", f"Observation?{where}", {**mine, "status": "amended"})
    assert (updated.status_code, updated.json()["id"]) == (200, made.json()["id"])
    assert (await stored(house, f"Observation/{theirs['id']}")).json()["meta"]["versionId"] == "1"


async def test_conditions_without_the_letter_for_searching(house: House) -> None:
    ann = await writer(house, "patient/Observation.crud")
    body, where = fields(measured("x", "ann"), "id"), "identifier=urn:x|1"
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    for answer in (
        await ann.post(body, **{"If-None-Exist": where}),
        await ann.ask("PUT", f"Observation?{where}", body),
        await ann.ask("PATCH", f"Observation?{where}", patch),
        await ann.ask("DELETE", f"Observation?{where}"),
    ):
        assert_forbidden(answer, "patient/Observation.rs")


async def test_creating_by_condition_under_the_id_of_what_is_hidden(house: House, fresh: Fresh) -> None:
    name = fresh("taken")
    await (await house.as_("system/*.cruds")).put(measured(name, "bo"))
    ann = await writer(house)
    answer = await ann.ask("PUT", f"Observation?identifier=urn:x|{name}", measured(name, "ann"))
    assert answer.status_code == 404
    assert (await stored(house, f"Observation/{name}")).json()["subject"]["reference"] == "Patient/bo"


async def test_deleting_what_a_hidden_resource_refers_to_does_not_name_it(house: House, fresh: Fresh) -> None:
    name = fresh("held")
    ann = await writer(house)
    await given(house, measured(name, "ann"))
    secret = fresh("secret")
    await (await house.as_("system/*.cruds")).put(
        measured(secret, "bo", derivedFrom=[{"reference": f"Observation/{name}"}])
    )
    answer = await ann.ask("DELETE", f"Observation/{name}")
    assert answer.status_code == 409
    assert secret not in answer.text


def bundle(kind: str, *entries: tuple[str, str, Json | None]) -> Json:
    rows: list[Json] = []
    for method, url, resource in entries:
        request = {"method": method, "url": url}
        rows.append({"request": request, **({"resource": resource} if resource else {})})
    return {"resourceType": "Bundle", "type": kind, "entry": rows}


async def test_entries_of_a_batch_are_judged_one_by_one(house: House) -> None:
    ann = await writer(house, "patient/Observation.cruds")
    own, other = fields(measured("x", "ann"), "id"), fields(measured("x", "bo"), "id")
    asked = bundle(
        "batch", ("POST", "Observation", own), ("POST", "Observation", other), ("GET", "Observation/bo-lab", None),
        ("GET", "Condition", None), ("GET", "Observation/ann-lab", None), ("DELETE", "Condition/ann-condition", None),
    )  # fmt: skip
    answer = await ann.ask("POST", "", asked)
    assert [row["response"]["status"][:3] for row in answer.json()["entry"]] == [
        "201",
        "403",
        "404",
        "403",
        "200",
        "403",
    ]


@pytest.mark.parametrize(
    "bad",
    [
        ("POST", "Observation", fields(measured("x", "bo"), "id")),
        ("POST", "Condition", {"resourceType": "Condition", "subject": {"reference": "Patient/ann"}}),
        ("PUT", "Observation/bo-lab", measured("bo-lab", "ann")),
        ("GET", "Condition", None),
        ("GET", "Observation/bo-lab", None),
        ("DELETE", "Condition/ann-condition", None),
    ],
    ids=lambda bad: f"{bad[0]} {bad[1]}",
)
async def test_one_refused_entry_of_a_transaction_refuses_it_whole(house: House, fresh: Fresh, bad: Any) -> None:
    ann, name = await writer(house, "patient/Observation.cruds"), fresh("tx")
    await given(house, measured(name, "ann"))
    amended = measured(name, "ann", status="amended")
    answer = await ann.ask("POST", "", bundle("transaction", ("PUT", f"Observation/{name}", amended), bad))
    assert answer.status_code == (404 if "bo-lab" in bad[1] else 403), answer.text
    assert (await stored(house, f"Observation/{name}")).json()["meta"]["versionId"] == "1"
    assert (await stored(house, "Observation/bo-lab")).json()["meta"]["versionId"] == "1"


async def test_a_transaction_does_not_delete_what_is_hidden(house: House, fresh: Fresh) -> None:
    name, own = fresh("keep"), fresh("own")
    await (await house.as_("system/*.cruds")).put(measured(name, "bo"))
    ann = await writer(house)
    await given(house, measured(own, "ann"))
    amended = measured(own, "ann", status="amended")
    asked = bundle("transaction", ("DELETE", f"Observation/{name}", None), ("PUT", f"Observation/{own}", amended))
    assert (await ann.ask("POST", "", asked)).status_code == 200
    assert (await stored(house, f"Observation/{name}")).status_code == 200


async def test_conditional_references_lead_only_to_what_can_be_seen(house: House, fresh: Fresh) -> None:
    code = fresh("ref")
    for patient in ("ann", "bo"):
        identifier = [{"system": "urn:x", "value": f"{code}-{patient}"}]
        encounter = {"resourceType": "Encounter", "id": f"{code}-{patient}", "status": "finished", "class": {"code": "AMB"},
                     "subject": {"reference": f"Patient/{patient}"}, "identifier": identifier}  # fmt: skip
        await (await house.as_("system/*.cruds")).put(encounter)

    def asked(patient: str) -> Json:
        link = {"reference": f"Encounter?identifier=urn:x|{code}-{patient}"}
        return bundle("transaction", ("POST", "Observation", fields(measured("x", "ann", encounter=link), "id")))

    ann = await writer(house)
    assert (await ann.ask("POST", "", asked("ann"))).status_code == 200
    hidden, absent = await ann.ask("POST", "", asked("bo")), await ann.ask("POST", "", asked("nobody"))
    assert hidden.status_code == absent.status_code == 412
    assert hidden.text == absent.text
    without = await writer(house, "patient/Observation.cruds")
    assert (await without.ask("POST", "", asked("ann"))).status_code == 403


async def test_patching_blindly_does_not_show_what_is_there(house: House, fresh: Fresh) -> None:
    name = fresh("blind")
    await (await house.as_("system/*.cruds")).put(measured(name, "ann", note=[{"text": "secret"}]))
    ann = await writer(house, "patient/Observation.u")
    answer = await ann.ask("PATCH", f"Observation/{name}", [{"op": "replace", "path": "/status", "value": "amended"}])
    assert answer.status_code == 200
    assert "secret" not in answer.text


async def test_the_trail_is_written_by_systems_and_changed_by_nobody(house: House, fresh: Fresh) -> None:
    event = {"resourceType": "AuditEvent", "id": fresh("trail"), "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
             "agent": [{"who": {"reference": "Patient/ann"}, "requestor": True}],
             "source": {"observer": {"reference": "Practitioner/pat"}}}  # fmt: skip
    system = await house.as_("system/*.cruds")
    assert (await system.post(fields(event, "id"))).status_code == 201
    for caller in (system, await house.as_("user/*.cruds", user=STAFF)):
        assert (await caller.put({**event, "id": "ann-auditevent"})).status_code == 403
        assert (await caller.ask("DELETE", "AuditEvent/ann-auditevent")).status_code == 403
    assert (await (await house.as_("user/*.cruds", user=STAFF)).post(fields(event, "id"))).status_code == 403


async def test_binaries_are_reached_by_what_they_belong_to(house: House, fresh: Fresh) -> None:
    ann = await writer(house)
    for path in (
        "Binary/ann-binary",
        "Binary/ann-letter",
        "Binary/ann-binary/_history",
        "Binary/ann-binary/_history/1",
    ):
        assert await ann.status(path) == 200, path
    for path in (
        "Binary/bo-binary",
        "Binary/bo-letter",
        "Binary/free",
        "Binary/bo-letter/_history",
        "Binary/bo-letter/_history/1",
    ):
        assert await ann.status(path) == 404, path
    assert_forbidden(await ann.get("Binary"), "")
    only = await writer(house, "patient/Binary.cruds")
    assert await only.status("Binary/ann-letter") == 200
    assert await only.status("Binary/ann-binary") == 404  # its document may not be read
    assert await (await writer(house, "patient/DocumentReference.rs")).status("Binary/ann-binary") == 403
    staff = await house.as_("user/Binary.rs user/Patient.rs", user=STAFF)
    for path, status in (("free", 200), ("bo-letter", 200), ("bo-binary", 404)):
        assert await staff.status(f"Binary/{path}") == status, path
    assert await staff.found("Binary") == ["Binary/free"]
    assert await (await house.as_("user/*.rs", user=STAFF)).status("Binary/bo-binary") == 200


async def test_hanging_binaries_on_what_is_not_one_s_own(house: House, fresh: Fresh) -> None:
    def content(**more: Any) -> Json:
        return {"resourceType": "Binary", "contentType": "text/plain", "data": "YQ==", **more}

    ann = await writer(house)
    mine, theirs = ({"securityContext": {"reference": f"Patient/{one}"}} for one in ("ann", "bo"))
    made = await ann.post(content(**mine))
    assert made.status_code == 201
    for more in (theirs, {}, {"securityContext": {"reference": "Patient/nobody"}}):
        assert (await ann.post(content(**more))).status_code in {403, 422}
    name = made.json()["id"]
    assert (await ann.put(content(id=name, **theirs))).status_code in {403, 422}
    assert (await ann.put(content(id=name))).status_code == 403
    assert (await ann.put(content(id=name, **mine))).status_code == 200
    assert (await ann.put(content(id="bo-letter", **mine))).status_code == 404
    narrow = await writer(house, "patient/Binary.cruds patient/DocumentReference.rs")
    over = content(id="ann-binary", securityContext={"reference": "DocumentReference/ann-documentreference"})
    answer = await narrow.put(over)
    assert answer.status_code == 403, said(answer)  # read with the document, but not to be changed with it
    assert (await ann.ask("DELETE", f"Binary/{name}")).status_code == 204
