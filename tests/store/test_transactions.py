"""A commit whose first answer is none, or one that says nothing: it is asked again, and never taken for undone."""

from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from fhir_server.model.errors import Unavailable
from fhir_server.store import transactions
from fhir_server.store.transactions import once

Database = AsyncDatabase[dict[str, Any]]

STARTING = OperationFailure("Cache Reader No keys found for HMAC that is valid for time", 211)
"""What a member may say that has just started; the driver puts no label on it."""


class Stammering:
    """A session whose commits arrive, while their first answers are others."""

    def __init__(self, session: Any, answers: list[PyMongoError]) -> None:
        self._session = session
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    async def commit_transaction(self) -> None:
        await self._session.commit_transaction()
        if self._answers:
            raise self._answers.pop(0)


async def _written(database: Database, answers: list[PyMongoError]) -> None:
    async with database.client.start_session() as session:

        async def work() -> None:
            await database["rows"].insert_one({"_id": 1}, session=session)

        await once(Stammering(session, answers), work)  # type: ignore[arg-type]


async def test_a_commit_is_asked_again_until_an_answer_says_what_became_of_it(database: Database) -> None:
    await database.create_collection("rows")
    answers = [AutoReconnect("gone"), STARTING]
    await _written(database, answers)
    assert not answers
    assert await database["rows"].distinct("_id") == [1]


async def test_of_a_commit_that_nobody_confirms_it_is_said_that_nobody_knows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "PATIENCE", 0.05)
    await database.create_collection("rows")
    with pytest.raises(Unavailable, match="not known whether"):
        await _written(database, [STARTING] * 1000)
    assert await database["rows"].distinct("_id") == [1]


async def test_what_met_another_transaction_begins_again_and_a_full_disk_is_told(database: Database) -> None:
    await database.create_collection("rows")
    met = OperationFailure("write conflict", 112, {"errorLabels": ["TransientTransactionError"]})
    full = OperationFailure("no space left", 14031)
    for number, error in enumerate((met, full)):
        with pytest.raises(OperationFailure) as caught:
            await _written(database, [error])
        assert caught.value is error, number
        await database["rows"].delete_many({})
