"""What this server does, as a CapabilityStatement (R4 3.1.0.9, CapabilityStatement).

Everything is derived: interactions from the table that the router uses, types and search parameters from the definitions
and the search types that exist, policies from the settings. What is stated cannot drift from what is served.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

from fhir_server.capability.table import Interaction
from fhir_server.guides import Stated
from fhir_server.model import instant
from fhir_server.search.chained import CHAINS
from fhir_server.search.filter import FILTER
from fhir_server.search.params import Param, params
from fhir_server.search.text import TEXTS
from fhir_server.search.types import TYPES
from fhir_server.settings import Record, Search, Settings
from profiles.definitions.registry import Definitions

Json = dict[str, Any]

PROFILE = "http://hl7.org/fhir/StructureDefinition/"
COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
FORMATS = ("application/fhir+json", "application/fhir+xml", "json", "xml")
PATCH_FORMATS = (
    "application/json-patch+json",
    "application/xml-patch+xml",
    "application/fhir+json",
    "application/fhir+xml",
)
TYPE_INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")
POLICIES: Mapping[str, tuple[str, ...]] = {"enforce": ("literal", "logical", "enforced"), "off": ("literal", "logical")}
"""Reference handling by the setting `record.references` (R4 ReferenceHandlingPolicy)."""
SECURITY: Mapping[str, str] = {
    "open": "Open: every caller may do everything. The server listens on this machine only.",
    "smart": "SMART App Launch 2.2: callers show access tokens, whose scopes say what they reach.",
}
"""What protects the service, by the setting `auth.mode`."""
SMART_SERVICE = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "SMART-on-FHIR",
            "display": "SMART-on-FHIR",
        }
    ],
    "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)",
}
NO_GUIDES = Stated()
BULK_DATA = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/"
SUBSCRIBABLE = f"{BACKPORT}CapabilityStatement/backport-subscription-server-r4"
TOPIC = "capabilitystatement-subscriptiontopic-canonical"
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"

_TYPE_LINE = re.compile(r"^\* \[(\w+)\]\([^)]*\): *(.*?)\s*$", re.MULTILINE)


def statement(  # noqa: PLR0917 - the eight things that it states
    rows: Iterable[Interaction],
    definitions: Definitions,
    settings: Settings,
    base: str,
    date: datetime,
    authorization: Mapping[str, str] = MappingProxyType({}),
    guides: Stated = NO_GUIDES,
    topics: Collection[str] = (),
) -> Json:
    """Return the CapabilityStatement of this running server (kind `instance`).

    Args:
        rows: The interactions that are routed.
        definitions: FHIR definitions.
        settings: Effective settings.
        base: Service base URL without trailing slash.
        date: When what is stated took effect: the start of the server.
        authorization: URLs of the authorization server by their names in the extension `oauth-uris`; empty without one.
        guides: What is said of the implementation guides that are installed.
        topics: Canonical URLs of what can be subscribed to.

    Returns:
        A resource to be sent. Its parts are shared between calls, so it is not to be changed.
    """
    table = tuple(rows)
    release = _release()
    rest = _rest(table, definitions, settings.search, settings.record)
    if settings.packages.profiles == "listed":
        rest = _supporting(rest, guides.profiles)
    exports = any(row.operation and row.operation.definition.code == "export" for row in table)
    requirements = (*guides.requirements, *((SUBSCRIBABLE,) if topics else ()), *((BULK_DATA,) if exports else ()))
    if topics:
        rest = _subscribable(rest, topics)
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "version": release,
        "name": "Aquifer",
        "title": "Aquifer FHIR R4 server",
        "status": "active",
        "experimental": False,
        "date": instant.text(date),
        "publisher": "Aquifer",
        "description": "What this Aquifer server offers: a FHIR R4 record on MongoDB.",
        "kind": "instance",
        **({"instantiates": [*dict.fromkeys(requirements)]} if requirements else {}),
        "software": {"name": "Aquifer", "version": release},
        "implementation": {"description": "Aquifer FHIR R4 server", "url": base},
        "fhirVersion": definitions.version,
        "format": list(FORMATS),
        "patchFormat": list(PATCH_FORMATS),
        **({"implementationGuide": [*guides.guides]} if guides.guides else {}),
        "rest": [
            {
                **rest,
                "security": _security(settings, authorization),
            }
        ],
    }


def _security(settings: Settings, authorization: Mapping[str, str]) -> Json:
    """Return what protects the service; the extension is how apps of SMART 1.0 find the authorization server."""
    stated: Json = {"cors": bool(settings.server.cors_origins), "description": SECURITY[settings.auth.mode]}
    if authorization:
        places = [{"url": name, "valueUri": url} for name, url in authorization.items()]
        stated = {"extension": [{"url": OAUTH_URIS, "extension": places}], **stated, "service": [SMART_SERVICE]}
    return stated


def _supporting(rest: Json, profiles: Mapping[str, tuple[str, ...]]) -> Json:
    """Return the statement of interactions with the profiles that are supported, by resource type."""
    if not profiles:
        return rest
    rows = [
        {"type": row["type"], "profile": row["profile"], "supportedProfile": [*profiles[row["type"]]], **row}
        if row["type"] in profiles
        else row
        for row in rest["resource"]
    ]
    return {**rest, "resource": rows}


def _subscribable(rest: Json, topics: Collection[str]) -> Json:
    """Return the statement of interactions with what can be subscribed to, as the backport guide wants it said."""
    said = [{"url": f"{BACKPORT}StructureDefinition/{TOPIC}", "valueCanonical": url} for url in topics]
    profile = f"{BACKPORT}StructureDefinition/backport-subscription"
    rows = [
        {
            "extension": said,
            **row,
            "supportedProfile": [*dict.fromkeys([profile, *row.get("supportedProfile", ())])],
        }
        if row["type"] == "Subscription"
        else row
        for row in rest["resource"]
    ]
    return {**rest, "resource": rows}


def searchable(resource_type: str, definitions: Definitions) -> list[Param]:
    """Return the parameters of a type that can be searched by, in code order: those whose type has a module."""
    return [param for param in params(resource_type, definitions).values() if param.type in TYPES]


def documentation(param: Param) -> str:
    """Return the specification's sentence on a parameter, for its own type where the definition serves several."""
    lines = dict(_TYPE_LINE.findall(param.description))
    return str(lines.get(param.resource_type) or param.description).strip()


