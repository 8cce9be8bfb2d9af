"""Published invariants whose expression does not say what their sentence says, and what is evaluated in its place.

Whoever evaluates the constraints of a definition asks `expression` first: profiles repeat those of their base word for word.
An invariant is met when its expression is true; what is empty is not met (R4 2.29.0.9), which is what several authors overlooked.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from profiles.definitions.model import Invariant
from profiles.fhirpath.shapes import Rules


@dataclass(frozen=True, slots=True)
class Mended:
    """An expression in place of a published one.

    Attributes:
        expression: What is evaluated.
        reason: What is wrong with the published one.
    """

    expression: str
    reason: str


RULES = Rules(unread=True)
"""The rules of invariants: references are not read for them, their types are taken from what they say."""

NAME = "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')"

ELEMENT_NAMES = r"""path.matches('[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\.[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\[x\\])?(\\:[^\\s\\.]+)?)*')"""

MENDED: Mapping[str, Mended] = {
    NAME: Mended(
        "name.empty() or name.matchesFull('[A-Z]([A-Za-z0-9_]){0,254}')",
        "a part of the name is enough for matches(), and a missing name fails",
    ),
    "reference.startsWith('#').not() or (reference.substring(1).trace('url') in %rootResource.contained.id.trace('ids'))": Mended(
        "reference.empty() or reference.startsWith('#').not() or reference = '#' or (reference.substring(1) in %rootResource.contained.id)",
        "a Reference without literal reference fails, and so does one to the container",
    ),
    "fullUrl.contains('/_history/').not()": Mended(
        "fullUrl.empty() or fullUrl.contains('/_history/').not()", "an entry without full URL fails"
    ),
    "operator = 'exists' implies (answer is Boolean)": Mended(
        "operator = 'exists' implies answer.ofType(boolean).exists()",
        "the type of FHIR is boolean; Boolean is that of FHIRPath",
    ),
    "probability is decimal implies (probability as decimal) <= 100": Mended(
        "probability.ofType(decimal).all($this <= 100)", "a prediction without probability fails"
    ),
    "(low.empty() or ((low.code = '%') and (low.system = %ucum))) and (high.empty() or ((high.code = '%') and (high.system = %ucum)))": Mended(
        "ofType(Range).all((low.empty() or (low.code = '%' and low.system = %ucum)) and (high.empty() or (high.code = '%' and high.system = %ucum)))",
        "it is about a Range, and is stated on the decimal of the same choice too",
    ),
    "Appointment.cancelationReason.exists() implies (Appointment.status='no-show' or Appointment.status='cancelled')": Mended(
        "cancelationReason.exists() implies (status = 'noshow' or status = 'cancelled')", "the code is noshow"
    ),
    "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error').exists() or category.select($this='problem-list-item').empty()": Mended(
        "clinicalStatus.exists() or verificationStatus.coding.where(system = 'http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error').exists() or category.coding.where(system = 'http://terminology.hl7.org/CodeSystem/condition-category' and code = 'problem-list-item').empty()",
        "a CodeableConcept is compared with a string, and what select() gives is never empty where there is a category",
    ),
    "low.empty() or high.empty() or (low <= high)": Mended(
        "(low > high).allFalse()", "ends that cannot be compared fail"
    ),
    "start.hasValue().not() or end.hasValue().not() or (start <= end)": Mended(
        "start.hasValue().not() or end.hasValue().not() or (start > end).allFalse()",
        "times of which it is not known which is the earlier fail, such as 2020 and 2020-01",
    ),
    "whenHandedOver.empty() or whenPrepared.empty() or whenHandedOver >= whenPrepared": Mended(
        "(whenHandedOver < whenPrepared).allFalse()", "as per-1"
    ),
    "lastModified.exists().not() or authoredOn.exists().not() or lastModified >= authoredOn": Mended(
        "(lastModified < authoredOn).allFalse()", "as per-1"
    ),
    "max='*' or (max.toInteger() > 0)": Mended(
        "max.empty() or max = '*' or max.toInteger() > 0", "a focus without maximum fails, which need not have one"
    ),
    "binding.empty() or type.code.empty() or type.select((code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') or (code = 'string') or (code = 'uri')).exists()": Mended(
        "binding.empty() or type.code.empty() or type.where((code = 'code') or (code = 'Coding') or (code='CodeableConcept') or (code = 'Quantity') or (code = 'string') or (code = 'uri')).exists()",
        "what select() gives is never empty, so that none can fail",
    ),
    ELEMENT_NAMES: Mended(
        ELEMENT_NAMES.replace("matches", "matchesFull"),
        "a part of the path is enough for matches(), so that none can fail",
    ),
}
"""By the published expression."""

WITHOUT_SENSE: Mapping[str, str] = {"cid-0": "ChargeItemDefinition has no name"}
"""Keys of invariants about an element that does not exist; they are always met."""


def expression(invariant: Invariant) -> str:
    """Return the expression that is evaluated for an invariant."""
    if invariant.key in WITHOUT_SENSE and invariant.expression == NAME:
        return "true"
    mended = MENDED.get(invariant.expression)
    return invariant.expression if mended is None else mended.expression
