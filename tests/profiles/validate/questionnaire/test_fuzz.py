"""Whatever JSON a Questionnaire of a package or a response is made of, the check ends and says something."""

import os
import random
from copy import deepcopy
from decimal import Decimal
from typing import Any

from profiles.validate.questionnaire.validator import QuestionnaireValidator, canonicals
from tests.profiles.validate.questionnaire.samples import (
    BOOLEAN,
    FHIR,
    GROUP,
    RED,
    SDC,
    URL,
    WHEN_YES,
    YES,
    Json,
    coding,
    item,
    kilos,
    limit,
    question,
)

ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "600"))
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    Decimal("1.5"),
    "",
    "x",
    "#x",
    [],
    {},
    [[]],
    [{}],
    ["x"],
    {"x": "y"},
    {"item": [1]},
)

ASKED: Json = {
    "resourceType": "Questionnaire",
    "url": URL,
    "status": "active",
    "subjectType": ["Patient"],
    "effectivePeriod": {"start": "2020", "end": "2030"},
    "contained": [{"resourceType": "ValueSet", "id": "v", "expansion": {"total": 1, "contains": [{"code": "x"}]}}],
    "item": [
        BOOLEAN,
        GROUP,
        {**RED, "linkId": "c", "repeats": True},
        question("v", "choice", answerValueSet="#v"),
        question("w", "string", maxLength=3, extension=[limit(f"{FHIR}regex", valueString="a+")], **WHEN_YES),
        question(
            "q",
            "quantity",
            extension=[
                limit(f"{SDC}minQuantity", **kilos(1)),
                limit(f"{FHIR}questionnaire-unitOption", valueCoding={"code": "kg"}),
                limit(f"{FHIR}questionnaire-minOccurs", valueInteger=1),
            ],
        ),
    ],
}
ANSWERED: Json = {
    "resourceType": "QuestionnaireResponse",
    "questionnaire": URL,
    "status": "completed",
    "authored": "2026",
    "subject": {"reference": "Patient/1"},
    "contained": [{"resourceType": "Questionnaire", "id": "x"}],
    "item": [
        item("b", YES),
        item("g", item=[item("1", "a")]),
        item("c", coding("red"), coding("blue")),
        item("v", coding("x")),
        item("w", "aa"),
        item("q", kilos(2)),
    ],
}


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a value."""
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [pair for key in keys for pair in ((node, key), *places(node[key]))]


def test_no_json_makes_the_check_raise(questionnaires: QuestionnaireValidator) -> None:
    chance = random.Random(7)
    for _ in range(ROUNDS):
        asked, answered = deepcopy(ASKED), deepcopy(ANSWERED)
        for whole in chance.choice([(asked,), (answered,), (asked, answered)]):
            for _ in range(chance.randint(1, 3)):
                container, key = chance.choice(places(whole))
                container[key] = deepcopy(chance.choice(JUNK))
        for resource in (asked, answered, {"resourceType": "Bundle", "entry": [{"resource": answered}]}):
            canonicals(resource)
            questionnaires.check(resource, lambda _, asked=asked: asked)  # type: ignore[misc]
