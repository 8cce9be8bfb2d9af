"""Response bundles, joined from wire forms: nothing that was stored is decoded or encoded again."""

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_server.model import ids, instant, json
from fhir_server.model.request import FhirResponse
from fhir_server.model.stored import Hit, Stored

Pieces = list[bytes]
"""JSON of entries in pieces, the comma before each among them: a bundle of large resources is copied only once."""

MATCH, INCLUDE = b'{"mode":"match"}', b'{"mode":"include"}'
SCORED = b'{"mode":"match","score":1}'
"""A match that says how well it matches: criteria hold or do not hold, so what matches does so fully."""


def response_bundle(kind: str, responses: Sequence[FhirResponse], base: str) -> bytes:
    """Return a batch-response or transaction-response bundle, one entry for each response, in order."""
    entries = b",".join(_response_entry(response, base) for response in responses)
    head = json.encode({"resourceType": "Bundle", "id": ids.new(), "type": kind})
    return head[:-1] + (b',"entry":[' + entries + b"]}" if responses else b"}")


def resource_bundle(
    kind: str,
    links: Sequence[tuple[str, str]],
    entries: Pieces,
    *,
    total: int | None = None,
    last_updated: str = "",
) -> bytes:
    """Return a searchset or history bundle.

    Args:
        kind: `searchset` or `history`.
        links: (relation, URL) pairs.
        entries: The entries.
        total: Number of matches, where it is known.
        last_updated: `meta.lastUpdated` of the bundle.
    """
    head: dict[str, Any] = {"resourceType": "Bundle", "id": ids.new()}
    if last_updated:
        head["meta"] = {"lastUpdated": last_updated}
    head["type"] = kind
    if total is not None:
        head["total"] = total
    head["link"] = [{"relation": relation, "url": url} for relation, url in links]
    text = json.encode(head)
    if not entries:
        return text
    first, *rest = entries
    return b"".join((text[:-1], b',"entry":[', first.removeprefix(b","), *rest, b"]}"))


def search_entries(base: str, found: Iterable[Hit], search: bytes) -> Pieces:
    """Return entries of a searchset.

    Args:
        base: The service base.
        found: The resources; neither their types nor their ids hold a character that JSON would escape.
        search: Why they are there: `MATCH`, `SCORED` or `INCLUDE`.
    """
    start, end = f',{{"fullUrl":{_text(base)[:-1]}', b',"search":%b}' % search
    pieces: Pieces = []
    for hit in found:
        pieces += (f'{start}/{hit.resource_type}/{hit.id}","resource":'.encode(), hit.body, end)
    return pieces


def outcome_entry(body: bytes) -> Pieces:
    """Return the entry of a searchset that tells about the search itself; it has no fullUrl."""
    return [b',{"resource":', body, b',"search":{"mode":"outcome"}}']


def history_entry(base: str, stored: Stored) -> Pieces:
    """Return one entry of a history bundle; a deletion has no resource."""
    url = f"{stored.resource_type}/{stored.id}"
    request = {"method": stored.method, "url": stored.resource_type if stored.method == "POST" else url}
    status = {"POST": "201 Created", "DELETE": "204 No Content"}.get(stored.method, "200 OK")
    if stored.method == "PUT" and stored.vid == 1:
        status = "201 Created"
    response = {"status": status, "etag": f'W/"{stored.vid}"', "lastModified": instant.text(stored.last_updated)}
    tail = json.encode({"request": request, "response": response})
    start = b',{"fullUrl":%b,' % _text(f"{base}/{url}").encode()
    return [start, tail[1:]] if stored.deleted else [start, b'"resource":', stored.body, b",", tail[1:]]


def _response_entry(response: FhirResponse, base: str) -> bytes:
    headers, body = response.headers, response.body
    row: dict[str, Any] = {"status": f"{response.status} {_REASONS.get(response.status, '')}".strip()}
    location = headers.get("Location") or headers.get("Content-Location")
    if location:
        row["location"] = location.removeprefix(f"{base}/")
    if "ETag" in headers:
        row["etag"] = headers["ETag"]
    if response.version:
        row["lastModified"] = instant.text(response.version.last_updated)
    if not body:
        return json.encode({"response": row})
    if response.reports:
        return json.encode({"response": {**row, "outcome": json.Raw(body)}})
    return json.encode({"resource": json.Raw(body), "response": row})


def _text(text: str) -> str:
    return json.encode(text).decode()


_REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified", 400: "Bad Request", 401: "Unauthorized",
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 410: "Gone",
    412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
