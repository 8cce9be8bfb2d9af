"""`fhir-server load`: files and folders of resources, Bundles and NDJSON into the record."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from fhir_server.cli import service, sources, streaming
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
from fhir_server.cli.streaming import Stream
from fhir_server.loading.course import Hands
from fhir_server.loading.hands import Crew, cores
from fhir_server.settings import Settings
from profiles.xml.reader import Reader

if TYPE_CHECKING:
    from fhir_server.main import Service

ALL = "all"
MENDABLE = frozenset({404, 409, 412, 422, 503})
"""Statuses of a refusal that another resource may have caused: a missing reference, a conflict."""

ALONE_AFTER = 3
"""Seconds after which who is still there is there."""

LOOKED_UP = frozenset(
    {
        "Consent",
        "Location",
        "Organization",
        "OrganizationAffiliation",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "SearchParameter",
    }
)
"""Types that writes of others search."""

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
Initial = Annotated[
    bool,
    typer.Option(
        "--initial", help="Make the indexes of types that are new when all is stored: faster, while nobody else works."
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Load files again that were loaded before.")]


def load(
    paths: Paths,
    *,
    data_dir: DataDir = None,
    facility: Facility = "",
    jobs: Jobs = 4,
    again: Again = False,
    initial: Initial = False,
    as_json: AsJson = False,
) -> None:
    """Load Bundles and NDJSON: transactions as they are, everything else resource by resource under its own id.

    What was stored is remembered, so an interrupted load goes on where it was, and a second one sends only what was refused.
    Exit code 1 when something was refused.
    """
    settings = settings_of(data_dir)
    quiet_logs()
    with expected_failures():
        tally, skipped = service.run(_load(settings, paths, facility, jobs, again=again, initial=initial))
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
        hands: Who stores lines of NDJSON.
        tally: What this one stored.
        open: What is refused until now, by content and ordinal of the portion.
        streams: Files of NDJSON of which lines are refused until now.
    """

    poster: Poster
    ledger: Ledger
    reader: Reader
    hands: Hands
    tally: Tally = field(default_factory=Tally)
    open: dict[tuple[str, int], _Open] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)


async def _load(
    settings: Settings, paths: list[Path], facility: str, jobs: int, *, again: bool, initial: bool
) -> tuple[Tally, int]:
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
            async with (
                _indexed_after(working, files, initial=initial) as off,
                Crew(working.loading(facility, off), cores() - 1, together=True) as hands,
            ):
                run = _Run(poster, ledger, Reader(working.definitions), hands)
                skipped = await _all_files(run, files, jobs)
    return run.tally, skipped


async def _is_alone(working: "Service") -> bool:
    """Return whether nobody else works on the record; who was killed a moment ago is known to be gone a second later."""
    for _ in range(ALONE_AFTER):
        if await working.store.clock.alone():
            return True
        await asyncio.sleep(1)
        await working.store.clock.clear_dead()
    return await working.store.clock.alone()


@asynccontextmanager
async def _indexed_after(
    working: "Service", files: Collection[Source], *, initial: bool
) -> AsyncIterator[Collection[str]]:
    """Put off the indexes of types that are new (`initial`), and make them at the end; what is looked up meanwhile keeps its own.

    Those that an earlier run put off, and was killed before it made them, are made as well, though nothing may be left to store.
    """
    if initial and not await _is_alone(working):
        complain("Others work on this record. Stop the servers for a load with --initial, or load without it.")
        raise typer.Exit(2)
    named = {sources.stem(source.name) for source in files if source.path.name.endswith(sources.LINE_ENDINGS)}
    types = sorted(named & working.definitions.resource_types)
    collections = working.store.collections
    try:
        yield await collections.put_off([name for name in types if initial and name not in LOOKED_UP])
    finally:
        await collections.make_up()
    for name in types:
        await collections.ensure_if_present(name)


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
        while (run.open or any(stream.hopeful for stream in run.streams)) and run.tally.stored != before:
            before = run.tally.stored
            progress.update(task, description="once more what was refused")
            for waiting in [entry for entry in run.open.values() if entry.hopeful]:
                await _portion(run, waiting.source, waiting.content, waiting.portion)
            for stream in run.streams:
                await streaming.again(run.hands, run.ledger, run.tally, stream)
    run.tally.refused = [refusal for waiting in run.open.values() for refusal in waiting.refusals]
    run.tally.refused += [refusal for stream in run.streams for refusal in stream.refusals()]
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
    if source.path.name.endswith(sources.LINE_ENDINGS):
        stream = Stream(source, content)
        await streaming.send(run.hands, run.ledger, run.tally, stream)
        run.streams += [stream] if stream.refused or stream.broken else []
        return True
    for portion in sources.portions(source, run.reader):
        refused = known.refused.get(portion.ordinal)
        if refused is None or refused:
            await _portion(run, source, content, portion if refused is None else sources.part(portion, refused))
    run.ledger.finished(content)
    return True


async def _portion(run: _Run, source: Source, content: str, portion: Portion) -> None:
    """Send a portion: as one transaction, and where that is refused and its entries are independent, each on its own."""
    refusals = [Refusal(source.name, place, 400, reason) for place, reason in portion.problems]
    if portion.bundle.get("entry"):
        bundle = portion.bundle
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
