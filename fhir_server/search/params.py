"""The search parameters that a resource type effectively has, with what the index knows about each (R4 3.1.1.4).

Some parameters of a type are special in the stored document, by the tables below:

* the **primary date** lives in the scalars `d`, `dh` (and `dl`), not in `s`;
* the **primary code** shares the compound indexes with patient and date;
* **patient parameters** (`patient`, `subject`) are answered from the scalar `p`. They all read the one element that `p`
  is taken from before any other. `s.<code>` is absent where its entries are exactly `[Patient/<p>]`; it is `false` where
  the element is absent though another one (a performer, say) gave `p`; else it holds the entries. So
  `patient=Patient/x` is `{p: x, s.patient: {$in: [null, "Patient/x"]}}`, without one exception, and `:missing=true` is
  `{$or: [{p: null, s.patient: null}, {s.patient: false}]}`;
* a parameter with **parts** is the union of other parameters of its type and is not stored: it holds where one of them
  does, and is missing where all of them are;
* a **sort key** is `k.<code> = {a, z}`, the least and the greatest folded text, in every document: where there is no value
  `a` is `LAST` and `z` is the empty text, so that missing values come last in either direction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from fhir_server.search.fhirpath import Resolves
from fhir_server.search.paths import COMPUTED, Selection, selections
from profiles.definitions.model import SearchParameter
from profiles.definitions.registry import Definitions

LAST = "\U0010ffff"
"""Sorts after every text."""

VALUE_TYPES: Mapping[str, frozenset[str]] = {
    "number": frozenset({"integer", "decimal", "positiveInt", "unsignedInt", "Range"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "string": frozenset({"string", "markdown", "HumanName", "Address"}),
    "token": frozenset(
        {
            "Coding",
            "CodeableConcept",
            "Identifier",
            "ContactPoint",
            "code",
            "id",
            "boolean",
            "string",
            "uri",
            "canonical",
        }
    ),
    "reference": frozenset({"Reference", "canonical", "uri", "Composition", "MessageHeader"}),
    "quantity": frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range", "SampledData"}),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
}
"""What each parameter type reads (R4 3.1.1.4, table of types). Other members of a choice or extension are passed over."""

SEVERAL = frozenset({"CodeableConcept", "HumanName", "Address"})
"""Types of which one value may give several entries."""

PRIMARY_DATES: Mapping[str, str] = {
    # When it happened, for what happens once; when it was asked for, for requests and messages.
    **dict.fromkeys(
        (
            "AdverseEvent", "AllergyIntolerance", "Appointment", "AuditEvent", "CarePlan", "CareTeam", "ClinicalImpression",
            "Composition", "Consent", "DiagnosticReport", "DocumentReference", "Encounter", "EpisodeOfCare",
            "FamilyMemberHistory", "Flag", "Immunization", "ImmunizationEvaluation", "ImmunizationRecommendation",
            "Invoice", "List", "MeasureReport", "Observation", "OrganizationAffiliation", "PractitionerRole", "Procedure",
            "ResearchStudy", "ResearchSubject", "RiskAssessment", "Schedule", "SupplyRequest",
        ),
        "date",
    ),
    # Knowledge and conformance: when it was last changed by its publisher.
    **dict.fromkeys(
        (
            "ActivityDefinition", "CapabilityStatement", "ChargeItemDefinition", "CodeSystem", "CompartmentDefinition",
            "ConceptMap", "EffectEvidenceSynthesis", "EventDefinition", "Evidence", "EvidenceVariable", "ExampleScenario",
            "GraphDefinition", "ImplementationGuide", "Library", "Measure", "MessageDefinition", "NamingSystem",
            "OperationDefinition", "PlanDefinition", "Questionnaire", "ResearchDefinition", "ResearchElementDefinition",
            "RiskEvidenceSynthesis", "SearchParameter", "StructureDefinition", "StructureMap", "TerminologyCapabilities",
            "TestScript", "ValueSet",
        ),
        "date",
    ),
    **dict.fromkeys(
        (
            "Basic", "Claim", "ClaimResponse", "CoverageEligibilityRequest", "CoverageEligibilityResponse",
            "DocumentManifest", "ExplanationOfBenefit", "Media", "PaymentNotice", "PaymentReconciliation",
        ),
        "created",
    ),
    **dict.fromkeys(("Patient", "Person", "RelatedPerson"), "birthdate"),
    **dict.fromkeys(("CommunicationRequest", "QuestionnaireResponse", "RequestGroup", "ServiceRequest"), "authored"),
    **dict.fromkeys(("DeviceRequest", "Task"), "authored-on"),
    **dict.fromkeys(("Contract", "TestReport"), "issued"),
    "Account": "period",
    "Bundle": "timestamp",
    "ChargeItem": "occurrence",
    "Communication": "sent",
    "Condition": "onset-date",
    "DetectedIssue": "identified",
    "Goal": "start-date",
    "ImagingStudy": "started",
    "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover",
    "MedicationRequest": "authoredon",
    "MedicationStatement": "effective",
    "NutritionOrder": "datetime",
    "Provenance": "recorded",
    "Slot": "start",
    "Specimen": "collected",
    "VisionPrescription": "datewritten",
}  # fmt: skip
"""The date that a type is listed and ranged by. Each reads an element that occurs at most once."""

PRIMARY_CODES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "AllergyIntolerance", "ChargeItem", "Condition", "DeviceRequest", "DiagnosticReport", "MedicationAdministration",
            "MedicationDispense", "MedicationRequest", "MedicationStatement", "Observation", "Procedure", "ServiceRequest",
        ),
        "code",
    ),
    "CarePlan": "category",
    "Composition": "type",
    "DocumentReference": "type",
    "Immunization": "vaccine-code",
}  # fmt: skip
"""What a thing of the type is, in one code, for the types of which there are many."""

PATIENTS: Mapping[str, str] = {"Coverage": "beneficiary"}
"""The patient parameter of a type where it is not the first of `patient`, `subject` and the compartment's own order."""

PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Observation": {
        f"combo-{name}": (name, f"component-{name}")
        for name in ("code", "data-absent-reason", "value-concept", "value-quantity")
    },
    # The phonetic algorithm is left to the server (R4); folded text is ours, as for `name`.
    **{name: {"phonetic": ("name",)} for name in ("Patient", "Person", "Practitioner", "RelatedPerson")},
}
"""Parameters that select exactly what others do together."""

SORT_KEYS: Mapping[str, tuple[str, ...]] = {
    "Patient": ("family", "given"),
    "Practitioner": ("family", "given"),
    "Organization": ("name",),
    "Location": ("name",),
    "HealthcareService": ("name",),
}
"""String parameters that people list by; the first of each type has indexes."""

FIELDS: Mapping[str, str] = {"_id": "_id", "_lastUpdated": "lu"}


@dataclass(frozen=True, slots=True)
class Param:
    """One search parameter of one resource type.

    Attributes:
        code: Name in the query string.
        type: number, date, string, token, reference, composite, quantity, uri or special.
        resource_type: The type that it is a parameter of.
        array: Whether `s.<code>` is an array. Ranges (date, number, quantity) always are, whatever this says, and a
            reference that has more than one entry is.
        field: Where it is stored: `s.<code>`, but `_id` for `_id` and `lu` for `_lastUpdated`.
        primary_date: Whether it lives in `d`, `dh`, `dl`.
        primary_code: Whether the compound indexes carry it.
        patient: Whether it is answered from `p`.
        sort_key: Whether `k.<code>` holds its sort keys.
        parts: Codes whose union it is; then it is not stored.
        value_types: FHIR types of the values that it selects, such as `CodeableConcept`.
        bindings: Required value sets of the `code` elements among them, by canonical URL.
        targets: Resource types that a reference parameter may point to; empty for any.
        url: Canonical URL of its definition.
        description: The specification's sentence.
    """

    code: str
    type: str
    resource_type: str
    array: bool
    field: str
    primary_date: bool
    primary_code: bool
    patient: bool
    sort_key: bool
    parts: tuple[str, ...]
    value_types: frozenset[str]
    bindings: tuple[str, ...]
    targets: tuple[str, ...]
    url: str
    description: str

    @property
    def stored(self) -> bool:
        """Whether `s.<code>` exists: not for `_id`, `_lastUpdated`, the primary date and unions."""
        return self.field.startswith("s.") and not self.primary_date and not self.parts


def param(resource_type: str, code: str, definitions: Definitions) -> Param | None:
    """Return a parameter of a type by code, or `None` where the type has none of that name."""
    return params(resource_type, definitions).get(code)


