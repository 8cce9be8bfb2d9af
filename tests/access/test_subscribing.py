"""Attacks by Subscriptions: whatever is subscribed to, nobody hears of what is not theirs to see at that moment."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.main import working
from fhir_server.settings import Jobs
from fhir_server.settings.outbound import Outbound
from smart_auth.records import Client
from tests.access.house import Caller, House, Json, observation, opened
from tests.notifications.subscriber import Subscriber, events, focuses, listening, numbers

EAST, WEST = "east", "west"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[House]:
    async with opened(
        data_dir, of=working, outbound=Outbound(allowed=("127.0.0.1/32",)), jobs=Jobs(concurrency=1)
    ) as one:
        root = await one.registered("system/*.cruds")
        for name in (EAST, WEST):
            answer = await root.put({"resourceType": "Organization", "id": name, "active": True, "name": name})
            assert answer.status_code == 201, answer.text
        for name in (EAST, WEST):
            keeper = await service(one, name)
            for patient in ("ann", "bo"):
                own = f"{patient}-{name}"
                assert (await keeper.put({"resourceType": "Patient", "id": own})).status_code == 201
        await one.add_patient("u-ann-east", "ann-east")
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def subscriber() -> AsyncIterator[Subscriber]:
    async with listening() as found:
        yield found


async def service(house: House, facility: str, scope: str = "system/*.cruds") -> Caller:
    return await house.registered(scope, facility=facility, facilities=(facility,))


async def begun(caller: Caller, subscriber: Subscriber, name: str, **more: Any) -> str:
    answer = await caller.post(subscriber.subscription(name, **more))
    assert answer.status_code == 201, answer.text
    await subscriber.until(name, 1, "handshake")
    return str(answer.json()["id"])


async def stands(caller: Caller, one: str, status: str) -> Json:
    async with asyncio.timeout(20):
        while (found := (await caller.get(f"Subscription/{one}")).json())["status"] != status:  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.05)
    return dict(found)


def told(subscriber: Subscriber, name: str) -> list[str]:
    return [focus for sent in subscriber.of(name) for focus in focuses(sent.bundle)]


async def test_subscribing_to_everything_tells_of_the_own_facility_only_and_numbers_tell_of_no_other(
    house: House, subscriber: Subscriber
) -> None:
    east, west = await service(house, EAST), await service(house, WEST)
    await begun(east, subscriber, "east", content="full-resource")
    await west.put(observation("hidden-1", "ann-west"))
    await east.put(observation("seen-1", "ann-east"))
    await west.put(observation("hidden-2", "ann-west"))
    await west.ask("DELETE", "Observation/hidden-1")
    await east.put(observation("seen-2", "ann-east"))
    assert await subscriber.numbers("east", 2) == [1, 2]
    assert told(subscriber, "east") == ["Observation/seen-1", "Observation/seen-2"]
    assert not any(b"hidden" in sent.body for sent in subscriber.got)


async def test_a_patient_who_subscribes_to_all_observations_hears_of_the_own_ones(
    house: House, subscriber: Subscriber
) -> None:
    east = await service(house, EAST)
    patient = await house.as_(
        "patient/Observation.rs patient/Subscription.cruds", user="u-ann-east", patient="ann-east"
    )
    await begun(patient, subscriber, "patient", content="full-resource", filters=("Observation?code=8867-4",))
    await east.put(observation("of-bo", "bo-east"))
    await east.put(observation("not-final", "ann-east", status="preliminary"))
    await east.put(observation("of-ann", "ann-east"))
    assert await subscriber.numbers("patient", 1) == [1]
    assert told(subscriber, "patient") == ["Observation/of-ann"]


async def test_naming_the_patient_of_somebody_else_in_the_filter_brings_nothing(
    house: House, subscriber: Subscriber
) -> None:
    east = await service(house, EAST)
    patient = await house.as_(
        "patient/Observation.rs patient/Subscription.cruds", user="u-ann-east", patient="ann-east"
    )
    one = await begun(patient, subscriber, "stranger", filters=("Observation?patient=Patient/bo-east",))
    watching = await begun(east, subscriber, "watching", filters=("Observation?patient=Patient/bo-east",))
    await east.put(observation("private", "bo-east"))
    await subscriber.numbers("watching", 1)
    status = (await patient.get(f"Subscription/{one}/$status")).json()["entry"][0]["resource"]["parameter"]
    assert {"name": "events-since-subscription-start", "valueString": "0"} in status
    assert subscriber.of("stranger") == []
    assert watching != one


async def test_what_is_out_of_sight_when_it_is_told_keeps_its_number_and_nothing_else(
    house: House, subscriber: Subscriber
) -> None:
    east, late = await service(house, EAST), await service(house, EAST)
    one = await begun(late, subscriber, "late", content="full-resource")
    subscriber.status = lambda sent: 503 if sent.name == "late" else 200
    await east.put(observation("told-late", "ann-east", valueString="private"))
    async with asyncio.timeout(20):
        while not ((row := await house.service.store.subscriptions.row(one)) and row["failures"]):  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.05)
    # Its registration is narrowed to other types while the subscriber is away.
    records = house.service.realm.store
    client = await records.get(Client, row["mandate"]["client"])
    assert client is not None
    assert await records.swap(client, replace(client, types=("Encounter",)), felt=True)
    await asyncio.sleep(2.1)  # what is known of a mandate is relied upon for two seconds
    subscriber.status = lambda _: 200
    assert await subscriber.numbers("late", 1) == [1]
    (sent,) = subscriber.of("late")
    assert set(events(sent.bundle)[0]) == {"event-number", "timestamp"}
    assert len(sent.bundle["entry"]) == 1
    assert b"told-late" not in sent.body


async def test_a_grant_that_is_revoked_is_the_end_of_what_is_told(house: House, subscriber: Subscriber) -> None:
    east = await service(house, EAST)
    other = await service(house, EAST)
    one = await begun(east, subscriber, "revoked")
    await begun(other, subscriber, "unrevoked")
    await other.put(observation("before-the-end", "ann-east"))
    await subscriber.numbers("revoked", 1)
    row = await house.service.store.subscriptions.row(one)
    assert row is not None
    realm = house.service.realm
    assert await realm.store.end_grants(realm.clock(), "revoked", id=row["mandate"]["grant"]) == 1
    await asyncio.sleep(2.1)  # what is known of a mandate is relied upon for two seconds
    await other.put(observation("after-the-end", "ann-east"))
    await subscriber.numbers("unrevoked", 2)
    async with asyncio.timeout(20):
        while (row := await house.service.store.subscriptions.row(one)) and row["status"] != "error":  # noqa: ASYNC110 - in the server
            await asyncio.sleep(0.05)
    assert told(subscriber, "revoked") == ["Observation/before-the-end"]


async def test_subscriptions_of_others_are_not_there(house: House, subscriber: Subscriber) -> None:
    east, other = await service(house, EAST), await service(house, EAST)
    mine = await begun(east, subscriber, "mine", header=["Authorization: Bearer secret"])
    assert await other.status(f"Subscription/{mine}") == 404
    assert await other.found("Subscription") == []
    for path in ("$status", "$events", "$get-ws-binding-token", "_history", "_history/1"):
        assert await other.status(f"Subscription/{mine}/{path}") == 404, path
    listed = (await other.get(f"Subscription/$status?id={mine}")).json()
    assert listed["total"] == 0
    stolen = {**subscriber.subscription("stolen"), "id": mine}
    assert (await other.put(stolen)).status_code in {403, 404, 409}
    assert (await other.ask("DELETE", f"Subscription/{mine}")).status_code in {204, 403, 404}
    assert (await east.get(f"Subscription/{mine}")).json()["channel"]["endpoint"].endswith("/mine")


async def test_what_may_not_be_searched_and_read_may_not_be_subscribed_to(house: House, subscriber: Subscriber) -> None:
    narrow = await service(house, EAST, "system/Subscription.cruds system/Encounter.rs system/Condition.s")
    for kind, expected in (("Observation", 403), ("Condition", 403), ("Encounter", 201)):
        answer = await narrow.post(subscriber.subscription("narrow", filters=(f"{kind}?",)))
        assert answer.status_code == expected, answer.text


@pytest.mark.parametrize("scope", ["patient/Observation.rs", "patient/Observation.rs patient/Subscription.rs"])
async def test_subscribing_needs_the_scope_to_create_subscriptions(
    house: House, subscriber: Subscriber, scope: str
) -> None:
    patient = await house.as_(scope, user="u-ann-east", patient="ann-east")
    answer = await patient.post(subscriber.subscription("scopeless"))
    assert answer.status_code == 403


async def test_events_of_the_past_are_told_within_what_may_be_seen_now(house: House, subscriber: Subscriber) -> None:
    east = await service(house, EAST)
    one = await begun(east, subscriber, "past", content="full-resource", filters=("Basic?",))
    basic = {"resourceType": "Basic", "id": "past", "code": {"text": "x"}, "subject": {"reference": "Patient/ann-east"}}
    assert (await east.put(basic)).status_code == 201
    await subscriber.numbers("past", 1)
    bundle = (await east.get(f"Subscription/{one}/$events")).json()
    assert (numbers(bundle), focuses(bundle)) == ([1], ["Basic/past"])


async def test_whose_record_a_subscriber_was_told_of_is_in_the_trail(house: House, subscriber: Subscriber) -> None:
    east = await service(house, EAST)
    one = await begun(east, subscriber, "trail")
    await east.put(observation("told-of", "ann-east"))
    await subscriber.numbers("trail", 1)
    told_of = {"k": "notification", "x.subscription": one}
    rows = await house.service.store.trail.find(told_of, 10, (("_id", 1),))
    assert [row["e"] for row in rows] == [["Observation/told-of/_history/1"]]
    assert [(row["p"], row["au"], row["oc"]) for row in rows] == [("ann-east", "system", "0")]
