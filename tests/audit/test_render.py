"""Rows as AuditEvents: valid R4, and conforming to the BALP profiles that they claim."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from fhirclient.models.auditevent import AuditEvent

from fhir_server.audit.codes import BALP, DCM
from fhir_server.audit.render import event, stored
from fhir_server.model import json
from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from smart_auth.audit import KINDS
from tests.audit.balp import Guide
from tests.audit.rows import ID, OBSERVER, OTHERS, ROWS, row

ALL = {**ROWS, **OTHERS, **{f"security {kind}": row(kind, a="E", p=None, rt=None, m=None, st=None) for kind in KINDS}}


@pytest.fixture(scope="session")
def guide(test_data: Path) -> Guide:
    return Guide(test_data)


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator(load())


def agent(rendered: dict[str, Any], code: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = [one for one in rendered["agent"] if one["type"]["coding"][0]["code"] == code]
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_kind_is_a_valid_auditevent(name: str, validator: Validator) -> None:
    rendered = event(ALL[name], OBSERVER)

    assert [issue for issue in validator.check(rendered) if issue.severity in {"error", "fatal"}] == []
    assert AuditEvent(json.decode(json.encode(rendered))).as_json()["id"] == ID


@pytest.mark.parametrize("name", ROWS)
def test_a_success_conforms_to_the_profile_that_it_claims(name: str, guide: Guide) -> None:
    rendered = event(ROWS[name], OBSERVER)

    assert rendered["meta"]["profile"]
    assert guide.findings(rendered) == []


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_success_of_a_profile_claims_none(name: str) -> None:
    assert "profile" not in event(OTHERS[name], OBSERVER)["meta"]


def test_the_profiles_are_checked_by_more_than_their_names(guide: Guide) -> None:
    rendered = event(ROWS["read"], OBSERVER)
    rendered["agent"][0]["type"] = {"coding": [{"system": DCM, "code": "110153"}]}
    rendered["entity"].pop()
    rendered["action"] = "U"

    assert len(guide.findings(rendered)) >= 3


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("read", "IHE.BasicAudit.PatientRead"),
        ("vread", "IHE.BasicAudit.PatientRead"),
        ("create", "IHE.BasicAudit.PatientCreate"),
        ("update", "IHE.BasicAudit.PatientUpdate"),
        ("patch", "IHE.BasicAudit.PatientUpdate"),
        ("delete", "IHE.BasicAudit.PatientDelete"),
        ("search", "IHE.BasicAudit.PatientQuery"),
        ("search of a compartment", "IHE.BasicAudit.PatientQuery"),
        ("search of several", "IHE.BasicAudit.Query"),
        ("search without a patient", "IHE.BasicAudit.Query"),
        ("read without a patient", "IHE.BasicAudit.Read"),
        ("token", "IHE.IUA.71"),
        ("consent", "IHE.BasicAudit.AuthZconsent"),
        ("disclosure", "IHE.BasicAudit.PrivacyDisclosure.Source"),
    ],
)
def test_each_kind_has_its_profile(name: str, profile: str) -> None:
    assert event(ROWS[name], OBSERVER)["meta"]["profile"] == [f"{BALP}/StructureDefinition/{profile}"]


def test_an_event_is_the_one_version_of_a_resource() -> None:
    found = stored(ROWS["read"], OBSERVER)

    assert (found.resource_type, found.id, found.vid, found.method) == ("AuditEvent", ID, 1, "POST")
    assert found.last_updated.isoformat() == "2026-03-04T10:20:30.456000+00:00"
    assert json.decode(found.body)["meta"]["lastUpdated"] == "2026-03-04T10:20:30.456Z"


def test_who_took_part_is_told_with_role_facility_and_purpose() -> None:
    rendered = event(ROWS["read"], OBSERVER)

    user = agent(rendered, "IRCP")
    assert user["who"]["reference"] == "PractitionerRole/ward"
    assert user["who"]["identifier"] == {"system": OBSERVER.issuer, "value": "u-doc"}
    assert user["requestor"] is True
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["policy"] == ["urn:aquifer:grant:grant-1"]
    assert agent(rendered, "PROV")["who"] == {"reference": "Organization/north"}
    assert agent(rendered, "110152")["network"] == {"address": "10.1.2.3", "type": "2"}
    assert rendered["source"]["observer"]["identifier"]["value"] == OBSERVER.base


def test_broken_glass_is_told() -> None:
    rendered = event(ROWS["break-glass"], OBSERVER)

    assert rendered["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"


def test_a_query_is_told_as_it_was_kept() -> None:
    rendered = event(ROWS["search"], OBSERVER)

    (query,) = [one for one in rendered["entity"] if "query" in one]
    assert query["description"] == "GET Observation?code=http://loinc.org|8867-4&patient=ann"
    assert b64decode(query["query"]).decode() == query["description"]


def test_what_was_refused_for_want_of_a_right_is_an_alert() -> None:
    assert event(OTHERS["forbidden"], OBSERVER)["type"]["code"] == "110113"
    assert event(OTHERS["forbidden"], OBSERVER)["outcomeDesc"] == "Refused with HTTP status 403."
    assert event(OTHERS["not found"], OBSERVER)["type"]["code"] == "rest"


def test_names_come_from_the_reader_alone() -> None:
    silent = event(ROWS["read"], OBSERVER)
    told = event(ROWS["read"], OBSERVER, {"u-doc": "Dr Doc", "Organization/north": "North", "Patient/ann": "Ann"})

    assert "display" not in agent(silent, "IRCP")["who"]
    assert agent(told, "IRCP")["who"]["display"] == "Dr Doc"
    assert agent(told, "PROV")["who"]["display"] == "North"
