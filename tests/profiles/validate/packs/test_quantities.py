"""Quantities in units of UCUM: the code is a unit, or it is told which one was meant."""

from typing import Any

import pytest

from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.validate.packs.messages import MESSAGES, REFUSED
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]


@pytest.fixture(scope="module")
def measuring(definitions: Definitions) -> Validator:
    """A validator that knows units, as that of the server does."""
    return Validator(definitions, Engine(definitions, units=Ucum.load()))


def told(validator: Validator, resource: Json, *, strict: bool = True) -> list[Issue]:
    return [one for one in validator.check(resource, strict=strict) if one.fails or one.message_id in MESSAGES]


def observation(**members: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}


def measured(code: str, **members: Any) -> Json:
    return observation(valueQuantity={"value": 5, "system": Ucum.system, "code": code, **members})


WRONG: list[tuple[str, str, Json]] = [
    ("ucum-code", "Observation.value.ofType(Quantity).code", measured("mmHg")),
    ("ucum-code", "Observation.component[0].value.ofType(Quantity).code", observation(component=[{"code": {"text": "x"}, "valueQuantity": {"system": Ucum.system, "code": "bpm"}}])),
    ("ucum-code", "Observation.value.ofType(Range).low.code", observation(valueRange={"low": {"value": 1, "system": Ucum.system, "code": "XX"}})),
    ("ucum-annotation", "Observation.value.ofType(Quantity).code", measured("{beats counted}/min")),
]  # fmt: skip

RIGHT: list[Json] = [
    *(measured(code) for code in ("mm[Hg]", "/min", "{beats}/min", "10*9/L", "1", "%", "mg/dL", "[IU]", "Cel")),
    observation(valueQuantity={"value": 5, "system": "http://snomed.info/sct", "code": "mmHg"}),
    observation(valueQuantity={"value": 5, "unit": "mmHg"}),
]


@pytest.mark.parametrize(("message_id", "place", "resource"), WRONG)
def test_what_is_wrong_is_found_where_it_is(measuring: Validator, message_id: str, place: str, resource: Json) -> None:
    assert [(one.message_id, one.expression) for one in told(measuring, resource)] == [(message_id, place)]
    (written,) = told(measuring, resource, strict=False)
    assert written.fails == (message_id in REFUSED)


@pytest.mark.parametrize("resource", RIGHT)
def test_what_is_right_passes(measuring: Validator, resource: Json) -> None:
    assert told(measuring, resource) == []


def test_a_unit_that_is_none_is_told_with_the_one_that_was_meant(measuring: Validator) -> None:
    (issue,) = told(measuring, measured("mmHg", unit="mmHg"))
    assert issue.text == (
        "Unknown code 'mmHg' in the CodeSystem 'http://unitsofmeasure.org': 'mmHg' is not a unit of UCUM. Did you mean mm[Hg]? "
        "Correct 'code'; 'unit' says it to people."
    )
    assert issue.code == "code-invalid"


def test_codes_of_any_length_are_told_in_bounded_size(measuring: Validator) -> None:
    for code in ("m" * 1_000_000, "(" * 200, "m/" * 100, "{" * 60):
        (issue,) = told(measuring, measured(code))
        assert len(issue.text) < 500


def test_without_units_nothing_is_said_of_them(validator: Validator) -> None:
    assert told(validator, measured("mmHg")) == []
