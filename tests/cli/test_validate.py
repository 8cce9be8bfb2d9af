"""`fhir-server validate`: files, and what is stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]

PRESSURE = "http://hl7.org/fhir/StructureDefinition/bp"
GOOD = '{"resourceType": "Patient", "gender": "male"}'
BAD = '{"resourceType": "Patient", "gender": "mail"}'
CLAIM = f'{{"resourceType": "Observation", "meta": {{"profile": ["{PRESSURE}"]}}, "status": "final", "code": {{"text": "x"}}}}'


def test_files_are_validated_as_they_are(command: Run, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(GOOD)
    (tmp_path / "many.ndjson").write_text(f"{GOOD}\n{BAD}\nnothing\n")
    (tmp_path / "bad.xml").write_text('<Patient xmlns="http://hl7.org/fhir"><gender value="mail"/></Patient>')
    done = command("validate", tmp_path / "good.json")
    assert done.code == 0, done.err
    assert "good.json" in done.out
    assert ": error: " not in done.out
    wrong = command("validate", tmp_path, "--json")
    assert wrong.code == 1, wrong.err
    errors = [row for row in wrong.json if row["severity"] in {"error", "fatal"}]
    places = {(Path(row["file"]).name, row["place"], row["expression"]) for row in errors}
    assert places == {
        ("bad.xml", "", "Patient.gender"),
        ("many.ndjson", "line 2", "Patient.gender"),
        ("many.ndjson", "line 3", ""),
    }


def test_what_is_stored_is_validated_by_a_job_whose_report_is_kept(command: Run, tmp_path: Path) -> None:
    (tmp_path / "claims.ndjson").write_text(f"{CLAIM}\n{CLAIM}\n")
    assert command("load", tmp_path / "claims.ndjson").code == 0
    queued = command("validate", "--all", "--type", "Observation", "--json")
    assert (queued.code, queued.json["state"]) == (0, "queued")
    done = command("validate", "--all", "--type", "Observation", "--wait", "--json")
    assert done.code == 1, done.err
    assert (done.json["state"], done.json["done"], done.json["failing"]) == ("done", 2, 2)
    assert done.json["job"] == queued.json["job"]
    (row, *_) = [one for one in done.json["findings"] if one["profile"] == PRESSURE]
    assert (row["severity"], row["count"] % 2, len(row["examples"])) == ("error", 0, 2)
    again = command("validate", "--report", "last")
    assert "2 resources were looked at, 2 of them have errors." in again.out


def test_what_cannot_be_asked_is_refused(command: Run) -> None:
    assert command("validate").code == 2
    assert command("validate", "--all", "nothing.json").code == 2
    missing = command("validate", "nothing.json")
    assert (missing.code, "nothing.json is not there" in missing.err) == (2, True)
    unknown = command("validate", "--all", "--profile", f"{PRESSURE}s")
    assert unknown.code == 1
    assert PRESSURE in unknown.err
    assert command("validate", "--report", "nobody").code == 1
