"""Resources as rows: the same columns in every file, and nothing lost."""

import io
import sys
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from fhir_server.bulk import parquet as room
from fhir_server.bulk.parquet import HEAD, columns, parquet
from fhir_server.model import json
from fhir_server.model.errors import NotSupported
from profiles.definitions.registry import Definitions, load

Json = dict[str, Any]


@pytest.fixture(scope="module")
def definitions() -> Definitions:
    return load()


async def lines(*blocks: bytes) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def table(definitions: Definitions, resource_type: str, *resources: Json) -> Any:
    blocks = [json.encode(one) + b"\n" for one in resources]
    made = b"".join([part async for part in parquet(lines(*blocks), resource_type, definitions)])
    return pq.read_table(io.BytesIO(made))


OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-02T03:04:05.678Z"},
    "status": "final",
    "code": {"text": "Größe"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-01",
    "valueInteger": 7,
}


async def test_a_resource_is_a_row(definitions: Definitions) -> None:
    (row,) = (await table(definitions, "Observation", OBSERVATION)).to_pylist()
    assert row["id"] == "o1"
    assert row["versionId"] == "3"
    assert row["lastUpdated"] == datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
    assert row["patient"] == "p1"
    assert row["status"] == "final"
    assert row["effectiveDateTime"] == "2026-01"
    assert row["valueInteger"] == 7
    assert json.decode(row["code"].encode()) == {"text": "Größe"}
    assert json.decode(row["resource"].encode()) == OBSERVATION
    assert row["valueQuantity"] is None


async def test_columns_do_not_depend_on_what_is_in_the_file(definitions: Definitions) -> None:
    empty = await table(definitions, "Observation")
    one = await table(definitions, "Observation", OBSERVATION)
    assert empty.schema == one.schema
    assert empty.num_rows == 0
    assert tuple(one.schema.names[: len(HEAD)]) == HEAD
    assert len(set(one.schema.names)) == len(one.schema.names)


async def test_every_type_can_be_written(definitions: Definitions) -> None:
    for name in sorted(definitions.resource_types):
        made = await table(definitions, name, {"resourceType": name, "id": "x"})
        assert made.num_rows == 1
        assert len(made.schema.names) == len(HEAD) + len(columns(name, definitions))


async def test_lists_and_numbers_keep_their_types(definitions: Definitions) -> None:
    patient = {
        "resourceType": "Patient",
        "id": "p",
        "active": True,
        "multipleBirthInteger": 2,
        "name": [{"family": "A"}],
    }
    (row,) = (await table(definitions, "Patient", patient)).to_pylist()
    assert (row["patient"], row["active"], row["multipleBirthInteger"]) == ("p", True, 2)
    assert json.decode(row["name"].encode()) == [{"family": "A"}]
    codes = {"resourceType": "CodeSystem", "id": "c", "count": 5}
    assert (await table(definitions, "CodeSystem", codes)).to_pylist()[0]["count"] == 5
    risk = {"resourceType": "MolecularSequence", "id": "m", "coordinateSystem": 1, "observedSeq": "ACGT"}
    assert (await table(definitions, "MolecularSequence", risk)).to_pylist()[0]["coordinateSystem"] == 1
    listed = {"resourceType": "HealthcareService", "id": "h", "availableTime": [{"daysOfWeek": ["mon"]}]}
    assert (await table(definitions, "HealthcareService", listed)).num_rows == 1
    capability = {"resourceType": "CapabilityStatement", "id": "s", "format": ["json", "xml"]}
    assert (await table(definitions, "CapabilityStatement", capability)).to_pylist()[0]["format"] == ["json", "xml"]


async def test_files_of_several_types_have_what_all_have(definitions: Definitions) -> None:
    made = await table(definitions, "", OBSERVATION, {"resourceType": "Patient", "id": "p"})
    assert tuple(made.schema.names) == HEAD
    assert made.column("patient").to_pylist() == ["p1", "p"]


@pytest.mark.parametrize(
    ("resource", "patient"),
    [
        ({"resourceType": "Coverage", "beneficiary": {"reference": "http://x.example/fhir/Patient/a/_history/2"}}, "a"),
        ({"resourceType": "Task", "for": {"reference": "Patient/b"}}, "b"),
        ({"resourceType": "Group", "subject": {"reference": "Group/b"}}, None),
        ({"resourceType": "Observation", "subject": {"display": "x"}}, None),
        ({"resourceType": "Organization"}, None),
    ],
)
async def test_the_patient_is_who_the_resource_is_about(
    definitions: Definitions, resource: Json, patient: str | None
) -> None:
    assert (await table(definitions, "", resource)).column("patient").to_pylist() == [patient]


async def test_what_is_large_goes_out_in_groups_while_it_is_written(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "AT_ONCE", 10_000)
    block = b"".join(json.encode({**OBSERVATION, "id": f"o{n}"}) + b"\n" for n in range(100))
    parts = [part async for part in parquet(lines(*[block] * 5), "Observation", definitions)]
    assert len(parts) == 6
    file = pq.ParquetFile(io.BytesIO(b"".join(parts)))
    assert (file.num_row_groups, file.metadata.num_rows) == (5, 500)


async def test_examples_of_every_kind_of_element_are_whole(definitions: Definitions, test_data: Path) -> None:
    by_type: dict[str, list[Json]] = {}
    with tarfile.open(test_data / "examples" / "hl7.fhir.r4.examples-4.0.1.instances.tgz") as archive:
        for number, member in enumerate(archive):
            content = archive.extractfile(member) if number % 8 == 0 and member.name.endswith(".json") else None
            resource = json.decode(content.read()) if content else {}
            if resource.get("resourceType") in definitions.resource_types:
                by_type.setdefault(resource["resourceType"], []).append(resource)
    assert len(by_type) > 50
    for name, resources in by_type.items():
        texts = (await table(definitions, name, *resources)).column("resource").to_pylist()
        assert [json.decode(text.encode()) for text in texts] == resources


async def test_without_the_library_it_is_said_what_to_install(
    definitions: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotSupported, match=r"aquifer\[parquet\]"):
        room.require()
