"""Filters over rows, joined: nothing and anything are values of their own here, too (`model.query.Where`)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_server.model.query import ANYTHING, NOTHING, Where

Clause = Mapping[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_ID = (1 << 48) - 1
PATIENT = frozenset({"p", "ps"})


def clause(found: Clause) -> Where:
    """Return the filter of a MongoDB clause."""
    return Where("clause", found)


def union(clauses: Sequence[Clause]) -> Clause:
    """Return the clause "one of them holds", of at least one."""
    return clauses[0] if len(clauses) == 1 else {"$or": [*clauses]}


def one_of(texts: Sequence[str]) -> Any:
    """Return the condition "is one of these", of at least one."""
    return {"$in": [*texts]} if len(texts) > 1 else texts[0]


def all_of(parts: Iterable[Where]) -> Where:
    """Return "all of them hold"."""
    found = ANYTHING
    for part in parts:
        found &= part
    return found


def any_of(parts: Sequence[Where]) -> Where:
    """Return "one of them holds"."""
    if ANYTHING in parts:
        return ANYTHING
    clauses = [part.clause for part in parts if part.kind == "clause"]
    return clause(union(clauses)) if clauses else NOTHING


def none_of(part: Where) -> Where:
    """Return "it does not hold"."""
    return {"anything": NOTHING, "nothing": ANYTHING}.get(part.kind) or clause({"$nor": [part.clause]})


def of_patients(patients: Sequence[str]) -> Clause:
    """Return the clause for the rows about at least one of these patients."""
    one = one_of(patients)
    return {"$or": [{"p": one}, {"ps": one}]}


def rooted(where: Where) -> Clause:
    """Return the clause with the alternatives of patients at its root, each with all else that must hold.

    Below a conjunction MongoDB would look for the patients alone, and not within the bounds of the ids.
    """
    parts = list(_conjuncts(where.clause))
    chosen = next((part for part in parts if any(PATIENT.issuperset(one) for one in part.get("$or", ()))), None)
    if chosen is None or len(parts) == 1:
        return where.clause
    others = [part for part in parts if part is not chosen]
    return {"$or": [{"$and": [branch, *others]} for branch in chosen["$or"]]}


def _conjuncts(found: Clause) -> Iterator[dict[str, Any]]:
    for name, value in found.items():
        if name == "$and":
            for part in value:
                yield from _conjuncts(part)
        else:
            yield {name: value}


def earliest_id(moment: datetime) -> str:
    """Return what no id that was made at this moment or later comes before."""
    milliseconds = max(0, (moment - EPOCH) // timedelta(milliseconds=1))
    text = f"{min(milliseconds, LAST_ID):012x}"
    return f"{text[:8]}-{text[8:]}"


def made(row_id: str) -> datetime:
    """Return when the id of a row was made, UTC, whole milliseconds."""
    digits = row_id.replace("-", "")[:12]
    return EPOCH + timedelta(milliseconds=int(digits, 16))
