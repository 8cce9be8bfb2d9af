"""User-access brands."""

from dataclasses import replace

import pytest

from profiles.definitions.registry import load
from profiles.validate.validator import Validator
from smart_auth import brands, discovery
from tests.smart_auth.house import BASE, ISSUER, House

PORTAL = "https://general.example/patients"


@pytest.fixture
async def found(house: House) -> dict[str, brands.Json]:
    policy = replace(house.realm.policy, portal=PORTAL)
    return brands.bundle(policy, await house.realm.directory.organizations())


async def test_the_bundle_is_valid_and_as_new_as_what_is_in_it(found: dict[str, brands.Json]) -> None:
    assert [issue for issue in Validator(load()).check(found) if issue.severity in {"error", "fatal"}] == []
    assert (found["type"], found["timestamp"]) == ("collection", "2026-11-21T08:00:00Z")
    kinds = [entry["resource"]["resourceType"] for entry in found["entry"]]
    assert kinds == ["Organization", "Organization", "Organization", "Endpoint"]


async def test_a_brand_has_a_name_a_page_an_identifier_a_portal_and_an_endpoint(found: dict[str, brands.Json]) -> None:
    brand, endpoint = found["entry"][0]["resource"], found["entry"][-1]
    assert brand["name"] == "General"
    assert brand["telecom"] == [{"system": "url", "value": PORTAL}]
    assert brand["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": PORTAL}]
    assert brand["extension"][0]["url"].endswith("/organization-portal")
    assert f"{BASE}/{brand['endpoint'][0]['reference']}" == endpoint["fullUrl"]
    assert endpoint["resource"]["address"] == BASE
    assert endpoint["resource"]["extension"][0]["valueCode"] == "4.0.1"
    assert endpoint["resource"]["contact"] == [{"system": "url", "value": PORTAL}]
    assert endpoint["resource"]["payloadType"][0]["coding"][0]["code"] == "none"


async def test_facilities_are_parts_of_the_brand_with_a_page_each(found: dict[str, brands.Json]) -> None:
    north, south = (entry["resource"] for entry in found["entry"][1:3])
    assert {one["partOf"]["reference"] for one in (north, south)} == {"Organization/root"}
    assert north["telecom"] == [{"system": "url", "value": "https://north.example"}]
    assert south["telecom"] == [{"system": "url", "value": PORTAL}]
    assert south["address"] == [{"city": "S"}]


async def test_no_phone_number_or_contact_of_an_organization_is_published(found: dict[str, brands.Json]) -> None:
    assert "555" not in str(found)


async def test_brands_are_announced_where_they_are_served_only(house: House) -> None:
    plain = discovery.smart_configuration(house.realm.policy)
    assert not {"user_access_brand_bundle", "user_access_brand_identifier"} & plain.keys()
    shown = discovery.smart_configuration(replace(house.realm.policy, portal=PORTAL))
    assert shown["user_access_brand_bundle"] == f"{ISSUER}/brands"
    assert shown["user_access_brand_identifier"] == {"system": "urn:ietf:rfc:3986", "value": PORTAL}
