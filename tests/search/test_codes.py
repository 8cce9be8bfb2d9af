"""Sets of codes from the FHIR definitions: value sets, and what stands above and below a concept."""

import pytest

from fhir_server.model.errors import InvalidParameter, TooCostly
from fhir_server.search import codes
from fhir_server.search.codes import DefinedCodes, gathered
from profiles.definitions.registry import Definitions

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
GENDER = "http://hl7.org/fhir/administrative-gender"


@pytest.fixture(scope="module")
def sets(definitions: Definitions) -> DefinedCodes:
    return DefinedCodes(definitions)


async def test_a_value_set_has_the_codes_of_its_compose(sets: DefinedCodes) -> None:
    found = await sets.members("http://hl7.org/fhir/ValueSet/administrative-gender")
    assert found == {(GENDER, code) for code in ("male", "female", "other", "unknown")}
    assert await sets.members("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1") == found


async def test_excluded_codes_and_filters_count(sets: DefinedCodes) -> None:
    # v3-ActEncounterCode: what is below _ActEncounterCode.
    found = {code for _, code in await sets.members("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")}
    assert {"AMB", "IMP", "EMER", "VR"} <= found
    assert "ACUTE" in found
    assert "CONT" not in found


async def test_below_and_above_include_the_concept_itself(sets: DefinedCodes) -> None:
    assert await sets.below(ACT, "IMP") == {(ACT, code) for code in ("IMP", "ACUTE", "NONAC")}
    assert await sets.below(ACT, "ACUTE") == {(ACT, "ACUTE")}
    assert {(ACT, "IMP"), (ACT, "ACUTE"), (ACT, "_ActEncounterCode")} <= await sets.above(ACT, "ACUTE")


async def test_above_is_the_opposite_of_below(sets: DefinedCodes, definitions: Definitions) -> None:
    system = definitions.code_system(ROLE)
    assert system is not None
    some = [row["code"] for row in system["concept"]][:20]
    for upper in some:
        for _, lower in await sets.below(ROLE, upper):
            assert (ROLE, upper) in await sets.above(ROLE, lower)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://hl7.org/fhir/ValueSet/administrative-gendr", "is not known here. Did you mean 'http://hl7.org/fhir/ValueSet/administrative-gender'?"),
        ("http://hl7.org/fhir/ValueSet/administrative-gender|9", "is known in version 4.0.1, not in '9'."),
        ("http://hl7.org/fhir/ValueSet/condition-code", "cannot be listed: it rests on a code system of which only the name is here"),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_value_set_and_what_is_possible(sets: DefinedCodes, url: str, text: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        await sets.members(url)
    assert text in str(refused.value)
    assert url.partition("|")[0] in str(refused.value)


@pytest.mark.parametrize(
    ("system", "code", "text"),
    [
        ("urn:nothing", "x", "The code system 'urn:nothing' is not known here."),
        ("http://snomed.info/sct", "73211009", "is not"),
        (ACT, "imp", f"The code system '{ACT}' has no code 'imp'. Codes are case sensitive."),
    ],
)
async def test_a_refusal_names_the_concept(sets: DefinedCodes, system: str, code: str, text: str) -> None:
    for asked in (sets.below, sets.above):
        with pytest.raises(InvalidParameter) as refused:
            await asked(system, code)
        assert text in str(refused.value)


async def test_a_set_that_is_too_large_is_refused_and_never_cut(
    sets: DefinedCodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "MOST_CODES", 6)
    assert len(await sets.members("http://hl7.org/fhir/ValueSet/administrative-gender")) == 4
    with pytest.raises(TooCostly) as refused:
        await sets.members("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")
    assert "a search takes at most 6. Name a smaller set." in str(refused.value)
    names = [
        ("http://hl7.org/fhir/ValueSet/administrative-gender", ""),
        ("http://hl7.org/fhir/ValueSet/narrative-status", ""),
    ]
    with pytest.raises(TooCostly):
        await gathered(sets, "in", names)


async def test_every_value_set_is_either_listed_or_refused(sets: DefinedCodes, definitions: Definitions) -> None:
    listed = 0
    for url in list(definitions.terminology.value_sets)[::4]:
        try:
            listed += len(await sets.members(url)) > 0
        except InvalidParameter as error:
            assert url in str(error)  # noqa: PT017 - one of the two
    assert listed > 200
