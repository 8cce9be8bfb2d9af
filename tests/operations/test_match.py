"""Patient/$match over HTTP: grades, input that is refused, and how good it is on the people of the demo country."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.demo.people import person
from fhir_server.demo.registration import resources
from fhir_server.identity import traits
from fhir_server.identity.traits import exchanged
from fhir_server.settings import Search
from tests.serving import alone, own

Json = dict[str, Any]

PEOPLE = 500
SEED = 11
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
LEFT_OUT = ("id", "identifier", "link", "managingOrganization", "generalPractitioner", "contact", "meta")
"""What another facility would not write in the same way."""


def registered(number: int) -> Json:
    """Return a Patient of the demo country, without references."""
    resource = next(iter(resources(person(number), "doctor")))
    for name in ("managingOrganization", "generalPractitioner", "link"):
        resource.pop(name, None)
    for one in resource["identifier"]:
        one.pop("assigner", None)
    return resource


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def country(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[httpx.AsyncClient]:
    """A server with five hundred Patients."""
    async with alone(own(data_dir, "match", search=Search(explain="on"))) as one:
        for start in range(1, PEOPLE + 1, 125):
            people = [registered(number) for number in range(start, start + 125)]
            entries = [
                {"resource": each, "request": {"method": "PUT", "url": f"Patient/{each['id']}"}} for each in people
            ]
            answer = await one.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
            assert answer.status_code == 200, answer.text
        yield one


async def ask(client: httpx.AsyncClient, patient: Json, **more: Any) -> httpx.Response:
    kinds = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}
    rows = [{"name": name, kinds[type(value)]: value} for name, value in more.items()]
    body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient}, *rows]}
    return await client.post("Patient/$match", json=body)


async def matches(client: httpx.AsyncClient, patient: Json, **more: Any) -> dict[str, str]:
    """Return the grades by id, in the order of the answer."""
    answer = await ask(client, patient, **more)
    assert answer.status_code == 200, answer.text
    entries = [one for one in answer.json().get("entry", []) if one["search"]["mode"] == "match"]
    return {
        one["resource"]["id"]: next(e["valueCode"] for e in one["search"]["extension"] if e["url"] == GRADE)
        for one in entries
    }


async def test_the_answer_is_a_searchset_with_score_and_grade(country: httpx.AsyncClient) -> None:
    bundle = (await ask(country, registered(3))).json()
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", len(bundle["entry"]))
    first = bundle["entry"][0]
    assert first["fullUrl"] == "http://localhost/fhir/Patient/p0003"
    assert first["resource"]["id"] == "p0003"
    assert first["search"]["mode"] == "match"
    assert first["search"]["extension"] == [{"url": GRADE, "valueCode": "certain"}]
    assert first["search"]["score"] >= 0.99
    scores = [one["search"]["score"] for one in bundle["entry"]]
    assert scores == sorted(scores, reverse=True)


async def test_the_patient_may_be_the_body_itself(country: httpx.AsyncClient) -> None:
    answer = await country.post("Patient/$match?onlyCertainMatches=true&count=1", json=registered(10))
    assert [one["resource"]["id"] for one in answer.json()["entry"]] == ["p0010"]


async def test_a_woman_registered_at_two_facilities_finds_herself(country: httpx.AsyncClient) -> None:
    grades = await matches(country, registered(18))
    assert (grades["p0018"], grades["p0003"]) == ("certain", "certain")


async def test_count_keeps_the_likeliest(country: httpx.AsyncClient) -> None:
    smith = {"resourceType": "Patient", "name": [{"family": "Smith", "given": ["James"]}]}
    everybody = [*await matches(country, smith)]
    assert len(everybody) > 1
    assert [*await matches(country, smith, count=1)] == everybody[:1]


async def test_people_of_one_name_are_told_apart_and_none_is_certain(country: httpx.AsyncClient) -> None:
    older = {"resourceType": "Patient", "name": [{"family": "Smith", "given": ["James"]}], "gender": "male"}
    grades = await matches(country, older)
    assert {"p0004", "p0005"} <= grades.keys()
    assert {grades["p0004"], grades["p0005"]} == {"possible"}
    assert await matches(country, older, onlyCertainMatches=True) == {}


async def test_a_twin_does_not_find_the_other_one(country: httpx.AsyncClient) -> None:
    grades = await matches(country, registered(1))
    assert grades["p0001"] == "certain"
    assert "p0002" not in grades


async def test_several_certain_matches_are_none_of_them_the_one(country: httpx.AsyncClient) -> None:
    identifier = [{"system": "urn:example:shared", "value": uuid4().hex}]
    for name in ("one", "two"):
        body = {"resourceType": "Patient", "id": f"{name}-{uuid4().hex[:8]}", "identifier": identifier}
        assert (await country.put(f"Patient/{body['id']}", json=body)).status_code == 201
    asked = {"resourceType": "Patient", "identifier": identifier}
    assert set((await matches(country, asked)).values()) == {"certain"}
    answer = (await ask(country, asked, onlyCertainMatches=True)).json()
    (entry,) = answer["entry"]
    assert (answer["total"], entry["search"]["mode"]) == (0, "outcome")
    assert entry["resource"]["issue"][0]["code"] == "multiple-matches"


async def test_who_shares_an_identifier_and_is_somebody_else_is_named_as_such(country: httpx.AsyncClient) -> None:
    stolen = {**registered(3), "name": [{"family": "Penrose", "given": ["Ruth"]}], "birthDate": "1940-01-01"}
    assert (await matches(country, stolen))["p0003"] == "certainly-not"


async def test_a_duplicate_that_was_replaced_is_passed_over_for_its_successor(country: httpx.AsyncClient) -> None:
    system, name = f"urn:example:{uuid4().hex}", [{"family": f"Doubled{uuid4().hex[:6]}", "given": ["Ada"]}]
    base = {
        "resourceType": "Patient",
        "name": name,
        "birthDate": "1970-05-05",
        "identifier": [{"system": system, "value": "1"}],
    }
    kept, gone = f"kept-{uuid4().hex[:6]}", f"gone-{uuid4().hex[:6]}"
    assert (await country.put(f"Patient/{kept}", json={**base, "id": kept})).status_code == 201
    link = [{"other": {"reference": f"Patient/{kept}"}, "type": "replaced-by"}]
    assert (
        await country.put(f"Patient/{gone}", json={**base, "id": gone, "active": False, "link": link})
    ).status_code == 201
    assert list(await matches(country, base)) == [kept]


@pytest.mark.parametrize(
    ("body", "expression", "says"),
    [
        ({"resourceType": "Parameters"}, "http.resource", "0 times"),
        ({"resourceType": "Bundle", "type": "batch"}, ".resourceType", "is a Patient"),
        ({"resourceType": "Patient"}, "resource", "too little"),
        ({"resourceType": "Patient", "birthDate": "1992-09-03"}, "resource", "too little"),
        ({"resourceType": "Patient", "birthDate": "1992-13-03"}, ".resource.birthDate", "date"),
        ({"resourceType": "Patient", "name": [{"given": "x"}]}, ".resource.name[0].given", "Array"),
        ({"resourceType": "Parameters", "parameter": [{"name": "resource", "valueString": "x"}]}, "http.resource", "Resource"),
        ({"resourceType": "Parameters", "parameter": [{"name": "other", "valueString": "x"}]}, "http.other", "no parameter"),
    ],
)  # fmt: skip
async def test_input_that_is_not_valid_is_refused_with_its_place(
    country: httpx.AsyncClient, body: Json, expression: str, says: str
) -> None:
    answer = await country.post("Patient/$match", json=body)
    assert answer.status_code == 400, answer.text
    issue = answer.json()["issue"][0]
    assert issue["expression"][0].endswith(expression), issue
    assert says in issue["details"]["text"]


@pytest.mark.parametrize("count", [0, -1, 101])
async def test_a_count_that_is_none_is_refused(country: httpx.AsyncClient, count: int) -> None:
    answer = await ask(country, registered(3), count=count)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["http.count"]


async def test_no_block_reads_more_than_it_finds(country: httpx.AsyncClient) -> None:
    for pairs in traits.blocks(registered(3)):
        answer = await country.get("Patient", params=[*pairs, ("_explain", "true")])
        assert answer.status_code == 200, answer.text
        assert "COLLSCAN" not in answer.text
        assert "facility" not in answer.text


def mistyped(text: str, random: Random) -> str:
    """Return a text with two letters exchanged, one left out, or one doubled."""
    if len(text) < 4:
        return text + text[-1]
    place = random.randrange(1, len(text) - 2)
    return random.choice(
        [
            text[:place] + text[place + 1] + text[place] + text[place + 2 :],
            text[:place] + text[place + 1 :],
            text[:place] + text[place] + text[place:],
        ]
    )


def _names(patient: Json, change: Callable[[Json], Json]) -> Json:
    return {**patient, "name": [change(one) for one in patient["name"]]}


def without(patient: Json, *names: str) -> Json:
    return {name: value for name, value in patient.items() if name not in names}


ERRORS: dict[str, Callable[[Json, Random], Json]] = {
    "nothing": lambda one, _: one,
    "family name mistyped": lambda one, random: _names(one, lambda n: {**n, "family": mistyped(n["family"], random)}),
    "given name mistyped": lambda one, random: _names(one, lambda n: {**n, "given": [mistyped(n["given"][0], random)]}),
    "only the other script": lambda one, _: {**one, "name": one["name"][-1:]},
    "only the first script": lambda one, _: {**one, "name": one["name"][:1]},
    "names exchanged": lambda one, _: _names(one, lambda n: {**n, "family": n["given"][0], "given": [n["family"]]}),
    "day and month exchanged": lambda one, _: {**one, "birthDate": next(iter(exchanged(one["birthDate"])), one["birthDate"])},
    "moved and another number": lambda one, _: without(one, "address", "telecom"),
    "two errors": lambda one, random: _names(
        {**one, "birthDate": next(iter(exchanged(one["birthDate"])), one["birthDate"])},
        lambda n: {**n, "given": [mistyped(n["given"][0], random)]},
    ),
    "married": lambda one, _: _names(one, lambda n: {**n, "family": "Newlywed"}),
}  # fmt: skip


async def test_people_of_the_demo_country_are_found_again(country: httpx.AsyncClient) -> None:
    """Every kind of error is planted in twelve people, half of them without telephone; who comes back as certain or probable counts."""
    random = Random(SEED)
    known = [number for number in range(1, PEOPLE + 1) if registered(number)["gender"] != "unknown"]
    others = {8: "p0009", 9: "p0008", 3: "p0018", 18: "p0003"}  # registered twice: one person
    figures: dict[str, tuple[int, int, int, int]] = {}
    for kind, error in ERRORS.items():
        right = wrong = missed = wrong_certain = 0
        people = [*range(1, 17), *random.sample(known, 24)] if kind == "nothing" else random.sample(known, 12)
        for number in people:
            if number not in known:
                continue
            patient = without(registered(number), *LEFT_OUT, *random.choice([(), ("telecom",)]))
            patient = error(patient, random)
            grades = await matches(country, patient)
            same = {f"p{number:04d}", others.get(number, "")}
            sure = {one for one, grade in grades.items() if grade in {"certain", "probable"}}
            right += bool(sure & same)
            missed += not sure & same
            wrong += len(sure - same)
            wrong_certain += sum(grades[one] == "certain" for one in sure - same)
        figures[kind] = (right, missed, wrong, wrong_certain)
    found = sum(row[0] for row in figures.values())
    recall = found / sum(row[0] + row[1] for row in figures.values())
    precision = found / (found + sum(row[2] for row in figures.values()))
    assert sum(row[3] for row in figures.values()) == 0, figures
    assert precision >= 0.98, figures
    assert recall >= 0.9, figures
