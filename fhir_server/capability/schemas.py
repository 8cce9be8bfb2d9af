"""The reusable parts of the OpenAPI document: parameters, bodies, headers and schemas."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.settings import Search

Json = dict[str, Any]

JSON = "application/fhir+json"
PLAIN_JSON = "application/json"
XML = "application/fhir+xml"
JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"
FORM = "application/x-www-form-urlencoded"
ETAG, LAST_MODIFIED, LOCATION = "ETag", "Last-Modified", "Location"

ID = r"^[A-Za-z0-9\-.]{1,64}$"
INSTANT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$"
ETAG_FORM = r'^(W/)?"[0-9]{1,9}"$'
TEXT: Json = {"type": "string"}
XML_TEXT: Json = {"type": "string", "description": "XML by the schemas of FHIR R4."}

HEADERS: Mapping[str, Json] = {
    ETAG: {"description": 'The version, such as W/"3".', "schema": TEXT},
    LAST_MODIFIED: {"description": "When the version was stored.", "schema": TEXT},
    LOCATION: {
        "description": "URL of the version that was stored or found.",
        "schema": {"type": "string", "format": "uri"},
    },
}

SUMMARY, SUMMARIES = "A subset of the elements.", ("true", "text", "data", "false")

QUERY: Mapping[str, tuple[str, Json]] = {
    "_id": ("Logical id.", TEXT),
    "_lastUpdated": ("When the resource last changed, such as ge2026-01-01.", TEXT),
    "_type": ("Resource types to search, separated by commas.", TEXT),
    "_tag": ("Tag, as system|code.", TEXT),
    "_profile": ("Canonical URL of a profile that the resource claims.", TEXT),
    "_security": ("Security label, as system|code.", TEXT),
    "_sort": ("Search parameters to sort by, separated by commas, `-` before one for descending order.", TEXT),
    "_total": ("Whether to count all matches.", {"enum": ["none", "estimate", "accurate"]}),
    "_include": ("Resources that matches refer to, as Type:parameter.", TEXT),
    "_revinclude": ("Resources that refer to matches, as Type:parameter.", TEXT),
    "_contained": ("Whether to search contained resources.", {"enum": ["false", "true", "both"]}),
    "_containedType": ("What to return of a contained resource.", {"enum": ["container", "contained"]}),
    "_summary": (SUMMARY, {"enum": list(SUMMARIES)}),
    "_elements": ("Top-level elements to return, separated by commas.", TEXT),
    "_format": ("Format of the answer.", {"enum": ["json", PLAIN_JSON, JSON, "xml", XML]}),
    "_pretty": ("Whether to indent the answer.", {"enum": ["true", "false"]}),
    "_since": ("Only versions stored at or after this instant.", {"type": "string", "pattern": INSTANT}),
    "_at": ("Only versions that were current at this time.", TEXT),
    "mode": ("Which statement.", {"enum": ["full", "normative", "terminology"]}),
}
"""Query parameters with a fixed name."""

REQUEST_HEADERS: Mapping[str, tuple[str, Json]] = {
    "If-Match": ("The version that was changed.", {"type": "string", "pattern": ETAG_FORM}),
    "If-None-Match": ("The version that the caller has.", {"type": "string", "pattern": ETAG_FORM}),
    "If-Modified-Since": ("When the caller's version was stored, as an HTTP date.", TEXT),
    "If-None-Exist": ("Search parameters; the resource is created only where they find none.", TEXT),
    "Prefer": (
        "Body of the answer, and what unknown search parameters do.",
        {
            "enum": [
                "return=minimal",
                "return=representation",
                "return=OperationOutcome",
                "handling=strict",
                "handling=lenient",
            ]
        },
    ),
}


def ref(kind: str, name: str) -> Json:
    """Return a reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def parameters(resource_types: Sequence[str], search: Search) -> Json:
    """Return all parameters by name."""
    return {
        "type": _path("type", "Resource type.", {"enum": list(resource_types)}),
        "id": _path("id", "Logical id.", {"type": "string", "pattern": ID}),
        "member": _path("member", "Type to search, or * for all.", {"enum": [*resource_types, "*"]}),
        "vid": _path("vid", "Version id.", {"type": "string", "pattern": ID}),
        "criteria": _criteria("criteria", least=0),
        "condition": _criteria("condition", least=1),
        "_count": _query(
            "_count",
            f"Entries of a page; more than {search.max_count} are lowered to that.",
            {"type": "integer", "minimum": 0},
        ),
        "_summary.search": _query("_summary", SUMMARY, {"enum": [*SUMMARIES, "count"]}),
        **{name: _query(name, text, schema) for name, (text, schema) in QUERY.items()},
        **{
            name: {"name": name, "in": "header", "description": text, "schema": schema}
            for name, (text, schema) in REQUEST_HEADERS.items()
        },
    }


