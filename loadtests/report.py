"""The figures as Markdown tables, fit for docs/performance.md."""

from dataclasses import dataclass, field

from loadtests import concepts, conformance, expressions
from loadtests.conformance import Figures
from loadtests.expressions import Cost
from loadtests.searches import Answer
from loadtests.wire import Sample


@dataclass(slots=True)
class Cell:
    """One workload at one concurrency.

    Attributes:
        workload: Its name.
        clients: How many at the same time.
        sample: What the server did.
        baseline: What the driver alone did, where there is such a thing.
        least: What a trivial handler under the same HTTP server did.
    """

    workload: str
    clients: int
    sample: Sample
    baseline: Sample | None = None
    least: Sample | None = None


@dataclass(frozen=True, slots=True)
class Bulk:
    """One way to load many resources.

    Attributes:
        name: What was loaded, and how.
        resources: How many.
        seconds: In which time.
        refused: How many were not stored.
        cpu: CPU seconds by process.
        note: Why it was not measured, else empty.
    """

    name: str
    resources: int = 0
    seconds: float = 0
    refused: int = 0
    cpu: dict[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def rate(self) -> float:
        """Resources per second."""
        return self.resources / self.seconds if self.seconds else 0


@dataclass(slots=True)
class Report:
    """All figures of one run."""

    machine: str
    facts: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    bulk: list[Bulk] = field(default_factory=list)
    searches: list[Answer] = field(default_factory=list)
    floor: float = 0
    expressions: list[Cost] = field(default_factory=list)
    conformance: Figures = field(default_factory=Figures)
    code_system: concepts.Figures = field(default_factory=concepts.Figures)

    def markdown(self) -> str:
        """Return the tables."""
        return "\n".join(
            [
                *self._head(),
                "",
                *self._requests(),
                "",
                *self._searches(),
                "",
                *self._loads(),
                "",
                *concepts.markdown(self.code_system),
                "",
                *expressions.markdown(self.expressions),
                "",
                *conformance.markdown(self.conformance),
                "",
            ]
        )

    def _head(self) -> list[str]:
        lines = [f"Measured on {self.machine}; server, MongoDB and load generator share the machine.", ""]
        return [*lines, *(f"* {name}: {value}" for name, value in self.facts.items())]

    def _requests(self) -> list[str]:
        lines = [
            "| workload | clients | per s | p50 ms | p99 ms | failed | app CPU µs | mongod CPU µs | driver alone per s | ÷ driver | ÷ trivial handler | app CPU ÷ driver's |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for cell in self.cells:
            sample, base, least = cell.sample, cell.baseline, cell.least
            columns = [
                cell.workload,
                f"{cell.clients}",
                f"{sample.rate:,.0f}",
                f"{sample.quantile(0.5):.2f}",
                f"{sample.quantile(0.99):.2f}",
                f"{sample.failures}",
                f"{sample.cost('app'):,.0f}",
                f"{sample.cost('mongod'):,.0f}" if base else "",
                f"{base.rate:,.0f}" if base else "",
                f"{sample.rate / base.rate:.2f}" if base and base.rate else "",
                f"{sample.rate / least.rate:.2f}" if least and least.rate else "",
                f"{sample.cost('app') / base.cost('app'):.2f}" if base and base.cost("app") else "",
            ]
            lines.append(f"| {' | '.join(columns)} |")
        return lines

    def _searches(self) -> list[str]:
        lines = [
            "Searches, 16 clients:",
            "",
            "| search | bytes | per s | p50 ms | p99 ms | failed | app CPU µs | mongod CPU µs | driver alone per s | ÷ driver | app CPU ÷ driver's |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for row in self.searches:
            sample, base = row.sample, row.baseline
            columns = [
                row.name,
                f"{row.size:,}",
                f"{sample.rate:,.0f}",
                f"{sample.quantile(0.5):.2f}",
                f"{sample.quantile(0.99):.2f}",
                f"{sample.failures}",
                f"{sample.cost('app'):,.0f}",
                f"{sample.cost('mongod'):,.0f}",
                f"{base.rate:,.0f}",
                f"{sample.rate / base.rate:.2f}" if base.rate else "",
                f"{sample.cost('app') / base.cost('app'):.2f}" if base.cost("app") else "",
            ]
            lines.append(f"| {' | '.join(columns)} |")
        return lines

    def _loads(self) -> list[str]:
        lines = [
            f"Floor: `insert_many` of encoded documents with the same indexes, {self.floor:,.0f} documents per s.",
            "",
            "| load | resources | refused | resources per s | ÷ floor | app CPU µs | mongod CPU µs |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        for row in self.bulk:
            if row.note:
                lines.append(f"| {row.name} | {row.note} | | | | | |")
                continue
            costs = [f"{row.cpu.get(name, 0) / max(row.resources, 1) * 1e6:,.0f}" for name in ("app", "mongod")]
            ratio = f"{row.rate / self.floor:.2f}" if self.floor else ""
            columns = [row.name, f"{row.resources:,}", f"{row.refused}", f"{row.rate:,.0f}", ratio, *costs]
            lines.append(f"| {' | '.join(columns)} |")
        return lines
