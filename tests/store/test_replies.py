"""Rows in the bytes of a reply, as a real database sends them."""

from typing import Any

from bson import Int64
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.chain import BATCH, Chain
from fhir_server.store.codecs import RAW, encode
from fhir_server.store.replies import batch
from fhir_server.store.trail import EVENTS

ROWS = [{"_id": f"{number:05d}", "k": "read" * (number % 7), "n": number} for number in range(1200)]


async def test_the_rows_of_a_reply_are_all_there_in_their_order(database: AsyncDatabase[dict[str, Any]]) -> None:
    await database["rows"].insert_many([dict(row) for row in ROWS])
    command = {"find": "rows", "sort": {"_id": 1}, "batchSize": 1100}
    async with database.client.start_session() as session:
        cursor, first = batch(await database.command(command, codec_options=RAW, session=session))
        assert cursor
        more = {"getMore": Int64(cursor), "collection": "rows"}
        end, second = batch(await database.command(more, codec_options=RAW, session=session))
    assert end == 0
    for elements, rows in ((first, ROWS[:1100]), (second, ROWS[1100:])):
        assert elements == b"".join(b"\x03%d\x00" % number + bytes(encode(row).raw) for number, row in enumerate(rows))


async def test_of_nothing_there_is_nothing(database: AsyncDatabase[dict[str, Any]]) -> None:
    assert batch(await database.command({"find": "rows"}, codec_options=RAW)) == (0, b"")
    assert [piece async for piece in Chain(database).all_raw_events()] == [b""]


async def test_a_trail_of_several_replies_is_read_whole(database: AsyncDatabase[dict[str, Any]]) -> None:
    await database[EVENTS].insert_many([{"n": number} for number in range(BATCH + 500)])
    pieces = [piece async for piece in Chain(database).all_raw_events()]
    assert [piece.count(b"\x10n\x00") for piece in pieces if piece] == [BATCH, 500]
