"""Message id → severity, issue code and sentence: every finding of validation, in one table.

A sentence says what was found, what is allowed and what to change. Values of the resource are shown in at most 60
characters: an outcome is no place to copy records to.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from profiles.definitions.model import Invariant
from profiles.issue import Issue, Severity
from profiles.validate import remedies

LONGEST_VALUE = 60
SHOWN = {dict: "an object", list: "an array", type(None): "null"}


class Message(NamedTuple):
    """One row: how severe, which IssueType code, and the sentence with its places in braces."""

    severity: Severity
    code: str
    text: str

    def issue(self, message_id: str, expression: str, places: Mapping[str, object], profile: str = "") -> Issue:
        """Return the finding of this row.

        Args:
            message_id: Key of the row.
            expression: Where it was found.
            places: What stands in the braces.
            profile: Canonical of the profile that asks for it, empty for the base definitions.
        """
        return Issue(self.severity, self.code, self.text.format_map(places), expression, message_id, profile=profile)


MESSAGES: Mapping[str, Message] = {
    # The JSON as such (R4 2.6.2)
    "unknown-property": Message(
        "error",
        "structure",
        "Unrecognized property '{name}'{hint}. {type} has no such element: correct its name or remove it.",
    ),
    "array-expected": Message(
        "error",
        "structure",
        "This property must be an Array, not {found}: '{name}' may repeat. Put its value in [ ].",
    ),
    "array-not-expected": Message(
        "error",
        "structure",
        "This property must be {expected}, not an array: '{name}' does not repeat. Send one value without [ ].",
    ),
    "object-expected": Message(
        "error",
        "structure",
        "This property must be an Object, not {found}: '{name}' is of type {type}. Send its members in {{ }}.",
    ),
    "array-empty": Message(
        "error",
        "structure",
        "Array cannot be empty - the property '{name}' should not be present if it has no values. Remove it.",
    ),
    "object-empty": Message(
        "error",
        "structure",
        "Object must have some content: '{name}' is empty. Remove it or fill it.",
    ),
    "content-missing": Message(
        "error",
        "structure",
        "Object must have some content besides its id: '{name}' has neither a value nor children. Remove it or fill it.",
    ),
    "null": Message(
        "error",
        "structure",
        "The property '{name}' must not be null. Remove it if it has no value.",
    ),
    "null-in-array": Message(
        "error",
        "structure",
        "A null in '{name}' stands for a value that only has extensions, and '{sibling}' has none at this position. "
        "Remove the null.",
    ),
    "sibling-length": Message(
        "error",
        "structure",
        "'{sibling}' has {found} entries where '{name}' has {expected}. Give both the same length, with null as filler.",
    ),
    "primitive-kind": Message(
        "error",
        "invalid",
        "Error parsing JSON: the primitive value must be a {expected}, not {found}. '{name}' is of type {type}.",
    ),
    # Resources
    "not-an-object": Message(
        "error",
        "structure",
        "A resource must be a JSON Object with a resourceType, not {found}.",
    ),
    "type-missing": Message(
        "error",
        "structure",
        "The property 'resourceType' is missing{hint}. Add it, so that the resource can be read.",
    ),
    "type-unknown": Message(
        "error",
        "structure",
        "Unknown resource type '{found}'{hint}. Use one of the resource types of FHIR R4 (4.0.1).",
    ),
    "type-abstract": Message(
        "error",
        "structure",
        "'{found}' is an abstract type, which no resource can have. Use one of the concrete types of FHIR R4 (4.0.1).",
    ),
    "type-mismatch": Message(
        "error",
        "structure",
        "The resource is of type '{found}' where '{expected}' is expected. Send that type, or use the address of '{found}'.",
    ),
    "too-deep": Message(
        "error",
        "too-long",
        "The resource is nested too deeply to be checked. Flatten it.",
    ),
    # Cardinality and choice
    "minimum": Message(
        "error",
        "required",
        "{path}: minimum required = {min}, but only found {found} (from {url}). Add '{name}'.",
    ),
    "maximum": Message(
        "error",
        "structure",
        "{path}: max allowed = {max}, but found {found} (from {url}). Remove the surplus.",
    ),
    "choice": Message(
        "error",
        "structure",
        "{path}: max allowed = 1, but found {found} ({names}). The element may have one type only. Keep one of them.",
    ),
    # Values
    "primitive": Message(
        "error",
        "value",
        "Not a valid {type} ('{value}'): {reason}. It must be {allowed}.",
    ),
    "empty-string": Message(
        "error",
        "value",
        "'{name}' is empty: @value cannot be empty. Remove the property if it has no value.",
    ),
    "resource-id": Message(
        "error",
        "invalid",
        "Invalid Resource id: {reason} ('{value}'). It must be {allowed}.",
    ),
    "binding-code": Message(
        "error",
        "code-invalid",
        "The value provided ('{value}') was not found in the value set '{set}' ({url}), and a code is required from "
        "this value set{hint}.",
    ),
    "binding-codings": Message(
        "error",
        "code-invalid",
        "None of the codings provided are in the value set '{set}' ({url}), and a coding from this value set is "
        "required (codes = {value}){hint}.",
    ),
    "binding-missing": Message(
        "error",
        "code-invalid",
        "No code provided, and a code is required from the value set '{set}' ({url}){hint}.",
    ),
    # References
    "reference-format": Message(
        "error",
        "invalid",
        "Relative URLs must be of the format [ResourceName]/[id]. Encountered {value}. Send that form, an absolute URL, "
        "or '#' with the id of a contained resource.",
    ),
    "reference-conditional": Message(
        "error",
        "invalid",
        "The conditional reference {value} is allowed within a transaction only. Send [ResourceName]/[id].",
    ),
    "reference-type": Message(
        "error",
        "structure",
        "Unknown resource type '{found}' in the reference {value}{hint}. Use a resource type of FHIR R4 (4.0.1).",
    ),
    "reference-target": Message(
        "error",
        "structure",
        "The type '{found}' is not a valid Target for this element (must be one of {allowed}). Refer to one of these.",
    ),
    "reference-disagrees": Message(
        "error",
        "structure",
        "The reference points to a '{found}', but its type says '{expected}'. Correct or remove 'type'.",
    ),
    "reference-type-name": Message(
        "error",
        "structure",
        "'{value}' is not a resource type of FHIR R4 (4.0.1){hint}. Correct or remove 'type'.",
    ),
    "reference-contained": Message(
        "error",
        "not-found",
        "The reference {value} names a contained resource that is not there. Add it to 'contained' or correct the "
        "reference.",
    ),
    # Contained resources (R4 2.4.0.11)
    "contained-id": Message(
        "error",
        "required",
        "A contained resource must have an id. Add 'id', and refer to the resource as '#' followed by it.",
    ),
    "contained-duplicate": Message(
        "error",
        "duplicate",
        "Another contained resource has the id '{value}' already. Give each its own id.",
    ),
    "contained-unused": Message(
        "error",
        "invariant",
        "Constraint failed: dom-3: nothing refers to the contained resource '{value}', nor does it refer to its "
        "container. Refer to it as '#{value}' or remove it.",
    ),
    # Narrative (R4 2.4.0.7)
    "narrative-xml": Message(
        "error",
        "invalid",
        "Error parsing XHTML: {reason} (line {line}, column {column}). Send well-formed XHTML in one <div>.",
    ),
    "narrative-root": Message(
        "error",
        "invalid",
        'The narrative must be one <div xmlns="http://www.w3.org/1999/xhtml">, not {found}. Wrap it in that element.',
    ),
    "narrative-empty": Message(
        "error",
        "invariant",
        "Constraint failed: txt-2: 'The narrative SHALL have some non-whitespace content'. Add text, or remove 'text'.",
    ),
    "narrative-construct": Message(
        "error",
        "security",
        "The narrative has {found}, which is not allowed in XHTML of a resource. Remove it.",
    ),
    "narrative-element": Message(
        "error",
        "security",
        "Invalid element name in the XHTML ('{value}'). The narrative may hold basic formatting, lists, tables, links "
        "and images only. Remove the element.",
    ),
    "narrative-attribute": Message(
        "error",
        "security",
        "Invalid attribute name in the XHTML ('{value}' on '{on}'). Remove the attribute; scripts and event handlers are "
        "never allowed.",
    ),
    "narrative-url": Message(
        "error",
        "security",
        "The URL '{value}' in attribute '{name}' of '{on}' is not allowed in a narrative. Use http, https, mailto, tel, "
        "a relative URL, '#', or for images data:image.",
    ),
    "narrative-style": Message(
        "error",
        "security",
        "The style of '{on}' runs a script or loads something ('{value}'). Remove that part.",
    ),
    # Invariants
    "invariant": Message(
        "error",
        "invariant",
        "Constraint failed: {key}: '{human}' (defined in {url}). {remedy}",
    ),
}


def issue(message_id: str, expression: str = "", **places: object) -> Issue:
    """Return the finding of one row of the table.

    Args:
        message_id: Key in `MESSAGES`.
        expression: FHIRPath location.
        places: What stands in the braces.
    """
    return MESSAGES[message_id].issue(message_id, expression, places)


def constraint(invariant: Invariant, url: str) -> Callable[[str], Issue]:
    """Return what makes the finding that an invariant is not met at a location.

    It has the invariant's own severity, and is named by the definition and its key.
    """
    message = MESSAGES["invariant"]
    severity: Severity = "warning" if invariant.severity == "warning" else message.severity
    remedy = remedies.remedy(invariant.key, url)
    text = message.text.format(key=invariant.key, human=invariant.human.rstrip(), url=url, remedy=remedy)
    name = f"{url}#{invariant.key}"
    return lambda expression: Issue(severity, message.code, text, expression, name)


def home(path: str) -> str:
    """Return the URL of the StructureDefinition that states a path, such as that of `Patient` for `Patient.contact`."""
    return f"http://hl7.org/fhir/StructureDefinition/{path.partition('.')[0]}"


def shown(value: object, most: int = LONGEST_VALUE) -> str:
    """Return a value of the resource on one line, in at most 60 characters (or so many as are given)."""
    if isinstance(value, str):
        # Cut first: a text may be megabytes long.
        text = " ".join(value[: most + 1].split())
    elif isinstance(value, Decimal):
        text = str(value)
    elif isinstance(value, int) and abs(value) >= 10**LONGEST_VALUE:
        text = "a number of more than 60 digits"
    else:
        text = SHOWN.get(type(value), str(value).lower())
    return text if len(text) <= most else text[: most - 1] + "…"
