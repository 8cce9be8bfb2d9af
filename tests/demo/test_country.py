"""The synthetic country is the same at every run, complete, and valid."""

from collections import Counter
from typing import Any

import pytest

from fhir_server.access import consent, privileges, relationship
from fhir_server.access.labels import Labels
from fhir_server.demo import offices
from fhir_server.demo.country import Shipment, ground, patients, shipments, size
from fhir_server.demo.geography import FACILITIES, SHARING
from fhir_server.demo.offices import EMPLOYEES
from fhir_server.facilities import agreement
from fhir_server.model import json
from fhir_server.model.reference import walk
from fhir_server.settings import Access
from profiles.definitions.registry import load
from profiles.validate.validator import Validator


@pytest.fixture(scope="module")
def all_shipments() -> list[Shipment]:
    return list(shipments())


@pytest.fixture(scope="module")
def resources(all_shipments: list[Shipment]) -> dict[str, dict[str, Any]]:
    return {
        entry["request"]["url"]: entry["resource"] for shipment in all_shipments for entry in shipment.bundle["entry"]
    }


def of_type(resources: dict[str, dict[str, Any]], resource_type: str) -> list[dict[str, Any]]:
    return [resource for resource in resources.values() if resource["resourceType"] == resource_type]


def test_two_runs_give_the_same_bytes() -> None:
    first = [json.encode(shipment.bundle) for _, shipment in zip(range(60), shipments(), strict=False)]
    second = [json.encode(shipment.bundle) for _, shipment in zip(range(60), shipments(), strict=False)]
    assert first == second


def test_a_larger_country_begins_with_the_same_patients() -> None:
    small = {shipment.title: shipment.bundle for shipment in patients(1)}
    large = {shipment.title: shipment.bundle for _, shipment in zip(range(600), patients(10), strict=False)}
    assert len(large) == 600
    assert all(large[title] == bundle for title, bundle in small.items())


def test_size_counts_the_shipments(all_shipments: list[Shipment]) -> None:
    assert len(all_shipments) == size(1)


def test_it_has_the_organizations_places_and_staff_of_the_plan(resources: dict[str, dict[str, Any]]) -> None:
    levels = Counter(row["type"][0]["coding"][0]["code"] for row in of_type(resources, "Organization"))
    assert levels == {"sovereign": 1, "region": 2, "network": 3, "facility": 8}
    members = {row["participatingOrganization"]["reference"] for row in of_type(resources, "OrganizationAffiliation")}
    assert len(members) == 7
    assert "Organization/solo" not in members
    kinds = Counter(row["physicalType"]["coding"][0]["code"] for row in of_type(resources, "Location"))
    assert (kinds["si"], kinds["bd"]) == (8, 40)
    assert len(of_type(resources, "Practitioner")) == 60 + len(EMPLOYEES)
    roles = of_type(resources, "PractitionerRole")
    assert len(roles) == 85 + sum(len(employee.posts) for employee in EMPLOYEES)
    assert sum(not role["active"] for role in roles) == 9
    assert len(of_type(resources, "Patient")) == 500


def test_every_reference_leads_to_the_same_or_an_earlier_transaction(all_shipments: list[Shipment]) -> None:
    seen: set[str] = set()
    for shipment in all_shipments:
        seen |= {entry["request"]["url"] for entry in shipment.bundle["entry"]}
        for entry in shipment.bundle["entry"]:
            for place, found in walk(entry["resource"], entry["request"]["url"]):
                assert found["reference"] in seen, place


def test_transactions_of_patients_need_only_the_ground_and_themselves() -> None:
    base = {entry["request"]["url"] for shipment in ground() for entry in shipment.bundle["entry"]}
    for shipment in patients():
        own = {entry["request"]["url"] for entry in shipment.bundle["entry"]}
        for entry in shipment.bundle["entry"]:
            for place, found in walk(entry["resource"], entry["request"]["url"]):
                assert found["reference"] in base or found["reference"] in own, place


def test_each_resource_is_there_once_and_kept_by_its_facility(all_shipments: list[Shipment]) -> None:
    urls = Counter(entry["request"]["url"] for shipment in all_shipments for entry in shipment.bundle["entry"])
    assert max(urls.values()) == 1
    for shipment in patients():
        keepers = {
            entry["resource"]["managingOrganization"]["reference"]
            for entry in shipment.bundle["entry"]
            if entry["resource"]["resourceType"] == "Patient"
        }
        assert keepers == {f"Organization/{shipment.facility}"}


def test_everything_is_valid(resources: dict[str, dict[str, Any]]) -> None:
    validator = Validator(load())
    found = [
        (name, issue.text) for name, resource in resources.items() for issue in validator.check(resource) if issue.fails
    ]
    assert found == []


