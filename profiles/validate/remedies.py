"""What to do where an invariant of R4 is not met, by its key: its own sentence says what must hold, seldom how."""

from collections.abc import Mapping

ANY = "Change the element so that this holds."

REMEDIES: Mapping[str, str] = {
    "age-1": "Send a positive value with a code of UCUM, such as 'a' for years.",
    "ait-1": "Add 'clinicalStatus', or set 'verificationStatus' to entered-in-error.",
    "ait-2": "Remove 'clinicalStatus', or correct 'verificationStatus'.",
    "app-1": "Add 'actor' or 'type'.",
    "app-2": "Add the one that is missing, or remove the other.",
    "app-3": "Add 'start' and 'end', or set 'status' to proposed, cancelled or waitlist.",
    "app-4": "Remove 'cancelationReason', or set 'status' to cancelled or noshow.",
    "att-1": "Add 'contentType'.",
    "bdl-1": "Remove 'total'.",
    "bdl-2": "Remove 'search'.",
    "bdl-3": "Give each entry of a batch, transaction or history a 'request', and no other.",
    "bdl-4": "Give each entry of a batch-response, transaction-response or history a 'response', and no other.",
    "bdl-5": "Add 'resource', 'request' or 'response', or remove the entry.",
    "bdl-7": "Give each resource a fullUrl of its own.",
    "bdl-9": "Add 'identifier' with system and value.",
    "bdl-10": "Add 'timestamp'.",
    "bdl-11": "Put the Composition first.",
    "bdl-12": "Put the MessageHeader first.",
    "cmp-1": "Add 'text', 'entry' or 'section', or remove the section.",
    "cmp-2": "Remove 'emptyReason' or the entries.",
    "con-3": "Add 'clinicalStatus'.",
    "con-4": "Set 'clinicalStatus' to inactive, resolved or remission, or remove the abatement.",
    "con-5": "Remove 'clinicalStatus', or correct 'verificationStatus'.",
    "cpl-3": "Remove 'detail' or 'reference'.",
    "cpt-2": "Add 'system', such as phone or email.",
    "dom-2": "Move the inner resource up into 'contained' of the outermost one.",
    "dom-4": "Remove versionId and lastUpdated from the contained resource.",
    "dom-5": "Move the security label to the resource that contains it.",
    "dom-6": "Add 'text' with a narrative.",
    "drt-1": "Add 'system' http://unitsofmeasure.org with a unit of time, and a value.",
    "ext-1": "Send a value or extensions, not both and not none.",
    "imm-1": "Add 'documentType' or 'reference'.",
    "ipn-1": "Add 'name' or 'identifier'.",
    "lst-1": "Remove 'emptyReason' or the entries.",
    "obs-3": "Add 'low', 'high' or 'text'.",
    "obs-6": "Remove 'dataAbsentReason' or the value.",
    "obs-7": "Remove the value, or the component of the same code.",
    "org-1": "Add 'name' or 'identifier'.",
    "org-2": "Use another 'use', such as work.",
    "org-3": "Use another 'use', such as work.",
    "pat-1": "Add name, telecom, address or organization of the contact.",
    "per-1": "Correct 'start' or 'end'.",
    "ppc-1": "Add 'policyRule' or 'policy'.",
    "qrs-1": "Put the items into the answer.",
    "qty-3": "Add 'system', such as http://unitsofmeasure.org.",
    "que-1": "Add items to the group, or remove those of the display.",
    "que-2": "Give each item a linkId of its own.",
    "que-4": "Remove 'answerOption' or 'answerValueSet'.",
    "que-11": "Set 'initialSelected' of the option instead of 'initial'.",
    "que-12": "Add 'enableBehavior'.",
    "rat-1": "Send numerator and denominator, or neither.",
    "rng-2": "Exchange 'low' and 'high'.",
    "sqty-1": "Remove 'comparator'.",
    "tim-1": "Add 'durationUnit'.",
    "tim-2": "Add 'periodUnit'.",
}
"""By the key, of the definitions of R4 itself."""


def remedy(key: str, url: str) -> str:
    """Return what to do where an invariant of a definition is not met."""
    return REMEDIES.get(key, ANY) if url.startswith("http://hl7.org/fhir/StructureDefinition/") else ANY
