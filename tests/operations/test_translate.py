"""ConceptMap/$translate over HTTP: in the words of R4 and of R5, by maps that are stored, named, or sent."""

from typing import Any

import httpx
import pytest
import pytest_asyncio

Json = dict[str, Any]
LOCAL, LOINC, OLD = "https://clinic.example/codes", "http://loinc.org", "https://clinic.example/old-codes"
MAP, URL = "ConceptMap/$translate", "https://clinic.example/ConceptMap/lab"


def concept_map(url: str = URL, version: str = "2", source: str = LOCAL, **more: Any) -> Json:
    rows = [
        {"code": "hb", "target": [{"code": "718-7", "equivalence": "wider", "display": "Hemoglobin"}]},
        {"code": "free", "target": [{"equivalence": "unmatched"}]},
        {
            "code": "na",
            "target": [
                {
                    "code": "2951-2",
                    "equivalence": "equal",
                    "dependsOn": [{"property": "urn:specimen", "value": "serum"}],
                    "product": [{"property": "urn:method", "system": "urn:methods", "value": "ise"}],
                }
            ],
        },
    ]
    group = {"source": source, "target": LOINC, "element": rows}
    stated = {"resourceType": "ConceptMap", "url": url, "version": version, "status": "active"}
    return {**stated, "group": [group], **more}


def sent(**values: Any) -> Json:
    kinds = {
        "code": "Code",
        "sourceCode": "Code",
        "targetCode": "Code",
        "reverse": "Boolean",
        "conceptMapVersion": "String",
    }
    rows: list[Json] = []
    for name, value in values.items():
        if name == "dependency":
            text = {"text": value[1]}
            rows.append(
                {
                    "name": name,
                    "part": [
                        {"name": "element", "valueUri": value[0]},
                        {"name": "concept", "valueCodeableConcept": text},
                    ],
                }
            )
        elif isinstance(value, dict) and "resourceType" in value:
            rows.append({"name": name.replace("_", "-"), "resource": value})
        elif isinstance(value, dict):
            rows.append({"name": name, f"value{'CodeableConcept' if 'coding' in value else 'Coding'}": value})
        else:
            rows.append({"name": name, f"value{kinds.get(name, 'Uri')}": value})
    return {"resourceType": "Parameters", "parameter": rows}


def told(response: httpx.Response) -> tuple[bool, list[dict[str, Any]]]:
    """Return the result, and of each match its parts by name."""
    assert response.status_code == 200, response.text
    rows = response.json()["parameter"]
    (result,) = [row["valueBoolean"] for row in rows if row["name"] == "result"]
    matches = [
        {part["name"]: next((value for key, value in part.items() if key != "name"), None) for part in row["part"]}
        for row in rows
        if row["name"] == "match"
    ]
    return result, matches


