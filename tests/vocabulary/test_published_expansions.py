"""The value sets of R4 expand to what HL7 published with R4, as far as their code systems are free; each exception has its reason."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir_server.vocabulary.defined import Defined
from profiles.definitions.registry import load
from terminology.catalogue import Layered
from terminology.codesystem.native import Native
from terminology.collection import Collection, Providers
from terminology.complete import Complete
from terminology.issue import TxError
from terminology.valueset.expand import Asked, expand

ARCHIVE = "terminology/hl7.fhir.r4.expansions-4.0.1.no-sct-loinc.tgz"
LEFT_OUT = frozenset({"deprecated", "retired", "inactive"})

NOT_AT_HAND: Mapping[str, str] = {
    "http://hl7.org/fhir/ValueSet/action-participant-role": "SNOMED CT, of which the published expansion has nothing either",
    "http://hl7.org/fhir/ValueSet/care-team-category": "LOINC, of which the published expansion has nothing either",
    "http://hl7.org/fhir/ValueSet/questionnaire-answers": "SNOMED CT, of which the published expansion has nothing either",
    "http://hl7.org/fhir/ValueSet/consent-content-class": "the format codes of IHE are not part of R4",
    "http://hl7.org/fhir/ValueSet/formatcodes": "the format codes of IHE are not part of R4",
    "http://hl7.org/fhir/ValueSet/vaccine-code": "CVX is not part of R4; it is loaded from a release",
    "http://hl7.org/fhir/ValueSet/task-code": "it asks for version 3.6.0 of a code system of which R4 has 4.0.1",
}
"""Value sets of code systems that are not there."""

ENDLESS: Mapping[str, str] = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "published as too costly; here well-known types, said to be unclosed",
    "http://hl7.org/fhir/ValueSet/ucum-units": "published with UCUM's own list of examples; here other well-known units",
}
"""Value sets of grammars: both expansions are unclosed."""

DIFFERENT: Mapping[str, tuple[str, int, int]] = {
    "http://hl7.org/fhir/ValueSet/currencies": ("published as of 2018, and with four codes that are none of ISO 4217", 4, 7),
    "http://hl7.org/fhir/ValueSet/detectedissue-category": (
        "what a concept says by `child` to be below it was passed over; R4 counts it as hierarchy", 0, 55,
    ),
    "http://terminology.hl7.org/ValueSet/v3-ActPharmacySupplyType": (
        "what a concept says by `child` to be below it was passed over; R4 counts it as hierarchy", 0, 4,
    ),
}  # fmt: skip
"""Value sets that differ: why, and how many codes are published only and found only."""

LACKING = frozenset(
    {
        "http://hl7.org/fhir/ValueSet/account-type",
        "http://hl7.org/fhir/ValueSet/coverage-type",
        "http://hl7.org/fhir/ValueSet/detectedissue-mitigation-action",
        "http://hl7.org/fhir/ValueSet/diagnostic-service-sections",
        "http://hl7.org/fhir/ValueSet/item-type",
        "http://hl7.org/fhir/ValueSet/observation-interpretation",
        "http://hl7.org/fhir/ValueSet/patient-contactrelationship",
        "http://hl7.org/fhir/ValueSet/provenance-activity-type",
        "http://hl7.org/fhir/ValueSet/relatedperson-relationshiptype",
        "http://hl7.org/fhir/ValueSet/security-labels",
        "http://terminology.hl7.org/ValueSet/v2-0487",
        "http://terminology.hl7.org/ValueSet/v2-0916",
        "http://terminology.hl7.org/ValueSet/v3-ActCode",
        "http://terminology.hl7.org/ValueSet/v3-ActConsentDirective",
        "http://terminology.hl7.org/ValueSet/v3-ActReason",
        "http://terminology.hl7.org/ValueSet/v3-ServiceDeliveryLocationRoleType",
    }
)
"""Published without concepts that only group others and without deprecated ones, though the definitions ask for neither."""

Codes = set[tuple[str, str]]


def published(archive: Path) -> Iterator[dict[str, Any]]:
    with tarfile.open(archive) as files:
        for member in files:
            file = files.extractfile(member) if "/ValueSet-" in member.name else None
            if file is not None:
                yield json.load(file)


def codes(rows: list[dict[str, Any]]) -> Codes:
    found: Codes = set()
    for row in rows:
        if "code" in row:
            found.add((row.get("system", ""), row["code"]))
        found |= codes(row.get("contains", []))
    return found


async def test_value_sets_of_r4_expand_to_what_was_published(test_data: Path) -> None:
    r4 = Layered(Defined(load(), Providers()), Native())
    seen: dict[str, list[str]] = {"same": [], "different": [], "lacking": [], "not at hand": [], "endless": []}
    for one in published(test_data / ARCHIVE):
        url, expansion = one["url"], one["expansion"]
        catalogue = Complete(Layered(r4, Collection([one])))
        (value_set, *_) = await catalogue.value_sets(url)
        try:
            answer = await expand(value_set, catalogue, Asked(flat=True))
        except TxError:
            seen["not at hand"].append(url)
            continue
        wanted, found = codes(expansion.get("contains", [])), codes(answer["expansion"].get("contains", []))
        if wanted == found:
            seen["same"].append(url)
        elif url in ENDLESS:
            assert answer["expansion"]["extension"][0]["url"].endswith("valueset-unclosed")
            seen["endless"].append(url)
        elif url in LACKING:
            assert wanted < found, url
            for system, code in found - wanted:
                (provider,) = await catalogue.code_systems(system)
                concept = await provider.find(code)
                assert concept is not None
                assert concept.abstract or concept.inactive or concept.status in LEFT_OUT, (url, code)
            seen["lacking"].append(url)
        else:
            assert url in DIFFERENT, (url, sorted(wanted - found), sorted(found - wanted))
            assert (len(wanted - found), len(found - wanted)) == DIFFERENT[url][1:], url
            seen["different"].append(url)
    assert set(seen["not at hand"]) == set(NOT_AT_HAND)
    assert set(seen["endless"]) == set(ENDLESS)
    assert set(seen["lacking"]) == LACKING
    assert set(seen["different"]) == set(DIFFERENT)
    assert len(seen["same"]) == 451
