"""Every valid official example of R4 is stored under its own id, read back as it was sent, and found by that id."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from fhir_server.settings import Record
from tests.acceptance.conftest import Served
from tests.acceptance.exact import decode, without_server_owned
from tests.profiles.test_examples import KNOWN_BAD_EXAMPLES

ARCHIVE = "examples/hl7.fhir.r4.examples-4.0.1.instances.tgz"


MENDED = {
    "DeviceMetric-example.json": "parent",
    "DeviceUseStatement-example.json": "reasonReference",
    "EventDefinition-example.json": "text",
}
"""The element to leave out of the only examples of three types, which are wrong as they were published."""


def examples(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, JSON) of each example that is valid, or is so without one element."""
    with tarfile.open(archive) as files:
        for member in files:
            name = Path(member.name).name
            file = files.extractfile(member) if name.endswith(".json") else None
            raw = file.read() if file else b""
            if name in MENDED:
                resource = json.loads(raw)
                del resource[MENDED[name]]
                yield name, json.dumps(resource).encode()
            elif b'"resourceType"' in raw and name not in KNOWN_BAD_EXAMPLES:
                yield name, raw


async def test_examples_come_back_as_they_were_sent(served: Served, test_data: Path) -> None:
    ids: dict[str, set[str]] = {}
    count = 0
    async with served(Record(references="off", consent="keep")) as client:
        for name, raw in examples(test_data / ARCHIVE):
            sent = decode(raw)
            resource_type, resource_id = sent["resourceType"], sent["id"]
            url = f"{resource_type}/{resource_id}"
            written = await client.put(url, content=raw)
            assert written.status_code in {200, 201}, (name, written.text)
            read = await client.get(url)
            assert read.content == written.content, name
            assert without_server_owned(decode(read.content)) == without_server_owned(sent), name
            ids.setdefault(resource_type, set()).add(resource_id)
            count += 1
        for resource_type, wanted in ids.items():
            found = await client.get(resource_type, params={"_id": ",".join(sorted(wanted)), "_count": 1000})
            body = found.json()
            assert {entry["resource"]["id"] for entry in body["entry"]} == wanted, resource_type
            assert body["total"] == len(wanted)
            one = min(wanted)
            alone = (await client.get(resource_type, params={"_id": one})).json()["entry"]
            assert [entry["fullUrl"] for entry in alone] == [f"http://localhost/fhir/{resource_type}/{one}"]
    assert len(ids) == 130
    assert count == 720 - len(KNOWN_BAD_EXAMPLES) + len(MENDED)
