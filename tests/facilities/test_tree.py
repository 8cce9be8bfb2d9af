"""Who stands where, and who shares with whom, of a country that is put together by hand."""

from datetime import UTC, datetime, timedelta

import pytest

from fhir_server.facilities.agreement import Agreement, Rollup, TreatmentAccess
from fhir_server.facilities.nodes import Affiliation, Organization
from fhir_server.facilities.tree import Sharing, Tree

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)

LAND = (
    Organization("root"),
    Organization("land", level="sovereign", zone="north"),
    Organization("east", "land", "region"),
    Organization("net", "east", "network"),
    Organization("big-net", "land", "network"),
    Organization("hospital", "east", "facility"),
    Organization("ward", "hospital", "department"),
    Organization("clinic", "east", "facility", zone="south"),
    Organization("lab", "", "facility"),
)


def member(
    organization: str,
    network: str = "net",
    access: TreatmentAccess = "network",
    *,
    emergency: bool = False,
    active: bool = True,
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    code: str = "member",
    rollup: Rollup = "none",
) -> Affiliation:
    agreement = Agreement(access, rollup, emergency=emergency)
    return Affiliation(
        f"{network}-{organization}-{code}", network, organization, frozenset({code}), active, start, end, agreement
    )


def tree(*affiliations: Affiliation) -> Tree:
    return Tree(LAND, affiliations, "root")


def test_below_is_an_organization_and_all_its_parts() -> None:
    assert tree().below("east") == {"east", "net", "hospital", "ward", "clinic"}
    assert tree().below("ward") == {"ward"}
    assert tree().below("nowhere") == {"nowhere"}


def test_above_is_nearest_first_and_ends_where_a_circle_would_begin() -> None:
    assert tree().above("ward") == ("hospital", "east", "land")
    circle = Tree([Organization("a", "b"), Organization("b", "a")], [], "root")
    assert circle.above("a") == ("b",)
    assert circle.below("a") == {"a", "b"}


def test_levels_and_zones_are_inherited_or_not() -> None:
    assert tree().level("ward") == "department"
    assert tree().level("root") == ""
    assert tree().zone("ward") == "north"
    assert tree().zone("clinic") == "south"
    assert tree().zone("lab") == ""


def test_a_deployment_without_facilities_is_single() -> None:
    assert Tree([Organization("root", level="facility"), Organization("payer")], [], "root").is_single
    assert not tree().is_single


def test_without_a_common_network_nothing_is_shared() -> None:
    assert tree().sharing("hospital", NOW) == Sharing()
    assert tree(member("hospital"), member("clinic", "big-net")).sharing("hospital", NOW) == Sharing()


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        ("network", "network", "network"),
        ("network", "relationship", "related"),
        ("relationship", "network", "related"),
        ("network", "none", ""),
        ("none", "network", ""),
    ],
)
def test_of_two_agreements_the_stricter_holds(mine: TreatmentAccess, theirs: TreatmentAccess, expected: str) -> None:
    found = tree(member("hospital", access=mine), member("clinic", access=theirs)).sharing("hospital", NOW)
    assert found.network == ({"clinic"} if expected == "network" else set())
    assert found.related == ({"clinic"} if expected == "related" else set())


def test_the_glass_may_be_broken_only_where_both_sides_agreed() -> None:
    one = tree(member("hospital", emergency=True), member("clinic"))
    both = tree(member("hospital", emergency=True), member("clinic", access="none", emergency=True))
    assert one.sharing("hospital", NOW).emergency == set()
    assert both.sharing("hospital", NOW) == Sharing(emergency=frozenset({"clinic"}))


def test_parts_of_a_member_share_and_are_shared() -> None:
    found = tree(member("hospital"), member("clinic"))
    assert found.sharing("ward", NOW).network == {"clinic", "hospital"}
    assert found.sharing("clinic", NOW).network == {"hospital", "ward"}
    assert found.sharing("hospital", NOW).network == {"clinic"}


@pytest.mark.parametrize(
    "ended",
    [
        {"active": False},
        {"end": NOW},
        {"start": NOW + timedelta(milliseconds=1)},
        {"code": "supplier"},
    ],
)
def test_what_is_no_membership_now_shares_nothing(ended: dict[str, object]) -> None:
    found = tree(member("hospital"), member("clinic", **ended))  # type: ignore[arg-type]
    assert found.sharing("hospital", NOW) == Sharing()
    assert found.sharing("clinic", NOW) == Sharing()


def test_a_network_takes_its_members_into_a_larger_one_by_the_strictest_agreement() -> None:
    found = tree(member("hospital"), member("net", "big-net", "relationship"), member("lab", "big-net"))
    assert found.sharing("hospital", NOW).related == {"net", "lab"}
    assert found.sharing("lab", NOW).related == {"net", "hospital", "ward"}


def test_of_two_common_networks_the_more_open_counts() -> None:
    found = tree(
        member("hospital", access="relationship"),
        member("clinic"),
        member("hospital", "big-net"),
        member("clinic", "big-net"),
    )
    assert found.sharing("hospital", NOW) == Sharing(network=frozenset({"clinic"}))


def test_it_tells_when_something_will_change() -> None:
    found = tree(
        member("hospital", end=NOW + 2 * DAY), member("clinic"), member("lab", end=NOW + 9 * DAY, active=False)
    )
    assert found.changes_after(NOW) == NOW + DAY
    assert found.changes_after(NOW + DAY) == NOW + 2 * DAY
    assert found.changes_after(NOW + 2 * DAY) is None


def test_hierarchies_of_other_codes_stand_beside_the_administrative_one() -> None:
    found = tree(member("lab", "hospital", code="supplier"), member("clinic", "hospital", code="supplier", end=NOW))
    assert found.children("hospital") == ("ward",)
    assert found.children("hospital", "supplier", NOW) == ("lab",)
    assert found.children("hospital", "supplier", NOW - DAY) == ("clinic", "lab")
    with pytest.raises(ValueError, match="at a moment"):
        found.children("hospital", "supplier")
