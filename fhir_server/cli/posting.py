"""Sending bundles to the service and keeping count of what was stored and what was refused, with the reasons."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fhir_server.model import json
from fhir_server.model.request import FhirRequest, FhirResponse

if TYPE_CHECKING:
    from fhir_server.main import Service

BASE = "http://127.0.0.1:8080/fhir"
TRANSIENT = frozenset({409, 503})
ATTEMPTS = 6
REASONS = 25
"""Most different reasons that a summary shows."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not stored.

    Attributes:
        file: Name of the file.
        place: Where in it, such as `line 17`, or `all`.
        status: HTTP status.
        reason: First finding that refused it.
        entries: How many resources were refused with it.
    """

    file: str
    place: str
    status: int
    reason: str
    entries: int = 1


@dataclass(slots=True)
class Tally:
    """What a load has done so far, and since when."""

    started: float = field(default_factory=time.monotonic)
    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: int = 0
    refused: list[Refusal] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Resources created or updated."""
        return self.created.total() + self.updated.total()

    @property
    def entries_refused(self) -> int:
        """Resources that were refused."""
        return sum(refusal.entries for refusal in self.refused)

    def reasons(self) -> list[tuple[str, int, str]]:
        """Return (reason, how often, first place), most frequent first."""
        counts: Counter[str] = Counter(refusal.reason for refusal in self.refused)
        first = {refusal.reason: f"{refusal.file}, {refusal.place}" for refusal in reversed(self.refused)}
        return [(reason, count, first[reason]) for reason, count in counts.most_common(REASONS)]

    def as_json(self) -> dict[str, Any]:
        """Return the summary for scripts."""
        return {
            "stored": self.stored,
            "created": dict(sorted(self.created.items())),
            "updated": dict(sorted(self.updated.items())),
            "unchanged": self.unchanged,
            "refused": self.entries_refused,
            "seconds": round(time.monotonic() - self.started, 3),
            "reasons": [{"reason": reason, "count": count, "first": place} for reason, count, place in self.reasons()],
        }


class Poster:
    """Sends to the service as one facility.

    Args:
        service: The running service.
        facility: Custodian of what is created, empty for the configured one.
    """

    def __init__(self, service: "Service", facility: str = "") -> None:
        self._service = service
        self._facility = facility

    async def post(self, bundle: dict[str, Any], facility: str = "") -> FhirResponse:
        """Return the answer to a batch or transaction; transient failures are tried again for about ten seconds."""
        request = FhirRequest("POST", (), BASE, headers={"prefer": "return=minimal"}, resource=bundle)
        for attempt in range(1, ATTEMPTS + 1):
            response = await self._service.dispatch(request, facility=facility or self._facility)
            if response.status not in TRANSIENT or attempt == ATTEMPTS:
                break
            await asyncio.sleep(random.uniform(0.1, 0.3) * 2**attempt)  # noqa: S311 - only spreads the attempts
        return response

    async def exists(self, name: str) -> bool:
        """Return whether the instance `Type/id` can be read."""
        response = await self._service.dispatch(FhirRequest("GET", tuple(name.split("/")), BASE))
        return response.status == 200


def count(tally: Tally, bundle: dict[str, Any], response: FhirResponse) -> list[tuple[int, int, str]]:
    """Add the answer to a bundle to the tally and return (entry, status, reason) of each entry that was refused.

    A transaction that was refused as a whole gives one row with the entry -1, and the tally is left alone.
    """
    if response.status != 200:
        return [(-1, response.status, reason(response.resource))]
    refused = []
    answers = response.resource.get("entry", [])
    for index, (entry, answer) in enumerate(zip(bundle.get("entry", []), answers, strict=False)):
        status = int(answer["response"]["status"][:3])
        if status >= 400:
            refused.append((index, status, reason(answer["response"].get("outcome"))))
        elif entry["request"]["method"] in {"POST", "PUT", "PATCH"}:
            kinds = tally.created if status == 201 else tally.updated
            kinds[entry["request"]["url"].split("?")[0].split("/")[0]] += 1
    return refused


def reason(outcome: Any) -> str:
    """Return the first error of an OperationOutcome as one sentence, with the place where the outcome names it."""
    issues = outcome.get("issue", []) if isinstance(outcome, dict) else []
    for issue in issues:
        if issue.get("severity") in {"error", "fatal"}:
            text = issue.get("details", {}).get("text") or issue.get("code", "refused")
            more = sum(other.get("severity") in {"error", "fatal"} for other in issues) - 1
            return f"{text}{f' (and {more} more)' if more else ''}"
    return json.encode(outcome).decode()[:200] if outcome else "no reason was given"
