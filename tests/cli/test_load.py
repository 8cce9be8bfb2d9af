"""`fhir-server load`: what is stored, what is refused and why, and what a second run does."""

import base64
import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model import json

Json = dict[str, Any]


def patient(name: str, **more: Any) -> Json:
    return {"resourceType": "Patient", "id": name, **more}


def observation(name: str, subject: str) -> Json:
    code = {"text": "weight"}
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": code,
        "subject": {"reference": subject},
    }


def bundle(kind: str, *resources: Json) -> bytes:
    entries = [
        {"resource": row, "request": {"method": "PUT", "url": f"{row['resourceType']}/{row['id']}"}}
        for row in resources
    ]
    return json.encode({"resourceType": "Bundle", "type": kind, "entry": entries})


def lines(*resources: Json) -> bytes:
    return b"\n".join(json.encode(row) for row in resources) + b"\n"


@pytest.fixture(scope="module")
def loaded(command: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Load a folder of every kind of file, one of which has two bad resources."""
    folder = tmp_path_factory.mktemp("records")
    (folder / "a-transaction.json").write_bytes(
        bundle("transaction", patient("load-1"), observation("load-1-w", "Patient/load-1"))
    )
    (folder / "a-early.json").write_bytes(bundle("transaction", observation("load-early", "Patient/load-late")))
    collection = json.decode(bundle("collection", patient("load-2"), observation("load-2-w", "urn:uuid:1")))
    collection["entry"][0]["fullUrl"] = "urn:uuid:1"
    (folder / "b-collection.json").write_bytes(json.encode(collection))
    (folder / "c-single.json").write_bytes(json.encode(patient("load-3")))
    (folder / "d-single.xml").write_text('<Patient xmlns="http://hl7.org/fhir"><id value="load-xml"/></Patient>')
    (folder / "hospitalInformation1.json").write_bytes(
        bundle("batch", {"resourceType": "Organization", "id": "load-clinic", "name": "Clinic"})
    )
    inner = folder / "bulk"
    inner.mkdir()
    (inner / "Patient.ndjson").write_bytes(
        lines(patient("load-4"), patient("load-bad", gender="m"), patient("load-late")) + b"{broken\n"
    )
    (inner / "Observation.ndjson.gz").write_bytes(gzip.compress(lines(observation("load-4-w", "Patient/load-4"))))
    (folder / "notes.txt").write_text("not to be loaded")
    return folder, command("load", folder, "--json")


def test_everything_that_can_be_stored_is(loaded: tuple[Path, Any]) -> None:
    summary = loaded[1].json
    assert summary["created"] == {"Observation": 4, "Organization": 1, "Patient": 6}
    assert summary["stored"] == 11


def test_what_is_refused_is_told_with_file_place_and_reason(loaded: tuple[Path, Any]) -> None:
    summary = loaded[1].json
    assert loaded[1].code == 1
    assert summary["refused"] == 2
    told = {row["first"].rsplit("/", 1)[-1]: row["reason"] for row in summary["reasons"]}
    assert "'m'" in told["Patient.ndjson, line 2"]
    assert "not valid JSON" in told["Patient.ndjson, line 4"]


def test_a_second_run_sends_only_what_was_refused(loaded: tuple[Path, Any], command: Callable[..., Any]) -> None:
    folder, _ = loaded
    again = command("load", folder, "--json")
    assert again.code == 1
    assert again.json["stored"] == 0
    assert again.json["files_skipped"] == 7
    bad = folder / "bulk" / "Patient.ndjson"
    bad.write_bytes(lines(patient("load-5")))
    mended = command("load", folder, "--json")
    assert (mended.code, mended.json["created"], mended.json["refused"]) == (0, {"Patient": 1}, 0)


def test_the_facility_must_be_there(command: Callable[..., Any], loaded: tuple[Path, Any]) -> None:
    single = loaded[0] / "c-single.json"
    refused = command("load", single, "--facility", "nowhere")
    assert refused.code == 2
    assert "Organization/nowhere is not there" in refused.err
    kept = command("load", single, "--facility", "load-clinic", "--json")
    assert (kept.code, kept.json["updated"]) == (0, {"Patient": 1})


def test_an_id_that_was_deleted_goes_on_with_its_versions(command: Callable[..., Any], tmp_path: Path) -> None:
    rows = [patient("load-again"), observation("load-again", "Patient/load-again"), patient("load-first")]
    deletions = [
        {"request": {"method": "DELETE", "url": f"{row['resourceType']}/{row['id']}"}} for row in reversed(rows[:2])
    ]
    (tmp_path / "first.json").write_bytes(bundle("transaction", *rows[:2]))
    assert command("load", tmp_path / "first.json", "--json").json["stored"] == 2
    batch = {"resourceType": "Bundle", "type": "transaction", "entry": deletions}
    (tmp_path / "delete.json").write_bytes(json.encode(batch))
    assert command("load", tmp_path / "delete.json").code == 0
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "Patient.ndjson").write_bytes(lines(rows[0], rows[2]))
    (tmp_path / "lines" / "Observation.ndjson").write_bytes(lines(rows[1]))
    again = command("load", tmp_path / "lines", "--json")
    assert again.json["created"] == {"Patient": 2, "Observation": 1}
    expected = json.decode(bundle("transaction", *rows))
    for one, version in zip(expected["entry"], (3, 3, 1), strict=True):
        one["request"]["ifMatch"] = f'W/"{version}"'
    (tmp_path / "versions.json").write_bytes(json.encode(expected))
    assert command("load", tmp_path / "versions.json", "--json").json["updated"] == {"Patient": 2, "Observation": 1}


def test_of_two_lines_with_one_id_the_later_one_wins(command: Callable[..., Any], tmp_path: Path) -> None:
    rows = [patient(f"load-twice-{number}") for number in range(300)]
    changed = [{**row, "gender": "other", "active": True} for row in rows]
    (tmp_path / "Patient.ndjson").write_bytes(lines(*rows, *changed))
    summary = command("load", tmp_path, "--json").json
    assert (summary["created"], summary["updated"]) == ({"Patient": 300}, {"Patient": 300})
    unchanged = {"op": "test", "path": "/gender", "value": "other"}
    binary: Json = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(json.encode([unchanged])).decode(),
    }
    patches = [
        {"resource": binary, "request": {"method": "PATCH", "url": f"Patient/{row['id']}", "ifMatch": 'W/"2"'}}
        for row in rows
    ]
    asked = {"resourceType": "Bundle", "type": "transaction", "entry": patches}
    (tmp_path / "last.json").write_bytes(json.encode(asked))
    assert command("load", tmp_path / "last.json", "--json").json["updated"] == {"Patient": 300}


def test_lines_may_refer_to_earlier_lines_of_their_file(command: Callable[..., Any], tmp_path: Path) -> None:
    place: Json = {"resourceType": "Location", "status": "active"}
    chain = [{**place, "id": "load-place-0"}]
    for number in range(1, 1001):
        part_of = {"reference": f"Location/load-place-{max(0, number - 200)}"}
        chain.append({**place, "id": f"load-place-{number}", "partOf": part_of})
    (tmp_path / "Location.ndjson").write_bytes(lines(*chain))
    loaded = command("load", tmp_path, "--json")
    assert (loaded.code, loaded.json["created"]) == (0, {"Location": 1001})


def test_an_archive_is_loaded_like_a_folder(command: Callable[..., Any], tmp_path: Path) -> None:
    archive = tmp_path / "records.tar.xz"
    content = bundle("transaction", patient("load-archived"))
    with tarfile.open(archive, "w:xz") as tar:
        member = tarfile.TarInfo("../outside/one.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    first = command("load", archive, "--json")
    assert (first.code, first.json["created"]) == (0, {"Patient": 1})
    assert not (tmp_path.parent / "outside").exists()
    assert command("load", archive, "--json").json["files_skipped"] == 1


def test_a_path_without_data_is_an_error(command: Callable[..., Any], tmp_path: Path) -> None:
    nothing = command("load", tmp_path)
    assert nothing.code == 2
    assert "holds nothing to load" in nothing.err
    missing = command("load", tmp_path / "missing")
    assert missing.code == 2
    assert "is not there" in missing.err


def test_the_table_names_types_and_reasons(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "x.ndjson").write_bytes(lines(patient("load-table"), observation("load-table-w", "Patient/nobody")))
    shown = command("load", tmp_path)
    assert shown.code == 1
    assert "1 resources stored" in shown.out
    assert "1 refused" in shown.out
    assert "Patient/nobody" in shown.out
