"""What interactions leave in the trail: one row each, with its ids and codes, and with the write that it tells of."""

from collections.abc import Callable

import pytest

from tests.access.house import Caller, House, observation
from tests.audit.trail import left, rows


@pytest.fixture
async def system(house: House) -> Caller:
    return await house.as_("system/*.cruds")


async def test_a_read_says_who_saw_which_version_of_whose_record(house: House) -> None:
    ann = await house.as_("patient/*.rs", patient="ann")
    answer, (row,) = await left(house, ann, "GET", "Patient/ann")
    assert answer.status_code == 200
    assert row["e"] == [f"Patient/ann/_history/{answer.json()['meta']['versionId']}"]
    assert (row["k"], row["a"], row["oc"], row["st"], row["m"], row["rt"]) == ("read", "R", "0", 200, "GET", "Patient")
    assert (row["au"], row["u"], row["pu"], row["p"]) == ("patient", "u-ann", "PATRQT", "ann")
    assert row["c"]
    assert row["g"]
    assert row["ip"]


async def test_a_search_says_what_was_asked_and_whose_records_were_shown(house: House, system: Caller) -> None:
    answer, (row,) = await left(house, system, "GET", "Observation?code=8867-4&patient.name=ann&_count=500")
    assert answer.status_code == 200
    shown = {one["resource"]["subject"]["reference"] for one in answer.json()["entry"]}
    assert {f"Patient/{one}" for one in [*row.get("ps", []), row.get("p")] if one} >= shown
    assert row["q"].startswith("code=8867-4&patient.name=~")
    assert "e" not in row


async def test_a_search_by_form_says_the_same(house: House, system: Caller) -> None:
    media = "application/x-www-form-urlencoded"
    answer = await house.client.post(
        "/fhir/Patient/_search",
        content="name=zzz&_id=ann",
        headers={"Authorization": f"Bearer {system.token}", "Content-Type": media, "X-Request-Id": "by-form-1"},
    )
    assert answer.status_code == 200
    (row,) = await rows(house, rq="by-form-1")
    assert row["q"].startswith("name=~")
    assert row["q"].endswith("&_id=ann")


async def test_included_resources_count_as_shown(house: House, system: Caller) -> None:
    path = "Observation?subject=Patient/ann&_include=Observation:subject&_count=500"
    _, (row,) = await left(house, system, "GET", path)
    assert "ann" in (row.get("p"), *row.get("ps", ()))


async def test_writes_leave_one_row_each_with_the_version_that_they_made(
    house: House, system: Caller, fresh: Callable[[str], str]
) -> None:
    name = fresh("audited")
    made, (first,) = await left(house, system, "PUT", f"Observation/{name}", observation(name, "ann"))
    moved, (second,) = await left(house, system, "PUT", f"Observation/{name}", observation(name, "bo"))
    gone, (third,) = await left(house, system, "DELETE", f"Observation/{name}")
    assert [made.status_code, moved.status_code, gone.status_code] == [201, 200, 204]
    assert [(row["k"], row["a"], row["st"]) for row in (first, second, third)] == [
        ("update", "U", 201),
        ("update", "U", 200),
        ("delete", "D", 204),
    ]
    assert [row["e"] for row in (first, second, third)] == [
        [f"Observation/{name}/_history/{version}"] for version in (1, 2, 3)
    ]
    assert first["p"] == "ann"
    assert sorted(second["ps"]) == ["ann", "bo"]  # it left one record and came into the other
    assert third["p"] == "bo"


async def test_a_transaction_leaves_a_row_for_each_entry_and_one_for_itself(house: House, system: Caller) -> None:
    answer, found = await left(house, system, "POST", "", _bundle("transaction"))
    assert answer.status_code == 200
    assert [row["k"] for row in found] == ["create", "read", "transaction"]
    assert len({row["tx"] for row in found}) == 1


async def test_a_transaction_that_fails_leaves_one_row(house: House, system: Caller) -> None:
    answer, (row,) = await left(house, system, "POST", "", _bundle("transaction", "Patient/nowhere"))
    assert answer.status_code == 404
    assert (row["k"], row["oc"], row["st"]) == ("transaction", "4", 404)


async def test_a_batch_leaves_a_row_for_each_entry_whatever_becomes_of_it(house: House, system: Caller) -> None:
    answer, found = await left(house, system, "POST", "", _bundle("batch", "Patient/nowhere"))
    assert answer.status_code == 200
    assert sorted((row["k"], row["st"]) for row in found) == [
        ("batch", 200),
        ("create", 201),
        ("read", 200),
        ("read", 404),
    ]


async def test_whoever_is_not_let_in_leaves_a_row(house: House) -> None:
    answer = await house.client.get("/fhir/Patient/ann", headers={"X-Request-Id": "nobody-1"})
    assert answer.status_code == 401
    (row,) = await rows(house, rq="nobody-1")
    assert (row["k"], row["st"], row["e"]) == ("read", 401, ["Patient/ann"])
    assert "au" not in row


async def test_what_everybody_may_ask_leaves_none(house: House) -> None:
    for path in ("/fhir/metadata", "/health/live", "/fhir/.well-known/smart-configuration"):
        answer = await house.client.get(path, headers={"X-Request-Id": "public-1"})
        assert answer.status_code == 200, path
    assert await rows(house, rq="public-1") == []


def _bundle(kind: str, *reads: str) -> dict[str, object]:
    created = {"request": {"method": "POST", "url": "Observation"}, "resource": observation("any", "bo")}
    asked = [{"request": {"method": "GET", "url": path}} for path in ("Patient/ann", *reads)]
    return {"resourceType": "Bundle", "type": kind, "entry": [created, *asked]}
