"""Value sets and code systems that are made to break a terminology server: refused by a sentence, soon, and never by 500."""

from typing import Any

import httpx
import pytest

from tests.effort import within

Json = dict[str, Any]

U = "https://example.org/hostile/"


def system(**more: Any) -> Json:
    concepts = [{"code": "a", "display": "A"}, {"code": "b", "display": "B"}]
    head = {"resourceType": "CodeSystem", "url": f"{U}cs", "version": "1", "status": "active", "caseSensitive": True}
    return {**head, "content": "complete", "concept": concepts, **more}


def value_set(name: str, include: list[Json], **more: Any) -> Json:
    return {"resourceType": "ValueSet", "url": U + name, "status": "active", "compose": {"include": include}, **more}


def asked(root: Json, *given: Json) -> Json:
    rows = [{"name": "valueSet", "resource": root}, *({"name": "tx-resource", "resource": one} for one in given)]
    return {"resourceType": "Parameters", "parameter": rows}


async def both(client: httpx.AsyncClient, root: Json, *given: Json) -> tuple[httpx.Response, httpx.Response]:
    """Return the answers of $expand and $validate-code, neither of which is an error of the server, nor late."""
    body = asked(root, *given)
    with within(15):
        expanded = await client.post("ValueSet/$expand", json=body)
        body["parameter"].append({"name": "coding", "valueCoding": {"system": f"{U}cs", "code": "a"}})
        validated = await client.post("ValueSet/$validate-code", json=body)
    assert {expanded.status_code, validated.status_code} <= {200, 400, 404, 422}, (expanded.text, validated.text)
    return expanded, validated


def text(response: httpx.Response) -> str:
    found: str = response.json()["issue"][0]["details"]["text"]
    return found


async def test_value_sets_within_one_that_import_each_other_are_refused(client: httpx.AsyncClient) -> None:
    inner = [
        {
            "resourceType": "ValueSet",
            "id": one,
            "status": "active",
            "compose": {"include": [{"valueSet": [f"#{other}"]}]},
        }
        for one, other in (("a", "b"), ("b", "a"))
    ]
    root = value_set("", [{"valueSet": ["#a"]}], contained=inner)
    del root["url"]
    for answer in await both(client, root):
        assert answer.status_code == 422
        assert "circularity pointing to #a" in text(answer)


async def test_a_row_of_imports_without_end_is_refused(client: httpx.AsyncClient) -> None:
    row = [value_set(f"v{one}", [{"valueSet": [f"{U}v{one + 1}"]}]) for one in range(400)]
    for answer in await both(client, *row, system()):
        assert answer.status_code == 422
        assert "imported over more than 50 others in a row" in text(answer)


async def test_imports_that_double_at_each_step_are_worked_out_once(client: httpx.AsyncClient) -> None:
    row = [value_set(f"v{one}", [{"valueSet": [f"{U}v{one + 1}"]}] * 2) for one in range(40)]
    expanded, validated = await both(client, *row, value_set("v40", [{"system": f"{U}cs"}]), system())
    assert expanded.json()["expansion"]["total"] == 2
    assert validated.json()["parameter"][0] == {"name": "result", "valueBoolean": True}


@pytest.mark.parametrize("regex", ["[", "(?=a)a", "a{1000}{1000}", "(a?){1000}a{1000}", "\\p{L}{900}"])
async def test_an_expression_that_is_none_or_costs_too_much_is_refused(client: httpx.AsyncClient, regex: str) -> None:
    root = value_set("vs", [{"system": f"{U}cs", "filter": [{"property": "code", "op": "regex", "value": regex}]}])
    expanded, _ = await both(client, root, system(concept=[{"code": "a" * 5000}, {"code": "a"}]))
    assert expanded.status_code == 422
    assert "regular expression" in expanded.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"url": ["x"]}, "url' of the CodeSystem that comes with the request is an array"),
        ({"content": {"a": 1}}, "content' of the CodeSystem that comes with the request is an object"),
        ({"concept": [{"code": 7}]}, "'concept[0].code' of the CodeSystem that comes with the request is a number"),
        ({"concept": [{"code": "a", "extension": [{"url": None}]}]}, "'concept[0].extension[0].url'"),
        ({"concept": [{"code": "a", "designation": [{"use": {"code": []}}]}]}, "'concept[0].designation[0].use.code'"),
        ({"resourceType": {}}, "has no 'resourceType'"),
    ],
)
async def test_something_else_where_a_text_belongs_is_refused(
    client: httpx.AsyncClient, changed: Json, place: str
) -> None:
    for answer in await both(client, value_set("vs", [{"system": f"{U}cs"}]), system(**changed)):
        assert answer.status_code == 400
        assert place in text(answer)


async def test_concepts_below_each_other_without_end_are_refused(client: httpx.AsyncClient) -> None:
    concept: Json = {"code": "last"}
    for one in range(150):
        concept = {"code": f"c{one}", "concept": [concept]}
    for answer in await both(client, value_set("vs", [{"system": f"{U}cs"}]), system(concept=[concept])):
        assert answer.status_code in {200, 400}, answer.text


async def test_maps_that_lead_to_others_without_end_are_not_followed(client: httpx.AsyncClient) -> None:
    maps = [
        {
            "resourceType": "ConceptMap",
            "url": f"{U}m{one}",
            "status": "active",
            "group": [
                {"source": f"{U}cs", "target": f"{U}t", "unmapped": {"mode": "other-map", "url": f"{U}m{one + 1}"}}
            ],
        }
        for one in range(300)
    ]
    rows = [{"name": "tx-resource", "resource": one} for one in maps]
    rows += [
        {"name": "url", "valueUri": f"{U}m0"},
        {"name": "coding", "valueCoding": {"system": f"{U}cs", "code": "a"}},
    ]
    answer = await client.post("ConceptMap/$translate", json={"resourceType": "Parameters", "parameter": rows})
    assert answer.status_code == 200, answer.text
    assert "Too many maps lead to" in answer.text


async def test_a_property_without_parts_is_refused_by_find_matches(client: httpx.AsyncClient) -> None:
    rows = [
        {"name": "system", "valueUri": f"{U}cs"},
        {"name": "exact", "valueBoolean": True},
        {"name": "property", "part": []},
        {"name": "tx-resource", "resource": system()},
    ]
    answer = await client.post("CodeSystem/$find-matches", json={"resourceType": "Parameters", "parameter": rows})
    assert answer.status_code == 400
    assert "two parts, 'code' and 'value'" in answer.text


async def test_a_list_of_languages_without_end_is_read_as_far_as_it_makes_sense(client: httpx.AsyncClient) -> None:
    body = asked(value_set("vs", [{"system": f"{U}cs"}]), system())
    body["parameter"].append({"name": "displayLanguage", "valueString": ",".join(["de;q=0.1"] * 10_000)})
    answer = await client.post("ValueSet/$expand", json=body)
    assert answer.status_code == 200
    assert len(answer.content) < 5_000
