"""The definitions of this server's own are valid, each profile holds for its examples, and each rule of a profile refuses something."""

import json
import tomllib
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import pytest

from fhir_server.access import advice, consent, contribution, privileges, redaction
from fhir_server.audit import codes
from fhir_server.demo.country import ground
from fhir_server.facilities import agreement, establishment, nodes, rules
from fhir_server.model.json import decode
from fhir_server.operations import discovered
from fhir_server.repository import glass, membership, queueing
from fhir_server.search import gates
from profiles.definitions.registry import Definitions
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.own.package import BASE, EXAMPLES, VERSION, package
from profiles.packages.library import Library
from profiles.snapshot.source import Source
from profiles.validate.profile.validator import ProfileValidator
from profiles.validate.validator import Validator
from smart_auth.audit import KINDS
from terminology.ucum.ucum import Ucum

Json = dict[str, Any]
Change = Callable[[Json], Any]

ROOT = Path(__file__).parents[3]
STRUCTURES = f"{BASE}/StructureDefinition"
PROFILES = {
    entry.url.removeprefix(f"{STRUCTURES}/aquifer-"): entry
    for entry in package().of_type("StructureDefinition")
    if entry.type != "Extension"
}


class Checked:
    """What the base definitions and profiles find."""

    def __init__(self, definitions: Definitions) -> None:
        engine = Engine(definitions, units=Ucum.load())
        self.base = Validator(definitions, engine)
        self.profiles = ProfileValidator(Source(definitions, Library([package()])), engine=engine)

    def findings(self, resource: Json) -> list[Issue]:
        found = self.base.check(resource, strict=True) + self.profiles.check(resource)
        # That R4 has an older copy of a code system of HL7 than the one with AIAST is no defect of ours.
        return [one for one in found if one.severity != "information" and one.message_id != "code-newer"]


@pytest.fixture(scope="module")
def checked(definitions: Definitions) -> Checked:
    return Checked(definitions)


def examples() -> dict[str, list[Json]]:
    """The examples by the profile that they claim."""
    found: dict[str, list[Json]] = {}
    for file in sorted(EXAMPLES.glob("*.json")):
        resource: Json = decode(file.read_bytes())
        assert file.stem == resource["id"]
        for url in resource["meta"]["profile"]:
            found.setdefault(url.removeprefix(f"{STRUCTURES}/aquifer-"), []).append(resource)
    return found


def concepts(name: str) -> set[str]:
    entry = package().find(f"{BASE}/CodeSystem/{name}")
    assert entry is not None, name
    return {one["code"] for one in entry.read().get("concept", ())}


def test_the_package_has_the_version_of_the_server() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package().key == f"aquifer#{VERSION}" == f"aquifer#{project['version']}"
    assert package().notes == ()


@pytest.mark.parametrize(
    "entry", [one for some in package().definitions.values() for one in some], ids=lambda one: one.file
)
def test_a_definition_is_valid_and_named_by_its_url(entry: Any, checked: Checked) -> None:
    resource = entry.read()
    assert resource["url"] == f"{BASE}/{resource['resourceType']}/{resource['id']}"
    assert resource["version"] == VERSION
    assert checked.findings(resource) == []
    if entry.resource_type == "StructureDefinition":
        made = checked.profiles.snapshots.find(entry.url)
        assert made is not None
        assert made.issues == ()
    if value_set := resource.get("valueSet"):
        assert package().find(value_set) is not None


def test_each_profile_holds_for_its_examples(checked: Checked) -> None:
    found = examples()
    assert found.keys() == PROFILES.keys()
    assert {one["id"]: checked.findings(one) for some in found.values() for one in some} == {
        one["id"]: [] for some in found.values() for one in some
    }


def without(path: str) -> Change:
    """Take an element away."""

    def change(resource: Json) -> None:
        *above, last = path.split(".")
        _at(resource, above).pop(last)

    return change


def put(path: str, value: Any) -> Change:
    """Give an element another value."""

    def change(resource: Json) -> None:
        *above, last = path.split(".")
        node = _at(resource, above)
        node[int(last) if isinstance(node, list) else last] = value

    return change


def both(*changes: Change) -> Change:
    return lambda resource: [one(resource) for one in changes]


