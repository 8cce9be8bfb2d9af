"""Sets of codes for searches: value sets, and what is below and above a concept, wherever they are defined."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.main import Service, running
from fhir_server.model.errors import InvalidParameter
from fhir_server.model.query import NOTHING, Where
from fhir_server.search import codes
from fhir_server.search.codes import CodeSets, TooMany, gathered
from tests.conftest import dropped
from tests.serving import own

Json = dict[str, Any]
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ENCOUNTERS = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
OWN, UCUM = "https://clinic.example", "http://unitsofmeasure.org"


class Blind(Unrestricted):
    """A caller who may see no value sets."""

    def shown(self, resource_type: str) -> Where:
        return NOTHING if resource_type == "ValueSet" else super().shown(resource_type)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    settings = own(data_dir, "sets")
    async with running(settings) as service:
        yield service
    await dropped(settings.data_dir, settings.mongo.database)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sets(service: Service) -> CodeSets:
    concepts = [{"code": "a", "concept": [{"code": "b", "concept": [{"code": "c"}]}]}, {"code": "d"}]
    stored: list[Json] = [
        {"resourceType": "CodeSystem", "id": "own", "url": f"{OWN}/cs", "content": "complete", "concept": concepts},
        {"resourceType": "CodeSystem", "id": "parts", "url": f"{OWN}/parts", "content": "complete", "hierarchyMeaning": "part-of",
         "concept": concepts},
        {"resourceType": "ValueSet", "id": "own", "url": f"{OWN}/vs", "version": "2", "compose": {
            "include": [{"system": f"{OWN}/cs", "filter": [{"property": "concept", "op": "is-a", "value": "b"}]},
                        {"valueSet": [GENDERS]}]}},
        {"resourceType": "ValueSet", "id": "units", "url": f"{OWN}/units", "compose": {"include": [{"system": UCUM}]}},
        {"resourceType": "ValueSet", "id": "lost", "url": f"{OWN}/lost", "compose": {"include": [{"system": "urn:lost"}]}},
    ]  # fmt: skip
    for one in stored:
        await service.repository.update(one["resourceType"], one["id"], {**one, "status": "active"})
    found = service.repository.pages.reading.codes
    assert found is not None
    return found.seen_by(service.repository)


async def test_a_value_set_has_the_codes_of_its_compose(sets: CodeSets) -> None:
    found = await sets.members(GENDERS)
    assert found == {(GENDER, code) for code in ("male", "female", "other", "unknown")}
    assert await sets.members(f"{GENDERS}|4.0.1") == found
    assert await sets.members(f"{OWN}/vs") == found | {(f"{OWN}/cs", "b"), (f"{OWN}/cs", "c")}


async def test_nobody_uses_a_value_set_that_they_may_not_see(sets: CodeSets, service: Service) -> None:
    blind = sets.seen_by(replace(service.repository, scope=Blind("a caller")))
    assert await blind.members(GENDERS) == await sets.members(GENDERS)
    for asked in (blind.members(f"{OWN}/vs"), blind.among("in", [(f"{OWN}/vs", "")], [(f"{OWN}/cs", "b")])):
        with pytest.raises(InvalidParameter) as refused:
            await asked
        assert f"'{OWN}/vs' is not known here" in str(refused.value)


async def test_excluded_codes_and_filters_count(sets: CodeSets) -> None:
    # v3-ActEncounterCode: what is below _ActEncounterCode.
    found = {code for _, code in await sets.members(ENCOUNTERS)}
    assert {"AMB", "IMP", "EMER", "VR", "ACUTE"} <= found
    assert "CONT" not in found


async def test_below_and_above_include_the_concept_itself(sets: CodeSets) -> None:
    assert await sets.below(ACT, "IMP") == {(ACT, code) for code in ("IMP", "ACUTE", "NONAC")}
    assert await sets.below(ACT, "ACUTE") == {(ACT, "ACUTE")}
    assert {(ACT, "IMP"), (ACT, "ACUTE"), (ACT, "_ActEncounterCode")} <= await sets.above(ACT, "ACUTE")
    assert await sets.below(f"{OWN}/cs", "b") == {(f"{OWN}/cs", "b"), (f"{OWN}/cs", "c")}
    assert await sets.above(f"{OWN}/cs", "d") == {(f"{OWN}/cs", "d")}


async def test_above_is_the_opposite_of_below(sets: CodeSets, service: Service) -> None:
    system = service.definitions.code_system(ROLE)
    assert system is not None
    for upper in [row["code"] for row in system["concept"]][:10]:
        for _, lower in await sets.below(ROLE, upper):
            assert (ROLE, upper) in await sets.above(ROLE, lower)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (f"{GENDERS[:-1]}", f"is not known here. Did you mean '{GENDERS}'?"),
        (f"{GENDERS}|9", "is known in version 4.0.1, not in '9'."),
        (f"{OWN}/vs|3", "is known in version 2, not in '3'."),
        (f"{OWN}/lost", "cannot be told"),
        ("http://hl7.org/fhir/ValueSet/condition-code", "cannot be told"),
    ],
)
async def test_a_refusal_names_the_value_set_and_what_is_possible(sets: CodeSets, url: str, text: str) -> None:
    for asked in (sets.members(url), sets.among("in", [(url, "")], [("urn:x", "y")])):
        with pytest.raises(InvalidParameter) as refused:
            await asked
        assert text in str(refused.value)
        assert url.partition("|")[0] in str(refused.value)


@pytest.mark.parametrize(
    ("system", "code", "text"),
    [
        ("urn:nothing", "x", "The code system 'urn:nothing' is not known here."),
        ("http://snomed.info/sct", "73211009", "is not"),
        (ACT, "imp", f"The code system '{ACT}' has no code 'imp'."),
        (f"{OWN}/parts", "a", "is part-of, so no concept of it subsumes another"),
    ],
)
async def test_a_refusal_names_the_concept(sets: CodeSets, system: str, code: str, text: str) -> None:
    for asked in (sets.below(system, code), sets.above(system, code), sets.among("below", [(system, code)], [])):
        with pytest.raises(InvalidParameter) as refused:
            await asked
        assert text in str(refused.value)


async def test_of_a_large_set_it_is_asked_what_is_in_it(sets: CodeSets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.vocabulary.sets.MOST_CODES", 2)
    own = f"{OWN}/cs"
    stored = {(own, "a"), (own, "c"), (own, "d"), ("urn:other", "c"), (GENDER, "male"), (GENDER, "c")}
    with pytest.raises(TooMany) as refused:
        await sets.below(own, "a")
    assert "has 3 codes; a search takes at most" in str(refused.value)
    assert await sets.among("below", [(own, "b")], stored) == {(own, "b"), (own, "c")}
    assert await sets.among("above", [(own, "c")], stored) == {(own, "c"), (own, "a")}
    with pytest.raises(TooMany):
        await sets.members(f"{OWN}/vs")
    assert await sets.among("in", [(f"{OWN}/vs", "")], stored) == {(own, "c"), (GENDER, "male")}
    both = [(f"{OWN}/vs", ""), (ENCOUNTERS, "")]
    assert await sets.among("in", both, {*stored, (ACT, "AMB")}) == {(own, "c"), (GENDER, "male"), (ACT, "AMB")}


async def test_codes_without_end_are_told_one_by_one(sets: CodeSets) -> None:
    with pytest.raises(TooMany):
        await sets.members(f"{OWN}/units")
    stored = {(UCUM, "mg/dL"), (UCUM, "no unit"), ("urn:other", "mg/dL")}
    assert await sets.among("in", [(f"{OWN}/units", "")], stored) == {(UCUM, "mg/dL")}


async def test_several_sets_together_are_not_too_large(sets: CodeSets, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [(GENDERS, ""), ("http://hl7.org/fhir/ValueSet/narrative-status", "")]
    assert len(await gathered(sets, "in", names)) == 8
    monkeypatch.setattr(codes, "MOST_CODES", 6)
    with pytest.raises(TooMany):
        await gathered(sets, "in", names)
