"""What code systems ask the database is answered from indexes, and nothing is looked at that is not given back."""

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from fhir_server.store.concepts import Concepts
from loadtests import nomenclature
from terminology.codesystem.provider import Filter

COUNT = 2_000
UNTOLD = {"lsid", "$db", "$clusterTime", "readConcern", "$readPreference"}


class Finds(CommandListener):
    """The finds that a client sends."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find" and str(event.command["find"]).startswith("tx_"):
            self.commands.append({name: value for name, value in event.command.items() if name not in UNTOLD})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


@pytest_asyncio.fixture(loop_scope="session")
async def finds(database: AsyncDatabase[dict[str, Any]], mongo_url: SecretStr) -> AsyncIterator[tuple[Concepts, Finds]]:
    """A loaded nomenclature beside another one, and what is asked from then on."""
    await Concepts(database).load(nomenclature.release(COUNT, "1"))
    await Concepts(database).load(nomenclature.release(COUNT, "2"))
    finds = Finds()
    async with AsyncMongoClient[dict[str, Any]](mongo_url.get_secret_value(), event_listeners=[finds]) as client:
        yield Concepts(client[database.name]), finds


async def test_no_question_looks_at_more_than_it_gives_back(
    finds: tuple[Concepts, Finds], database: AsyncDatabase[dict[str, Any]]
) -> None:
    concepts, told = finds
    (_, row) = await concepts.rows()
    told.commands.clear()
    stored = concepts.provider(row)
    found = await stored.find(nomenclature.code(1_500))
    assert found
    await stored.find("nowhere")
    await stored.ordinals([nomenclature.code(number) for number in range(0, COUNT, 20)])
    below = await stored.select(Filter("concept", "is-a", nomenclature.code(3)))
    await stored.concepts(list(below[40:60]))
    await stored.codes(list(below))
    await stored.ancestors(found.ordinal)
    await stored.matching("dis lar", await stored.everything())
    await stored.select(Filter("module", "=", "3"))
    await stored.select(Filter("site", "exists", "true"))
    await stored.inactive()
    await stored.roots()
    assert len(told.commands) >= 12
    for command in told.commands:
        plan = await database.command({"explain": command, "verbosity": "executionStats"})
        spent = plan["executionStats"]
        assert "COLLSCAN" not in str(plan), command
        assert spent["totalDocsExamined"] == spent["nReturned"], command
        assert spent["totalKeysExamined"] <= 2 * spent["nReturned"] + 1, command
