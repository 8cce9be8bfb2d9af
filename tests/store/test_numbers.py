"""Numbers that tell of changes: asked for together they are one question."""

import asyncio
from typing import Any

from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandListener

from fhir_server.store.numbers import META, Numbers


class Heard(CommandListener):
    """The names of commands that were sent."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: Any) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event: Any) -> None: ...
    def failed(self, event: Any) -> None: ...


async def test_numbers_that_are_asked_for_together_are_one_question(
    mongo_url: SecretStr, database: AsyncDatabase[dict[str, Any]], database_name: str
) -> None:
    await database[META].insert_many([{"_id": "a", "version": 3}, {"_id": "b", "version": 5}])
    heard = Heard()
    async with AsyncMongoClient[dict[str, Any]](mongo_url.get_secret_value(), event_listeners=[heard]) as client:
        numbers = Numbers(client[database_name])
        assert await asyncio.gather(*map(numbers.version, ("b", "never", "a", "b"))) == [5, 0, 3, 5]
        await numbers.close()
    assert heard.names.count("find") == 1


async def test_a_number_is_as_it_is_after_the_question(database: AsyncDatabase[dict[str, Any]]) -> None:
    numbers = Numbers(database)
    for turn in range(3):
        await database[META].update_one({"_id": "a"}, {"$inc": {"version": 1}}, upsert=True)
        assert await numbers.version("a") == turn + 1
