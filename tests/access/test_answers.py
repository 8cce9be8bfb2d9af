"""Answers are held against a Questionnaire only for who may see it; for others it is as if there were none."""

from collections.abc import Callable
from typing import Any

from tests.access.house import ORIGIN, STAFF, Caller, House

Json = dict[str, Any]


async def test_a_hidden_questionnaire_tells_nothing(house: House, doctor: Caller, fresh: Callable[[str], str]) -> None:
    name = fresh("asked")
    url = f"http://example.org/Questionnaire/{name}"
    asked = {
        "resourceType": "Questionnaire",
        "id": name,
        "url": url,
        "status": "active",
        "item": [{"linkId": "1", "type": "integer"}],
    }
    assert (await doctor.ask("PUT", f"Questionnaire/{name}", asked)).status_code == 201
    writer = await house.as_("user/QuestionnaireResponse.cruds", user=STAFF)
    ann = await house.as_("patient/*.cruds", user="u-ann", patient="ann")

    async def told(caller: Caller, canonical: str) -> Any:
        item = {"linkId": "1", "answer": [{"valueString": "five"}]}
        body = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": canonical,
            "status": "completed",
            "item": [item],
        }
        answer = await caller.ask("POST", "QuestionnaireResponse/$validate", body)
        assert answer.status_code == 200, answer.text
        return [issue["details"]["text"].replace(canonical, "…") for issue in answer.json()["issue"]]

    for canonical, nothing in (
        (url, url.replace("asked", "other")),
        (f"Questionnaire/{name}", f"Questionnaire/{fresh('other')}"),
        (f"{ORIGIN}/fhir/Questionnaire/{name}", f"{ORIGIN}/fhir/Questionnaire/{fresh('other')}"),
    ):
        for who in (doctor, ann):
            assert any("answered by integer" in one for one in await told(who, canonical))
        hidden = await told(writer, canonical)
        assert hidden == await told(writer, nothing)
        assert any("could not be found" in one for one in hidden)
