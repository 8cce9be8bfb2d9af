"""The manifest of a bulk export, which lists the files of a submission (Bulk Data Access, 2.1.3), fetched and read."""

from collections.abc import Iterator
from typing import Any

from fhir_server.loading.order import Input, Order
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, Unavailable
from fhir_server.outbound import Outbound, Unreached

MOST_BYTES = 16 * 2**20
MOST_FILES = 100_000
MOST_LINKS = 1_000
SILENCE = 30.0


async def inputs(outbound: Outbound, order: Order) -> list[Input]:
    """Return the files that a manifest lists, with those of the manifests that it goes on in.

    Raises:
        BadRequest: It is no manifest, or lists what may not be fetched.
        Unavailable: It cannot be fetched now.
    """
    found: list[Input] = []
    url, seen = order.manifest, set[str]()
    while url and url not in seen:
        seen.add(url)
        page = await _fetched(outbound, url, order)
        found += _listed(page)
        if len(found) > MOST_FILES or len(seen) > MOST_LINKS:
            raise BadRequest(f"The manifest lists more than {MOST_FILES:,} files. Submit it in parts.")
        url = next(_next(page), "")
    for one in found:
        if why := outbound.refuse(one.url):
            raise BadRequest(f"The manifest names the file '{one.url[:200]}'. {why}")
    return found


async def _fetched(outbound: Outbound, url: str, order: Order) -> dict[str, Any]:
    data = b""
    headers = {"Accept": "application/json", **dict(order.headers)}
    try:
        async with outbound.stream(url, headers=headers, seconds=SILENCE, most_bytes=MOST_BYTES) as pieces:
            async for piece in pieces:
                data += piece
    except Unreached as error:
        raise Unavailable(f"The manifest could not be fetched. {error}") from None
    return json.parse(data, "manifest")


def _listed(page: dict[str, Any]) -> Iterator[Input]:
    rows = page.get("output")
    if not isinstance(rows, list):
        raise BadRequest("The manifest has no 'output', the list of its files.")
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("url"), str):
            raise BadRequest("An 'output' of the manifest has no 'url'.")
        yield Input(str(row.get("type", "")), row["url"])


def _next(page: dict[str, Any]) -> Iterator[str]:
    links = page.get("link")
    for row in links if isinstance(links, list) else ():
        if isinstance(row, dict) and row.get("relation") == "next" and isinstance(row.get("url"), str):
            yield row["url"]
