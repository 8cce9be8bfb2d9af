"""`_filter`, `near`, `_query` and `_list` through the whole server."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import codes, said

Json = dict[str, Any]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tag(client: httpx.AsyncClient) -> str:
    """Two patients with stays and measurements, their clinic, and its place; ids end in this tag."""
    tag = uuid4().hex[:10]

    def to(name: str) -> Json:
        return {"reference": f"{name}-{tag}"}

    rows: list[Json] = [
        {"resourceType": "Organization", "id": "clinic", "name": "St. Mary (East)", "active": True},
        {"resourceType": "Location", "id": "house", "name": "House", "position": {"latitude": 42.36, "longitude": -71.06}},
        {"resourceType": "Patient", "id": "ada", "gender": "female", "birthDate": "1980-05-01", "name": [{"family": "Péters", "given": ["Ada", "Bea"]}], "managingOrganization": to("Organization/clinic")},
        {"resourceType": "Patient", "id": "bob", "gender": "male", "birthDate": "1990", "name": [{"family": "Müller"}], "generalPractitioner": [to("Organization/clinic")]},
        {"resourceType": "Encounter", "id": "stay", "status": "finished", "class": {"system": ACT, "code": "ACUTE"}, "subject": to("Patient/ada"), "period": {"start": "2020-01-01", "end": "2020-01-09"}},
        {"resourceType": "Encounter", "id": "visit", "status": "finished", "class": {"system": ACT, "code": "AMB"}, "subject": to("Patient/bob"), "period": {"start": "2020-01-09"}},
        {"resourceType": "Observation", "id": "weight", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}, "subject": to("Patient/ada"), "encounter": to("Encounter/stay"), "valueQuantity": {"value": 70.5, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}},
        {"resourceType": "Observation", "id": "pulse", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}, "subject": to("Patient/bob"), "encounter": to("Encounter/visit"), "valueQuantity": {"value": 61, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}},
        {"resourceType": "List", "id": "list", "status": "current", "mode": "working", "entry": [{"item": to("Patient/bob")}]},
    ]  # fmt: skip
    entries = [
        {
            "resource": {**row, "id": f"{row['id']}-{tag}", "meta": {"tag": [{"system": "urn:test", "code": tag}]}},
            "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}-{tag}"},
        }
        for row in rows
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return tag


@pytest.mark.parametrize(
    ("resource_type", "text", "found"),
    [
        ("Patient", 'name co "eter"', ["ada"]),
        ("Patient", "family eq PETERS", ["ada"]),
        ("Patient", "family eq peter", []),
        ("Patient", "given ne ada", ["ada"]),
        ("Patient", "family ne peters", ["bob"]),
        ("Patient", "family ew ler", ["bob"]),
        ("Patient", "family lt n", ["bob"]),
        ("Patient", "given pr false", ["bob"]),
        ("Patient", 'given eq "ada" and birthdate ge 1980-05-01', ["ada"]),
        ("Patient", "gender eq male or gender eq female and birthdate eq 1990", ["bob"]),
        ("Patient", "gender eq male or (gender eq female and birthdate eq 1990)", ["bob"]),
        ("Patient", "not (gender eq male)", ["ada"]),
        ("Patient", "not (gender eq other)", ["ada", "bob"]),
        ("Patient", "birthdate po 1990-07", ["bob"]),
        ("Patient", "birthdate co 1990-07", ["bob"]),
        ("Patient", "birthdate eq 1990-07", []),
        ("Patient", "gender in http://hl7.org/fhir/ValueSet/administrative-gender", ["ada", "bob"]),
        ("Patient", "gender ni http://hl7.org/fhir/ValueSet/administrative-gender", []),
        ("Patient", "organization re Organization/clinic-@", ["ada"]),
        ("Patient", 'organization.name sw "st. mary (e"', ["ada"]),
        ("Patient", 'organization[active eq true].name sw "st"', ["ada"]),
        ("Patient", 'organization[active eq false].name sw "st"', []),
        ("Patient", "organization.name pr false", ["bob"]),
        ("Patient", "_has:Observation:patient:code eq loinc|8867-4", ["bob"]),
        ("Patient", "_has:Observation:patient:encounter.class eq ACUTE", ["ada"]),
        ("Patient", "_id eq ada-@ or _id eq bob-@", ["ada", "bob"]),
        ("Encounter", f"class ss {ACT}|IMP", ["stay"]),
        ("Encounter", f"class sb {ACT}|ACUTE", ["stay"]),
        ("Encounter", "date po 2020-01-09", ["stay", "visit"]),
        ("Encounter", "date co 2020-01-05", ["stay"]),
        ("Encounter", "date sa 2020-01-05", ["visit"]),
        ("Observation", "code eq http://loinc.org|29463-7", ["weight"]),
        ("Observation", "code ne loinc|29463-7", ["pulse"]),
        ("Observation", 'subject.name co "pet"', ["weight"]),
        ("Observation", "subject:Patient[gender eq female].birthdate lt 1985", ["weight"]),
        ("Observation", "encounter.subject:Patient.gender eq male", ["pulse"]),
        ("Observation", "value-quantity gt 70000|ucum|g", ["weight"]),
        ("Observation", "value-quantity eq 61", ["pulse"]),
        ("Location", 'near eq "42.4|-71|10|km"', ["house"]),
        ("Location", 'near eq "42.4|-71|1|km"', []),
    ],
)  # fmt: skip
async def test_filters(client: httpx.AsyncClient, tag: str, resource_type: str, text: str, found: list[str]) -> None:
    pairs = urlencode([("_filter", text.replace("@", tag)), ("_tag", tag)])
    for answer in (
        await client.get(f"{resource_type}?{pairs}"),
        await client.post(f"{resource_type}/_search", content=pairs, headers=FORM),
    ):
        assert answer.status_code == 200, answer.text
        ids = sorted(entry["resource"]["id"].removesuffix(f"-{tag}") for entry in answer.json().get("entry", []))
        assert ids == found


async def test_filters_go_with_everything_else(client: httpx.AsyncClient, tag: str) -> None:
    async def ids(url: str, **query: str) -> list[str]:
        answer = await client.get(f"{url}?{urlencode({**query, '_tag': tag})}")
        assert answer.status_code == 200, answer.text
        return [entry["resource"]["id"].removesuffix(f"-{tag}") for entry in answer.json().get("entry", [])]

    assert await ids("Patient", _filter="gender pr true", _sort="-birthdate") == ["bob", "ada"]
    assert await ids("Patient", _filter="gender pr true", birthdate="lt1985") == ["ada"]
    assert await ids(f"Patient/ada-{tag}/Observation", _filter="status eq final") == ["weight"]
    assert await ids("", _type="Patient,Encounter", _filter=f"_id eq ada-{tag}") == ["ada"]
    chained = {"subject:Patient._filter": 'gender eq male and name co "ull"'}
    assert await ids("Observation", **chained) == ["pulse"]
    pages: list[str] = []
    url = f"Patient?{urlencode({'_filter': 'gender pr true', '_tag': tag, '_count': '1'})}"
    while url:
        bundle = (await client.get(url)).json()
        pages += [entry["resource"]["id"].removesuffix(f"-{tag}") for entry in bundle["entry"]]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert sorted(pages) == ["ada", "bob"]


async def test_lists(client: httpx.AsyncClient, tag: str) -> None:
    answer = await client.get(f"Patient?_list=list-{tag}")
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [f"bob-{tag}"]


@pytest.mark.parametrize("handling", ["strict", "lenient"])
@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("Patient?_filter=name is x", "but here is 'is' (at character 6 of the _filter)."),
        ("Patient?_filter=nme eq x", "Patient has no search parameter 'nme'. Did you mean 'name'?"),
        ("Patient?_filter:not=name eq x", "The parameter '_filter' has no modifiers. Leave ':not' out."),
        ("Encounter?_filter=class ss urn:x|y", "The code system 'urn:x' is not known here."),
        ("Patient?_query=current-high-risk", "There is no named query 'current-high-risk', nor any other here."),
        ("Patient?_list=$current-problems", "The functional list '$current-problems' is not offered: this server does not know"),
        ("Patient?_list=$current-allergies", "Write the id of a List, or search by status."),
        ("Location?near=-71|42|1|miles", "the unit is a UCUM code of length"),
        ("Location?_sort=near", "Location cannot be sorted by 'near'."),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused(
    client: httpx.AsyncClient, search: str, text: str, handling: str
) -> None:
    answer = await client.get(search, headers={"Prefer": f"handling={handling}"})
    assert answer.status_code == 400, answer.text
    assert text in said(answer)
    assert codes(answer) == ["invalid"]
