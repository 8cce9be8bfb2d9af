"""CodeSystem/$import over HTTP: a code system begins, grows, changes and shrinks, in the same version or a new one."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]
SHOP = "https://clinic.example/CodeSystem/shop"
PLACE = "CodeSystem/$import"
KINDS = {"system": "valueUri", "version": "valueString", "base": "valueString", "remove": "valueCode"}


def part(**values: str) -> list[Json]:
    return [{"name": name, "valueString" if name == "value" else "valueCode": text} for name, text in values.items()]


def sent(*rows: Json, **values: str) -> Json:
    plain = [{"name": name, KINDS[name]: text} for name, text in values.items()]
    return {"resourceType": "Parameters", "parameter": [*plain, *rows]}


def concept(code: str, display: str = "") -> Json:
    return {"name": "concept", "valueCoding": {"code": code, **({"display": display} if display else {})}}


def stated(code: str, name: str, value: str) -> Json:
    return {"name": "property", "part": part(code=code, property=name, value=value)}


async def codes(client: httpx.AsyncClient, system: str, version: str) -> dict[str, str]:
    return await expanded(client, {"system": system, **({"version": version} if version else {})})


async def expanded(client: httpx.AsyncClient, include: Json) -> dict[str, str]:
    value_set = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
    answer = await client.post("ValueSet/$expand", json=sent({"name": "valueSet", "resource": value_set}))
    assert answer.status_code == 200, answer.text
    waiting, found = list(answer.json()["expansion"].get("contains", ())), {}
    for one in waiting:  # grows while it is walked: concepts stand within those above them
        found[one["code"]] = one.get("display", "")
        waiting += one.get("contains", ())
    return found


async def test_a_code_system_begins_grows_and_shrinks(client: httpx.AsyncClient) -> None:
    word = {"name": "designation", "part": part(code="apple", value="Apfel", language="de")}
    begun = await client.post(
        PLACE,
        json=sent(
            concept("fruit", "Fruit"), concept("apple", "Apple"), stated("apple", "parent", "fruit"), stated("apple", "colour", "red"),
            word, system=SHOP, version="1",
        ),
    )  # fmt: skip
    assert begun.status_code == 200, begun.text
    made = begun.json()
    assert (made["url"], made["version"], made["content"], made["count"]) == (SHOP, "1", "not-present", 2)
    assert {"code": "colour", "type": "string"} in made["property"]
    assert (await client.get(f"CodeSystem/{made['id']}")).json()["count"] == 2

    grown = await client.post(PLACE, json=sent(concept("pear", "Pear"), concept("apple", "An apple"), system=SHOP))
    assert grown.status_code == 200, grown.text
    assert (grown.json()["id"], grown.json()["count"]) == (made["id"], 3)
    assert await codes(client, SHOP, "1") == {"fruit": "Fruit", "apple": "An apple", "pear": "Pear"}

    new = await client.post(PLACE, json=sent(concept("plum"), system=SHOP, base="1", version="2", remove="pear"))
    assert new.status_code == 200, new.text
    assert new.json()["id"] != made["id"]
    assert set(await codes(client, SHOP, "2")) == {"fruit", "apple", "plum"}
    assert set(await codes(client, SHOP, "1")) == {"fruit", "apple", "pear"}

    unclear = await client.post(PLACE, json=sent(concept("fig"), system=SHOP))
    assert unclear.status_code == 422
    assert "Several versions" in unclear.text

    # What was known of a concept stays, when more is said of it.
    filtered = {"property": "concept", "op": "descendent-of", "value": "fruit"}
    red = {"property": "colour", "op": "=", "value": "red"}
    assert set(await expanded(client, {"system": SHOP, "version": "2", "filter": [filtered, red]})) == {"apple"}


async def test_a_code_system_without_a_version_grows(client: httpx.AsyncClient) -> None:
    system = f"{SHOP}/bare"
    resource = {
        "resourceType": "CodeSystem", "url": system, "status": "active", "content": "complete", "title": "Bare",
        "concept": [{"code": "a", "display": "A", "concept": [{"code": "b"}]}],
    }  # fmt: skip
    begun = await client.post(PLACE, json=resource)
    assert begun.status_code == 200, begun.text
    assert (begun.json()["count"], begun.json()["title"]) == (2, "Bare")
    grown = await client.post(PLACE, json=sent(concept("c"), system=system))
    assert grown.json()["count"] == 3
    assert set(await codes(client, system, "")) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (sent(concept("a")), 422, "Say the code system"),
        (sent(system=f"{SHOP}/x"), 422, "nothing to add and nothing to remove"),
        (sent(concept("a"), system=f"{SHOP}/x", base="9"), 404, "is not loaded"),
        (sent(concept("a"), stated("a", "parent", "b"), system=f"{SHOP}/x"), 422, "has the parent 'b', which is not in the release"),
        (sent(concept("a"), stated("a", "inactive", "maybe"), system=f"{SHOP}/x"), 422, "'maybe' is no boolean"),
        (sent({"name": "property", "part": part(code="a", value="x")}, system=f"{SHOP}/x"), 400, "no part 'property'"),
        (sent(system=f"{SHOP}/x", remove="z"), 422, "cannot be removed, as it is not there"),
        (sent(concept("a"), system="http://hl7.org/fhir/administrative-gender", version="4.0.1"), 422, "is no code system that was loaded"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, body: Json, status: int, reason: str
) -> None:
    answer = await client.post(PLACE, json=body)
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["issue"][0]["details"]["text"]
    assert (await client.get("CodeSystem", params={"url": f"{SHOP}/x"})).json().get("entry", []) == []
