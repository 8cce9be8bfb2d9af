"""The write matrix of reasoning services: what may be created as advice, and that advice stays advice (product.md 12, walls 1-3).

A principal that advises creates, and only what this closed list names. The server marks it, in the resource for everybody to
see and in the envelope (`adv`), and no update takes the marks away or turns it into an act: that is for a human to do, by creating
the act.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from fhir_server.access.labels import OBSERVATION_VALUE
from fhir_server.access.principal import Principal
from fhir_server.model.errors import Forbidden, Unprocessable
from profiles.issue import Issue
from smart_auth.scopes.advice import ADVICE

OWN = "https://aquifer.example/fhir"
MARK = MappingProxyType({"system": OBSERVATION_VALUE, "code": "AIAST"})
"""Asserted by artificial intelligence, which by HL7's definition includes decision support by rules."""

TAG = MappingProxyType({"system": f"{OWN}/CodeSystem/tag", "code": "advice"})
DENIED = "advisor-write-denied"
KEPT = "advice-stays-advice"

_PROPOSAL = {"intent": "proposal", "status": "draft"}
_PRELIMINARY = {"status": "preliminary"}

MATRIX: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "GuidanceResponse": {},
        "DetectedIssue": _PRELIMINARY,
        "RiskAssessment": _PRELIMINARY,
        **dict.fromkeys(sorted(ADVICE - {"GuidanceResponse", "DetectedIssue", "RiskAssessment"}), _PROPOSAL),
    }
)
"""What advice must say of itself, by type."""

ENDED = frozenset({"cancelled", "entered-in-error", "rejected", "revoked", "stopped"})
"""Statuses that advice may get later: what is over commits nobody to anything."""


def require(who: Principal, types: Iterable[str], letter: str) -> None:
    """Refuse an advisor what is neither reading nor the creation of advice, before anything is looked at.

    Raises:
        Forbidden: `advisor-write-denied`.
    """
    if not who.advisory or letter in "rs":
        return
    if letter != "c" or ADVICE.isdisjoint(types):
        raise _denied(f"A service that advises may create {', '.join(sorted(ADVICE))}, and change nothing.")


def permit(who: Principal, resource_type: str, letter: str, document: Mapping[str, Any]) -> None:
    """Refuse an advisor to write what is no advice, and everybody to make advice something else.

    Args:
        who: Who writes.
        resource_type: Type of what is written.
        letter: `c` or `u`.
        document: The stored document that would come to be.

    Raises:
        Forbidden: `advisor-write-denied`.
        Unprocessable: `advice-stays-advice`; the marks of advice are gone, or it is no proposal any more.
    """
    require(who, [resource_type], letter)
    if not who.advisory:
        if document.get("adv"):
            _keep(resource_type, document["r"])
        return
    resource = document["r"]
    wrong = {name: value for name, value in MATRIX[resource_type].items() if resource.get(name) != value}
    if wrong:
        wanted = " and ".join(f"{name} '{value}'" for name, value in wrong.items())
        raise _denied(f"A {resource_type} that is advice has {wanted}.", f"{resource_type}.{next(iter(wrong))}")


def stamped(who: Principal, resource: dict[str, Any]) -> dict[str, Any]:
    """Return a new resource with the marks of advice, where an advisor creates it; else as it is."""
    meta = resource.get("meta", {})
    if not who.advisory or not isinstance(meta, dict):
        return resource
    return {**resource, "meta": {**meta, **_marked(meta, "security", MARK), **_marked(meta, "tag", TAG)}}


def envelope(who: Principal) -> dict[str, Any]:
    """Return the envelope fields of a new resource: `adv`, where an advisor creates it."""
    return {"adv": True} if who.advisory else {}


def _keep(resource_type: str, resource: Mapping[str, Any]) -> None:
    meta = resource["meta"]
    for name, mark in (("security", MARK), ("tag", TAG)):
        if not _has(meta.get(name, ()), mark):
            raise _kept(
                f"This {resource_type} is advice, and {mark['code']} in meta.{name} says so. Keep that. To act upon the "
                "advice, create what is to be done.",
                f"{resource_type}.meta.{name}",
            )
    for name, value in MATRIX[resource_type].items():
        stated = resource.get(name)
        if stated != value and not (name == "status" and stated in ENDED):
            raise _kept(
                f"This {resource_type} is advice: its {name} stays '{value}', not '{stated}'. To act upon the advice, create "
                "what is to be done.",
                f"{resource_type}.{name}",
            )


def _marked(meta: Mapping[str, Any], name: str, mark: Mapping[str, str]) -> dict[str, Any]:
    present = meta.get(name, [])
    # What is no list is for the validator to refuse.
    return {} if not isinstance(present, list) or _has(present, mark) else {name: [*present, dict(mark)]}


def _has(codings: Iterable[Any], mark: Mapping[str, str]) -> bool:
    return any(isinstance(one, Mapping) and all(one.get(key) == mark[key] for key in mark) for one in codings)


def _denied(text: str, expression: str = "") -> Forbidden:
    return Forbidden(text, issues=[Issue("error", "forbidden", text, expression, DENIED)])


def _kept(text: str, expression: str) -> Unprocessable:
    return Unprocessable(text, issues=[Issue("error", "business-rule", text, expression, KEPT)])
