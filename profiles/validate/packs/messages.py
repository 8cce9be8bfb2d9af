"""Message id → severity, issue code and sentence of the rules of whole resources."""

from collections.abc import Mapping

from profiles.issue import Issue
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


COMMON: frozenset[str] = frozenset(
    {
        "ucum-code",
        "entry-unreachable",
        "full-url-end",
        "full-url-relative",
        "full-url-without-id",
        "reference-beside",
    }
)
"""What published examples of R4 and of national guides get wrong. It refuses no write: there it is a warning."""


def report(walk: Walk, message_id: str, where: Place, **places: object) -> None:
    """Add the finding of a message at a place."""
    message = MESSAGES[message_id]
    severity = "warning" if message_id in COMMON and not walk.strict else message.severity
    walk.add(Issue(severity, message.code, message.text.format_map(places), render(where), message_id))
