"""$validate over HTTP: by the base definitions, by profiles, and by what this server would say to the write."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]
PRESSURE = "http://hl7.org/fhir/StructureDefinition/bp"
VITAL = [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}]
TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}


def pressure(**more: Any) -> Json:
    def part(code: str, value: int) -> Json:
        quantity = {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}
        return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": quantity}

    return {
        "resourceType": "Observation",
        "text": TEXT,
        "status": "final",
        "category": VITAL,
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "subject": {"reference": "Patient/pressed"},
        "effectiveDateTime": "2026-11-21",
        "component": [part("8480-6", 120), part("8462-4", 80)],
        **more,
    }


def parameters(**values: Any) -> Json:
    keys = {"mode": "valueCode", "profile": "valueUri", "strict": "valueBoolean", "resource": "resource"}
    rows = [{"name": name, keys[name]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": rows}


def errors(response: httpx.Response) -> list[Json]:
    assert response.status_code == 200, response.text
    assert response.json()["resourceType"] == "OperationOutcome"
    return [one for one in response.json()["issue"] if one["severity"] in {"error", "fatal"}]


async def test_what_is_right_is_said_to_be(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Patient", "text": TEXT}
    for path in ("$validate", "Patient/$validate"):
        response = await client.post(path, json=body)
        assert errors(response) == []
        assert response.json()["issue"][0]["details"]["text"] == "Nothing was found that is wrong with it."


async def test_all_that_is_wrong_is_told_with_its_place_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Patient", "gender": "mail", "birthDate": "2026-02-30"}
    for sent in (body, parameters(resource=body)):
        found = errors(await client.post("Patient/$validate", json=sent))
        assert [one["expression"] for one in found] == [["Patient.gender"], ["Patient.birthDate"]]
    assert (await client.get("Patient?gender=unknown,male&_summary=count")).json()["total"] == 0


async def test_a_profile_is_that_of_the_query_the_parameters_or_the_resource(client: httpx.AsyncClient) -> None:
    wrong = pressure(component=pressure()["component"][:1])
    named = {**wrong, "meta": {"profile": [PRESSURE]}}
    for path, sent in (
        (f"Observation/$validate?profile={PRESSURE}", wrong),
        ("Observation/$validate", parameters(resource=wrong, profile=PRESSURE)),
        ("$validate", named),
    ):
        found = errors(await client.post(path, json=sent))
        assert found, path
        assert all(PRESSURE in one["details"]["text"] or "DiastolicBP" in one["details"]["text"] for one in found), (
            found
        )
    assert errors(await client.post(f"Observation/$validate?profile={PRESSURE}", json=pressure())) == []
    assert errors(await client.post("Observation/$validate", json=wrong)) == []


async def test_what_r4_leaves_open_is_an_error_for_who_asks_to_be_strict(client: httpx.AsyncClient) -> None:
    added = {"resourceType": "Patient", "text": TEXT, "extension": [{"url": "http://x.org/unknown", "valueCode": "x"}]}
    uncovered = pressure(component=pressure()["component"][:1])
    for body, said in ((added, "http://x.org/unknown"), (uncovered, PRESSURE)):
        kind = body["resourceType"]
        assert errors(await client.post(f"{kind}/$validate", json=body)) == []
        assert errors(await client.post(f"{kind}/$validate?strict=false", json=body)) == []
        for path, sent in (("?strict=true", body), ("", parameters(resource=body, strict=True))):
            found = errors(await client.post(f"{kind}/$validate{path}", json=sent))
            assert said in found[0]["details"]["text"], found
    assert errors(await client.post("Observation/$validate?strict=true", json=pressure())) == []
    assert (await client.post("Patient/$validate?strict=very", json=added)).status_code == 400


async def test_the_stored_resource_is_validated_where_none_is_sent(client: httpx.AsyncClient) -> None:
    await client.put("Patient/pressed", json={"resourceType": "Patient", "id": "pressed", "text": TEXT})
    stored = await client.put("Observation/stored", json=pressure(id="stored", component=pressure()["component"][1:]))
    assert stored.status_code == 201, stored.text
    assert errors(await client.get("Observation/stored/$validate")) == []
    assert errors(await client.get(f"Observation/stored/$validate?profile={PRESSURE}"))
    assert (await client.get("Observation/nobody/$validate")).status_code == 404


async def test_modes_ask_what_the_write_would_be_answered(client: httpx.AsyncClient) -> None:
    await client.put("Patient/pressed", json={"resourceType": "Patient", "id": "pressed", "text": TEXT})
    await client.put("Observation/kept", json=pressure(id="kept"))
    lost = pressure(subject={"reference": "Patient/nobody"})
    assert errors(await client.post("Observation/$validate", json=lost)) == []
    (told,) = errors(await client.post("Observation/$validate?mode=create", json=lost))
    assert "Patient/nobody" in told["details"]["text"]
    assert errors(await client.post("Observation/$validate?mode=create", json=pressure())) == []
    assert errors(await client.post("Observation/kept/$validate?mode=update", json=pressure(id="kept"))) == []
    (told,) = errors(await client.post("Observation/kept/$validate?mode=update", json=pressure(id="other")))
    assert told["expression"] == ["Observation.id"]
    (told,) = errors(await client.post("Patient/pressed/$validate", json=parameters(mode="delete")))
    assert "refers to it" in told["details"]["text"]
    assert errors(await client.get("Observation/kept/$validate?mode=delete")) == []
    kept = await client.get("Observation/kept")
    assert (kept.status_code, kept.headers["etag"]) == (200, 'W/"1"'), "nothing was written or deleted"
    assert (await client.get("Observation?_summary=count&subject=Patient/pressed")).json()["total"] >= 1


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        (
            "POST",
            "Patient/$validate?mode=explode",
            {"resourceType": "Patient"},
            "There are create, update, delete, profile",
        ),
        ("POST", "Patient/$validate?mode=update", {"resourceType": "Patient"}, "is asked at [type]/[id]/$validate"),
        ("POST", "$validate?mode=create", {"resourceType": "Patient"}, "is asked at [type]/$validate"),
        (
            "POST",
            "Patient/$validate?profile=urn:unknown",
            {"resourceType": "Patient"},
            "There is no profile 'urn:unknown'",
        ),
        ("POST", "$validate", {"resourceType": "Pationt"}, "is not a resource type"),
        ("POST", "Patient/$validate", {"resourceType": "Parameters"}, "There is nothing to validate"),
        ("GET", "Patient/$validate", None, "There is nothing to validate"),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_the_remedy(
    client: httpx.AsyncClient, method: str, path: str, body: Json | None, words: str
) -> None:
    response = await client.request(method, path, json=body)
    assert response.status_code == 400, response.text
    assert words in response.json()["issue"][0]["details"]["text"]


async def test_a_resource_of_another_type_than_the_url_is_a_finding(client: httpx.AsyncClient) -> None:
    assert errors(await client.post("Observation/$validate", json={"resourceType": "Patient"}))


CORE = "http://hl7.org/fhir/StructureDefinition"
OWN = "https://clinic.example/StructureDefinition"


def profile(name: str, kind: str, *rows: Json) -> Json:
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": f"{OWN}/{name}",
        "name": name.title(),
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": kind,
        "baseDefinition": f"{CORE}/{kind}",
        "derivation": "constraint",
        "differential": {"element": [{"id": kind, "path": kind}, *rows]},
    }


async def test_a_profile_that_somebody_stored_is_known(client: httpx.AsyncClient) -> None:
    rows = [{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1}]
    stored = profile("born", "Patient", *rows)
    assert (await client.put("StructureDefinition/born", json=stored)).status_code == 201
    claiming = {"resourceType": "Patient", "text": TEXT, "meta": {"profile": [f"{OWN}/born"]}}
    for path, sent in (
        (f"Patient/$validate?profile={OWN}/born", {"resourceType": "Patient", "text": TEXT}),
        ("Patient/$validate", claiming),
        ("$validate", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": claiming}]}),
    ):
        (found,) = errors(await client.post(path, json=sent))
        assert f"(from {OWN}/born)" in found["details"]["text"]
    rows[0]["min"] = 0
    assert (await client.put("StructureDefinition/born", json=profile("born", "Patient", *rows))).status_code == 200
    assert errors(await client.post("Patient/$validate", json=claiming)) == []


async def test_what_a_stored_resource_is_referred_to_as_it_must_be(client: httpx.AsyncClient) -> None:
    named = profile("named", "Patient", {"id": "Patient.name", "path": "Patient.name", "min": 1})
    subject: Json = {"id": "Observation.subject", "path": "Observation.subject"}
    subject["type"] = [{"code": "Reference", "targetProfile": [f"{OWN}/named"]}]
    for one in (named, profile("measured", "Observation", subject)):
        assert (await client.put(f"StructureDefinition/{one['id']}", json=one)).status_code == 201
    for name, more in (("nameless", {}), ("somebody", {"name": [{"text": "A"}]})):
        body = {"resourceType": "Patient", "id": name, "text": TEXT, **more}
        assert (await client.put(f"Patient/{name}", json=body)).status_code in {200, 201}
    path = f"Observation/$validate?profile={OWN}/measured"
    for reference in ("Patient/somebody", "Patient/nobody", "https://other.example/Patient/nameless"):
        assert errors(await client.post(path, json=pressure(subject={"reference": reference}))) == [], reference
    for reference in ("Patient/nameless", "http://localhost/fhir/Patient/nameless"):
        (found,) = errors(await client.post(path, json=pressure(subject={"reference": reference})))
        assert found["expression"] == ["Observation.subject"]
        assert f"{OWN}/named" in found["details"]["text"]


async def test_what_is_not_known_comes_with_what_may_have_been_meant(client: httpx.AsyncClient) -> None:
    claiming: Json = {"resourceType": "Observation", "meta": {"profile": [f"{CORE}/bodyweigth"]}, "status": "final"}
    claiming |= {"code": {"text": "x"}, "extension": [{"url": f"{CORE}/observation-bodyPositions", "valueString": "x"}]}
    found = (await client.post("$validate", json=claiming)).json()["issue"]
    texts = " ".join(one["details"]["text"] for one in found)
    assert f"Did you mean '{CORE}/bodyweight'?" in texts
    assert f"Did you mean '{CORE}/observation-bodyPosition'?" in texts
    asked = await client.post(f"Observation/$validate?profile={CORE}/bodyweigth", json=claiming)
    assert asked.status_code == 400
    assert f"Did you mean '{CORE}/bodyweight'?" in asked.text


async def test_the_answer_is_the_same_each_time_and_whatever_is_preferred(client: httpx.AsyncClient) -> None:
    body = {**pressure(component=[], category=[]), "meta": {"profile": [PRESSURE, f"{CORE}/bodyweight"]}}
    del body["component"], body["category"]
    first = await client.post("$validate", json=body)
    assert len(errors(first)) > 3
    for prefer in ("return=minimal", "return=representation", "return=OperationOutcome", "handling=lenient"):
        again = await client.post("$validate", json=body, headers={"Prefer": prefer})
        assert again.content == first.content
    severities = [one["severity"] for one in first.json()["issue"]]
    assert severities == sorted(severities, key=["error", "warning", "information"].index)


async def test_where_the_structure_is_wrong_it_is_said_that_profiles_wait(client: httpx.AsyncClient) -> None:
    body = {"resourceType": "Observation", "meta": {"profile": [PRESSURE]}, "status": "final", "codes": {}}
    found = (await client.post("$validate", json=body)).json()["issue"]
    assert "Profiles have not been looked at" in found[-1]["details"]["text"]