def params(resource_type: str, definitions: Definitions) -> Mapping[str, Param]:
    """Return the parameters of a type by code, in code order.

    `_content`, `_text`, `_filter` and `_query` have no expression and are no rows here.
    """
    # Types to which nothing was added keep what was made of FHIR's own definitions.
    same = not definitions.added_codes(resource_type)
    return _params(resource_type, definitions.own if same else definitions)


@lru_cache(maxsize=1024)
def _params(resource_type: str, definitions: Definitions) -> Mapping[str, Param]:
    found: dict[str, Param] = {}
    patient = _patient_element(resource_type, definitions)
    for code, parameter in definitions.search_parameters(resource_type).items():
        if parameter.expression:
            found[code] = _param(resource_type, parameter, patient, definitions)
    return found


def facet(param: Param, name: str) -> Param:
    """Return the string parameter of what is stored beside a token for one of its modifiers, as `s.<code>:<name>`."""
    return replace(
        param,
        code=f"{param.code}:{name}",
        type="string",
        array=True,
        field=f"s.{param.code}:{name}",
        primary_code=False,
        value_types=frozenset({"string"}),
        bindings=(),
    )


def routes(resource_type: str, parameter: SearchParameter, definitions: Definitions) -> tuple[Selection, ...]:
    """Return the selections of a parameter whose values its type reads; those of composites are their base nodes."""
    if parameter.expression in COMPUTED or not parameter.expression:
        return ()
    found = selections(resource_type, parameter, definitions)
    read = VALUE_TYPES.get(parameter.type)
    return found if read is None else tuple(one for one in found if one.type in read)


def patient_code(resource_type: str, definitions: Definitions) -> str:
    """Return the parameter that `p` is taken from before any other, empty where the type is in no patient's record."""
    members = definitions.compartments["Patient"].members.get(resource_type, ())
    preferred = (PATIENTS.get(resource_type, ""), "patient", "subject", *members)
    return next((code for code in preferred if code in members and code != "{def}"), "")


def _patient_element(resource_type: str, definitions: Definitions) -> str:
    """Return the element that `p` is taken from first, such as `Observation.subject`; empty where it may repeat."""
    code = patient_code(resource_type, definitions)
    found = routes(resource_type, definitions.search_parameters(resource_type)[code], definitions) if code else ()
    single = len({one.element for one in found}) == 1 and not found[0].repeats
    return found[0].element if single else ""


def _param(resource_type: str, parameter: SearchParameter, patient: str, definitions: Definitions) -> Param:
    found = routes(resource_type, parameter, definitions)
    code = parameter.code
    value_types = frozenset(one.type for one in found) or frozenset({"boolean"})
    several = any(one.repeats for one in found) or len({one.element for one in found}) > 1
    return Param(
        code=code,
        type=parameter.type,
        resource_type=resource_type,
        array=several or not value_types.isdisjoint(SEVERAL),
        field=FIELDS.get(code, f"s.{code}"),
        primary_date=PRIMARY_DATES.get(resource_type) == code,
        primary_code=PRIMARY_CODES.get(resource_type) == code,
        patient=parameter.type == "reference" and all(one.element == patient and _may_be_patient(one) for one in found),
        sort_key=code in SORT_KEYS.get(resource_type, ()),
        parts=PARTS.get(resource_type, {}).get(code, ()),
        value_types=value_types,
        bindings=tuple(dict.fromkeys(one.binding for one in found if one.type == "code" and one.binding)),
        targets=_targets(parameter, found),
        url=parameter.url,
        description=_sentence(parameter.description, resource_type),
    )


def _targets(parameter: SearchParameter, found: tuple[Selection, ...]) -> tuple[str, ...]:
    """Return the target types of a parameter, for this type only those that its expression resolves to."""
    resolved = {one.route[-1].type for one in found if one.route and isinstance(one.route[-1], Resolves)}
    every = all(one.route and isinstance(one.route[-1], Resolves) for one in found)
    return tuple(target for target in parameter.targets if target in resolved) if found and every else parameter.targets


def _may_be_patient(selection: Selection) -> bool:
    last = selection.route[-1]
    return not isinstance(last, Resolves) or last.type == "Patient"


def _sentence(description: str, resource_type: str) -> str:
    """Return the line about the type where a definition describes several types (`* [Type](type.html): sentence`)."""
    for line in description.splitlines():
        if line.startswith(f"* [{resource_type}]"):
            return line.partition("): ")[2].strip()
    return description.strip()
