"""The terminology page: whom it is for, what it may ask, and that a session is worth nothing to other sites."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.http.app import create_app
from fhir_server.http.auth.browser import COMING_BACK
from fhir_server.http.terminology import FILES, PLACE
from fhir_server.settings import Settings
from smart_auth import sessions
from smart_auth.records import Link, User
from tests.access.house import ORIGIN, House
from tests.access.network import put, settled
from tests.access.test_usage import LOINC, RATE, measured, told

USED = f"CodeSystem/$usage?system={LOINC}&code={RATE}"


@dataclass(frozen=True)
class Visitor:
    """A browser in which somebody is signed in."""

    client: httpx.AsyncClient
    cookie: str

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to what the browser asks for."""
        return await self.client.get(path, headers={"Cookie": f"{sessions.COOKIE}={self.cookie}", **headers})

    async def ask(self, path: str, **headers: str) -> httpx.Response:
        """Return the answer to what the page asks."""
        return await self.get(f"{PLACE}/fhir/{path}", **{"Sec-Fetch-Site": "same-origin", **headers})

    async def post(self, path: str, resource: Any, **headers: str) -> httpx.Response:
        """Return the answer to what the page posts."""
        shown = {"Cookie": f"{sessions.COOKIE}={self.cookie}", "Content-Type": "application/fhir+json", **headers}
        return await self.client.post(f"{PLACE}/fhir/{path}", json=resource, headers=shown)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with settled(data_dir) as house:
        for keeper, number in (("alpha", 7), ("beta", 3)):
            for count in range(number):
                await put(house, keeper, measured(f"{keeper}-{count}", f"{keeper}-0"))
        since = house.service.realm.clock() - timedelta(days=1)
        totp = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        people = {"root": (), "adda": ("adda",), "doctor": ("doc-alpha",), "both": ("both-net", "both-alpha")}
        for name, roles in people.items():
            links = tuple(Link(f"PractitionerRole/{one}") for one in roles)
            user = User(
                f"v-{name}", name, name.title(), "staff" if roles else "administrator", since, totp=totp, links=links
            )
            await house.service.realm.store.add(user)
        yield house


async def visitor(house: House, user: str, *factors: str) -> Visitor:
    realm = house.service.realm
    person = await realm.store.get(User, user)
    assert person
    secret, _ = await sessions.begin(realm, person, factors or ("pwd", "otp"))
    return Visitor(house.client, secret)


async def test_whoever_is_not_signed_in_signs_in_and_comes_back(house: House) -> None:
    answer = await house.client.get(PLACE)
    assert answer.status_code == 200
    assert 'name="password"' in answer.text
    assert f"{COMING_BACK}=" in ";".join(answer.headers.get_list("set-cookie"))
    signed_in = await visitor(house, "v-root")
    cookies = f"{sessions.COOKIE}={signed_in.cookie}; {COMING_BACK}={PLACE}"
    back = await house.client.get("/auth/apps", headers={"Cookie": cookies})
    assert (back.status_code, back.headers["location"]) == (303, PLACE)
    assert f'{COMING_BACK}=""' in back.headers["set-cookie"]


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example", "/auth/end-session", PLACE + "/../x"])
async def test_open_redirect_by_the_cookie_that_leads_back(house: House, place: str) -> None:
    signed_in = await visitor(house, "v-root")
    cookies = f"{sessions.COOKIE}={signed_in.cookie}; {COMING_BACK}={place}"
    answer = await house.client.get("/auth/apps", headers={"Cookie": cookies})
    assert answer.status_code == 200


async def test_an_administrator_is_shown_the_page_under_a_strict_policy(house: House) -> None:
    answer = await (await visitor(house, "v-root")).get(PLACE)
    assert answer.status_code == 200
    assert f'data-base="{PLACE}/fhir"' in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for name in FILES:
        assert (await house.client.get(f"{PLACE}/{name}")).status_code == 200


