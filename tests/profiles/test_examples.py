"""What HL7 published passes, but for the resources that are wrong in themselves; each is listed with its defect."""

from collections.abc import Iterable
from typing import Any

from profiles.validate.validator import Validator

BASE = "http://hl7.org/fhir/StructureDefinition/"
NO_TEXT = (["narrative-empty"], "its narrative is a div without any content (txt-2)")
NO_MANIFEST = (
    ["minimum", "minimum", "reference-format"],
    "it has neither name nor status, and refers to an id of 65 characters",
)
NO_BASE = (["minimum"], "a search parameter without base")
NOT_ABSTRACT = ([f"{BASE}StructureDefinition#sdf-4"], "a logical model without a base that is not abstract (sdf-4)")

KNOWN_BAD_EXAMPLES: dict[str, tuple[list[str], str]] = {
    "ActivityDefinition-blood-tubes-supply.json": NO_TEXT,
    "ActivityDefinition-heart-valve-replacement.json": NO_TEXT,
    "DeviceMetric-example.json": (["reference-target"], "parent refers to a DeviceDefinition where a Device is asked"),
    "DeviceUseStatement-example.json": (["reference-target"], "reasonReference refers to a Procedure"),
    "EventDefinition-example.json": NO_TEXT,
    "ImplementationGuide-fhir.json": NO_MANIFEST,
    "MedicationRequest-medrx0301.json": (["reference-target"], "the dispenser is a Practitioner, not an Organization"),
    "Observation-clinical-gender.json": (["reference-target"], "the performer is an Encounter"),
    "Questionnaire-qs1.json": (["minimum"] * 32, "32 items have no linkId"),
    "Questionnaire-zika-virus-exposure-assessment.json": NO_TEXT,
    "ig-r4.json": NO_MANIFEST,
}

KNOWN_BAD_DEFINITIONS: dict[str, tuple[list[str], str]] = {
    "SearchParameter-codesystem-extensions-CodeSystem-author.json": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-effective.json": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-end.json": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-keyword.json": NO_BASE,
    "SearchParameter-codesystem-extensions-CodeSystem-workflow.json": NO_BASE,
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json": (
        ["resource-id"],
        "its id has 65 characters",
    ),
    "SearchParameter-valueset-extensions-ValueSet-author.json": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-effective.json": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-end.json": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-keyword.json": NO_BASE,
    "SearchParameter-valueset-extensions-ValueSet-workflow.json": NO_BASE,
    "StructureDefinition-Definition.json": NOT_ABSTRACT,
    "StructureDefinition-Event.json": NOT_ABSTRACT,
    "StructureDefinition-FiveWs.json": NOT_ABSTRACT,
    "StructureDefinition-Request.json": NOT_ABSTRACT,
}


def failures(validator: Validator, files: Iterable[tuple[str, dict[str, Any]]]) -> tuple[int, dict[str, list[str]]]:
    """Return how many resources there were, and the sorted message ids of those that are refused, by file."""
    count, refused = 0, {}
    for name, resource in files:
        count += 1
        found = sorted(issue.message_id for issue in validator.check(resource) if issue.fails)
        if found:
            refused[name] = found
    return count, refused


def test_all_official_examples_pass_but_the_known_bad(
    validator: Validator, examples: dict[str, dict[str, Any]]
) -> None:
    count, refused = failures(validator, examples.items())
    assert count == 720
    assert refused == {name: sorted(ids) for name, (ids, _) in KNOWN_BAD_EXAMPLES.items()}


def test_all_official_definitions_pass_but_the_known_bad(
    validator: Validator, published: Iterable[tuple[str, dict[str, Any]]]
) -> None:
    count, refused = failures(validator, published)
    assert count == 4578
    assert refused == {name: sorted(ids) for name, (ids, _) in KNOWN_BAD_DEFINITIONS.items()}
