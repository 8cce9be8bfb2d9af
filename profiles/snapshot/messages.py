"""Message id → severity, issue code and sentence: what can be wrong with a profile."""

from collections.abc import Mapping

from profiles.issue import Issue
from profiles.validate.messages import Message

MESSAGES: Mapping[str, Message] = {
    "profile-base-missing": Message(
        "error",
        "not-found",
        "The base definition '{url}' of '{profile}' is not installed, so it has no snapshot. Install the package that "
        "defines it, or correct 'baseDefinition'.",
    ),
    "profile-base-published": Message(
        "warning",
        "not-found",
        "The base definition '{url}' of '{profile}' is not installed, so the snapshot is the one that it was published with. "
        "Install the package that defines it.",
    ),
    "profile-cycle": Message(
        "error",
        "business-rule",
        "'{profile}' is based on itself by way of '{url}'. Correct one of the base definitions.",
    ),
    "profile-kind": Message(
        "error",
        "not-supported",
        "'{profile}' is a {kind} and not a constraint on a resource or data type, which is all that can be validated "
        "against. Use derivation 'constraint' with a type of FHIR R4 (4.0.1).",
    ),
    "profile-row": Message(
        "error",
        "structure",
        "An element of '{profile}' has no usable path: {reason}. Give each a path that begins with '{type}'.",
    ),
    "profile-unknown-element": Message(
        "error",
        "structure",
        "The differential of '{profile}' names '{id}', and {parent} has no element '{name}'. Correct the path.",
    ),
    "profile-type": Message(
        "error",
        "structure",
        "'{profile}' gives '{id}' the type {found}, and its base allows {allowed}. Use one of these.",
    ),
    "profile-minimum": Message(
        "error",
        "structure",
        "'{profile}' lowers the minimum of '{id}' from {allowed} to {found}. A profile can only raise it.",
    ),
    "profile-maximum": Message(
        "error",
        "structure",
        "'{profile}' raises the maximum of '{id}' from {allowed} to {found}. A profile can only lower it.",
    ),
    "profile-range": Message(
        "error",
        "structure",
        "'{profile}' demands at least {min} of '{id}' and allows at most {max}. Correct one of them.",
    ),
    "profile-cardinality": Message(
        "error",
        "value",
        "'{profile}' gives '{id}' the {what} '{found}'. It must be a number{or_star}.",
    ),
    "profile-binding": Message(
        "warning",
        "business-rule",
        "'{profile}' weakens the binding of '{id}' from {allowed} to {found}, and a profile should only make it stronger. "
        "It is taken as the profile says it.",
    ),
    "profile-no-slicing": Message(
        "error",
        "structure",
        "'{profile}' has the slice '{id}', and nothing says how '{name}' is sliced. Add 'slicing' with a discriminator.",
    ),
    "profile-closed": Message(
        "error",
        "structure",
        "'{profile}' adds the slice '{id}', and its base closes the slicing of '{name}'. Only constrain its slices.",
    ),
    "profile-wrong-profile": Message(
        "error",
        "structure",
        "'{profile}' gives '{id}' the profile '{url}', which is for {found}, and its type is {allowed}. Name a profile for it.",
    ),
    "profile-mandatory-types": Message(
        "error",
        "structure",
        "'{profile}' demands several types of '{id}', which can have one only. Demand one of them.",
    ),
    "profile-value-type": Message(
        "error",
        "structure",
        "'{profile}' gives '{id}' the value '{found}', and its type is {allowed}. Give a value of that type.",
    ),
    "profile-must-support": Message(
        "error",
        "business-rule",
        "'{profile}' says of '{id}' that it need not be supported, and its base that it must. Leave mustSupport out.",
    ),
    "profile-type-profile": Message(
        "warning",
        "not-found",
        "'{profile}' constrains '{id}' by the profile '{url}', which is not installed. What it says about its elements is "
        "not part of the snapshot. Install the package that defines it.",
    ),
    "profile-too-large": Message(
        "error",
        "too-costly",
        "The snapshot of '{profile}' would have more than {limit} elements. Split the profile.",
    ),
    "profile-too-deep": Message(
        "error",
        "too-costly",
        "'{profile}' is nested too deeply for a snapshot. Flatten it.",
    ),
}


def issue(message_id: str, expression: str = "", **places: object) -> Issue:
    """Return the finding of one row of the table, at an element id."""
    return MESSAGES[message_id].issue(message_id, expression, places)
