"""Short ways to write questionnaires and the answers to them."""

from typing import Any

Json = dict[str, Any]

URL = "http://example.org/Questionnaire/q"
FHIR = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
COLOURS = "http://example.org/colours"
UCUM = "http://unitsofmeasure.org"


def question(link: str = "1", kind: str = "string", **more: Any) -> Json:
    return {"linkId": link, "type": kind, **more}


def item(link: str = "1", *answers: Any, **more: Any) -> Json:
    """An item of a response; an answer is its value as a string, or an object."""
    rows = [one if isinstance(one, dict) else {"valueString": one} for one in answers]
    return {"linkId": link, **({"answer": rows} if rows else {}), **more}


def limit(url: str, **value: Any) -> Json:
    return {"url": url, **value}


def coding(code: str, system: str = COLOURS, **more: Any) -> Json:
    return {"valueCoding": {"system": system, "code": code, **more}}


def kilos(value: Any, code: str = "kg") -> Json:
    return {"valueQuantity": {"value": value, "unit": code, "system": UCUM, "code": code}}


GROUP = question("g", "group", item=[question("1"), question("2")])
BOOLEAN = question("b", "boolean")
YES, NO = {"valueBoolean": True}, {"valueBoolean": False}
WHEN_YES: Json = {"enableWhen": [{"question": "b", "operator": "=", "answerBoolean": True}]}
RED = question(
    kind="choice", answerOption=[coding("red", display="Red"), coding("blue"), {"valueString": "none of them"}]
)


def ends(*found: str) -> set[str]:
    return set(found)


def sent(asked: list[Json], answered: list[Json], **more: Any) -> Any:
    questionnaire = {"resourceType": "Questionnaire", "url": URL, "status": "active", "item": asked}
    response = {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": "completed", "item": answered}
    return {**response, **more}, {URL: questionnaire}.get
