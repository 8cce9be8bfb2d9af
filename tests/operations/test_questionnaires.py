"""Answers over HTTP: `$validate` finds the Questionnaire that they are to, and writes go by the setting."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.settings import Validation
from tests.serving import alone, own

Json = dict[str, Any]

URL = "http://example.org/Questionnaire"
OUTCOME = {"Prefer": "return=OperationOutcome"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    """A server that refuses what questionnaires do not allow."""
    async with alone(own(data_dir, "answers", validation=Validation(questionnaires="enforce"))) as client:
        yield client


def questionnaire(name: str, **more: Any) -> Json:
    items = [{"linkId": "1", "text": "Age?", "type": "integer", "required": True}]
    return {
        "resourceType": "Questionnaire",
        "id": name,
        "url": f"{URL}/{name}",
        "status": "active",
        "item": items,
        **more,
    }


def response(canonical: str, *answers: Any, **more: Any) -> Json:
    kinds = {int: "valueInteger", str: "valueString"}
    item = {"linkId": "1", "answer": [{kinds[type(one)]: one} for one in answers]}
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": canonical,
        "status": "completed",
        **({"item": [item]} if answers else {}),
        **more,
    }


def ids(answer: httpx.Response) -> set[str]:
    """Return the message ids of an outcome, but for advice on narratives."""
    return {
        extension["valueString"].rpartition("#")[2]
        for issue in answer.json()["issue"]
        for extension in issue.get("extension", ())
        if extension["url"].endswith("operationoutcome-message-id")
    } - {"dom-6"}


async def put(client: httpx.AsyncClient, resource: Json) -> None:
    answer = await client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in {200, 201}, answer.text


async def validated(client: httpx.AsyncClient, resource: Json) -> set[str]:
    answer = await client.post("$validate", json=resource)
    assert answer.status_code == 200, answer.text
    return ids(answer)


async def test_answers_are_held_against_a_stored_questionnaire(client: httpx.AsyncClient) -> None:
    await put(client, questionnaire("age"))
    for canonical in (f"{URL}/age", "Questionnaire/age"):
        assert await validated(client, response(canonical, 5)) == set(), canonical
        assert await validated(client, response(canonical, "five")) == {"answer-type"}
        assert await validated(client, response(canonical)) == {"item-missing"}


async def test_a_canonical_means_its_version_or_the_newest_that_is_active(client: httpx.AsyncClient) -> None:
    def of(version: str, kind: str, status: str = "active") -> Json:
        item = {"linkId": "1", "type": kind}
        same = f"{URL}/versions"
        return questionnaire(f"v{version}", url=same, version=version, item=[item], status=status)

    for one in (of("9", "string"), of("10", "integer"), of("11", "string", "draft")):
        await put(client, one)
    assert await validated(client, response(f"{URL}/versions", 5)) == set()
    assert await validated(client, response(f"{URL}/versions|9", 5)) == {"answer-type"}
    assert await validated(client, response(f"{URL}/versions|9", "five")) == set()
    assert await validated(client, response(f"{URL}/versions|12", 5)) == {"questionnaire-unknown"}


async def test_options_come_from_stored_value_sets(client: httpx.AsyncClient) -> None:
    colours = f"{URL}/colours,of$a\\kind"
    concept = [{"code": "red"}]
    compose = {"include": [{"system": "http://example.org/colours", "concept": concept}]}
    value_set = {"resourceType": "ValueSet", "id": "colours", "url": colours, "status": "active", "compose": compose}
    await put(client, value_set)
    await put(client, questionnaire("coloured", item=[{"linkId": "1", "type": "choice", "answerValueSet": colours}]))

    def coloured(code: str) -> Json:
        coding = {"system": "http://example.org/colours", "code": code}
        return response(f"{URL}/coloured", item=[{"linkId": "1", "answer": [{"valueCoding": coding}]}])

    assert await validated(client, coloured("red")) == set()
    assert await validated(client, coloured("green")) == {"answer-set"}


async def test_a_questionnaire_may_be_contained_or_in_the_same_bundle(client: httpx.AsyncClient) -> None:
    contained = response("#asked", "five", contained=[questionnaire("asked")])
    assert await validated(client, contained) == {"answer-type"}
    entries = [{"resource": questionnaire("beside")}, {"resource": response(f"{URL}/beside", "five")}]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert "answer-type" in await validated(client, bundle)


async def test_what_is_not_a_questionnaire_or_not_there_is_told(client: httpx.AsyncClient) -> None:
    assert await validated(client, response(f"{URL}/nowhere", 5)) == {"questionnaire-unknown"}
    assert await validated(client, response("Questionnaire/nowhere", 5)) == {"questionnaire-unknown"}


async def test_what_is_no_resource_at_all_is_told_as_such(client: httpx.AsyncClient) -> None:
    wrong = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": {"resourceType": ["x"], "contained": 1}}],
    }
    for body in (wrong, response({"x": "y"}, 5), response(f"{URL}/a", 5, contained=[{"resourceType": {}}])):  # type: ignore[arg-type]
        answer = await client.post("$validate", json=body)
        assert answer.status_code == 200, answer.text
        assert any(issue["severity"] == "error" for issue in answer.json()["issue"])


async def test_a_questionnaire_that_cannot_be_answered_is_told(client: httpx.AsyncClient) -> None:
    asked = {"question": "2", "operator": "exists", "answerBoolean": True}
    wrong = questionnaire("wrong", item=[{"linkId": "1", "type": "string", "enableWhen": [asked]}])
    assert await validated(client, wrong) == {"enable-when-unknown"}


async def test_wrong_answers_are_stored_with_a_warning(client: httpx.AsyncClient) -> None:
    await put(client, questionnaire("warned"))
    answer = await client.post("QuestionnaireResponse", json=response(f"{URL}/warned", "five"), headers=OUTCOME)
    assert answer.status_code == 201
    assert ids(answer) == {"answer-type"}
    assert {issue["severity"] for issue in answer.json()["issue"]} <= {"warning", "information"}


async def test_wrong_answers_are_refused_where_that_is_set(strict: httpx.AsyncClient) -> None:
    await put(strict, questionnaire("strict"))
    wrong = response(f"{URL}/strict", "five", id="w")
    for answer in (
        await strict.post("QuestionnaireResponse", json=wrong),
        await strict.put("QuestionnaireResponse/w", json=wrong),
    ):
        assert answer.status_code == 422
        assert ids(answer) == {"answer-type"}
        assert answer.json()["issue"][0]["expression"] == ["QuestionnaireResponse.item[0].answer[0]"]
    right = await strict.put("QuestionnaireResponse/w", json=response(f"{URL}/strict", 5, id="w"))
    assert right.status_code == 201
    patch = [{"op": "replace", "path": "/item/0/answer/0", "value": {"valueString": "five"}}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await strict.patch("QuestionnaireResponse/w", json=patch, headers=headers)).status_code == 422


async def test_what_is_in_progress_or_answers_what_is_not_known_is_stored(strict: httpx.AsyncClient) -> None:
    await put(strict, questionnaire("begun"))
    begun = response(f"{URL}/begun", status="in-progress")
    assert (await strict.post("QuestionnaireResponse", json=begun)).status_code == 201
    unknown = response(f"{URL}/unknown", 5)
    assert (await strict.post("QuestionnaireResponse", json=unknown)).status_code == 201


async def test_a_transaction_may_bring_the_questionnaire_with_the_answers(strict: httpx.AsyncClient) -> None:
    def bundle(*answers: Any) -> Json:
        asked = questionnaire("brought")
        entries = [
            {"resource": asked, "request": {"method": "PUT", "url": "Questionnaire/brought"}},
            {
                "resource": response(f"{URL}/brought", *answers),
                "request": {"method": "POST", "url": "QuestionnaireResponse"},
            },
        ]
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    refused = await strict.post("", json=bundle("five"))
    assert refused.status_code == 422
    assert ids(refused) == {"answer-type"}
    assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.item[0].answer[0]"]
    assert (await strict.get("Questionnaire/brought")).status_code == 404
    assert (await strict.post("", json=bundle(5))).status_code == 200


async def test_a_questionnaire_that_cannot_be_answered_is_refused_where_that_is_set(strict: httpx.AsyncClient) -> None:
    asked = {"question": "2", "operator": "exists", "answerBoolean": True}
    wrong = questionnaire("wrong", item=[{"linkId": "1", "type": "string", "enableWhen": [asked]}])
    answer = await strict.put("Questionnaire/wrong", json=wrong)
    assert answer.status_code == 422
    assert ids(answer) == {"enable-when-unknown"}
