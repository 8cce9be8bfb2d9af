"""Reports of a network count its members while they are members, and tell of nobody."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.facilities.agreement import Agreement, Rollup
from fhir_server.facilities.nodes import ROLE
from fhir_server.repository.reports import MEASURES
from fhir_server.search.layout import indexes
from fhir_server.store.counting import BY_FACILITY
from profiles.definitions.registry import load
from tests.access.house import ADMINISTRATOR, Caller, House
from tests.access.network import Json, organization, person, put, settled

ASKED = "measure=encounters&periodStart=2026-01-01&periodEnd=2026-12-31"


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        await put(house, "root", organization("alpha-ward", "alpha", "department"))
        await put(house, "root", organization("gamma", "land", "facility"))
        for number, month in enumerate((1, 2, 3, 4, 5, 6)):
            for keeper in ("alpha", "beta"):
                await put(house, keeper, visit(f"{keeper}-{number}", f"{keeper}-0", f"2026-{month:02}-10"))
        await put(house, "alpha-ward", visit("in-ward", "alpha-1", "2026-05-01"))
        await put(house, "alpha", visit("wrong", "alpha-1", "2026-05-01", status="entered-in-error"))
        await put(house, "alpha", visit("before", "alpha-1", "2025-12-31"))
        yield house


def visit(name: str, of: str, day: str, **more: Any) -> Json:
    act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    return {
        "resourceType": "Encounter",
        "id": name,
        "status": "finished",
        "class": {"system": act, "code": "AMB"},
        "subject": {"reference": f"Patient/{of}"},
        "period": {"start": f"{day}T10:00:00Z", "end": f"{day}T11:00:00Z"},
        **more,
    }


async def member(house: House, facility: str, rollup: Rollup, **period: str) -> None:
    ended = "end" in period
    resource = {
        "resourceType": "OrganizationAffiliation",
        "id": f"net-{facility}",
        "active": not ended,
        "period": {"start": "2025-01-01", **period},
        "organization": {"reference": "Organization/net"},
        "participatingOrganization": {"reference": f"Organization/{facility}"},
        "code": [{"coding": [{"system": ROLE, "code": "member"}]}],
        "extension": [Agreement(rollup=rollup).extension()],
    }
    await put(house, "root", resource)


async def counts(caller: Caller, organization: str, asked: str = ASKED) -> dict[str, Any]:
    """Return the counts by organization; where none is told, the reason."""
    answer = await caller.get(f"Organization/{organization}/$rollup?{asked}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = {}
    for entry in answer.json().get("entry", []):
        report = entry["resource"]
        (group,) = report["group"]
        (population,) = group["population"]
        reason = population.get("_count", {}).get("extension", [{}])[0].get("valueCode")
        found[report["subject"]["reference"].partition("/")[2]] = population.get("count", reason)
    return found


async def test_a_network_counts_its_members_as_far_as_they_agreed(house: House) -> None:
    await member(house, "alpha", "aggregate")
    await member(house, "beta", "none")
    nina = await person(house, "nina")
    assert await counts(nina, "net") == {"alpha": 7, "beta": "not-permitted"}
    assert await counts(nina, "net", ASKED.replace("encounters", "immunizations")) == {
        "alpha": 0,
        "beta": "not-permitted",
    }
    assert await counts(nina, "net", ASKED.replace("encounters", "admissions")) == {"alpha": 0, "beta": "not-permitted"}


async def test_small_counts_are_told_by_agreement_for_identified_data_only(house: House) -> None:
    nina = await person(house, "nina")
    some = "measure=encounters&periodStart=2026-01-01&periodEnd=2026-03-31"
    for rollup, told in (("aggregate", "masked"), ("deidentified", "masked"), ("identified", 3)):
        await member(house, "alpha", rollup)  # type: ignore[arg-type]
        assert (await counts(nina, "net", some))["alpha"] == told


async def test_a_member_counts_from_when_it_joined_until_it_left(house: House) -> None:
    await member(house, "alpha", "identified", start="2026-03-01", end="2026-04-30")
    await member(house, "beta", "identified", start="2026-06-01")
    nina = await person(house, "nina")
    assert await counts(nina, "net") == {"alpha": 2, "beta": 1}
    report = (await nina.get(f"Organization/net/$rollup?{ASKED}")).json()["entry"][0]["resource"]
    assert report["period"] == {"start": "2026-03-01T00:00:00.000Z", "end": "2026-04-30T23:59:59.999Z"}
    assert (report["resourceType"], report["type"]) == ("MeasureReport", "summary")
    outside = "measure=encounters&periodStart=2024-01-01&periodEnd=2024-12-31"
    assert await counts(nina, "net", outside) == {}


async def test_above_facilities_all_that_is_part_of_them_is_counted(house: House) -> None:
    gov = await person(house, "gov")
    assert await counts(gov, "land") == {"alpha": 7, "beta": 6, "gamma": 0, "net": 0}


@pytest.mark.parametrize("who", ["adda", "bert", "doc-alpha"])
async def test_members_and_clinicians_do_not_read_the_counts_of_a_network(house: House, who: str) -> None:
    caller = await person(house, who)
    assert (await caller.get(f"Organization/net/$rollup?{ASKED}")).status_code == 403


async def test_an_app_without_a_scope_for_reports_gets_none(house: House) -> None:
    app = await house.as_("user/Organization.rs", user="u-nina", role="nina")
    answer = await app.get(f"Organization/net/$rollup?{ASKED}")
    assert answer.status_code == 403
    assert 'scope="user/MeasureReport.r"' in answer.headers["www-authenticate"]
    patient = await house.as_("patient/*.rs", patient="ann")
    assert (await patient.get(f"Organization/net/$rollup?{ASKED}")).status_code == 403


async def test_what_cannot_be_counted_is_said(house: House) -> None:
    administrator = await house.as_("user/*.rs", user=ADMINISTRATOR)
    for asked in (
        "measure=people&periodStart=2026&periodEnd=2026",
        "measure=encounters&periodStart=2026-02&periodEnd=2026-01",
        "measure=encounters&periodStart=2026",
    ):
        assert (await administrator.get(f"Organization/net/$rollup?{asked}")).status_code == 400, asked
    assert (await administrator.get(f"Organization/nowhere/$rollup?{ASKED}")).status_code == 404


def test_every_measure_has_its_index() -> None:
    definitions = load()
    for measure in MEASURES.values():
        assert BY_FACILITY in {spec.name for spec in indexes(measure.resource_type, definitions)}
