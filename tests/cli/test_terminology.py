"""`fhir-server terminology`: releases are checked, loaded, listed and dropped, and broken ones told with file and line."""

import json
from pathlib import Path

from tests.cli.conftest import Command
from tests.guides.packages import Publisher
from tests.terminology.load.tables import ICD_10_CM, written

URL = "http://hl7.org/fhir/sid/icd-10-cm"


def test_a_release_is_checked_loaded_listed_and_dropped(command: Command, tmp_path: Path) -> None:
    folder = written(tmp_path / "icd", ICD_10_CM)
    checked = command("terminology", "load", folder, "--dry-run", "--json")
    assert checked.code == 0, checked.err
    assert checked.json["loaded"][0]["concepts"] == 8
    assert not checked.json["written"]
    assert command("terminology", "list", "--json").json == {"code_systems": []}

    done = command("terminology", "load", folder)
    assert done.code == 0, done.err
    assert done.out.startswith(f"{URL}|2026-04 is loaded.\n")
    assert "1 CodeSystem" in done.out
    [row] = command("terminology", "list", "--json").json["code_systems"]
    assert (row["url"], row["version"], row["state"], row["concepts"], row["edges"]) == (URL, "2026-04", "loaded", 8, 7)
    again = command("terminology", "load", folder)
    assert again.out == f"{URL}|2026-04 was loaded already, from the same files.\n", again.err

    gone = command("terminology", "drop", f"{URL}|2026-04")
    assert gone.out == f"{URL}|2026-04 is dropped, with 1 resources.\n", gone.err
    assert "No code system is loaded" in command("terminology", "list").out
    missing = command("terminology", "drop", URL)
    assert (missing.code, missing.err) == (1, f"error: {URL} is not loaded. Loaded are: none.\n")


def test_a_broken_release_is_told_with_file_and_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mapping.json").write_text(json.dumps({"url": "http://zoo.example/a", "columns": {"code": "Key"}}))
    (tmp_path / "animals.csv").write_text("Key,Name\nA,Ant\nA,Ape\n")
    done = command("terminology", "load", tmp_path / "animals.csv", "--mapping", tmp_path / "mapping.json")
    assert (done.code, done.err) == (1, "error: animals.csv, line 3: The code A is there twice.\n")
    unknown = command("terminology", "load", tmp_path / "mapping.json")
    assert unknown.code == 1
    assert "is not known by their names. Say it: rf2, loinc" in unknown.err


def test_a_package_is_installed_as_a_guide_and_a_code_system_in_xml_loaded(command: Command, tmp_path: Path) -> None:
    one = Publisher("terms")
    (tmp_path / "terms.tgz").write_bytes(one.archive("1.0.0", one.profile()))
    (tmp_path / "cats.xml").write_text(
        '<CodeSystem xmlns="http://hl7.org/fhir"><url value="http://zoo.example/cats"/><version value="1"/><status value="active"/>'
        '<content value="complete"/><concept><code value="lion"/><display value="Lion"/></concept></CodeSystem>'
    )
    done = command("terminology", "load", tmp_path / "terms.tgz", tmp_path / "cats.xml")
    assert done.code == 0, done.err
    assert "terms#1.0.0 is installed as a package: 1 resources" in done.out
    assert "http://zoo.example/cats|1 is loaded." in done.out
