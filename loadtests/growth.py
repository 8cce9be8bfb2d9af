"""How searches grow with the record: a made-up population of a thousand, ten thousand, a hundred thousand patients.

    python -m loadtests.growth --patients 1000 10000 100000

Patients are loaded by `fhir-server load` into a data directory that stays, so that a run that was ended goes on where it was, and a
larger one begins with what is there. At each size the same searches are asked, one after the other by one client, then by sixteen.
The figures are kept beside the data; a size that was measured is not measured again (`--again`).
"""

import argparse
import asyncio
import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
import uvloop

from fhir_server.model import json as fhir_json
from loadtests import population
from loadtests.curve import curve
from loadtests.population import LOINC, PERSONS, person_id
from loadtests.processes import SERVER, mongod, server
from loadtests.wire import Sample, over_http, request

SIZES = (1_000, 10_000)
PORTION = 5_000
"""Patients that are loaded by one command: some 175,000 resources."""

CLIENTS = (1, 16)
ROUNDS = 3
LARGEST = 1_000_000
STRIDE = 7919
"""Patients that are asked for one after the other are so far apart, so that nothing was read just before."""

HEART = f"{LOINC}|8867-4"

Pairs = list[tuple[str, str]]
Ask = Callable[[int], tuple[str, Pairs]]

QUESTIONS: dict[str, Ask] = {
    "a patient by id": lambda n: (f"Patient/{person_id(n)}", []),
    "a patient by number": lambda n: ("Patient", [("identifier", f"{PERSONS}|P{n:08d}")]),
    "patients by the beginning of a name": lambda n: (
        "Patient",
        [("name", population.family(n)[:5]), ("_count", "20")],
    ),
    "latest of a patient and code": lambda n: (
        "Observation",
        [("patient", person_id(n)), ("code", HEART), ("_sort", "-date")],
    ),
    "vital signs of a patient": lambda n: (
        "Observation",
        [("patient", person_id(n)), ("category", "vital-signs"), ("_count", "50")],
    ),
    "latest 50 of a code": lambda _: ("Observation", [("code", HEART), ("_sort", "-date"), ("_count", "50")]),
    "50 of a code in a year": lambda n: (
        "Observation",
        [("code", HEART), ("date", str(2016 + n % 7)), ("_count", "50")],
    ),
    "chain: observations of a patient's number": lambda n: (
        "Observation",
        [("patient.identifier", f"{PERSONS}|P{n:08d}"), ("code", HEART)],
    ),
    "_has: patients with an observation": lambda n: (
        "Patient",
        [("_has:Observation:patient:_id", f"{person_id(n)}-visit-1-8867-4")],
    ),
    "_revinclude: a patient with observations": lambda n: (
        "Patient",
        [("_id", person_id(n)), ("_revinclude", "Observation:patient")],
    ),
    "count of a patient": lambda n: ("Observation", [("patient", person_id(n)), ("_summary", "count")]),
}


class Row(msgspec.Struct):
    """What one search took at one size.

    Attributes:
        p50: Milliseconds with one client, median.
        p95: Milliseconds with one client that 95 in 100 did not pass.
        rate: Answers per second to sixteen clients.
        failed: Answers that were not 200.
    """

    p50: float
    p95: float
    rate: float
    failed: int


class Size(msgspec.Struct):
    """What was found at one size.

    Attributes:
        resources: Stored then.
        stored: Bytes of data on disk.
        indexed: Bytes of indexes on disk.
        memory: Bytes of memory of the database.
        rows: By search.
    """

    resources: int
    stored: int
    indexed: int
    memory: int
    rows: dict[str, Row]


class State(msgspec.Struct):
    """How far a growth is.

    Attributes:
        patients: Loaded for good.
        resources: Loaded for good.
        seconds: That loading took so far.
        sizes: What was measured, by number of patients.
    """

    patients: int = 0
    resources: int = 0
    seconds: float = 0
    sizes: dict[int, Size] = msgspec.field(default_factory=dict)


