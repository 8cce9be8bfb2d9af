"""Bringing together more than the scope covers: $everything, $lastn, $stats, $document and $graphql (product.md I3)."""

from urllib.parse import quote

import pytest

from tests.access.house import STAFF, Caller, House, Json, assert_forbidden, observation
from tests.access.record import reference, resource


def entries(bundle: Json, mode: str = "") -> list[str]:
    return [
        f"{one['resource']['resourceType']}/{one['resource'].get('id', '')}"
        for one in bundle.get("entry", ())
        if not mode or one["search"]["mode"] == mode
    ]


async def asked(caller: Caller, query: str, place: str = "$graphql") -> Json:
    answer = await caller.get(f"{place}?query={quote(query)}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def test_a_patient_gets_everything_with_her_own_token_and_nothing_of_others(house: House) -> None:
    ann = await house.as_("patient/*.cruds", patient="ann")
    whole = await house.as_("system/*.rs")
    mine = (await ann.get("Patient/$everything")).json()
    assert sorted(entries(mine)) == sorted(entries((await ann.get("Patient/ann/$everything")).json()))
    assert {"Patient/ann", "Observation/ann-lab", "Practitioner/pat"} <= {*entries(mine)}
    everything = {*entries((await whole.get("Patient/ann/$everything")).json(), "match")}
    assert {*entries(mine, "match")} <= everything
    assert [one for one in entries(mine) if "bo-" in one or one.endswith("/bo")] == []
    for path in ("Patient/bo/$everything", "Encounter/bo-encounter/$everything", "Patient/never-was/$everything"):
        answer = await ann.get(path)
        assert answer.status_code == 404, path
        assert "bo-lab" not in answer.text


async def test_everything_leaves_out_types_without_scope_and_names_them(house: House) -> None:
    ann = await house.as_(
        "patient/Patient.rs patient/Observation.rs patient/Condition.r patient/Encounter.s", patient="ann"
    )
    bundle = (await ann.get("Patient/ann/$everything")).json()
    assert {one.partition("/")[0] for one in entries(bundle, "match")} == {"Patient", "Observation"}
    (outcome,) = [one["resource"] for one in bundle["entry"] if one["search"]["mode"] == "outcome"]
    assert "Condition" in str(outcome)
    assert "Encounter" in str(outcome)
    assert_forbidden(
        await (await house.as_("patient/Observation.rs", patient="ann")).get("Patient/ann/$everything"),
        "patient/Patient.rs",
    )


async def test_everything_with_granular_scopes_brings_what_these_cover(house: House) -> None:
    category = "http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"
    ann = await house.as_(f"patient/Patient.rs patient/Observation.rs?category={category}", patient="ann")
    found = entries((await ann.get("Patient/ann/$everything")).json(), "match")
    assert "Observation/ann-vital" in found
    assert "Observation/ann-lab" not in found
    last = entries((await ann.get("Observation/$lastn?patient=ann&max=100")).json())
    assert "Observation/ann-lab" not in last
    listed = await asked(ann, "{ ObservationList { id } }")
    assert "ann-lab" not in str(listed)


async def test_a_link_to_more_of_everything_is_of_no_use_to_somebody_else(house: House) -> None:
    ann = await house.as_("patient/*.cruds", patient="ann")
    bo = await house.as_("patient/*.cruds", patient="bo")
    bundle = (await ann.get("Patient/ann/$everything?_count=2")).json()
    link = next(one["url"] for one in bundle["link"] if one["relation"] == "next")
    for caller in (bo, await house.as_("system/*.rs")):
        answer = await caller.get(link)
        assert answer.status_code in {400, 404}
        assert "Observation/" not in answer.text


async def test_statistics_and_last_values_of_another_patient(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for whose in ("bo", "never-was"):
        assert entries((await ann.get(f"Observation/$lastn?patient={whose}&max=9")).json()) == []
        query = f"subject=Patient/{whose}&system=urn:example&code=x&statistic=total-count&include=true"
        answer = await ann.get(f"Observation/$stats?{query}")
        assert [row["name"] for row in answer.json()["parameter"]] == ["statistics"]
        assert answer.json()["parameter"][0]["resource"]["component"][0]["valueQuantity"]["value"] == 0
    reader = await house.as_("patient/Observation.r", patient="ann")
    assert_forbidden(await reader.get("Observation/$lastn?patient=ann"), "patient/Observation.rs")


async def test_a_document_does_not_bring_what_its_reader_may_not_see(house: House) -> None:
    whole = await house.as_("system/*.cruds")
    await whole.put(observation("doc-of-bo", "bo", note=[{"text": "SECRET OF BO"}]))
    section = {
        "title": "All",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        "entry": [reference("Observation/doc-of-bo"), reference("Observation/ann-lab")],
    }
    written = await whole.put(
        resource(
            "Composition", "doc-of-ann", status="final", type={"text": "x"}, subject=reference("Patient/ann"),
            date="2024-01-01", author=[reference("Practitioner/pat")], title="x", section=[section],
        )
    )  # fmt: skip
    assert written.status_code in {200, 201}, written.text
    ann = await house.as_("patient/*.cruds", patient="ann")
    answer = await ann.get("Composition/doc-of-ann/$document")
    assert answer.status_code == 200, answer.text
    assert "SECRET OF BO" not in answer.text
    assert answer.json()["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "Observation/ann-lab" in entries(answer.json())
    body = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    refused = await ann.ask("POST", "Composition/doc-of-ann/$document", body)
    assert refused.status_code == 422
    assert "SECRET OF BO" not in refused.text


@pytest.mark.parametrize(
    "query",
    [
        '{ Patient(id: "bo") { id } }',
        '{ Observation(id: "bo-lab") { id code { text } } }',
        '{ ObservationList(patient: "bo") { id } }',
        '{ ObservationConnection(patient: "bo") { count edges { resource { id } } } }',
        '{ ObservationList(_filter: "patient eq Patient/bo") { id } }',
        '{ Observation(id: "ann-lab") { performer { resource(type: Patient) { name { family } } } } }',
        '{ Patient(id: "ann") { link { other { resource { id ... on Patient { birthDate ObservationList(_reference: subject) { id } } } } } } }',
    ],
)
async def test_a_query_that_leads_to_the_record_of_another_finds_nothing(house: House, query: str) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    found = await asked(ann, query)
    assert "bo-" not in str(found["data"])
    assert "'bo'" not in str(found["data"])
    for connection in (found["data"].get("ObservationConnection"),):
        assert connection is None or connection["count"] == 0
    absent = await asked(ann, query.replace('"bo"', '"never"').replace("bo-lab", "never-lab").replace("/bo", "/never"))
    assert str(absent).replace("never", "bo") == str(found)


async def test_each_part_of_a_query_needs_the_scope_of_its_type(house: House) -> None:
    ann = await house.as_("patient/Patient.r patient/Observation.s", patient="ann")
    query = """{ mine: Patient(id: "ann") { id ObservationList(_reference: subject, _count: 1) { id } ConditionList(_reference: subject) { id } }
                PatientList { id } Observation(id: "ann-lab") { id } Condition(id: "ann-condition") { id } }"""
    found = await asked(ann, query)
    assert found["data"]["mine"]["id"] == "ann"
    assert len(found["data"]["mine"]["ObservationList"]) == 1
    assert found["data"]["mine"]["ConditionList"] is None
    assert [found["data"][name] for name in ("PatientList", "Observation", "Condition")] == [None, None, None]
    codes = {error["extensions"]["resource"]["issue"][0]["code"] for error in found["errors"]}
    assert codes == {"forbidden"}
    assert len(found["errors"]) == 4


async def test_a_query_of_an_instance_that_is_hidden_is_answered_like_one_of_what_never_was(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    hidden, absent = [await ann.get(f"Patient/{name}/$graphql?query={quote('{ id }')}") for name in ("bo", "nob")]
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert hidden.text == absent.text.replace("nob", "bo")


async def test_staff_get_everything_of_a_patient_whom_they_see(house: House) -> None:
    doctor = await house.as_("user/*.rs", user=STAFF)
    found = entries((await doctor.get("Patient/bo/$everything")).json(), "match")
    assert "Observation/bo-lab" in found
    assert "Patient/bo" in found
    assert "Observation/ann-lab" in found  # of which Bo is a performer
    assert "Observation/ann-vital" not in found
    assert "Patient/ann" not in entries((await doctor.get("Patient/bo/$everything")).json(), "include")
