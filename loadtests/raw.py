"""The same work done by the driver alone, on the same documents with the same indexes: the baseline of every ratio."""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.settings import Settings
from fhir_server.store.client import connect
from fhir_server.store.embedded import embedded
from loadtests import records
from loadtests.wire import Sample, repeat

Work = Callable[[int], Awaitable[bool]]

NAIVE = "bench_raw"
FLOOR = "bench_floor"
BATCH = 250


class Raw:
    """The driver on the server's database."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._database = database
        self._live = database["Observation"]
        self._templates: list[dict[str, Any]] = []

    @property
    def database(self) -> AsyncDatabase[dict[str, Any]]:
        """The server's database."""
        return self._database

    @classmethod
    @asynccontextmanager
    async def open(cls, data_dir: Path) -> AsyncIterator["Raw"]:
        """Join the mongod of a running server."""
        settings = Settings(data_dir=data_dir)
        async with embedded(settings) as connection, connect(connection.url, settings) as client:
            yield cls(client[settings.mongo.database])

    async def prepare(self) -> None:
        """Take stored documents as templates, and give the baseline collections the indexes that Observation has."""
        self._templates = await self._live.find({}).limit(1000).to_list()
        cursor = await self._live.list_indexes()
        indexes = [dict(row) async for row in cursor if row["name"] != "_id_"]
        for name in (NAIVE, FLOOR):
            await self._database.create_collection(
                name, storageEngine={"wiredTiger": {"configString": "block_compressor=zstd"}}
            )
            await self._database.command({"createIndexes": name, "indexes": indexes})

    async def create(self, clients: int, seconds: float) -> Sample:
        """Measure `insert_one`, majority and journaled, one document at a time."""
        target = self._database[NAIVE]

        async def insert(number: int) -> bool:
            await target.insert_one({**self._templates[number % len(self._templates)], "_id": uuid4().hex})
            return True

        return await repeat([insert] * clients, seconds)

    async def read(self, clients: int, seconds: float) -> Sample:
        """Measure `find_one` by id."""

        async def find(number: int) -> bool:
            return await self._live.find_one({"_id": records.read_id(number)}, {"j": 1}) is not None

        return await repeat([find] * clients, seconds)

    async def page(self, clients: int, seconds: float) -> Sample:
        """Measure `find` of the page that the search workload asks for."""
        code = f"{records.CODE}|http://loinc.org"

        async def find(number: int) -> bool:
            query = {"p": f"bench-{number * 7 % records.PATIENTS}", "s.code": code}
            rows = await self._live.find(query, {"j": 1}, sort=[("d", -1), ("o", -1)], limit=records.PAGE).to_list()
            return len(rows) == records.PAGE

        return await repeat([find] * clients, seconds)

    async def floor(self, seconds: float) -> float:
        """Return documents per second of `insert_many` with documents that are encoded already."""
        raw: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
        target = self._database.get_collection(FLOOR, codec_options=raw)
        source = itertools.cycle(self._templates)
        done, spent = 0, 0.0
        while spent < seconds:
            encoded = [{**next(source), "_id": uuid4().hex} for _ in range(BATCH)]
            batch = [RawBSONDocument(_encode(document)) for document in encoded]
            start = time.perf_counter()
            await target.insert_many(batch, ordered=False)
            spent += time.perf_counter() - start
            done += BATCH
        return done / spent


def _encode(document: dict[str, Any]) -> bytes:
    from bson import encode

    return encode(document)
