"""What checks cost: microseconds of CPU for base validation, search values and profiles, beside decoding in the same run.

The guides and the official examples are read where they lie: `FHIR_TEST_DATA`, else `../shared/data`. Where they are missing the rows
that need them say so. `python -m loadtests.conformance` prints the table alone, within half a minute.
"""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from time import process_time
from typing import Any

from fhir_server.model.json import decode, encode
from fhir_server.search.index import Indexer
from loadtests.expressions import PATIENT, microseconds
from profiles.definitions.registry import Definitions, load
from profiles.fhirpath.engine import Engine
from profiles.packages import package as packages
from profiles.packages.library import Library
from profiles.packages.package import Package
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.validator import Validator
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]

DATA = Path(os.environ.get("FHIR_TEST_DATA", "../shared/data"))
EXAMPLES = "examples/hl7.fhir.r4.examples-4.0.1.instances.tgz"
US_CORE, IPS = "packages/hl7.fhir.us.core-6.1.0.tgz", "packages/hl7.fhir.uv.ips-2.0.0.tgz"
SIZES = range(1500, 2500)
"""Bytes of compact JSON of what counts as a resource of 2 KB."""
EVERY = 4
"""Of the examples of that size one in so many is measured."""
ENTRIES = 20


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured.

    Attributes:
        what: Its name.
        size: Bytes of compact JSON, the mean where it is about several resources; 0 where it is about none.
        cost: Microseconds of CPU.
        target: Microseconds that it may take; 0 where nothing is agreed.
        decoding: Microseconds to decode the same JSON; 0 where there is none.
    """

    what: str
    size: float
    cost: float
    target: float = 0
    decoding: float = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured.

    Attributes:
        rows: In the order of the table.
        missing: What could not be measured, and why.
    """

    rows: tuple[Figure, ...] = ()
    missing: tuple[str, ...] = field(default_factory=tuple)


def measure(data: Path = DATA) -> Figures:
    """Return what checks cost.

    Args:
        data: The folder with the reference data.
    """
    definitions = load()
    engine = Engine(definitions, units=Ucum.load())
    rows: list[Figure] = []
    missing: list[str] = []
    if (data / EXAMPLES).is_file():
        rows += _base(list(_examples(data / EXAMPLES)), "official examples of 2 KB", definitions, engine)
    else:
        missing.append(f"the official examples ({data / EXAMPLES} is not there); in their place one Patient of 2 KB")
        rows += _base([PATIENT], "a Patient of 2 KB", definitions, engine)
    if (data / US_CORE).is_file() and (data / IPS).is_file():
        guides = [packages.read(data / name, examples=True) for name in (US_CORE, IPS)]
        rows += _profiles(guides, definitions, engine)
    else:
        missing.append(f"profiles ({data / US_CORE} or {data / IPS} is not there)")
    return Figures(tuple(rows), tuple(missing))


def markdown(figures: Figures) -> list[str]:
    """Return the table."""
    lines = [
        "Checks, CPU, the least of several rounds:",
        "",
        "| what | bytes | µs | target µs | ÷ decoding the JSON |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in figures.rows:
        size = f"{row.size:,.0f}" if row.size else ""
        ratio = f"{row.cost / row.decoding:.1f}" if row.decoding else ""
        target = f"{row.target:,.0f}" if row.target else ""
        lines.append(f"| {row.what} | {size} | {row.cost:,.1f} | {target} | {ratio} |")
    return [*lines, *(f"\nNot measured: {one}." for one in figures.missing)]


def _examples(archive: Path) -> Iterator[Json]:
    """Yield official examples of 2 KB."""
    with tarfile.open(archive) as file:
        for member in file:
            content = file.extractfile(member) if member.name.endswith(".json") else None
            value = decode(content.read()) if content is not None else {}
            if "resourceType" in value and len(encode(value)) in SIZES:
                yield value


def _base(resources: list[Json], of: str, definitions: Definitions, engine: Engine) -> Iterator[Figure]:
    """Yield what every write is checked for, and the search values, of resources, the mean of each."""
    validator, indexer = Validator(definitions, engine), Indexer(definitions)
    taken = resources[::EVERY]
    size, decoding = mean(len(encode(one)) for one in taken), mean(map(_decoding, taken))
    checking = mean(microseconds(partial(validator.check, one)) for one in taken)
    finding = mean(microseconds(partial(indexer.values, one)) for one in taken)
    entering = mean(microseconds(partial(indexer.entries, one)) for one in taken)
    many = f"{of}, mean of {len(taken)}" if len(taken) > 1 else of
    yield Figure(f"base validation with invariants: {many}", size, checking, 150, decoding)
    yield Figure("all search values of the same", size, finding, 10, decoding)
    yield Figure("their index entries", size, entering, decoding=decoding)


def _profiles(guides: list[Package], definitions: Definitions, engine: Engine) -> Iterator[Figure]:
    """Yield what profiles cost beyond the base validation."""
    validator = ProfileValidator(Source(definitions, Library(guides)), engine=engine)
    patient = next(_instances(guides[0], "Patient", "example-targeted-provenance"))
    plain = {key: value for key, value in patient.items() if key != "extension"}
    bundle = next(one for one in _instances(guides[1], "Bundle") if len(one["entry"]) == ENTRIES)
    rows = (
        ("US Core 6.1.0 Patient", plain, 60),
        (f"the same with {len(patient['extension'])} extensions of US Core", patient, 60),
        (f"IPS 2.0.0 document of {ENTRIES} entries", bundle, 5000),
    )
    for what, resource, target in rows:
        cost = microseconds(partial(validator.check, resource))
        yield Figure(f"{what}, beyond the base", len(encode(resource)), cost, target, _decoding(resource))
    snapshot, compiled = _ready(guides, definitions, engine)
    yield Figure("reading a profile and making its snapshot, mean of both guides", 0, snapshot)
    yield Figure("compiling a profile, with its first check, mean of both guides", 0, compiled, 3000)


def _instances(guide: Package, resource_type: str, name: str = "") -> Iterator[Json]:
    for entry in guide.instances:
        if entry.resource_type == resource_type and name in {"", entry.id}:
            yield entry.read()


def _ready(guides: list[Package], definitions: Definitions, engine: Engine) -> tuple[float, float]:
    """Return the mean microseconds to read a profile of a resource and make its snapshot, and to compile it, each done once."""
    validator = ProfileValidator(Source(definitions, Library(guides)), engine=engine)
    profiles = [
        (f"{entry.url}|{entry.version}", entry.type)
        for guide in guides
        for entry in guide.of_type("StructureDefinition")
        if entry.derivation == "constraint" and entry.kind == "resource"
    ]
    for _, name in profiles:
        validator.snapshots.type_tree(name)
    began = process_time()
    for url, _ in profiles:
        validator.find(url)
    made = process_time()
    for url, name in profiles:
        validator.check({"resourceType": name}, [url])
    count = len(profiles)
    return (made - began) / count * 1e6, (process_time() - made) / count * 1e6


def _decoding(resource: Json) -> float:
    wire = encode(resource)
    return microseconds(lambda: decode(wire))


if __name__ == "__main__":
    print("\n".join(markdown(measure())))
