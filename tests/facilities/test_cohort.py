"""Whose patients the virtual Group of an Organization has."""

from datetime import UTC, datetime, timedelta

from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.cohort import cohort, organization_of, resource
from fhir_server.facilities.nodes import Affiliation, Organization
from fhir_server.facilities.tree import Tree

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)

LAND = (
    Organization("land", level="sovereign"),
    Organization("east", "land", "region"),
    Organization("net", "land", "network"),
    Organization("wide", "", "network"),
    Organization("hospital", "east", "facility"),
    Organization("ward", "hospital", "department"),
    Organization("clinic", "east", "facility", zone="south"),
    Organization("desk", "clinic", "department"),
    Organization("lone", "", "facility"),
)


def member(organization: str, network: str, *recipients: str, end: datetime = NOW + DAY, zone: str = "") -> Affiliation:
    agreement = Agreement(export_recipients=frozenset(recipients), residency=zone)
    return Affiliation(
        f"{network}-{organization}", network, organization, start=NOW - DAY, end=end, agreement=agreement
    )


def of(organization: str, *affiliations: Affiliation, home: str = "home", at: datetime = NOW) -> frozenset[str]:
    return cohort(Tree(LAND, affiliations, "root"), organization, at, home).custodians


def test_a_facility_has_the_patients_of_itself_and_its_parts() -> None:
    assert of("hospital") == {"hospital", "ward"}


def test_a_region_has_those_of_its_facilities_but_for_who_has_to_stay_in_another_zone() -> None:
    assert of("east") == {"east", "hospital", "ward"}
    assert of("east", home="south") == {"east", "hospital", "ward", "clinic", "desk"}


def test_a_facility_of_a_zone_has_its_own() -> None:
    assert of("clinic") == {"clinic", "desk"}
    assert cohort(Tree(LAND, (), "root"), "clinic", NOW, "home").zones == {"south", "home"}


def test_a_network_has_those_of_members_who_let_exports_go_to_it() -> None:
    assert of("net", member("lone", "net", "net"), member("hospital", "net", "land")) == {"net", "lone"}


def test_a_membership_that_is_over_gives_nothing() -> None:
    over = member("lone", "net", "net", end=NOW)
    assert of("net", over) == {"net"}
    assert of("net", over, at=NOW - timedelta(hours=1)) == {"net", "lone"}


def test_a_network_of_networks_is_named_on_each_step() -> None:
    first, second = member("lone", "net", "wide"), member("net", "wide", "wide")
    assert of("wide", first, second) == {"wide", "net", "lone"}
    assert of("wide", member("lone", "net", "net"), second) == {"wide", "net"}
    assert of("wide", first, member("net", "wide")) == {"wide"}


def test_the_residency_of_an_agreement_keeps_a_member_where_it_is() -> None:
    stays = member("lone", "net", "net", zone="south")
    assert of("net", stays) == {"net"}
    assert of("net", stays, home="south") == {"net", "lone"}
    assert of("net", member("lone", "net", "net"), member("lone", "wide", zone="south")) == {"net"}


def test_a_circle_of_memberships_ends() -> None:
    assert of("net", member("wide", "net", "net"), member("net", "wide", "net")) == {"net", "wide"}


def test_the_id_of_a_group_says_whose_it_is() -> None:
    assert organization_of("facility.east") == "east"
    assert organization_of("east") == ""
    assert resource(Organization("east", name="East"))["id"] == "facility.east"
