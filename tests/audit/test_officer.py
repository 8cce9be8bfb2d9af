"""Privacy officers: the trail of what their house does, and of what others do with the records that it keeps."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from smart_auth import sessions, shell
from smart_auth.records import User
from tests.access.house import House, observation, opened
from tests.access.record import resource
from tests.access.test_standings import facility, put, role
from tests.audit.trail import left, rows


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def town(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    """Two facilities, a patient of each, and a service that reads everything."""
    async with opened(data_dir) as house:
        for name in ("surgery", "hospital"):
            await put(house, "", facility(name))
            await put(house, name, resource("Patient", f"{name}-pat", name=[{"family": f"Pat of {name}"}]))
            await put(house, name, observation(f"{name}-lab", f"{name}-pat"))
        await put(house, "", resource("Practitioner", "gee", name=[{"family": "Gee", "prefix": ["Dr"]}]))
        own = {"practitioner": {"reference": "Practitioner/gee"}}
        await put(house, "surgery", role("gp", "surgery", "doctor", **own))
        await put(house, "surgery", role("desk", "surgery", "front-desk"))
        await put(house, "hospital", role("officer", "hospital", "privacy-officer"))
        await house.add_staff("u-gp", "gp")
        await house.add_staff("u-desk", "desk")
        await house.add_staff("u-officer", "officer")
        await house.add_patient("u-hospital-pat", "hospital-pat")
        yield house


async def test_an_officer_sees_what_others_do_with_the_records_of_the_house(town: House) -> None:
    officer = await town.as_("user/*.cruds", user="u-officer", role="officer")
    herself = await town.as_("patient/*.rs", patient="hospital-pat")
    registry = await town.as_("system/*.rs")
    for caller in (herself, registry):
        answer, (row,) = await left(town, caller, "GET", "Observation/hospital-lab")
        assert answer.status_code == 200
        assert row["cf"] == ["hospital"]

        assert await officer.status(f"AuditEvent/{row['_id']}") == 200
        assert f"AuditEvent/{row['_id']}" in await officer.found("AuditEvent?patient=hospital-pat")
        assert f"AuditEvent/{row['_id']}" in await officer.found("AuditEvent?_count=500")


async def test_an_officer_sees_nothing_of_what_goes_on_in_another_house(town: House) -> None:
    officer = await town.as_("user/*.cruds", user="u-officer", role="officer")
    gp = await town.as_("user/*.cruds", user="u-gp", role="gp")
    answer, (row,) = await left(town, gp, "GET", "Observation/surgery-lab")
    assert answer.status_code == 200
    assert "cf" not in row

    assert await officer.status(f"AuditEvent/{row['_id']}") == 404
    assert await officer.found("AuditEvent?patient=surgery-pat") == []
    assert await officer.found("AuditEvent?agent=PractitionerRole/gp&entity=Observation/surgery-lab") == []
    assert (await officer.get("AuditEvent?patient=surgery-pat&_summary=count")).json()["total"] == 0
    assert await officer.status("Patient/surgery-pat/$access-report") == 404


async def test_an_officer_reads_the_report_with_names(town: House) -> None:
    officer = await town.as_("user/*.cruds", user="u-officer", role="officer")
    await officer.get("Patient/hospital-pat")

    report = (await officer.get("Patient/hospital-pat/$access-report?count=1")).json()
    event = (await officer.get("AuditEvent?patient=hospital-pat&agent=PractitionerRole/officer&_count=1")).json()

    sentences = [part["valueString"] for part in report["parameter"][1]["part"] if part["name"] == "sentence"]
    assert sentences[0] == "You looked at patient hospital-pat, for treatment."
    agents = event["entry"][0]["resource"]["agent"]
    assert agents[3]["who"]["display"]
    (patient,) = [
        one
        for one in event["entry"][0]["resource"]["entity"]
        if one.get("what", {}).get("reference") == "Patient/hospital-pat"
    ]
    assert patient["what"]["display"] == "Pat of hospital"


@pytest.mark.parametrize("who", ["gp", "desk"])
async def test_other_work_does_not_bring_the_trail_with_it(town: House, who: str) -> None:
    caller = await town.as_("user/*.cruds", user=f"u-{who}", role=who)

    for path in ("AuditEvent", "AuditEvent?patient=surgery-pat", "Patient/surgery-pat/$access-report"):
        assert await caller.status(path) == 403, path


async def test_a_patient_is_told_of_the_work_and_not_of_the_name(town: House) -> None:
    gp = await town.as_("user/*.cruds", user="u-gp", role="gp")
    await town.add_patient("u-surgery-pat", "surgery-pat")
    herself = await town.as_("patient/*.rs", patient="surgery-pat")
    await left(town, gp, "GET", "Observation/surgery-lab")

    answer = await herself.get("AuditEvent?entity=Observation/surgery-lab&_count=1")

    agents = answer.json()["entry"][0]["resource"]["agent"]
    assert agents[2]["who"] == {"display": "doctor"}
    assert "Gee" not in answer.text
    assert "u-gp" not in answer.text
    assert "PractitionerRole/gp" not in answer.text
    for guess in ("agent=PractitionerRole/gp", "agent:identifier=u-gp", "_filter=agent eq PractitionerRole/gp"):
        assert await herself.found(f"AuditEvent?{guess}") == [], guess
    assert await herself.found("AuditEvent?agent=Organization/surgery")


async def test_an_officer_sees_how_the_staff_of_the_house_sign_in_and_out(town: House) -> None:
    realm = town.service.realm
    before = {row["_id"] for row in await rows(town, f="hospital")}
    for name in ("officer", "gp"):
        user = await realm.store.get(User, f"u-{name}")
        assert user
        _, session = await sessions.begin(realm, user, ("pwd",))
        await sessions.end(realm, session)
        await shell.token(realm, "user/Patient.r", user, role=f"PractitionerRole/{name}")
    new = [row for row in await rows(town, f="hospital") if row["_id"] not in before]
    assert [(row["k"], row["u"], row["w"]) for row in new] == [
        ("sign-out", "u-officer", "PractitionerRole/officer"),
        ("token-issued", "u-officer", "PractitionerRole/officer"),
    ]
    assert {row["k"] for row in await rows(town, f="surgery", u="u-gp")} >= {"sign-out", "token-issued"}
    officer = await town.as_("user/*.cruds", user="u-officer", role="officer")
    found = await officer.found("AuditEvent?_count=500")
    assert {f"AuditEvent/{row['_id']}" for row in new} <= {*found}
    for row in await rows(town, f="surgery", k="sign-out"):
        assert f"AuditEvent/{row['_id']}" not in found
