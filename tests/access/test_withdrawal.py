"""What patients could see and the care team withdraws does not silently vanish: a read says that it is withdrawn, and no more."""

from collections.abc import Callable

import pytest

from fhir_server.access import withdrawal
from fhir_server.search import gates
from profiles.validate.validator import Validator
from tests.access.house import Caller, House, Json, observation
from tests.access.record import resource
from tests.access.test_holds import HOLD, put

Fresh = Callable[[str], str]

SECRET = "4711"
VALUE: Json = {"valueString": SECRET, "note": [{"text": SECRET}], "identifier": [{"system": "urn:x", "value": SECRET}]}
WRONG: Json = {**VALUE, "status": "entered-in-error", "code": {"text": SECRET}}


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
async def test_a_result_that_could_be_seen_is_read_as_withdrawn_without_its_content(
    house: House, fresh: Fresh, doctor: Caller, ann: Caller, status: str
) -> None:
    name = fresh("withdrawn")
    path = f"Observation/{name}"
    await put(doctor, observation(name, "ann", valueString="7"))
    await put(doctor, observation(name, "ann", **{**WRONG, "status": status}))
    theirs = await doctor.get(path)
    for asked in (path, f"{path}/_history/2"):
        shown = await ann.get(asked)
        assert (shown.status_code, shown.headers["etag"]) == (200, theirs.headers["etag"])
        assert SECRET not in shown.text
        told = shown.json()
        assert (told["id"], told["status"], told["meta"]["versionId"]) == (name, status, "2")
        assert "Withdrawn by the care team on 20" in told["text"]["div"]
        assert told.keys() == {"resourceType", "id", "meta", "text", "status", "subject", "code"}
        assert Validator(house.service.definitions.own).check(told, "Observation") == []
    assert SECRET in theirs.text, "staff read what it was"
    asked = (await doctor.get(f"{path}/$patient-view-status")).json()["parameter"]
    assert {"name": "visible", "valueBoolean": False} in asked
    assert {"name": "withdrawn", "valueBoolean": True} in asked
    bo = await house.as_("patient/*.rs", patient="bo")
    assert await bo.status(path) == 404


async def test_what_is_withdrawn_cannot_be_searched_for(fresh: Fresh, doctor: Caller, ann: Caller) -> None:
    name = fresh("sought")
    await put(doctor, observation(name, "ann"), observation(name, "ann", **WRONG))
    for search in (
        f"Observation?_id={name}",
        f"Observation?_id={name}&value-string={SECRET}",
        f"Observation?_id={name}&status=entered-in-error",
        f"Observation?_id={name}&_sort=-_lastUpdated",
        f"Patient/ann/Observation?_id={name}",
        f"Patient?_id=ann&_has:Observation:patient:_id={name}",
    ):
        assert await ann.found(search) == [], search
    assert await ann.versions(f"Observation/{name}/_history") == [f"Observation/{name}/1"]


@pytest.mark.parametrize(
    "before",
    [[{"status": "preliminary"}], [{**HOLD}], [{"status": "registered"}, {"status": "preliminary"}], []],
    ids=["preliminary", "held", "never final", "new"],
)
async def test_probing_for_what_was_never_shown_finds_nothing(
    fresh: Fresh, doctor: Caller, ann: Caller, before: list[Json]
) -> None:
    name, absent = fresh("never"), fresh("absent")
    await put(doctor, *(observation(name, "ann", **one) for one in before), observation(name, "ann", **WRONG))
    for suffix in ("", "/_history/1", f"/_history/{len(before) + 1}", "/_history"):
        hidden, nothing = await ann.get(f"Observation/{name}{suffix}"), await ann.get(f"Observation/{absent}{suffix}")
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace(name, absent) == nothing.text


async def test_withdrawn_stays_so_until_it_is_opened_and_a_hold_hides_that_too(
    fresh: Fresh, doctor: Caller, ann: Caller
) -> None:
    name = fresh("stays")
    path = f"Observation/{name}"
    await put(doctor, observation(name, "ann"), observation(name, "ann", **WRONG), observation(name, "ann", **WRONG))
    assert (await ann.get(path)).json()["meta"]["versionId"] == "3"
    await put(doctor, observation(name, "ann", **{**WRONG, **HOLD}))
    assert await ann.status(path) == 404
    await put(doctor, observation(name, "ann", status="corrected", valueString="8"))
    assert (await ann.get(path)).json()["valueString"] == "8"


async def test_a_corrected_result_shows_its_history_as_far_as_the_gates_are_open(
    fresh: Fresh, doctor: Caller, ann: Caller
) -> None:
    name = fresh("corrected")
    for status in ("preliminary", "final", "corrected"):
        await put(doctor, observation(name, "ann", status=status, valueString=status))
    path = f"Observation/{name}"
    assert (await ann.get(path)).json()["valueString"] == "corrected"
    assert await ann.versions(f"{path}/_history") == [f"{path}/3", f"{path}/2"]
    assert (await ann.get(f"{path}/_history/2")).json()["valueString"] == "final"
    assert await ann.status(f"{path}/_history/1") == 404


def test_what_is_shown_of_every_type_is_valid_and_holds_nothing_that_it_need_not(house: House) -> None:
    definitions = house.service.definitions.own
    validator = Validator(definitions)
    meta = {"versionId": "2", "lastUpdated": "2026-01-02T03:04:05.678Z", "security": [{"code": SECRET}]}
    for kind in sorted(gates.STATUSES):
        element, words = gates.STATUSES[kind]
        code = next((word for word, gate in words.items() if gate == "cancelled"), "entered-in-error")
        stands = definitions.types[kind].elements.get(element)
        if stands is None or code not in words:
            continue  # it cannot be withdrawn
        if stands.type == "code":
            stated: object = code
        else:
            systems = {"AllergyIntolerance": "allergyintolerance-verification", "Condition": "condition-ver-status"}
            system = f"http://terminology.hl7.org/CodeSystem/{systems[kind]}"
            stated = {"coding": [{"system": system, "code": code, "display": SECRET}], "text": SECRET}
        whole = resource(kind, "x", meta=meta, contained=[{"id": SECRET}], **{element: stated})
        shown = withdrawal.shown(whole, definitions)
        assert SECRET not in str(shown)
        errors = [one for one in validator.check(shown, kind) if one.severity in {"error", "fatal"}]
        assert not errors, (kind, [(one.expression, one.text) for one in errors], shown)
