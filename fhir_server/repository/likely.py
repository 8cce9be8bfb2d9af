"""Who of the stored Patients is probably the person that a description is of: looked for in blocks, each on an index."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fhir_server.identity import evidence, traits
from fhir_server.identity.evidence import Grade, Verdict
from fhir_server.model import json
from fhir_server.model.stored import Stored
from fhir_server.repository.door import Repository

MOST_OF_BLOCK = 100
"""Patients that are compared of each block; of what is commoner, narrower blocks find those that are most alike."""

MOST_BLOCKS = 24
AT_A_STRETCH = 25  # Patients are compared (about 150 µs each) before other requests have their turn

_ORDER = tuple(Grade)

Likely = tuple[Stored, Verdict]


async def likely(repository: Repository, patient: Mapping[str, Any]) -> list[Likely]:
    """Return the Patients within the caller's scope that may be this person, the likeliest first.

    Who shares an identifier and is certainly somebody else is among them: that is worth knowing.

    Args:
        repository: What the caller may reach.
        patient: A valid Patient, as much of it as is known.

    Raises:
        Forbidden: Patients may not be searched.
    """
    blocks = traits.blocks(patient)[:MOST_BLOCKS]
    looking = replace(repository, footprint=None)  # who is only compared is not seen
    answers = await asyncio.gather(*(looking.matches("Patient", pairs, MOST_OF_BLOCK) for pairs in blocks))
    stored = {one.id: one for found in answers for one in found}
    seen = await repository.rights.within([("Patient", one) for one in stored], "r")
    mine = traits.of(patient)
    found: dict[str, Likely] = {}
    successors: dict[str, set[str]] = {}
    for number, (_, one) in enumerate(sorted(seen), 1):
        other = json.decode(stored[one].body)
        verdict = evidence.compare(mine, traits.of(other))
        if verdict.grade is not Grade.CERTAINLY_NOT or "identifier" in verdict.findings:
            found[one] = stored[one], verdict
            successors[one] = _successors(other)
        if number % AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    kept = [pair for one, pair in found.items() if not successors[one] & found.keys()]
    return sorted(kept, key=lambda pair: (_ORDER.index(pair[1].grade), -pair[1].score, pair[0].id))


def _successors(patient: Mapping[str, Any]) -> set[str]:
    """Return the Patients that a duplicate was replaced by; where they are found, it need not be."""
    links = (one for one in patient.get("link", []) if one.get("type") == "replaced-by")
    return {str(one.get("other", {}).get("reference", "")).removeprefix("Patient/") for one in links}
