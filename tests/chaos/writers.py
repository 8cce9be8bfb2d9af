"""Clients that write without pause, remember what they were told, and compare it with the record afterwards.

A request ends in one of two ways: acknowledged, or unknown (connection lost, 503). What was acknowledged must be in the
record for ever; what is unknown may be or not be, but never half.
"""

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.store.integrity import flaws

SYSTEM = "urn:aquifer:chaos"
OF_EACH = 2
"""Writers of each kind."""

PAUSE = 0.02
TIMEOUT = 60.0

Document = dict[str, Any]


class Writers:
    """All clients together.

    Attributes:
        base: Service base of the server that they write to; may change at any time.
        others: Service bases of servers of the same record beside it; each request goes to any of them.
        acknowledged: How many writes were acknowledged.
        unknown: When requests whose fate is unknown began and ended, on the clock of `time.monotonic`.
    """

    def __init__(self, base: str, others: Sequence[str] = ()) -> None:
        self.base = base
        self.others = others
        self.acknowledged = 0
        self.unknown: list[tuple[float, float]] = []
        self._http = httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_keepalive_connections=64))
        self._ending = False
        self._labels = itertools.count()
        self._created: dict[str, str] = {}
        self._deleted: set[str] = set()
        self._updated: dict[str, tuple[int, str]] = {}
        self._bundles: set[str] = set()
        self._conditional: set[str] = set()
        self._progress = asyncio.Condition()
        self._awake = asyncio.Event()
        self._awake.set()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let all write until the context ends; raise the first thing that must not be."""
        kinds = (self._create, self._update, self._delete, self._transact, self._create_conditionally)
        tasks = [
            asyncio.create_task(self._repeat(kind, number), name=f"{kind.__name__} {number}")
            for kind in kinds
            for number in range(OF_EACH)
        ]
        try:
            yield
            self._ending = True
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._http.aclose()
        assert self._created
        assert self._deleted
        assert self._bundles
        assert self._conditional

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Let nobody begin anything while inside."""
        self._awake.clear()
        yield
        self._awake.set()

    async def more(self, writes: int) -> None:
        """Return after so many further acknowledged writes."""
        target = self.acknowledged + writes
        async with self._progress:
            await asyncio.wait_for(self._progress.wait_for(lambda: self.acknowledged >= target), TIMEOUT)

    async def compare(self, database: AsyncDatabase[Document]) -> None:
        """Fail unless the record is what the writers were told."""
        for resource_type in ("Patient", "Observation", "Basic"):
            assert [flaw async for flaw in flaws(database, resource_type, None)] == []
        patients = {row["_id"]: _label(row) async for row in database.Patient.find({}, {"r.identifier": 1})}
        lost = {label for label, resource_id in self._created.items() if patients.get(resource_id) != label}
        assert not lost, f"acknowledged creates are lost: {lost}"
        assert not self._deleted & patients.keys(), "acknowledged deletions came back"
        for resource_id, (vid, label) in self._updated.items():
            row = await database.Patient.find_one({"_id": resource_id}, {"v": 1, "r.identifier": 1})
            assert row is not None
            assert row["v"] >= vid, f"acknowledged update {vid} of {resource_id} is lost"
            assert row["v"] > vid or _label(row) == label
        times = Counter(patients.values())
        assert {label: times[label] for label in self._conditional if times[label] != 1} == {}
        await self._compare_bundles(database, times)

    async def _compare_bundles(self, database: AsyncDatabase[Document], patients: Counter[str]) -> None:
        """Every bundle wrote a patient and two observations and changed a pair, or nothing of that."""
        parts = Counter({label: count for label, count in patients.items() if label.startswith("bundle")})
        parts.update([_label(row) async for row in database.Observation.find({}, {"r.identifier": 1})])
        assert {label: count for label, count in parts.items() if count != 3} == {}, "half transactions"
        assert parts.keys() >= self._bundles, f"acknowledged bundles are lost: {self._bundles - parts.keys()}"
        pairs: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
        async for row in database.Basic.find({}, {"r.identifier": 1}):
            versions = [
                _label(old)
                async for old in database.Basic_h.find(
                    {"_id": {"$gte": f"{row['_id']}/", "$lt": f"{row['_id']}0"}}, {"r.identifier": 1}
                ).sort("_id", 1)
            ]
            number, _, side = row["_id"].rpartition("-")
            pairs[number][side] = [*versions, _label(row)]
        for sides in pairs.values():
            assert sides["a"] == sides["b"], "a transaction changed one of two resources"
        assert {label for sides in pairs.values() for label in sides["a"]} == parts.keys()

    async def _repeat(self, work: Callable[[int], Awaitable[None]], number: int) -> None:
        while not self._ending:
            await self._awake.wait()
            await work(number)

    async def _create(self, number: int) -> None:
        label = f"create-{next(self._labels)}"
        if answer := await self._send("POST", "Patient", _patient(label), {201}):
            self._created[label] = _id(answer)

    async def _update(self, number: int) -> None:
        resource_id = f"update-{number}"
        label = f"{resource_id}-{next(self._labels)}"
        vid, _ = self._updated.get(resource_id, (0, ""))
        match = {"If-Match": f'W/"{vid}"'} if vid else {}
        answer = await self._send(
            "PUT", f"Patient/{resource_id}", {**_patient(label), "id": resource_id}, {200, 201, 409, 412}, match
        )
        if answer and answer.is_success:
            assert _vid(answer) == vid + 1 or not vid
            self._updated[resource_id] = (_vid(answer), label)
        elif answer := await self._send("GET", f"Patient/{resource_id}", None, {200, 404}):
            assert (answer.status_code == 200) or not vid, f"{resource_id} is lost"
            if answer.status_code == 200:
                assert _vid(answer) >= vid, f"update {vid} of {resource_id} is lost"
                self._updated[resource_id] = (_vid(answer), answer.json()["identifier"][0]["value"])

    async def _delete(self, number: int) -> None:
        label = f"delete-{next(self._labels)}"
        if created := await self._send("POST", "Patient", _patient(label), {201}):
            resource_id = _id(created)
            answer = await self._send("DELETE", f"Patient/{resource_id}", None, {200, 204, 409})
            if answer and answer.is_success:
                self._deleted.add(resource_id)

    async def _transact(self, number: int) -> None:
        label = f"bundle-{next(self._labels)}"
        subject = {"reference": "urn:uuid:6f1a3c5e-0f3b-4a55-9a53-1d4f3b0d7c11"}
        code = {"text": "chaos"}
        observation = {**_patient(label), "resourceType": "Observation", "status": "final", "code": code}
        entries: list[Document] = [
            {
                "fullUrl": subject["reference"],
                "resource": _patient(label),
                "request": {"method": "POST", "url": "Patient"},
            },
            *(
                {
                    "resource": {**observation, "subject": subject},
                    "request": {"method": "POST", "url": "Observation"},
                }
                for _ in range(2)
            ),
            *(
                {
                    "resource": {
                        **_patient(label),
                        "resourceType": "Basic",
                        "id": f"pair-{number}-{side}",
                        "code": code,
                    },
                    "request": {"method": "PUT", "url": f"Basic/pair-{number}-{side}"},
                }
                for side in "ab"
            ),
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await self._send("POST", "", bundle, {200, 409})
        if answer and answer.status_code == 200:
            self._bundles.add(label)

    async def _create_conditionally(self, number: int) -> None:
        """Send the same conditional create three times at once, until one is acknowledged."""
        label = f"once-{next(self._labels)}"
        match = {"If-None-Exist": f"identifier={SYSTEM}|{label}"}
        told = False
        while not told:
            sent = [self._send("POST", "Patient", _patient(label), {200, 201, 409}, match) for _ in range(3)]
            answers = [answer for answer in await asyncio.gather(*sent) if answer and answer.status_code != 409]
            told = bool(answers)
            assert len({_id(answer) for answer in answers}) <= 1
        self._conditional.add(label)

    async def _send(
        self,
        method: str,
        path: str,
        body: Document | None,
        allowed: set[int],
        headers: dict[str, str] | None = None,
    ) -> httpx.Response | None:
        """Return the answer, or `None` when it is unknown what became of the request."""
        began = time.monotonic()
        base = random.choice((self.base, *self.others))
        try:
            answer = await self._http.request(method, f"{base}/{path}".rstrip("/"), json=body, headers=headers)
        except httpx.TransportError:
            answer = None
        if answer is None or answer.status_code == 503:
            self.unknown.append((began, time.monotonic()))
            await asyncio.sleep(PAUSE)
            return None
        assert answer.status_code in allowed, f"{method} {path}: {answer.status_code} {answer.text}"
        if method != "GET" and answer.is_success:
            self.acknowledged += 1
            async with self._progress:
                self._progress.notify_all()
        return answer


def _patient(label: str) -> Document:
    return {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": label}]}


def _label(row: Document) -> str:
    return str(row["r"]["identifier"][0]["value"])


def _id(answer: httpx.Response) -> str:
    """Return the logical id that an answer's Location names: `…/Patient/<id>/_history/<vid>`."""
    return answer.headers["location"].partition("/Patient/")[2].partition("/")[0]


def _vid(answer: httpx.Response) -> int:
    return int(answer.headers["etag"].removeprefix('W/"').removesuffix('"'))
