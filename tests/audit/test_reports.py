"""$access-report and $accounting-of-disclosures: the trail in plain words."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fhir_server.audit.render import event
from fhir_server.audit.sentences import told
from fhir_server.model import ids
from tests.access.house import STAFF, Caller, House, observation, said
from tests.audit.rows import OBSERVER, OTHERS, ROWS
from tests.audit.trail import left

Fresh = Callable[[str], str]
Json = dict[str, Any]


async def parts(caller: Caller, path: str, name: str) -> list[Json]:
    """Return the parts of a report as dictionaries."""
    answer = await caller.get(path)
    assert answer.status_code == 200, answer.text
    found = []
    for row in answer.json()["parameter"]:
        if row["name"] == name:
            values = [
                (part["name"], next(value for key, value in part.items() if key != "name")) for part in row["part"]
            ]
            found.append(dict(values))
    return found


async def keep(house: House, **fields: Any) -> str:
    """Store a row as the server would have left it; return its id."""
    row = {
        "_id": ids.new(),
        "t": house.service.store.clock.now(),
        "k": "read",
        "a": "R",
        "oc": "0",
        "st": 200,
        "rt": "Observation",
        "m": "GET",
        "ip": "10.0.0.1",
        **fields,
    }
    await house.service.store.trail.add(row)
    return str(row["_id"])


async def test_a_patient_reads_who_looked_in_plain_sentences(house: House, fresh: Fresh) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    ann = await house.as_("patient/*.rs", patient="ann")
    name = fresh("report")
    await doctor.put(observation(name, "ann"))
    await doctor.get(f"Observation/{name}")
    await ann.get(f"Observation/{name}")

    own, seen, added, *_ = await parts(ann, "Patient/ann/$access-report", "access")

    assert own["sentence"] == f"You looked at observation {name}."
    assert own["own"] is True
    assert (
        seen["sentence"] == f"A member of staff of Root of this deployment looked at observation {name}, for treatment."
    )
    assert (seen["own"], seen["emergency"]) == (False, False)
    assert seen["purpose"]["code"] == "TREAT"
    assert added["what"] == f"changed observation {name}"
    assert (await ann.get(seen["event"]["reference"])).status_code == 200


async def test_broken_glass_is_flagged(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    row = await keep(house, au="staff", u=STAFF, p="ann", pu="BTG", e=["Observation/ann-lab/_history/1"])

    (look,) = [
        one
        for one in await parts(ann, "Patient/ann/$access-report", "access")
        if one["event"]["reference"] == f"AuditEvent/{row}"
    ]

    assert look["emergency"] is True
    assert look["sentence"].endswith("in an emergency, by breaking the glass.")


async def test_a_report_comes_in_pages(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    for _ in range(3):
        await ann.get("Observation/ann-lab")
    whole = [one["event"] for one in await parts(ann, "Patient/ann/$access-report?count=6", "access")]

    paged: list[Json] = []
    before = ""
    while len(paged) < 6:
        path = f"Patient/ann/$access-report?count=2{before}"
        answer = (await ann.get(path)).json()
        paged += [
            part["valueReference"]
            for row in answer["parameter"]
            if row["name"] == "access"
            for part in row["part"]
            if part["name"] == "event"
        ]
        before = f"&before={answer['parameter'][-1]['valueId']}"

    assert paged == whole


async def test_a_report_is_of_a_stretch_of_time(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    await ann.get("Observation/ann-lab")

    assert await parts(ann, "Patient/ann/$access-report?start=2999", "access") == []
    assert await parts(ann, "Patient/ann/$access-report?end=1999", "access") == []
    assert await parts(ann, "Patient/ann/$access-report?start=2020&end=2999-01-01", "access")


async def test_the_report_of_another_is_not_there(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")

    for operation in ("$access-report", "$accounting-of-disclosures"):
        answer = await ann.get(f"Patient/bo/{operation}")
        assert answer.status_code == 404
        assert answer.text.replace("bo", "nobody") == (await ann.get(f"Patient/nobody/{operation}")).text


@pytest.mark.parametrize("operation", ["$access-report", "$accounting-of-disclosures"])
async def test_staff_without_the_duty_have_no_reports(house: House, operation: str) -> None:
    doctor = await house.as_("user/*.cruds", user=STAFF)
    narrow = await house.as_("patient/Patient.r", patient="ann")

    assert await doctor.status(f"Patient/ann/{operation}") == 403
    assert await narrow.status(f"Patient/ann/{operation}") == 403


async def test_reading_the_report_is_in_the_trail_and_not_in_the_report(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    _, rows = await left(house, ann, "GET", "Patient/ann/$access-report")

    assert [(row["k"], row["p"]) for row in rows] == [("$access-report", "ann")]
    shown = await parts(ann, "Patient/ann/$access-report", "access")
    assert f"AuditEvent/{rows[0]['_id']}" not in {one["event"]["reference"] for one in shown}


async def test_AU_5_the_account_has_what_went_out_and_nothing_for_care(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    of_ann = {"p": "ann", "e": ["Observation/ann-lab/_history/1"]}
    counted = {
        "public health": await keep(house, au="system", c="registry", pu="PUBHLTH", **of_ann),
        "without a purpose": await keep(house, au="system", c="registry", **of_ann),
        "recorded": await keep(house, au="staff", u=STAFF, k="disclosure", pu="HLEGAL", **of_ann),
    }
    others = [
        await keep(house, au="system", c="lab", pu="TREAT", **of_ann),
        await keep(house, au="system", c="payer", pu="HPAYMT", **of_ann),
        await keep(house, au="staff", u=STAFF, pu="TREAT", **of_ann),
        await keep(house, au="patient", u="u-ann", pu="PATRQT", **of_ann),
        await keep(house, au="system", c="registry", pu="PUBHLTH", k="create", a="C", **of_ann),
        await keep(house, au="system", c="registry", pu="PUBHLTH", **{**of_ann, "p": "bo"}),
        await keep(house, au="system", c="registry", pu="PUBHLTH", **of_ann, oc="4"),
    ]

    found = await parts(ann, "Patient/ann/$accounting-of-disclosures?count=500", "disclosure")

    shown = {one["event"]["reference"].partition("/")[2]: one for one in found}
    assert set(counted.values()) <= set(shown)
    assert not set(others) & set(shown)
    public = shown[counted["public health"]]
    assert public["recipient"] == "The app registry"
    assert public["what"] == "looked at observation ann-lab"
    assert public["purpose"]["code"] == "PUBHLTH"


async def test_AU_5_the_account_goes_back_six_years(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    now = house.service.store.clock.now()
    old = now - timedelta(days=7 * 366)
    row = await keep(house, au="system", c="registry", p="ann", t=old, _id=_id_of(old))

    shown = await parts(ann, "Patient/ann/$accounting-of-disclosures?count=500", "disclosure")

    assert f"AuditEvent/{row}" not in {one["event"]["reference"] for one in shown}
    answer = await ann.get("Patient/ann/$accounting-of-disclosures?start=1999")
    assert answer.status_code == 400
    assert "6 years" in said(answer)


@pytest.mark.parametrize("query", ["start=yesterday", "count=0", "before=a%20b", "colour=red", "start=2020&start=2021"])
async def test_what_a_report_cannot_be_asked_is_refused(house: House, query: str) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")

    for operation in ("$access-report", "$accounting-of-disclosures"):
        assert await ann.status(f"Patient/ann/{operation}?{query}") == 400


def _id_of(moment: datetime) -> str:
    text = f"{int(moment.timestamp() * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7{ids.new()[15:]}"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("search", "Somebody with the account u-doc of Organization/north searched observation, for treatment."),
        ("delete", "Somebody with the account u-doc of Organization/north deleted observation heart, for treatment."),
        ("everything", "Somebody with the account u-doc of Organization/north asked for $everything of the record, for treatment."),
        ("read by an app alone", "The app app of Organization/north looked at observation heart, for treatment."),
        ("not found", "Somebody with the account u-doc of Organization/north looked at observation heart, for treatment. That was refused or failed."),
        ("token", "Somebody with the account u-doc asked for access to the record, for treatment."),
    ],
)  # fmt: skip
def test_every_kind_has_a_sentence(name: str, sentence: str) -> None:
    assert told(event({**ROWS, **OTHERS}[name], OBSERVER), "").sentence == sentence
