"""SIGKILL while a code system is loaded, and while it is deleted: nothing half of it is seen, and the next one ends what was begun."""

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store import loading
from fhir_server.store.concepts import Concepts
from loadtests import nomenclature
from terminology.codesystem.listed import Listed
from tests.store import loader
from tests.store.nomenclatures import release, resource
from tests.store.test_concepts import SMALL, loaded, state

COUNT = 3_000


async def started(what: str, url: SecretStr, database: AsyncDatabase[dict[str, Any]]) -> Process:
    words = ("-m", "tests.store.loader", what, url.get_secret_value(), database.name, str(COUNT))
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdout=PIPE)


async def killed_at(process: Process, *beginnings: str) -> None:
    """Kill the process when it has printed lines that begin so, one after the other."""
    assert process.stdout
    for beginning in beginnings:
        line = ""
        while not line.startswith(beginning):
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert line, f"the process ended before it said {beginning}"
    process.kill()
    await process.wait()


async def test_a_killed_load_is_not_seen_and_the_next_one_goes_on(
    database: AsyncDatabase[dict[str, Any]], mongo_url: SecretStr, monkeypatch: pytest.MonkeyPatch
) -> None:
    concepts = Concepts(database)
    await concepts.load(release(SMALL))
    chance = random.Random(5)
    for beginnings in (("concepts 800",), ("concepts 2000",), ("indexes",)):
        process = await started("load", mongo_url, database)
        await asyncio.wait_for(killed_at(process, *beginnings), 60)
        await asyncio.sleep(chance.uniform(0, 0.05))
        assert await loaded(concepts) == [("1", 3)]
        assert await concepts.provider((await concepts.rows())[1]).find("A") is not None
    monkeypatch.setattr(loading, "BATCH", loader.BATCH)
    done = await concepts.load(nomenclature.release(COUNT))
    assert done.resumed >= COUNT - 3 * loader.BATCH
    stored, listed = concepts.provider(done.row), Listed(resource(nomenclature.rows(COUNT)))
    assert await stored.codes(range(COUNT)) == await listed.codes(range(COUNT))
    assert [one.code for one in await stored.concepts(range(COUNT))] == await listed.codes(range(COUNT))
    assert await stored.descendants(0) == await listed.descendants(0)
    assert await database["tx_concept"].count_documents({}) == COUNT + len(SMALL)


async def test_a_killed_deletion_is_ended_by_the_next_one(
    database: AsyncDatabase[dict[str, Any]], mongo_url: SecretStr
) -> None:
    concepts = Concepts(database)
    await concepts.load(nomenclature.release(COUNT))
    process = await started("drop", mongo_url, database)
    await killed_at(process, "dropped")
    assert await loaded(concepts) == []
    assert await concepts.sweep(0) <= 1
    assert await state(database) == {"tx_system": 0, "tx_concept": 0, "tx_piece": 0}