@pytest.mark.parametrize("user", ["v-doctor", "u-ann"])
async def test_clinicians_and_patients_are_refused(house: House, user: str) -> None:
    someone = await visitor(house, user)
    page = await someone.get(PLACE)
    assert page.status_code == 403
    assert "for administrators" in page.text
    answer = await someone.ask(USED)
    assert answer.status_code == 403
    assert "Sign in as one" in answer.text


async def test_a_refusal_is_in_the_audit_trail(house: House) -> None:
    someone = await visitor(house, "v-doctor")
    number = "page-refused"
    assert (await someone.ask(USED, **{"X-Request-Id": number})).status_code == 403
    system = await house.as_("system/*.rs")
    found = (await system.get("AuditEvent?subtype=$usage&outcome=4&_count=50")).text
    assert number in found


async def test_who_holds_several_roles_chooses_one_first(house: House) -> None:
    answer = await (await visitor(house, "v-both")).get(PLACE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/auth/role")


async def test_without_the_second_factor_nobody_is_let_in(house: House) -> None:
    half = await visitor(house, "v-root", "pwd")
    assert 'name="digits"' in (await half.get(PLACE)).text
    assert (await half.ask(USED)).status_code == 401


async def test_the_page_is_told_what_its_person_may_be_told(house: House) -> None:
    """As with a token: an administrator of the house by report, one of a facility of that facility."""
    everywhere = told((await (await visitor(house, "v-root")).ask(USED)).json())
    assert everywhere == {("Observation", "alpha"): 7, ("Observation", "beta"): "masked"}
    assert told((await (await visitor(house, "v-adda")).ask(USED)).json()) == {("Observation", "alpha"): 7}


@pytest.mark.parametrize(
    "path",
    [
        "Patient",
        "Patient/alpha-0",
        "Observation?code=x",
        "_history",
        "",
        "CodeSystem/x",
        "AuditEvent",
        "Patient/$match",
    ],
)
async def test_a_session_opens_terminology_and_no_record(house: House, path: str) -> None:
    answer = await (await visitor(house, "v-root")).ask(path)
    assert answer.status_code == 403, answer.text
    assert "terminology only" in answer.text


async def test_a_session_writes_nothing(house: House) -> None:
    someone = await visitor(house, "v-root")
    resource = {"resourceType": "CodeSystem", "status": "active", "content": "complete"}
    assert (await someone.post("CodeSystem", resource)).status_code == 403
    assert (await someone.post("metadata", resource)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_cross_site_request_forgery(house: House, headers: dict[str, str]) -> None:
    someone = await visitor(house, "v-root")
    assert (await someone.get(f"{PLACE}/fhir/{USED}", **headers)).status_code == 403
    rows = [{"name": "system", "valueUri": LOINC}, {"name": "code", "valueCode": RATE}]
    body = {"resourceType": "Parameters", "parameter": rows}
    assert (await someone.post("CodeSystem/$usage", body, **headers)).status_code == 403
    assert (await someone.post("CodeSystem/$usage", body, Origin=ORIGIN)).status_code == 200


async def test_a_session_that_is_over_opens_nothing(house: House) -> None:
    someone = await visitor(house, "v-root")
    found = await sessions.current(house.service.realm, someone.cookie)
    assert found
    assert (await someone.ask(USED)).status_code == 200
    await sessions.end(house.service.realm, found[0])
    answer = await someone.ask(USED)
    assert answer.status_code == 401
    assert "not signed in" in answer.text


async def test_a_body_that_is_too_large_is_not_read(house: House) -> None:
    someone = await visitor(house, "v-root")
    assert (await someone.post("CodeSystem/$usage", {"text": "x" * 300_000})).status_code == 413


async def test_where_nobody_signs_in_the_page_asks_the_api_itself() -> None:
    app = create_app(Settings(), None)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        answer = await client.get(PLACE)
        assert answer.status_code == 200
        assert 'data-base="/fhir"' in answer.text
        assert (await client.get(f"{PLACE}/fhir/CodeSystem")).status_code == 404
