"""What is chosen for each type: the date and the code that it is found by, its patient, and what people list it by."""

from collections.abc import Mapping

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

PART_CODES: Mapping[str, tuple[str, ...]] = {"Observation": ("component-code",)}
"""What the parts of a thing are, each in one code, for types of which some have several parts; at most one."""

PATIENTS: Mapping[str, str] = {"Coverage": "beneficiary"}
"""The patient parameter of a type where it is not the first of `patient`, `subject` and the compartment's own order."""

PARTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Observation": {
        f"combo-{name}": (name, f"component-{name}")
        for name in (
            "code",
            "data-absent-reason",
            "value-concept",
            "value-quantity",
            "code-value-concept",
            "code-value-quantity",
        )
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
