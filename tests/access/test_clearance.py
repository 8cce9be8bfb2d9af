"""Whoever is not cleared for a label finds no way to what bears it: attacks by staff of the same facility and of the network."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.labels import ACT_CODE, CONFIDENTIALITY, NOT_CLEARED
from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ROLE
from tests.access.house import Caller, House, Json, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import facility, put, role

HIV_TEST = {"coding": [{"system": "http://loinc.org", "code": "7917-8"}]}


def label(code: str, system: str = ACT_CODE) -> Json:
    return {"security": [{"system": system, "code": code}]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in (*map(facility, ("hospital", "near")), resource("Organization", "net", name="Net")):
            await put(house, "", one)
        for name, where, code in (
            ("med", "hospital", "doctor"), ("pill", "hospital", "pharmacist"), ("near", "near", "doctor"),
        ):  # fmt: skip
            await put(house, where, role(name, where, code))
            await house.add_staff(f"u-{name}", name)
        for member in ("hospital", "near"):
            affiliation = resource(
                "OrganizationAffiliation", f"net-{member}", active=True, organization=reference("Organization/net"),
                participatingOrganization=reference(f"Organization/{member}"),
                code=[{"coding": [{"system": ROLE, "code": "member"}]}], extension=[Agreement("network").extension()],
            )  # fmt: skip
            await put(house, "", affiliation)
        await put(house, "hospital", resource("Patient", "pat", name=[{"family": "Payne"}]))
        await house.add_patient("u-pat", "pat")
        await put(house, "hospital", observation("plain", "pat"))
        await put(house, "hospital", observation("hiv", "pat", meta=label("HIV")))
        await put(house, "hospital", observation("tested", "pat", code=HIV_TEST))
        await put(house, "hospital", observation("very", "pat", meta=label("V", CONFIDENTIALITY)))
        await put(house, "hospital", observation("once", "pat", meta=label("PSY")))
        await put(house, "hospital", observation("once", "pat"))
        await put(
            house,
            "hospital",
            resource(
                "DiagnosticReport", "report", status="final", code={"text": "x"}, subject=reference("Patient/pat"),
                result=[reference("Observation/hiv"), reference("Observation/plain")],
            ),
        )  # fmt: skip
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def med(house: House) -> Caller:
    return await house.as_("user/*.cruds", user="u-med", role="med")


@pytest_asyncio.fixture(loop_scope="session")
async def pill(house: House) -> Caller:
    """A pharmacist, who reads and writes findings and is cleared for no label."""
    return await house.as_("user/*.cruds", user="u-pill", role="pill")


@pytest_asyncio.fixture(loop_scope="session")
async def near(house: House) -> Caller:
    return await house.as_("user/*.cruds", user="u-near", role="near")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["issue"][0].get("extension", [{"valueString": ""}])[0]["valueString"])


async def test_who_is_cleared_reads_it(med: Caller, house: House) -> None:
    assert [await med.status(f"Observation/{one}") for one in ("plain", "hiv", "tested", "very")] == [
        200,
        200,
        200,
        404,
    ]
    patient = await house.as_("patient/*.rs", patient="pat")
    assert [await patient.status(f"Observation/{one}") for one in ("hiv", "tested", "very")] == [200, 200, 200]


@pytest.mark.parametrize("who", ["pill", "near"])
@pytest.mark.parametrize("name", ["hiv", "tested", "very"])
async def test_what_is_labelled_reads_as_if_it_was_never_there(house: House, who: str, name: str) -> None:
    caller = await house.as_("user/*.cruds", user=f"u-{who}", role=who)
    assert await caller.status("Observation/plain") == 200
    for path in (f"Observation/{name}", f"Observation/{name}/_history", f"Observation/{name}/_history/1"):
        hidden, never = await caller.get(path), await caller.get(path.replace(name, "never"))
        assert hidden.status_code == never.status_code == 404
        assert hidden.text.replace(name, "never") == never.text


@pytest.mark.parametrize("who", ["pill", "near"])
@pytest.mark.parametrize(
    "search",
    [
        "Observation?_id=hiv,tested,very",
        "Observation?_security=HIV",
        f"Observation?_security={ACT_CODE}|HIV",
        "Observation?code=7917-8",
        "DiagnosticReport?result:Observation._security=HIV",
        "DiagnosticReport?result=Observation/hiv&result:Observation.code=8867-4&result:Observation._security=HIV",
        "Patient?_has:Observation:subject:code=7917-8",
        "Patient?_has:Observation:subject:_security=HIV",
    ],
)
async def test_no_search_finds_or_counts_it(house: House, who: str, search: str) -> None:
    caller = await house.as_("user/*.cruds", user=f"u-{who}", role=who)
    answer = await caller.get(f"{search}&_total=accurate")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["total"], answer.json().get("entry", [])) == (0, [])
    cleared = await house.as_("user/*.cruds", user="u-med", role="med")
    assert (await cleared.get(f"{search}&_total=accurate")).json()["total"] > 0


@pytest.mark.parametrize("who", ["pill", "near"])
async def test_no_include_history_or_compartment_brings_it(house: House, who: str) -> None:
    caller = await house.as_("user/*.cruds", user=f"u-{who}", role=who)
    for path in (
        "DiagnosticReport?_id=report&_include=*",
        "Patient?_id=pat&_revinclude=Observation:subject&_count=100",
        "Patient/pat/Observation?_count=100",
        "Observation/_history?_count=100",
    ):
        text = (await caller.get(path)).text
        assert "Observation/plain" in text, path
        for name in ("Observation/hiv/", "Observation/tested", "Observation/very", '"id":"hiv"'):
            assert name not in text, (path, name)


async def test_a_label_taken_off_opens_no_version_before(pill: Caller, med: Caller) -> None:
    assert await pill.status("Observation/once") == 200
    assert await pill.status("Observation/once/_history/1") == 404
    assert await pill.versions("Observation/once/_history") == ["Observation/once/2"]
    assert await med.status("Observation/once/_history/1") == 200


@pytest.mark.parametrize("name", ["hiv", "tested", "very"])
async def test_a_label_is_not_taken_off_by_who_is_not_cleared_for_it(pill: Caller, med: Caller, name: str) -> None:
    before = (await med.get(f"Observation/{name}")).text
    assert (await pill.put(observation(name, "pat"))).status_code == 404
    stripped: list[dict[str, Any]] = [{"op": "remove", "path": "/meta/security"}]
    assert (await pill.ask("PATCH", f"Observation/{name}", stripped)).status_code == 404
    await pill.ask("DELETE", f"Observation/{name}")
    conditional = await pill.ask("PUT", "Observation?_security=HIV", observation(name, "pat"))
    assert conditional.status_code in {404, 409}
    rows = [{"request": {"method": "PUT", "url": f"Observation/{name}"}, "resource": observation(name, "pat")}]
    assert (
        await pill.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": rows})
    ).status_code == 404
    assert (await med.get(f"Observation/{name}")).text == before


async def test_nobody_writes_unnoticed_what_they_may_not_read(pill: Caller, med: Caller) -> None:
    for one in (observation("x", "pat", meta=label("HIV")), observation("x", "pat", code=HIV_TEST)):
        assert refusal(await pill.post(one)) == (403, NOT_CLEARED)
        assert (await med.post(one)).status_code == 201
    made = await pill.post(observation("x", "pat"))
    assert made.status_code == 201
    name = made.json()["id"]
    labelled = [{"op": "add", "path": "/meta/security", "value": label("PSY")["security"]}]
    assert refusal(await pill.ask("PATCH", f"Observation/{name}", labelled)) == (403, NOT_CLEARED)
    assert refusal(await med.post(observation("x", "pat", meta=label("V", CONFIDENTIALITY)))) == (403, NOT_CLEARED)


async def test_a_labelled_target_is_no_target(pill: Caller, med: Caller) -> None:
    for target, status in (("plain", 201), ("hiv", 422)):
        follows = observation("x", "pat", hasMember=[reference(f"Observation/{target}")])
        assert (await pill.post(follows)).status_code == status
        assert (await med.post(follows)).status_code == 201
