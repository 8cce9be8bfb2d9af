"""Answers are held against the Questionnaires and value sets of the packages that a process goes by."""

from typing import Any

from fhir_server.checks import Asked, Checks
from profiles.definitions.registry import load
from profiles.packages.library import Library
from tests.guides.packages import Publisher

Json = dict[str, Any]


def test_a_questionnaire_of_a_guide_is_found_by_canonical_and_by_version() -> None:
    forms = Publisher("forms")
    system, url = f"{forms.canonical}/CodeSystem/c", f"{forms.canonical}/Questionnaire/q"
    value_set = {
        "resourceType": "ValueSet",
        "id": "v",
        "url": f"{forms.canonical}/ValueSet/v",
        "status": "active",
        "compose": {"include": [{"system": system, "concept": [{"code": "red"}]}]},
    }
    questionnaire = {
        "resourceType": "Questionnaire",
        "id": "q",
        "url": url,
        "version": "1.0.0",
        "status": "active",
        "item": [{"linkId": "1", "type": "choice", "answerValueSet": value_set["url"]}],
    }
    checks = Checks(load())
    checks.adopt(Library([forms.package("1.0.0", questionnaire, value_set)]))

    def found(canonical: str, code: str) -> list[str]:
        item = {"linkId": "1", "answer": [{"valueCoding": {"system": system, "code": code}}]}
        response = {
            "resourceType": "QuestionnaireResponse",
            "questionnaire": canonical,
            "status": "completed",
            "item": [item],
        }
        return [one.message_id for one in checks.answers(response, Asked())]

    assert found(url, "red") == []
    assert found(url, "green") == ["answer-set"]
    assert found(f"{url}|1.0.0", "green") == ["answer-set"]
    assert found(f"{url}|2.0.0", "green") == ["questionnaire-unknown"]
    own = {**questionnaire, "item": [{"linkId": "1", "type": "choice"}]}
    assert checks.answers({"resourceType": "QuestionnaireResponse", "questionnaire": url}, Asked({url: own})) == []
