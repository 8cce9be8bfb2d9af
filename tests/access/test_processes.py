"""One record behind two server processes: what one has answered to a clinician, the other one shows the patient next (LV-1)."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio

from tests.access.house import ORIGIN, STAFF, Caller, House, Json, observation
from tests.access.test_holds import HOLD, put, report, sees
from tests.processes import Nursery

Fresh = Callable[[str], str]

ROUNDS = int(os.environ.get("LIVE_ROUNDS", "20"))


@dataclass(frozen=True)
class Pair:
    """The same two people at both processes."""

    doctors: tuple[Caller, Caller]
    patients: tuple[Caller, Caller]


@contextlib.contextmanager
def serving(nursery: Nursery, house: House) -> Iterator[str]:
    """Yield the address of a server process of its own on the record of the house."""
    settings = house.service.settings
    environment = os.environ | {
        "FHIR_DATA_DIR": str(settings.data_dir), "FHIR_MONGO__DATABASE": settings.mongo.database,
        "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_AUTH__MODE": "smart", "FHIR_SERVER__BASE_URL": f"{ORIGIN}/fhir",
    }  # fmt: skip
    with nursery.serving(environment=environment) as (process, said):
        yield said["url"]
        process.send(signal.SIGTERM)
        process.wait(60)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pair(nursery: Nursery, workshop: House) -> AsyncIterator[Pair]:
    doctor = await workshop.as_("user/*.cruds", user=STAFF)
    ann = await workshop.as_("patient/*.rs", user="u-ann", patient="ann")
    with serving(nursery, workshop) as one, serving(nursery, workshop) as other:
        async with (
            httpx.AsyncClient(base_url=one, timeout=60) as first,
            httpx.AsyncClient(base_url=other, timeout=60) as second,
        ):
            yield Pair(
                (Caller(first, doctor.token), Caller(second, doctor.token)),
                (Caller(first, ann.token), Caller(second, ann.token)),
            )


async def shown(ann: Caller, name: str) -> tuple[str, bytes]:
    """Return tag and bytes of what a patient reads, both empty where nothing is there; the search has to say the same."""
    read = await ann.get(f"Observation/{name}")
    search = await ann.get(f"Observation?patient=ann&_id={name}&_total=accurate")
    assert read.status_code in {200, 404}, read.text
    assert search.json()["total"] == (read.status_code == 200), search.text
    if read.status_code == 404:
        return "", b""
    assert read.content in search.content
    return read.headers["etag"], read.content


def result(name: str, **more: Any) -> Json:
    made = observation(name, "ann", **more)
    return made if name else {key: value for key, value in made.items() if key != "id"}


async def test_LV_1_the_next_request_of_the_patient_at_another_process_shows_what_was_written(pair: Pair) -> None:
    """A result as it comes to be: hidden while it is preliminary or held, then final, then amended."""
    for number in range(ROUNDS):
        here, there = number % 2, 1 - number % 2
        doctor, ann = pair.doctors[here], pair.patients[there]
        closed: Json = {"status": "preliminary"} if number % 3 else HOLD
        first = closed if number % 4 else {}
        written = await doctor.post(result("", **first))
        assert written.status_code == 201, written.text
        name = str(written.json()["id"])
        tag, body = await shown(ann, name)
        if first:
            assert (tag, body) == ("", b""), "what is not settled or held is not there for the patient"
        else:
            assert (tag, body) == (written.headers["etag"], written.content)
        for status in ("final", "amended"):
            written = await doctor.put(result(name, status=status, valueString=f"{status} {number}"))
            assert written.status_code == 200, written.text
            assert await shown(ann, name) == (written.headers["etag"], written.content), (number, status)
            assert await shown(pair.patients[here], name) == (written.headers["etag"], written.content)
        theirs = await pair.doctors[there].get(f"Observation/{name}")
        assert (theirs.headers["etag"], theirs.content) == (written.headers["etag"], written.content)


async def test_racing_writes_at_one_process_against_holds_at_the_other(pair: Pair, fresh: Fresh) -> None:
    """When both have answered, a held report, its results and what is filed for it are hidden at both, then open at both."""
    for number in range(max(ROUNDS // 4, 2)):
        here, there = pair.doctors[number % 2], pair.doctors[1 - number % 2]
        one, two, name = fresh("o"), fresh("o"), fresh("r")
        await put(here, observation(one, "ann"), observation(two, "ann"), report(name, one))
        answers = await asyncio.gather(
            here.put(observation(one, "ann", status="amended")),
            there.put(report(name, one, two, **HOLD)),
            here.put(observation(two, "ann", status="amended")),
            here.put(observation(one, "ann", status="corrected")),
        )
        assert {answer.status_code for answer in answers} == {200}
        paths = [
            f"Observation/{one}",
            f"Observation/{two}",
            f"DiagnosticReport/{name}",
            f"Observation/{one}/_history/1",
        ]
        for ann in pair.patients:
            assert await sees(ann, *paths) == [False] * 4, number
            assert await ann.found(f"Observation?patient=ann&_id={one},{two}") == []
        opened = await asyncio.gather(
            there.put(observation(two, "ann", status="corrected")), here.put(report(name, one, two))
        )
        assert {answer.status_code for answer in opened} == {200}
        for ann in pair.patients:
            assert await sees(ann, *paths) == [True] * 4, number


async def test_racing_two_reports_of_one_result_at_two_processes(pair: Pair, fresh: Fresh) -> None:
    first, second = pair.doctors
    for number in range(max(ROUNDS // 5, 2)):
        one, left, right = fresh("o"), fresh("r"), fresh("r")
        await put(first, observation(one, "ann"), report(left, one, **HOLD), report(right, one))
        await asyncio.gather(first.put(report(left, one)), second.put(report(right, one, **HOLD)))
        for ann in pair.patients:
            assert await sees(ann, f"Observation/{one}") == [False], number
        await put(second, report(right, one))
        for ann in pair.patients:
            assert await sees(ann, f"Observation/{one}") == [True], number
