"""HI-11: the searches of IHE mCSD return the right trees."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import SecretStr

from fhir_server.demo import country
from fhir_server.demo.geography import FACILITIES, LEVELS
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Mongo, Settings

BASE = "http://x/fhir"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Service]:
    settings = Settings(data_dir=data_dir, mongo=Mongo(database=f"mcsd_{uuid4().hex[:8]}", cache_gb=0.25))
    async with running(settings) as service:
        for shipment in country.ground():
            asked = FhirRequest("POST", (), BASE, resource=shipment.bundle)
            answer = await service.dispatch(asked, shipment.facility)
            assert answer.status == 200, answer.body
        yield service


async def found(service: Service, resource_type: str, **asked: str) -> list[str]:
    """Return the ids that a search finds, sorted; of included resources with their type and a plus sign."""
    query: tuple[tuple[str, str], ...] = (
        *((name.replace("__", ":"), value) for name, value in asked.items()),
        ("_count", "200"),
    )
    answer = await service.dispatch(FhirRequest("GET", (resource_type,), BASE, query=query))
    assert answer.status == 200, answer.body
    entries: list[dict[str, Any]] = json.decode(answer.body).get("entry", [])
    own = [one["resource"]["id"] for one in entries if one["search"]["mode"] == "match"]
    others = [one["resource"] for one in entries if one["search"]["mode"] == "include"]
    return sorted(own) + sorted(f"+{one['resourceType']}/{one['id']}" for one in others)


NORTH = sorted(one.id for one in FACILITIES if one.region == "northreach")
COASTAL = sorted(one.id for one in FACILITIES if one.network == "coastal")


@pytest.mark.parametrize(
    ("resource_type", "asked", "expected"),
    [
        ("Organization", {"partof": "Organization/meridia"}, ["northreach", "southvale"]),
        ("Organization", {"partof": "northreach", "type": f"{LEVELS}|facility"}, NORTH),
        ("Organization", {"partof": "northreach", "type": f"{LEVELS}|network"}, ["coastal", "highland"]),
        ("Organization", {"partof.partof": "meridia", "type": f"{LEVELS}|facility"}, sorted(one.id for one in FACILITIES)),
        ("Organization", {"_id": "seaview", "_include": "Organization:partof"}, ["seaview", "+Organization/northreach"]),
        (
            "Organization",
            {"_id": "seaview", "_include__iterate": "Organization:partof"},
            ["seaview", "+Organization/meridia", "+Organization/northreach"],
        ),
        ("Organization", {"name": "seaview"}, ["seaview"]),
        ("Organization", {"identifier": "SEAVIEW"}, ["seaview"]),
        ("Organization", {"_has__OrganizationAffiliation__participating-organization__primary-organization": "coastal"}, COASTAL),
        ("OrganizationAffiliation", {"primary-organization": "coastal"}, [f"coastal-{one}" for one in COASTAL]),
        ("OrganizationAffiliation", {"participating-organization": "seaview"}, ["coastal-seaview"]),
        ("OrganizationAffiliation", {"participating-organization": "seaview", "active": "true", "date": "ge2026-01-01"}, ["coastal-seaview"]),
        ("OrganizationAffiliation", {"participating-organization": "seaview", "date": "lt2020-01-01"}, []),
        ("OrganizationAffiliation", {"role": "http://hl7.org/fhir/organization-role|member", "primary-organization": "vale"}, ["vale-orchard", "vale-valebridge"]),
        (
            "OrganizationAffiliation",
            {"participating-organization": "solo", "_include": "OrganizationAffiliation:primary-organization"},
            [],
        ),
        (
            "OrganizationAffiliation",
            {"participating-organization": "seaview", "_include": "OrganizationAffiliation:primary-organization"},
            ["coastal-seaview", "+Organization/coastal"],
        ),
        ("Location", {"organization": "seaview"}, ["seaview-site"]),
        ("Location", {"partof": "cairn-site"}, ["cairn-w1", "cairn-w2"]),
        ("Location", {"near": "57.1650|-2.1010|5|km"}, ["port-meridia-site", "seaview-site"]),
        ("Location", {"organization.partof": "southvale", "type": "http://terminology.hl7.org/CodeSystem/v3-RoleCode|HOSP"}, ["valebridge-site"]),
    ],
)  # fmt: skip
async def test_HI_11_searches_of_mcsd(
    service: Service, resource_type: str, asked: dict[str, str], expected: list[str]
) -> None:
    assert await found(service, resource_type, **asked) == expected
