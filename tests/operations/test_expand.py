"""$expand over HTTP: how value sets are named, what is asked of them, and what is refused."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]

FOOD = "https://example.org/food"
SYSTEM: Json = {
    "resourceType": "CodeSystem",
    "id": "expand-food",
    "url": FOOD,
    "version": "2",
    "status": "active",
    "content": "complete",
    "caseSensitive": True,
    "hierarchyMeaning": "is-a",
    "concept": [
        {
            "code": "fruit",
            "display": "Fruit",
            "concept": [{"code": f"f{one}", "display": f"Fruit {one}"} for one in range(5)],
        },
        {"code": "bread", "display": "Bread"},
    ],
}
VALUE_SET: Json = {
    "resourceType": "ValueSet",
    "id": "expand-all",
    "url": "https://example.org/food-set",
    "version": "1",
    "status": "active",
    "compose": {"include": [{"system": FOOD}]},
}


@pytest.fixture
async def stored(client: httpx.AsyncClient) -> httpx.AsyncClient:
    for one in (SYSTEM, VALUE_SET):
        response = await client.put(f"{one['resourceType']}/{one['id']}", json=one)
        assert response.status_code in {200, 201}, response.text
    return client


def codes(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["code"] for row in response.json()["expansion"].get("contains", ())]


def refused(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text
    (row,) = response.json()["issue"]
    found: Json = row
    return found


async def test_a_value_set_is_named_in_four_ways(stored: httpx.AsyncClient) -> None:
    asked = {"excludeNested": "true"}
    by_instance = await stored.get("ValueSet/expand-all/$expand", params=asked)
    by_url = await stored.get("ValueSet/$expand", params={**asked, "url": "https://example.org/food-set|1"})
    rows = [{"name": "valueSet", "resource": VALUE_SET}, {"name": "excludeNested", "valueBoolean": True}]
    sent = await stored.post("ValueSet/$expand", json={"resourceType": "Parameters", "parameter": rows})
    implicit = await stored.get("ValueSet/$expand", params={**asked, "url": f"{FOOD}?fhir_vs"})
    wanted = ["fruit", "f0", "f1", "f2", "f3", "f4", "bread"]
    assert [codes(one) for one in (by_instance, by_url, sent, implicit)] == [wanted] * 4
    assert by_url.json()["url"] == "https://example.org/food-set"


async def test_a_page_tells_the_total(stored: httpx.AsyncClient) -> None:
    asked = {"url": "https://example.org/food-set", "offset": "2", "count": "3"}
    response = await stored.get("ValueSet/$expand", params=asked)
    assert codes(response) == ["f1", "f2", "f3"]
    expansion = response.json()["expansion"]
    assert (expansion["total"], expansion["offset"]) == (7, 2)
    nothing = await stored.get("ValueSet/$expand", params={"url": "https://example.org/food-set", "count": "0"})
    assert (codes(nothing), nothing.json()["expansion"]["total"]) == ([], 7)


async def test_a_tree_is_a_tree(stored: httpx.AsyncClient) -> None:
    response = await stored.get("ValueSet/expand-all/$expand")
    assert codes(response) == ["fruit", "bread"]
    assert len(response.json()["expansion"]["contains"][0]["contains"]) == 5


async def test_a_text_finds_concepts(stored: httpx.AsyncClient) -> None:
    assert codes(await stored.get("ValueSet/expand-all/$expand", params={"filter": "fru 3"})) == ["f3"]


async def test_too_many_concepts_are_refused_with_advice(stored: httpx.AsyncClient) -> None:
    row = refused(await stored.get("ValueSet/expand-all/$expand", headers={"X-Too-Costly-Threshold": "5"}), 422)
    assert row["code"] == "too-costly"
    assert "'count'" in row["details"]["text"]
    paged = await stored.get("ValueSet/expand-all/$expand?count=9", headers={"X-Too-Costly-Threshold": "5"})
    assert len(codes(paged)) == 5


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "Say which value set"),
        ("url=https://example.org/nowhere", 404, "'https://example.org/nowhere' could not be found"),
        ("url=https://example.org/food-set|7", 404, "'https://example.org/food-set|7' could not be found"),
        ("url=https://example.org/food-set&date=2020", 400, "'date' is not understood"),
        ("url=https://example.org/food-set&count=-1", 400, "'count' is -1"),
        ("url=https://example.org/food-set&system-version=1", 400, "system-version"),
        (f"url=https://example.org/food-set&force-system-version={FOOD}|8", 404, "Valid versions: 2"),
        (f"url=https://example.org/food-set&check-system-version={FOOD}|1", 404, "Valid versions: 2"),
        ("url=https://example.org/food-set&useSupplement=urn:none", 404, "urn:none"),
        ("url=x&force-valueset-version=x|1&force-valueset-version=x|2", 400, "'1' and '2'"),
    ],
)
async def test_what_cannot_be_is_told(stored: httpx.AsyncClient, query: str, status: int, said: str) -> None:
    assert said in refused(await stored.get(f"ValueSet/$expand?{query}"), status)["details"]["text"]


async def test_an_expansion_changes_nothing(stored: httpx.AsyncClient) -> None:
    before = (await stored.get("ValueSet/expand-all")).json()
    await stored.get("ValueSet/expand-all/$expand")
    assert (await stored.get("ValueSet/expand-all")).json() == before


@pytest.mark.parametrize(
    ("system", "op"), [(FOOD, "child-or"), ("http://unitsofmeasure.org", "exists"), ("urn:ietf:bcp:47", "is-a")]
)
async def test_a_filter_that_a_system_does_not_have_is_told(stored: httpx.AsyncClient, system: str, op: str) -> None:
    rule = {"property": "parent", "op": op, "value": "false"}
    compose = {"include": [{"system": system, "filter": [rule]}]}
    asked = {"resourceType": "ValueSet", "url": "urn:asked", "status": "active", "compose": compose}
    body = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": asked}]}
    row = refused(await stored.post("ValueSet/$expand", json=body), 422)
    assert row["details"]["coding"][0]["code"] == "vs-invalid"
    assert f'"parent {op} false"' in row["details"]["text"]
    assert system in row["details"]["text"]
