"""Bindings of a profile (R4 4.1.5): required, extensible, preferred, and the maximum value set of an extension."""

from collections.abc import Callable
from typing import Any

from profiles.snapshot.source import Origin
from profiles.validate.messages import shown
from profiles.validate.profile.codes import Codes, Coding
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Visit

Json = dict[str, Any]
Check = Callable[[Item, Visit], None]

WIDER = frozenset({"http://hl7.org/fhir/ValueSet/ucum-vitals-common"})
"""Required by R4's vital signs of every component, be it a concept or a flow in L/min: HL7's own validator holds it extensible."""

MOST_ACCEPTED = 1000
_CODED = frozenset({"Coding", "Quantity", "Age", "Duration", "Count", "Distance", "Money"})
_PLAIN = frozenset({"code", "string", "uri"})

MAXIMUM = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
MESSAGE = {"required": "binding-required", "extensible": "binding-extensible", "preferred": "binding-preferred"}


def compile(row: Json, before: Json, codes: Codes, origin: Origin) -> list[Check]:  # noqa: A001 - the word for it
    """Return the checks of a binding: of its value set, and of its maximum value set.

    Args:
        row: ElementDefinition.binding of the profile.
        before: That of the type.
        codes: Who knows what is in a value set.
        origin: The profile, which may contain value sets of its own.
    """
    found, url = [], origin.url
    strength, value_set = row.get("strength"), row.get("valueSet")
    same = strength == before.get("strength") and value_set == before.get("valueSet")
    if isinstance(value_set, str) and value_set.startswith("#"):
        value_set = codes.contained(value_set[1:], origin)
    if isinstance(value_set, str) and value_set.partition("|")[0] in WIDER and strength == "required":
        strength = "extensible"
    if strength in MESSAGE and isinstance(value_set, str) and not same:
        found.append(_check(MESSAGE[strength], value_set, codes, url))
    for extension in row.get("extension", ()):
        most = extension.get("valueCanonical") if extension.get("url") == MAXIMUM else None
        if isinstance(most, str):
            found.append(_check("binding-maximum", most, codes, url))
    return found


def codings(item: Item) -> list[Coding] | None:
    """Return what a value codes: (system, code) of each coding; `None` for a value that codes nothing by its type."""
    value, of_type = item.value, item.type
    if of_type == "CodeableConcept":
        rows = value.get("coding") if type(value) is dict else None
        return [pair for one in rows if (pair := _pair(one))] if type(rows) is list else []
    if of_type in _CODED:
        pair = _pair(value)
        return [pair] if pair else []
    if of_type in _PLAIN:
        return [("", value)] if type(value) is str else []
    return None


def _pair(node: Any) -> Coding | None:
    if type(node) is not dict:
        return None
    system, code = node.get("system", ""), node.get("code")
    return (system, code) if type(code) is str and type(system) is str else None


def _check(  # noqa: C901 - most of it is the closures in it
    message_id: str, value_set: str, codes: Codes, url: str
) -> Check:
    demanded = message_id in {"binding-required", "binding-maximum"}
    local: set[Coding] = set()
    certain: set[Coding] = set()

    def check(item: Item, visit: Visit) -> None:
        value, asking = item.value, visit.shared.asking
        if asking is not None and not (demanded or asking.extensible):
            asking = None
        # Who asks nobody passes what nobody here knows; who asks, only what is known to be right.
        accepted = local if asking is None else certain
        if type(value) is str:
            if ("", value) in accepted:
                return
        elif type(value) is dict:
            visit.shared.bound.add(value_set)
            if _first(value) in accepted:
                return
        found = codings(item)
        if found is None:
            return
        answers = [codes.member(value_set, system, code) for system, code in found]
        settled = asking is None or None not in answers
        if asking is not None and None in answers and True not in answers:
            # Another time the answer may be another one.
            visit.shared.outside += 1
            answers = asking.answers(value_set, found, answers)
        if True not in answers and (demanded or None not in answers):
            told(item, found, visit, open_=None in answers)
        elif len(accepted) < MOST_ACCEPTED and settled and answers[0] is not False:
            accepted.add(found[0])

    def told(item: Item, found: list[Coding], visit: Visit, *, open_: bool) -> None:
        places = {"set": codes.name(value_set), "url": url}
        if found:
            given = ", ".join(f"'{shown(f'{system}#{code}' if system else code)}'" for system, code in found[:3])
            visit.report("binding-unchecked" if open_ else message_id, item.where, value=given, **places)
        # Text alone is what an extensible binding allows; a primitive without a value says why it has none.
        elif message_id == "binding-required" and item.type in {"CodeableConcept", "Coding"}:
            visit.report("binding-missing", item.where, **places)

    return check


def _first(value: Json) -> Coding | None:
    """Return the first or only coding of a value, which nearly always is the one that fits."""
    rows = value.get("coding")
    return _pair(rows[0] if type(rows) is list and rows else value)
