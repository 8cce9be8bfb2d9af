"""Searching beyond the scope: other types, other records, and by what leads to them (SMART 2.2, 3.0.2)."""

import json
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest

from tests.access.house import CATEGORY, STAFF, House, assert_forbidden, observation

Fresh = Callable[[str], str]

LAB = f"category={CATEGORY}|laboratory"
VITAL = f"category={CATEGORY}|vital-signs"


@pytest.mark.parametrize(
    "query", ["patient=bo", "patient=Patient/bo", "subject=Patient/bo", "_id=bo-lab", "performer=Patient/ann"]
)
async def test_searching_the_record_of_another(house: House, query: str) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    answer = (await ann.get(f"Observation?{query}&_total=accurate")).json()
    assert answer["total"] == 0
    assert "entry" not in answer


async def test_counting_what_is_hidden(house: House, fresh: Fresh) -> None:
    tag = fresh("count")
    whole = await house.as_("system/*.cruds")
    for number in range(5):
        one = observation(f"{tag}-{number}", "ann" if number < 2 else "bo", meta={"tag": [{"code": tag}]})
        await whole.put(one)
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for query in ("_summary=count", "_total=accurate", "_total=estimate&_count=1", "_total=accurate&_count=1"):
        assert (await ann.get(f"Observation?_tag={tag}&{query}")).json()["total"] == 2, query
    assert len(await ann.found(f"Observation?_tag={tag}&_count=1")) == 2
    assert len(await ann.found(f"Observation?_tag={tag}&_count=1&_sort=-_lastUpdated")) == 2


