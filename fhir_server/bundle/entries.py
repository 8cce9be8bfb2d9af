"""Entries of a batch or transaction bundle as requests (R4 3.1.0.11, Bundle.entry.request)."""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from fhir_server.context import Context
from fhir_server.model import ids, instant
from fhir_server.model.errors import BadRequest, FhirError, TooLarge
from fhir_server.model.request import PRESENTATION, FhirRequest, FhirResponse
from fhir_server.repository import Repository

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
_CONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
    "ifNoneExist": "if-none-exist",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        index: Place in the bundle, from 0.
        full_url: Its identity inside the bundle, empty where it has none.
        request: What it asks for, as a request of its own.
        assigned: Logical id that its resource has or will have, empty for interactions without one.
        fresh: Logical id for a resource that it creates; the same however often the transaction is tried.
    """

    index: int
    full_url: str
    request: FhirRequest
    assigned: str = ""
    fresh: str = ""

    @property
    def method(self) -> str:
        """Its HTTP method."""
        return self.request.method

    @property
    def resource_type(self) -> str:
        """First segment of its URL."""
        return self.request.path[0] if self.request.path else ""

    @property
    def identity(self) -> str:
        """`Type/id` of the instance that it writes, empty where it writes none (yet)."""
        return f"{self.resource_type}/{self.assigned}" if self.assigned else ""

    def at(self, member: str) -> str:
        """Return the FHIRPath location of one of its members."""
        return f"Bundle.entry[{self.index}].{member}"


def parse(rows: list[Any], outer: FhirRequest, most: int) -> list[Entry]:
    """Return the entries in their order.

    Args:
        rows: `Bundle.entry`.
        outer: The request that brought them; they inherit base, Prefer and id.
        most: Greatest number of entries.

    Raises:
        BadRequest: An entry without request, with an unknown method or URL, or without the resource that it needs.
        TooLarge: More entries than `most`.
    """
    _refuse_too_many(rows, most)
    return [_entry(index, row, outer) for index, row in enumerate(rows)]


def parse_each(rows: list[Any], outer: FhirRequest, most: int) -> list[Entry | FhirError]:
    """Return the entries in their order, with its error in the place of each that is malformed.

    Raises:
        TooLarge: More entries than `most`.
    """
    _refuse_too_many(rows, most)
    parsed: list[Entry | FhirError] = []
    for index, row in enumerate(rows):
        try:
            parsed.append(_entry(index, row, outer))
        except FhirError as error:
            parsed.append(error)
    return parsed


def refuse_clashes(entries: list[Entry]) -> None:
    """Refuse two entries of one identity: the same fullUrl, or two writes of one instance (R4 3.1.0.11.2).

    Raises:
        BadRequest: Names both entries.
    """
    by_url: dict[str, Entry] = {}
    by_identity: dict[str, Entry] = {}
    for entry in entries:
        written = entry.identity if entry.method in {"PUT", "PATCH", "DELETE", "POST"} else ""
        for seen, key, member in ((by_url, entry.full_url, "fullUrl"), (by_identity, written, "request.url")):
            if not key:
                continue
            if key in seen:
                raise BadRequest(
                    f"Entries {seen[key].index} and {entry.index} of the bundle have the same identity '{key[:100]}'. "
                    "Give each resource one entry.",
                    expression=entry.at(member),
                )
            seen[key] = entry


def _refuse_too_many(rows: list[Any], most: int) -> None:
    if len(rows) > most:
        raise TooLarge(
            f"The bundle has {len(rows)} entries; at most {most} are taken. Send it in parts, or raise the setting "
            "server.max_entries.",
            expression="Bundle.entry",
        )


def _entry(index: int, row: Any, outer: FhirRequest) -> Entry:
    request = row.get("request") if isinstance(row, dict) else None
    if not isinstance(request, dict):
        raise BadRequest(
            f"Entry {index} has no request. Each entry of a batch or transaction needs request.method and request.url.",
            expression=f"Bundle.entry[{index}].request",
        )
    method, url = request.get("method", ""), request.get("url", "")
    if method not in METHODS:
        raise BadRequest(
            f"The method '{str(method)[:20]}' of entry {index} is not one of {', '.join(METHODS)}.",
            expression=f"Bundle.entry[{index}].request.method",
        )
    for member, value in (("request.url", url), ("fullUrl", row.get("fullUrl", ""))):
        if not isinstance(value, str):
            raise BadRequest(
                f"The {member} of entry {index} is not a string.", expression=f"Bundle.entry[{index}].{member}"
            )
    text = "" if url == outer.base else url.removeprefix(f"{outer.base}/").removeprefix("/")
    path_text, _, query_text = text.partition("?")
    path = tuple(unquote(part) if "%" in part else part for part in path_text.split("/") if part)
    if ":" in path_text or (not path and method not in {"GET", "HEAD"}):
        raise BadRequest(
            f"The URL '{url[:100]}' of entry {index} is not relative to this server. Use a form like Patient or Patient/123.",
            expression=f"Bundle.entry[{index}].request.url",
        )
    headers = {"prefer": _preference(outer), **_conditions(index, request)}
    # What an answer looks like is said of the bundle; links of an entry have nothing of it.
    pairs = parse_qsl(query_text, keep_blank_values=True) if query_text else ()
    query = tuple(pair for pair in pairs if pair[0] not in PRESENTATION)
    named = path[1] if len(path) == 2 and method in {"PUT", "PATCH", "DELETE"} else ""
    fresh = ids.new() if method == "PUT" or (method == "POST" and len(path) == 1) else ""
    body, resource = b"", row.get("resource")
    content = resource if method in {"POST", "PUT"} else None
    if method == "PATCH" and isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
        headers["content-type"], content = "application/fhir+json", resource
    elif method == "PATCH":
        headers["content-type"], body = _patch_body(index, resource)
    elif method in {"POST", "PUT"} and not isinstance(resource, dict):
        raise BadRequest(f"Entry {index} has no resource to {method}.", expression=f"Bundle.entry[{index}].resource")
    asked = FhirRequest(method, path, outer.base, query, headers, body, content, outer.id, outer.address)
    return Entry(index, row.get("fullUrl", ""), asked, fresh if method == "POST" else named, fresh)


def _conditions(index: int, request: dict[str, Any]) -> dict[str, str]:
    """Return the conditions of an entry as headers."""
    headers = {name: request[key] for key, name in _CONDITIONS.items() if isinstance(request.get(key), str)}
    if since := headers.get("if-modified-since"):
        try:
            headers["if-modified-since"] = instant.http_date(datetime.fromisoformat(since))
        except (ValueError, OverflowError):
            raise BadRequest(
                f"The ifModifiedSince of entry {index} is not an instant such as 2026-11-21T08:15:30.123Z.",
                expression=f"Bundle.entry[{index}].request.ifModifiedSince",
            ) from None
    return headers


def _preference(outer: FhirRequest) -> str:
    """Return what entries prefer: as the bundle does, but without a wish only responses go out, no resources."""
    wished = outer.headers.get("prefer", "")
    return wished if "return=" in wished else f"{wished}, return=minimal".lstrip(", ")


def _patch_body(index: int, resource: Any) -> tuple[str, bytes]:
    """Return media type and body of a JSON Patch, which a bundle carries in a Binary (R4 3.1.0.5)."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        raise BadRequest(
            f"The patch in entry {index} must come as Parameters (FHIRPath Patch), or as a Binary whose contentType is that of "
            "the patch, such as application/json-patch+json.",
            expression=f"Bundle.entry[{index}].resource",
        )
    try:
        return str(resource.get("contentType", "")), base64.b64decode(str(resource.get("data", "")), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest(
            f"The data of the Binary in entry {index} is not base64.", expression=f"Bundle.entry[{index}].resource.data"
        ) from None


async def ask(ctx: Context, entry: Entry, repository: Repository | None = None) -> FhirResponse:
    """Send an entry through the whole pipeline; return its answer, for HEAD without the body.

    Args:
        ctx: The bundle under way.
        entry: The entry.
        repository: One that is bound to a transaction; the bundle's own by default.

    Raises:
        FhirError: It is refused; the issues are located under the entry.
    """
    try:
        response = await ctx.enter(entry.request, repository, entry.assigned if repository else "")
    except FhirError as error:
        raise located(error, entry) from None
    return msgspec.structs.replace(response, body=b"") if entry.method == "HEAD" else response


def located(error: FhirError, entry: Entry) -> FhirError:
    """Return the error with its locations put under the entry that caused it."""
    prefix = entry.at("resource")
    moved = []
    for issue in error.issues:
        _, dot, rest = issue.expression.partition(".")
        if issue.expression.startswith("Bundle."):
            place = issue.expression
        elif not issue.expression or issue.expression.startswith("http."):
            place = entry.at("request")
        else:
            place = f"{prefix}{dot}{rest}"
        moved.append(replace(issue, expression=place))
    return type(error)(str(error), issues=moved, headers=error.headers)
