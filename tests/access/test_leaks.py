"""The leak harness: what a caller may not see cannot be told from what never was, on any route and by any parameter.

Two houses answer every probe of the table (`probes`); one has what is hidden, the other never had it (`twins`, `hidden`).
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.capability.table import OFFERED
from fhir_server.http.app import create_app
from fhir_server.model import json
from fhir_server.model.query import ANYTHING
from fhir_server.search.results import RESULTS
from fhir_server.search.types import TYPES, token
from fhir_server.settings import Auth, Settings
from fhir_server.store.client import connect
from smart_auth.records import Grant, User
from tests.access import hidden
from tests.access.commands import cost, timed
from tests.access.ground import ABSENT, Ground
from tests.access.house import Caller, House
from tests.access.outside import OUTSIDE
from tests.access.probes import MODIFIERS, ROUTES, SHAPING, WRITING, Key, key, sorts
from tests.access.trail_probes import events, kept
from tests.access.twins import SECRET, Entry, Twins, twins

pytestmark = pytest.mark.xdist_group("leaks")

Pairs = dict[str, Twins]
ATTEMPTS = 4
"""How often a difference is looked at: what the server does in its own time falls into some of them, a leak into each."""

LANDMARK = {"desk": "Appointment/ann-appointment"}
"""What each sees, else an observation."""


def person(user: str, scope: str = "user/*.cruds", **more: str) -> Entry:
    async def enter(house: House) -> Caller:
        if role := more.get("role"):
            await house.add_staff(user, role)
        return await house.as_(scope, user=user, **more)

    return enter


async def proxy(house: House) -> Caller:
    """Return who acts for a patient, and is no patient."""
    await house.add_patient("u-proxy", "ann")
    return await house.as_("user/*.cruds", user="u-proxy")


def service(**policy: Any) -> Entry:
    async def enter(house: House) -> Caller:
        return await house.registered("system/*.cruds", facility="east", facilities=("east",), **policy)

    return enter


PATIENTS = {"patient": person("u-ann", "patient/*.cruds", patient="ann"), "proxy": proxy}
STAFF = {
    "staff": person("grey", role="east-doctor"),
    "pharmacist": person("phil", role="east-pharmacist"),
    "desk": person("desi", role="east-front-desk"),
}
SERVICES = {"backend": service(purpose="TREAT"), "advisor": service(advisory=True)}
EVERYBODY = [*PATIENTS, *STAFF, *SERVICES]

READING = [row for row in ROUTES if row[1] not in WRITING or row[2].endswith("_search")]
CHANGING = [row for row in ROUTES if row not in READING]
CHOOSES_IDS = "backend"
"""Systems bring ids of their own by PUT; one that is taken out of their sight is refused, which docs/access.md tells."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pairs(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Pairs]:
    """The pair of houses of each principal."""
    async with (
        twins(data_dir, hidden.from_a_patient(), **PATIENTS) as patients,
        twins(data_dir, hidden.from_staff(), **STAFF) as staff,
        twins(data_dir, hidden.from_services(), **SERVICES) as services,
    ):
        yield {**patients, **staff, **services}


def test_every_route_below_the_base_has_a_row() -> None:
    assert {key(row) for row in OFFERED} == ROUTES.keys()


def test_every_route_outside_of_the_base_is_known() -> None:
    routes = create_app(Settings(auth=Auth(mode="smart")), not_started).routes
    assert {str(getattr(route, "path", route)) for route in routes} == OUTSIDE.keys()


def not_started(_: Settings) -> Any:
    pytest.fail("the application is not to be run")


def test_every_result_parameter_and_modifier_has_a_row() -> None:
    assert RESULTS.keys() == SHAPING.keys()
    known = {"missing", *token.MODIFIERS, *(modifier for kind in TYPES.values() for modifier in kind.MODIFIERS)}
    assert known == MODIFIERS.keys()


@pytest.mark.parametrize("who", EVERYBODY)
async def test_the_trail_tells_nothing_of_what_is_hidden(pairs: Pairs, who: str) -> None:
    """The first one: later ones have each house write events of its own."""
    pair = pairs[who]
    ground = Ground(pair, pair.whole.service.definitions)
    hidden = [] if who in SERVICES else await kept(pair.whole)
    _none(await pair.differences([*events(ground), *hidden]))


@pytest.mark.parametrize("who", EVERYBODY)
async def test_the_caller_sees_what_is_not_hidden_and_the_server_has_what_is(pairs: Pairs, who: str) -> None:
    """Without this, a house that shows nothing at all would pass."""
    pair = pairs[who]
    caller = pair.callers[0]
    landmark = LANDMARK.get(who, "Observation/ann-lab")
    assert await caller.status(landmark) == 200
    assert (await caller.get(f"{landmark.partition('/')[0]}?_total=accurate")).json()["total"] >= 1
    for one in pair.hidden:
        first = [
            await house.service.store.read_version(one["resourceType"], one["id"], 1, ANYTHING)
            for house in (pair.whole, pair.bare)
        ]
        assert [bool(each) for each in first] == [True, False], one
        refused = await caller.status(f"{one['resourceType']}/{one['id']}")
        assert refused == await caller.status(f"{one['resourceType']}/{ABSENT}"), one
        assert refused in {403, 404}


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("row", READING, ids=str)
async def test_a_question_does_not_tell_what_is_hidden_from_what_never_was(pairs: Pairs, who: str, row: Key) -> None:
    pair = pairs[who]
    ground = Ground(pair, pair.whole.service.definitions)
    _none(await pair.differences(ROUTES[row](ground)))


