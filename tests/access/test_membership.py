"""A facility joins a network by the word of two people, leaves it by that of one, and every token follows at the next request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.main import running
from tests.access.house import ADMINISTRATOR, ORIGIN, Caller, House
from tests.access.network import (
    ALL,
    Json,
    code,
    invited,
    joined,
    organization,
    parameters,
    person,
    put,
    refer,
    settled,
    stay,
    unsettled,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def country(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="session")
async def house(country: House) -> AsyncIterator[House]:
    """The country, in which nobody is a member of anything, nor is when the test is over."""
    yield country
    await unsettled(country)


@asynccontextmanager
async def elsewhere(house: House, caller: Caller) -> AsyncIterator[Caller]:
    """Yield the same caller at another worker."""
    async with running(house.service.settings) as service:

        @asynccontextmanager
        async def given(_: Any) -> AsyncIterator[Any]:
            yield service

        app = create_app(house.service.settings, given)
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client,
        ):
            yield Caller(client, caller.token)


async def test_HI_4_a_token_from_before_follows_join_and_leave_on_every_worker(house: House) -> None:
    doctor = await person(house, "doc-alpha")
    async with elsewhere(house, doctor) as there:
        for one in (doctor, there):
            assert await one.status("Patient/pb") == 404
        await joined(house, "beta", "bert", treatmentAccess="network")
        assert await there.status("Patient/pb") == 404
        await joined(house, "alpha", "adda", treatmentAccess="network")
        for one in (there, doctor):
            assert await one.status("Patient/pb") == 200
            assert "Patient/pb" in await one.found("Patient?_count=50")
        left = await (await person(house, "adda")).ask("POST", "Organization/alpha/$leave")
        assert left.status_code == 200, left.text
        for one in (there, doctor):
            assert await one.status("Patient/pb") == 404
            assert await one.status("Patient/pb/_history/1") == 404
            assert "Patient/pb" not in await one.found("Patient?_count=50")
        again = await (await person(house, "adda")).ask("POST", "Organization/alpha/$leave")
        assert (again.status_code, code(again)) == (409, "not-a-member")


async def test_an_invitation_is_a_task_of_the_facility_and_its_acceptance_completes_it(house: House) -> None:
    name = await invited(house, "alpha", treatmentAccess="relationship", rollup="aggregate", emergency=True)
    adda = await person(house, "adda")
    tasks = await adda.found("Task?status=requested&owner=Organization/alpha")
    assert len(tasks) == 1
    assert await (await person(house, "bert")).status(tasks[0]) == 404
    offered = (await adda.get(f"OrganizationAffiliation/{name}")).json()
    assert offered["active"] is False
    assert "period" not in offered
    accepted = await adda.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["active"] is True
    assert accepted.json()["period"]["start"]
    assert accepted.json()["extension"] == offered["extension"]
    assert (await adda.get(tasks[0])).json()["status"] == "completed"
    repeated = await adda.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert (repeated.status_code, repeated.json()["meta"]) == (200, accepted.json()["meta"])


async def test_one_person_does_not_accept_for_both_sides(house: House) -> None:
    name = await invited(house, "alpha", treatmentAccess="network")
    path = f"OrganizationAffiliation/{name}/$accept"
    again = await (await person(house, "nina")).ask("POST", path)
    assert (again.status_code, code(again)) == (403, "self-accept")
    body = parameters(facility=refer("beta"))
    one = await house.as_(ALL, user="u-both", role="both-net")
    offered = await one.ask("POST", "Organization/net/$invite", body)
    theirs = offered.json()["parameter"][0]["valueReference"]["reference"]
    other = await house.as_(ALL, user="u-both", role="both-alpha")
    alpha = await one.ask("POST", "Organization/net/$invite", parameters(facility=refer("alpha")))
    assert (alpha.status_code, code(alpha)) == (409, "already-invited")
    refused = await other.ask("POST", f"{theirs}/$accept")
    assert (refused.status_code, code(refused)) == (403, "not-a-side")
    administrator = await house.as_(ALL, user=ADMINISTRATOR)
    first = await administrator.ask("POST", f"{theirs}/$accept", parameters(side="member"))
    assert first.json()["active"] is True  # the network's word was somebody else's


async def test_an_administrator_of_the_house_does_not_stand_in_for_both(house: House) -> None:
    administrator = await house.as_(ALL, user=ADMINISTRATOR)
    offered = await administrator.ask("POST", "Organization/net/$invite", parameters(facility=refer("alpha")))
    name = offered.json()["parameter"][0]["valueReference"]["reference"]
    for body in (None, parameters(side="network"), parameters(side="member")):
        refused = await administrator.ask("POST", f"{name}/$accept", body)
        assert (refused.status_code, code(refused)) == (403, "self-accept")
    wrong = await administrator.ask("POST", f"{name}/$accept", parameters(side="both"))
    assert wrong.status_code == 400
    accepted = await (await person(house, "adda")).ask("POST", f"{name}/$accept")
    assert accepted.json()["active"] is True


async def test_terms_that_come_after_the_word_of_a_side_are_not_accepted_by_it(house: House) -> None:
    name = await invited(house, "alpha", treatmentAccess="none")
    adda = await person(house, "adda")
    offered = (await adda.get(f"OrganizationAffiliation/{name}")).json()
    offered["extension"][0]["extension"][0]["valueCode"] = "network"
    assert (await adda.put(offered)).status_code == 200
    half = await adda.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert (half.status_code, half.json()["active"]) == (200, False)
    nina = await person(house, "nina")
    whole = await nina.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert whole.json()["active"] is True


@pytest.mark.parametrize("who", ["doc-alpha", "bert"])
async def test_who_does_not_speak_for_a_side_neither_invites_nor_accepts_nor_ends(house: House, who: str) -> None:
    name = await invited(house, "alpha", treatmentAccess="network")
    caller = await person(house, who)
    for path, body in (
        ("Organization/net/$invite", parameters(facility=refer("beta"))),
        (f"OrganizationAffiliation/{name}/$accept", None),
        (f"OrganizationAffiliation/{name}/$join-preview", None),
        ("Organization/alpha/$leave", None),
    ):
        refused = await caller.ask("POST", path, body)
        assert refused.status_code == 403, (path, refused.text)
    system = await house.as_("system/*.cruds")
    refused = await system.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert (refused.status_code, code(refused)) == (403, "not-a-side")


async def test_the_preview_counts_and_tells_of_nobody(house: House) -> None:
    await joined(house, "beta", "bert", treatmentAccess="network")
    name = await invited(house, "alpha", treatmentAccess="network")
    adda = await person(house, "adda")
    path = f"OrganizationAffiliation/{name}/$join-preview"
    answer = await adda.get(path)
    assert answer.status_code == 200, answer.text
    rows = {row["name"]: row for row in answer.json()["parameter"]}
    assert rows["patients"]["valueString"] == "5"
    assert rows["duplicateCandidates"]["valueString"] == "5"
    assert rows["documentsRewritten"]["valueUnsignedInt"] == 0
    gains = {part["name"]: part.get("valueCode", part.get("valueUnsignedInt")) for part in rows["memberGains"]["part"]}
    assert gains == {"access": "network", "organizations": 1, "roles": 3}
    await house.service.repository.delete("Patient", "alpha-4")
    rows = {row["name"]: row for row in (await adda.get(path)).json()["parameter"]}
    assert rows["duplicateCandidates"]["valueString"] == rows["patients"]["valueString"] == "fewer than 5"


async def test_what_stands_against_a_membership_is_shown_and_refused(house: House) -> None:
    zone = {"extension": [{"url": "https://aquifer.example/fhir/StructureDefinition/residency", "valueCode": "north"}]}
    name = await invited(house, "alpha", residency="south")
    await put(house, "root", {**organization("alpha", "land", "facility"), **zone})
    adda = await person(house, "adda")
    rows = (await adda.get(f"OrganizationAffiliation/{name}/$join-preview")).json()["parameter"]
    (conflict,) = [row["part"][0]["valueCode"] for row in rows if row["name"] == "conflict"]
    assert conflict == "residency-conflict"
    refused = await adda.ask("POST", f"OrganizationAffiliation/{name}/$accept")
    assert (refused.status_code, code(refused)) == (409, "residency-conflict")
    assert (await adda.get(f"OrganizationAffiliation/{name}")).json()["active"] is False
    nina = await person(house, "nina")
    for facility, said in (("net", "self-affiliation"), ("land", "org-level")):
        refused = await nina.ask("POST", "Organization/net/$invite", parameters(facility=refer(facility)))
        assert (refused.status_code, code(refused)) == (422, said)
    missing = await nina.ask("POST", "Organization/net/$invite", parameters(facility=refer("nowhere")))
    assert missing.status_code == 404


async def test_nobody_leaves_amid_a_shared_stay_but_by_the_sovereign(house: House) -> None:
    await joined(house, "beta", "bert", treatmentAccess="network")
    await joined(house, "alpha", "adda", treatmentAccess="network")
    await put(house, "alpha", stay("here", "beta-1"))
    await put(house, "beta", stay("there", "alpha-1"))
    await put(house, "beta", stay("own", "pb"))
    adda, gov = await person(house, "adda"), await person(house, "gov")
    refused = await adda.ask("POST", "Organization/alpha/$leave")
    assert (refused.status_code, code(refused)) == (409, "shared-inpatients")
    listed = [issue["details"]["text"] for issue in refused.json()["issue"][1:]]
    assert listed == [
        "Encounter/here at Organization/alpha is of a patient who is known at both sides.",
        "An inpatient at Organization/beta is a patient of both sides.",
    ]
    refused = await adda.ask("POST", "Organization/alpha/$leave", parameters(override=True))
    assert (refused.status_code, code(refused)) == (403, "override-not-allowed")
    left = await gov.ask("POST", "Organization/alpha/$leave", parameters(override=True, network=refer("net")))
    assert left.status_code == 200, left.text
    name = left.json()["parameter"][0]["valueReference"]["reference"]
    ended = (await adda.get(name)).json()
    assert (ended["active"], "end" in ended["period"]) == (False, True)
    refused = await adda.ask("POST", f"{name}/$accept")
    assert (refused.status_code, code(refused)) == (409, "membership-ended")


async def test_the_tree_shows_what_stands_below(house: House) -> None:
    await joined(house, "alpha", "adda", treatmentAccess="network")
    doctor = await person(house, "doc-beta")
    top = (await doctor.get("Organization/land/$tree")).json()["parameter"][0]
    assert names(top) == {"land": {"alpha": {}, "beta": {}, "net": {}}}
    assert [part["valueCode"] for part in top["part"] if part["name"] == "level"] == ["sovereign"]
    top = (await doctor.get("Organization/land/$tree?depth=1")).json()["parameter"][0]
    assert names(top) == {"land": {}}
    top = (await doctor.get("Organization/net/$tree?hierarchy=member")).json()["parameter"][0]
    assert names(top) == {"net": {"alpha": {}}}
    assert (await doctor.get("Organization/nowhere/$tree")).status_code == 404
    assert (await doctor.get("Organization/land/$tree?depth=99")).status_code == 400
    some = await house.as_("user/Organization.rs?_id=land,beta", user="u-doc-beta", role="doc-beta")
    top = (await some.get("Organization/land/$tree")).json()["parameter"][0]
    assert names(top) == {"land": {"beta": {}}}


def names(row: Json) -> Json:
    """Return a row of a tree as nested ids."""
    parts = row["part"]
    (name,) = [
        part["valueReference"]["reference"].partition("/")[2] for part in parts if part["name"] == "organization"
    ]
    below: Json = {}
    for part in parts:
        if part["name"] == "below":
            below |= names(part)
    return {name: below}