def test_the_planted_cases_are_there(resources: dict[str, dict[str, Any]]) -> None:
    patient = {name.removeprefix("Patient/"): row for name, row in resources.items() if name.startswith("Patient/")}
    assert patient["p0001"]["birthDate"] == patient["p0002"]["birthDate"]
    assert (patient["p0001"]["multipleBirthInteger"], patient["p0002"]["multipleBirthInteger"]) == (1, 2)
    mother = resources["Person/person-p0003"]
    assert {link["target"]["reference"] for link in mother["link"]} == {
        "Patient/p0003",
        "RelatedPerson/p0001-guardian",
        "RelatedPerson/p0002-guardian",
    }
    assert patient["p0004"]["name"][0]["text"] == patient["p0005"]["name"][0]["text"]
    assert patient["p0004"]["birthDate"] != patient["p0005"]["birthDate"]
    assert resources["RelatedPerson/p0006-guardian"]["relationship"][0]["coding"][0]["code"] == "GRMTH"
    assert patient["p0009"]["active"] is False
    assert patient["p0009"]["link"] == [{"other": {"reference": "Patient/p0008"}, "type": "replaced-by"}]
    assert patient["p0010"]["deceasedDateTime"].startswith("2026-02-11")
    assert "birthDate" not in patient["p0011"]
    assert patient["p0011"]["gender"] == "unknown"
    assert [patient[name]["name"][0]["family"] for name in ("p0012", "p0013", "p0014")] == ["حسن", "כהן", "कुमार"]
    assert patient["p0012"]["name"][1]["text"] == "Layla Hassan"
    assert (patient["p0015"]["birthDate"], patient["p0016"]["birthDate"]) == ("1958-07", "1949")


def test_nobody_shares_a_bed_today(resources: dict[str, dict[str, Any]]) -> None:
    beds = [
        row["location"][0]["location"]["reference"]
        for row in of_type(resources, "Encounter")
        if row["status"] == "in-progress" and row["class"]["code"] == "IMP"
    ]
    assert len(beds) == len(set(beds)) > 3


def test_nothing_happens_after_death(resources: dict[str, dict[str, Any]]) -> None:
    died = {
        f"Patient/{row['id']}": row["deceasedDateTime"][:10]
        for row in of_type(resources, "Patient")
        if "deceasedDateTime" in row
    }
    assert len(died) > 5
    for row in of_type(resources, "Encounter"):
        if (subject := row["subject"]["reference"]) in died:
            assert row["period"]["start"][:10] <= died[subject]


def test_every_facility_has_patients_and_doctors(resources: dict[str, dict[str, Any]]) -> None:
    keepers = Counter(row["managingOrganization"]["reference"] for row in of_type(resources, "Patient"))
    assert set(keepers) == {f"Organization/{facility.id}" for facility in FACILITIES}
    assert min(keepers.values()) >= 20


def test_every_role_that_lasts_gives_privileges_that_the_server_knows(resources: dict[str, dict[str, Any]]) -> None:
    worked = set()
    for role in of_type(resources, "PractitionerRole"):
        codes = [f"{coding['system']}|{coding['code']}" for coding in role["code"][0]["coding"]]
        assert privileges.of(codes, {}).areas.keys() > privileges.NOTHING.areas.keys(), codes
        worked |= {code.partition("|")[2] for code in codes}
    assert worked >= {"doctor", "nurse", "pharmacist", "front-desk", "billing", "privacy-officer", "administrator"}
    for code, (system, display) in offices.ROLES.items():
        assert system == (privileges.HL7_ROLE if code == "doctor" else privileges.OWN_ROLE)
        assert display == privileges.ROLES[code].title


def test_somebody_treats_at_one_facility_and_administers_another(resources: dict[str, dict[str, Any]]) -> None:
    hers = [one for one in of_type(resources, "PractitionerRole") if one["practitioner"]["reference"].endswith("/hc01")]
    assert {(one["organization"]["reference"], one["code"][0]["coding"][0]["code"]) for one in hers} == {
        ("Organization/seaview", "doctor"),
        ("Organization/saltmarsh", "administrator"),
    }


def test_members_share_by_agreements_of_every_kind(resources: dict[str, dict[str, Any]]) -> None:
    found = [agreement.read(one) for one in of_type(resources, "OrganizationAffiliation")]
    assert [wrong for _, wrong in found if wrong] == []
    assert SHARING == agreement.SHARING
    assert {one.treatment_access for one, _ in found} == set(agreement.TREATMENT)
    assert {one.emergency for one, _ in found} == {True, False}


def test_what_is_planted_for_access_can_be_enforced(resources: dict[str, dict[str, Any]]) -> None:
    denial = resources["Consent/p0005-no-sharing"]
    assert consent.findings(denial) == []
    said = consent.provision(denial)
    assert said is not None
    assert (said.permits, said.recipients) == (False, ("Organization/coastal",))
    labels = Labels(load(), Access())
    assert labels.envelope(resources["Condition/p0004-labelled"]) == {"sl": ["PSY", "R"]}
    referral = relationship.claim("Task", {"p": "p0013", "r": resources["Task/p0013-referral-task"]})
    assert referral is not None
    assert (referral.actors, referral.via) == (("Organization/port-meridia",), "ServiceRequest/p0013-referral")
    assert resources["Observation/p0004-preliminary"]["status"] == "preliminary"
    assert resources["DiagnosticReport/p0004-held"]["meta"]["security"][0]["code"] == "NOPAT"


def test_one_woman_is_registered_at_two_facilities_and_nobody_has_linked_the_two(
    resources: dict[str, dict[str, Any]],
) -> None:
    one, other = resources["Patient/p0003"], resources["Patient/p0018"]
    assert (one["name"], one["birthDate"]) == (other["name"], other["birthDate"])
    assert one["managingOrganization"] != other["managingOrganization"]
    national = [
        [row["value"] for row in each["identifier"] if row["system"].endswith("national")] for each in (one, other)
    ]
    assert national[0] == national[1]
    assert "link" not in other
