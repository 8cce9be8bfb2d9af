"""The brands over HTTP: for everybody, and not sent twice."""

from dataclasses import replace

import httpx

from tests.smart_auth.house import House

HERE = {"Origin": "https://app.example"}


async def test_brands_are_for_everybody_and_sent_once(client: httpx.AsyncClient, house: House) -> None:
    house.realm = replace(house.realm, policy=replace(house.realm.policy, portal="https://general.example"))
    url = (await client.get("/fhir/.well-known/smart-configuration")).json()["user_access_brand_bundle"]
    response = await client.get(url, headers=HERE)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("application/fhir+json")
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    tag = response.headers["ETag"]
    assert tag.startswith('W/"')
    assert response.json()["type"] == "collection"
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/")):
        again = await client.get(url, headers={**HERE, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
    assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_preflight_may_ask_for_what_is_known(client: httpx.AsyncClient) -> None:
    response = await client.options("/auth/brands", headers={**HERE, "Access-Control-Request-Headers": "if-none-match"})
    assert "If-None-Match" in response.headers["Access-Control-Allow-Headers"]


async def test_without_a_portal_there_are_no_brands(client: httpx.AsyncClient) -> None:
    assert (await client.get("/auth/brands")).status_code == 404
