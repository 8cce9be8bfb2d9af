"""`make load`: load tests with Locust against a server of its own, or one that runs on this machine; a table and a chart.

Each load test is a locustfile, and also runs by itself: `locust -f loadtests/load/crud.py --host http://127.0.0.1:8080`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loadtests.load.bounds import MOST_CLIENTS, MOST_SECONDS, refuse, refuse_size
from loadtests.load.chart import chart
from loadtests.load.seen import Seen
from loadtests.processes import server, token

FOLDER = Path(__file__).parent
GRACE = 600
"""Seconds that a load test may take beyond its time, with what it stores before."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One load test.

    Attributes:
        file: Its locustfile.
        name: What it is called in the table.
        clients: How many, where nobody says.
    """

    file: str
    name: str
    clients: int


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        "crud": Workload("crud.py", "CRUD mix of nine types", 64),
        "bundles": Workload("bundles.py", "Synthea transaction bundles", 20),
        "searches": Workload("searches.py", "searches, `_count=50`", 30),
        "booking": Workload("booking.py", "storm of bookings", 64),
        "export": Workload("export.py", "CRUD mix beside an export", 64),
    }
)


def main() -> None:
    """Run load tests and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", help=f"which ({', '.join(WORKLOADS)}; all where none is named)")
    parser.add_argument("--url", default="", help="a server on this machine; one of its own where none is named")
    parser.add_argument("--token", default="", help="access token for that server")
    parser.add_argument("--smart", action="store_true", help="let the own server check tokens and keep the audit trail")
    parser.add_argument("--workers", type=int, default=1, help="processes of the own server (default 1)")
    parser.add_argument("--clients", type=int, default=0, help=f"at the same time, at most {MOST_CLIENTS}")
    parser.add_argument("--seconds", type=float, default=60, help=f"of each (default 60, at most {MOST_SECONDS})")
    parser.add_argument("--out", type=Path, default=Path("build/load"), help="writes OUT.md and OUT.svg")
    arguments = parser.parse_args()
    names = arguments.workloads or [*WORKLOADS]
    if unknown := [name for name in names if name not in WORKLOADS]:
        parser.error(f"there is no load test '{unknown[0]}', but {', '.join(WORKLOADS)}")
    if why := refuse_size(arguments.clients or 1, arguments.seconds) or (arguments.url and refuse(arguments.url)):
        parser.error(why)
    seen: dict[str, Seen] = {}
    with _target(arguments.url, arguments.token, arguments.workers, smart=arguments.smart) as (url, access):
        for name in names:
            work = WORKLOADS[name]
            seen[work.name] = run(work, url, access, arguments.clients or work.clients, arguments.seconds)
            print(f"{work.name}: {seen[work.name].rate:,.0f} requests per second", file=sys.stderr)
    own = "a server of its own" + (f" of {arguments.workers} processes" if arguments.workers > 1 else "")
    where = arguments.url or f"{own}, {'with tokens and audit trail' if arguments.smart else 'open'}"
    said = f"{arguments.seconds:g} s each, {os.cpu_count()} cores shared by {where}, its database and the clients"
    text = markdown(seen, said)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.with_suffix(".md").write_text(text, encoding="utf-8")
    arguments.out.with_suffix(".svg").write_text(chart(seen, said), encoding="utf-8")
    print(f"\n{text}\nwritten to {arguments.out}.md and {arguments.out}.svg")
    if any(one.broken for one in seen.values()):
        raise SystemExit(1)


@contextmanager
def _target(url: str, access: str, workers: int, *, smart: bool) -> Iterator[tuple[str, str]]:
    """Yield the URL of a server and an access token for it."""
    if url:
        yield url, access
        return
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        data_dir = Path(folder) / "data"
        with server(data_dir, "smart" if smart else "open", workers) as process:
            yield f"http://127.0.0.1:{process.address[1]}", token(data_dir) if smart else ""


def run(work: Workload, url: str, access: str, clients: int, seconds: float) -> Seen:
    """Run one load test in a process of its own, for Locust changes what sockets are in the one where it runs.

    Raises:
        SystemExit: It did not run to its end.
    """
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        told = Path(folder) / "seen.json"
        command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING"]
        command += ["--locustfile", str(FOLDER / work.file), "--host", url, "--stop-timeout", "20"]
        command += ["--users", str(clients), "--spawn-rate", str(clients), "--run-time", f"{max(round(seconds), 1)}s"]
        environment = {**os.environ, "LOAD_SEEN": str(told), "LOAD_TOKEN": access}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds + GRACE, check=False
        )
        if not told.exists():
            raise SystemExit(f"'{work.name}' did not run to its end:\n{done.stderr[-2000:]}")
        return Seen.read(told)


def markdown(seen: Mapping[str, Seen], said: str) -> str:
    """Return the tables: all load tests, then each by kind of request."""
    lines = [
        f"Measured for {said}.",
        "",
        "| load test | requests per s | p50 ms | p95 ms | p99 ms | failed | besides |",
    ]
    lines.append("|---|--:|--:|--:|--:|--:|---|")
    for name, one in seen.items():
        besides = [f"{number:,} {what} ({number / one.seconds:,.0f} per s)" for what, number in one.counted.items()]
        total = one.total
        row = [name, f"{one.rate:,.0f}", f"{total.p50:g}", f"{total.p95:g}", f"{total.p99:g}", f"{total.failures:,}"]
        lines.append(f"| {' | '.join([*row, ', '.join(besides)])} |")
    for name, one in seen.items():
        lines += ["", f"{name[0].upper()}{name[1:]}:", "", "| request | requests | p50 ms | p95 ms | p99 ms | failed |"]
        lines.append("|---|--:|--:|--:|--:|--:|")
        for kind in one.kinds:
            row = [kind.name, f"{kind.requests:,}", f"{kind.p50:g}", f"{kind.p95:g}", f"{kind.p99:g}"]
            lines.append(f"| {' | '.join([*row, f'{kind.failures:,}'])} |")
        lines += [f"\n{broken}" for broken in one.broken]
        lines += [f"\nFailed: {failure}" for failure in one.said]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
