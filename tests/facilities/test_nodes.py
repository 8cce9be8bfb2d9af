"""Organizations, memberships and agreements as they are read from resources."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhir_server.facilities import agreement, nodes
from fhir_server.facilities.agreement import NOTHING_AGREED, RESIDENCY, SHARING, Agreement
from fhir_server.facilities.nodes import FOREVER, ORG_LEVEL
from fhir_server.search.types.date import EARLIEST

FULL = Agreement(
    "relationship",
    "deidentified",
    directory=True,
    emergency=True,
    export_recipients=frozenset({"payer", "registry"}),
    residency="north",
)


def test_an_agreement_is_read_as_it_is_written() -> None:
    for one in (FULL, NOTHING_AGREED):
        assert agreement.read({"extension": [one.extension()]}) == (one, [])


def test_without_an_agreement_nothing_is_agreed() -> None:
    assert agreement.read({}) == (NOTHING_AGREED, [])
    assert agreement.read({"extension": [{"url": "http://else.example"}]}) == (NOTHING_AGREED, [])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"url": "treatmentAccess", "valueCode": "all"}, "none, relationship, network"),
        ({"url": "rollup", "valueString": "everything"}, "none, aggregate"),
        ({"url": "emergency", "valueCode": "yes"}, "true or false"),
        ({"url": "exportRecipients", "valueReference": {"reference": "Patient/1"}}, "Organization"),
        ({"url": "residency", "valueInteger": 1}, "zone"),
        ({"url": "treatment", "valueCode": "none"}, "no part"),
    ],
)
def test_what_cannot_be_read_is_not_agreed_and_named(row: dict[str, Any], said: str) -> None:
    found, wrong = agreement.read({"extension": [{}, {"url": SHARING, "extension": [row]}]})
    assert found == NOTHING_AGREED
    assert [one.place for one in wrong] == ["extension[1].extension[0]"]
    assert said in wrong[0].text


def test_two_agreements_are_none() -> None:
    found, wrong = agreement.read({"extension": [FULL.extension(), NOTHING_AGREED.extension()]})
    assert found == NOTHING_AGREED
    assert len(wrong) == 1


def test_an_organization_is_read() -> None:
    found = nodes.organization(
        {
            "resourceType": "Organization",
            "id": "ward",
            "active": False,
            "name": "Ward",
            "type": [{"text": "free"}, {"coding": [{"system": "http://x", "code": "facility"}]},
                     {"coding": [{"system": ORG_LEVEL, "code": "department"}]}],
            "partOf": {"reference": "https://here.example/fhir/Organization/hospital"},
            "extension": [{"url": RESIDENCY, "valueCode": "north"}],
        },
        "https://here.example/fhir",
    )  # fmt: skip
    assert found == nodes.Organization("ward", "hospital", "department", "Ward", active=False, zone="north")


def test_a_period_ends_with_its_last_millisecond_in_the_zone_of_the_deployment() -> None:
    period = {"start": "2026-01-01", "end": "2026-01-31"}
    found = nodes.span(period, ZoneInfo("Europe/Berlin"))
    assert found == (datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 1, 31, 23, tzinfo=UTC))
    assert nodes.span(None) == (EARLIEST, FOREVER)
    assert nodes.span({"start": "2026"})[1] == FOREVER


def test_an_affiliation_that_does_not_say_whether_it_is_active_is() -> None:
    resource = {
        "resourceType": "OrganizationAffiliation",
        "id": "one",
        "organization": {"reference": "Organization/net"},
        "participatingOrganization": {"reference": "Organization/clinic"},
        "code": [{"coding": [{"system": nodes.ROLE, "code": "member"}]}],
        "extension": [FULL.extension()],
    }
    assert nodes.affiliation(resource) == nodes.Affiliation("one", "net", "clinic", agreement=FULL)
    assert not nodes.affiliation({**resource, "active": False}).active
