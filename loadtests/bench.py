"""`make bench`: rates, latencies and CPU of the server, each beside a raw baseline measured in the same minute.

It starts a server of its own in a temporary directory, on loopback only, measures for about six minutes, prints tables,
writes them as Markdown, and stops everything. Trust the ratios more than the rates: they hold on other machines too.
"""

import argparse
import asyncio
import itertools
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop

from loadtests import bulk, concepts, conformance, expressions, records, searches
from loadtests.processes import Process, cpu_of, mongod, server, token, trivial
from loadtests.raw import Raw
from loadtests.report import Cell, Report
from loadtests.wire import Sample, connect, over_http, request

CLIENTS = (16, 1, 64)
ROUNDS = 3
TRIVIAL = "trivial handler"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"

Measure = Callable[[int, float], Awaitable[Sample]]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement (default 2)")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench.md"), help="Markdown to write (default build/bench.md)"
    )
    parser.add_argument(
        "--concepts", type=int, default=concepts.COUNT, help=f"size of the code system (default {concepts.COUNT})"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        report = uvloop.run(_measure(Path(folder), arguments.seconds, arguments.concepts))
    text = report.markdown()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    _write(arguments.out, text)
    print(f"\n{text}\nwritten to {arguments.out}")


def _write(out: Path, text: str) -> None:
    """Write the figures: between the marks where the page has them, else as the whole page."""
    page = out.read_text(encoding="utf-8") if out.exists() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    whole = f"{before}{begin}\n{text}{end}{after}" if begin and end else text
    out.write_text(whole, encoding="utf-8")


async def _measure(folder: Path, seconds: float, count: int) -> Report:
    report = Report(_machine(), expressions=expressions.measure(), conformance=conformance.measure())
    data_dir = folder / "data"
    with server(data_dir) as first:
        report.facts["start to ready, empty data directory"] = f"{first.seconds:.1f} s"
    async with AsyncExitStack() as stack:
        app = stack.enter_context(server(data_dir))
        database = mongod(data_dir)
        least = stack.enter_context(trivial())
        report.facts["restart to ready"] = f"{app.seconds:.1f} s"
        await asyncio.sleep(2)
        report.facts["idle memory, server / mongod"] = (
            f"{app.memory() / 2**20:.0f} / {database.memory() / 2**20:.0f} MiB"
        )
        await _seed(app)
        guarded = stack.enter_context(server(data_dir, "smart"))
        raw = await stack.enter_async_context(Raw.open(data_dir))
        await raw.prepare()
        await _cells(report, _workloads(app, guarded, token(data_dir), least, raw), database, seconds)
        report.searches = await searches.measure(app, raw.database, database, seconds)
        report.floor = await raw.floor(seconds * 2)
        report.code_system = await concepts.measure(app, data_dir, count)
        pair = stack.enter_context(server(data_dir, workers=2))
        report.bulk = [
            *await bulk.transactions(app, pair, database, folder),
            await bulk.ndjson(data_dir, database, folder),
        ]
    return report


@dataclass(frozen=True, slots=True)
class Workload:
    """What is measured: by whom it is answered, and the same work by the driver alone."""

    name: str
    served: Process
    measure: Measure
    baseline: Measure | None = None


def _workloads(app: Process, guarded: Process, access: str, least: Process, raw: Raw) -> list[Workload]:
    host = f"127.0.0.1:{app.address[1]}"
    created = itertools.count()

    def http(target: Process, make: Callable[[int], bytes]) -> Measure:
        return lambda clients, seconds: over_http(target.address, make, clients, seconds)

    creating = http(app, lambda _: request("POST", "/fhir/Observation", host, records.new(next(created))))
    reading = http(app, lambda number: request("GET", records.read_path(number), host))
    shown = http(guarded, lambda number: request("GET", records.read_path(number), host, token=access))
    kept = http(guarded, lambda _: request("POST", "/fhir/Observation", host, records.new(next(created)), token=access))
    turned = http(guarded, lambda number: request("GET", records.page_path(number), host, token=access))
    paging = http(app, lambda number: request("GET", records.page_path(number), host))
    answering = http(least, lambda _: request("GET", "/", host))
    return [
        Workload("create", app, creating, raw.create),
        Workload("create with a token", guarded, kept, raw.create),
        Workload("read", app, reading, raw.read),
        Workload("read with a token", guarded, shown, raw.read),
        Workload(f"page of {records.PAGE}", app, paging, raw.page),
        Workload(f"page of {records.PAGE} with a token", guarded, turned, raw.page),
        Workload(TRIVIAL, least, answering),
    ]


async def _cells(report: Report, workloads: list[Workload], database: Process, seconds: float) -> None:
    """Measure every workload at every concurrency, round after round, each beside its baseline."""
    own = Process(os.getpid(), ("", 0))
    samples: dict[tuple[str, int, bool], list[Sample]] = {}
    for turn, clients, work in itertools.product(range(ROUNDS), CLIENTS, workloads):
        if sys.stderr.isatty():
            print(f"round {turn + 1} of {ROUNDS}: {work.name}, {clients} clients      ", end="\r", file=sys.stderr)
        for measure, process in ((work.measure, work.served), (work.baseline, own)):
            if measure:
                used: dict[str, float] = {}
                with cpu_of({"app": process, "mongod": database}, used):
                    sample = await measure(clients, seconds)
                sample.cpu = used
                samples.setdefault((work.name, clients, measure is work.baseline), []).append(sample)
    for work, clients in itertools.product(workloads, sorted(CLIENTS)):
        cell = Cell(work.name, clients, _median(samples[work.name, clients, False]))
        if work.baseline:
            cell.baseline = _median(samples[work.name, clients, True])
            cell.least = _median(samples[TRIVIAL, clients, False])
        report.cells.append(cell)


def _median(samples: list[Sample]) -> Sample:
    """Return the sample with the median rate."""
    middle = statistics.median_low(sample.rate for sample in samples)
    return next(sample for sample in samples if sample.rate == middle)


async def _seed(app: Process) -> None:
    host = f"127.0.0.1:{app.address[1]}"
    connection = await connect(app.address)
    start = time.perf_counter()
    for subject in range(records.PATIENTS):
        status, body = await connection.ask(request("POST", "/fhir", host, records.seed(subject)))
        if status != 200:
            raise SystemExit(f"seeding failed with {status}: {body[:500].decode(errors='replace')}")
    connection.close()
    print(f"seeded {records.PATIENTS * (records.PER_PATIENT + 1)} resources in {time.perf_counter() - start:.1f} s")


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
