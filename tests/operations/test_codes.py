"""Operations on codes over HTTP: $validate-code, $lookup, $subsumes, $find-matches, $batch-validate-code."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

Json = dict[str, Any]

SYSTEM, SET = "https://clinic.example/animals", "https://clinic.example/ValueSet/dogs"

ANIMALS: Json = {
    "resourceType": "CodeSystem",
    "id": "animals",
    "url": SYSTEM,
    "version": "1.0.0",
    "name": "Animals",
    "status": "active",
    "content": "complete",
    "language": "en",
    "property": [{"code": "legs", "type": "integer"}],
    "concept": [
        {
            "code": "dog",
            "display": "Dog",
            "designation": [{"language": "de", "value": "Hund"}],
            "property": [{"code": "legs", "valueInteger": 4}],
            "concept": [{"code": "pug", "display": "Pug", "property": [{"code": "legs", "valueInteger": 4}]}],
        },
        {"code": "hen", "display": "Hen", "property": [{"code": "legs", "valueInteger": 2}]},
    ],
}
DOGS: Json = {
    "resourceType": "ValueSet",
    "id": "dogs",
    "url": SET,
    "version": "1",
    "status": "active",
    "compose": {"include": [{"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "dog"}]}]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def stored(client: httpx.AsyncClient) -> AsyncIterator[None]:
    for resource in (ANIMALS, DOGS):
        (await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)).raise_for_status()
    yield
    for resource in (DOGS, ANIMALS):
        (await client.delete(f"{resource['resourceType']}/{resource['id']}")).raise_for_status()


def sent(*rows: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(rows)}


def values(body: Json) -> dict[str, Any]:
    """Return the parameters with plain values, by name."""
    rows = body["parameter"]
    return {row["name"]: value for row in rows for key, value in row.items() if key.startswith("value")}


def parts(body: Json, name: str) -> list[dict[str, Any]]:
    return [values({"parameter": row["part"]}) for row in body["parameter"] if row["name"] == name]


@pytest.mark.parametrize(
    ("path", "code", "result"),
    [
        (f"ValueSet/$validate-code?url={SET}&system={SYSTEM}&code=", "pug", True),
        (f"ValueSet/$validate-code?url={SET}&system={SYSTEM}&code=", "hen", False),
        (f"ValueSet/$validate-code?url={SET}&valueSetVersion=1&inferSystem=true&code=", "pug", True),
        (f"ValueSet/dogs/$validate-code?system={SYSTEM}&code=", "dog", True),
        (f"ValueSet/$validate-code?url={SYSTEM}?fhir_vs&system={SYSTEM}&code=", "hen", True),
        (f"CodeSystem/$validate-code?url={SYSTEM}&code=", "hen", True),
        (f"CodeSystem/$validate-code?url={SYSTEM}&version=1.0.0&code=", "cow", False),
        ("CodeSystem/animals/$validate-code?code=", "pug", True),
        ("CodeSystem/$validate-code?url=http://unitsofmeasure.org&code=", "mg/dL", True),
    ],
)
async def test_codes_are_valid_or_not(client: httpx.AsyncClient, path: str, code: str, result: bool) -> None:
    answer = await client.get(f"{path}{code}")
    assert answer.status_code == 200, answer.text
    assert values(answer.json())["result"] is result


async def test_a_value_set_and_a_code_system_may_come_with_the_request(client: httpx.AsyncClient) -> None:
    other = {**ANIMALS, "url": "urn:other", "concept": [{"code": "cow", "display": "Cow"}]}
    resource = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": "urn:other"}]}}
    rows = [
        {"name": "valueSet", "resource": resource},
        {"name": "tx-resource", "resource": other},
        {"name": "coding", "valueCoding": {"system": "urn:other", "code": "cow", "display": "cow"}},
    ]
    answer = await client.post("ValueSet/$validate-code", json=sent(*rows))
    assert values(answer.json())["result"] is True
    alone = await client.post(
        "CodeSystem/$validate-code",
        json=sent({"name": "codeSystem", "resource": other}, {"name": "code", "valueCode": "cow"}),
    )
    assert values(alone.json())["display"] == "Cow"


async def test_the_language_of_the_request_is_that_of_the_display(client: httpx.AsyncClient) -> None:
    path = f"ValueSet/dogs/$validate-code?system={SYSTEM}&code=dog"
    for more, headers in (("&displayLanguage=de", {}), ("", {"Accept-Language": "de"})):
        answer = await client.get(path + more, headers=headers)
        assert values(answer.json())["display"] == "Hund"


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"ValueSet/$validate-code?url={SET}&code=dog", 400, "Give 'system', or 'inferSystem'"),
        (f"ValueSet/$validate-code?system={SYSTEM}&code=dog", 400, "Say which value set is meant"),
        (f"ValueSet/$validate-code?url={SET}", 400, "Say which code is meant, in one way"),
        (
            f"ValueSet/$validate-code?url={SET}&system={SYSTEM}&code=dog&system-version=urn:x",
            400,
            "as in http://loinc.org|2.77",
        ),
        (f"ValueSet/$validate-code?url=urn:none&system={SYSTEM}&code=dog", 200, ""),
        (f"ValueSet/none/$validate-code?system={SYSTEM}&code=dog", 404, ""),
        ("CodeSystem/$validate-code?code=dog", 400, "Say which code system is meant"),
        ("CodeSystem/$lookup?code=dog", 400, "A code means nothing without its code system"),
        ("CodeSystem/$lookup?system=urn:none&code=dog", 404, "A definition for CodeSystem urn:none could not be found"),
        (f"CodeSystem/$lookup?system={SYSTEM}&code=cow", 404, "Unknown code 'cow'"),
        (f"CodeSystem/$lookup?system={SYSTEM}&version=7&code=dog", 404, "Valid versions: 1.0.0"),
        (f"CodeSystem/$lookup?system={SYSTEM}&code=dog&property=wings", 400, "has no property 'wings'"),
        (f"CodeSystem/$lookup?system={SYSTEM}&code=dog&useSupplement=urn:none", 404, "Required supplement not found"),
        (f"CodeSystem/$subsumes?system={SYSTEM}&codeA=dog", 400, "'codeB' with 'system', or 'codingB'"),
        (f"CodeSystem/$subsumes?system={SYSTEM}&codeA=dog&codeB=cow", 404, "Unknown code 'cow'"),
        ("CodeSystem/$find-matches?exact=true", 400, "is given 0 times"),
    ],
)
async def test_what_cannot_be_answered_is_told(client: httpx.AsyncClient, path: str, status: int, said: str) -> None:
    answer = await client.get(path)
    if status == 200:
        # The value set is not here: validators want an OperationOutcome of it.
        assert answer.status_code == 404
        (row,) = answer.json()["issue"]
        assert row["details"]["coding"][0]["code"] == "not-found"
        return
    assert answer.status_code == status, answer.text
    assert said in answer.json()["issue"][0]["details"]["text"]


async def test_a_code_is_looked_up_with_all_that_is_said_of_it(client: httpx.AsyncClient) -> None:
    body = (await client.get(f"CodeSystem/$lookup?system={SYSTEM}&code=dog")).json()
    told = values(body)
    assert (told["name"], told["version"], told["display"], told["abstract"]) == ("Animals", "1.0.0", "Dog", False)
    assert {one["value"] for one in parts(body, "designation")} == {"Dog", "Hund"}
    assert {"code": "legs", "value": 4} in parts(body, "property")
    assert {"code": "child", "value": "pug", "description": "Pug"} in parts(body, "property")


async def test_only_properties_that_are_asked_for_are_told(client: httpx.AsyncClient) -> None:
    body = (await client.get("CodeSystem/animals/$lookup?code=pug&property=parent")).json()
    assert parts(body, "property") == [{"code": "parent", "value": "dog", "description": "Dog"}]
    assert parts(body, "designation") == []


async def test_a_coding_is_looked_up_by_post(client: httpx.AsyncClient) -> None:
    coding = {"name": "coding", "valueCoding": {"system": SYSTEM, "code": "hen"}}
    assert values((await client.post("CodeSystem/$lookup", json=sent(coding))).json())["display"] == "Hen"


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("dog", "pug", "subsumes"),
        ("pug", "dog", "subsumed-by"),
        ("dog", "dog", "equivalent"),
        ("dog", "hen", "not-subsumed"),
    ],
)
async def test_one_code_is_above_another(client: httpx.AsyncClient, one: str, other: str, outcome: str) -> None:
    plain = await client.get(f"CodeSystem/$subsumes?system={SYSTEM}&codeA={one}&codeB={other}")
    rows = [
        {"name": name, "valueCoding": {"system": SYSTEM, "code": code}}
        for name, code in (("codingA", one), ("codingB", other))
    ]
    coded = await client.post("CodeSystem/$subsumes", json=sent(*rows))
    assert [values(answer.json())["outcome"] for answer in (plain, coded)] == [outcome, outcome]


async def test_codes_of_two_systems_are_not_compared(client: httpx.AsyncClient) -> None:
    rows = [{"name": f"coding{one}", "valueCoding": {"system": f"urn:{one}", "code": "a"}} for one in "AB"]
    answer = await client.post("CodeSystem/$subsumes", json=sent(*rows))
    assert answer.status_code == 400
    assert "two code systems" in answer.text


def stating(**stated: Any) -> list[Json]:
    kinds = {str: "valueString", int: "valueInteger"}
    return [
        {
            "name": "property",
            "part": [{"name": "code", "valueCode": name}, {"name": "value", kinds[type(value)]: value}],
        }
        for name, value in stated.items()
    ]


@pytest.mark.parametrize(
    ("exact", "stated", "found"),
    [
        (True, {"legs": 4}, ["dog", "pug"]),
        (True, {"legs": 4, "parent": "dog"}, ["pug"]),
        (True, {"legs": 2, "parent": "dog"}, []),
        (False, {"legs": 2, "parent": "dog"}, ["pug", "hen"]),
        (False, {"display": "pu"}, ["pug"]),
    ],
)
async def test_codes_are_found_by_what_is_stated_of_them(
    client: httpx.AsyncClient, exact: bool, stated: Json, found: list[str]
) -> None:
    rows: list[Json] = [{"name": "system", "valueUri": SYSTEM}, {"name": "exact", "valueBoolean": exact}]
    rows += stating(**stated)
    answer = await client.post("CodeSystem/$find-matches", json=sent(*rows))
    assert answer.status_code == 200, answer.text
    matches = [row["part"] for row in answer.json().get("parameter", [])]
    assert [part[0]["valueCoding"]["code"] for part in matches] == found
    assert all((len(part) == 1) == exact or stated == {"display": "pu"} for part in matches)


async def test_what_a_code_system_does_not_have_finds_nothing(client: httpx.AsyncClient) -> None:
    rows = [{"name": "exact", "valueBoolean": True}, *stating(wings=2)]
    answer = await client.post("CodeSystem/animals/$find-matches", json=sent(*rows))
    assert answer.status_code == 400
    assert "has no property 'wings'" in answer.text


async def test_many_codes_are_checked_at_once_and_one_that_is_refused_refuses_no_other(
    client: httpx.AsyncClient,
) -> None:
    codings = [{"name": "coding", "valueCoding": {"system": SYSTEM, "code": code}} for code in ("pug", "hen")]
    unknown = {"name": "url", "valueUri": "urn:none"}
    rows: list[Json] = [
        {"name": "url", "valueUri": SET},
        {"name": "validation", "resource": sent(codings[0])},
        {"name": "validation", "resource": sent(codings[1])},
        {"name": "validation", "resource": sent(codings[0], unknown)},
        {"name": "validation", "resource": sent()},
    ]
    answer = await client.post("ValueSet/$batch-validate-code", json=sent(*rows))
    assert answer.status_code == 200, answer.text
    found = [row["resource"] for row in answer.json()["parameter"]]
    assert [values(one)["result"] for one in found[:2]] == [True, False]
    assert [one["resourceType"] for one in found[2:]] == ["OperationOutcome", "OperationOutcome"]


async def test_a_batch_at_the_base_tells_code_systems_from_value_sets(client: httpx.AsyncClient) -> None:
    coding = {"name": "coding", "valueCoding": {"system": SYSTEM, "code": "hen"}}
    rows = [
        {"name": "validation", "resource": sent(coding)},
        {"name": "validation", "resource": sent(coding, {"name": "url", "valueUri": SET})},
    ]
    for path, expected in (("$batch-validate-code", [True, False]), ("CodeSystem/$batch-validate-code", [True])):
        answer = await client.post(path, json=sent(*rows[: len(expected)]))
        assert [values(row["resource"])["result"] for row in answer.json()["parameter"]] == expected


async def test_what_validators_pass_along_changes_nothing(client: httpx.AsyncClient) -> None:
    path = f"ValueSet/$validate-code?url={SET}&code=pug&implySystem=true&excludeNested=false&includeDefinition=true&count=5"
    assert values((await client.get(path)).json())["result"] is True


async def test_an_empty_batch_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("$batch-validate-code", json=sent())
    assert answer.status_code == 400
    assert "Give 1 to 1000" in answer.text
