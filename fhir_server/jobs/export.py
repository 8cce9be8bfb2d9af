"""export: write what a bulk export is asked for into files (docs/bulk-export.md).

It goes through the types one after the other, and cuts each into parts of bounded size. After each part the checkpoint holds
where the next one begins and the files that are complete. The moment of which all of them are true is taken once, before anything
is read; a worker that takes over goes on with it. Nothing is locked: writers go on meanwhile.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fhir_server.bulk import parquet, task
from fhir_server.bulk.cohort import Cohort
from fhir_server.bulk.manifest import manifest
from fhir_server.bulk.reading import Block, Place, Reading, settled
from fhir_server.bulk.sections import Section, sections
from fhir_server.bulk.task import Output, Task
from fhir_server.jobs import Job, Work
from fhir_server.model import json
from fhir_server.model.outcome import outcome
from profiles.issue import Issue


@dataclass(slots=True)
class Progress:
    """How far an export is; the checkpoint of its job."""

    moment: datetime
    section: int = 0
    after: Place = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        outputs = [one.plain() for one in self.outputs]
        return {"moment": self.moment.isoformat(), "section": self.section, "after": self.after, "outputs": outputs}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Progress":
        """Return the progress of plain values."""
        outputs = [Output.of(one) for one in plain["outputs"]]
        return cls(datetime.fromisoformat(plain["moment"]), plain["section"], list(plain["after"]), outputs)

    @property
    def count(self) -> int:
        """Resources in files that are complete."""
        return sum(one.count for one in self.outputs if one.kind == "output")

    def number(self, name: str) -> int:
        """Return how many files there are whose names begin so."""
        return sum(one.name.startswith(f"{name}-") for one in self.outputs)


async def run(work: Work) -> Mapping[str, Any]:
    """Return the moment, the files and how many resources are in them; the manifest lies beside the files."""
    asked = Task.of(work.record.payload)
    # Nothing of it is kept that the mandate does not reach any more.
    await work.within()
    if work.record.checkpoint:
        progress = Progress.of(work.record.checkpoint)
    else:
        progress = Progress(await settled(work.repository(), asked.asked))
        await work.save(progress.plain(), _told(asked, progress))
    definitions = work.repository().definitions
    reading = Reading(asked, progress.moment, work.within, definitions)
    cohort = Cohort(reading)
    parts = sections(asked, definitions)
    there = frozenset(await work.repository().types())
    for number, section in enumerate(parts):
        if number < progress.section or (section.type and section.type not in there):
            continue
        progress.section = number
        async with aclosing(_read(reading, cohort, section, progress.after, there)) as blocks:
            await _written(work, asked, progress, section, blocks)
        progress.after = []
    progress.section = len(parts)
    if asked.ignored:
        progress.outputs.append(await _passed_over(work, asked))
    token = work.record.mandate["audience"] != "server"
    body = json.encode(manifest(asked, work.record.id, progress.moment, progress.outputs, token=token))
    await work.files.write(task.path(work.record.id, task.MANIFEST), _of(body))
    return {**progress.plain(), "resources": progress.count, "files": len(progress.outputs)}


def _read(
    reading: Reading, cohort: Cohort, section: Section, after: Place, there: Collection[str]
) -> AsyncGenerator[Block]:
    """Return what reads a section from a place on."""
    if section.kind == "deleted":
        return (cohort if section.how == "of-patients" else reading).gone(section.type, after)
    match section.how:
        case "all":
            return reading.everything(section.type, after)
        case "of-patients":
            return cohort.of_patients(section.type, after)
        case "referenced":
            return cohort.referenced(section.type, after)
        case "provenance":
            return cohort.provenance(section.type, after)
        case "by-patient":
            return cohort.by_patient([name for name in cohort.types if name in there], after)


async def _written(
    work: Work, asked: Task, progress: Progress, section: Section, blocks: AsyncGenerator[Block]
) -> None:
    """Write the files of a section from where the progress stands."""
    block = await anext(blocks, None)
    while block is not None:
        part = Part(blocks, block, asked.most_bytes)
        name = f"{section.name}-{progress.number(section.name)}.{asked.suffix}"
        lines: AsyncIterator[bytes] = part.lines()
        if asked.suffix == parquet.SUFFIX and section.kind == "output":
            lines = parquet.parquet(lines, section.type, work.repository().definitions)
        size = await work.files.write(task.path(work.record.id, name), lines)
        kind = section.type if section.kind == "output" else "Bundle"
        types = asked.types if section.how == "by-patient" else ()
        if part.patients:
            await work.handed_out(section.type, part.patients, part.keepers, {"job": work.record.id, "file": name})
        progress.outputs.append(Output(section.kind, kind, name, part.count, size, types))
        progress.after = part.place
        await work.save(progress.plain(), _told(asked, progress))
        block = part.next


class Part:
    """One file on its way: blocks are taken from those of its section until it is large enough.

    Attributes:
        next: The block that the next file begins with, `None` where there is none.
        count: Resources in it.
        place: Where the next file begins.
        patients: Whose records it has something of.
        keepers: Organizations that keep these.
    """

    __slots__ = ("_blocks", "_most", "_size", "count", "keepers", "next", "patients", "place")

    def __init__(self, blocks: AsyncIterator[Block], first: Block, most: int) -> None:
        self._blocks = blocks
        self._most = most
        self._size = 0
        self.next: Block | None = first
        self.count = 0
        self.place: Place = []
        self.patients = set[str]()
        self.keepers = set[str]()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the content of the file."""
        is_end = False
        while self.next is not None and not (is_end and self._size >= self._most):
            block = self.next
            self._size += len(block.data)
            self.count += block.count
            self.patients |= block.patients
            self.keepers |= block.keepers
            is_end = block.place is not None
            self.place = block.place or self.place
            yield block.data
            self.next = await anext(self._blocks, None)


async def _passed_over(work: Work, asked: Task) -> Output:
    """Write what of the request was ignored, an OperationOutcome a line."""
    lines = [json.encode(outcome([Issue("warning", "not-supported", text)])) for text in asked.ignored]
    name = "OperationOutcome-0.ndjson"
    size = await work.files.write(task.path(work.record.id, name), _of(b"\n".join([*lines, b""])))
    return Output("error", "OperationOutcome", name, len(lines), size)


async def _of(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _told(asked: Task, progress: Progress) -> dict[str, Any]:
    types = len(asked.types)
    return {"types": types, "type": min(progress.section + 1, types), "done": progress.count}


JOB = Job(task.KIND, run, limit=4)
