"""What a clinician holds back is not there for the patient, with all that belongs to it, by whatever way it is asked for."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.access.house import STAFF, Caller, House, Json, observation
from tests.access.record import code, reference

Fresh = Callable[[str], str]

LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOPAT"}
HOLD: Json = {"meta": {"security": [LABEL]}}


def report(name: str, *results: str, **more: Any) -> Json:
    return {
        "resourceType": "DiagnosticReport",
        "id": name,
        "status": "final",
        "code": code("panel"),
        "subject": reference("Patient/ann"),
        **({"result": [reference(f"Observation/{one}") for one in results]} if results else {}),
        **more,
    }


def order(name: str, **more: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "subject": reference("Patient/ann"),
        **more,
    }


async def people(house: House) -> tuple[Caller, Caller]:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    return doctor, await house.as_("patient/*.cruds", patient="ann")


async def put(doctor: Caller, *resources: Json) -> None:
    for one in resources:
        answer = await doctor.put(one)
        assert answer.status_code in {200, 201}, answer.text


async def sees(ann: Caller, *paths: str) -> list[bool]:
    return [await ann.status(path) == 200 for path in paths]


async def test_a_held_report_holds_its_results_and_lets_go_of_them_without_new_versions(
    house: House, fresh: Fresh
) -> None:
    doctor, ann = await people(house)
    one, two, name = fresh("o"), fresh("o"), fresh("r")
    await put(doctor, observation(one, "ann"), observation(one, "ann", status="amended"), observation(two, "ann"))
    await put(doctor, report(name, one))
    paths = [f"DiagnosticReport/{name}", f"Observation/{one}", f"Observation/{one}/_history/1", f"Observation/{two}"]
    assert await sees(ann, *paths) == [True, True, True, True]
    await put(doctor, report(name, one, **HOLD))
    assert await sees(ann, *paths) == [False, False, False, True]
    assert await sees(ann, f"DiagnosticReport/{name}/_history/1", f"DiagnosticReport/{name}/_history") == [False, False]
    assert (await doctor.get(f"Observation/{one}")).headers["etag"] == 'W/"2"'
    await put(doctor, report(name, two, **HOLD))
    assert await sees(ann, *paths) == [False, True, True, False], "another list of results holds others"
    await put(doctor, report(name, one, two))
    assert await sees(ann, *paths) == [True, True, True, True]
    assert not (await sees(ann, f"DiagnosticReport/{name}/_history/2"))[0], "what was held then stays so in the past"
    assert (await doctor.get(f"Observation/{one}")).headers["etag"] == 'W/"2"'


async def test_a_result_of_two_reports_is_visible_when_neither_is_held(house: House, fresh: Fresh) -> None:
    doctor, ann = await people(house)
    one, first, second = fresh("o"), fresh("r"), fresh("r")
    await put(doctor, observation(one, "ann"), report(first, one, **HOLD), report(second, one, **HOLD))
    path = f"Observation/{one}"
    assert await sees(ann, path) == [False]
    await put(doctor, report(first, one))
    assert await sees(ann, path) == [False]
    assert (await doctor.ask("DELETE", f"DiagnosticReport/{second}")).status_code == 204
    assert await sees(ann, path) == [True]


async def test_members_of_members_and_what_tells_of_them_are_held(house: House, fresh: Fresh) -> None:
    doctor, ann = await people(house)
    leaf, panel, name, tale, file = (fresh(kind) for kind in ("leaf", "panel", "r", "prov", "file"))
    await put(
        doctor,
        observation(leaf, "ann"),
        observation(panel, "ann", hasMember=[reference(f"Observation/{leaf}")]),
        {"resourceType": "Binary", "id": file, "contentType": "text/plain", "data": "YQ==", "securityContext": reference("Patient/ann")},
        report(name, panel, presentedForm=[{"url": f"Binary/{file}"}]),
        {
            "resourceType": "Provenance", "id": tale, "recorded": "2026-01-01T00:00:00Z",
            "target": [reference(f"Observation/{leaf}"), reference("Patient/ann")],
            "agent": [{"who": reference("Practitioner/pat")}],
        },
    )  # fmt: skip
    paths = [f"Observation/{leaf}", f"Observation/{panel}", f"Binary/{file}", f"Provenance/{tale}"]
    assert await sees(ann, *paths) == [True] * 4
    await put(doctor, report(name, panel, presentedForm=[{"url": f"Binary/{file}"}], **HOLD))
    assert await sees(ann, *paths) == [False] * 4
    await put(doctor, report(name, panel, presentedForm=[{"url": f"Binary/{file}"}]))
    assert await sees(ann, *paths) == [True] * 4


async def test_what_is_filed_for_a_held_order_is_born_held(house: House, fresh: Fresh) -> None:
    doctor, ann = await people(house)
    wish, one, name, bundled = (fresh(kind) for kind in ("sr", "o", "r", "b"))
    await put(doctor, order(wish, **HOLD))
    based: Json = {"basedOn": [reference(f"ServiceRequest/{wish}")]}
    await put(doctor, observation(one, "ann", **based))
    assert await sees(ann, f"Observation/{one}") == [False]
    rows = [observation(bundled, "ann"), report(name, bundled, **based)]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in rows
        ],
    }
    answer = await doctor.ask("POST", "", bundle)
    assert answer.status_code == 200, answer.text
    assert await sees(ann, f"Observation/{bundled}", f"DiagnosticReport/{name}") == [False, False]
    await put(doctor, observation(one, "ann", status="amended", **based))
    assert await sees(ann, f"Observation/{one}", f"Observation/{one}/_history/1") == [False, False]
    await put(doctor, order(wish))
    paths = [
        f"Observation/{one}",
        f"Observation/{one}/_history/1",
        f"Observation/{bundled}",
        f"DiagnosticReport/{name}",
    ]
    assert await sees(ann, *paths) == [True] * 4


async def test_racing_a_hold_on_an_order_leaves_nothing_visible(house: House, fresh: Fresh) -> None:
    """Whoever files a result looks whether its order is held; whoever holds the order looks for its results."""
    doctor, ann = await people(house)
    for _ in range(8):
        wish, names = fresh("sr"), [fresh("race") for _ in range(6)]
        await put(doctor, order(wish))
        based: Json = {"basedOn": [reference(f"ServiceRequest/{wish}")]}
        filed = [doctor.put(observation(name, "ann", **based)) for name in names]
        answers = await asyncio.gather(*filed[:3], doctor.put(order(wish, **HOLD)), *filed[3:])
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert await sees(ann, *(f"Observation/{name}" for name in names)) == [False] * len(names)


async def test_racing_a_correction_of_a_result_against_the_hold_of_its_report(house: House, fresh: Fresh) -> None:
    doctor, ann = await people(house)
    for _ in range(8):
        one, name = fresh("o"), fresh("r")
        await put(doctor, observation(one, "ann"), report(name, one))
        answers = await asyncio.gather(
            doctor.put(observation(one, "ann", status="amended")),
            doctor.put(report(name, one, **HOLD)),
            doctor.put(observation(one, "ann", status="corrected")),
        )
        assert {answer.status_code for answer in answers} == {200}
        past = [f"Observation/{one}/_history/{vid}" for vid in (1, 2, 3)]
        assert await sees(ann, f"Observation/{one}", *past) == [False] * 4
        await asyncio.gather(doctor.put(report(name, one)), doctor.put(observation(one, "ann", status="amended")))
        assert await sees(ann, f"Observation/{one}", *past) == [True] * 4


async def test_racing_two_holds_of_one_result_and_the_end_of_one(house: House, fresh: Fresh) -> None:
    doctor, ann = await people(house)
    for _ in range(6):
        one, first, second = fresh("o"), fresh("r"), fresh("r")
        await put(doctor, observation(one, "ann"), report(first, one, **HOLD), report(second, one))
        await asyncio.gather(doctor.put(report(first, one)), doctor.put(report(second, one, **HOLD)))
        assert await sees(ann, f"Observation/{one}") == [False]
        await asyncio.gather(doctor.put(report(first, one, **HOLD)), doctor.put(report(second, one)))
        assert await sees(ann, f"Observation/{one}") == [False]
        await put(doctor, report(first, one))
        assert await sees(ann, f"Observation/{one}") == [True]


async def probe(house: House, fresh: Fresh) -> dict[str, str]:
    doctor, _ = await people(house)
    names = {kind: fresh(kind) for kind in ("obs", "rep", "tale")}
    await put(
        doctor,
        observation(names["obs"], "ann", valueString=f"secret-{names['obs']}"),
        report(names["rep"], names["obs"], **HOLD),
        {
            "resourceType": "Provenance", "id": names["tale"], "recorded": "2026-01-01T00:00:00Z",
            "target": [reference(f"Observation/{names['obs']}")], "agent": [{"who": reference("Practitioner/pat")}],
        },
    )  # fmt: skip
    return names


@pytest.mark.parametrize(
    "path",
    [
        "Observation?_id={obs}",
        "Observation?_id={obs}&_summary=count",
        "Observation?value-string=secret-{obs}&_total=accurate",
        "Observation?patient=ann&_id={obs}&_total=accurate&_count=0",
        "DiagnosticReport?_id={rep}&_include=DiagnosticReport:result",
        "DiagnosticReport?result=Observation/{obs}",
        "DiagnosticReport?result:Observation._id={obs}",
        "Observation?_has:DiagnosticReport:result:_id={rep}",
        "Patient?_id=ann&_has:Observation:patient:_id={obs}",
        "Provenance?target=Observation/{obs}",
        "Provenance?_id={tale}",
        "Patient/ann/Observation?_id={obs}",
        "Patient/ann/*?_id={obs}",
        "?_type=Observation,DiagnosticReport&_id={obs},{rep}",
        "Observation?_filter=_id eq {obs}",
    ],
)
async def test_probing_for_what_is_held_finds_nothing(house: House, fresh: Fresh, path: str) -> None:
    names = await probe(house, fresh)
    doctor, ann = await people(house)
    there = (await doctor.get(path.format(**names))).json()
    answer = await ann.get(path.format(**names))
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert "entry" not in bundle, "the only match is held"
    assert bundle.get("total", 0) == 0
    assert there.get("entry") or there.get("total"), "staff find it, so the probe asks for it"


async def test_everything_that_includes_leaves_out_what_is_held(house: House, fresh: Fresh) -> None:
    names = await probe(house, fresh)
    _, ann = await people(house)
    for path in (
        "Patient?_id=ann&_revinclude=Observation:subject&_revinclude=DiagnosticReport:subject",
        "Patient?_id=ann&_revinclude=Provenance:target&_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
        "Observation/_history?_count=1000",
        "_history?_count=1000",
        "Patient/ann/*?_count=1000",
    ):
        answer = await ann.get(path)
        assert answer.status_code == 200, answer.text
        assert not [name for name in names.values() if name in answer.text], path
    for kind, name in (("Observation", "obs"), ("DiagnosticReport", "rep"), ("Provenance", "tale")):
        for tail in ("", "/_history", "/_history/1"):
            assert await ann.status(f"{kind}/{names[name]}{tail}") == 404


async def test_conditions_of_writes_tell_nothing_of_what_is_held(workshop: House, fresh: Fresh) -> None:
    names = await probe(workshop, fresh)
    _, ann = await people(workshop)
    hidden, nothing = f"_id={names['obs']}", f"_id={fresh('none')}"
    own = observation(fresh("x"), "ann", "vital-signs", performer=[reference("Patient/ann")])
    body = {name: value for name, value in own.items() if name != "id"}
    sent: list[tuple[str, Json | list[Json] | None]] = [("PUT", body), ("DELETE", None), ("PATCH", []), ("POST", body)]
    for method, content in sent:
        answers = []
        for query in (hidden, nothing):
            path = "Observation" if method == "POST" else f"Observation?{query}"
            headers = {"If-None-Exist": query} if method == "POST" else {}
            answers.append(await ann.ask(method, path, content, headers))
        held, absent = answers
        assert held.status_code == absent.status_code, method
        assert names["obs"] not in held.text.replace(hidden, ""), method


@pytest.mark.parametrize(
    "kind",
    [
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": reference("Patient/ann"),
        },
        {"resourceType": "Condition", "subject": reference("Patient/ann")},
    ],
    ids=lambda one: one["resourceType"],
)
async def test_a_hold_of_what_brings_nothing_along(house: House, fresh: Fresh, kind: Json) -> None:
    doctor, ann = await people(house)
    one = {**kind, "id": fresh("alone")}
    path = f"{one['resourceType']}/{one['id']}"
    await put(doctor, {**one, **HOLD})
    assert await sees(ann, path) == [False]
    await put(doctor, one)
    assert await sees(ann, path) == [True]