def main() -> None:
    """Grow and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="+", default=SIZES, help="sizes to measure at")
    parser.add_argument("--data-dir", type=Path, default=Path("build/growth/data"), help="where the record stays")
    parser.add_argument("--out", type=Path, default=Path("build/growth"), help="writes OUT.md and OUT.svg")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default 2)")
    parser.add_argument("--again", action="store_true", help="measure sizes again that were measured")
    arguments = parser.parse_args()
    if not all(1 <= size <= LARGEST for size in arguments.patients):
        parser.error(f"sizes are between 1 and {LARGEST:,}")
    data_dir: Path = arguments.data_dir.absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    kept = data_dir.with_name(f"{data_dir.name}.json")
    state = msgspec.json.decode(kept.read_bytes(), type=State) if kept.exists() else State()
    for size in sorted(arguments.patients):
        if size in state.sizes and not arguments.again:
            continue
        if size < state.patients:
            print(f"{size:,} patients are not measured: {state.patients:,} are loaded already", file=sys.stderr)
            continue
        for _ in grow(state, size, data_dir):
            kept.write_bytes(msgspec.json.encode(state))
        state.sizes[size] = uvloop.run(measure(data_dir, size, arguments.seconds))
        kept.write_bytes(msgspec.json.encode(state))
    text = markdown(state)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
    arguments.out.with_suffix(".svg").write_text(_chart(state), encoding="utf-8")
    print(f"{text}\nwritten to {arguments.out}.md and {arguments.out}.svg")


def grow(state: State, size: int, data_dir: Path) -> Iterator[None]:
    """Load patients until there are so many, and yield whenever some are stored for good."""
    while state.patients < size:
        until = min(state.patients + PORTION, size)
        folder = data_dir.with_name(f"{data_dir.name}-incoming")
        shutil.rmtree(folder, ignore_errors=True)
        written = write(folder, state.patients, until)
        start = time.perf_counter()
        _load(folder, data_dir)
        state.seconds += time.perf_counter() - start
        state.resources += written
        state.patients = until
        shutil.rmtree(folder)
        rate = state.resources / state.seconds
        print(f"{until:,} patients, {state.resources:,} resources, {rate:,.0f} per s", file=sys.stderr)
        yield


def write(folder: Path, first: int, until: int) -> int:
    """Write the resources of some patients as NDJSON, a file for each type; return how many there are."""
    folder.mkdir(parents=True)
    before = {(row["resourceType"], row["id"]) for row in population.shared(first)} if first else set()
    shared = (row for row in population.shared(until) if (row["resourceType"], row["id"]) not in before)
    people = (row for person in range(first, until) for row in population.of(person))
    count = 0
    with ExitStack() as stack:
        files: dict[str, Any] = {}
        for row in itertools.chain(shared, people):
            kind = row["resourceType"]
            if kind not in files:
                files[kind] = stack.enter_context((folder / f"{kind}.ndjson").open("wb"))
            files[kind].write(fhir_json.encode(row) + b"\n")
            count += 1
    return count


def _load(folder: Path, data_dir: Path) -> None:
    """Load a folder; what an earlier run of it stored is not stored again.

    Raises:
        SystemExit: Something was refused.
    """
    command = [sys.executable, "-c", SERVER, "load", str(folder), "--data-dir", str(data_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"loading failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")


async def measure(data_dir: Path, size: int, seconds: float) -> Size:
    """Ask all searches in rounds, of a server that was just started, and take the median of the rounds."""
    samples: dict[tuple[str, int], list[Sample]] = {}
    with server(data_dir) as app:
        host = f"127.0.0.1:{app.address[1]}"

        def asked(question: Ask) -> Callable[[int], bytes]:
            return lambda number: request("GET", url(question, number * STRIDE % size), host)

        for _, clients, (name, question) in itertools.product(range(ROUNDS + 1), CLIENTS, QUESTIONS.items()):
            sample = await over_http(app.address, asked(question), clients, seconds)
            samples.setdefault((name, clients), []).append(sample)
        database = mongod(data_dir)
        found = Size(0, 0, 0, database.memory(), {})
        found.resources, found.stored, found.indexed = await _sizes(data_dir)
    for name in QUESTIONS:
        # The first round reads indexes from the disk and is not counted.
        one, many = (samples[name, clients][1:] for clients in CLIENTS)
        found.rows[name] = Row(
            p50=sorted(sample.quantile(0.5) for sample in one)[len(one) // 2],
            p95=sorted(sample.quantile(0.95) for sample in one)[len(one) // 2],
            rate=sorted(sample.rate for sample in many)[len(many) // 2],
            failed=sum(sample.failures for sample in (*one, *many)),
        )
    return found


def url(question: Ask, number: int) -> str:
    """Return the URL of a search about the n-th patient."""
    path, pairs = question(number)
    return f"/fhir/{quote(path)}?{urlencode(pairs)}" if pairs else f"/fhir/{quote(path)}"


async def _sizes(data_dir: Path) -> tuple[int, int, int]:
    """Return resources, bytes of data and bytes of indexes."""
    from loadtests.raw import Raw

    async with Raw.open(data_dir) as raw:
        names = [name for name in await raw.database.list_collection_names() if name[0].isupper()]
        stats = await asyncio.gather(*(raw.database.command("collStats", name) for name in names))
    live = sum(row["count"] for row in stats if not row["ns"].endswith("_h"))
    return live, sum(row["storageSize"] for row in stats), sum(row["totalIndexSize"] for row in stats)


def markdown(state: State) -> str:
    """Return the tables."""
    sizes = sorted(state.sizes)
    if not sizes:
        return "Nothing was measured.\n"
    rate = f", {state.resources / state.seconds:,.0f} resources per s with all indexes" if state.seconds else ""
    lines = [
        f"Loaded by `fhir-server load`{rate}.",
        "",
        "| patients | resources | data MiB | indexes MiB | mongod MiB |",
    ]
    lines.append("|--:|--:|--:|--:|--:|")
    for size in sizes:
        one = state.sizes[size]
        bytes_ = (f"{number / 2**20:,.0f}" for number in (one.stored, one.indexed, one.memory))
        lines.append(f"| {size:,} | {one.resources:,} | {' | '.join(bytes_)} |")
    head = [f"{size:,}: p50 ms | p95 ms | per s, 16 clients" for size in sizes]
    lines += ["", f"| search | {' | '.join(head)} | p50 ÷ that of {sizes[0]:,} |"]
    lines.append(f"|---|{'--:|' * (3 * len(sizes) + 1)}")
    for name in QUESTIONS:
        rows = [state.sizes[size].rows[name] for size in sizes]
        columns = [f"{row.p50:.2f} | {row.p95:.2f} | {row.rate:,.0f}" for row in rows]
        ratio = rows[-1].p50 / rows[0].p50 if rows[0].p50 else 0
        lines.append(f"| {name} | {' | '.join(columns)} | {ratio:.2f} |")
    failed = sum(row.failed for size in sizes for row in state.sizes[size].rows.values())
    return "\n".join([*lines, "", f"Answers that failed: {failed}.", ""])


def _chart(state: State) -> str:
    sizes = sorted(state.sizes)
    lines = {name: [state.sizes[size].rows[name].p50 for size in sizes] for name in QUESTIONS}
    return curve("p50 of searches, ms, one client", "patients", sizes, lines)


if __name__ == "__main__":
    main()
