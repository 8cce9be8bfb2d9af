"""SIGKILL to servers and workers while others write: a subscriber hears of every acknowledged change, and of each in one number.

Rounds: 2, or as many as CHAOS_ROUNDS says. In each of them the worker and the server are killed once.
"""

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.notifications.subscriber import Sent, Subscriber, events, focuses, listening, observation
from tests.processes import Nursery, Process

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
WRITERS = 4
PATIENCE = 60.0
WRITES = 25
"""Acknowledged writes between two kills, at least."""

HOOKS = '["127.0.0.1/32"]'


class Town:
    """Servers and workers of one record, and clients that write.

    Attributes:
        base: Service base of the server that is written to.
        versions: Acknowledged versions, as `Type/id/version`.
    """

    def __init__(self, nursery: Nursery, home: Path) -> None:
        self.base = ""
        self.versions: set[str] = set()
        self._nursery, self._home = nursery, home
        self._environment = {**os.environ, "FHIR_MONGO__CACHE_GB": "0.25", "FHIR_OUTBOUND__ALLOWED": HOOKS}
        self._http = httpx.AsyncClient(timeout=PATIENCE, headers={"Content-Type": "application/fhir+json"})
        self._labels = itertools.count()

    async def start(self, command: str, *words: str) -> tuple[Process, Any]:
        """Return a server or worker, and what it announces."""
        with self._home.with_name(f"{command}.log").open("ab") as log:
            process = self._nursery.start(
                command, *words, "--json", "--data-dir", self._home, environment=self._environment, stderr=log
            )
        line = await asyncio.wait_for(asyncio.to_thread(process.out.readline), 120)
        return process, json.loads(line)

    async def serve(self) -> Process:
        process, said = await self.start("serve", "--port", "0", "--no-worker")
        self.base = said["fhir"]
        return process

    async def post(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(f"{self.base}/{resource['resourceType']}", json=resource)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._http.get(f"{self.base}/{path}")).json()
        return found

    async def _write(self) -> None:
        """Create, update and delete without pause; what is acknowledged must be heard of."""
        while True:
            name, base = f"o{next(self._labels)}", self.base
            place = f"Observation/{name}"
            try:
                for value in ("1", "2"):
                    sent = {**observation("chaos", valueString=value), "id": name}
                    answer = await self._http.put(f"{base}/{place}", json=sent)
                    if answer.status_code in {200, 201}:
                        self.versions.add(f"{place}/{value}")
                if answer.status_code == 200 and random.random() < 0.3:
                    answer = await self._http.delete(f"{base}/{place}")
                    if answer.status_code == 204:
                        self.versions.add(f"{place}/3")
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._write()) for _ in range(WRITERS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self) -> None:
        """Return after further acknowledged writes."""
        target = len(self.versions) + WRITES
        async with asyncio.timeout(PATIENCE):
            while len(self.versions) < target:  # noqa: ASYNC110 - other tasks get there
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self._http.aclose()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    shutil.rmtree(tmp_path)


async def test_a_subscriber_hears_of_every_change_in_order_under_kills(nursery: Nursery, home: Path) -> None:
    town = Town(nursery, home)
    server = await town.serve()
    worker, _ = await town.start("worker")
    try:
        async with listening() as subscriber:
            refusing = random.Random(1)
            subscriber.status = lambda _: 503 if refusing.random() < 0.05 else 200
            resource = subscriber.subscription("chaos", filters=("Observation?code=chaos",), content="full-resource")
            one = (await town.post(resource))["id"]
            async with asyncio.timeout(PATIENCE):
                while (await town.get(f"Subscription/{one}"))["status"] != "active":  # noqa: ASYNC110 - in the server
                    await asyncio.sleep(0.1)
            async with town.writing():
                for _ in range(ROUNDS):
                    await town.more()
                    worker.send(signal.SIGKILL)
                    await worker.ended()
                    await town.more()
                    worker, _ = await town.start("worker")
                    # The next one starts beside it, as behind a load balancer; it adopts mongod from the one that is killed.
                    before = server
                    server = await town.serve()
                    await town.more()
                    before.send(signal.SIGKILL)
                    await before.ended()
                await town.more()
            last = await _settled(town, one)
            async with asyncio.timeout(PATIENCE):
                while last not in _heard(subscriber):  # noqa: ASYNC110 - others get there
                    await asyncio.sleep(0.05)
            _compare(town, subscriber, last)
            again = await town.get(f"Subscription/{one}/$events?eventsSinceNumber={last}")
            assert focuses(again) == [_heard(subscriber)[last].rpartition("/")[0]]
    finally:
        for process in (worker, server):
            process.send(signal.SIGTERM)
            await process.ended()
        await town.close()


async def _settled(town: Town, subscription: str) -> int:
    """Return how many events there were when no more come."""
    counted = -1
    async with asyncio.timeout(PATIENCE):
        while True:
            rows = (await town.get(f"Subscription/{subscription}/$status"))["entry"][0]["resource"]["parameter"]
            found = int(next(row["valueString"] for row in rows if row["name"] == "events-since-subscription-start"))
            if found == counted:
                return found
            counted = found
            await asyncio.sleep(2)


def _rows(sent: Sent) -> Iterator[tuple[int, str]]:
    """Yield number and version of each event of a notification."""
    for event, entry in zip(events(sent.bundle), sent.bundle["entry"][1:], strict=True):
        place = "/".join(entry["fullUrl"].split("/")[-2:])
        version = entry["resource"]["meta"]["versionId"] if "resource" in entry else "3"
        yield int(event["event-number"]), f"{place}/{version}"


def _heard(subscriber: Subscriber) -> dict[int, str]:
    return {number: version for sent in subscriber.of("chaos") for number, version in _rows(sent)}


def _compare(town: Town, subscriber: Subscriber, last: int) -> None:
    heard = _heard(subscriber)
    assert sorted(heard) == [*range(1, last + 1)], "a number is missing"
    assert len({*heard.values()}) == last, "a version has two numbers"
    assert town.versions - {*heard.values()} == set(), "an acknowledged version was not told"
    for sent in subscriber.of("chaos"):
        assert all(heard[number] == version for number, version in _rows(sent)), "a number stands for two versions"
    # In order: a number that was not heard of before is never lower than one that was.
    highest = 0
    for sent in subscriber.of("chaos"):
        for number, _ in _rows(sent):
            assert number <= highest + 1, "one was overtaken"
            highest = max(highest, number)
    order: dict[str, int] = {}
    for number in range(1, last + 1):
        place, _, version = heard[number].rpartition("/")
        assert order.get(place, 0) < int(version), "versions of one resource are out of order"
        order[place] = int(version)
