"""Closure tables: which concepts of a growing set subsume which (R4 "Maintaining a Closure Table")."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from terminology.codesystem.provider import CodeSystemProvider
from terminology.concept import NOT_ENUMERATED, Concept, Head

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A concept in a table.

    Attributes:
        system: Its code system.
        code: As the code system spells it.
        ordinal: Position among the concepts, in the edition of the code system that `edition` names.
        edition: What that position is good for.
    """

    system: str
    code: str
    ordinal: int
    edition: str


@dataclass(frozen=True, slots=True)
class Relation:
    """That one concept of a table is above another one of the same code system."""

    system: str
    code: str
    above: str


def edition(head: Head) -> str:
    """Return what tells one state of a code system from others: positions of concepts are good for it alone."""
    meta = (head.resource or {}).get("meta")
    changed = meta.get("lastUpdated", "") if isinstance(meta, dict) else ""
    return f"{head.version}#{head.count}#{changed}"


def entry(provider: CodeSystemProvider, concept: Concept) -> Entry:
    """Return a concept as a table has it."""
    return Entry(provider.head.url, concept.code, concept.ordinal, edition(provider.head))


async def relations(provider: CodeSystemProvider, known: Iterable[Entry], added: Sequence[Concept]) -> list[Relation]:
    """Return what concepts that are added to a table make new in it: what each is below, and what is below it.

    Args:
        provider: The code system.
        known: What the table has of this code system, without those added.
        added: Concepts of the code system, each once.
    """
    listed = [one.ordinal for one in added if one.ordinal != NOT_ENUMERATED]
    if not listed:
        return []
    before = await _positions(provider, known)
    everything = before | BitMap(listed)
    pairs: list[tuple[int, int]] = []
    for ordinal in listed:
        pairs += ((ordinal, above) for above in everything & await provider.ancestors(ordinal))
        if before:
            pairs += ((below, ordinal) for below in before & await provider.descendants(ordinal))
    involved = sorted({ordinal for pair in pairs for ordinal in pair})
    codes = dict(zip(involved, await provider.codes(involved), strict=True)) if involved else {}
    return [Relation(provider.head.url, codes[below], codes[above]) for below, above in pairs]


async def _positions(provider: CodeSystemProvider, known: Iterable[Entry]) -> BitMap:
    """Return where the concepts of a table stand in the code system of now; those that it does not have any more are left out."""
    now = edition(provider.head)
    members = list(known)
    found = BitMap(one.ordinal for one in members if one.edition == now and one.ordinal != NOT_ENUMERATED)
    moved = [one.code for one in members if one.edition != now]
    return found | BitMap((await provider.ordinals(moved)).values()) if moved else found


def concept_map(name: str, version: int, date: str, found: Iterable[Relation]) -> Json:
    """Return a ConceptMap of relations: each concept with those that subsume it.

    Args:
        name: Of the table.
        version: Of the table with these relations.
        date: Of now, a FHIR dateTime.
        found: The relations.
    """
    systems: dict[str, dict[str, list[Json]]] = {}
    for one in found:
        targets = systems.setdefault(one.system, {}).setdefault(one.code, [])
        targets.append({"code": one.above, "equivalence": "subsumes"})
    groups = [
        {
            "source": system,
            "target": system,
            "element": [{"code": code, "target": targets} for code, targets in elements.items()],
        }
        for system, elements in systems.items()
    ]
    stated: Json = {"resourceType": "ConceptMap", "version": str(version), "name": name, "status": "active"}
    stated |= {"experimental": True, "date": date, "description": f"What is new in the closure table {name}."}
    return {**stated, "group": groups} if groups else stated
