"""What a large code system costs: to load, and to ask, each beside the driver alone: `python -m loadtests.concepts --concepts 350000`.

The system is `nomenclature`, with the shape of SNOMED CT. Questions are put one after the other, to the library and over HTTP.
The driver alone fetches by code or by id the same documents that an answer is made of; what they are has been found for it.
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvloop
from pymongo.asynchronous.database import AsyncDatabase
from pyroaring import BitMap

from fhir_server.settings import Settings
from fhir_server.store import shelves
from fhir_server.store.client import connect as connect_database
from fhir_server.store.collections import ENGINE
from fhir_server.store.concepts import Concepts
from fhir_server.store.embedded import embedded
from loadtests import nomenclature
from loadtests.processes import Process, cpu_of, server
from loadtests.wire import Connection, connect, request
from terminology.codesystem.provider import Filter
from terminology.codesystem.stored import Stored

COUNT = 50_000
TIMES = 300
WARM = 10
"""Times that are asked before it counts, so that the memory of both is filled."""

PAGE = 100
FLOOR, FLOOR_BATCH = 20_000, 5_000
BELOW, ALL = "http://example.org/ValueSet/below", "http://example.org/ValueSet/all"
SHARE = 0.075
"""Share of all concepts that stand below the concept whose expansion is asked for."""

Ask = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        name: Of it.
        asked: Asks the library for the n-th time.
        alone: Has the driver do it alone.
        path: Asks the server, from behind its base; empty where there is no such request.
    """

    name: str
    asked: Ask
    alone: Ask
    path: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """How long a question took.

    Attributes:
        name: Of the question.
        library: Milliseconds of each answer, in ascending order.
        http: The same over HTTP.
        alone: The same of the driver alone.
        cpu: Milliseconds of CPU of the server for an answer.
    """

    name: str
    library: Sequence[float]
    http: Sequence[float]
    alone: Sequence[float]
    cpu: float


@dataclass(slots=True)
class Figures:
    """All figures of one run.

    Attributes:
        count: Concepts of the code system.
        edges: Of its hierarchy.
        rate: Concepts loaded per second.
        cpu: Microseconds of CPU of the process that loaded, for each concept.
        peak: Most bytes of memory of the process that loaded.
        floor: Documents per second that the driver alone inserts.
        answers: To the questions.
    """

    count: int = 0
    edges: int = 0
    rate: float = 0
    cpu: float = 0
    peak: int = 0
    floor: float = 0
    answers: list[Answer] = field(default_factory=list)


