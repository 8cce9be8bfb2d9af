"""User-access brands: who stands behind this server, for lists from which people pick where their records are (SMART 2.2, 8).

The bundle is open to everybody, so it names organizations by what stands on their door: name, kind, address and web page. It is
served where the deployment has a page for its patients (`Policy.portal`), which is also what the brand is known by.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from smart_auth.realm import Policy

URI = "urn:ietf:rfc:3986"
CORE = "http://hl7.org/fhir/StructureDefinition"
SMART = "http://hl7.org/fhir/smart-app-launch/StructureDefinition"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
SHOWN = ("name", "alias", "type", "address")
ENDPOINT = "fhir"

Json = Any


def announced(policy: Policy) -> dict[str, Json]:
    """Return the members of smart-configuration; none where there is no portal."""
    if not policy.portal:
        return {}
    return {
        "user_access_brand_bundle": policy.url("brands"),
        "user_access_brand_identifier": {"system": URI, "value": policy.portal},
    }


def bundle(policy: Policy, organizations: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return the bundle.

    Args:
        policy: With the portal.
        organizations: Organization resources as they are stored, the one at the root first; at least that one.
    """
    root, *facilities = organizations
    brands = [_brand(policy, root), *(_facility(policy, one, str(root["id"])) for one in facilities)]
    resources = [*brands, _endpoint(policy)]
    return {
        "resourceType": "Bundle",
        "meta": {"profile": [f"{SMART}/user-access-brands-bundle"]},
        "type": "collection",
        "timestamp": max(str(one["meta"]["lastUpdated"]) for one in organizations),
        "entry": [
            {"fullUrl": f"{policy.base}/{one['resourceType']}/{one['id']}", "resource": one} for one in resources
        ],
    }


def _brand(policy: Policy, organization: Mapping[str, Json]) -> dict[str, Json]:
    """Return the brand of the whole, with its portal and the endpoint that serves it."""
    reference = {"reference": f"Endpoint/{ENDPOINT}"}
    portal = [
        {"url": "portalName", "valueString": policy.name},
        {"url": "portalUrl", "valueUrl": policy.portal},
        {"url": "portalEndpoint", "valueReference": reference},
    ]
    extension = [{"url": f"{CORE}/organization-portal", "extension": portal}]
    return {**_organization(policy, organization, policy.portal, extension), "endpoint": [reference]}


def _facility(policy: Policy, organization: Mapping[str, Json], root: str) -> dict[str, Json]:
    """Return the brand of a facility; it has the portal of what it is part of."""
    page = next((one["value"] for one in organization.get("telecom", []) if _is_page(one)), "")
    shown = _organization(policy, organization, page or f"{policy.base}/Organization/{organization['id']}", [])
    shown["telecom"] = [{"system": "url", "value": page or policy.portal}]
    return {**shown, "partOf": {"reference": f"Organization/{root}"}}


def _organization(
    policy: Policy, organization: Mapping[str, Json], known_by: str, extension: Sequence[Json]
) -> dict[str, Json]:
    shown = {name: organization[name] for name in SHOWN if name in organization}
    return {
        "resourceType": "Organization",
        "id": organization["id"],
        "meta": {"profile": [f"{SMART}/user-access-brand"]},
        **({"extension": [*extension]} if extension else {}),
        "identifier": [{"system": URI, "value": known_by}],
        "active": True,
        **shown,
        "name": shown.get("name") or policy.name,
        "telecom": [{"system": "url", "value": policy.portal}],
    }


def _endpoint(policy: Policy) -> dict[str, Json]:
    return {
        "resourceType": "Endpoint",
        "id": ENDPOINT,
        "meta": {"profile": [f"{SMART}/user-access-endpoint"]},
        "extension": [{"url": f"{CORE}/endpoint-fhir-version", "valueCode": "4.0.1"}],
        "status": "active",
        "connectionType": {"system": f"{TERMINOLOGY}/endpoint-connection-type", "code": "hl7-fhir-rest"},
        "name": policy.name,
        "contact": [{"system": "url", "value": policy.portal}],
        "payloadType": [{"coding": [{"system": f"{TERMINOLOGY}/endpoint-payload-type", "code": "none"}]}],
        "address": policy.base,
    }


def _is_page(telecom: Mapping[str, Json]) -> bool:
    return telecom.get("system") == "url" and str(telecom.get("value", "")).startswith(("https://", "http://"))
