"""What the probes of the leak harness are made of: what is hidden, and values that only that has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_server.search.index import Indexer
from fhir_server.search.params import Param, params
from profiles.definitions.registry import Definitions
from tests.access.house import Json
from tests.access.twins import Probe, Twins

ABSENT = "never-was"
COUNTED = "_total=accurate"
PARAMETERS: Json = {"resourceType": "Parameters"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LONG_AGO = "2000-01-01T00:00:00Z"


@dataclass(frozen=True)
class Ground:
    """What probes are made of.

    Attributes:
        twins: The houses.
        definitions: FHIR definitions.
    """

    twins: Twins
    definitions: Definitions

    @property
    def names(self) -> list[tuple[str, str]]:
        """Type and id of everything hidden, once; and of one that never was in either."""
        found = dict.fromkeys((one["resourceType"], one["id"]) for one in self.twins.hidden)
        changed = dict.fromkeys(
            (step.resource["resourceType"], step.resource["id"]) for step in self.twins.steps if step.instead
        )
        return [*found, *changed, ("Observation", ABSENT)]

    @property
    def types(self) -> list[str]:
        """Types of what is hidden, but for the trail: it tells everybody of the own requests, which are many at a time here."""
        return sorted({kind for kind, _ in self.names} - {"AuditEvent"})

    @property
    def seen(self) -> list[str]:
        """Types of what may be seen."""
        return sorted({one["resourceType"] for one in self.twins.visible} - {"AuditEvent"})

    def values(self, kind: str) -> Iterator[tuple[Param, str]]:
        """Yield each parameter of a type with values that only hidden resources have, at most two of each."""
        indexer = Indexer(self.definitions)
        known = params(kind, self.definitions)
        told: dict[str, list[str]] = {}
        for one in self.twins.hidden:
            if one["resourceType"] == kind:
                for code, entries in indexer.entries(one)["s"].items():
                    for entry in entries if isinstance(entries, list) else [entries]:
                        if code in known and (text := _written(known[code], entry)):
                            told.setdefault(code, []).append(text)
        for code, texts in told.items():
            for text in list(dict.fromkeys(texts))[:2]:
                yield known[code], text


def _written(param: Param, entry: Any) -> str:
    """Return a stored entry as the value of a parameter, empty for what is not searched by one value."""
    match param.type:
        case "token":
            code, bar, system = str(entry).rpartition("|")
            return f"{system}|{code}" if bar and system else str(entry).rstrip("|")
        case "reference" | "string" | "uri":
            return str(entry)
        case "date":
            return "ge1900-01-01"
        case "number":
            return f"gt{entry['lo'] - 1}"
        case "quantity":
            return f"gt{entry['lo'] - 1}"
        case _:
            return ""


def get(path: str, **headers: str) -> Probe:
    return Probe("GET", path, headers=headers)
