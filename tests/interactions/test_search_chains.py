"""Chains and `_has` through the whole server: a small ward, asked from every side."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.interactions.conftest import codes, said

Json = dict[str, Any]
LOINC = "http://loinc.org"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ward(client: httpx.AsyncClient) -> str:
    """Two patients of two hospitals of one group with what was recorded of them; ids and names end in this tag."""
    tag = uuid4().hex[:10]

    def ref(resource_type: str, name: str) -> Json:
        return {"reference": f"{resource_type}/{name}-{tag}"}

    rows: list[Json] = [
        {"resourceType": "Organization", "id": "group", "name": f"Group {tag}"},
        {"resourceType": "Organization", "id": "north", "name": f"North {tag}", "partOf": ref("Organization", "group")},
        {"resourceType": "Organization", "id": "south", "name": f"South {tag}", "partOf": ref("Organization", "group")},
        {"resourceType": "Organization", "id": "alone", "name": f"Alone {tag}"},
        {
            "resourceType": "Patient",
            "id": "ada",
            "gender": "female",
            "birthDate": "1980-05-01",
            "name": [{"family": f"Ada{tag}"}],
            "managingOrganization": ref("Organization", "north"),
        },
        {
            "resourceType": "Patient",
            "id": "bob",
            "gender": "male",
            "name": [{"family": f"Bob{tag}"}],
            "managingOrganization": ref("Organization", "alone"),
        },
        {
            "resourceType": "Device",
            "id": "scale",
            "deviceName": [{"name": f"Ada{tag} scale", "type": "user-friendly-name"}],
            "identifier": [{"system": "urn:tag", "value": tag}],
        },
        {"resourceType": "Practitioner", "id": "doc", "name": [{"family": f"Doc{tag}"}]},
        {
            "resourceType": "Encounter",
            "id": "visit",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": ref("Patient", "ada"),
        },
        *(
            {
                "resourceType": "Observation",
                "id": name,
                "status": "final",
                "code": {"coding": [{"system": LOINC, "code": code}], "text": tag},
                "subject": ref(*subject),
                "identifier": [{"system": "urn:tag", "value": tag}],
                **more,
            }
            for name, code, subject, more in (
                ("weight", "29463-7", ("Patient", "ada"), {"encounter": ref("Encounter", "visit")}),
                ("pulse", "8867-4", ("Patient", "ada"), {"performer": [ref("Practitioner", "doc")]}),
                ("tall", "8302-2", ("Patient", "bob"), {"performer": [ref("Patient", "ada")]}),
                ("drift", "29463-7", ("Device", "scale"), {}),
            )
        ),
        {
            "resourceType": "AuditEvent",
            "id": "look",
            "type": {"code": "rest", "system": "http://terminology.hl7.org/CodeSystem/audit-event-type"},
            "recorded": "2026-01-01T00:00:00Z",
            "agent": [{"requestor": True, "who": ref("Practitioner", "doc")}],
            "source": {"observer": ref("Device", "scale")},
            "entity": [{"what": ref("Observation", "weight")}],
        },
        {
            "resourceType": "MedicationRequest",
            "id": "drug",
            "status": "active",
            "intent": "order",
            "subject": ref("Patient", "ada"),
            "medicationReference": ref("Medication", "pill"),
        },
        {"resourceType": "Medication", "id": "pill", "code": {"coding": [{"system": "urn:tag", "code": tag}]}},
        {
            "resourceType": "PlanDefinition",
            "id": "plan",
            "status": "active",
            "url": f"http://example.org/plan/{tag}",
            "version": "2",
            "title": f"Plan {tag}",
        },
        *(
            {
                "resourceType": "CarePlan",
                "id": name,
                "status": "active",
                "intent": "plan",
                "subject": ref("Patient", "ada"),
                "instantiatesCanonical": [f"http://example.org/plan/{tag}{version}"],
            }
            for name, version in (("care", ""), ("care2", "|2"), ("care3", "|3"))
        ),
        {
            "resourceType": "List",
            "id": "list",
            "status": "current",
            "mode": "working",
            "entry": [{"item": ref("Patient", "bob")}, {"item": ref("Observation", "pulse")}],
        },
    ]
    for row in rows:
        row["id"] += f"-{tag}"
    entries = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}} for row in rows
    ]
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return tag


async def names(client: httpx.AsyncClient, search: str, tag: str) -> list[str]:
    """Return the sorted names of what a search finds; `@` stands for the tag."""
    answer = await client.get(search.replace("@", tag))
    assert answer.status_code == 200, answer.text
    ids = [entry["resource"]["id"] for entry in answer.json().get("entry", [])]
    return sorted(one.removesuffix(f"-{tag}") for one in ids)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Observation?subject:Patient.name=ada@", ["pulse", "weight"]),
        ("Observation?patient.name=ADA@", ["pulse", "weight"]),
        ("Observation?patient.name:exact=ada@", []),
        ("Observation?subject.identifier=urn:tag|@", ["drift"]),
        ("Observation?subject:Device.device-name=ada@", ["drift"]),
        ("Observation?subject._id=ada-@,scale-@", ["drift", "pulse", "weight"]),
        ("Observation?performer.name=doc@,ada@", ["pulse", "tall"]),
        ("Observation?performer:Patient.name=doc@,ada@", ["tall"]),
        ("Observation?patient.organization.name=north @", ["pulse", "weight"]),
        ("Observation?patient.organization.partof.name=group @", ["pulse", "weight"]),
        ("Observation?patient:Patient.organization:Organization.partof:Organization.name=group @", ["pulse", "weight"]),
        ("Observation?identifier=@&patient.organization.partof:missing=true", ["tall"]),
        ("Observation?identifier=@&patient.birthdate:missing=true", ["tall"]),
        ("Observation?identifier=@&patient.gender:not=male", ["pulse", "weight"]),
        ("Observation?identifier=@&patient.birthdate=lt1990", ["pulse", "weight"]),
        ("Observation?encounter.class=AMB&identifier=@", ["weight"]),
        ("Observation?patient.family=ada@&patient.gender=female&code=8867-4", ["pulse"]),
        ("Observation?patient.family=ada@&patient.gender=male", []),
        ("Observation?patient.name=nobody@", []),
        ("MedicationRequest?medication.code=@", ["drug"]),
        ("MedicationRequest?medication:Medication.code=urn:tag|@", ["drug"]),
        ("CarePlan?instantiates-canonical:PlanDefinition.title=plan @", ["care", "care2"]),
        ("Organization?partof.name=group @", ["north", "south"]),
        ("Organization?partof.name=group @&_sort=-name", ["north", "south"]),
        ("Patient?organization.name=north @,alone @&_sort=-family", ["ada", "bob"]),
        ("Patient?_has:Observation:patient:code=29463-7&family=ada@,bob@", ["ada"]),
        ("Patient?_has:Observation:patient:code=29463-7,8302-2&family=ada@,bob@", ["ada", "bob"]),
        ("Patient?_has:Observation:patient:code:not=29463-7&family=ada@,bob@", ["ada", "bob"]),
        ("Patient?_has:Observation:patient:encounter:missing=false&family=ada@,bob@", ["ada"]),
        ("Patient?_has:Observation:performer:identifier=@", ["ada"]),
        ("Device?_has:Observation:subject:identifier=@", ["scale"]),
        ("Practitioner?_has:Observation:performer:patient.name=ada@", ["doc"]),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/doc-@", ["ada"]),
        ("Patient?_has:Observation:patient:_has:AuditEvent:entity:agent:Practitioner.name=doc@", ["ada"]),
        ("Observation?patient._has:Encounter:patient:_id=visit-@", ["pulse", "weight"]),
        ("Patient?_has:Observation:patient:code=8867-4&_has:Observation:patient:code=29463-7&family=ada@", ["ada"]),
        ("Patient?_has:Observation:patient:code=8867-4&_id=bob-@", []),
        ("Organization?_has:Patient:organization:_has:Observation:patient:identifier=@", ["alone", "north"]),
        ("Patient?_list=list-@", ["bob"]),
        ("Observation?_list=List/list-@", ["pulse"]),
        ("Observation?_list=none-@,list-@&patient.name=ada@", ["pulse"]),
    ],
)  # fmt: skip
async def test_a_chain_finds_what_its_links_lead_to(
    client: httpx.AsyncClient, ward: str, search: str, found: list[str]
) -> None:
    assert await names(client, search, ward) == found


async def test_a_performer_who_is_a_patient_is_not_the_subject(client: httpx.AsyncClient, ward: str) -> None:
    """The record of a resource without subject is that of its performer; `patient` says nothing of it."""
    row = {
        "resourceType": "Observation",
        "id": f"self-{ward}",
        "status": "final",
        "code": {"text": "x"},
        "performer": [{"reference": f"Patient/bob-{ward}"}],
    }
    assert (await client.put(f"Observation/self-{ward}", json=row)).status_code == 201
    assert await names(client, "Patient?_has:Observation:patient:_id=self-@", ward) == []
    assert await names(client, "Patient?_has:Observation:performer:_id=self-@", ward) == ["bob"]
    assert await names(client, "Observation?patient._id=bob-@", ward) == ["tall"]


async def test_has_tells_the_patient_who_is_meant_from_one_who_performed(client: httpx.AsyncClient) -> None:
    tag = uuid4().hex[:10]
    for kind, name, rest in (
        ("Patient", "ann", {}),
        ("Patient", "ben", {}),
        ("Group", "all", {"type": "person", "actual": True}),
    ):
        row = {"resourceType": kind, "id": f"{name}-{tag}", **rest}
        assert (await client.put(f"{kind}/{row['id']}", json=row)).status_code == 201

    async def observe(subject: str, performer: str = "") -> None:
        row: Json = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": tag}]},
            "subject": {"reference": f"{subject}-{tag}"},
            **({"performer": [{"reference": f"{performer}-{tag}"}]} if performer else {}),
        }
        assert (await client.post("Observation", json=row)).status_code == 201

    async def patients() -> set[str]:
        found = await client.get(f"Patient?_has:Observation:patient:code={LOINC}|{tag}")
        return {entry["resource"]["id"].removesuffix(f"-{tag}") for entry in found.json().get("entry", [])}

    await observe("Patient/ann", performer="Patient/ben")
    await observe("Group/all", performer="Patient/ben")
    assert await patients() == {"ann"}
    await observe("Patient/ben")
    assert await patients() == {"ann", "ben"}


async def test_a_chain_pages_and_counts_like_any_search(client: httpx.AsyncClient, ward: str) -> None:
    search = f"Observation?patient.name=ada{ward}&_count=1&_total=accurate"
    first = (await client.get(search)).json()
    assert first["total"] == 2
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert f"patient.name=ada{ward}" in links["self"]
    second = (await client.get(links["next"])).json()
    found = {bundle["entry"][0]["resource"]["id"] for bundle in (first, second)}
    assert found == {f"pulse-{ward}", f"weight-{ward}"}
    assert (await client.get(f"Observation?patient.name=ada{ward}&_summary=count")).json()["total"] == 2


async def test_chains_in_conditions(client: httpx.AsyncClient, ward: str) -> None:
    """If-None-Exist, a conditional update and a conditional reference take chains like a search."""
    row = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "conditional"},
        "subject": {"reference": f"Patient/bob-{ward}"},
    }
    condition = {"If-None-Exist": f"patient.family=bob{ward}"}
    assert (await client.post("Observation", json=row, headers=condition)).status_code == 200
    none = {"If-None-Exist": f"patient.family=nobody{ward}"}
    created = await client.post("Observation", json=row, headers=none)
    assert created.status_code == 201
    assert (await client.delete(f"Observation/{created.json()['id']}")).status_code in {200, 204}
    row["subject"] = {"reference": f"Patient?_has:MedicationRequest:patient:medication.code={ward}"}
    entry = {"resource": row, "request": {"method": "POST", "url": "Observation"}}
    answer = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code == 200, answer.text
    location = answer.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert (await client.get(location)).json()["subject"]["reference"] == f"Patient/ada-{ward}"
    assert (await client.delete(location)).status_code in {200, 204}


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("Observation?subject.nam=x", "None of the types that 'subject' of Observation may refer to (Device, Group, Location, Patient) can be searched by 'nam'."),
        ("Observation?patient.nam=x", "Patient has no search parameter 'nam'. Did you mean 'name'?"),
        ("Observation?subjct.name=x", "Observation has no reference parameter 'subjct'. Did you mean 'subject'? Chains go through references: based-on, "),
        ("Observation?code.name=x", "'code' of Observation is of type token and refers to nothing. Chains go through references: "),
        ("Observation?subject:Patiet.name=x", "'subject' of Observation does not refer to 'Patiet'. Did you mean 'Patient'?"),
        ("Observation?subject:Organization.name=x", "'subject' of Observation does not refer to 'Organization'. It refers to Device, Group, Location, Patient."),
        ("Observation?patient.name:exat=x", "The string parameter 'name' has no modifier 'exat'."),
        ("Observation?patient.birthdate=x", "'x' is not a valid value of the date parameter 'birthdate'."),
        ("Observation?patient.=x", "Patient has no search parameter ''."),
        ("Observation?patient..name=x", "Patient has no reference parameter ''."),
        ("Patient?_has=x", "'_has' is not complete. Write _has:Type:reference:parameter"),
        ("Patient?_has:Observation:patient=x", "'_has:Observation:patient' is not complete."),
        ("Patient?_has:Observaton:patient:code=x", "'Observaton' in '_has:Observaton:patient:code' is not a resource type. Did you mean 'Observation'?"),
        ("Patient?_has:Observation:encounter:code=x", "'encounter' of Observation does not refer to Patient, but to "),
        ("Patient?_has:Observation:subjet:code=x", "Observation has no reference parameter 'subjet'. Did you mean 'subject'?"),
        ("Patient?_has:Observation:patient:cod=x", "Observation has no search parameter 'cod'. Did you mean 'code'?"),
        ("Patient?_list=$current-problems", "The functional list '$current-problems' is not offered: "),
        ("Patient?_list=a b", "'a b' is not a valid value of '_list'. Write the id of a List."),
        ("Patient?_list:missing=true", "The parameter '_list' has no modifiers."),
        ("Organization?" + "partof." * 11 + "name=x", "A chain has more than 10 links."),
    ],
)  # fmt: skip
async def test_chains_that_cannot_be_read_are_refused(client: httpx.AsyncClient, search: str, text: str) -> None:
    answer = await client.get(search)
    assert answer.status_code == 400, answer.text
    assert codes(answer) == ["invalid"]
    assert text in said(answer)


async def test_lenient_handling_passes_over_unknown_ends(client: httpx.AsyncClient, ward: str) -> None:
    search = f"Observation?patient.name=ada{ward}&patient.nam=x&_has:Observation:has-member:cod=x"
    answer = await client.get(search, headers={"Prefer": "handling=lenient"})
    bundle = answer.json()
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match", "match", "outcome"]
    issues = bundle["entry"][-1]["resource"]["issue"]
    assert [issue["expression"] for issue in issues] == [["http.nam"], ["http.cod"]]
    assert "nam=x" not in bundle["link"][0]["url"]


async def test_links_without_a_type_may_not_lead_everywhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("List?" + "item." * 9 + "_id=x")
    assert answer.status_code == 400
    assert codes(answer) == ["too-costly"]
    assert "may go more than 1000 ways, because their links name no types. Name them" in said(answer)