async def test_searching_by_post_is_searching(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    form = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Bearer {ann.token}"}
    answer = await house.client.post("/fhir/Observation/_search", content="patient=bo", headers=form)
    assert answer.json()["total"] == 0
    answer = await house.client.post("/fhir/Condition/_search", content="", headers=form)
    assert_forbidden(answer, "patient/Condition.rs")
    answer = await house.client.post("/fhir/_search", content="_type=Condition", headers=form)
    assert_forbidden(answer, "patient/Condition.rs")
    answer = await house.client.post("/fhir/Patient/bo/Observation/_search", content="status=amended", headers=form)
    assert answer.json()["total"] == 0


async def test_searching_several_types_drops_those_without_scope(house: House) -> None:
    ann = await house.as_("patient/Observation.rs patient/Condition.rs patient/Encounter.r", patient="ann")
    for path in (
        "?_count=50",
        "?_type=Observation,Condition,Encounter,Group",
        "Patient/ann/*",
        "Patient/ann/*?_type=Condition,Observation",
    ):
        found = [
            one
            for one in await ann.found(path)
            if one in {"Observation/ann-lab", "Condition/ann-condition"} or "bo-" in one
        ]
        assert sorted(found) == ["Condition/ann-condition", "Observation/ann-lab"], path
        assert {one.split("/")[0] for one in await ann.found(path)} == {"Observation", "Condition"}, path
    assert not [one for one in await ann.found("Patient/bo/*") if "/bo-" in one]
    assert_forbidden(await ann.get("?_type=Encounter"), "patient/Encounter.rs")
    assert_forbidden(await ann.get("Patient/ann/Encounter"), "patient/Encounter.rs")
    assert_forbidden(await ann.get("?_type=Group"), "")
    none = await house.as_("patient/Observation.r", patient="ann")
    assert_forbidden(await none.get(""), "patient/*.rs")
    assert_forbidden(await none.get("Patient/ann/*"), "patient/*.rs")
    assert (await none.get("?_type=Observation,Condition")).status_code == 403


async def test_a_type_of_which_nothing_is_stored_is_empty_and_not_forbidden(house: House) -> None:
    ann = await house.as_("patient/VisionPrescription.rs", patient="ann")
    assert await ann.found("?_type=Condition,VisionPrescription") == []
    assert await ann.found("VisionPrescription") == []


async def test_including_what_may_not_be_seen(house: House) -> None:
    search = "Observation?_id=ann-lab&_include=Observation:subject&_include=Observation:performer&_revinclude=Provenance:target"
    ann = await house.as_("patient/Observation.rs", patient="ann")
    assert await ann.found(search) == ["Observation/ann-lab"]
    ann = await house.as_("patient/Observation.rs patient/Patient.rs patient/Practitioner.r", patient="ann")
    assert await ann.found(search) == [
        "Observation/ann-lab",
        "Patient/ann",
        "Practitioner/pat",
    ]  # Patient/bo performed, too
    ann = await house.as_("patient/Observation.rs patient/Provenance.rs", patient="ann")
    assert await ann.found(search) == ["Observation/ann-lab", "Provenance/ann-provenance"]
    whole = await house.as_("system/*.rs")
    assert "Patient/bo" in await whole.found(search)


async def test_including_by_wildcard_and_from_include_to_include(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    for search in (
        "Observation?_id=ann-lab&_include=*&_revinclude=*",
        "Patient?_id=ann&_revinclude=*&_include:iterate=*&_revinclude:iterate=*",
        "Patient?_revinclude=Observation:performer&_revinclude=Coverage:payor&_revinclude=Group:member",
        "Encounter?_include=Encounter:patient&_revinclude:iterate=Observation:performer&_include:iterate=Observation:subject",
    ):
        found = await ann.found(search)
        assert not [one for one in found if "/bo" in one or "Group" in one or "linked" in one], (search, found)


async def test_what_may_only_be_read_is_included(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    search = "MedicationRequest?_include=MedicationRequest:medication"
    assert await ann.found(search) == ["MedicationRequest/ann-medicationrequest", "Medication/pill"]


async def test_included_resources_beyond_the_limit_of_a_page_are_those_that_may_be_seen(
    house: House, fresh: Fresh
) -> None:
    whole = await house.as_("system/*.cruds")
    name = fresh("many")
    await whole.put({"resourceType": "Encounter", "id": name, "status": "finished", "class": {"code": "AMB"},
                     "subject": {"reference": "Patient/ann"}})  # fmt: skip
    for number in range(6):
        one = observation(
            f"{name}-{number}", "bo" if number < 4 else "ann", encounter={"reference": f"Encounter/{name}"}
        )
        await whole.put(one)
    ann = await house.as_("patient/*.rs", patient="ann")
    found = await ann.found(f"Encounter?_id={name}&_revinclude=Observation:encounter")
    assert found == [f"Encounter/{name}", f"Observation/{name}-4", f"Observation/{name}-5"]


@pytest.mark.parametrize(
    ("search", "scope"),
    [
        ("Observation?subject:Patient.name=ann", "patient/Patient.rs"),
        ("Observation?subject.name=ann", ""),
        ("Observation?encounter.location.name=room", "patient/Encounter.rs"),
        ("Observation?_has:Provenance:target:recorded=2026-01-01", "patient/Provenance.rs"),
        ("Observation?_has:Group:member:_id=both", None),
        ("Observation?_list=ann-list", "patient/List.rs"),
        ("Observation?_filter=subject.name%20eq%20ann", ""),
        ("Observation?_filter=not(subject.name%20eq%20nobody)", ""),
        ("?_type=Observation&subject:Patient.name=ann", "patient/Patient.rs"),
        ("Patient/ann/Observation?subject:Patient.name=ann", "patient/Patient.rs"),
    ],
)
async def test_chaining_through_a_type_without_scope(house: House, search: str, scope: str | None) -> None:
    ann = await house.as_("patient/Observation.rs patient/Patient.r", patient="ann")
    answer = await ann.get(search)
    if scope is None:
        assert answer.status_code in {400, 403}
    elif scope:
        assert_forbidden(answer, scope)
    else:
        assert answer.status_code == 403, answer.text


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Observation?performer:Patient.name=bo", []),
        ("Observation?performer:Patient.name=zzz", []),
        ("Observation?performer:Patient._id=bo", []),
        ("Observation?subject:Patient.name=ann&_id=ann-lab", ["Observation/ann-lab"]),
        ("Condition?asserter:Patient.name=bo", []),
        ("Patient?_has:Observation:performer:status=final", []),
        ("Patient?_has:Condition:asserter:code=illness-of-bo", []),
        ("Patient?_has:Observation:patient:status=final", ["Patient/ann"]),
        ("Observation?_filter=performer.name%20eq%20bo", []),
        ("Observation?_id=ann-lab&_filter=not(performer.name%20eq%20bo)", ["Observation/ann-lab"]),
        ("Coverage?payor:Patient.name=bo", []),
        ("Patient?_list=bo-list", []),
        ("Patient?_list=ann-list", ["Patient/ann"]),
    ],
)
async def test_chains_as_an_oracle_of_what_is_hidden(house: House, search: str, expected: list[str]) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    assert await ann.found(search) == expected


async def test_chains_find_for_those_who_may_see(house: House) -> None:
    whole = await house.as_("system/*.rs")
    assert await whole.found("Observation?performer:Patient.name=bo") == ["Observation/ann-lab"]
    assert await whole.found("Patient?_has:Condition:asserter:code=illness-of-bo") == ["Patient/ann"]
    assert await whole.found("Patient?_list=bo-list") == ["Patient/bo"]


async def test_climbing_hierarchies_without_scope(house: House) -> None:
    ann = await house.as_("patient/Encounter.rs", patient="ann")
    assert_forbidden(await ann.get("Encounter?location:below=Location/ward"), "patient/Location.rs")
    ann = await house.as_("patient/Encounter.rs patient/Location.rs", patient="ann")
    assert await ann.found("Encounter?location:below=Location/ward&_id=ann-encounter") == ["Encounter/ann-encounter"]


async def test_contained_resources_follow_what_contains_them(house: House) -> None:
    ann = await house.as_("patient/Practitioner.rs patient/Condition.rs", patient="ann")
    for name, expected in (("inside-ann", 1), ("inside-bo", 0)):
        answer = await ann.get(f"Practitioner?_contained=true&_containedType=contained&family={name}")
        assert len(answer.json().get("entry", [])) == expected, name
        assert len(await ann.found(f"Practitioner?_contained=true&family={name}")) == expected
    narrow = await house.as_("patient/Practitioner.rs", patient="ann")
    assert await narrow.found("Practitioner?_contained=true&family=inside-ann") == []
    without = await house.as_("patient/Condition.rs", patient="ann")
    assert (await without.get("Practitioner?_contained=true&family=inside-ann")).status_code == 403


async def test_explaining_a_search_to_who_sees_a_part_of_it(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for path in (
        "Observation?_explain=true",
        "?_type=Observation&_explain=true",
        "Patient/ann/Observation?_explain=true",
    ):
        answer = await ann.get(path)
        assert answer.status_code == 403, path
        assert "keys" not in answer.text
    staff = await house.as_("user/Observation.rs", user=STAFF)
    assert "keysExamined" in (await staff.get("Observation?_explain=true")).text.replace("\\", "")


async def test_granular_scopes_are_a_union_and_nothing_else(house: House) -> None:
    whole = await house.as_("system/Observation.rs")
    everything = await whole.found("Observation?patient=ann&_sort=_id&_id=ann-lab,ann-vital")
    assert everything == ["Observation/ann-lab", "Observation/ann-vital"]
    for scope, expected in (
        (f"patient/Observation.rs?{LAB}", ["Observation/ann-lab"]),
        (f"patient/Observation.rs?{LAB} patient/Observation.rs?{VITAL}", everything),
        (f"patient/Observation.rs?{LAB}&status=amended", []),
        (f"patient/Observation.rs?{quote(LAB, safe='=')}", ["Observation/ann-lab"]),
        ("patient/Observation.rs?status=amended", ["Observation/ann-vital"]),
        (f"patient/Observation.rs?{LAB} patient/*.rs", everything),
    ):
        ann = await house.as_(scope, patient="ann")
        query = "Observation?_sort=_id&_id=ann-lab,ann-vital&_count=1"
        assert await ann.found(query) == expected, scope
        assert (await ann.get("Observation?_id=ann-lab,ann-vital&_summary=count")).json()["total"] == len(expected)
        for name in ("ann-lab", "ann-vital"):
            status = 200 if f"Observation/{name}" in expected else 404
            assert await ann.status(f"Observation/{name}") == status, (scope, name)


@pytest.mark.parametrize(
    "criterion",
    [
        "nonsense=1",
        "category:in=x",
        "subject.name=bo",
        "_has:Group:member:_id=both",
        "date=yesterday",
        "_count=1",
        "_include=Observation:subject",
    ],
)
async def test_criteria_that_cannot_be_enforced_give_nothing(house: House, criterion: str) -> None:
    ann = await house.as_(f"patient/Observation.rs?{criterion}", patient="ann")
    assert await ann.status("Observation/ann-lab") == 403
    assert await ann.status("Observation") == 403


async def test_granular_scopes_hold_within_includes_chains_and_conditions(house: House) -> None:
    ann = await house.as_(f"patient/Observation.rs?{VITAL} patient/Patient.rs patient/Provenance.rs", patient="ann")
    assert await ann.found("Provenance?_id=ann-provenance&_include=Provenance:target") == [
        "Provenance/ann-provenance",
        "Patient/ann",
    ]
    assert await ann.found("Patient?_has:Observation:patient:status=amended") == ["Patient/ann"]
    assert await ann.found("Patient?_has:Observation:patient:_id=ann-lab") == []


async def test_staff_change_nothing_for_everybody(house: House) -> None:
    doctor = await house.as_("user/*.cruds", user="u-doc")
    for method, path in (("POST", "$reindex"), ("POST", "Patient/$reindex"), ("DELETE", "$reindex-status?job=x")):
        answer = await doctor.ask(method, path)
        assert answer.status_code == 403, path
        assert "for administrators and for systems" in answer.text
    assert (await doctor.post({"resourceType": "SearchParameter"})).status_code == 403
    assert (await doctor.get("SearchParameter")).status_code == 200


async def test_a_search_parameter_posted_by_who_may_not(house: House, fresh: Fresh) -> None:
    code = fresh("x")
    parameter = {
        "resourceType": "SearchParameter", "url": f"http://example.org/{code}", "name": "X", "status": "active",
        "description": "Mine", "code": code, "base": ["Observation"], "type": "reference",
        "expression": "Observation.performer", "target": ["Patient"],
    }  # fmt: skip
    ann = await house.as_("patient/*.cruds user/*.cruds", patient="ann")
    assert (await ann.post(parameter)).status_code == 403
    assert (await ann.put({**parameter, "id": code})).status_code == 403
    entry = {"resource": parameter, "request": {"method": "POST", "url": "SearchParameter"}}
    for kind in ("batch", "transaction"):
        answer = await ann.ask("POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        assert "403" in json.dumps(answer.json().get("entry", [])) or answer.status_code == 403
    whole = await house.as_("system/*.rs")
    assert await whole.found(f"SearchParameter?{urlencode({'code': code})}") == []
    assert (await whole.get(f"Observation?{code}=Patient/ann")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "$reindex"),
        ("POST", "Patient/$reindex"),
        ("GET", "$reindex-status"),
        ("DELETE", "$reindex-status?job=x"),
    ],
)
async def test_operations_on_everything_by_who_reaches_a_part(house: House, method: str, path: str) -> None:
    for caller in (
        await house.as_("patient/*.cruds user/*.cruds", patient="ann"),
        await house.as_("system/Patient.cruds?active=true"),
        await house.as_("system/*.cds"),
    ):
        answer = await caller.ask(method, path)
        assert answer.status_code == 403, (path, answer.text)
    whole = await house.as_("system/*.cruds")
    assert (await whole.ask(method, path)).status_code != 403
