"""Message id → severity, issue code and sentence: what a profile can find wrong with a resource."""

from collections.abc import Mapping

from profiles.issue import Issue
from profiles.validate import messages
from profiles.validate.messages import Message

MESSAGES: Mapping[str, Message] = {
    "profile-unknown": Message(
        "warning",
        "structure",
        "Profile reference '{url}' has not been checked because it could not be found. Install the package that defines it "
        "(fhir-server package install), or remove it from meta.profile.",
    ),
    "profile-unusable": Message(
        "warning",
        "processing",
        "Profile reference '{url}' has not been checked because it has no usable snapshot: {reason}",
    ),
    "profile-type": Message(
        "error",
        "structure",
        "The profile '{url}' is for {expected}, and this is a {found}. Send a {expected}, or remove the profile.",
    ),
    "minimum": messages.MESSAGES["minimum"],
    "maximum": messages.MESSAGES["maximum"],
    "type": Message(
        "error",
        "structure",
        "{path} is of type {found}, and only {allowed} is allowed here (from {url}). Send one of these types.",
    ),
    "fixed": Message(
        "error",
        "value",
        "Value is {value} but is fixed to {expected} in the profile {url}. Send exactly that.",
    ),
    "pattern": Message(
        "error",
        "value",
        "Value is {value} but must have {expected}, by the pattern in the profile {url}. Add what is missing.",
    ),
    "range": Message(
        "error",
        "value",
        "Value is {value}, and the {what} in the profile {url} is {expected}. Send a value within.",
    ),
    "slice-minimum": Message(
        "error",
        "required",
        "Slice '{slice}': a matching slice is required, but not found: minimum required = {min}, but only found {found} "
        "(from {url}). Add one.",
    ),
    "slice-maximum": Message(
        "error",
        "structure",
        "Slice '{slice}': max allowed = {max}, but found {found} (from {url}). Remove the surplus.",
    ),
    "slice-closed": Message(
        "error",
        "structure",
        "This element does not match any known slice defined in the profile {url}, and the slicing of {path} is closed (slices: "
        "{slices}). Change it to match one of them, or remove it.",
    ),
    "slice-order": Message(
        "error",
        "structure",
        "This element matches the slice '{slice}', which comes before the slice '{before}' in the profile {url}, and the order "
        "of {path} counts. Put it in that order.",
    ),
    "slice-end": Message(
        "error",
        "structure",
        "This element matches no slice of {path}, and in the profile {url} such elements come after all others. Move it to the end.",
    ),
    "binding-required": Message(
        "error",
        "code-invalid",
        "The value provided ({value}) was not found in the value set '{set}', and a code is required from this value set "
        "(from {url}). Use a code of it.",
    ),
    "binding-missing": Message(
        "error",
        "code-invalid",
        "No code provided, and a code is required from the value set '{set}' (from {url}). Add a coding.",
    ),
    "binding-extensible": Message(
        "warning",
        "code-invalid",
        "None of the codings provided are in the value set '{set}' (codes = {value}), and a coding should come from this "
        "value set unless it has no suitable code (from {url}).",
    ),
    "binding-preferred": Message(
        "information",
        "code-invalid",
        "None of the codings provided are in the value set '{set}' (codes = {value}), and a coding is recommended to come from "
        "this value set (from {url}).",
    ),
    "binding-maximum": Message(
        "error",
        "code-invalid",
        "The value provided ({value}) is not in the maximum value set '{set}' (from {url}). Use a code of it.",
    ),
    "binding-unchecked": Message(
        "warning",
        "not-found",
        "A definition for what the value set '{set}' holds could not be found, so {value} cannot be validated (from {url}).",
    ),
    "reference-target": Message(
        "error",
        "structure",
        "The type '{found}' is not a valid Target for this element (must be one of {allowed}, from {url}). Refer to one of these.",
    ),
    "reference-profile": Message(
        "error",
        "structure",
        "The resource that {value} refers to conforms to none of the profiles allowed here ({allowed}, from {url}): {reason}",
    ),
    "no-profile-fits": Message(
        "error",
        "structure",
        "This element conforms to none of the profiles allowed here ({allowed}, from {url}): {reason}",
    ),
    "invariant-unusable": Message(
        "warning",
        "processing",
        "The constraint {key} of the profile {url} has not been checked: {reason}",
    ),
    "extension-context": Message(
        "error",
        "structure",
        "The extension '{extension}' is not allowed to be used at this point (this element is {found}; allowed = {allowed}). "
        "Move it there, or remove it.",
    ),
    "extension-modifier": Message(
        "error",
        "structure",
        "The extension '{extension}' must be used as a modifierExtension. Move it there.",
    ),
    "extension-no-modifier": Message(
        "error",
        "structure",
        "The extension '{extension}' must not be used as a modifierExtension, as its definition says it is none. Put it in "
        "'extension'.",
    ),
    "extension-unknown": Message(
        "information",
        "structure",
        "The extension '{extension}' could not be found, so it has not been checked. Install the package that defines it.",
    ),
    "modifier-unknown": Message(
        "warning",
        "structure",
        "The modifierExtension '{extension}' could not be found, so what it changes is not known. Install the package that "
        "defines it.",
    ),
    "extension-unknown-error": Message(
        "error",
        "structure",
        "The extension '{extension}' could not be found, so it is not allowed here. Install the package that defines it, or "
        "remove it.",
    ),
    "modifier-unknown-error": Message(
        "error",
        "structure",
        "The modifierExtension '{extension}' could not be found, so it is not allowed here. Install the package that defines "
        "it, or remove it.",
    ),
    "extension-relative": Message(
        "error",
        "invalid",
        "The URL of an extension must be absolute, and '{extension}' is not. Only those within an extension may have a short "
        "one. Write it in full.",
    ),
    "coding-relative": Message(
        "error",
        "code-invalid",
        "Coding.system must be an absolute URI, and '{system}' is not. Write the URL of the code system.",
    ),
    "coding-value-set": Message(
        "error",
        "code-invalid",
        "Coding.system is the URL of a value set, not of a code system ('{system}'). Write that of the code system that the "
        "code is from.",
    ),
    "coding-supplement": Message(
        "error",
        "code-invalid",
        "The code system '{system}' is a supplement, which cannot be used as Coding.system. Write the code system that it "
        "adds to.",
    ),
    "code-newer": Message(
        "warning",
        "code-invalid",
        "The code '{code}' is not in the code system '{system}' as R4 has it (version '{version}'). If it is a newer one, install "
        "hl7.terminology.r4.",
    ),
    "code-unknown": Message(
        "error",
        "code-invalid",
        "Unknown code '{code}' in the code system '{system}' version '{version}'. Use a code of it.",
    ),
    "display": Message(
        "warning",
        "invalid",
        "Wrong display name '{display}' for {system}#{code}. Valid is {valid}. Write that, or leave it out.",
    ),
    "display-error": Message(
        "error",
        "invalid",
        "Wrong display name '{display}' for {system}#{code}. Valid is {valid}. Write that, or leave it out.",
    ),
    "attachment-size": Message(
        "error",
        "value",
        "The attachment says that its size is {size} bytes, and its data has {found}. Send the right size, or leave it out.",
    ),
    "attachment-hash": Message(
        "error",
        "value",
        "The hash of the attachment is not the SHA-1 hash of its data. Send the right one, or leave it out.",
    ),
    "link": Message(
        "warning",
        "invalid",
        "The link '{link}' in the narrative leads to nothing in this resource. Give its target that id, or remove the link.",
    ),
    "link-error": Message(
        "error",
        "invalid",
        "The link '{link}' in the narrative leads to nothing in this resource. Give its target that id, or remove the link.",
    ),
    "code-missing": Message(
        "error",
        "code-invalid",
        "No code provided, and a code is required from the value set of this element. Send one of its codes.",
    ),
    "reference-unknown-profile": Message(
        "error",
        "structure",
        "The resource that {value} refers to must be of the profile {allowed} (from {url}), which could not be found. Install "
        "the package that defines it.",
    ),
    "too-deep": Message(
        "error",
        "too-long",
        "The resource is nested too deeply to be checked. Flatten it.",
    ),
    "too-costly": Message(
        "error",
        "too-costly",
        "Its profiles take too many steps on this resource, and the check was given up: what is told is not all. Send the "
        "resource in parts, or name fewer profiles.",
    ),
    "uri-form": Message(
        "error",
        "invalid",
        "'{value}' is not a valid UUID or OID. Write urn:uuid: with a UUID in lower case, or urn:oid: with an OID.",
    ),
    "id-duplicate": Message(
        "error",
        "duplicate",
        "Two elements of the resource have the id '{value}'. Give each its own, or leave it out.",
    ),
    "report-group": Message(
        "error",
        "business-rule",
        "No group of the measure has the code of this group ({code}). Give it the code of a group of the measure.",
    ),
    "report-group-missing": Message(
        "error",
        "business-rule",
        "The measure has a group with the code {code}, and the report has none. Add it.",
    ),
    "report-part": Message(
        "error",
        "business-rule",
        "No {part} of this group of the measure has the code {code}. Give it the code of one.",
    ),
    "value-missing": Message(
        "error",
        "required",
        "{path}: a value must be there{others} (from {url}). Send the value.",
    ),
    "languages-prohibited": Message(
        "error",
        "structure",
        "The narrative has sections for languages ({found}), which the profile {url} does not allow. Send one text.",
    ),
    "languages-required": Message(
        "error",
        "structure",
        "The narrative has no sections for languages, which the profile {url} asks for. Give each language a <div lang>.",
    ),
    "language-missing": Message(
        "error",
        "structure",
        "The narrative has no section for the language '{language}', which the profile {url} asks for (found: {found}). Add it.",
    ),
    "must-support": Message(
        "information",
        "informational",
        "{path} is must-support in the profile {url}, and is not there. Send it where it is known.",
    ),
}


def issue(message_id: str, expression: str = "", **places: object) -> Issue:
    """Return the finding of one row of the table."""
    return MESSAGES[message_id].issue(message_id, expression, places, profile=str(places.get("url", "")))
