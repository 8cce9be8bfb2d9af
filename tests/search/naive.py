"""A second, slow reading of SearchParameter expressions: straight from the text, without the definitions.

Every step is applied to a list of (FHIR type or "", value). Types are only known where a JSON key tells them
(`valueQuantity`), which is where an expression asks for them.
"""

import re
from typing import Any

Pairs = list[tuple[str, Any]]

PRIMITIVES = {
    "base64Binary", "boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "instant", "integer", "markdown",
    "oid", "positiveInt", "string", "time", "unsignedInt", "uri", "url", "uuid",
}  # fmt: skip
COMPLEX = {
    "Address", "Age", "Annotation", "Attachment", "CodeableConcept", "Coding", "ContactDetail", "ContactPoint",
    "Contributor", "Count", "DataRequirement", "Distance", "Dosage", "Duration", "Expression", "HumanName", "Identifier",
    "Meta", "Money", "ParameterDefinition", "Period", "Quantity", "Range", "Ratio", "Reference", "RelatedArtifact",
    "SampledData", "Signature", "Timing", "TriggerDefinition", "UsageContext",
}  # fmt: skip
SUFFIXES = {name[0].upper() + name[1:]: name for name in PRIMITIVES | COMPLEX}


def evaluate(expression: str, resource: dict[str, Any]) -> list[Any]:
    """Return the JSON values that the expression selects in the resource."""
    return [value for _, value in evaluate_typed(expression, resource)]


def evaluate_typed(expression: str, resource: dict[str, Any]) -> Pairs:
    """Return the same with the FHIR type of each value where a JSON key tells it, else an empty text."""
    found: Pairs = []
    for part in _split(expression, "|"):
        found += _typed(part.strip(), resource)
    pairs: Pairs = []
    for kind, value in found:
        pairs += [("", inner) for inner in _values_of_extension(value)] if kind == "Extension" else [(kind, value)]
    return pairs


def _typed(text: str, resource: dict[str, Any]) -> Pairs:
    """`X as T`, where X may be parenthesized, else a path."""
    match = re.fullmatch(r"(.*\S) as (\w+)", text)
    if match and match[1].count("(") == match[1].count(")"):
        return [pair for pair in _typed(match[1], resource) if _is(pair, match[2])]
    if text.startswith("(") and text.endswith(")"):
        return _typed(text[1:-1].strip(), resource)
    return _path(text, resource)


def _path(text: str, resource: dict[str, Any]) -> Pairs:
    head, *steps = _split(text, ".")
    if head.startswith("("):
        here = _typed(head[1:-1], resource)
    elif head[0].isupper():
        here = [("", resource)] if head in {resource["resourceType"], "Resource", "DomainResource"} else []
    else:
        here = _step(head, [("", resource)], resource)
    for step in steps:
        here = _step(step.strip(), here, resource)
    return here


def _step(step: str, here: Pairs, resource: dict[str, Any]) -> Pairs:
    if match := re.fullmatch(r"(?:as|ofType)\((\w+)\)", step):
        return [pair for pair in here if _is(pair, match[1])]
    if match := re.fullmatch(r"where\(resolve\(\) is (\w+)\)", step):
        return [pair for pair in here if _points_to(pair[1], match[1], resource)]
    if match := re.fullmatch(r"where\((\w+)='([^']*)'\)", step):
        return [pair for pair in here if pair[1].get(match[1]) == match[2]]
    if match := re.fullmatch(r"where\(hasExtension\('([^']*)'\)\)", step):
        return [pair for pair in here if any(one["url"] == match[1] for one in pair[1].get("extension", []))]
    if match := re.fullmatch(r"extension\('([^']*)'\)", step):
        inside = [one for _, value in here for one in value.get("extension", [])]
        return [("Extension", one) for one in inside if one["url"] == match[1]]
    if match := re.fullmatch(r"(\w+)\[(\d+)\]", step):
        return [pair for one in here for pair in _member(match[1], [one])[int(match[2]) : int(match[2]) + 1]]
    assert re.fullmatch(r"\w+", step), step
    return _member(step, here)


def _member(name: str, here: Pairs) -> Pairs:
    found: Pairs = []
    for _, value in here:
        # `subscriberId` is no choice of `subscriber`; where both are there, the plain name is meant.
        for key, member in value.items() if name not in value else [(name, value[name])]:
            kind = SUFFIXES.get(key.removeprefix(name), "") if key != name and key.startswith(name) else ""
            if key == name or kind:
                found += [(kind, one) for one in (member if isinstance(member, list) else [member]) if one is not None]
    return found


def _is(pair: tuple[str, Any], wanted: str) -> bool:
    special = {"Age", "Count", "Distance", "Duration"}
    # `as(DateTime)` is written where `dateTime` is meant (Observation.code-value-date).
    wanted = {"DateTime": "dateTime"}.get(wanted, wanted)
    return pair[0] == wanted or (wanted == "Quantity" and pair[0] in special) or pair[0] == ""


def _points_to(reference: dict[str, Any], wanted: str, resource: dict[str, Any]) -> bool:
    text = reference.get("reference", "")
    if text.startswith("#"):
        return any(one["id"] == text[1:] and one["resourceType"] == wanted for one in resource.get("contained", []))
    if re.search(rf"(^|/){wanted}/[^/]+(/_history/[^/]+)?$", text):
        return True
    return reference.get("type") == wanted and not re.search(r"(^|/)[A-Z]\w+/[^/]+$", text)


def _values_of_extension(extension: dict[str, Any]) -> list[Any]:
    return [value for key, value in extension.items() if key.startswith("value")]


def _split(text: str, separator: str) -> list[str]:
    """Split outside of parentheses and quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for index, letter in enumerate(text):
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter in "([") - (letter in ")]")
        if letter == separator and not depth and not quoted:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
