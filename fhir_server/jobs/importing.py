"""import: store the lines of NDJSON files that somebody has named or sent (docs/bulk-import.md).

The files are gone through in an order in which most of what they refer to comes first; what is refused because it refers to
what is not there yet is sent again in further passes, as long as these store anything. The checkpoint says up to which line all
was sent. What a process that was killed had stored beyond that is sent again, and found to be there already.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fhir_server.jobs import Job, Work
from fhir_server.loading import course, manifest
from fhir_server.loading.hands import Crew, cores
from fhir_server.loading.lines import Batch, batches, unpacked
from fhir_server.loading.order import FOLDER, KIND, MOST_AGAIN, Input, Order, State, Stretches, ordered, stretched
from fhir_server.loading.work import Done, Refused
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, NotFound, TooLarge, Unavailable
from fhir_server.model.outcome import outcome
from fhir_server.outbound import Unreached
from profiles.issue import Issue

SAVING = 1.0
"""Seconds after which is noted how far it is."""

MOST_BYTES = 256 * 2**30
"""Bytes of one file, unpacked."""

SILENCE = 60.0
ATTEMPTS = 3
PAUSE = 2.0

BROKEN = (BadRequest, NotFound, TooLarge)


async def run(work: Work) -> Mapping[str, Any]:
    """Return what became of each file.

    Raises:
        Forbidden: Who asked for it may not go on.
        BadRequest: The manifest cannot be read.
        Unavailable: The database or the storage of files cannot be reached.
    """
    order = Order.of(work.record.payload)
    state = State.of(work.record.checkpoint)
    if not state.inputs:
        await _begin(work, order, state)
    async with Crew(work.loading, cores(), together=False) as hands:
        return await _gone(_Going(work, order, state, hands), state, work)


async def _begin(work: Work, order: Order, state: State) -> None:
    """Begin with the files that are to be imported; a manifest that cannot be read is told of like a file."""
    try:
        state.begin(order.inputs or ordered(await manifest.inputs(work.outbound, order)))
    except (BadRequest, Unavailable) as error:
        if isinstance(error, Unavailable) and work.record.failures + 1 < ATTEMPTS:
            raise
        state.begin([Input("", order.manifest)])
        state.tallies[0].broken, state.over = str(error), True


async def _gone(going: "_Going", state: State, work: Work) -> Mapping[str, Any]:
    """Go on until nothing more is to be sent; return what became of it."""
    while not state.over:
        for number in range(state.input, len(state.inputs)):
            if number != state.input:
                state.input, state.line = number, 0
            if not state.passes or state.only[number]:
                await going.through(number)
        if state.is_hopeful:
            state.again()
        else:
            state.end()
        await going.save()
    outputs = [await going.outcomes(number) for number in range(len(state.inputs))]
    await work.files.remove(going.path("part-"))
    for one in state.inputs:
        if one.file:
            await work.files.remove(one.file)
    total = {name: sum(getattr(tally, name) for tally in state.tallies) for name in ("created", "updated", "unchanged")}
    refused = sum(tally.refused for tally in state.tallies)
    return {**total, "refused": refused, "outputs": outputs, "by_type": state.types}


class _Going:
    """One import under way in this process."""

    def __init__(self, work: Work, order: Order, state: State, hands: course.Hands) -> None:
        self._work = work
        self._order = order
        self._state = state
        self._hands = hands
        self._refused: list[Refused] = []
        self._waiting: list[Refused] = []
        self._saved = time.monotonic()

    def path(self, name: str) -> str:
        """Return the place of a file of this import."""
        return f"{FOLDER}/{self._work.record.id}/{name}"

    async def through(self, number: int) -> None:
        """Send the lines of a file from the last one on that was sent."""
        state, one = self._state, self._state.inputs[number]
        only = Stretches(state.only[number]) if state.passes else None
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._opened(one) as pieces:
                    lines = batches(unpacked(pieces, MOST_BYTES), state.line)
                    await course.run(self._hands, f"{self._work.record.id} {number}", lines, self._note, only)
            except Unreached as error:
                if attempt == ATTEMPTS:
                    state.tallies[number].broken = f"It could not be fetched to its end. {error}"
                else:
                    await asyncio.sleep(PAUSE * attempt)
                    continue
            except BROKEN as error:
                state.tallies[number].broken = str(error)
            break
        await self.save()

    async def save(self) -> None:
        """Note how far it is."""
        if self._refused or self._waiting:
            tally = self._state.tallies[self._state.input]
            for refused, parts in ((self._refused, tally.parts), (self._waiting, tally.told)):
                if refused:
                    parts.append(await self._write(refused))
            self._refused, self._waiting = [], []
        state = self._state
        done = sum(tally.created + tally.updated + tally.unchanged for tally in state.tallies)
        refused_lines = sum(tally.refused for tally in state.tallies)
        where = {"file": state.input + 1, "files": len(state.inputs), "line": state.line, "pass": state.passes + 1}
        await self._work.save(state.plain(), {"done": done, "refused": refused_lines, **where})
        self._saved = time.monotonic()

    async def outcomes(self, number: int) -> dict[str, Any]:
        """Write the file with all outcomes of a file; return what became of that one."""
        tally, one = self._state.tallies[number], self._state.inputs[number]
        name = f"OperationOutcome-{number}.ndjson"
        last = _outcome(Refused(0, BadRequest.status, "", outcome([Issue("error", "incomplete", tally.broken)])))

        async def pieces() -> AsyncIterator[bytes]:
            for part in tally.parts:
                async for piece in self._work.files.read(self.path(part)):
                    yield piece
            if tally.broken:
                yield last

        row = {"type": one.type, "url": one.url, "stored": tally.created + tally.updated + tally.unchanged}
        row |= {"refused": tally.refused + bool(tally.broken), "name": ""}
        if tally.parts or tally.broken:
            await self._work.files.write(self.path(name), pieces())
            row["name"] = name
        return row

    async def _note(self, batch: Batch, done: Done) -> None:
        state = self._state
        tally = state.tallies[state.input]
        tally.created += state.stores(done.created)
        tally.updated += state.stores(done.updated)
        tally.unchanged += done.unchanged
        for one in done.refused:
            if one.is_hopeful and sum(len(each.waiting) for each in state.tallies) < MOST_AGAIN:
                stretched(tally.waiting, one.place)
                self._waiting.append(one)
            else:
                tally.refused += 1
                self._refused.append(one)
        state.line = batch.after
        if time.monotonic() - self._saved > SAVING:
            await self.save()

    async def _write(self, refused: list[Refused]) -> str:
        self._state.number += 1
        name = f"part-{self._state.number}"

        async def pieces() -> AsyncIterator[bytes]:
            for one in refused:
                yield _outcome(one)

        await self._work.files.write(self.path(name), pieces())
        return name

    @asynccontextmanager
    async def _opened(self, one: Input) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the bytes of a file."""
        if one.file:
            yield self._work.files.read(one.file)
            return
        headers = {"Accept": "application/fhir+ndjson", "Accept-Encoding": "gzip", **dict(self._order.headers)}
        async with self._work.outbound.stream(
            one.url, headers=headers, seconds=SILENCE, most_bytes=MOST_BYTES
        ) as pieces:
            yield pieces


def _outcome(one: Refused) -> bytes:
    """Return the line that tells why a line was refused."""
    where = f"Line {one.place}{f', {one.key}' if one.key else ''}" if one.place else "The file"
    issues = [{**issue, "diagnostics": where} for issue in one.outcome.get("issue", ())]
    return json.encode({**one.outcome, "issue": issues}) + b"\n"


JOB = Job(KIND, run, limit=2)
