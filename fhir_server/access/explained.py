"""Why somebody reaches a resource, or does not: the rules of product.md 2.2 one by one, in their order, as steps.

Whether it is reached is never decided here, but by the one predicate (`granted`); this finds words for it. Where the words and the
predicate disagreed, the last step would say so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_server.access.granted import Granted
from fhir_server.access.placed import DIRECTORY, OF_ALL, SUPPLIES
from fhir_server.access.privileges import DEFINITIONS, area_of

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule, applied.

    Attributes:
        rule: scope, privileges, directory, custody, agreement, relationship, break-glass, consent, label, record, disclosure, own.
        holds: Whether it lets through.
        detail: Codes and ids that it was decided by; no content of the resource.
    """

    rule: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules come to.

    Attributes:
        allowed: Whether the resource can be read.
        rule: The rule that opens it; empty where it is not open.
        failed: The first rule that does not let through; empty where it is open.
        steps: The rules, in their order.
    """

    allowed: bool
    rule: str
    failed: str
    steps: tuple[Step, ...]


OPENING = frozenset(
    {
        "administration",
        "agreement",
        "break-glass",
        "custody",
        "directory",
        "own",
        "record",
        "relationship",
        "security-context",
    }
)
"""Rules that open a resource; the others only keep it open."""


def verdict(granted: Granted, resource_type: str, document: Document, *, allowed: bool) -> Verdict:
    """Return the words for what the predicate says.

    Args:
        granted: What somebody reaches.
        resource_type: The type.
        document: The stored document.
        allowed: What the predicate says.
    """
    steps = [*_steps(granted, resource_type, document)]
    failed = next((step.rule for step in steps if not step.holds), "")
    if allowed and failed:  # the resource that the person is, which any token may read
        steps, failed = [Step("own", holds=True, detail=granted.principal.fhir_user)], ""
    if not allowed and not failed:
        steps.append(Step("scope", holds=False, detail="criteria"))
        failed = "scope"
    rule = next((step.rule for step in reversed(steps) if step.holds and step.rule in OPENING), "") if allowed else ""
    return Verdict(allowed, rule, failed, tuple(steps))


def _steps(granted: Granted, resource_type: str, document: Document) -> Iterator[Step]:
    """Yield the rules that apply, up to the first that does not let through."""
    for step in _rules(granted, resource_type, document):
        yield step
        if not step.holds:
            return


def _rules(granted: Granted, resource_type: str, document: Document) -> Iterator[Step]:
    who = granted.principal
    yield Step("scope", granted.speaks_of(resource_type, "r"), f"{resource_type}.r")
    if who.audience == "patient":
        yield from _of_patient(granted, resource_type, document)
    elif who.audience == "administrator":
        yield Step("administration", granted.has(resource_type, "r"), resource_type)
    else:
        yield from _of_staff(granted, resource_type, document)


def _of_patient(granted: Granted, resource_type: str, document: Document) -> Iterator[Step]:
    who = granted.principal
    if resource_type in DIRECTORY | SUPPLIES:
        yield Step("directory", holds=True)
        return
    own = granted.standing.same(who.own | ({who.patient} - {""}))
    about = document.get("p", "")
    yield Step("record", about in own, f"Patient/{about}" if about else "nobody's")
    kept = next((text for name, text in _KEPT_BACK.items() if document.get(name)), "")
    yield Step("disclosure", granted.discloses(document), " ".join([kept, str(document.get("gt", ""))]).strip())


def reason(granted: Granted, document: Document) -> str:
    """Return the word for what keeps a document from patients: `held`, `advice`, a gate, `scheduled`; empty where nothing does."""
    if document.get("held"):
        return "held"
    if document.get("adv"):
        return "advice"
    if gate := document.get("gt", ""):
        return str(gate)
    return "" if granted.discloses(document) else "scheduled"


_KEPT_BACK = {"held": "held", "adv": "advice", "gt": "gate", "va": "not before its time"}


def _of_staff(granted: Granted, resource_type: str, document: Document) -> Iterator[Step]:
    standing, definitions = granted.standing, granted.definitions
    area = area_of(resource_type, definitions)
    yield Step("privileges", standing.privileges.allow(area, "r"), f"{area}.r")
    if area == DEFINITIONS or resource_type in OF_ALL | DIRECTORY | SUPPLIES:
        yield Step("directory", holds=True)
        return
    if resource_type == "Binary" and "securityContext" in document.get("r", {}):
        yield Step("security-context", holds=True, detail=str(document["r"]["securityContext"].get("reference", "")))
        return
    keeper, labels = document.get("f", ""), frozenset(document.get("sl", ()))
    patients = frozenset({document.get("p", ""), *document.get("ps", ())}) - {""}
    cleared = labels if standing.privileges.unbounded else standing.privileges.clearance
    broken = patients & standing.glass.keys()
    if standing.keeps(keeper):
        yield Step("custody", holds=True, detail=f"Organization/{keeper}")
        yield from _labels(labels, cleared, broken)
        return
    if broken:
        yield _glass(broken)
        return
    if not standing.network | standing.related:
        yield Step("custody", holds=False, detail=f"Organization/{keeper}")
    yield Step("agreement", keeper in standing.network | standing.related, f"Organization/{keeper}")
    related = patients & standing.patients
    if related or keeper not in standing.network:
        yield Step("relationship", bool(related), _named(related or patients))
    objecting = patients & standing.objecting
    yield Step("consent", not objecting, _named(objecting))
    yield from _labels(labels, cleared if related else frozenset(), broken)


def _labels(labels: frozenset[str], cleared: frozenset[str], broken: frozenset[str]) -> Iterator[Step]:
    missing = labels - cleared
    if missing and broken:
        yield _glass(broken)
    else:
        yield Step("label", not missing, " ".join(sorted(missing or labels)))


def _glass(broken: frozenset[str]) -> Step:
    return Step("break-glass", holds=True, detail=_named(broken))


def _named(patients: frozenset[str]) -> str:
    return " ".join(f"Patient/{one}" for one in sorted(patients))