async def measure(app: Process, data_dir: Path, count: int = COUNT) -> Figures:
    """Load the nomenclature into the database of a running server, and ask.

    Args:
        app: The server.
        data_dir: Of the server.
        count: Concepts.
    """
    command = [sys.executable, "-m", "loadtests.concepts", "--load", str(data_dir), "--concepts", str(count)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    told = json.loads(said)
    figures = Figures(count, told["edges"], count / told["seconds"], told["cpu"] / count * 1e6, told["peak"])
    settings = Settings(data_dir=data_dir)
    async with embedded(settings) as connection, connect_database(connection.url, settings) as client:
        database = client[settings.mongo.database]
        concepts = Concepts(database)
        (row,) = [one for one in await concepts.rows() if one.head.url == nomenclature.URL and one.state == "loaded"]
        stored = concepts.provider(row)
        figures.floor = await _floor(database)
        wire = await connect(app.address)
        asking = await _Asking.of(stored, database, row.key)
        for value_set in asking.value_sets():
            body, host = json.dumps(value_set).encode(), f"127.0.0.1:{app.address[1]}"
            status, said = await wire.ask(request("PUT", f"/fhir/ValueSet/{value_set['id']}", host, body))
            if status != 201:
                raise SystemExit(f"storing a value set failed with {status}: {said[:500].decode(errors='replace')}")
        for question in asking.questions():
            figures.answers.append(await _answer(question, wire, app))
        wire.close()
    return figures


async def _answer(question: Question, wire: Connection, app: Process) -> Answer:
    """Ask all three in turn, so that what else the machine does is the same for each."""
    times: tuple[list[float], list[float], list[float]] = ([], [], [])
    host = f"127.0.0.1:{app.address[1]}"

    async def over_http(number: int) -> object:
        status, body = await wire.ask(request("GET", f"/fhir/{question.path(number)}", host))
        if status != 200:
            raise SystemExit(f"'{question.name}' answers {status}: {body[:500].decode(errors='replace')}")
        return body

    used: dict[str, float] = {}
    with cpu_of({"app": app}, used):
        await _times(times, question, over_http)
    cpu = used["app"] / (TIMES + WARM) * 1000
    library, http, alone = (sorted(one) for one in times)
    return Answer(question.name, library, http, alone, cpu)


async def _times(times: Sequence[list[float]], question: Question, over_http: Ask) -> None:
    for number in range(-WARM, TIMES):
        for kind, ask in enumerate((question.asked, over_http, question.alone)):
            began = time.perf_counter()
            await ask(number)
            if number >= 0:
                times[kind].append((time.perf_counter() - began) * 1000)


class _Asking:
    """The questions, and what the driver has to fetch for the same answers.

    Args:
        stored: The code system.
        database: Where it is.
        key: Its number there.
        above: The concept below which expansions are.
        below: What stands there.
        ordinals: Concepts that are asked for.
    """

    def __init__(  # noqa: PLR0917 - what there is to ask with
        self, stored: Stored, database: AsyncDatabase[Any], key: int, above: int, below: BitMap, ordinals: Sequence[int]
    ) -> None:
        self._stored, self._key, self._below = stored, key, below
        self._concepts = database[shelves.CONCEPTS]
        codes = [nomenclature.code(one) for one in ordinals]
        # Each question has codes of its own: what another one has read would be in memory.
        self._looked_up, self._checked = codes[::4], codes[1::4]
        self._pairs = list(zip(codes[2::4], codes[3::4], strict=True))
        self._top = nomenclature.code(above)
        self._texts: list[str] = []
        self._matches: list[list[int]] = []
        self._matches_below: list[list[int]] = []

    @classmethod
    async def of(cls, stored: Stored, database: AsyncDatabase[Any], key: int) -> "_Asking":
        chance = random.Random(11)
        sizes = {one: len(await stored.descendants(one)) for one in range(1, 400)}
        above = min(sizes, key=lambda one: abs(sizes[one] - SHARE * stored.head.count))
        ordinals = [chance.randrange(stored.head.count) for _ in range(4 * (TIMES + WARM))]
        asking = cls(stored, database, key, above, await stored.descendants(above), ordinals)
        everything = await stored.everything()
        for concept in await stored.concepts(ordinals[: TIMES + WARM]):
            text = " ".join(word[:4] for word in concept.display.split()[:2])
            asking._texts.append(text)
            asking._matches.append(list((await stored.matching(text, everything))[:PAGE]))
            found = await stored.matching(text.split()[0], asking._below)
            asking._matches_below.append(list(found[:PAGE]))
        return asking

    def questions(self) -> list[Question]:
        """Return what is asked."""
        below = f"the {len(self._below):,} below one"
        system = {"system": nomenclature.URL}
        return [
            Question(
                "look a code up",
                lambda n: self._stored.find(self._looked_up[n]),
                lambda n: self._document(self._looked_up[n]),
                lambda n: f"CodeSystem/$lookup?{urlencode({**system, 'code': self._looked_up[n]})}",
            ),
            Question(
                f"whether a code is one of {below}",
                self._member,
                lambda n: self._document(self._checked[n]),
                lambda n: f"ValueSet/$validate-code?{urlencode({'url': BELOW, **system, 'code': self._checked[n]})}",
            ),
            Question(
                "whether one code subsumes another",
                self._subsumes,
                self._two_documents,
                lambda n: (
                    f"CodeSystem/$subsumes?{urlencode({**system, 'codeA': self._pairs[n][0], 'codeB': self._pairs[n][1]})}"
                ),
            ),
            Question(
                f"a page of {PAGE} of {below}",
                self._selected,
                lambda n: self._documents(self._page(n)),
                lambda n: _expansion(BELOW, offset=self._start(n)),
            ),
            Question(
                f"the first {PAGE} of all with two words that begin so",
                self._matching,
                lambda n: self._documents(self._matches[n]),
                lambda n: _expansion(ALL, filter=self._texts[n]),
            ),
            Question(
                f"the first {PAGE} below one with a word that begins so",
                self._matching_below,
                lambda n: self._documents(self._matches_below[n]),
                lambda n: _expansion(BELOW, filter=self._texts[n].split()[0]),
            ),
        ]

    def value_sets(self) -> list[dict[str, Any]]:
        """Return the value sets that the server is asked about."""
        is_a = {"property": "concept", "op": "is-a", "value": self._top}
        rules: dict[str, list[dict[str, str]]] = {BELOW: [is_a], ALL: []}
        return [
            {
                "resourceType": "ValueSet", "id": url.rpartition("/")[2], "url": url, "status": "active",
                "compose": {"include": [{"system": nomenclature.URL, **({"filter": found} if found else {})}]},
            }
            for url, found in rules.items()
        ]  # fmt: skip

    def _start(self, number: int) -> int:
        return number * 131 % max(len(self._below) - PAGE, 1)

    def _page(self, number: int) -> list[int]:
        begin = self._start(number)
        return list(self._below[begin : begin + PAGE])

    async def _document(self, code: str) -> object:
        return await self._concepts.find_one({"s": self._key, "k": code})

    async def _two_documents(self, number: int) -> object:
        return await asyncio.gather(*map(self._document, self._pairs[number]))

    async def _documents(self, ordinals: Sequence[int]) -> object:
        base = self._key << shelves.SHIFT
        return await self._concepts.find({"_id": {"$in": [base + one for one in ordinals]}}).to_list()

    async def _member(self, number: int) -> object:
        concept = await self._stored.find(self._checked[number])
        return concept and await self._stored.holds(Filter("concept", "is-a", self._top), concept)

    async def _subsumes(self, number: int) -> object:
        one, other = await asyncio.gather(*map(self._stored.find, self._pairs[number]))
        return one and other and await self._stored.subsumes(one, other)

    async def _selected(self, number: int) -> object:
        found, begin = await self._stored.select(Filter("concept", "is-a", self._top)), self._start(number)
        return await self._stored.concepts(list(found[begin : begin + PAGE]))

    async def _matching(self, number: int) -> object:
        found = await self._stored.matching(self._texts[number], await self._stored.everything())
        return await self._stored.concepts(found[:PAGE])

    async def _matching_below(self, number: int) -> object:
        below = await self._stored.select(Filter("concept", "is-a", self._top))
        found = await self._stored.matching(self._texts[number].split()[0], below)
        return await self._stored.concepts(found[:PAGE])


def _expansion(url: str, **more: object) -> str:
    return f"ValueSet/$expand?{urlencode({'url': url, 'count': PAGE, **more})}"


async def _floor(database: AsyncDatabase[Any]) -> float:
    """Return documents per second of `insert_many` with the same documents and index, made before."""
    name = f"{shelves.CONCEPTS}_floor"
    await database.create_collection(name, storageEngine=ENGINE)
    collection = database[name]
    await collection.create_index([("s", 1), ("k", 1)])
    rows = islice(nomenclature.rows(FLOOR), FLOOR)
    documents = [shelves.document(1, ordinal, row.code, row) for ordinal, row in enumerate(rows)]
    began = time.perf_counter()
    for begin in range(0, FLOOR, FLOOR_BATCH):
        await collection.insert_many(documents[begin : begin + FLOOR_BATCH], ordered=False)
    rate = FLOOR / (time.perf_counter() - began)
    await collection.drop()
    return rate


async def _load(data_dir: Path, count: int) -> None:
    """Load, and print how long it took."""
    settings = Settings(data_dir=data_dir)
    async with embedded(settings) as connection, connect_database(connection.url, settings) as client:
        began, used = time.perf_counter(), time.process_time()
        loaded = await Concepts(client[settings.mongo.database]).load(nomenclature.release(count))
        seconds, cpu = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "edges": loaded.row.edges}))


