"""The records of 205 synthetic patients, as Synthea writes them, load by transaction and come back as they were sent.

A fixed sample of the bundles runs always; `FHIR_SYNTHEA=all` takes all 206.
"""

import asyncio
import os
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from fhir_server.settings import Record
from tests.acceptance.conftest import Served
from tests.acceptance.exact import decode, without_server_owned

ARCHIVE = "synthea/synthea-r4-smart-part1.tar.xz"
AT_ONCE = 4
EVERY = 1 if os.environ.get("FHIR_SYNTHEA") == "all" else 10
PAGE = 200


def bundles(archive: Path, every: int) -> Iterator[bytes]:
    """Yield each n-th bundle, unpacked one after the other; the one of the practitioners, which is not a patient's, always."""
    with tarfile.open(archive) as files:
        for number, member in enumerate(files):
            if number % every == 0 or member.name.startswith("practitioner"):
                file = files.extractfile(member)
                assert file
                yield file.read()


class Loading:
    """What was loaded so far, and what of it came back."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.bundles = 0
        self.sent: Counter[str] = Counter()
        self.stored: set[str] = set()
        self.references: set[str] = set()

    async def load(self, raw: bytes) -> None:
        """Send a bundle, read back everything that it held, and compare."""
        response = await self.client.post("", content=raw)
        assert response.status_code == 200, response.text[:2000]
        sent = decode(raw)["entry"]
        answers = response.json()["entry"]
        assert [answer["response"]["status"] for answer in answers] == ["201 Created"] * len(sent)
        places = [answer["response"]["location"].partition("/_history")[0] for answer in answers]
        targets = {entry["fullUrl"]: place for entry, place in zip(sent, places, strict=True)}
        for start in range(0, len(sent), PAGE):
            await self.compare(sent[start : start + PAGE], places[start : start + PAGE], targets)
        self.bundles += 1
        self.sent.update(entry["resource"]["resourceType"] for entry in sent)

    async def compare(self, sent: list[Any], places: list[str], targets: dict[str, str]) -> None:
        """Read the resources in one batch and compare each with what was sent."""
        gets = [{"request": {"method": "GET", "url": place}} for place in places]
        response = await self.client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": gets})
        for entry, place, answer in zip(sent, places, decode(response.content)["entry"], strict=True):
            assert answer["response"]["status"] == "200 OK", place
            read = answer["resource"]
            assert f"{read['resourceType']}/{read['id']}" == place
            assert without_server_owned(read) == without_server_owned(self.rewritten(entry["resource"], targets))
            self.stored.add(place)

    def rewritten(self, value: Any, targets: dict[str, str]) -> Any:
        """Return a copy of what was sent in which references lead to where its bundle's resources are now."""
        if isinstance(value, list):
            return [self.rewritten(child, targets) for child in value]
        if not isinstance(value, dict):
            return value
        copy = {name: self.rewritten(child, targets) for name, child in value.items()}
        text = copy.get("reference")
        if isinstance(text, str) and not text.startswith("#"):
            copy["reference"] = targets[text]
            self.references.add(targets[text])
        if "div" in copy:
            assert "urn:uuid:" not in copy["div"]
        return copy


async def test_loads_without_refusal_and_reads_as_sent(served: Served, test_data: Path) -> None:
    async with served(Record()) as client:
        loading = Loading(client)
        waiting = bundles(test_data / ARCHIVE, EVERY)

        async def work() -> None:
            for raw in waiting:
                await loading.load(raw)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        assert loading.references <= loading.stored
        own = Counter({"Organization": 1})  # the deployment's root Organization
        for resource_type, number in (loading.sent + own).items():
            for query in ("_summary=count", "_total=accurate&_count=1"):
                assert (await client.get(f"{resource_type}?{query}")).json()["total"] == number, resource_type
        if EVERY == 1:
            assert (loading.bundles, loading.sent.total()) == (206, 65_657)
