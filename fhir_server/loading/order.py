"""What an import is asked for, and how far it is: the payload and the checkpoint of its job, as plain values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

KIND = "import"
CLOSING = "bulk-submission"
"""Kind of the job whose row says that a submission is completed or stopped."""

FOLDER = "import"
"""Where its files lie: `import/[job]/[name]`."""

MOST_AGAIN = 200_000
"""Lines of one import that are tried again when others are stored."""

_FIRST = (
    "Organization", "Location", "Practitioner", "HealthcareService", "PractitionerRole", "Endpoint", "Medication",
    "Substance", "Patient", "RelatedPerson", "Person", "Device", "Coverage", "EpisodeOfCare", "Encounter", "Condition",
    "ServiceRequest", "Specimen", "Procedure", "Observation", "MedicationRequest",
)  # fmt: skip
_LAST = ("CarePlan", "Claim", "ExplanationOfBenefit", "List", "Composition", "Provenance", "Group")


def rank(resource_type: str) -> int:
    """Return the place of a type in the order of loading: shared resources first, patients, then what refers to much."""
    if resource_type in _FIRST:
        return _FIRST.index(resource_type)
    return 60 + _LAST.index(resource_type) if resource_type in _LAST else 55


@dataclass(frozen=True, slots=True)
class Input:
    """One file of NDJSON.

    Attributes:
        type: Resource type that it is said to hold, empty where nothing is said.
        url: Where it can be fetched; empty for one that was sent.
        file: Name among the files of jobs, of one that was sent.
    """

    type: str
    url: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What an import is asked for.

    Attributes:
        request: URL of the kick-off.
        base: The service base.
        inputs: The files, in the order in which they are loaded.
        headers: Names and values that are sent with each request for a file or manifest.
        manifest: URL of a manifest that lists the files, in place of `inputs`.
        submission: What it is part of: submitter and id, for `$bulk-submit`.
    """

    request: str
    base: str
    inputs: tuple[Input, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    manifest: str = ""
    submission: str = ""

    def payload(self) -> dict[str, Any]:
        """Return it as the payload of a job."""
        types = sorted({one.type for one in self.inputs} - {""})
        return {**asdict(self), "inputs": [asdict(one) for one in self.inputs], "types": types}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Order":
        """Return what a payload says."""
        inputs = tuple(Input(**one) for one in payload["inputs"])
        headers = tuple((name, value) for name, value in payload["headers"])
        return cls(payload["request"], payload["base"], inputs, headers, payload["manifest"], payload["submission"])


def ordered(inputs: Iterable[Input]) -> tuple[Input, ...]:
    """Return files in the order in which they are loaded."""
    return tuple(sorted(inputs, key=lambda one: rank(one.type)))


@dataclass(slots=True)
class Tally:
    """What became of one file so far.

    Attributes:
        created: New resources.
        updated: New versions.
        unchanged: What was there already.
        refused: Lines that are refused for good.
        waiting: Lines that are refused until now and may be stored once others are.
        parts: Names of the files with the outcomes of those refused for good.
        told: Names of those with the outcomes of the waiting ones.
        broken: Why its end could not be read.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    waiting: list[tuple[int, int]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    broken: str = ""


@dataclass(slots=True)
class State:
    """How far an import is.

    Attributes:
        passes: How often all files were gone through.
        input: The file that is gone through.
        line: Its last line that was sent with all before it.
        stored: What was stored in this pass.
        only: Stretches of lines that are sent in this pass, by file; not in the first one, which sends all.
        number: Of the last file of outcomes that was written.
        tallies: By file.
        types: What was stored, by type.
        inputs: The files, as soon as they are known.
        over: Whether nothing more is sent.
    """

    passes: int = 0
    input: int = 0
    line: int = 0
    stored: int = 0
    only: list[list[tuple[int, int]]] = field(default_factory=list)
    number: int = 0
    tallies: list[Tally] = field(default_factory=list)
    types: dict[str, int] = field(default_factory=dict)
    inputs: list[Input] = field(default_factory=list)
    over: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any]) -> "State":
        """Return what a checkpoint says, the beginning for an empty one."""
        if not checkpoint:
            return cls()
        tallies = [Tally(**one) for one in checkpoint["tallies"]]
        inputs = [Input(**one) for one in checkpoint["inputs"]]
        return cls(**{**checkpoint, "tallies": tallies, "inputs": inputs})

    def begin(self, inputs: Iterable[Input]) -> None:
        """Begin with these files."""
        self.inputs = [*inputs]
        self.tallies = [Tally() for _ in self.inputs]

    def stores(self, counts: Mapping[str, int]) -> int:
        """Count what was stored, by type; return how much it is."""
        for name, count in counts.items():
            self.types[name] = self.types.get(name, 0) + count
            self.stored += count
        return sum(counts.values())

    @property
    def is_hopeful(self) -> bool:
        """Whether another pass may store what this one did not."""
        return self.stored > 0 and any(tally.waiting for tally in self.tallies)

    def again(self) -> None:
        """Begin another pass."""
        self.only = [tally.waiting for tally in self.tallies]
        for tally in self.tallies:
            tally.waiting, tally.told = [], []
        self.passes, self.input, self.line, self.stored = self.passes + 1, 0, 0, 0

    def end(self) -> None:
        """Take what still waits for refused."""
        for tally in self.tallies:
            tally.refused += sum(last - first + 1 for first, last in tally.waiting)
            tally.parts += tally.told
            tally.waiting, tally.told = [], []
        self.over = True


def stretched(stretches: list[tuple[int, int]], line: int) -> None:
    """Add a line to stretches, after all that is in them."""
    if stretches and stretches[-1][1] == line - 1:
        stretches[-1] = (stretches[-1][0], line)
    else:
        stretches.append((line, line))


class Stretches:
    """Lines of stretches, asked one after the other."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        self._stretches = [tuple(one) for one in stretches]
        self._at = 0

    def __contains__(self, line: object) -> bool:
        """Return whether a line is in one of them; it comes after those that were asked for before."""
        if not isinstance(line, int):
            return False
        while self._at < len(self._stretches) and self._stretches[self._at][1] < line:
            self._at += 1
        return self._at < len(self._stretches) and self._stretches[self._at][0] <= line