def markdown(figures: Figures) -> list[str]:
    """Return the table."""
    return list(_lines(figures))


def _lines(figures: Figures) -> Iterator[str]:
    rate, floor = figures.rate, figures.floor
    yield f"A code system of {figures.count:,} concepts with {figures.edges:,} relations of its hierarchy, one question after the other:"
    yield ""
    yield (
        f"* load, with all indexes: {rate:,.0f} concepts per s with {figures.cpu:.0f} µs of CPU each, {figures.peak / 2**20:,.0f} MiB of memory at most; the driver alone "
        f"inserts {floor:,.0f} documents per s (÷ driver {rate / (floor or 1):.2f})"
    )
    yield ""
    yield "| question | library p50 ms | p95 ms | HTTP p50 ms | p95 ms | app CPU ms | driver alone p50 ms | p95 ms | library ÷ driver | HTTP ÷ driver |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for one in figures.answers:
        middles = [_quantile(times, 0.5) for times in (one.library, one.http, one.alone)]
        ends = [_quantile(times, 0.95) for times in (one.library, one.http, one.alone)]
        columns = [f"{value:.2f}" for pair in zip(middles, ends, strict=True) for value in pair]
        columns.insert(4, f"{one.cpu:.2f}")
        ratios = [f"{middle / middles[2]:.2f}" for middle in middles[:2]]
        yield f"| {' | '.join([one.name, *columns, *ratios])} |"


def _quantile(times: Sequence[float], share: float) -> float:
    return times[min(int(len(times) * share), len(times) - 1)]


def main() -> None:
    """Measure with a server of its own."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--concepts", type=int, default=COUNT, help=f"how many concepts (default {COUNT})")
    asked.add_argument("--load", type=Path, help="only load them, into the database of this data directory")
    arguments = asked.parse_args()
    if arguments.load:
        uvloop.run(_load(arguments.load, arguments.concepts))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, suppress(KeyboardInterrupt):
        data_dir = Path(folder) / "data"
        with server(data_dir) as app:
            figures = uvloop.run(measure(app, data_dir, arguments.concepts))
        print("\n".join(markdown(figures)))


if __name__ == "__main__":
    main()
