"""Counts of where a code is used: as far as the caller searches, else as reports tell, and never of more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.facilities.nodes import ORG_LEVEL
from fhir_server.store.client import connect
from tests.access.house import ADMINISTRATOR, Caller, House, said
from tests.access.network import Json, put, settled, stay

LOINC = "http://loinc.org"
RATE, DIASTOLIC = "8867-4", "8462-4"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
MASKED = "masked"

Counts = dict[tuple[str, str], Any]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        for number in range(7):
            await put(house, "alpha", measured(f"alpha-o{number}", "alpha-0"))
        for number in range(3):
            await put(house, "beta", measured(f"beta-o{number}", "beta-0"))
        for number in range(6):
            secret = {"meta": {"security": [{"system": ACT, "code": "HIV"}]}}
            await put(house, "alpha", measured(f"alpha-secret-{number}", "alpha-1", DIASTOLIC, **secret))
        await put(house, "alpha", stay("alpha-stay", "alpha-0"))
        yield house


def measured(name: str, of: str, code: str = RATE, **more: Any) -> Json:
    """Return an observation that holds the code twice: once of its own, once in a part."""
    concept = {"coding": [{"system": LOINC, "code": code}]}
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": concept,
        "subject": {"reference": f"Patient/{of}"},
        "component": [{"code": concept, "valueString": "as before"}],
        **more,
    }


async def person(house: House, name: str, scope: str = "user/*.rs") -> Caller:
    return await house.as_(scope, user=f"u-{name}", role=name)


async def counts(caller: Caller, code: str = RATE, more: str = "") -> Counts:
    """Return the counts by type and facility."""
    answer = await caller.get(f"CodeSystem/$usage?system={LOINC}&code={code}{more}")
    assert answer.status_code == 200, answer.text
    return told(answer.json())


def told(answer: Json) -> Counts:
    found: Counts = {}
    for row in (row for row in answer["parameter"] if row["name"] == "use"):
        parts = {part["name"]: part for part in row["part"]}
        place = parts.get("facility", {}).get("valueReference", {}).get("reference", "")
        masked = parts["count"].get("_valueUnsignedInt", {}).get("extension", [{}])[0].get("valueCode")
        found[parts["type"]["valueCode"], place.partition("/")[2]] = parts["count"].get("valueUnsignedInt", masked)
    return found


async def test_a_system_is_told_of_every_facility_as_a_search_would_count(house: House) -> None:
    system = await house.as_("system/*.rs")
    assert await counts(system) == {("Observation", "alpha"): 7, ("Observation", "beta"): 3}
    total = (await system.get(f"Observation?code={LOINC}|{RATE}&_summary=count")).json()["total"]
    assert total == 7 + 3


async def test_a_doctor_of_another_facility_is_not_told_of_what_is_kept_here(house: House) -> None:
    assert await counts(await person(house, "doc-beta")) == {("Observation", "beta"): 3}
    assert await counts(await person(house, "doc-alpha")) == {("Observation", "alpha"): 7}
    assert await counts(await person(house, "doc-beta"), DIASTOLIC) == {}


async def test_labelled_resources_are_told_to_those_who_are_cleared_and_not_in_reports(house: House) -> None:
    assert await counts(await person(house, "doc-alpha"), DIASTOLIC) == {("Observation", "alpha"): 6}
    administrator = await house.as_("user/*.rs", user=ADMINISTRATOR)
    assert await counts(administrator, DIASTOLIC) == {}
    assert await counts(await person(house, "adda"), DIASTOLIC) == {}


async def test_an_administrator_is_told_as_by_a_report_with_small_counts_masked(house: House) -> None:
    administrator = await house.as_("user/*.rs", user=ADMINISTRATOR)
    assert await counts(administrator) == {("Observation", "alpha"): 7, ("Observation", "beta"): MASKED}
    assert await administrator.status(f"Observation?code={RATE}") == 403


async def test_the_administrator_of_a_facility_is_told_of_that_facility_only(house: House) -> None:
    assert await counts(await person(house, "adda")) == {("Observation", "alpha"): 7}
    assert await counts(await person(house, "bert")) == {("Observation", "beta"): MASKED}
    both = {("Observation", "alpha"): 7, ("Observation", "beta"): MASKED}
    assert await counts(await person(house, "gov")) == both


async def test_an_app_without_a_scope_for_reports_learns_nothing_through_its_administrator(house: House) -> None:
    app = await house.as_("user/CodeSystem.rs", user=ADMINISTRATOR)
    assert await counts(app) == {}
    answer = await app.get(f"CodeSystem/$usage?system={LOINC}&code={RATE}&type=Observation")
    assert answer.status_code == 403


async def test_scopes_of_an_app_narrow_what_is_counted(house: House) -> None:
    scope = "user/CodeSystem.r user/Observation.rs?status=amended"
    assert await counts(await person(house, "doc-alpha", scope)) == {}
    scope = "user/CodeSystem.r user/Condition.rs"
    assert await counts(await person(house, "doc-alpha", scope)) == {}


async def test_patients_are_refused(house: House) -> None:
    patient = await house.as_("patient/*.rs", patient="ann")
    answer = await patient.get(f"CodeSystem/$usage?system={LOINC}&code={RATE}")
    assert answer.status_code == 403
    assert "not to patients" in said(answer)


async def test_a_custodian_that_may_not_be_read_is_not_named(house: House) -> None:
    narrow = await house.as_("system/CodeSystem.r system/Observation.rs")
    assert await counts(narrow) == {("Observation", ""): 10}


async def test_what_is_below_a_code_counts_with_it(house: House) -> None:
    system = await house.as_("system/*.rs")
    asked = f"CodeSystem/$usage?system={ACT}&code=_ActEncounterCode&type=Encounter&thorough=true"
    assert told((await system.get(asked)).json()) == {}
    found = (await system.get(f"{asked}&below=true")).json()
    assert told(found) == {("Encounter", "alpha"): 1}
    assert next(row["valueUnsignedInt"] for row in found["parameter"] if row["name"] == "codes") > 5


async def test_the_hierarchy_of_a_code_system_that_is_stored_counts(house: House) -> None:
    bottom = {"code": DIASTOLIC, "display": "Diastolic"}
    stored = {
        "resourceType": "CodeSystem",
        "id": "panel",
        "url": LOINC,
        "version": "our-own",
        "status": "active",
        "content": "fragment",
        "concept": [{"code": RATE, "concept": [{"code": "group", "concept": [bottom]}]}],
    }
    await put(house, "root", stored)
    system = await house.as_("system/*.rs")
    assert await counts(system, RATE, "&below=true&version=our-own") == {
        ("Observation", "alpha"): 13,
        ("Observation", "beta"): 3,
    }
    assert await counts(system, "group", "&below=true&version=our-own") == {("Observation", "alpha"): 6}
    assert await counts(system, "group", "&version=our-own") == {}


async def test_elements_that_no_index_leads_to_are_named_and_passed_over_unless_asked_for(house: House) -> None:
    system = await house.as_("system/*.rs")
    asked = f"CodeSystem/$usage?system={ACT}&code=IMP&type=Encounter"
    parts = [part for row in (await system.get(asked)).json()["parameter"] for part in row.get("part", ())]
    assert {"name": "passed", "valueCode": "class"} in parts
    assert told((await system.get(asked)).json()) == {}
    assert told((await system.get(f"{asked}&thorough=true")).json()) == {("Encounter", "alpha"): 1}


async def test_types_without_many_resources_are_counted_by_every_coded_parameter(house: House) -> None:
    system = await house.as_("system/*.rs")
    found = told((await system.get(f"CodeSystem/$usage?system={ORG_LEVEL}&code=facility")).json())
    assert found == {("Organization", "alpha"): 1, ("Organization", "beta"): 1}
    parameters = [
        {"name": "coding", "valueCoding": {"system": ORG_LEVEL, "code": "network"}},
        {"name": "type", "valueCode": "Organization"},
    ]
    body = {"resourceType": "Parameters", "parameter": parameters}
    assert told((await system.ask("POST", "CodeSystem/$usage", body)).json()) == {("Organization", "net"): 1}


@pytest.mark.parametrize(
    "asked",
    [
        "",
        f"system={LOINC}",
        "code=x",
        f"system={LOINC}&code=x&type=Nothing",
        f"system={LOINC}&code=x&below=perhaps",
        f"system={LOINC}&code=x&where=there",
        "system=urn:nowhere&code=x&below=true",
        f"system={ACT}&code=nothing&below=true",
        f"system={ACT}&code=IMP&below=true&version=0.0.1",
    ],
)
async def test_what_cannot_be_counted_is_said(house: House, asked: str) -> None:
    system = await house.as_("system/*.rs")
    answer = await system.get(f"CodeSystem/$usage?{asked}")
    assert answer.status_code == 400, answer.text
    assert said(answer)


async def test_counting_reads_what_holds_the_code_and_nothing_else(house: House, mongo_url: SecretStr) -> None:
    """What is examined are the entries of the code, in whatever facility the caller is."""
    async with connect(mongo_url, house.service.settings) as mongo:
        database = mongo[house.service.settings.mongo.database]
        await database.command("profile", 2)
        try:
            assert await counts(await person(house, "doc-beta")) == {("Observation", "beta"): 3}
        finally:
            await database.command("profile", 0)
        name = f"{database.name}.Observation"
        (row,) = await database["system.profile"].find({"ns": name, "command.aggregate": "Observation"}).to_list()
    assert "COLLSCAN" not in row["planSummary"]
    assert row["docsExamined"] <= 10
