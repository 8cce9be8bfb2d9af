"""What a search did and how long each stage took, for those who ask `_explain`."""

from dataclasses import dataclass, field
from time import perf_counter

from fhir_server.model.query import Examined, Query


@dataclass(slots=True)
class Trace:
    """The course of one search.

    Attributes:
        seconds: Time of each stage, in their order.
        queries: The queries for the matches of the page.
        examined: What the database did for each of them; empty where nobody asked, or inside of a transaction.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)
    examined: list[Examined] = field(default_factory=list)
    since: float = field(default_factory=perf_counter)

    def lap(self, stage: str) -> None:
        """Note that a stage has ended, and that the next one begins."""
        now = perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self.since
        self.since = now
