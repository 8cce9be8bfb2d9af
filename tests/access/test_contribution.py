"""Patients writing over what the care team has written: refused, whatever the interaction (product.md 3)."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.access.house import STAFF, Caller, House, Json, observation

Fresh = Callable[[str], str]

ANN = [{"reference": "Patient/ann"}]
DOCTOR = [{"reference": "Practitioner/pat"}]
MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
AMENDED = [{"op": "replace", "path": "/status", "value": "amended"}]
TAKEN = [{"op": "add", "path": "/performer", "value": ANN}]
CODE = "patient-write-not-allowed"


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


async def stored(house: House, resource: Json) -> str:
    """Have a system store a resource; return its path."""
    answer = await (await house.as_("system/*.cruds")).put(resource)
    assert answer.status_code in {200, 201}, answer.text
    return f"{resource['resourceType']}/{resource['id']}"


async def result(house: House, fresh: Fresh, **more: Any) -> tuple[str, str]:
    """Return id and path of a result of a clinician."""
    name = fresh("result")
    return name, await stored(house, observation(name, "ann", **{"performer": DOCTOR, **more}))


def refused(issue: Json) -> bool:
    """Return whether an issue is the refusal that is meant here."""
    return issue["code"] == "forbidden" and {"url": MESSAGE_ID, "valueString": CODE} in issue.get("extension", [])


async def untouched(house: House, path: str) -> None:
    now = await (await house.as_("system/*.rs")).get(path)
    assert (now.status_code, now.headers["etag"]) == (200, 'W/"1"')


@pytest.fixture(params=["patient/*.cruds", "user/*.cruds", "proxy"])
async def ann(house: House, request: pytest.FixtureRequest) -> Caller:
    """The patient, by both contexts; and who acts for her and is no patient here."""
    if request.param == "proxy":
        await house.add_patient("u-proxy", "ann")
        return await house.as_("user/*.cruds", user="u-proxy")
    return await house.as_(request.param, user="u-ann", patient="ann")


@pytest.fixture
async def herself(house: House) -> Caller:
    return await house.as_("patient/*.cruds", patient="ann")


@pytest.mark.parametrize("performer", [DOCTOR, [], [*ANN, *DOCTOR], [*ANN, {"display": "Dr Pat"}]], ids=str)
async def test_overwriting_patching_and_deleting_a_clinician_s_result(
    house: House, fresh: Fresh, ann: Caller, performer: list[Json]
) -> None:
    more: dict[str, Any] = {"performer": performer} if performer else {}
    name = fresh("result")
    path = await stored(house, observation(name, "ann", **more))
    assert await ann.status(path) == 200
    for answer in (
        await ann.put(observation(name, "ann", status="amended", **more)),
        await ann.ask("PATCH", path, AMENDED),
        await ann.ask("DELETE", path),
    ):
        assert answer.status_code == 403, answer.text
        assert refused(answer.json()["issue"][0])
    await untouched(house, path)


async def test_making_a_clinician_s_result_one_s_own(house: House, fresh: Fresh, ann: Caller) -> None:
    name, path = await result(house, fresh)
    for answer in (await ann.put(observation(name, "ann", performer=ANN)), await ann.ask("PATCH", path, TAKEN)):
        assert answer.status_code == 403
        assert refused(answer.json()["issue"][0])
    await untouched(house, path)


async def test_making_one_s_own_look_like_a_clinician_s(house: House, fresh: Fresh, ann: Caller) -> None:
    made = await ann.post(_new(performer=ANN))
    assert made.status_code == 201, made.text
    name = made.json()["id"]
    patch = [{"op": "replace", "path": "/performer", "value": DOCTOR}]
    for answer in (
        await ann.put(observation(name, "ann", performer=DOCTOR)),
        await ann.ask("PATCH", f"Observation/{name}", patch),
        await ann.ask("PATCH", f"Observation/{name}", [{"op": "remove", "path": "/performer"}]),
        await ann.post(_new(performer=DOCTOR)),
        await ann.post(_new()),
    ):
        assert answer.status_code == 403, answer.text
        assert refused(answer.json()["issue"][0])
    assert (await ann.put(observation(name, "ann", status="amended", performer=ANN))).status_code == 200
    assert (await ann.ask("DELETE", f"Observation/{name}")).status_code == 204


def _new(**more: Any) -> Json:
    return {key: value for key, value in observation("x", "ann", **more).items() if key != "id"}


async def test_writing_types_that_only_the_care_team_writes(ann: Caller) -> None:
    subject = {"reference": "Patient/ann"}
    for resource in (
        {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}, "subject": subject},
        {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "subject": subject},
        {"resourceType": "Invoice", "status": "balanced", "subject": subject},
    ):
        answer = await ann.post(resource)
        assert answer.status_code == 403, resource
        assert refused(answer.json()["issue"][0])
    for name in ("condition", "encounter", "medicationrequest", "documentreference", "communication"):
        kind = next(one for one in KINDS if one.lower() == name)
        answer = await ann.ask("DELETE", f"{kind}/ann-{name}")
        assert (answer.status_code, refused(answer.json()["issue"][0])) == (403, True), name


KINDS = ("Condition", "Encounter", "MedicationRequest", "DocumentReference", "Communication")


def entry(method: str, url: str, resource: Any = None) -> Json:
    return {"request": {"method": method, "url": url}, **({"resource": resource} if resource else {})}


async def test_by_the_entries_of_a_batch(house: House, fresh: Fresh, ann: Caller) -> None:
    name, path = await result(house, fresh)
    rows = [entry("PUT", path, observation(name, "ann", performer=ANN)), entry("DELETE", path), entry("POST", "Observation", _new()),
            entry("POST", "Observation", _new(performer=ANN))]  # fmt: skip
    answer = await ann.ask("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": rows})
    answers = [row["response"] for row in answer.json()["entry"]]
    assert [one["status"][:3] for one in answers] == ["403", "403", "403", "201"]
    assert all(refused(one["outcome"]["issue"][0]) for one in answers[:3])
    await untouched(house, path)


@pytest.mark.parametrize("bad", ["PUT", "DELETE", "POST"])
async def test_by_the_entries_of_a_transaction(house: House, fresh: Fresh, herself: Caller, bad: str) -> None:
    name, path = await result(house, fresh)
    urls = {
        "POST": ("Observation", _new()),
        "PUT": (path, observation(name, "ann", performer=ANN)),
        "DELETE": (path, None),
    }
    mark = fresh("mark")
    own = _new(performer=ANN, identifier=[{"system": "urn:x", "value": mark}])
    rows = [entry("POST", "Observation", own), entry(bad, *urls[bad])]
    answer = await herself.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": rows})
    assert answer.status_code == 403
    assert refused(answer.json()["issue"][0])
    await untouched(house, path)
    assert await herself.found(f"Observation?identifier=urn:x|{mark}") == []


async def test_by_conditional_writes(house: House, fresh: Fresh, ann: Caller) -> None:
    mark = fresh("mark")
    identifier = [{"system": "urn:x", "value": mark}]
    _, path = await result(house, fresh, identifier=identifier)
    where = f"Observation?identifier=urn:x|{mark}"
    for answer in (
        await ann.ask("PUT", where, _new(performer=ANN, identifier=identifier)),
        await ann.ask("PATCH", where, AMENDED),
        await ann.ask("DELETE", where),
        await ann.post(_new(), **{"If-None-Exist": f"identifier=urn:x|{fresh('none')}"}),
        await ann.ask("PUT", f"Observation?identifier=urn:x|{fresh('none')}", _new()),
    ):
        assert answer.status_code == 403, answer.text
        assert refused(answer.json()["issue"][0])
    await untouched(house, path)


async def test_the_refusal_as_an_oracle_of_what_is_not_shown(house: House, fresh: Fresh, herself: Caller) -> None:
    name, absent = fresh("early"), fresh("absent")
    path = await stored(house, observation(name, "ann", status="preliminary", performer=DOCTOR))
    for method, body in (("PUT", True), ("PATCH", False), ("DELETE", False)):
        told = [
            await herself.ask(
                method, f"Observation/{one}", observation(one, "ann", performer=ANN) if body else AMENDED if method == "PATCH" else None
            )
            for one in (name, absent)
        ]  # fmt: skip
        assert told[0].status_code == told[1].status_code == (204 if method == "DELETE" else 404)
        assert told[0].text.replace(name, absent) == told[1].text
    await untouched(house, path)


async def test_overwriting_the_content_of_a_clinician_s_document(house: House, fresh: Fresh, herself: Caller) -> None:
    def content(context: str) -> Json:
        return {
            "resourceType": "Binary",
            "contentType": "text/plain",
            "data": "YQ==",
            "securityContext": {"reference": context},
        }

    def document(author: list[Json]) -> Json:
        return {"resourceType": "DocumentReference", "status": "current", "subject": ANN[0], "author": author,
                "content": [{"attachment": {"contentType": "text/plain"}}]}  # fmt: skip

    theirs = await stored(house, {**document(DOCTOR), "id": fresh("letter")})
    binary = await stored(house, {**content(theirs), "id": fresh("content")})
    for answer in (
        await herself.put({**content(theirs), "id": binary.partition("/")[2]}),
        await herself.put({**content("Patient/ann"), "id": binary.partition("/")[2]}),
        await herself.ask("DELETE", binary),
        await herself.post(content(theirs)),
    ):
        assert answer.status_code == 403, answer.text
        assert refused(answer.json()["issue"][0])
    await untouched(house, binary)
    made = await herself.post(document(ANN))
    assert (await herself.post(content(f"DocumentReference/{made.json()['id']}"))).status_code == 201


async def test_staff_in_the_chart_write_as_before(house: House, fresh: Fresh) -> None:
    app = await house.as_("patient/*.cruds", user=STAFF, patient="ann")
    name, _ = await result(house, fresh)
    assert (await app.put(observation(name, "ann", status="amended", performer=DOCTOR))).status_code == 200


async def test_what_patients_manage_themselves_stays_theirs(herself: Caller) -> None:
    answer = await herself.post(
        {"resourceType": "QuestionnaireResponse", "status": "completed", "subject": ANN[0], "author": ANN[0]}
    )
    assert answer.status_code == 201
    told = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": ANN[0],
        "sender": ANN[0],
        "recipient": DOCTOR,
    }
    assert (await herself.post(told)).status_code == 201