@lru_cache(maxsize=4)
def _rest(table: tuple[Interaction, ...], definitions: Definitions, search: Search, record: Record) -> Json:
    """What does not depend on the service base: built once, shared by all statements, changed by nobody."""
    types = sorted(definitions.resource_types)
    known = {resource_type: searchable(resource_type, definitions) for resource_type in types}
    referring = _referring(known)
    shared = _shared(table, record)
    offered = {row.code for row in table if row.level == "system"}
    searched = any(row.compartment for row in table)
    compartments = [COMPARTMENT + code.lower() for code in sorted(definitions.compartments)] if searched else []
    operations = _operations(row for row in table if row.level == "system")
    return {
        "mode": "server",
        "resource": [
            {
                "type": resource_type,
                "profile": PROFILE + resource_type,
                **shared,
                **_search(known[resource_type], referring.get(resource_type, []) + referring.get("", [])),
                **_of_type(table, resource_type),
            }
            for resource_type in types
        ],
        "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS if code in offered],
        "searchParam": _special(definitions, search),
        **({"compartment": compartments} if compartments else {}),
        **({"operation": operations} if operations else {}),
    }


def _special(definitions: Definitions, search: Search) -> list[Json]:
    """Return the search parameters that are not of a type's own values; words only where they are stored."""
    stated = {row.code: row for row in definitions.search_parameters("DomainResource").values()}
    rows = [stated[code] for code in sorted(TEXTS) if search.text == "on"] + [stated[FILTER]]
    found: list[Json] = [{"name": row.code, "definition": row.url, "type": row.type} for row in rows]
    return [*found, *({"name": code, "type": "special"} for code in CHAINS if code not in stated)]


def _shared(table: tuple[Interaction, ...], record: Record) -> Json:
    """What is the same for every type. Conditional create and read are headers of create and read, not rows."""
    offered = {row.code for row in table if row.level != "system"}
    conditional = {row.code for row in table if row.conditional}
    return {
        "interaction": [{"code": code} for code in TYPE_INTERACTIONS if code in offered],
        "versioning": "versioned-update" if "vread" in offered else "no-version",
        "readHistory": "vread" in offered,
        "updateCreate": "update" in offered,
        "conditionalCreate": "create" in offered,
        "conditionalRead": "full-support" if "read" in offered else "not-supported",
        "conditionalUpdate": "update" in conditional,
        "conditionalDelete": "single" if "delete" in conditional else "not-supported",
        "referencePolicy": list(POLICIES[record.references]),
    }


def _operations(rows: Iterable[Interaction]) -> list[Json]:
    """Return name and definition of each operation of the rows, once."""
    found = {row.operation.definition.code: row.operation.definition.url for row in rows if row.operation}
    return [{"name": code, "definition": url} for code, url in sorted(found.items())]


def _of_type(table: tuple[Interaction, ...], resource_type: str) -> Json:
    """Return the operations of a type and its instances."""
    found = _operations(row for row in table if row.shape[:1] in {("{type}",), (resource_type,)})
    return {"operation": found} if found else {}


def _search(known: list[Param], referring: list[str]) -> Json:
    """Search parameters and includes of one type; a member that would be empty is left out."""
    members = {
        "searchInclude": [f"{param.resource_type}:{param.code}" for param in known if param.type == "reference"],
        "searchRevInclude": sorted(referring),
        "searchParam": [_parameter(param) for param in known],
    }
    return {name: rows for name, rows in members.items() if rows}


def _parameter(param: Param) -> Json:
    row = {"name": param.code, "definition": param.url, "type": param.type}
    text = documentation(param)
    return {**row, "documentation": text} if text else row


def _referring(known: Mapping[str, list[Param]]) -> dict[str, list[str]]:
    """Return `Type:code` of the reference parameters by the type they may point to; `` for those that point anywhere."""
    found: dict[str, list[str]] = {}
    for rows in known.values():
        for param in rows:
            if param.type == "reference":
                for target in param.targets or ("",):
                    found.setdefault(target, []).append(f"{param.resource_type}:{param.code}")
    return found


def _release() -> str:
    """The installed version; a source tree that was never installed has none."""
    try:
        return version("aquifer")
    except PackageNotFoundError:
        return "0"
