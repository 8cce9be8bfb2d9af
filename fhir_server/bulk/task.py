"""What an export is asked for (Bulk Data Access, 2.1: kick-off), as it lies in the payload of its job."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from fhir_server.model.request import Pairs

KIND = "export"
FOLDER = "export"
MANIFEST = "manifest.json"

NDJSON = "application/fhir+ndjson"

Level = Literal["system", "patient", "group"]


@dataclass(frozen=True, slots=True)
class Task:
    """One export.

    Attributes:
        level: Everything, what belongs to patients, or what belongs to the members of a Group.
        request: The URL of the kick-off.
        base: The service base URL.
        asked: When it was asked for, by the database's clock: everything that was written up to then is in it.
        types: Resource types in order.
        group: Id of the Group.
        since: Only versions made after this.
        until: Only versions made before this.
        patients: Ids of the patients whose record it is for; none for all.
        filters: Searches whose matches are wanted, each with its type; several of one type are joined by OR.
        elements: Names of top-level elements, each with the type that it is for or empty for all; none for whole resources.
        latest: Whether of the Provenance of each resource only the last one is wanted.
        suffix: What the names of files end with: `ndjson` or `parquet`.
        most_bytes: Size from which on a file ends.
        by_patient: Whether files are organized by patient, and not by type.
        partial: Whether files may be handed out while others are made.
        ignored: What of the request was passed over, in sentences.
    """

    level: Level
    request: str
    base: str
    asked: datetime
    types: tuple[str, ...]
    group: str = ""
    since: datetime | None = None
    until: datetime | None = None
    patients: tuple[str, ...] = ()
    filters: tuple[tuple[str, Pairs], ...] = ()
    elements: tuple[tuple[str, str], ...] = ()
    latest: bool = False
    suffix: str = "ndjson"
    most_bytes: int = 2**26
    by_patient: bool = False
    partial: bool = False
    ignored: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """Return it as the payload of a job."""
        moments = {"asked": self.asked, "since": self.since, "until": self.until}
        # The bounds of a period are kept to the microsecond.
        return asdict(self) | {name: moment and moment.isoformat() for name, moment in moments.items()}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Task":
        """Return the task of a job."""
        given = dict(payload)
        for name in ("asked", "since", "until"):
            given[name] = datetime.fromisoformat(given[name]) if given[name] else None
        for name in ("types", "patients", "ignored"):
            given[name] = tuple(given[name])
        given["elements"] = tuple((kind, name) for kind, name in given["elements"])
        given["filters"] = tuple(
            (kind, tuple((name, value) for name, value in rows)) for kind, rows in given["filters"]
        )
        return cls(**given)

    def wanted(self, resource_type: str) -> tuple[str, ...]:
        """Return the elements that are wanted of a type, none for all."""
        return tuple(name for kind, name in self.elements if kind in {"", resource_type})


@dataclass(frozen=True, slots=True)
class Output:
    """A file of an export.

    Attributes:
        kind: `output`, `deleted` or `error`.
        type: Resource type of its lines; empty in files by patient.
        name: Its name, e.g. `Patient-0.ndjson`.
        count: Its resources.
        size: Its bytes.
        types: Resource types in it, in files by patient.
    """

    kind: Literal["output", "deleted", "error"]
    type: str
    name: str
    count: int
    size: int
    types: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "types": [*self.types]}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Output":
        """Return the file of plain values."""
        return cls(**{**plain, "types": tuple(plain["types"])})


def path(job_id: str, name: str) -> str:
    """Return where a file of an export lies."""
    return f"{FOLDER}/{job_id}/{name}"
