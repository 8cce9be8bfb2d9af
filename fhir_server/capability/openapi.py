"""The FHIR interface as an OpenAPI 3.1 document, derived from the table of interactions.

Paths are the table's generic shapes with `{type}` enumerated: one path for each of 146 types would say the same 146 times.
The FHIR schema itself is not repeated here; `/metadata` names the search parameters of each type.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fhir_server.capability import schemas
from fhir_server.capability.schemas import ETAG, JSON, LAST_MODIFIED, LOCATION, XML, XML_TEXT, Json, either, ref
from fhir_server.capability.table import Interaction
from fhir_server.model.errors import FhirError
from fhir_server.operations import Operation
from fhir_server.settings import Settings
from profiles.definitions.model import OperationParameter
from profiles.definitions.registry import Definitions
from profiles.primitives import SHAPES as PRIMITIVES

ALWAYS = (400, 401, 403, 404, 405, 406, 503)
"""Refusals that any interaction may answer with."""


@dataclass(frozen=True, slots=True)
class Success:
    """A successful answer: what it says, the schema of its body (empty without one) and its headers."""

    text: str
    schema: str = ""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """What a kind of interaction takes and answers, beyond what its row says.

    Attributes:
        summary: One line.
        success: Successful answers by status.
        refusals: Statuses it refuses with, beside those of `ALWAYS`.
        parameters: Names of query and header parameters.
        body: Name of the request body, empty without one.
    """

    summary: str
    success: Mapping[int, Success]
    refusals: tuple[int, ...] = ()
    parameters: tuple[str, ...] = ()
    body: str = ""


TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token of SMART App Launch 2.2; `/fhir/.well-known/smart-configuration` says where to get one.",
}

VERSIONED = (ETAG, LAST_MODIFIED)
PRESENTATION = ("_format", "_pretty")
READING = ("_summary", "_elements", *PRESENTATION, "If-None-Match", "If-Modified-Since")
SEARCHING = (
    "criteria", "_id", "_lastUpdated", "_tag", "_profile", "_security", "_count", "_sort", "_total", "_include",
    "_revinclude", "_summary.search", "_elements", *PRESENTATION, "Prefer",
)  # fmt: skip
SEARCHING_ALL = ("_type", *SEARCHING)
SEARCHING_TYPE = (*SEARCHING, "_contained", "_containedType")
HISTORY = ("_since", "_at", "_count", *PRESENTATION)
WRITING = (*PRESENTATION, "Prefer")
WRITE_REFUSALS = (409, 412, 413, 415, 422)

READ = {
    200: Success("The version, or the subset of it that was asked for.", "Resource", VERSIONED),
    304: Success("The caller's copy is current.", "", VERSIONED),
}
BUNDLE = {200: Success("A Bundle; further pages by its `next` link.", "Bundle")}
UPDATED = {
    200: Success("The new version, as `Prefer: return` asks.", "Resource", VERSIONED),
    201: Success("The resource was created.", "Resource", (*VERSIONED, LOCATION)),
}
DELETED = {
    200: Success("Deleted, with the outcome that `Prefer` asked for.", "OperationOutcome", (ETAG,)),
    204: Success("Deleted, or there was nothing to delete.", "", (ETAG,)),
}

FORMS: Mapping[str, Form] = {
    "capabilities": Form(
        "What this server does", {200: Success("The CapabilityStatement.", "Resource")}, (), ("mode", *PRESENTATION)
    ),
    "batch": Form(
        "Process a batch or transaction Bundle",
        {200: Success("A batch-response or transaction-response.", "Bundle")},
        (*WRITE_REFUSALS, 410),
        WRITING,
        "Bundle",
    ),
    "history-system": Form("Changes of all resources", BUNDLE, (), HISTORY),
    "history-type": Form("Changes of the resources of a type", BUNDLE, (), HISTORY),
    "history-instance": Form("Versions of a resource", BUNDLE, (), HISTORY),
    "search-system": Form("Search the resources of several types", BUNDLE, (413, 415), SEARCHING_ALL),
    "search-type": Form("Search the resources of a type", BUNDLE, (413, 415), SEARCHING_TYPE),
    "create": Form(
        "Create a resource",
        {
            200: Success("`If-None-Exist` found the resource already there.", "Resource", (*VERSIONED, LOCATION)),
            201: Success("The resource was created.", "Resource", (*VERSIONED, LOCATION)),
        },
        WRITE_REFUSALS,
        ("If-None-Exist", *WRITING),
        "Resource",
    ),
    "read": Form("Read the current version of a resource", READ, (410,), READING),
    "vread": Form("Read one version of a resource", READ, (410,), READING),
    "update": Form(
        "Update a resource, or create it with this id", UPDATED, WRITE_REFUSALS, ("If-Match", *WRITING), "Resource"
    ),
    "patch": Form(
        "Change parts of a resource",
        {200: UPDATED[200]},
        (*WRITE_REFUSALS, 410),
        ("If-Match", *WRITING),
        "Patch",
    ),
    "delete": Form("Delete a resource", DELETED, (409, 412), ("If-Match", *WRITING)),
}
SAME_DOOR: Mapping[str, str] = {"transaction": "batch"}
"""Interactions that arrive where another does: they are told apart by the body."""


def openapi(rows: Iterable[Interaction], definitions: Definitions, settings: Settings, base: str) -> Json:
    """Return the document.

    Args:
        rows: The interactions that are routed. Each code must have its `Form`.
        definitions: FHIR definitions.
        settings: Effective settings.
        base: Service base URL without trailing slash.
    """
    url = urlsplit(base)
    paths: dict[str, Json] = {}
    for row in rows:
        if row.code not in SAME_DOOR:
            path = "/".join((url.path.rstrip("/"), *row.shape)) or "/"
            item = paths.setdefault(path, {"parameters": []})
            item["parameters"] = [ref("parameters", part.strip("{}")) for part in row.shape if part.startswith("{")]
            item[row.method.lower()] = _named_operation(row, row.operation) if row.operation else _operation(row)
            if row.public and settings.auth.mode == "smart":
                item[row.method.lower()]["security"] = []
    answered = {
        status
        for item in paths.values()
        for described in item.values()
        if "responses" in described
        for status in described["responses"]
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aquifer FHIR R4",
            "version": definitions.version,
            "description": "The FHIR R4 interface. Search parameters of each type are listed in its CapabilityStatement.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{url.scheme}://{url.netloc}" if url.netloc else "/"}],
        "paths": {path: item if item["parameters"] else _without(item, "parameters") for path, item in paths.items()},
        **({"security": [{"token": []}]} if settings.auth.mode == "smart" else {}),
        "components": {
            **({"securitySchemes": {"token": TOKEN}} if settings.auth.mode == "smart" else {}),
            "parameters": schemas.parameters(sorted(definitions.resource_types), settings.search),
            "requestBodies": schemas.bodies(),
            "responses": {
                str(status): schemas.refusal(text) for status, text in _refusals().items() if str(status) in answered
            },
            "headers": schemas.HEADERS,
            "schemas": schemas.schemas(sorted(definitions.resource_types)),
        },
    }


def _operation(row: Interaction) -> Json:
    form = FORMS[row.code]
    posted = row.code in {"search-type", "search-system"} and row.method == "POST"
    parameters = [name for name in form.parameters if not posted or name == "Prefer"]
    refusals = sorted({*ALWAYS, *form.refusals} - ({413, 415} if row.method == "GET" else set()))
    if row.conditional:
        parameters = ["condition", *parameters]
        refusals = sorted({*refusals, 412})
    operation: Json = {
        "operationId": "-".join(
            (
                row.code,
                *(["compartment"] if row.compartment else []),
                *(["all"] if row.compartment and "{member}" not in row.shape else []),
                *(["post"] if posted else []),
                *(["conditional"] if row.conditional else []),
            )
        ),
        "summary": _summary(form, row),
        "tags": [row.level],
        "responses": {
            **{str(status): _success(success) for status, success in form.success.items()},
            **{str(status): ref("responses", str(status)) for status in refusals},
        },
    }
    if parameters:
        operation["parameters"] = [ref("parameters", name) for name in parameters]
    if form.body or posted:
        operation["requestBody"] = ref("requestBodies", "Search" if posted else form.body)
    return operation


def _summary(form: Form, row: Interaction) -> str:
    if row.compartment:
        return f"{form.summary if '{member}' in row.shape else FORMS['search-system'].summary} in a compartment"
    return form.summary + (", found by a search" if row.conditional else "")


def _named_operation(row: Interaction, operation: Operation) -> Json:
    """Return the description of an operation, from its OperationDefinition."""
    definition = operation.definition
    taken = [parameter for parameter in definition.parameters if parameter.use == "in"]
    refusals = sorted({*ALWAYS, *operation.refusals, *(WRITE_REFUSALS if row.method == "POST" else ())})
    described: Json = {
        "operationId": f"{definition.code}-{row.level}-{row.method.lower()}",
        "summary": operation.summary,
        "tags": [row.level],
        "parameters": [
            *(_taken(parameter) for parameter in taken if parameter.type in PRIMITIVES),
            *(ref("parameters", name) for name in PRESENTATION),
        ],
        "responses": {
            **{str(status): _answer(text, dict(operation.media).get(status)) for status, text in operation.success},
            **{str(status): ref("responses", str(status)) for status in refusals},
            **{str(status): _other(media) for status, media in operation.media if status in refusals},
        },
    }
    if row.method == "POST":
        content = {JSON: {"schema": ref("schemas", "Resource")}, XML: {"schema": XML_TEXT}}
        described["requestBody"] = {"description": "A Parameters resource.", "required": False, "content": content}
    return described


def _taken(parameter: OperationParameter) -> Json:
    schema: Json = {"type": "string"} if parameter.max == 1 else {"type": "array", "items": {"type": "string"}}
    return {"name": parameter.name, "in": "query", "required": parameter.min > 0, "schema": schema}


def _answer(text: str, media: str | None) -> Json:
    """Return the description of a successful answer: a resource, or whatever is of another media type."""
    if media is None:
        return _success(Success(text, "Resource"))
    return {"description": text, **({"content": {media: {"schema": {}}}} if media else {})}


def _other(media: str) -> Json:
    """Return the description of a refusal that may be told in another way than by an OperationOutcome."""
    return {"description": "What is wrong.", "content": {media: {"schema": {}}, **either("OperationOutcome")}}


def _success(success: Success) -> Json:
    answer: Json = {"description": success.text}
    if success.headers:
        answer["headers"] = {name: ref("headers", name) for name in success.headers}
    if success.schema:
        answer["content"] = either(success.schema)
    return answer


def _refusals() -> dict[int, str]:
    """Return what each error status means, from the one family of errors."""
    texts: dict[int, list[str]] = {}
    for kind in _kinds(FhirError):
        texts.setdefault(kind.status, []).append(str(kind.__doc__).partition("\n")[0])
    return {status: " ".join(dict.fromkeys(lines)) for status, lines in sorted(texts.items())}


def _kinds(of: type[FhirError]) -> Iterator[type[FhirError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _without(item: Mapping[str, Any], name: str) -> Json:
    return {key: value for key, value in item.items() if key != name}
