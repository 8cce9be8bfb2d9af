"""$explain-access: the words agree with the predicate, name the rule, and are for those who answer for privacy only."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.labels import ACT_CODE
from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import ROLE
from smart_auth import tokens
from tests.access.house import ADMINISTRATOR, Caller, House, Json, observation, opened
from tests.access.record import reference, resource
from tests.access.test_standings import facility, put, role
from tests.audit.trail import left

HIV = {"security": [{"system": ACT_CODE, "code": "HIV"}]}
VERY = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}
DOCUMENTS = ["lab", "hiv", "very", "early"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(data_dir) as house:
        for one in (*map(facility, ("near", "hospital", "far", "kin")), resource("Organization", "net", name="Net")):
            await put(house, "", one)
        for name, where, code in (
            ("med", "hospital", "doctor"), ("bill", "hospital", "billing"), ("officer", "hospital", "privacy-officer"),
            ("near-doc", "near", "doctor"), ("far-doc", "far", "doctor"), ("kin-doc", "kin", "doctor"),
            ("far-officer", "far", "privacy-officer"),
        ):  # fmt: skip
            await put(house, where, role(name, where, code))
            await house.add_staff(f"u-{name}", name)
        await house.add_staff("u-two", "med", "bill")
        for member, access in (("hospital", "network"), ("near", "network"), ("kin", "relationship")):
            affiliation = resource(
                "OrganizationAffiliation", f"net-{member}", active=True, organization=reference("Organization/net"),
                participatingOrganization=reference(f"Organization/{member}"),
                code=[{"coding": [{"system": ROLE, "code": "member"}]}],
                extension=[Agreement(access, emergency=True).extension()],  # type: ignore[arg-type]
            )  # fmt: skip
            await put(house, "", affiliation)
        await put(house, "hospital", resource("Patient", "pat", name=[{"family": "Payne"}]))
        await put(house, "hospital", resource("Patient", "other", name=[{"family": "Other"}]))
        for one in (
            observation("lab", "pat"),
            observation("hiv", "pat", meta=HIV),
            observation("very", "pat", meta=VERY),
            observation("early", "pat", status="preliminary"),
        ):
            await put(house, "hospital", one)
        for patient in ("pat", "other"):
            await house.add_patient(f"u-{patient}", patient)
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def officer(house: House) -> Caller:
    return await house.as_("user/*.rs", user="u-officer", role="officer")


async def explained(officer: Caller, document: str, query: str = "") -> list[Json]:
    answer = await officer.get(f"Observation/{document}/$explain-access{query}")
    assert answer.status_code == 200, answer.text
    return [flat(one["part"]) for one in answer.json()["parameter"] if one["name"] == "reader"]


def flat(parts: list[Json]) -> Json:
    """Return the parts by name; of the steps a list."""
    plain = {
        one["name"]: next(value for name, value in one.items() if name.startswith("value"))
        for one in parts
        if "part" not in one
    }
    return {**plain, "steps": [flat(one["part"]) for one in parts if one["name"] == "step"]}


CASES: list[tuple[str, str, str, str]] = [
    ("u-med", "lab", "custody", ""),
    ("u-med", "hiv", "custody", ""),
    ("u-med", "very", "", "label"),
    ("u-bill", "lab", "", "privileges"),
    ("u-officer", "lab", "", "privileges"),
    ("u-near-doc", "lab", "agreement", ""),
    ("u-near-doc", "hiv", "", "label"),
    ("u-kin-doc", "lab", "", "relationship"),
    ("u-far-doc", "lab", "", "custody"),
    ("u-pat", "lab", "record", ""),
    ("u-pat", "hiv", "record", ""),
    ("u-pat", "early", "", "disclosure"),
    ("u-other", "lab", "", "record"),
    (ADMINISTRATOR, "lab", "", "administration"),
]


@pytest.mark.parametrize(("user", "document", "rule", "failed"), CASES)
async def test_the_rule_that_opens_or_the_first_that_does_not(
    officer: Caller, user: str, document: str, rule: str, failed: str
) -> None:
    (reader,) = await explained(officer, document, f"?user={user}")
    assert (reader["allowed"], reader.get("rule", ""), reader.get("failed", "")) == (not failed, rule, failed), reader
    assert [step["holds"] for step in reader["steps"]][:-1] == [True] * (len(reader["steps"]) - 1)
    assert reader["steps"][-1]["holds"] is not bool(failed)


async def test_the_words_agree_with_what_each_can_read(house: House, officer: Caller) -> None:
    for user, role_ in (
        ("u-med", "med"), ("u-bill", "bill"), ("u-near-doc", "near-doc"), ("u-far-doc", "far-doc"), ("u-kin-doc", "kin-doc"),
        ("u-pat", ""), ("u-other", ""), (ADMINISTRATOR, ""),
    ):  # fmt: skip
        caller = await house.as_("user/*.rs", user=user, role=role_)
        for document in DOCUMENTS:
            (reader,) = await explained(officer, document, f"?user={user}")
            readable = await caller.status(f"Observation/{document}") == 200
            assert reader["allowed"] is readable, (user, document, reader)
            assert bool(reader.get("failed")) is not readable


async def test_without_a_name_it_tells_who_may(house: House, officer: Caller) -> None:
    everybody = await explained(officer, "hiv")
    people = {one.get("user") for one in everybody}
    assert {"u-med", "u-pat", "u-two"} <= people
    assert people.isdisjoint({"u-bill", "u-near-doc", "u-far-doc", "u-other", ADMINISTRATOR})
    assert all(one["allowed"] for one in everybody)
    assert {one.get("role") for one in everybody if one.get("user") == "u-two"} == {"PractitionerRole/med"}
    assert "complete" in (await officer.get("Observation/hiv/$explain-access")).text


async def test_breaking_the_glass_is_named(house: House, officer: Caller) -> None:
    near = await house.as_("user/*.cruds", user="u-near-doc", role="near-doc")
    reason: dict[str, Any] = {
        "resourceType": "Parameters",
        "parameter": [{"name": "reason", "valueString": "unconscious"}],
    }
    assert (await near.ask("POST", "Patient/pat/$break-glass", reason)).status_code == 200
    (reader,) = await explained(officer, "hiv", "?user=u-near-doc")
    assert (reader["allowed"], reader["rule"]) == (True, "break-glass")


async def test_a_service_is_explained_by_its_policy(house: House, officer: Caller) -> None:
    cases: list[tuple[dict[str, Any], bool, str]] = [
        ({"facility": "far", "facilities": ("far",)}, False, "custody"),
        ({"types": ("Patient",)}, False, "scope"),
        ({}, True, ""),
    ]
    for policy, allowed, failed in cases:
        caller = await house.registered("system/*.rs", **policy)
        bearer = await tokens.find(house.service.realm, caller.token)
        assert bearer is not None
        (reader,) = await explained(officer, "lab", f"?client={bearer.token.client_id}")
        assert (reader["allowed"], reader.get("failed", "")) == (allowed, failed)
        assert (await caller.status("Observation/lab") == 200) is allowed


@pytest.mark.parametrize("user", ["u-med", "u-bill", "u-pat", "u-near-doc"])
async def test_a_curious_colleague_or_patient_is_refused(house: House, user: str) -> None:
    role_ = user.removeprefix("u-") if user != "u-pat" else ""
    caller = await house.as_("user/*.cruds", user=user, role=role_)
    refused = await caller.get("Observation/lab/$explain-access")
    assert refused.status_code == 403
    never = await caller.get("Observation/never/$explain-access")
    assert (never.status_code, never.text) == (403, refused.text)


async def test_a_service_does_not_ask_whatever_its_scopes(house: House) -> None:
    for advisory in (False, True):
        caller = await house.registered("system/*.cruds", advisory=advisory)
        assert (await caller.get("Observation/lab/$explain-access")).status_code == 403


async def test_an_officer_of_another_facility_finds_nothing(house: House) -> None:
    far = await house.as_("user/*.rs", user="u-far-officer", role="far-officer")
    hidden, never = [await far.get(f"Observation/{one}/$explain-access") for one in ("lab", "never")]
    assert hidden.status_code == never.status_code == 404
    assert hidden.text.replace("lab", "never") == never.text


async def test_an_administrator_asks_about_everything(house: House) -> None:
    admin = await house.as_("user/*.rs", user=ADMINISTRATOR)
    (reader,) = await explained(admin, "lab", "?user=u-med")
    assert reader["rule"] == "custody"


async def test_nobody_of_that_name(officer: Caller) -> None:
    for query in ("user=nobody", "client=nobody"):
        answer = await officer.get(f"Observation/lab/$explain-access?{query}")
        assert answer.status_code == 404
    assert (await officer.get("Observation/lab/$explain-access?who=x")).status_code == 400


async def test_asking_leaves_a_row_and_tells_no_content(house: House, officer: Caller) -> None:
    answer: httpx.Response
    answer, (row,) = await left(house, officer, "GET", "Observation/lab/$explain-access?user=u-med")
    assert (row["k"], row["st"]) == ("$explain-access", 200)
    for content in ("8867-4", "final", "Payne"):
        assert content not in answer.text
