"""`fhir-server load`: files and folders of resources, Bundles and NDJSON into the record."""

import asyncio
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fhir_server.cli import service, sources
from fhir_server.cli.ledger import Ledger
from fhir_server.cli.options import (
    AsJson,
    DataDir,
    complain,
    errors,
    expected_failures,
    print_json,
    quiet_logs,
    settings_of,
)
from fhir_server.cli.posting import Poster, Refusal, Tally, count
from fhir_server.cli.sources import Portion, Source
from fhir_server.settings import Settings
from profiles.xml.reader import Reader

ALL = "all"
MENDABLE = frozenset({404, 409, 412, 422, 503})
"""Statuses of a refusal that another resource may have caused: a missing reference, a conflict."""
AT_ONCE = 2
"""Portions of one file that are under way at the same time: while one is being written, the next is checked."""

Paths = Annotated[
    list[Path], typer.Argument(help="Files, folders or tar archives with .json, .xml and .ndjson (also .gz).")
]
Facility = Annotated[
    str,
    typer.Option(
        "--facility", help="Organization id that becomes the custodian of new resources.", show_default="root"
    ),
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, max=64, help="Bundles that are under way at the same time.")]
Again = Annotated[bool, typer.Option("--again", help="Load files again that were loaded before.")]


def load(
    paths: Paths,
    *,
    data_dir: DataDir = None,
    facility: Facility = "",
    jobs: Jobs = 4,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Load Bundles and NDJSON: transactions as they are, everything else resource by resource under its own id.

    What was stored is remembered, so an interrupted load goes on where it was, and a second one sends only what was refused.
    Exit code 1 when something was refused.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        tally, skipped = service.run(_load(settings, paths, facility, jobs, again=again))
    if as_json:
        print_json({**tally.as_json(), "files_skipped": skipped})
    else:
        show(tally)
        if skipped:
            Console().print(f"{skipped} files were complete from an earlier run; --again loads them once more.")
    if tally.entries_refused:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Open:
    """A portion of which something was refused: its file, the refused part, and why."""

    source: Source
    content: str
    portion: Portion
    refusals: tuple[Refusal, ...]

    @property
    def hopeful(self) -> bool:
        """Whether it may succeed once other portions are stored."""
        return any(refusal.status in MENDABLE for refusal in self.refusals)


@dataclass(slots=True)
class _Run:
    """One load under way.

    Attributes:
        poster: Where bundles go.
        ledger: What earlier runs did.
        reader: Reads files in XML.
        tally: What this one stored.
        open: What is refused until now, by content and ordinal of the portion.
    """

    poster: Poster
    ledger: Ledger
    reader: Reader
    tally: Tally = field(default_factory=Tally)
    open: dict[tuple[str, int], _Open] = field(default_factory=dict)


async def _load(settings: Settings, paths: list[Path], facility: str, jobs: int, *, again: bool) -> tuple[Tally, int]:
    ledger = Ledger(settings, facility, fresh=again)
    with tempfile.TemporaryDirectory(prefix="load-", dir=settings.data_dir) as scratch:
        try:
            files = sources.find(paths, Path(scratch))
        except FileNotFoundError as error:
            complain(str(error))
            raise typer.Exit(2) from None
        async with service.working(settings) as working:
            poster = Poster(working, facility)
            if facility and not await poster.exists(f"Organization/{facility}"):
                complain(f"Organization/{facility} is not there. Load the organizations first, without --facility.")
                raise typer.Exit(2)
            run = _Run(poster, ledger, Reader(working.definitions))
            skipped = await _all_files(run, files, jobs)
    return run.tally, skipped


async def _all_files(run: _Run, files: list[Source], jobs: int) -> int:
    """Send all files in their order, then what was refused again as long as that helps. Return how many were skipped."""
    skipped = 0
    with bar() as progress:
        task = progress.add_task("loading", total=len(files))
        for _, group in _by_rank(files):
            gate = asyncio.Semaphore(jobs)

            async def one(source: Source, gate: asyncio.Semaphore = gate) -> bool:
                async with gate:
                    progress.update(task, description=Path(source.name).name[:40])
                    done = await _file(run, source)
                    progress.advance(task)
                    return done

            skipped += sum([not sent for sent in await asyncio.gather(*(one(source) for source in group))])
        before = -1
        while run.open and run.tally.stored != before:
            before = run.tally.stored
            progress.update(task, description="once more what was refused")
            for waiting in [entry for entry in run.open.values() if entry.hopeful]:
                await _portion(run, waiting.source, waiting.content, waiting.portion)
    run.tally.refused = [refusal for waiting in run.open.values() for refusal in waiting.refusals]
    return skipped


def _by_rank(files: list[Source]) -> Iterator[tuple[int, list[Source]]]:
    """Yield files that may be sent side by side."""
    groups: dict[int, list[Source]] = {}
    for source in files:
        groups.setdefault(sources.rank(source.name), []).append(source)
    yield from sorted(groups.items())


async def _file(run: _Run, source: Source) -> bool:
    """Send what is not stored yet of a file; return whether there was anything to send."""
    content = await asyncio.to_thread(run.ledger.content, source)
    known = run.ledger.known(content)
    if known.complete:
        return False
    under_way: dict[asyncio.Task[None], frozenset[str]] = {}
    try:
        for portion in sources.portions(source, run.reader):
            refused = known.refused.get(portion.ordinal)
            if refused is None or refused:
                rest = portion if refused is None else sources.part(portion, refused)
                instances = sources.instances(rest)
                await _room(under_way, instances)
                task = asyncio.create_task(_portion(run, source, content, rest, [*under_way]))
                under_way[task] = instances
        await asyncio.gather(*under_way)
    finally:
        for task in under_way:
            task.cancel()
    run.ledger.finished(content)
    return True


async def _room(under_way: dict[asyncio.Task[None], frozenset[str]], instances: frozenset[str]) -> None:
    """Wait until another portion may be sent: not beside one that writes an instance of it, for the later line must win."""
    while len(under_way) >= AT_ONCE or any(instances & others for others in under_way.values()):
        done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del under_way[task]
            task.result()


async def _portion(
    run: _Run, source: Source, content: str, portion: Portion, before: Collection[asyncio.Task[None]] = ()
) -> None:
    """Send a portion: as one transaction, and where that is refused and its entries are independent, each on its own.

    What it refers to may be in a portion that was sent just before, so the transaction is repeated when those are done.
    """
    refusals = [Refusal(source.name, place, 400, reason) for place, reason in portion.problems]
    if portion.bundle.get("entry"):
        bundle = portion.bundle
        rows = count(run.tally, bundle, await run.poster.post(bundle))
        if before and rows and rows[0][0] < 0 and rows[0][1] in MENDABLE:
            await asyncio.wait(before)
            rows = count(run.tally, bundle, await run.poster.post(bundle))
        if portion.fallback and rows and rows[0][0] < 0 and len(portion.places) > 1:
            bundle = {**bundle, "type": "batch"}
            rows = count(run.tally, bundle, await run.poster.post(bundle))
        for index, status, reason in rows:
            place = ALL if index < 0 else portion.places[index]
            refusals.append(Refusal(source.name, place, status, reason, len(bundle["entry"]) if index < 0 else 1))
    places = frozenset(refusal.place for refusal in refusals)
    run.ledger.sent(content, portion.ordinal, places)
    run.open.pop((content, portion.ordinal), None)
    if refusals:
        rest = portion if ALL in places else sources.part(portion, places)
        run.open[content, portion.ordinal] = _Open(source, content, rest, tuple(refusals))


def bar() -> Progress:
    """Return a progress bar on stderr that shows nothing where stderr is not a terminal."""
    return Progress(
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def show(tally: Tally) -> None:
    """Print what was stored by type and what was refused by reason."""
    console = Console()
    stored = Table("type", "created", "updated", title=f"{tally.stored:,} resources stored", title_justify="left")
    for name in sorted({*tally.created, *tally.updated}):
        stored.add_row(name, f"{tally.created[name]:,}", f"{tally.updated[name]:,}")
    if tally.stored:
        console.print(stored)
    if tally.entries_refused:
        refused = Table("times", "reason", "first", title=f"{tally.entries_refused:,} refused", title_justify="left")
        for reason, times, place in tally.reasons():
            refused.add_row(str(times), reason, place)
        console.print(refused)
    if not tally.stored and not tally.entries_refused:
        console.print("Nothing was left to load.")
