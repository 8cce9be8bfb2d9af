"""The promises of the authorization server's store, kept by MongoDB and by its twin in memory alike."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.authorization import Authorization
from fhir_server.store.trail import EVENTS
from smart_auth import opaque
from smart_auth.audit import SecurityEvent
from smart_auth.memory import MemoryStore
from smart_auth.records import (
    AccessToken,
    AuthorizationRequest,
    Client,
    Code,
    Grant,
    Invitation,
    Key,
    Launch,
    LaunchContext,
    Link,
    RefreshToken,
    Session,
    User,
)
from smart_auth.store import KINDS, AuthStore, Record
from tests.smart_auth.apps import key_set, rsa
from tests.smart_auth.clock import START
from tests.smart_auth.house import House

ROOT = Path(__file__).parent.parent.parent
LATER = START + timedelta(hours=1)
CONTEXT = LaunchContext(
    "p", "e", ({"reference": "ImagingStudy/1", "a.b": {"$set": 1}},), "review", need_patient_banner=False, tenant="t"
)
GRANT = Grant("g", "c", "u", "patient/*.rs", "offline", START, LATER, CONTEXT, "s", "Patient/p", START, "n")
SAMPLES: tuple[Record, ...] = (
    AccessToken("t", "g", "c", "u", "patient/*.rs", START, LATER),
    AuthorizationRequest(
        "r", "c", "https://x", "openid", "s", "ch", START, LATER, prompt=("login",), max_age=5, context=CONTEXT
    ),
    Client(
        "c",
        "C",
        "backend",
        "private_key_jwt",
        START,
        jwks=key_set(rsa()),
        redirect_uris=("https://x", "y:/"),
        facilities=("a", "b"),
        types=("Task",),
        purpose="TREAT",
        advisory=True,
    ),
    Code("k", "g", "c", "https://x", "ch", LATER),
    GRANT,
    Invitation("i", "u", START, LATER),
    Key("kid", "RS256", {"kty": "RSA", "$where": "x.y"}, "signing", START),
    Launch("l", "c", "u", CONTEXT, LATER),
    RefreshToken("f", "g", "c", "openid", START, LATER),
    Session("s", "u", "csrf", START, START, ("pwd", "otp"), "Practitioner/1"),
    User("u", "ann", "Ann", "patient", START, "hash", links=(Link("Patient/p", "p"), Link("Person/x"))),
)


@pytest_asyncio.fixture(loop_scope="session")
async def mongo(database: AsyncDatabase[dict[str, Any]]) -> Authorization:
    store = Authorization(database)
    await store.open()
    return store


@pytest_asyncio.fixture(loop_scope="session", params=["memory", "mongo"])
async def store(request: pytest.FixtureRequest, mongo: Authorization) -> AsyncIterator[AuthStore]:
    yield MemoryStore() if request.param == "memory" else mongo


def test_there_is_a_sample_of_every_kind() -> None:
    assert {type(record) for record in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
async def test_a_record_comes_back_as_it_was(store: AuthStore, record: Any) -> None:
    assert await store.get(type(record), record.id) is None
    assert await store.add(record)
    assert await store.get(type(record), record.id) == record
    assert not await store.add(record)


async def test_a_login_is_taken_once(store: AuthStore) -> None:
    ann = User("u1", "ann", "Ann", "patient", START)
    results = await asyncio.gather(*(store.add(replace(ann, id=f"u{number}")) for number in range(10)))
    assert results.count(True) == 1
    assert len(await store.find(User, login="ann")) == 1


async def test_records_are_found_by_the_fields_that_are_indexed_and_by_no_others(store: AuthStore) -> None:
    for number, user in enumerate(("u", "u", "v")):
        await store.add(replace(GRANT, id=f"g{number}", user_id=user))
    assert [grant.id for grant in await store.find(Grant, user_id="u", client_id="c")] == ["g0", "g1"]
    with pytest.raises(ValueError, match="not found by"):
        await store.find(Grant, scope="x")


async def test_of_many_who_swap_the_same_record_one_succeeds(store: AuthStore) -> None:
    code = Code("k", "g", "c", "https://x", "ch", LATER)
    await store.add(code)
    results = await asyncio.gather(
        *(store.swap(code, replace(code, used=START + timedelta(seconds=number))) for number in range(50))
    )
    assert results.count(True) == 1


async def test_a_swap_minds_only_what_it_changes_and_changes_only_that(store: AuthStore) -> None:
    await store.add(GRANT)
    assert await store.swap(GRANT, replace(GRANT, used=START))
    assert await store.swap(GRANT, replace(GRANT, why="w"))
    there = await store.get(Grant, "g")
    assert there == replace(GRANT, used=START, why="w")
    assert not await store.swap(GRANT, replace(GRANT, used=LATER))
    assert await store.swap(there, replace(there, context=LaunchContext("q")))
    assert await store.swap(GRANT, GRANT)


async def test_what_is_not_there_is_not_swapped(store: AuthStore) -> None:
    assert not await store.swap(GRANT, replace(GRANT, used=START))
    with pytest.raises(ValueError, match="same kind and id"):
        await store.swap(GRANT, replace(GRANT, id="other"))


async def test_a_moment_of_microseconds_can_be_swapped(mongo: Authorization) -> None:
    session = Session("s", "u", "csrf", START, START + timedelta(microseconds=123_456))
    await mongo.add(session)
    assert await mongo.swap(session, replace(session, seen=LATER))


async def test_ending_grants_raises_the_epoch_and_counts(store: AuthStore) -> None:
    for number, client in enumerate(("c", "c", "d")):
        await store.add(replace(GRANT, id=f"g{number}", client_id=client))
    before = await store.epoch()
    assert await store.end_grants(START, "why", client_id="c", access="offline") == 2
    assert await store.epoch() > before
    assert await store.end_grants(START, "why", client_id="c") == 0
    assert await store.end_grants(START, "why", id="g2", user_id="somebody else") == 0
    ended = await store.get(Grant, "g0")
    assert ended
    assert (ended.ended, ended.why) == (START, "why")


async def test_a_felt_swap_raises_the_epoch_and_another_does_not(store: AuthStore) -> None:
    await store.add(GRANT)
    before = await store.epoch()
    await store.swap(GRANT, replace(GRANT, used=START))
    assert await store.epoch() == before
    await store.swap(GRANT, replace(GRANT, ended=START), felt=True)
    assert await store.epoch() > before


async def test_jti_replay_under_concurrency_a_name_is_new_once(store: AuthStore) -> None:
    results = await asyncio.gather(*(store.once("jti c 1", LATER) for _ in range(50)))
    assert results.count(True) == 1
    assert await store.once("jti c 2", LATER)


async def test_failures_are_counted_exactly_and_anew_when_their_time_is_over(store: AuthStore) -> None:
    numbers = await asyncio.gather(*(store.count("f", START, LATER) for _ in range(20)))
    assert sorted(numbers) == list(range(1, 21))
    assert await store.counted("f", START) == (20, START)
    assert await store.counted("f", LATER) == (0, None)
    assert await store.count("f", LATER, LATER + timedelta(hours=1)) == 1
    await store.forget("f")
    assert await store.counted("f", LATER) == (0, None)


async def test_an_event_is_written_into_the_audit_database(
    mongo: Authorization, database: AsyncDatabase[dict[str, Any]]
) -> None:
    await mongo.record(SecurityEvent(START, "sign-in", user_id="u", address="192.0.2.1", detail={"factors": "pwd"}))
    row = await database.client[f"{database.name}_audit"][EVENTS].find_one({})
    assert row is not None
    assert (row["k"], row["u"], row["oc"], row["ip"]) == ("sign-in", "u", "0", "192.0.2.1")


async def test_reading_the_database_finds_no_secret(
    mongo: Authorization, database: AsyncDatabase[dict[str, Any]]
) -> None:
    house = await House.built(store=mongo)
    code = await house.code(house.asking(scope="patient/*.rs offline_access"))
    body = (await house.redeem(code)).body
    names = await database.list_collection_names()
    text = str([await database[name].find({}).to_list() for name in names])
    assert opaque.digest(code) in text
    for secret in (code, body["access_token"], body["refresh_token"]):
        assert secret not in text


async def test_everything_that_ends_is_removed_by_the_database(
    mongo: Authorization, database: AsyncDatabase[dict[str, Any]]
) -> None:
    lasting = {Client, User}
    for kind in KINDS:
        indexes = await database[f"auth_{kind.__name__.lower()}"].index_information()
        assert any("expireAfterSeconds" in index for index in indexes.values()) is (kind not in lasting), kind


async def test_a_refresh_token_used_at_many_places_at_once_gives_one_successor(mongo: Authorization) -> None:
    house = await House.built(store=mongo)
    first = await house.offline()
    answers = await asyncio.gather(*(house.refresh(first["refresh_token"]) for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body["refresh_token"] for answer in answers}) == 1
    house.clock.pass_(seconds=31)
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert (await house.refresh(answers[0].body["refresh_token"])).status == 400
