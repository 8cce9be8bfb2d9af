"""Reading beyond the scope: by id, by version, by condition, by what is left over of what was deleted (SMART 2.2, 3.0.2)."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from fhir_server.store.client import connect
from tests.access.commands import cost
from tests.access.house import ADMINISTRATOR, CATEGORY, STAFF, House, assert_forbidden, observation
from tests.access.record import MINE
from tests.access.twins import Probe

Fresh = Callable[[str], str]


async def test_reading_a_type_without_scope(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for path in ("Condition/ann-condition", "Condition/ann-condition/_history/1", "Condition/ann-condition/_history"):
        assert_forbidden(await ann.get(path), "patient/Condition.rs")
    assert_forbidden(await ann.get("Condition"), "patient/Condition.rs")
    assert_forbidden(await ann.get("Condition/_history"), "patient/Condition.rs")
    assert_forbidden(await ann.get("Group/both"), "")


async def test_a_refusal_names_a_scope_of_the_caller_s_own_context(house: House) -> None:
    assert_forbidden(await (await house.as_("system/Patient.rs")).get("Condition"), "system/Condition.rs")
    staff = await house.as_("user/Patient.rs", user=STAFF)
    assert_forbidden(await staff.get("Condition"), "user/Condition.rs")
    assert_forbidden(await staff.ask("POST", "Condition", {"resourceType": "Condition"}), "user/Condition.c")


@pytest.mark.parametrize("letters", ["s", "cuds"])
async def test_reading_with_letters_that_do_not_read(house: House, letters: str) -> None:
    ann = await house.as_(f"patient/Observation.{letters}", patient="ann")
    for path in ("", "/_history/1", "/_history"):
        assert_forbidden(await ann.get(f"Observation/ann-lab{path}"), "patient/Observation.rs")


async def test_searching_with_the_letter_for_reading_only(house: House) -> None:
    ann = await house.as_("patient/Observation.r", patient="ann")
    assert await ann.status("Observation/ann-lab") == 200
    for path in ("Observation", "Observation/_history", "Patient/ann/Observation", "?_type=Observation", "_history"):
        assert_forbidden(await ann.get(path), "patient/Observation.rs" if "Obs" in path else "patient/*.rs")


@pytest.mark.parametrize("kind", MINE)
async def test_reading_the_record_of_another_by_taking_part_in_it(house: House, kind: str) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    name = kind.lower()
    for path in ("", "/_history/1", "/_history"):
        assert await ann.status(f"{kind}/ann-{name}{path}") == 200, kind
        assert await ann.status(f"{kind}/bo-{name}{path}") == 404, kind
    assert f"{kind}/ann-{name}" in await ann.found(kind)
    assert f"{kind}/bo-{name}" not in await ann.found(kind)
    if kind not in {"Device", "Task"}:  # of which R4 has no compartment
        assert not [one for one in await ann.found(f"Patient/bo/{kind}") if "/bo-" in one]


async def test_what_another_observed_of_somebody_else_is_not_shown_to_the_observer(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    assert await ann.status("Observation/bo-lab") == 404
    assert "Observation/bo-lab" not in await ann.found("Observation?performer=Patient/ann")
    whole = await house.as_("system/Observation.rs")
    assert await whole.found("Observation?performer=Patient/ann") == ["Observation/bo-lab"]


async def test_an_instance_outside_is_answered_as_one_that_never_was(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    for path in ("Observation/{}", "Observation/{}/_history/1", "Observation/{}/_history"):
        hidden, nothing = await ann.get(path.format("bo-lab")), await ann.get(path.format("no-lab"))
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace("bo-lab", "no-lab") == nothing.text
        assert "etag" not in hidden.headers
        assert "last-modified" not in hidden.headers


async def test_asking_whether_a_hidden_resource_has_changed(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for headers in (
        {"If-None-Match": 'W/"1"'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Sat, 21 Nov 2099 00:00:00 GMT"},
    ):
        assert (await ann.get("Observation/bo-lab", **headers)).status_code == 404
        assert (await ann.get("Observation/ann-lab", **headers)).status_code == 304
    unscoped = await house.as_("patient/Patient.rs", patient="ann")
    assert (await unscoped.get("Observation/ann-lab", **{"If-None-Match": 'W/"1"'})).status_code == 403
    assert (await ann.ask("HEAD", "Observation/bo-lab")).status_code == 404


async def test_subsets_do_not_widen_what_is_read(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    for query in ("_elements=id", "_summary=true", "_summary=text", "_summary=data"):
        assert await ann.status(f"Observation/bo-lab?{query}") == 404
        assert await ann.found(f"Observation?{query}&performer=Patient/ann") == []
    own = await ann.found("Observation?_count=1000")
    assert (await ann.get("Observation?_summary=count")).json()["total"] == len(own)


async def test_the_patient_is_the_one_of_the_launch_and_none_that_is_linked(house: House) -> None:
    ann = await house.as_("patient/Patient.rs", patient="ann")
    assert await ann.found("Patient") == ["Patient/ann"]
    assert await ann.status("Patient/ann-linked") == 404
    assert await ann.versions("Patient/ann/_history") == ["Patient/ann/1"]
    assert await ann.status("Patient/ann/_history/1") == 200
    assert await ann.versions("Patient/_history") == ["Patient/ann/1"]


async def test_what_records_refer_to_is_read_but_only_the_directory_is_searched(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    for path in ("Practitioner/pat", "Organization/clinic", "Location/room", "Medication/pill", "ValueSet/set"):
        assert await ann.status(path) == 200, path
    assert "Organization/clinic" in await ann.found("Organization")
    assert_forbidden(await ann.get("Medication"), "")
    named = await house.as_("patient/Medication.rs", patient="ann")
    assert await named.status("Medication/pill") == 200
    assert await named.status("Organization/clinic") == 403


async def test_a_user_scope_of_a_patient_is_not_narrowed_by_the_launch_but_by_who_the_person_is(house: House) -> None:
    bo = await house.as_("user/Observation.rs", user="u-bo", patient="ann")
    assert await bo.status("Observation/bo-lab") == 200
    assert await bo.status("Observation/ann-lab") == 404
    staff = await house.as_("user/Observation.rs", user=STAFF, patient="ann")
    assert await staff.status("Observation/bo-lab") == 200
    opened = await house.as_("patient/Observation.rs", user=STAFF, patient="ann")
    assert await opened.status("Observation/bo-lab") == 404
    assert await opened.status("Observation/ann-lab") == 200


async def test_an_administrator_reaches_the_house_and_nobody_s_record(house: House) -> None:
    adam = await house.as_("user/*.cruds", user=ADMINISTRATOR)
    for path in ("Organization/clinic", "Practitioner/pat", "ValueSet/set", "SearchParameter", "AuditEvent"):
        assert await adam.status(path) == 200, path
    for path in ("Patient/ann", "Observation", "Binary/free", "Group/both"):
        assert await adam.status(path) == 403, path


async def test_a_scope_of_another_context_gives_nothing(house: House) -> None:
    for scope, who in (
        ("system/*.cruds", {"patient": "ann"}),
        ("user/*.cruds", {}),
        ("patient/*.cruds", {"user": STAFF}),
    ):
        caller = await house.as_(scope, **who)
        for path in ("Patient/ann", "Observation", "Organization/clinic"):
            assert await caller.status(path) == 403, (scope, path)


async def test_former_versions_are_judged_one_by_one(house: House, fresh: Fresh) -> None:
    name = fresh("moved")
    whole = await house.as_("system/*.cruds")
    for patient in ("ann", "bo", "ann"):
        assert (await whole.put(observation(name, patient))).status_code in {200, 201}
    ann = await house.as_("patient/Observation.rs", patient="ann")
    bo = await house.as_("patient/Observation.rs", patient="bo")
    assert await ann.versions(f"Observation/{name}/_history") == [f"Observation/{name}/3", f"Observation/{name}/1"]
    assert await bo.versions(f"Observation/{name}/_history") == [f"Observation/{name}/2"]
    assert await bo.status(f"Observation/{name}") == 404
    assert await bo.status(f"Observation/{name}/_history/2") == 200
    assert await bo.status(f"Observation/{name}/_history/1") == 404
    for path in ("Observation/_history?_count=1000", "_history?_count=1000"):
        assert f"Observation/{name}/2" in await bo.versions(path)
        assert f"Observation/{name}/1" not in await bo.versions(path)
        assert f"Observation/{name}/3" in await ann.versions(path)


async def test_a_deletion_is_told_to_who_saw_what_was_deleted(house: House, fresh: Fresh) -> None:
    name = fresh("gone")
    whole = await house.as_("system/*.cruds")
    await whole.put(observation(name, "bo", performer=[{"reference": "Patient/ann"}]))
    assert (await whole.ask("DELETE", f"Observation/{name}")).status_code == 204
    ann, bo = [await house.as_("patient/Observation.rs", patient=one) for one in ("ann", "bo")]
    assert await bo.status(f"Observation/{name}") == 410
    assert await ann.status(f"Observation/{name}") == 404
    assert await ann.status(f"Observation/{name}/_history") == 404
    assert await ann.status(f"Observation/{name}/_history/2") == 404
    for path in ("Observation/_history?_count=1000", "_history?_count=1000"):
        assert f"Observation/{name}/2†" in await bo.versions(path)
        assert not [one for one in await ann.versions(path) if name in one]


async def test_former_versions_outside_of_a_granular_scope(house: House, fresh: Fresh) -> None:
    name = fresh("recoded")
    whole = await house.as_("system/*.cruds")
    for category in ("laboratory", "vital-signs"):
        await whole.put(observation(name, "ann", category))
    await whole.ask("DELETE", f"Observation/{name}")
    lab = await house.as_(f"patient/Observation.rs?category={CATEGORY}|laboratory", patient="ann")
    vital = await house.as_(f"patient/Observation.rs?category={CATEGORY}|vital-signs", patient="ann")
    assert await lab.versions(f"Observation/{name}/_history") == [f"Observation/{name}/1"]
    assert await vital.versions(f"Observation/{name}/_history") == [f"Observation/{name}/3†", f"Observation/{name}/2"]
    assert await lab.status(f"Observation/{name}/_history/1") == 200
    assert await vital.status(f"Observation/{name}/_history/1") == 404
    assert await vital.status(f"Observation/{name}") == 410
    assert await lab.status(f"Observation/{name}") == 404


async def test_system_history_leaves_out_types_that_cannot_be_searched(house: House) -> None:
    ann = await house.as_("patient/Observation.rs patient/Condition.r", patient="ann")
    kinds = {one.split("/")[0] for one in await ann.versions("_history?_count=1000")}
    assert kinds == {"Observation"}


async def test_paging_links_of_another_caller_or_grant(house: House) -> None:
    ann = await house.as_("patient/Observation.rs", patient="ann")
    links = (await ann.get("Observation?_count=1")).json()["link"]
    following = next(link["url"] for link in links if link["relation"] == "next")
    assert await ann.status(following) == 200
    for other in (
        await house.as_("patient/Observation.rs", patient="bo"),
        await house.as_("system/Observation.rs"),
        await house.as_("patient/Observation.rs?status=final", patient="ann"),
    ):
        assert (await other.get(following)).status_code == 400
    history = (await ann.get("Observation/_history?_count=1")).json()["link"]
    following = next(link["url"] for link in history if link["relation"] == "next")
    assert await (await house.as_("patient/Observation.rs", patient="bo")).status(following) == 400


async def test_timing_hidden_content_against_absent_content(house: House, mongo_url: SecretStr) -> None:
    """Whether a Binary may be seen, what it belongs to decides: that takes a query, also where there is no Binary."""
    ann = await house.as_("patient/*.rs", patient="ann")
    async with connect(mongo_url, house.service.settings) as mongo:
        database = mongo[house.service.settings.mongo.database]
        for method in ("GET", "HEAD"):
            hidden, absent = (f"Binary/{name}" for name in ("bo-letter", "never-was"))
            costs = [[await cost(database, ann, Probe(method, path)) for path in (hidden, absent)] for _ in range(4)]
            assert any(one == other for one, other in costs), costs
            assert all(one["find"] for one, _ in costs)