def _at(node: Any, steps: Iterable[str]) -> Any:
    for step in steps:
        node = node[int(step) if isinstance(node, list) else step]
    return node


MONEY = {"value": 1, "currency": "INR"}
ORGANIZATION = {"reference": "Organization/1"}
ANOTHER = {"reference": "Patient/2"}
SCHEDULED = [{"url": "state", "valueCode": "scheduled"}]
RELEASE = "meta.extension.0.extension"

WRONG: dict[str, list[tuple[Change, str]]] = {
    "patient": [
        (without("identifier"), "Patient.identifier: minimum"),
        (without("identifier.0.system"), "Patient.identifier.system: minimum"),
        (without("identifier.0.value"), "Patient.identifier.value: minimum"),
        (without("name"), "Patient.name: minimum"),
        (put("name.0", {"use": "official"}), "aq-pat-1"),
    ],
    "staff-role": [
        (without("active"), "PractitionerRole.active: minimum"),
        (without("practitioner"), "PractitionerRole.practitioner: minimum"),
        (without("organization"), "PractitionerRole.organization: minimum"),
        (without("code"), "PractitionerRole.code: minimum"),
    ],
    "facility": [
        (without("active"), "Organization.active: minimum"),
        (without("type"), "type:level"),
        (put("type.0.coding.0.code", "network"), "type:level"),
        (without("name"), "Organization.name: minimum"),
        (put("extension.0", {"url": f"{STRUCTURES}/residency", "valueString": "home"}), "residency"),
    ],
    "facility-site": [
        (without("status"), "Location.status: minimum"),
        (without("name"), "Location.name: minimum"),
        (put("mode", "kind"), "fixed to 'instance'"),
        (without("mode"), "Location.mode: minimum"),
        (without("type"), "Location.type: minimum"),
        (without("physicalType"), "Location.physicalType: minimum"),
        (without("managingOrganization"), "Location.managingOrganization: minimum"),
    ],
    "membership": [
        (without("extension"), "extension:agreement"),
        (without("active"), "OrganizationAffiliation.active: minimum"),
        (without("organization"), "OrganizationAffiliation.organization: minimum"),
        (without("participatingOrganization"), "OrganizationAffiliation.participatingOrganization: minimum"),
        (put("code.0.coding.0.code", "provider"), "code:member"),
        (put("extension.0.extension.0.valueCode", "everybody"), "TreatmentAccess"),
        (put("extension.0.extension.1.valueCode", "everything"), "Rollup"),
        (put("extension.0.extension.2.url", "listed"), "sharing-agreement"),
        (put("extension.0.extension.4.valueReference", ANOTHER), "not a valid Target"),
    ],
    "slot": [(put("end", "2026-12-01T08:00:00+05:30"), "aq-slo-1")],
    "appointment": [
        (put("end", "2026-12-01T08:00:00+05:30"), "aq-app-1"),
        (both(without("start"), without("end")), "aq-app-2"),
        (put("status", "booked"), "aq-app-3"),
        (put("participant.1.actor", ANOTHER), "aq-app-4"),
        (both(without("extension"), put("status", "booked"), put("participant.0.actor", ORGANIZATION)), "aq-app-5"),
        (without("participant.0.actor"), "Appointment.participant.actor: minimum"),
        (put("extension.0", {"url": f"{STRUCTURES}/hold-expires", "valueDateTime": "2026"}), "hold-expires"),
    ],
    "report": [
        (without("meta.security"), "aq-res-1"),
        (without("subject"), "DiagnosticReport.subject: minimum"),
        (put("subject", {"reference": "Group/1"}), "not a valid Target"),
        (put(RELEASE, SCHEDULED), "aq-rel-1"),
        (put(RELEASE, [{"url": "state", "valueCode": "held"}]), "aq-rel-2"),
        (put(RELEASE, [{"url": "state", "valueCode": "hidden"}]), "ReleaseState"),
        (put(RELEASE, [{"url": "visibleAt", "valueInstant": "2026-11-24T09:00:00Z"}]), "extension:state"),
    ],
    "result": [
        (put("meta.extension.0.extension.0.valueCode", "held"), "aq-res-1"),
        (without("subject"), "Observation.subject: minimum"),
        (put("meta.extension.0.extension.1.valueInstant", "soon"), "instant"),
    ],
    "thread": [
        (put("status", "preparation"), "aq-thr-1"),
        (put("partOf", [{"reference": "Communication/1"}]), "Communication.partOf: max"),
        (put("payload", [{"contentString": "x"}]), "Communication.payload: max"),
        (without("category"), "Communication.category: minimum"),
        (without("subject"), "Communication.subject: minimum"),
        (without("recipient"), "Communication.recipient: minimum"),
    ],
    "message": [
        (without("partOf"), "Communication.partOf: minimum"),
        (without("subject"), "Communication.subject: minimum"),
        (without("sent"), "Communication.sent: minimum"),
        (without("recipient"), "Communication.recipient: minimum"),
        (without("sender"), "Communication.sender: minimum"),
        (without("payload"), "Communication.payload: minimum"),
        (put("extension.0.extension", [{"url": "when", "valueInstant": "2026-11-21T10:00:00Z"}]), "recipient"),
    ],
    "invoice": [
        (put("totalNet", MONEY), "aq-inv-1"),
        (put("status", "balanced"), "aq-inv-2"),
        (put("extension.2.valueMoney.value", 30), "aq-inv-3"),
        (without("subject"), "Invoice.subject: minimum"),
        (without("date"), "Invoice.date: minimum"),
        (without("issuer"), "Invoice.issuer: minimum"),
        (without("lineItem"), "Invoice.lineItem: minimum"),
        (without("totalNet"), "Invoice.totalNet: minimum"),
        (without("totalGross"), "Invoice.totalGross: minimum"),
    ],
    "payment": [
        (without("paymentIdentifier"), "PaymentReconciliation.paymentIdentifier: minimum"),
        (without("detail"), "PaymentReconciliation.detail: minimum"),
        (without("detail.0.request"), "PaymentReconciliation.detail.request: minimum"),
        (put("detail.0.request", ANOTHER), "not a valid Target"),
        (without("detail.0.amount"), "PaymentReconciliation.detail.amount: minimum"),
    ],
    "advice": [
        (without("meta.security"), "security:machine"),
        (without("meta.tag"), "tag:advice"),
        (without("subject"), "GuidanceResponse.subject: minimum"),
        (put("extension.0.valueReference.reference", "Observation/1"), "aq-evi-1"),
    ],
    "consent-basic": [
        (put("scope.coding.0.code", "research"), "pattern"),
        (without("patient"), "Consent.patient: minimum"),
        (without("dateTime"), "Consent.dateTime: minimum"),
        (without("provision"), "Consent.provision: minimum"),
        (without("provision.type"), "Consent.provision.type: minimum"),
        (put("provision.actor.0.role.coding.0.code", "CST"), "aq-con-1"),
        (put("provision.actor.0.reference", ANOTHER), "not a valid Target"),
        *(
            (put(f"provision.{name}", value), f"Consent.provision.{name}: max")
            for name, value in {
                "modifierExtension": [{"url": "http://example.org/x", "valueCode": "x"}],
                "action": [{"text": "x"}],
                "securityLabel": [{"code": "R"}],
                "class": [{"code": "x"}],
                "code": [{"text": "x"}],
                "dataPeriod": {"start": "2026"},
                "data": [{"meaning": "instance", "reference": ANOTHER}],
                "provision": [{"type": "deny"}],
            }.items()
        ),
    ],
    "audit-event": [
        (without("subtype"), "AuditEvent.subtype: minimum"),
        (without("action"), "AuditEvent.action: minimum"),
        (without("outcome"), "AuditEvent.outcome: minimum"),
        (put("agent.0.requestor", True), "aq-aud-1"),
        (lambda resource: resource["agent"].pop(0), "AuditEvent.agent: minimum"),
        (without("agent.0.type"), "AuditEvent.agent.type: minimum"),
        (without("agent.0.who"), "AuditEvent.agent.who: minimum"),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_each_rule_of_a_profile_refuses_something(name: str, checked: Checked) -> None:
    example = min(examples()[name], key=lambda one: len(one["id"]))
    for number, (change, expected) in enumerate(WRONG[name]):
        wrong = deepcopy(example)
        change(wrong)
        errors = [one.text for one in checked.findings(wrong) if one.fails]
        assert any(expected in one for one in errors), (number, expected, errors)


def test_each_constraint_and_each_minimum_is_shown_to_refuse() -> None:
    assert WRONG.keys() == PROFILES.keys()
    shown = {expected for rows in WRONG.values() for _, expected in rows}
    stated = {
        one["key"]
        for entry in package().of_type("StructureDefinition")
        for element in entry.read()["differential"]["element"]
        for one in element.get("constraint", ())
    }
    assert {one for one in shown if one.startswith("aq-")} == stated
    for name, entry in PROFILES.items():
        for element in entry.read()["differential"]["element"]:
            path = element["path"]
            if (
                element.get("min")
                and ":" not in element["id"]
                and "slicing" not in element
                and not path.endswith("meta")
            ):
                assert f"{path}: minimum" in {expected for _, expected in WRONG[name]}, path


def test_what_the_demo_claims_holds(checked: Checked) -> None:
    claiming = [
        entry["resource"]
        for shipment in ground()
        for entry in shipment.bundle["entry"]
        if "profile" in entry["resource"].get("meta", {})
    ]
    assert {one["resourceType"] for one in claiming} == {
        "Location",
        "Organization",
        "OrganizationAffiliation",
        "PractitionerRole",
    }
    assert [text for one in claiming for text in checked.findings(one) if text.fails] == []


def test_what_init_founds_is_a_facility_pair(checked: Checked) -> None:
    pair = establishment.Establishment("seaview", "Seaview", "hospital").resources()
    for one, profile in zip(pair, ("facility", "facility-site"), strict=True):
        claimed = {**one, "meta": {"profile": [f"{STRUCTURES}/aquifer-{profile}"]}}
        assert not any(found.fails for found in checked.findings(claimed))


def test_every_definition_is_on_the_page_of_definitions() -> None:
    page = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
    listed = [f"`{url.rpartition('/')[2]}`" for url in package().definitions if "/ValueSet/" not in url]
    assert [one for one in listed if one not in page] == []
    assert [one for one in concepts("audit-subtype") if f"`{one}`" not in page] == []


def test_what_the_server_writes_and_reads_is_defined() -> None:
    structures = {entry.url for entry in package().of_type("StructureDefinition")}
    assert {agreement.SHARING, agreement.RESIDENCY, redaction.RELEASE} <= structures
    systems = {entry.url for entry in package().of_type("CodeSystem")}
    named = {system for system, _ in gates.INTERNAL} | set(gates.FOR_PATIENTS)
    named |= {codes.OWN_SUBTYPE, codes.OWN_DETAIL, privileges.OWN_ROLE, nodes.ORG_LEVEL, establishment.LEVELS}
    named |= {glass.TASK_CODE, glass.STAFF_ROLE, queueing.REQUESTS, membership.REQUESTS, advice.TAG["system"]}
    assert named <= systems


def test_its_codes_are_those_of_the_server() -> None:
    assert concepts("org-level") == set(nodes.LEVELS)
    assert concepts("treatment-access") == set(agreement.TREATMENT)
    assert concepts("rollup") == set(agreement.ROLLUPS)
    assert concepts("tag") == {advice.TAG["code"]}
    assert concepts("staff-role") == set(privileges.ROLES) - {"doctor", "nurse", "pharmacist", "ict"}
    assert glass.REVIEW in concepts("task-code")
    assert {queueing.REVIEW, membership.INVITATION} <= concepts("request-kind")
    assert {code for _, code in gates.INTERNAL} <= concepts("communication-category") & concepts("list-kind")
    issues = {consent.CODE, contribution.DENIED, advice.DENIED, advice.KEPT, *get_args(rules.Code)}
    assert issues <= concepts("issue-code")


def test_its_subtypes_are_those_of_the_trail() -> None:
    shapes = {found.subtype for found in codes.SHAPES.values()}
    own = {code for system, code in shapes if system == codes.OWN_SUBTYPE}
    own |= {kind.subtype for kind in KINDS.values() if not kind.subtype.isdigit() and kind.subtype != "ITI-71"}
    own |= {f"${operation.definition.code}" for operation in discovered()}
    assert own - concepts("audit-subtype") == set(), (
        "add them to code-systems/audit-subtype.json and docs/definitions.md"
    )


def test_the_files_are_written_in_one_way() -> None:
    for file in sorted((*EXAMPLES.parent.rglob("*.json"),)):
        text = file.read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n", file.name
