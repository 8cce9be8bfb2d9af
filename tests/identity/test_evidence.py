"""Grades: what makes two descriptions one person, and what never does."""

from typing import Any

import pytest

from fhir_server.identity import traits
from fhir_server.identity.evidence import Grade, Verdict, compare

NATIONAL = "https://country.example/national"
MRN = "https://clinic.example/mrn"
V2 = "http://terminology.hl7.org/CodeSystem/v2-0203"


def patient(**changes: Any) -> dict[str, Any]:
    """Return Clara, as one facility knows her."""
    known: dict[str, Any] = {
        "resourceType": "Patient",
        "name": [{"family": "Ashby", "given": ["Clara"]}],
        "birthDate": "1992-09-03",
        "gender": "female",
        "telecom": [{"system": "phone", "value": "+999 7 0000 0003"}],
        "address": [{"line": ["12 Mill Lane"], "city": "Cairn", "postalCode": "12000"}],
    }
    return {name: value for name, value in {**known, **changes}.items() if value is not None}


def identifier(value: str, system: str = NATIONAL, kind: str = "NI") -> list[dict[str, Any]]:
    return [{"type": {"coding": [{"system": V2, "code": kind}]}, "system": system, "value": value}]


def judged(one: dict[str, Any], other: dict[str, Any]) -> Verdict:
    verdict = compare(traits.of(one), traits.of(other))
    assert verdict.grade is compare(traits.of(other), traits.of(one)).grade, "it is the same from both sides"
    return verdict


def named(family: str, *given: str, **more: str) -> list[dict[str, Any]]:
    return [{"family": family, "given": list(given), **more}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Grade.CERTAIN),
        ({"telecom": None}, Grade.CERTAIN),
        ({"telecom": None, "address": None}, Grade.PROBABLE),
        ({"telecom": [{"system": "phone", "value": "00999-700000003"}], "address": None}, Grade.CERTAIN),
        ({"name": named("Ashbey", "Clara")}, Grade.PROBABLE),
        ({"name": named("Clara", "Ashby")}, Grade.PROBABLE),
        ({"birthDate": "1992-03-09"}, Grade.PROBABLE),
        ({"birthDate": "1992-09"}, Grade.PROBABLE),
        ({"name": [*named("Miller", "Clara"), *named("Ashby", "Clara", use="maiden")]}, Grade.CERTAIN),
        ({"name": named("Miller", "Clara"), "address": None, "telecom": None}, Grade.POSSIBLE),
        ({"birthDate": "1971-01-30"}, Grade.POSSIBLE),
        ({"name": named("Penrose", "Ruth"), "birthDate": "1938-03-29"}, Grade.CERTAINLY_NOT),
    ],
)
def test_the_grade_follows_the_evidence(changes: dict[str, Any], expected: Grade) -> None:
    assert judged(patient(), patient(**changes)).grade is expected


def test_a_shared_identifier_is_certain_unless_the_person_is_another() -> None:
    hers = patient(identifier=identifier("1"))
    assert judged(hers, {"resourceType": "Patient", "identifier": identifier("1")}).grade is Grade.CERTAIN
    newborn = patient(identifier=identifier("1"), name=named("Ashby", "Ivy"), birthDate="2023-04-12")
    assert judged(hers, newborn).grade is Grade.CERTAINLY_NOT
    elsewhere = patient(identifier=identifier("1", "https://other.example/mrn"), telecom=None, address=None)
    assert judged(hers, elsewhere).grade is Grade.PROBABLE


def test_twins_are_never_more_than_possible_whatever_they_share() -> None:
    ivy = patient(name=named("Ashby", "Ivy"), birthDate="2023-04-12")
    olive = patient(name=named("Ashby", "Olive"), birthDate="2023-04-12")
    assert judged(ivy, olive).grade in {Grade.POSSIBLE, Grade.CERTAINLY_NOT}
    told = judged({**ivy, "multipleBirthInteger": 1}, {**olive, "multipleBirthInteger": 2})
    assert told.grade is Grade.CERTAINLY_NOT
    alike = judged({**ivy, "multipleBirthInteger": 1}, {**ivy, "multipleBirthInteger": 2})
    assert alike.grade is not Grade.CERTAIN, "who wrote the first name twice has not made them one"


def test_people_of_one_name_and_birthday_with_two_national_numbers_are_not_probable() -> None:
    one, other = patient(identifier=identifier("1")), patient(identifier=identifier("2"))
    verdict = judged(one, other)
    assert verdict.grade is Grade.POSSIBLE
    assert "personal-differs" in verdict.findings
    assert (
        judged(patient(identifier=identifier("1", MRN, "MR")), patient(identifier=identifier("2", MRN, "MR"))).grade
        is Grade.CERTAIN
    )


def test_father_and_son_of_one_name_and_house_are_not_probable() -> None:
    father = patient(name=named("Smith", "James"), birthDate="1957-02-20", gender="male")
    assert judged(father, {**father, "birthDate": "1988-11-05"}).grade is Grade.POSSIBLE


def test_a_birthday_and_a_street_alone_make_nobody_possible() -> None:
    neighbour = patient(name=named("Penrose", "Ruth"), telecom=None)
    assert judged(patient(telecom=None), neighbour).grade is Grade.CERTAINLY_NOT
    bare = {"resourceType": "Patient", "name": [{"family": "Penrose"}], "birthDate": "1992-09-03"}
    assert judged(patient(), bare).grade is Grade.CERTAINLY_NOT


def test_who_is_unknown_is_like_nobody() -> None:
    unknown = {"resourceType": "Patient", "name": [{"use": "temp", "text": "Unknown patient 11"}], "gender": "unknown"}
    assert not traits.of(unknown).tell
    assert judged(patient(), unknown).grade is Grade.CERTAINLY_NOT


def test_a_name_in_another_script_is_the_same_name() -> None:
    layla = patient(name=named("Hassan", "Layla"), birthDate="1979-12-01")
    assert judged(layla, {**layla, "name": named("حسن", "ليلى")}).grade is Grade.PROBABLE


def test_blocks_ask_for_what_is_surely_written_alike_and_quote_what_separates() -> None:
    found = traits.blocks(patient(name=named("O,Brien|x", "Clara"), identifier=identifier("a$b")))
    assert (("identifier", f"{NATIONAL}|a\\$b"),) in found
    assert (("birthdate", "1992-09-03"),) in found
    assert (("birthdate", "1992-03-09"),) in found
    assert (("family", "O\\,Brien\\|x"), ("given", "Clara")) in found
    assert all(pairs for pairs in found)
