"""What a row of a differential makes of the element that it constrains (R4 ElementDefinition, "Interpretation").

A profile may only narrow: what it would widen is reported, and the base stays. Only a weaker binding, which guides that
many use have, counts as the profile says it. Texts that begin with `...` are appended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from profiles.issue import Issue
from profiles.snapshot.messages import issue

Json = dict[str, Any]

STRENGTHS = ("example", "preferred", "extensible", "required")
PLACE = frozenset({"id", "path", "sliceName", "base"})
TEXTS = ("definition", "comment", "requirements", "meaningWhenMissing")
ANYTHING = frozenset({"Resource", "DomainResource", "Element", "BackboneElement", "*"})
BINDABLE = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", *ANYTHING})
LARGEST = 10**9
CORE = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


@dataclass(frozen=True, slots=True)
class Merge:
    """What the merging of rows needs to know.

    Attributes:
        profile: URL of the profile, for messages.
        lineage: Returns a type's name and those of the types that it specializes.
        report: Takes what is wrong.
    """

    profile: str
    lineage: Callable[[str], tuple[str, ...]]
    report: Callable[[Issue], None]

    def row(self, base: Json, change: Json, element_id: str) -> Json:
        """Return the base with the change in it; neither is changed."""
        found = {**base, **{key: value for key, value in change.items() if key not in PLACE and key not in _LISTS}}
        for key in TEXTS:
            if str(change.get(key, "")).startswith("..."):
                found[key] = f"{base.get(key, '')}\n{change[key][3:]}".strip()
        for key, join in _LISTS.items():
            if key in change:
                found[key] = join(base.get(key, []), change[key])
        if "binding" in change:
            found["binding"] = self._binding(base.get("binding", {}), change["binding"], element_id)
        if "type" in change:
            found["type"] = self._type(base.get("type", []), change["type"], element_id)
        if "binding" in found and not BINDABLE & {fhir_type(option) for option in found.get("type", ())}:
            del found["binding"]
        if "slicing" in change:
            found["slicing"] = {**base.get("slicing", {}), **change["slicing"]}
        if base.get("mustSupport") is True and change.get("mustSupport") is False:
            self._report("profile-must-support", element_id)
        self._cardinality(base, change, found, element_id)
        self._values(change, found, element_id)
        return found

    def _values(self, change: Json, found: Json, element_id: str) -> None:
        """Report a fixed value or pattern that is of another type than the element."""
        names = {fhir_type(option) for option in found.get("type", ())}
        allowed = {name[:1].upper() + name[1:] for code in names for name in self.lineage(code)}
        for key in change:
            kind = key.removeprefix("fixed").removeprefix("pattern")
            if kind != key and allowed and kind not in allowed:
                self._report("profile-value-type", element_id, found=key, allowed=" or ".join(sorted(names)))

    def _cardinality(self, base: Json, change: Json, found: Json, element_id: str) -> None:
        low, high = found.get("min", 0), found.get("max", "*")
        if type(low) is not int or low < 0:
            self._report("profile-cardinality", element_id, what="minimum", found=low, or_star="")
            low = found["min"] = base.get("min", 0)
        if not _is_maximum(high):
            self._report("profile-cardinality", element_id, what="maximum", found=high, or_star=" or '*'")
            high = found["max"] = base.get("max", "*")
        if low < base.get("min", 0):
            self._report("profile-minimum", element_id, allowed=base["min"], found=low)
            low = found["min"] = base["min"]
        if limit(high) > limit(base.get("max", "*")):
            self._report("profile-maximum", element_id, allowed=base["max"], found=high)
            high = found["max"] = base["max"]
        if low > limit(high):
            self._report("profile-range", element_id, min=low, max=high)

    def _type(self, base: list[Json], change: list[Json], element_id: str) -> list[Json]:
        """Types as the profile lists them. A row of the base keeps its extensions, which say what the type is in FHIR."""
        allowed = {str(option.get("code", "")): option for option in base}
        allowed |= {name: option for option in base if (name := fhir_type(option)) not in allowed}
        found: list[Json] = []
        for option in change:
            code = str(option.get("code", ""))
            known = next((name for name in self.lineage(code) if name in allowed), None)
            if known is None and allowed and not ANYTHING & allowed.keys():
                names = ", ".join(sorted(allowed))
                self._report("profile-type", element_id, found=code or "without a code", allowed=names)
                continue
            said = allowed.get(code, {})
            found.append({**({"extension": said["extension"]} if "extension" in said else {}), **option})
        return found or base

    def _binding(self, base: Json, change: Json, element_id: str) -> Json:
        was, becomes = (
            str(base.get("strength", "example")),
            str(change.get("strength", base.get("strength", "example"))),
        )
        if was in STRENGTHS and becomes in STRENGTHS and STRENGTHS.index(becomes) < STRENGTHS.index(was):
            self._report("profile-binding", element_id, allowed=was, found=becomes)
        kept: Json = {key: base[key] for key in ("strength", "valueSet") if key in base and key not in change}
        return {**kept, **change}

    def _report(self, message_id: str, element_id: str, **places: object) -> None:
        self.report(issue(message_id, element_id, profile=self.profile, id=element_id, **places))


def root(base: Json, profile: Json) -> Json:
    """Return an element with what the root of its type profile says about it; cardinality is the element's own."""
    found = dict(base)
    for key in ("short", "definition", "comment", "isModifier", "isModifierReason"):
        if key in profile:
            found[key] = profile[key]
    for key in ("constraint", "condition"):
        if key in profile:
            found[key] = _LISTS[key](base.get(key, []), profile[key])
    for key, value in profile.items():
        if key.startswith(("fixed", "pattern")):
            found.setdefault(key, value)
    return found


def fhir_type(option: Json) -> str:
    """Return the name of the type in a row of `type`: that of FHIR where the row has that of FHIRPath."""
    said = [one.get("valueUrl") for one in option.get("extension", ()) if one.get("url") == FHIR_TYPE]
    return str(said[0]) if said else str(option.get("code", "")).removeprefix(CORE)


def limit(maximum: object) -> int:
    """Return a maximum as a number, a very large one for `*`."""
    text = str(maximum)
    return min(int(text), LARGEST) if text.isascii() and text.isdigit() and len(text) < 10 else LARGEST


def _is_maximum(value: object) -> bool:
    return isinstance(value, str) and (value == "*" or (value.isascii() and value.isdigit()))


def _by_key(base: list[Json], change: list[Json]) -> list[Json]:
    """Constraints of the base, then new ones; one of the same key says what the base says, in place of it."""
    replaced = {rule.get("key"): rule for rule in change}
    known = {rule.get("key") for rule in base}
    kept = [replaced.get(rule.get("key"), rule) for rule in base]
    return kept + [rule for rule in change if rule.get("key") not in known]


def _union(base: list[Any], change: list[Any]) -> list[Any]:
    return base + [value for value in change if value not in base]


_LISTS: Mapping[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "constraint": _by_key,
    "condition": _union,
    "mapping": _union,
    "alias": _union,
    "example": _union,
}