def message(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(next(row["valueString"] for row in response.json()["parameter"] if row["name"] == "message"))


def refused(response: httpx.Response, status: int) -> Json:
    assert response.status_code == status, response.text
    issue: Json = response.json()["issue"][0]
    return issue


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def record(client: httpx.AsyncClient) -> httpx.AsyncClient:
    older = concept_map(version="1")
    older["group"][0]["element"][0]["target"][0]["code"] = "old"
    for name, resource in (("lab-1", older), ("lab", concept_map())):
        response = await client.put(f"ConceptMap/{name}", json={**resource, "id": name})
        assert response.status_code == 201, response.text
    return client


HB = {
    "equivalence": "wider",
    "relationship": "source-is-narrower-than-target",
    "concept": {"system": LOINC, "code": "718-7", "display": "Hemoglobin"},
    "source": f"{URL}|2",
}


@pytest.mark.parametrize(
    "asked",
    [
        {"url": URL, "code": "hb", "system": LOCAL},
        {"url": f"{URL}|2", "code": "hb"},
        {"code": "hb", "system": LOCAL, "targetsystem": LOINC},
        {"coding": {"system": LOCAL, "code": "hb", "display": "whatever"}},
        {
            "codeableConcept": {
                "coding": [{"code": "y"}, {"system": "urn:x", "code": "y"}, {"system": LOCAL, "code": "hb"}]
            }
        },
    ],
)
async def test_the_newest_map_that_is_stored_translates(record: httpx.AsyncClient, asked: Json) -> None:
    assert told(await record.post(MAP, json=sent(**asked))) == (True, [HB])


async def test_it_is_asked_with_get_and_on_an_instance_as_well(record: httpx.AsyncClient) -> None:
    asked = {"url": URL, "code": "hb", "system": LOCAL}
    assert told(await record.get(MAP, params=asked)) == (True, [HB])
    _, (old,) = told(await record.get(MAP, params={**asked, "conceptMapVersion": "1"}))
    assert (old["concept"]["code"], old["source"]) == ("old", f"{URL}|1")
    assert told(await record.get("ConceptMap/lab/$translate", params={"code": "hb", "system": LOCAL})) == (True, [HB])
    assert told(await record.post("ConceptMap/lab/$translate", json=sent(code="hb"))) == (True, [HB])


async def test_the_way_back_turns_what_is_said_of_it(record: httpx.AsyncClient) -> None:
    asked = sent(url=URL, code="718-7", system=LOINC, reverse=True)
    _, (match,) = told(await record.post(MAP, json=asked))
    assert match["concept"] == {"system": LOCAL, "code": "hb"}
    assert (match["equivalence"], match["relationship"]) == ("narrower", "source-is-broader-than-target")


async def test_who_asks_in_the_words_of_r5_is_answered_in_them(record: httpx.AsyncClient) -> None:
    forth = sent(sourceCode="hb", sourceSystem=LOCAL, targetSystem=LOINC)
    _, (match,) = told(await record.post(MAP, json=forth))
    assert match == {**{key: value for key, value in HB.items() if key != "source"}, "originMap": f"{URL}|2"}
    back = sent(targetCode="718-7", targetSystem=LOINC, sourceSystem=LOCAL)
    _, (match,) = told(await record.post(MAP, json=back))
    assert match["concept"] == HB["concept"]
    assert match["source"] == {"system": LOCAL, "code": "hb"}
    assert (match["equivalence"], match["relationship"]) == ("wider", "source-is-narrower-than-target")


async def test_what_depends_on_another_element_says_so(record: httpx.AsyncClient) -> None:
    asked = {"url": URL, "code": "na", "system": LOCAL}
    without = await record.post(MAP, json=sent(**asked))
    assert told(without) == (False, [])
    assert "urn:specimen" in message(without)
    _, (match,) = told(await record.post(MAP, json=sent(**asked, dependency=("urn:specimen", "serum"))))
    assert match["concept"]["code"] == "2951-2"
    assert match["product"] == [
        {"name": "element", "valueUri": "urn:method"},
        {"name": "concept", "valueCoding": {"system": "urn:methods", "code": "ise"}},
    ]
    assert told(await record.post(MAP, json=sent(**asked, dependency=("urn:specimen", "urine")))) == (False, [])


async def test_that_there_is_none_is_said_with_the_reason(record: httpx.AsyncClient) -> None:
    result, (match,) = told(await record.post(MAP, json=sent(url=URL, code="free", system=LOCAL)))
    assert (result, match["equivalence"]) == (False, "unmatched")
    for asked in (
        {"url": URL, "code": "nothing", "system": LOCAL},
        {"code": "hb", "system": LOCAL, "targetsystem": OLD},
    ):
        answer = await record.post(MAP, json=sent(**asked))
        assert told(answer) == (False, [])
        assert asked["code"] in message(answer)


async def test_maps_that_are_sent_count_before_those_that_are_stored(record: httpx.AsyncClient) -> None:
    given = concept_map()
    given["group"][0]["element"][0]["target"][0]["code"] = "sent"
    for asked in (
        sent(conceptMap=given, code="hb", system=LOCAL),
        sent(tx_resource=given, url=URL, code="hb", system=LOCAL),
    ):
        _, (match,) = told(await record.post(MAP, json=asked))
        assert match["concept"]["code"] == "sent"


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"url": URL}, 400, "in one way"),
        ({"url": URL, "code": "hb", "targetCode": "x"}, 400, "Here are code and targetCode"),
        ({"code": "hb"}, 400, "which code system"),
        ({"url": URL, "conceptMap": concept_map(), "code": "hb"}, 400, "Name one map"),
        ({"url": "urn:none", "code": "hb", "system": LOCAL}, 404, "is not known here"),
        ({"url": URL, "conceptMapVersion": "7", "code": "hb", "system": LOCAL}, 404, "there is 1 or 2"),
        ({"url": URL, "codeableConcept": {"coding": []}}, 400, "has no coding"),
        ({"url": URL, "code": "hb", "colour": "red"}, 400, "no parameter 'colour'"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    record: httpx.AsyncClient, asked: Json, status: int, text: str
) -> None:
    issue = refused(await record.post(MAP, json=sent(**asked)), status)
    assert text in issue["details"]["text"]
    if status == 404:
        assert issue["details"]["coding"] == [
            {"system": "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type", "code": "not-found"}
        ]


async def test_an_instance_names_the_map_itself(record: httpx.AsyncClient) -> None:
    refused(await record.post("ConceptMap/lab/$translate", json=sent(url=URL, code="hb")), 400)
    refused(await record.post("ConceptMap/none/$translate", json=sent(code="hb")), 404)
    broken = {"resourceType": "Parameters", "parameter": [{"name": "code", "valueCode": "x"}, {"name": "dependency"}]}
    refused(await record.post("ConceptMap/lab/$translate", json=broken), 400)


async def test_a_concept_of_very_many_codings_is_refused_and_not_cut_off(client: httpx.AsyncClient) -> None:
    concept = {"coding": [{"system": "http://town.example/a", "code": str(number)} for number in range(101)]}
    body = {"resourceType": "Parameters", "parameter": [{"name": "codeableConcept", "valueCodeableConcept": concept}]}
    answer = await client.post("ConceptMap/$translate", json=body)
    assert answer.status_code == 400, answer.text
    assert "100 are taken at once" in answer.json()["issue"][0]["details"]["text"]
