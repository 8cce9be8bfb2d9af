"""A patient's app that asks for what is new since its last visit misses nothing that became visible later than it was written (I5)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.model import instant
from tests.access.house import STAFF, Caller, House, observation
from tests.access.test_holds import HOLD, put, report

Fresh = Callable[[str], str]


@pytest.fixture(name="house", scope="session")
def in_the_workshop(workshop: House) -> House:
    return workshop


async def now(house: House, doctor: Caller) -> str:
    """Return a moment after everything that is written so far, and before what comes."""
    return instant.text(await house.service.store.horizon() + timedelta(milliseconds=1))


async def test_I5_a_result_that_its_report_let_go_of_is_in_the_next_sync(house: House, fresh: Fresh) -> None:
    doctor, ann = await house.as_("user/*.cruds", user=STAFF), await house.as_("patient/*.rs", patient="ann")
    first, later, panel = fresh("sync"), fresh("sync"), fresh("panel")
    ids = f"Observation?patient=ann&_id={first},{later}"
    await put(doctor, observation(first, "ann"), report(panel, first, **HOLD))
    await put(doctor, observation(later, "ann"))
    visited = await now(house, doctor)
    assert await ann.found(f"{ids}&_lastUpdated=ge{visited}") == []
    assert await ann.found(ids) == [f"Observation/{later}"]
    await put(doctor, report(panel, first))

    news = f"{ids}&_lastUpdated=ge{visited}"
    answer = await ann.get(f"{news}&_total=accurate")
    assert [one["resource"]["id"] for one in answer.json()["entry"]] == [first]
    assert answer.json()["total"] == 1
    shown, theirs = answer.json()["entry"][0]["resource"], (await doctor.get(f"Observation/{first}")).json()
    assert shown == theirs, "the resource is what everybody sees; only when it counts as new differs"
    assert await ann.found(f"{ids}&_lastUpdated=lt{visited}") == [f"Observation/{later}"]
    assert await ann.found(f"{ids}&_lastUpdated=lt{visited}&_lastUpdated=gt2020-01-01") == [f"Observation/{later}"]
    assert await ann.found(f"{ids}&_filter=_lastUpdated ge {visited}") == [f"Observation/{first}"]
    assert await ann.found(f"?_type=Observation&_id={first},{later}&_lastUpdated=ge{visited}") == [
        f"Observation/{first}"
    ]
    assert await ann.found(f"Patient/ann/Observation?_id={first},{later}&_lastUpdated=ge{visited}") == [
        f"Observation/{first}"
    ]
    for path in (f"Observation/{first}/_history", "Observation/_history"):
        assert f"Observation/{first}/1" in await ann.versions(f"{path}?_since={visited}&_count=1000")
    assert await doctor.found(news) == [], "staff saw it when it was written"
    assert await doctor.versions(f"Observation/{first}/_history?_since={visited}") == []


async def test_I5_sorted_by_last_update_what_opened_last_is_the_newest_on_all_pages(house: House, fresh: Fresh) -> None:
    doctor, ann = await house.as_("user/*.cruds", user=STAFF), await house.as_("patient/*.rs", patient="ann")
    names, panel = [fresh(f"sorted{number}") for number in range(5)], fresh("panel")
    await put(doctor, observation(names[1], "ann"), report(panel, names[1], **HOLD))
    await put(doctor, *(observation(names[number], "ann") for number in (0, 2, 3, 4)))
    await put(doctor, report(panel, names[1]))
    wanted = [f"Observation/{names[number]}" for number in (0, 2, 3, 4, 1)]
    search = f"Observation?patient=ann&_id={','.join(names)}"
    for count in (2, 50):
        assert await ann.found(f"{search}&_sort=_lastUpdated&_count={count}") == wanted
        assert await ann.found(f"{search}&_sort=-_lastUpdated&_count={count}") == wanted[::-1]
    written = [f"Observation/{names[number]}" for number in (1, 0, 2, 3, 4)]
    assert await doctor.found(f"{search}&_sort=_lastUpdated&_count=2") == written


async def test_I5_what_opens_with_time_is_in_the_sync_after_its_time(house: House, fresh: Fresh) -> None:
    """`va` is the clock's: no write and no job opens it."""
    doctor, ann = await house.as_("user/*.cruds", user=STAFF), await house.as_("patient/*.rs", patient="ann")
    past, future = fresh("past"), fresh("future")
    await put(doctor, observation(past, "ann"), observation(future, "ann"))
    moment = datetime.now(UTC).replace(microsecond=0)
    rows = house.service.store._database["Observation"]
    await rows.update_one({"_id": past}, {"$set": {"va": moment + timedelta(seconds=-2)}})
    await rows.update_one({"_id": future}, {"$set": {"va": moment + timedelta(days=1), "lu": moment}})
    ids = f"Observation?patient=ann&_id={past},{future}"
    assert await ann.found(f"{ids}&_lastUpdated=ge{instant.text(moment - timedelta(days=1))}") == [
        f"Observation/{past}"
    ]
    assert await ann.status(f"Observation/{future}") == 404
    told = await doctor.get(f"Observation/{future}/$patient-view-status")
    found = {one["name"]: one for one in told.json()["parameter"]}
    assert found["reason"]["valueCode"] == "scheduled"
    assert found["visibleAt"]["valueInstant"] == instant.text(moment + timedelta(days=1))
