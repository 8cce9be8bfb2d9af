"""Records of the reference data in a running server, and searches of it that are followed through all of their pages."""

import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from fhir_server.model import json

Resource = dict[str, Any]
Pairs = list[tuple[str, str]]

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/fhir+json"}
FIRST = 30
"""Bundles of the Synthea archive that are looked at; to find the smallest of all would mean to unpack all."""


def synthea(test_data: Path, bundles: int) -> Iterator[dict[str, Any]]:
    """Yield the smallest of the first bundles."""
    path = test_data / "synthea" / "synthea-r4-smart-part1.tar.xz"
    with tarfile.open(path) as archive:
        smallest = {member.name for member in sorted(islice(archive, FIRST), key=lambda member: member.size)[:bundles]}
    with tarfile.open(path) as archive:
        for member in islice(archive, FIRST):
            if member.name in smallest:
                file = archive.extractfile(member)
                assert file is not None
                yield json.decode(file.read())


async def load(client: httpx.AsyncClient, bundle: dict[str, Any]) -> list[Resource]:
    """Post a transaction; return its resources as they should be stored: with their ids, and references to them."""
    answer = await client.post("", content=json.encode(bundle), headers=JSON)
    assert answer.status_code == 200, answer.text[:2000]
    given: dict[str, str] = {}
    stored: list[Resource] = []
    for asked, got in zip(bundle["entry"], answer.json()["entry"], strict=True):
        *_, resource_type, resource_id = urlsplit(got["response"]["location"]).path.split("/_history")[0].split("/")
        given[asked["fullUrl"]] = f"{resource_type}/{resource_id}"
        meta = {**asked["resource"].get("meta", {}), "lastUpdated": got["response"]["lastModified"]}
        stored.append({**asked["resource"], "id": resource_id, "meta": meta})
    return [linked(resource, given) for resource in stored]


def linked(value: Any, given: dict[str, str]) -> Any:
    """Return the value with the references that the server has put in place of `urn:uuid:…`."""
    if isinstance(value, dict):
        return {
            name: given.get(inner, inner) if name == "reference" and isinstance(inner, str) else linked(inner, given)
            for name, inner in value.items()
        }
    return [linked(inner, given) for inner in value] if isinstance(value, list) else value


async def pages(client: httpx.AsyncClient, path: str, pairs: Pairs, *, post: bool) -> tuple[list[Resource], int | None]:
    """Return the entries of all pages in order, and the total that the first page states."""
    if post:
        answer = await client.post(f"{path}/_search", content=urlencode(pairs), headers=FORM)
    else:
        answer = await client.get(f"{path}?{urlencode(pairs)}")
    found: list[Resource] = []
    total: int | None = None
    first = True
    while True:
        assert answer.status_code == 200, (path, pairs, answer.text)
        bundle = answer.json()
        total, first = (bundle.get("total"), False) if first else (total, False)
        found += bundle.get("entry", [])
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        if "next" not in links:
            return found, total
        answer = await client.get(links["next"])