@pytest.mark.parametrize("who", EVERYBODY)
async def test_no_order_tells_what_is_hidden(pairs: Pairs, who: str) -> None:
    pair = pairs[who]
    _none(await pair.differences(sorts(Ground(pair, pair.whole.service.definitions))))


@pytest.mark.parametrize("who", ["patient", "staff"])
async def test_a_paging_link_of_somebody_else_shows_nothing(pairs: Pairs, who: str) -> None:
    pair = pairs[who]
    everything = await pair.whole.as_("system/*.cruds")
    bundle = (await everything.get("Observation?_count=1")).json()
    link = next(one["url"] for one in bundle["link"] if one["relation"] == "next")
    answer = await pair.callers[0].get(link)
    assert answer.status_code in {400, 403, 410}, answer.text
    assert "Observation/" not in answer.text


@pytest.mark.parametrize(
    ("row", "who"),
    [(row, who) for row in CHANGING for who in EVERYBODY if (row[0], who) != ("update", CHOOSES_IDS)],
    ids=str,
)
async def test_a_write_does_not_tell_what_is_hidden_from_what_never_was(pairs: Pairs, who: str, row: Key) -> None:
    pair = pairs[who]
    ground = Ground(pair, pair.whole.service.definitions)
    _none(await pair.differences(ROUTES[row](ground)))


@pytest.mark.parametrize("who", ["patient", "staff"])
async def test_the_pages_for_people_show_what_the_person_may_search(pairs: Pairs, who: str) -> None:
    user, acting_as = ("u-ann", "") if who == "patient" else ("grey", "PractitionerRole/east-doctor")
    told = []
    for house in (pairs[who].whole, pairs[who].bare):
        directory, person = house.service.realm.directory, await house.service.realm.store.get(User, user)
        assert person is not None
        found = [await directory.patients(person, acting_as, words) for words in ("ann", "bo", "1980-01-01", SECRET)]
        opens = [await directory.may_open(person, acting_as, patient) for patient in ("ann", "bo", "linked", ABSENT)]
        visits = [await directory.encounters(person, acting_as, patient) for patient in ("ann", "bo")]
        told.append((found, opens, visits))
    assert told[0] == told[1]
    assert told[0][1] == [True, False, False, False]


async def test_the_trail_tells_a_patient_of_accesses_and_not_what_is_kept_from_her(pairs: Pairs) -> None:
    pair = pairs["patient"]
    somebody = await pair.whole.as_("system/*.rs")
    for path in (
        "Observation/not-yet",
        "Task/internal",
        "Observation/was-preliminary/_history/1",
        "Observation/ann-vital",
    ):
        assert await somebody.status(path) == 200
    for path in ("Observation?_id=not-yet,ann-vital", "Observation/not-yet/_history", f"Observation?_tag={SECRET}"):
        assert await somebody.status(path) == 200
    grants = await pair.whole.service.realm.store.find(Grant)
    client = next(one.client_id for one in grants if one.scope == "system/*.rs")
    bundle = (await pair.callers[0].get("AuditEvent?patient=ann&_count=1000")).json()
    theirs = [json.encode(one).decode() for one in bundle["entry"] if client in json.encode(one).decode()]
    assert any("Observation/ann-vital" in one for one in theirs)
    assert [one for one in theirs if any(name in one for name in ("not-yet", "internal/", SECRET))] == []


@pytest.mark.parametrize("who", EVERYBODY)
async def test_what_is_hidden_takes_the_same_commands_as_what_never_was(
    pairs: Pairs, mongo_url: SecretStr, who: str
) -> None:
    """So that time does not tell them apart: the database is asked the same, as often."""
    pair, found = pairs[who], []
    probes = pair.drawn(timed(Ground(pair, pair.whole.service.definitions)))
    async with connect(mongo_url, pair.whole.service.settings) as mongo:
        houses = [mongo[house.service.settings.mongo.database] for house in (pair.whole, pair.bare)]
        for probe in probes:
            for _ in range(ATTEMPTS):
                with_it, without = [
                    await cost(database, caller, probe) for database, caller in zip(houses, pair.callers, strict=True)
                ]
                if with_it == without:
                    break
            else:
                found.append(f"{probe}\n    with:    {with_it - without}\n    without: {without - with_it}")
    _none(found)


def _none(differences: list[str]) -> None:
    assert not differences, f"{len(differences)} probes tell the houses apart:\n" + "\n".join(differences[:12])
