"""What expressions cost: microseconds of CPU for each evaluation, and for making each ready, beside decoding the resource in the same run.

`python -m loadtests.expressions` prints the table alone, within seconds; `make bench` has it among its figures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

from fhir_server.model.json import decode, encode
from profiles.definitions.registry import load
from profiles.fhirpath.engine import Engine
from terminology.ucum.ucum import Ucum

ROUNDS = 7
LEAST = 0.01
"""Seconds that a round takes at least."""

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "example",
    "meta": {"lastUpdated": "2026-01-31T08:30:00Z", "profile": ["http://example.org/StructureDefinition/patient"]},
    "text": {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{"<p>Chalmers, Peter</p>" * 20}</div>',
    },
    "identifier": [
        {"use": "usual", "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345", "assigner": {"display": "Acme"}}
    ],
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
        {"use": "maiden", "family": "Windsor", "given": ["Peter", "James"], "period": {"end": "2002"}},
    ],
    "telecom": [
        {"use": "home", "system": "phone", "value": "(03) 5555 6473"},
        {"use": "work", "system": "phone", "value": "(03) 3410 5613", "rank": 1},
        {"use": "mobile", "system": "phone", "value": "(03) 3410 5613", "rank": 2},
    ],
    "gender": "male",
    "birthDate": "1974-12-25",
    "address": [
        {
            "use": "home",
            "line": ["534 Erewhon St"],
            "city": "PleasantVille",
            "state": "Vic",
            "period": {"start": "1974-12-25"},
        }
    ],
    "contact": [
        {
            "name": {"family": "du Marché", "given": ["Bénédicte"]},
            "telecom": [{"system": "phone", "value": "+33 (237) 998327"}],
        }
    ],
    "managingOrganization": {"reference": "Organization/1"},
}

EXPRESSIONS = (
    "Patient.birthDate",
    "Patient.name.given",
    "name.where(use = 'official').given.first()",
    "telecom.where(system = 'phone' and use = 'work').value",
    "contact.all(name.exists() or telecom.exists() or address.exists() or organization.exists())",
    "Patient.name.given | Patient.name.family",
    "birthDate < today()",
    "descendants().count()",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one expression costs.

    Attributes:
        text: The expression.
        evaluate: Microseconds for an evaluation.
        compile: Microseconds to read, check and compile it.
        ratio: Evaluation by decoding of the resource's JSON.
    """

    text: str
    evaluate: float
    compile: float
    ratio: float


def measure() -> list[Cost]:
    """Return the cost of each expression over a Patient of 2 KB."""
    definitions, units = load(), Ucum()
    engine, forgetful = Engine(definitions, units=units), Engine(definitions, units=units, kept=0)
    wire = encode(PATIENT)
    patient = decode(wire)
    decoding = microseconds(lambda: decode(wire))
    found: list[Cost] = []
    for text in EXPRESSIONS:
        compiled = engine.compile(text, "Patient")
        evaluate = microseconds(partial(compiled.evaluate, patient))
        prepare = microseconds(partial(forgetful.compile, text, "Patient"))
        found.append(Cost(text, evaluate, prepare, evaluate / decoding))
    return found


def markdown(costs: list[Cost]) -> list[str]:
    """Return the table."""
    lines = [
        "FHIRPath over a Patient of 2 KB, CPU:",
        "",
        "| expression | evaluate µs | read, check and compile µs | evaluate ÷ decoding the JSON |",
        "|---|--:|--:|--:|",
    ]
    rows = (
        (one.text.replace("|", "\\|"), f"{one.evaluate:.1f}", f"{one.compile:.0f}", f"{one.ratio:.2f}") for one in costs
    )
    return [*lines, *(f"| `{row[0]}` | {row[1]} | {row[2]} | {row[3]} |" for row in rows)]


def microseconds(work: Callable[[], object]) -> float:
    """Return the least time of several rounds: whatever else the machine does only adds to it."""
    work()
    began = process_time()
    times = 0
    while process_time() - began < LEAST:
        work()
        times += 1
    return min(_round(work, times) for _ in range(ROUNDS)) * 1e6


def _round(work: Callable[[], object], times: int) -> float:
    began = process_time()
    for _ in range(times):
        work()
    return (process_time() - began) / times


if __name__ == "__main__":
    print("\n".join(markdown(measure())))
