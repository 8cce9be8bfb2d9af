"""AI-1: what a reasoning service may write, by every verb and way, and that its advice stays advice (product.md 12)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio

from fhir_server.access.advice import DENIED, KEPT, MARK, MATRIX, TAG
from fhir_server.capability.table import OFFERED
from fhir_server.model.query import ANYTHING
from fhir_server.search.expression import Disclosed
from fhir_server.search.match import matches
from profiles.definitions.registry import load
from smart_auth import tokens
from tests.access.house import Caller, House, Json, observation, said
from tests.access.record import reference

Maker = Callable[[str], str]

TYPES = sorted(load().resource_types)
ME = reference("Patient/ann")

ADVICE: dict[str, Json] = {
    "CarePlan": {"subject": ME, "intent": "proposal", "status": "draft"},
    "DetectedIssue": {"patient": ME, "status": "preliminary"},
    "GuidanceResponse": {"subject": ME, "status": "success", "moduleUri": "https://example.org/news2"},
    "MedicationRequest": {
        "subject": ME, "intent": "proposal", "status": "draft", "medicationReference": reference("Medication/pill"),
    },
    "RequestGroup": {"subject": ME, "intent": "proposal", "status": "draft"},
    "RiskAssessment": {"subject": ME, "status": "preliminary"},
    "ServiceRequest": {"subject": ME, "intent": "proposal", "status": "draft"},
    "Task": {"for": ME, "intent": "proposal", "status": "draft"},
}  # fmt: skip

ACTS = [
    ("CarePlan", {"intent": "plan"}),
    ("CarePlan", {"status": "active"}),
    ("DetectedIssue", {"status": "final"}),
    ("MedicationRequest", {"intent": "order"}),
    ("MedicationRequest", {"status": "active"}),
    ("RequestGroup", {"intent": "order", "status": "active"}),
    ("RiskAssessment", {"status": "final"}),
    ("ServiceRequest", {"intent": "order"}),
    ("ServiceRequest", {"status": "active"}),
    ("Task", {"status": "requested"}),
    ("Task", {"intent": "order"}),
]

# Verb: method, whether an instance is named, query, headers or members of an entry's request.
VERBS: dict[str, tuple[str, bool, str, dict[str, str]]] = {
    "create": ("POST", False, "", {}),
    "conditional create": ("POST", False, "", {"ifNoneExist": "_id=nobody"}),
    "update": ("PUT", True, "", {}),
    "update if match": ("PUT", True, "", {"ifMatch": 'W/"1"'}),
    "conditional update": ("PUT", False, "?_id=nobody", {}),
    "patch": ("PATCH", True, "", {}),
    "conditional patch": ("PATCH", False, "?_id=nobody", {}),
    "delete": ("DELETE", True, "", {}),
    "conditional delete": ("DELETE", False, "?_id=nobody", {}),
}
HEADERS = {"ifNoneExist": "If-None-Exist", "ifMatch": "If-Match"}
PATCH = [{"op": "add", "path": "/language", "value": "en"}]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def advisor(house: House) -> Caller:
    return await house.registered("system/*.cruds", advisory=True)


def advice(resource_type: str, **more: Any) -> Json:
    return {"resourceType": resource_type, **ADVICE[resource_type], **more}


def body(verb: str, resource_type: str) -> Any:
    method, named, _, _ = VERBS[verb]
    if method == "DELETE":
        return None
    if method == "PATCH":
        return PATCH
    resource = advice(resource_type) if resource_type in ADVICE else {"resourceType": resource_type}
    return resource | ({"id": "some"} if named else {})


def entry(verb: str, resource_type: str) -> Json:
    method, named, query, more = VERBS[verb]
    content = body(verb, resource_type)
    request = {"method": method, "url": f"{resource_type}{'/some' if named else ''}{query}", **more}
    if method == "PATCH":
        content = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    return {"request": request, **({"resource": content} if content else {})}


def allowed(verb: str, resource_type: str) -> bool:
    return "create" in verb and resource_type in MATRIX


def assert_denied(answer: httpx.Response) -> None:
    assert answer.status_code == 403, (answer.request.url, answer.text)
    assert denial(answer.json()), answer.text


def denial(outcome: Json) -> bool:
    return any(one.get("valueString") == DENIED for issue in outcome["issue"] for one in issue.get("extension", ()))


@pytest.mark.parametrize("verb", VERBS)
async def test_AI_1_only_advice_is_created_by_single_requests(advisor: Caller, verb: str) -> None:
    method, named, query, more = VERBS[verb]
    headers = {HEADERS[name]: value for name, value in more.items()}
    for resource_type in TYPES:
        path = f"{resource_type}{'/some' if named else ''}{query}"
        answer = await advisor.ask(method, path, body(verb, resource_type), headers)
        if allowed(verb, resource_type):
            assert answer.status_code == 201, answer.text
        else:
            assert_denied(answer)


@pytest.mark.parametrize("verb", VERBS)
async def test_AI_1_only_advice_is_created_by_batches(advisor: Caller, verb: str) -> None:
    rows = [entry(verb, resource_type) for resource_type in TYPES]
    answer = await advisor.ask("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": rows})
    assert answer.status_code == 200, answer.text
    for resource_type, row in zip(TYPES, answer.json()["entry"], strict=True):
        response = row["response"]
        if allowed(verb, resource_type):
            assert response["status"].startswith("201"), row
        else:
            assert response["status"].startswith("403"), (resource_type, row)
            assert denial(response["outcome"]), row


@pytest.mark.parametrize("verb", VERBS)
async def test_AI_1_one_act_among_advice_refuses_the_transaction(advisor: Caller, verb: str) -> None:
    for resource_type in TYPES:
        good = {"request": {"method": "POST", "url": "Task"}, "resource": advice("Task")}
        rows = [good, entry(verb, resource_type)]
        answer = await advisor.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": rows})
        if allowed(verb, resource_type):
            assert answer.status_code == 200, answer.text
            assert all(row["response"]["status"].startswith("201") for row in answer.json()["entry"])
        else:
            assert_denied(answer)


async def test_AI_1_a_refused_transaction_stores_nothing(advisor: Caller, fresh: Maker) -> None:
    note = fresh("note")
    rows = [
        {"request": {"method": "POST", "url": "Task"}, "resource": advice("Task", identifier=[{"value": note}])},
        {"request": {"method": "POST", "url": "Task"}, "resource": advice("Task", status="requested")},
    ]
    answer = await advisor.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": rows})
    assert_denied(answer)
    assert await advisor.found(f"Task?identifier={note}") == []


@pytest.mark.parametrize(("resource_type", "act"), ACTS)
async def test_AI_1_an_act_is_no_advice(advisor: Caller, resource_type: str, act: Json) -> None:
    act_of = advice(resource_type, **act)
    assert_denied(await advisor.post(act_of))
    for kind in ("batch", "transaction"):
        rows = [{"request": {"method": "POST", "url": resource_type}, "resource": act_of}]
        answer = await advisor.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": rows})
        if kind == "transaction":
            assert_denied(answer)
        else:
            assert answer.json()["entry"][0]["response"]["status"].startswith("403")
    assert_denied(await advisor.post(act_of, **{"If-None-Exist": "_id=nobody"}))


async def test_AI_1_operations_that_change_something_are_refused(advisor: Caller) -> None:
    changing = [row for row in OFFERED if row.operation and row.operation.definition.affects_state]
    assert len(changing) > 3
    for row in changing:
        shape = {"{type}": "Patient", "{id}": "ann"}
        path = "/".join(shape.get(part, part) for part in row.shape)
        for method in row.operation.methods if row.operation else ():
            assert_denied(await advisor.ask(method, path, {"resourceType": "Parameters"} if method == "POST" else None))


async def test_AI_1_an_advisor_reads_as_its_scopes_say(house: House) -> None:
    narrow = await house.registered("system/Observation.rs", advisory=True)
    assert await narrow.status("Observation/ann-lab") == 200
    assert await narrow.status("Condition/ann-condition") == 403
    assert (await narrow.post(advice("Task"))).status_code == 403


async def test_AI_1_a_wide_grant_is_reduced(house: House, advisor: Caller) -> None:
    realm = house.service.realm
    bearer = await tokens.find(realm, advisor.token)
    assert bearer is not None
    assert bearer.client is not None
    creating = [f"system/{name}.c" for name in sorted(MATRIX)]
    assert sorted(bearer.scopes.text.split()) == sorted(["system/*.rs", *creating])
    asked = realm.scopes("system/*.c system/Observation.u system/Task.cu system/Patient.rs")
    assert sorted(realm.permitted(asked, bearer.client).text.split()) == sorted([*creating, "system/Patient.rs"])


async def test_advice_is_marked_by_the_server_whatever_was_sent(advisor: Caller, house: House) -> None:
    sent = advice("GuidanceResponse", meta={"tag": [{"system": "urn:x", "code": "x"}]})
    made = (await advisor.post(sent)).json()
    assert made["meta"]["security"] == [dict(MARK)]
    assert made["meta"]["tag"] == [{"system": "urn:x", "code": "x"}, dict(TAG)]
    live = (await house.service.store.current("GuidanceResponse", [made["id"]], ANYTHING))[made["id"]]
    assert live.document["adv"] is True
    twice = (await advisor.post(advice("Task", meta={"security": [dict(MARK)], "tag": [dict(TAG)]}))).json()
    assert (len(twice["meta"]["security"]), len(twice["meta"]["tag"])) == (1, 1)


async def test_nobody_makes_advice_an_act_by_changing_it(advisor: Caller, house: House) -> None:
    human = await house.as_("system/*.cruds")
    made = (await advisor.post(advice("ServiceRequest"))).json()
    place = f"ServiceRequest/{made['id']}"
    attacks: list[tuple[str, Any]] = [
        ("PUT", {**made, "intent": "order"}),
        ("PUT", {**made, "status": "active"}),
        ("PUT", {**made, "meta": {"security": [dict(MARK)]}}),
        ("PUT", {key: value for key, value in made.items() if key != "meta"}),
        ("PATCH", [{"op": "replace", "path": "/intent", "value": "order"}]),
        ("PATCH", [{"op": "remove", "path": "/meta/security"}]),
        ("PATCH", [{"op": "replace", "path": "/meta/tag/0/code", "value": "x"}]),
    ]
    for method, content in attacks:
        answer = await human.ask(method, place, content)
        assert answer.status_code == 422, (method, content, answer.text)
        assert answer.json()["issue"][0]["extension"][0]["valueString"] == KEPT
    note = await human.ask("PATCH", place, [{"op": "add", "path": "/note", "value": [{"text": "seen"}]}])
    assert note.status_code == 200
    ended = await human.ask("PATCH", place, [{"op": "replace", "path": "/status", "value": "revoked"}])
    assert ended.status_code == 200
    live = (await house.service.store.current("ServiceRequest", [made["id"]], ANYTHING))[made["id"]]
    assert live.document["adv"] is True
    assert_denied(await advisor.ask("PATCH", place, [{"op": "remove", "path": "/note"}]))


async def test_what_a_human_writes_is_no_advice(house: House) -> None:
    human = await house.as_("system/*.cruds")
    made = (await human.post(advice("Task"))).json()
    assert "security" not in made["meta"]
    live = (await house.service.store.current("Task", [made["id"]], ANYTHING))[made["id"]]
    assert "adv" not in live.document


def test_advice_is_not_for_patients_to_see(house: House) -> None:
    disclosed = Disclosed(house.service.realm.clock())
    assert matches(disclosed, {"_id": "1"})
    assert not matches(disclosed, {"_id": "1", "adv": True})


async def test_a_registered_type_narrows_what_the_scope_says(house: House) -> None:
    narrow = await house.registered("system/*.cruds", types=("Observation", "Patient"), purpose="HRESCH")
    assert await narrow.status("Observation/ann-lab") == 200
    assert await narrow.status("Condition/ann-condition") == 403
    assert (await narrow.post(observation("x", "ann"))).status_code == 201
    assert "Condition" in said(await narrow.get("Condition/ann-condition"))


async def test_a_patient_finds_no_advice_by_any_way(advisor: Caller, house: House) -> None:
    made = (await advisor.post(advice("ServiceRequest"))).json()
    place = f"ServiceRequest/{made['id']}"
    human = await house.as_("system/*.cruds")
    act = advice("ServiceRequest", intent="order", status="active", basedOn=[reference(place)])
    await human.post({**act, "id": "x"})
    for scope, patient in (("patient/*.rs", "ann"), ("user/*.rs", "ann")):
        ann = await house.as_(scope, user="u-ann", patient=patient if scope.startswith("patient") else "")
        assert await ann.status(place) == 404
        assert await ann.status(f"{place}/_history/1") == 404
        assert place not in await ann.found("ServiceRequest?_count=100")
        assert place not in await ann.found("ServiceRequest?_include=ServiceRequest:based-on&_count=100")
        assert (await ann.get(f"ServiceRequest?_id={made['id']}&_summary=count")).json()["total"] == 0