def bodies() -> Json:
    """Return all request bodies by name."""
    return {
        "Resource": _body("The resource.", (JSON, PLAIN_JSON, XML), ref("schemas", "Resource")),
        "Bundle": _body("The entries to process.", (JSON, PLAIN_JSON, XML), ref("schemas", "RequestBundle")),
        "Patch": {
            "description": "The changes: JSON Patch (RFC 6902), XML Patch (RFC 5261), or FHIRPath Patch as Parameters.",
            "required": True,
            "content": {
                JSON_PATCH: {"schema": ref("schemas", "JsonPatch")},
                XML_PATCH: {"schema": TEXT},
                JSON: {"schema": ref("schemas", "Resource")},
                XML: {"schema": XML_TEXT},
            },
        },
        "Search": {
            "description": "Search parameters by name.",
            "content": {FORM: {"schema": {"type": "object", "additionalProperties": TEXT}}},
        },
    }


def refusal(text: str) -> Json:
    """Return an answer that refuses, with the OperationOutcome that says why."""
    return {"description": text, "content": either("OperationOutcome")}


def either(schema: str) -> Json:
    """Return the content of an answer, in JSON by a schema and in XML, which has schemas of FHIR's own."""
    return {JSON: {"schema": ref("schemas", schema)}, XML: {}}


def schemas(resource_types: Sequence[str]) -> Json:
    """Return all schemas by name: only what every resource has in common, the rest is FHIR's to say."""
    request = {
        "type": "object",
        "required": ["method", "url"],
        "properties": {
            "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]},
            "url": TEXT,
            **dict.fromkeys(("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist"), TEXT),
        },
    }
    entry = {
        "type": "object",
        "required": ["request"],
        "properties": {"fullUrl": TEXT, "resource": ref("schemas", "Resource"), "request": request},
    }
    issue = {
        "type": "object",
        "required": ["severity", "code"],
        "properties": {
            "severity": {"enum": ["fatal", "error", "warning", "information"]},
            "code": TEXT,
            "details": {"type": "object", "properties": {"text": TEXT}},
            "diagnostics": TEXT,
            "expression": _list(TEXT),
        },
    }
    operation = {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": TEXT,
            "from": TEXT,
            "value": True,
        },
    }
    return {
        "Resource": _resource({"enum": list(resource_types)}, {"id": {"type": "string", "pattern": ID}}),
        "Bundle": _resource({"const": "Bundle"}, {"type": TEXT, "entry": _list({"type": "object"})}, ("type",)),
        "RequestBundle": _resource(
            {"const": "Bundle"}, {"type": {"enum": ["batch", "transaction"]}, "entry": _list(entry)}, ("type",)
        ),
        "OperationOutcome": _resource({"const": "OperationOutcome"}, {"issue": _list(issue)}, ("issue",)),
        "JsonPatch": {"type": "array", "items": operation},
    }


def _resource(resource_type: Json, members: Json, required: Sequence[str] = ()) -> Json:
    return {
        "type": "object",
        "required": ["resourceType", *required],
        "properties": {"resourceType": resource_type, **members},
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items, "minItems": 1}


def _path(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _criteria(name: str, least: int) -> Json:
    """Search parameters by name. An exploded object: its members are the query parameters, its own name does not show."""
    return {
        "name": name,
        "in": "query",
        "description": "Search parameters of the type, with modifiers: see its entry in the CapabilityStatement.",
        "required": least > 0,
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": TEXT, "minProperties": least},
    }


def _query(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _body(text: str, media: Sequence[str], schema: Json) -> Json:
    content = {name: {"schema": XML_TEXT if name == XML else schema} for name in media}
    return {"description": text, "required": True, "content": content}
