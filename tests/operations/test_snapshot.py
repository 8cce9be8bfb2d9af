"""$snapshot over HTTP: of what is sent, of what is stored, of what comes with FHIR, and what has none."""

from typing import Any

import httpx
import pytest

from tests.effort import within

Json = dict[str, Any]
OWN = "https://clinic.example/StructureDefinition"
CORE = "http://hl7.org/fhir/StructureDefinition"
PATH = "StructureDefinition/$snapshot"


def profile(name: str, base: str = f"{CORE}/Patient", *rows: Json, **more: Any) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}/{name}",
        "name": name.title().replace("-", ""),
        "status": "draft",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": base,
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}, *rows]},
        **more,
    }


def row(path: str, **more: Any) -> Json:
    return {"id": path, "path": path, **more}


def sent(**values: Any) -> Json:
    keys = {"definition": "resource", "url": "valueString"}
    rows = [{"name": name, keys[name]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": rows}


def elements(response: httpx.Response) -> dict[str, Json]:
    assert response.status_code == 200, response.text
    found = response.json()
    assert found["resourceType"] == "StructureDefinition"
    return {one["id"]: one for one in found["snapshot"]["element"]}


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    return " ".join(one["details"]["text"] for one in response.json()["issue"])


async def test_a_profile_that_is_sent_comes_back_with_its_snapshot(client: httpx.AsyncClient) -> None:
    given = profile("with-birth-date", f"{CORE}/Patient", row("Patient.birthDate", min=1))
    for body in (given, sent(definition=given)):
        response = await client.post(PATH, json=body)
        found = elements(response)
        assert found["Patient.birthDate"]["min"] == 1
        assert found["Patient.name"]["min"] == 0
        assert {**response.json(), "snapshot": None} == {**given, "snapshot": None}
    assert (await client.get(f"StructureDefinition?url={given['url']}&_summary=count")).json()["total"] == 0


async def test_a_profile_that_is_stored_builds_on_what_is_stored(client: httpx.AsyncClient) -> None:
    first = {**profile("named", f"{CORE}/Patient", row("Patient.name", min=1)), "id": "named"}
    second = {**profile("named-born", f"{OWN}/named", row("Patient.birthDate", min=1)), "id": "named-born"}
    for one in (first, second):
        assert (await client.put(f"StructureDefinition/{one['id']}", json=one)).status_code == 201
    for response in (
        await client.get("StructureDefinition/named-born/$snapshot"),
        await client.get(PATH, params={"url": f"{OWN}/named-born"}),
        await client.post(PATH, json=sent(url=f"{OWN}/named-born")),
        await client.post(PATH, json=second),
    ):
        found = elements(response)
        assert (found["Patient.name"]["min"], found["Patient.birthDate"]["min"]) == (1, 1)


async def test_profiles_that_come_with_fhir_are_there_by_url(client: httpx.AsyncClient) -> None:
    found = elements(await client.get(PATH, params={"url": f"{CORE}/bp"}))
    assert "Observation.component:SystolicBP" in found
    assert "Patient.contact" in elements(await client.get(PATH, params={"url": f"{CORE}/Patient"}))


@pytest.mark.parametrize("name", ["bp", "Patient", "patient-birthPlace", "Quantity", "shareablevalueset", "own"])
async def test_a_snapshot_is_complete_and_can_be_stored(client: httpx.AsyncClient, name: str) -> None:
    """What an element is in words is that of the profile, else that of the type."""
    given = profile("own", f"{CORE}/Patient", row("Patient.active", min=1, short="In use"))
    response = await client.post(PATH, json=given if name == "own" else sent(url=f"{CORE}/{name}"))
    found = elements(response)
    assert all(one["short"] and one["definition"] for one in found.values())
    if name == "own":
        assert found["Patient.active"]["short"] == "In use"
        assert found["Patient.active"]["definition"].startswith("Whether this patient record is in active use.")
        assert found["Patient.active"]["isModifierReason"].startswith("This element is labelled as a modifier")
        assert found["Patient.birthDate"]["short"] == "The date of birth for the individual"
    stored = await client.put(f"StructureDefinition/whole-{name}", json={**response.json(), "id": f"whole-{name}"})
    assert stored.status_code == 201, stored.text
    await client.delete(f"StructureDefinition/whole-{name}")


async def test_what_has_no_snapshot_is_refused_with_the_reason(client: httpx.AsyncClient) -> None:
    missing = profile("lost", f"{OWN}/nowhere")
    assert f"The base definition '{OWN}/nowhere'" in refused(await client.post(PATH, json=missing), 422)
    wrong = profile("wrong", f"{CORE}/Patient", row("Patient.shoeSize", min=1))
    assert "has no element 'shoeSize'" in refused(await client.post(PATH, json=wrong), 422)
    itself = profile("itself", f"{OWN}/itself")
    assert "is based on itself" in refused(await client.post(PATH, json=itself), 422)
    for name, base in (("hen", "egg"), ("egg", "hen")):
        body = {**profile(name, f"{OWN}/{base}"), "id": name}
        assert (await client.put(f"StructureDefinition/{name}", json=body)).status_code == 201
    assert "is based on itself by way of" in refused(await client.get("StructureDefinition/hen/$snapshot"), 422)


@pytest.mark.parametrize(
    ("status", "path", "body", "words"),
    [
        (400, PATH, {"resourceType": "Parameters"}, "Say which StructureDefinition is meant"),
        (400, PATH, {"resourceType": "StructureDefinition", "kind": "cat"}, "'cat'"),
        (400, PATH, {"resourceType": "Patient"}, "StructureDefinition"),
        (400, f"StructureDefinition/any/$snapshot?url={CORE}/bp", None, "The instance says which one"),
        (404, "StructureDefinition/nobody/$snapshot", None, "nobody"),
        (404, f"{PATH}?url={CORE}/bodyweigth", None, f"Did you mean '{CORE}/bodyweight'?"),
        (404, f"{PATH}?url={CORE}/bp|9.9", None, f"Did you mean '{CORE}/bp|4.0.1'?"),
        (404, f"{PATH}?url=a,b|c$d|", None, "There is no StructureDefinition"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_the_remedy(
    client: httpx.AsyncClient, status: int, path: str, body: Json | None, words: str
) -> None:
    response = await client.request("POST" if body else "GET", path, json=body)
    assert words in refused(response, status)


async def test_a_hostile_profile_is_refused_in_bounded_time(client: httpx.AsyncClient) -> None:
    slices = [
        {"id": f"Patient.{name}:s{n}", "path": f"Patient.{name}", "sliceName": f"s{n}"}
        for name in ("name", "contact", "identifier")
        for n in range(400)
    ]
    deep = [row("Patient" + ".contained" * n) for n in range(1, 200)]
    for rows in (slices, deep, [row(f"Patient.extension.extension.extension:x{n}") for n in range(6_000)]):
        with within(20):
            response = await client.post(PATH, json=profile("hostile", f"{CORE}/Patient", *rows))
            assert response.status_code in {400, 422}, response.text[:500]
