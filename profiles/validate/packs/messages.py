"""Message id → severity, issue code and sentence of the rules of whole resources."""

from collections.abc import Mapping

from profiles.validate.messages import Message
from profiles.validate.walk import Place, Walk, render

MESSAGES: Mapping[str, Message] = {
    # Values (R4 2.24)
    "ucum-code": Message(
        "error",
        "code-invalid",
        "Unknown code '{value}' in the CodeSystem 'http://unitsofmeasure.org': {reason} Correct 'code'; 'unit' says it to people.",
    ),
    "ucum-annotation": Message(
        "warning",
        "code-invalid",
        "The code '{value}' of 'http://unitsofmeasure.org' has a space within braces, which not every reader of UCUM accepts. "
        "Write it without.",
    ),
    # CodeSystem and ValueSet (R4 4.8, 4.9)
    "property-repeated": Message(
        "error",
        "duplicate",
        "A property is already defined with the {what} '{value}'. Give each its own, or remove one of them.",
    ),
    "property-type": Message(
        "error",
        "value",
        "Wrong type '{found}': the URI '{uri}' identifies a property that has the type '{expected}'. Send that type, or another URI.",
    ),
    "property-code": Message(
        "error",
        "value",
        "The URI '{uri}' is normally assigned the code '{expected}'. The code '{found}' is that of another property and will "
        "be confused with it. Send '{expected}'.",
    ),
    "property-undefined": Message(
        "warning",
        "not-found",
        "The property '{value}' has no definition in CodeSystem.property{hint}, so programs will not know what to do with it. "
        "Define it there.",
    ),
    "property-value": Message(
        "error",
        "value",
        "The property '{value}' has the invalid type '{found}', when it is defined to have the type '{expected}'. Send a value of "
        "that type, or correct the definition.",
    ),
    "content-unexpected": Message(
        "error",
        "business-rule",
        "The content is 'not-present', and there are {found} concepts. Send 'fragment' or 'complete', or leave them out.",
    ),
    "count-complete": Message(
        "error",
        "business-rule",
        "The code system is complete, but the number of concepts ({found}) does not match the stated total number ({stated}). "
        "Correct 'count' or 'content'.",
    ),
    "count-fragment": Message(
        "warning",
        "business-rule",
        "The code system is a {content}, but the number of concepts ({found}) exceeds or matches the stated total number "
        "({stated}). Correct 'count' or 'content'.",
    ),
    "supplement-unnamed": Message(
        "error",
        "required",
        "A supplement must say what it supplements. Add 'supplements' with the canonical URL of that code system.",
    ),
    "supplement-content": Message(
        "error",
        "business-rule",
        "It says what it supplements, so its content must be 'supplement'. Correct 'content', or remove 'supplements'.",
    ),
    "include-relative": Message(
        "error",
        "invalid",
        "URI values in ValueSet.compose.{name}.system must be absolute (not '{value}'). Send the canonical URL of the code system, "
        "also where it is contained.",
    ),
    "include-value-set": Message(
        "error",
        "invalid",
        "The system '{value}' is actually a value set. Send the URI of the code system, or name it in 'valueSet'.",
    ),
    "include-repeated": Message("warning", "duplicate", "The code '{value}' is listed {found} times. List it once."),
    # SearchParameter, CapabilityStatement, OperationDefinition (R4 5.1, 5.7, 5.8)
    "search-expression": Message(
        "error",
        "invalid",
        "Error in search expression '{value}' for {base}: {reason} Correct the expression, or leave {base} out of 'base'.",
    ),
    "search-selects-nothing": Message(
        "error",
        "invalid",
        "The search expression '{value}' selects nothing of a {base}. Add the path there, or leave {base} out of 'base'.",
    ),
    "derived-type": Message(
        "error",
        "business-rule",
        "The type '{found}' is different to the type '{expected}' of {url}, which it is derived from. Send that type.",
    ),
    "derived-base": Message(
        "error",
        "business-rule",
        "The resource type {found} is not listed as a base in the SearchParameter this is derived from ({url}: {allowed}). Leave "
        "it out, or do not derive.",
    ),
    "derived-expression": Message(
        "warning",
        "business-rule",
        "The expression '{value}' is not the '{expected}' of {url}, which it is derived from. Searches by one will not find what "
        "the other finds. Check that this is meant.",
    ),
    "stated-type": Message(
        "error",
        "business-rule",
        "Type mismatch - SearchParameter '{url}' is of type {expected}, but the type here is {found}. Send the type of the definition.",
    ),
    "stated-name": Message(
        "warning",
        "business-rule",
        "SearchParameter '{url}' has the code '{expected}', but the name here is '{found}'. Send the code, or another definition.",
    ),
    "stated-profile": Message(
        "error",
        "business-rule",
        "The profile '{url}' is for {found}, but the resource type here is {expected}. Name a profile for {expected}.",
    ),
    "operation-nowhere": Message(
        "error",
        "business-rule",
        "The operation is defined at no level. Let one of 'system', 'type' and 'instance' be true.",
    ),
    "operation-resource": Message(
        "warning",
        "business-rule",
        "The operation is defined for types or instances, but not of which resource types. Add 'resource'.",
    ),
    "operation-query": Message(
        "error",
        "business-rule",
        "A named query is asked at the system or at a type. Let 'system' or 'type' be true.",
    ),
    "parameter-repeated": Message(
        "error",
        "duplicate",
        "There is another parameter of the name '{value}' for '{use}' already. Give each its own name.",
    ),
    "parameter-max": Message("error", "value", "'{value}' is no maximum. Send a number, or '*' for any number."),
    "parameter-range": Message(
        "error", "value", "At least {min} are asked for and at most {max} allowed. Correct one of them."
    ),
    # StructureDefinition (R4 5.3)
    "type-undefined": Message(
        "error",
        "invalid",
        "The type {value} is not legal because it is not defined in the FHIR specification{hint}. Other types must be a URL of "
        "their own, such as that of this definition.",
    ),
    "type-of-base": Message(
        "error",
        "business-rule",
        "The type {value} must not be the same as the type in the base structure that is being specialized. Send a type of its own, "
        "or the derivation 'constraint'.",
    ),
    "path-begin": Message(
        "error",
        "structure",
        "The path {path} must start with the type of the structure {type}. Correct the path or 'type'.",
    ),
    "extension-url": Message(
        "error",
        "business-rule",
        "The fixed value for the extension URL is {found}, which doesn't match the canonical URL {expected}. Send the same.",
    ),
    "context-element": Message(
        "warning",
        "invalid",
        "The element {value} is not valid: R4 has no such element{hint}. Correct the expression of the context.",
    ),
    "constraint-syntax": Message(
        "error",
        "invalid",
        "Error in constraint '{key}' with expression '{value}': {reason} Correct the expression.",
    ),
    "constraint-expression": Message(
        "warning",
        "invalid",
        "Constraint '{key}' with expression '{value}' makes no sense here: {reason} Correct the expression.",
    ),
    "discriminator-path": Message(
        "error",
        "invalid",
        "The discriminator path '{value}' does not appear to be valid for the element that is being sliced '{path}' ({types}). "
        "Send the path of an element within it.",
    ),
    # Bundle (R4 2.36)
    "full-url-relative": Message(
        "error",
        "invalid",
        "The fullUrl must be an absolute URL (not '{value}'). Send the address of the resource, or urn:uuid: with a UUID.",
    ),
    "full-url-end": Message(
        "error",
        "invalid",
        "The fullUrl '{value}' looks like a RESTful server URL, so it must end with the correct type and id (/{expected}). "
        "Correct the fullUrl or the resource.",
    ),
    "full-url-without-id": Message(
        "error",
        "invalid",
        "The fullUrl '{value}' looks like a RESTful server URL, but the resource has no id. Add its id, or send urn:uuid: with "
        "a UUID as fullUrl.",
    ),
    "full-url-required": Message(
        "error",
        "required",
        "Each entry of a {type} must have a fullUrl, which is the identity of the resource in the entry. Add it: the address of "
        "the resource, or urn:uuid: with a UUID.",
    ),
    "full-url-missing": Message(
        "warning",
        "required",
        "Except for transactions and batches, each entry in a Bundle should have a fullUrl, which is the identity of the "
        "resource in the entry. Add it, so that references can find the resource.",
    ),
    "link-repeated": Message(
        "error",
        "duplicate",
        "The link relationship type '{value}' can only occur once, but occurs {found} times. Keep one of them.",
    ),
    "link-prohibited": Message(
        "error",
        "business-rule",
        "The link relationship type '{value}' leads through pages of a search and has no place in a {type}. Remove it.",
    ),
    "match-without-id": Message(
        "error",
        "required",
        "Search results must have ids, and this {found} has none. Add its id.",
    ),
    "match-type": Message(
        "error",
        "invalid",
        "This is not a matching resource type for the specified search ({found}, expecting {expected}). Remove the entry, or give "
        "it the search mode 'include' or 'outcome'.",
    ),
    "outcome-type": Message(
        "error",
        "invalid",
        "This is not an OperationOutcome ({found}), which an entry of search mode 'outcome' must be. Correct the mode.",
    ),
    "reference-outside": Message(
        "error",
        "not-found",
        "Can't find '{value}' in the bundle ({element}): a {type} must hold what it refers to here.{hint} Add an entry for it, or "
        "correct the reference.",
    ),
    "reference-beside": Message(
        "error",
        "not-found",
        "Can't find '{value}' in the bundle.{hint} Refer to the resource by its fullUrl, or correct the fullUrl.",
    ),
    "reference-beside-collection": Message(
        "warning",
        "not-found",
        "The bundle contains no match for '{value}' by the rules of reference resolution.{hint} Refer to the resource by its "
        "fullUrl, or correct the fullUrl.",
    ),
    "entry-unreachable": Message(
        "error",
        "structure",
        "Entry '{value}' isn't reachable by traversing links (forward or backward) from the Composition. Refer to it, or remove it "
        "from the document.",
    ),
    "entry-backward": Message(
        "warning",
        "structure",
        "Entry '{value}' isn't reachable by traversing forwards from the Composition. Only Provenance is approved to be used this "
        "way (R4 section 3.3.1). Refer to it, or remove it.",
    ),
    "entry-unreachable-message": Message(
        "warning",
        "structure",
        "Entry '{value}' isn't reachable by traversing links (forward or backward) from the MessageHeader. Refer to it, or remove "
        "it if the message can be processed without it.",
    ),
}


REFUSED: frozenset[str] = frozenset(
    {
        "full-url-required",
        "link-prohibited",
        "link-repeated",
        "match-type",
        "match-without-id",
        "outcome-type",
        "reference-outside",
    }
)
"""Errors for which a write is refused. The others published resources of R4 and of guides have: on a write they are warnings."""


def report(walk: Walk, message_id: str, where: Place, **places: object) -> None:
    """Add the finding of a message at a place."""
    message = MESSAGES[message_id]
    if message.severity == "error" and not (walk.strict or message_id in REFUSED):
        message = message._replace(severity="warning")
    walk.add(message.issue(message_id, render(where), places))
