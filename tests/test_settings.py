"""Where settings come from, and that none is misspelt in silence."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from fhir_server.settings import Settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of secret files."""
    monkeypatch.setenv("FHIR_SECRETS", str(tmp_path))
    return tmp_path


def test_the_environment_wins_over_secret_files_over_toml(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml = secrets / "fhir.toml"
    toml.write_text("[mongo]\npool = 10\ndatabase = 'toml'\n[server]\nport = 1\n")
    monkeypatch.setenv("FHIR_CONFIG", str(toml))
    (secrets / "fhir_mongo__url").write_text("mongodb://secret\n")
    (secrets / "fhir_mongo__pool").write_text("20\n")
    (secrets / "of_another_program").write_text("x")
    monkeypatch.setenv("FHIR_MONGO__POOL", "30")
    settings = Settings.load()
    assert settings.mongo.pool == 30
    assert settings.mongo.url is not None
    assert settings.mongo.url.get_secret_value() == "mongodb://secret"
    assert settings.mongo.database == "toml"
    assert settings.server.port == 1
    assert "mongodb://secret" not in repr(settings)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_MONGOO__URL", "x")
    with pytest.raises(ValueError, match="unknown environment variable FHIR_MONGOO__URL; known are"):
        Settings.load()


def test_a_misspelt_nested_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_MONGO__ULR", "x")
    with pytest.raises(ValidationError, match=r"mongo\.ulr"):
        Settings.load()


def test_a_misspelt_secret_file_is_refused(secrets: Path) -> None:
    (secrets / "fhir_mongo__ulr").write_text("x")
    with pytest.raises(ValidationError, match=r"mongo\.ulr"):
        Settings.load()


def test_a_misspelt_key_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fhir.toml").write_text("[mongo]\nulr = 'x'\n")
    monkeypatch.setenv("FHIR_CONFIG", str(tmp_path / "fhir.toml"))
    with pytest.raises(ValidationError, match=r"mongo\.ulr"):
        Settings.load()
