"""Token modifiers through the whole server: `:text`, `:in`, `:not-in`, `:above`, `:below`, `:of-type`."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import codes, said

Json = dict[str, Any]

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
KIND = "http://terminology.hl7.org/CodeSystem/v2-0203"
ENCOUNTERS = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
STAYS = {"amb": "AMB", "imp": "IMP", "acute": "ACUTE", "other": "XX"}


def concept(text: str = "", *displays: str) -> Json:
    codings = [{"system": "urn:c", "code": str(number), "display": each} for number, each in enumerate(displays)]
    return {**({"text": text} if text else {}), **({"coding": codings} if codings else {})}


def identifier(value: str, code: str, text: str = "") -> Json:
    kind = {"coding": [{"system": KIND, "code": code}], **({"text": text} if text else {})}
    return {"type": kind, "system": f"urn:{code}", "value": value}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tag(client: httpx.AsyncClient) -> str:
    """Patients with typed identifiers, their conditions and stays, marked by a tag."""
    tag = uuid4().hex[:10]
    meta = {"tag": [{"system": "urn:test", "code": tag}]}
    rows: list[Json] = [
        {"resourceType": "Patient", "id": "ada", "gender": "female", "identifier": [identifier("17", "MR", "Hospital number"), identifier("18", "SS")]},
        {"resourceType": "Patient", "id": "bob", "gender": "male", "identifier": [identifier("17", "SS"), identifier("18|x", "MR")]},
        {"resourceType": "Patient", "id": "zoe"},
        {"resourceType": "Condition", "id": "c1", "code": concept("Frequent headache")},
        {"resourceType": "Condition", "id": "c2", "code": concept("", "Fièvre", "Headache disorder (finding)")},
        {"resourceType": "Condition", "id": "c3", "code": concept("Aheadache")},
        {"resourceType": "Condition", "id": "c4"},
        *({"resourceType": "Encounter", "id": name, "status": "finished", "class": {"system": ACT, "code": code}} for name, code in STAYS.items()),
        {"resourceType": "Encounter", "id": "bare", "status": "planned", "class": {"code": "AMB"}},
    ]  # fmt: skip
    for row in rows:
        if row["resourceType"] != "Patient":
            row["subject"] = {"reference": f"Patient/ada-{tag}"}
    entries = [
        {
            "resource": {**row, "id": f"{row['id']}-{tag}", "meta": meta},
            "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}-{tag}"},
        }
        for row in rows
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return tag


@pytest.mark.parametrize(
    ("resource_type", "query", "found"),
    [
        ("Condition", "code:text=headache", ["c1", "c2"]),
        ("Condition", "code:text=HEADACHE DIS", ["c2"]),
        ("Condition", "code:text=fievre", ["c2"]),
        ("Condition", "code:text=finding", ["c2"]),
        ("Condition", "code:text=ache", []),
        ("Condition", "code:text=frequent,fievre", ["c1", "c2"]),
        ("Condition", "code:text=h.adache", []),
        ("Condition", "subject:Patient.identifier:text=hospital&code:text=frequent", ["c1"]),
        ("Patient", "identifier:text=number", ["ada"]),
        ("Patient", f"identifier:of-type={KIND}|MR|17", ["ada"]),
        ("Patient", f"identifier:of-type={KIND}|SS|17", ["bob"]),
        ("Patient", f"identifier:of-type={KIND}|SS|17,{KIND}|SS|18", ["ada", "bob"]),
        ("Patient", rf"identifier:of-type={KIND}|MR|18\|x", ["bob"]),
        ("Patient", "identifier:of-type=urn:x|MR|17", []),
        ("Patient", "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", ["ada", "bob"]),
        ("Patient", "gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", ["zoe"]),
        ("Patient", "gender:not-in=http://hl7.org/fhir/ValueSet/narrative-status", ["ada", "bob", "zoe"]),
        ("Encounter", f"class:in={ENCOUNTERS}", ["acute", "amb", "imp"]),
        ("Encounter", f"class:not-in={ENCOUNTERS}", ["bare", "other"]),
        ("Encounter", f"class:in={ENCOUNTERS}&class=IMP", ["imp"]),
        ("Encounter", f"class:below={ACT}|IMP", ["acute", "imp"]),
        ("Encounter", f"class:below={ACT}|AMB,{ACT}|ACUTE", ["acute", "amb"]),
        ("Encounter", f"class:above={ACT}|ACUTE", ["acute", "imp"]),
        ("Encounter", f"subject:Patient.gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&class:below={ACT}|IMP", ["acute", "imp"]),
        ("Patient", f"_has:Encounter:subject:class:below={ACT}|IMP", ["ada"]),
    ],
)  # fmt: skip
async def test_modifiers_of_tokens(
    client: httpx.AsyncClient, tag: str, resource_type: str, query: str, found: list[str]
) -> None:
    for answer in (
        await client.get(f"{resource_type}?{quote(query, safe='=&:,')}&_tag={tag}"),
        await client.post(
            f"{resource_type}/_search",
            content=f"{quote(query, safe='=&:,')}&_tag={tag}",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ):
        assert answer.status_code == 200, answer.text
        ids = sorted(entry["resource"]["id"].removesuffix(f"-{tag}") for entry in answer.json().get("entry", []))
        assert ids == found


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("Condition?code:in=http://example.org/vs", "The value set 'http://example.org/vs' is not known here."),
        ("Condition?code:in=diabetes", "Write with :in the canonical URL of a value set"),
        ("Condition?code:in=http://hl7.org/fhir/ValueSet/condition-code", "'http://hl7.org/fhir/ValueSet/condition-code' cannot be told"),
        ("Encounter?class:below=IMP", "Write with :below system|code"),
        (f"Encounter?class:below={ACT}|nothing", "has no code 'nothing'. Codes are case sensitive."),
        ("Condition?code:below=http://snomed.info/sct|1", "'http://snomed.info/sct'"),
        ("Patient?identifier:of-type=MR|17", "Write with :of-type system|code|value"),
        ("Patient?identifier:in=http://example.org/vs", "has no modifier 'in'. It takes :missing, :not, :of-type, :text."),
        ("Patient?active:text=true", "has no modifier 'text'. It takes :missing, :not."),
        ("Condition?code:of-type=a|b|c", "has no modifier 'of-type'. It takes :above, :below, :in, :missing, :not, :not-in, :text."),
        ("Condition?code:text=%CC%81", "Write with :text the beginning of a word"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_with_what_can(client: httpx.AsyncClient, search: str, text: str) -> None:
    answer = await client.get(search)
    assert answer.status_code == 400, answer.text
    assert text in said(answer)
    assert codes(answer) == ["invalid"]
