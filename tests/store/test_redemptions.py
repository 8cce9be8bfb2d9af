"""What can be used once is used once, by however many processes at the same moment, on a real database.

`FHIR_TEST_REDEMPTIONS` says how many attempts each of the 8 processes makes at once; 1,000 is what is promised.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.authorization import Authorization
from smart_auth import authorization_request, authorize, opaque, tokens
from smart_auth.records import Grant, RefreshToken
from tests.smart_auth.apps import assertion, rsa
from tests.smart_auth.house import House

ROOT = Path(__file__).parent.parent.parent
PROCESSES = 8
TIMES = int(os.environ.get("FHIR_TEST_REDEMPTIONS", "25"))

Compete = Callable[..., Awaitable[Counter[str]]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def processes() -> AsyncIterator[list[Process]]:
    command = (sys.executable, "-m", "tests.store.redeeming")
    begun = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE, limit=2**22)
        for _ in range(PROCESSES)
    ]
    yield begun
    for process in begun:
        assert process.stdin
        process.stdin.close()
    assert [await process.wait() for process in begun] == [0] * PROCESSES


@pytest_asyncio.fixture(loop_scope="session")
async def house(database: AsyncDatabase[dict[str, Any]]) -> House:
    store = Authorization(database)
    await store.open()
    house = await House.built(store=store)
    house.clock.now = datetime.now(UTC)  # by the time of day the database forgets what is over, a jti among it
    return house


@pytest.fixture
def compete(processes: list[Process], house: House, mongo_url: SecretStr, database_name: str) -> Compete:
    async def one(process: Process, line: str) -> str:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"{line}\n".encode())
        await process.stdin.drain()
        return (await process.stdout.readline()).decode().strip()

    async def all_(what: str, **given: str) -> Counter[str]:
        """Return how often each answer came to the attempts of all processes."""
        job = {"url": mongo_url.get_secret_value(), "database": database_name, "what": what, "given": given}
        job["now"] = house.clock().isoformat()
        lines = await asyncio.gather(*(one(process, json.dumps({**job, "times": TIMES})) for process in processes))
        assert set(lines) == {"ready"}
        answers = await asyncio.gather(*(one(process, "go") for process in processes))
        found: Counter[str] = sum((Counter(json.loads(answer)) for answer in answers), Counter())
        assert found.total() == PROCESSES * TIMES
        return found

    return all_


def won(answers: Counter[str], *refusals: str) -> list[str]:
    """Return the answers that are no refusals."""
    return [text for text in answers.elements() if text not in refusals]


async def test_code_replay_under_concurrency_one_of_all_redemptions_succeeds_and_all_tokens_die(
    house: House, compete: Compete
) -> None:
    code = await house.code(house.asking(scope="patient/*.rs offline_access"))
    tokens_ = won(await compete("code", code=code), "invalid_grant")
    assert len(tokens_) == 1
    assert await tokens.find(house.realm, tokens_[0]) is None
    grants = await house.store.find(Grant, user_id="u-ann")
    assert [grant.why for grant in grants] == ["code-replayed"]


async def test_refresh_reuse_under_concurrency_there_is_one_successor(house: House, compete: Compete) -> None:
    """Within the grace all get the one answer again; it is the same for all, and once it is used the old one is poison."""
    first = await house.offline("patient/*.rs offline_access")
    answers = await compete("refresh", refresh_token=first["refresh_token"])
    assert set(answers) - {"invalid_grant"} == set(answers)
    assert len(answers) == 1
    (access,) = answers
    assert await tokens.find(house.realm, access)
    rows = await database_of(house)["auth_refreshtoken"].find({}).to_list()
    assert len(rows) == 2
    used = await house.store.get(RefreshToken, opaque.digest(first["refresh_token"]))
    assert used
    assert used.successor in {row["_id"] for row in rows}
    house.clock.pass_(seconds=31)
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert await tokens.find(house.realm, access) is None


async def test_jti_replay_under_concurrency_one_of_all_assertions_succeeds(house: House, compete: Compete) -> None:
    text = assertion("backend", rsa(), house.clock())
    assert len(won(await compete("assertion", assertion=text), "invalid_client", "slow_down")) == 1


async def test_a_launch_is_used_once_by_all_processes(house: House, compete: Compete) -> None:
    answers = await compete("launch", launch=await house.launched(patient="ann"))
    assert answers == {"used": 1, "refused": PROCESSES * TIMES - 1}


async def test_a_request_is_answered_once_by_all_processes(house: House, compete: Compete) -> None:
    launched = await house.launched(patient="ann")
    asked = house.asking(scope="launch openid patient/*.rs", launch=launched)
    handle = await authorization_request.begin(house.realm, asked)
    session, user = await house.signed_in("u-doc")
    await authorize.advance(house.realm, await authorize.find(house.realm, handle, session, user))
    answers = await compete("request", handle=handle, session=session.id, user=user.id)
    assert len(won(answers, "request_over", "access_denied")) == 1, answers
    assert len(await house.store.find(Grant, user_id="u-doc")) == 1


def database_of(house: House) -> AsyncDatabase[Any]:
    assert isinstance(house.store, Authorization)
    return house.store.database
