"""A validator of questionnaires, and short ways to write them."""

from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.snapshot.source import Source
from profiles.validate.profile.codes import Codes
from profiles.validate.questionnaire.validator import QuestionnaireValidator
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]


@pytest.fixture(scope="session")
def questionnaires(definitions: Definitions) -> QuestionnaireValidator:
    return QuestionnaireValidator(Codes(Source(definitions)), Engine(definitions, units=Ucum.load()))
