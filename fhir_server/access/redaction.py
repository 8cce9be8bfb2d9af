"""What is left out of resources that are shown to patients: what concerns other people, or only the house (product.md 2.3).

Id, version and ETag stay. What is left out cannot be searched by, either, or a search would tell it; and whoever writes back
what was shown takes nothing of it away.
"""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model import json
from fhir_server.model.errors import Forbidden
from fhir_server.model.request import Pairs

Resource = dict[str, Any]

RELEASE = "https://aquifer.example/fhir/StructureDefinition/release"
"""Extension of meta: when and by whom a result is released."""

PRIVATE = frozenset({"home", "mobile", "old", "temp"})
"""Uses of telecom and address that are of the person, not of the work."""

CONTACT = frozenset(
    {"telecom", "phone", "email", "address", "address-city", "address-country", "address-postalcode", "address-state", "address-use"}
)  # fmt: skip
WORDS = frozenset({"_text", "_content"})
STAFF = frozenset({"Practitioner", "PractitionerRole"})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def own(scope: ScopeFilter) -> frozenset[str]:
    """Return the patients that a patient or proxy is or acts for."""
    who = scope.principal
    return scope.standing.same(who.own | ({who.patient} - {""}))


def applies(scope: ScopeFilter) -> bool:
    """Return whether anything is left out for the caller."""
    return scope.principal.audience == "patient"


def body(scope: ScopeFilter, resource_type: str, text: bytes) -> bytes:
    """Return the JSON of a resource as the caller is shown it; the same object where nothing is left out.

    Args:
        scope: The caller's.
        resource_type: Type.
        text: The JSON as it is stored, empty for a deletion.
    """
    rule = _RULES.get(resource_type)
    if not text or not applies(scope) or (rule is None and RELEASE.encode() not in text):
        return text
    resource = json.decode(text)
    shown = _released(rule(resource, own(scope)) if rule else resource)
    return text if shown == resource else json.encode(shown)


def restored(scope: ScopeFilter, resource_type: str, text: bytes, written: Resource) -> Resource:
    """Return what the caller writes with what was left out of the version that it supersedes; itself where that is nothing.

    Args:
        scope: The caller's.
        resource_type: Type.
        text: The JSON of the superseded version as it is stored.
        written: The resource, as the caller made it of what is shown.
    """
    shown = body(scope, resource_type, text)
    if shown is text:
        return written
    before, after = json.decode(text), json.decode(shown)
    whole = {**written, **{name: value for name, value in before.items() if name not in after and name not in written}}
    for name, rows in before.items():
        if isinstance(rows, list) and rows != after.get(name):
            whole[name] = _joined(rows, after, written, name)
    mine = written.get("meta", {})
    extensions = before.get("meta", {}).get("extension", [])
    if isinstance(mine, dict) and extensions != after.get("meta", {}).get("extension", []):
        whole["meta"] = {**mine, "extension": _joined(extensions, after["meta"], mine, "extension")}
    return whole


def refuse(scope: ScopeFilter, resource_type: str, pairs: Pairs) -> None:
    """Refuse a search by what is left out.

    Raises:
        Forbidden: A parameter of it is of an element that the caller is not shown.
    """
    if not applies(scope):
        return
    for name, value in pairs:
        texts = f"{name} {value}" if name in {"_filter", "_sort", "_query"} else name
        asked = frozenset(_NAME.findall(texts.lower() if name != "_filter" else texts))
        led = "." in texts or "_has" in asked
        staff = resource_type in STAFF or led
        if (
            (staff and asked & CONTACT)
            or (resource_type in _RULES and asked & WORDS)
            or _others(scope, resource_type, name, value)
        ):
            raise Forbidden(
                f"'{name[:60]}' asks for something that patients are not shown of a {resource_type}. Leave it out.",
                expression=f"http.{name[:60]}",
            )


def _others(scope: ScopeFilter, resource_type: str, name: str, value: str) -> bool:
    """Return whether a criterion asks about other patients."""
    code, _, modifier = name.partition(":")
    if resource_type == "Patient":
        return code == "link" or (code == "_filter" and "link" in _NAME.findall(value))
    if resource_type != "Appointment":
        return False
    if code == "_filter":
        return not {"actor", "patient"}.isdisjoint(_NAME.findall(value))
    if code.partition(".")[0] not in {"actor", "patient"} or "." in name:
        return False
    if modifier not in {"", "Patient"}:
        return modifier in {"identifier", "not", "text"}
    mine = own(scope)
    texts = [
        text.rpartition("Patient/")[2]
        for text in value.split(",")
        if code == "patient" or modifier or "Patient/" in text
    ]
    return any(text not in mine for text in texts)


def _appointment(resource: Resource, mine: AbstractSet[str]) -> Resource:
    rows = resource.get("participant", [])
    kept = [row for row in rows if not _is_other(row.get("actor", {}), mine)]
    return resource if len(kept) == len(rows) else {**resource, "participant": kept}


def _patient(resource: Resource, mine: AbstractSet[str]) -> Resource:
    links = resource.get("link", [])
    kept = [one for one in links if not _is_other(one.get("other", {}), mine)]
    return resource if len(kept) == len(links) else _with(resource, "link", kept)


def _staff(resource: Resource, mine: AbstractSet[str]) -> Resource:
    shown = resource
    for name in ("telecom", "address"):
        values = resource.get(name, [])
        kept = [one for one in values if one.get("use") not in PRIVATE]
        if len(kept) < len(values):
            shown = _with(shown, name, kept)
    return shown


def _calendar(resource: Resource, mine: AbstractSet[str]) -> Resource:
    return {name: value for name, value in resource.items() if name not in {"comment", "_comment"}}


def _released(resource: Resource) -> Resource:
    meta = resource.get("meta", {})
    extensions = meta.get("extension", [])
    kept = [one for one in extensions if one.get("url") != RELEASE]
    return resource if len(kept) == len(extensions) else {**resource, "meta": _with(meta, "extension", kept)}


_RULES: Mapping[str, Callable[[Resource, AbstractSet[str]], Resource]] = {
    "Appointment": _appointment,
    "Patient": _patient,
    "Practitioner": _staff,
    "PractitionerRole": _staff,
    "Schedule": _calendar,
    "Slot": _calendar,
}


def _is_other(reference: Mapping[str, Any], mine: AbstractSet[str]) -> bool:
    """Return whether a reference is to a patient that is not the caller's."""
    text = str(reference.get("reference", "")).partition("/_history/")[0]
    is_patient = "Patient/" in text or reference.get("type") == "Patient"
    return is_patient and text.rpartition("Patient/")[2] not in mine


def _joined(rows: list[Any], shown: Resource, written: Resource, name: str) -> Any:
    """Return the written rows of an element and those that were not shown; what is no list is left to the checks."""
    mine = written.get(name, [])
    if not isinstance(mine, list):
        return mine
    known = [*shown.get(name, []), *mine]
    return [*mine, *(row for row in rows if row not in known)]


def _with(resource: Resource, name: str, values: list[Any]) -> Resource:
    shown = {key: value for key, value in resource.items() if key != f"_{name}"}
    if values:
        return {**shown, name: values}
    return {key: value for key, value in shown.items() if key != name}
