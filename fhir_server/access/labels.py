"""Security labels of resources: which of them restrict, which are not known, which the server adds (R4 6.1.1, docs/labels.md).

A label stands in `meta.security`. Those that restrict are stored beside each version (`sl` of the envelope), so that a filter
selects by them. A more special label restricts like the one above it, such as `PSY` where `SPI` restricts.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from fhir_server.access.labelling import Labeller
from fhir_server.model.errors import Forbidden, Unprocessable
from fhir_server.settings import Access
from profiles.definitions.codes import Enumerator
from profiles.definitions.registry import Definitions
from profiles.issue import Issue

V3 = "http://terminology.hl7.org/CodeSystem/v3-"
ACT_CODE = V3 + "ActCode"
CONFIDENTIALITY = V3 + "Confidentiality"
OBSERVATION_VALUE = V3 + "ObservationValue"
LABELS = "http://hl7.org/fhir/ValueSet/security-labels"

CONFIDENTIAL = frozenset({"R", "V"})
"""Codes of `access.labels` that are degrees of confidentiality; all others are sensitivities."""

NOT_CLEARED = "label-not-cleared"

SINCE = frozenset({(OBSERVATION_VALUE, "AIAST")})
"""Labels that came after R4: asserted by artificial intelligence."""

SPELT = {
    "http://hl7.org/fhir/v3/ActCode": ACT_CODE,
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/ObservationValue": OBSERVATION_VALUE,
    "urn:oid:2.16.840.1.113883.5.4": ACT_CODE,
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.1063": OBSERVATION_VALUE,
}
"""Other spellings of the code systems."""


class Labels:
    """The labels of one deployment.

    Args:
        definitions: Where the codes are defined; read from disk when the first label comes, which takes a tenth of a second.
        rules: Which labels restrict, and whether the server adds some.
    """

    def __init__(self, definitions: Definitions, rules: Access) -> None:
        self._definitions = definitions
        self._restricting = rules.labels
        self._labeller = Labeller(definitions, rules.sensitive) if rules.labelling == "on" else None

    def envelope(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Return `{"sl": [labels that restrict, sorted]}`; `{}` where nothing does."""
        found = {label for _, coding in _labels(resource) if (label := self._restricts(coding))}
        return {"sl": sorted(found)} if found else {}

    def complete(self, resource: dict[str, Any], wire: bytes) -> dict[str, Any]:
        """Return the resource with the labels that its codes call for; the same object where they call for none.

        Args:
            resource: Valid, with a meta.
            wire: The same as JSON.

        Raises:
            Unprocessable: It has a label that its code system does not know.
        """
        self._refuse_unknown(resource)
        wanted = self._labeller.labels(resource, wire) if self._labeller else ()
        if not wanted:
            return resource
        present = {(_system(coding), coding.get("code")) for _, coding in _labels(resource)}
        sensitive = [(ACT_CODE, code) for code in wanted]
        confidential = not present.isdisjoint((CONFIDENTIALITY, code) for code in CONFIDENTIAL)
        asked = sensitive if confidential else [*sensitive, (CONFIDENTIALITY, "R")]
        added = [{"system": system, "code": code} for system, code in asked if (system, code) not in present]
        if not added:
            return resource
        meta = resource["meta"]
        return {**resource, "meta": {**meta, "security": [*meta.get("security", ()), *added]}}

    def _refuse_unknown(self, resource: Mapping[str, Any]) -> None:
        issues = [
            Issue(
                "error",
                "code-invalid",
                f"'{str(coding.get('code'))[:60]}' is not a security label of {_system(coding)}. Use a code of the value set "
                f"{LABELS}, or leave the label out.",
                f"{resource['resourceType']}.meta.security[{index}]",
                "label-unknown",
            )
            for index, coding in _labels(resource)
            if _system(coding) in self._systems and (_system(coding), coding.get("code")) not in self._known
        ]
        if issues:
            raise Unprocessable(issues[0].text, issues=issues)

    def _restricts(self, coding: Mapping[str, Any]) -> str:
        """Return the restricting label that a label is or stands below, empty where it restricts nothing."""
        system, code = _system(coding), coding.get("code", "")
        if not system:  # whoever wrote 'HIV' and not of which system meant to protect
            return code if code in self._restricting else ""
        return self._above.get((system, code), "")

    @cached_property
    def _codes(self) -> Enumerator:
        terminology = self._definitions.terminology
        return Enumerator(terminology.value_sets, terminology.code_systems)

    @cached_property
    def _known(self) -> frozenset[tuple[str, str]]:
        return (self._codes.pairs(LABELS) or frozenset()) | SINCE

    @cached_property
    def _systems(self) -> frozenset[str]:
        return frozenset(system for system, _ in self._known)

    @cached_property
    def _above(self) -> dict[tuple[str, str], str]:
        """Each label that restricts, by system and code, with the one of the settings that it counts as."""
        found: dict[tuple[str, str], str] = {}
        for label in self._restricting:
            system = CONFIDENTIALITY if label in CONFIDENTIAL else ACT_CODE
            below = self._codes.subsumed(system, label)
            found = {(system, code): label for code in below} | found
        return found | {
            (CONFIDENTIALITY if label in CONFIDENTIAL else ACT_CODE, label): label for label in self._restricting
        }


def uncleared(resource_type: str, labels: Iterable[str]) -> Forbidden:
    """Return the refusal of a write whose result the writer could not read.

    Args:
        resource_type: What would be written.
        labels: Labels that restrict it; the server may have added them.
    """
    text = (
        f"This {resource_type} is labelled {', '.join(labels)}, for its content or because it says so, and you are not cleared for "
        "that: you would write what you may not read. Leave it to somebody who is."
    )
    return Forbidden(text, issues=[Issue("error", "forbidden", text, f"{resource_type}.meta.security", NOT_CLEARED)])


def _labels(resource: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield from enumerate(resource.get("meta", {}).get("security", ()))


def _system(coding: Mapping[str, Any]) -> str:
    system = str(coding.get("system", ""))
    return SPELT.get(system, system)
