"""Packages are read as published, and what is no package, or no safe one, is refused with a sentence."""

import gzip
import io
import json
import tarfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles.packages import package
from profiles.packages.archive import Limits, PackageError

Json = dict[str, Any]
MANIFEST: Json = {
    "name": "guide",
    "version": "1.0.0",
    "fhirVersions": ["4.0.1"],
    "dependencies": {"hl7.fhir.r4.core": "4.0.1"},
}
PROFILE: Json = {
    "resourceType": "StructureDefinition", "id": "p", "url": "http://x.org/p", "version": "2.0.0", "kind": "resource",
    "type": "Patient", "derivation": "constraint",
}  # fmt: skip


def packed(files: dict[str, object], *, links: tuple[str, ...] = ()) -> bytes:
    """A `.tgz` with these files; what is no bytes is written as JSON."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, value in files.items():
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return out.getvalue()


def guide(files: dict[str, object] | None = None, manifest: Json | None = None) -> bytes:
    return packed({"package/package.json": manifest or MANIFEST, **(files or {})})


def test_a_package_is_indexed_by_url_and_version() -> None:
    older = {**PROFILE, "version": "1.10.0"}
    oldest = {**PROFILE, "version": "1.9.0"}
    value_set = {"resourceType": "ValueSet", "url": "http://x.org/v"}
    found = package.read(
        guide(
            {"package/a.json": oldest, "package/b.json": older, "package/c.json": PROFILE, "package/v.json": value_set}
        )
    )
    assert (found.key, found.fhir_versions, dict(found.dependencies)) == (
        "guide#1.0.0", ("4.0.1",), {"hl7.fhir.r4.core": "4.0.1"},
    )  # fmt: skip
    assert [entry.version for entry in found.definitions["http://x.org/p"]] == ["2.0.0", "1.10.0", "1.9.0"]
    newest = found.find("http://x.org/p")
    assert newest is not None
    assert newest.read() == PROFILE
    assert found.find("http://x.org/p", "1.9.0") is not None
    assert found.find("http://x.org/p", "3.0.0") is None
    value = found.find("http://x.org/v")
    assert value is not None
    assert value.version == "1.0.0"  # of the package, as it has none
    assert [entry.id for entry in found.of_type("StructureDefinition")] == ["p", "p", "p"]


def test_numbers_keep_their_digits() -> None:
    content = b'{"resourceType":"ValueSet","url":"http://x.org/v","x":1.10}'
    entry = package.read(guide({"package/v.json": content})).find("http://x.org/v")
    assert entry is not None
    assert str(entry.read()["x"]) == "1.10"
    assert isinstance(entry.read()["x"], Decimal)


def test_examples_are_read_where_they_are_asked_for() -> None:
    data = guide({"package/example/Patient-1.json": {"resourceType": "Patient", "id": "1"}, "package/other/x.json": {}})
    assert package.read(data).instances == ()
    assert [entry.id for entry in package.read(data, examples=True).instances] == ["1"]


def test_an_index_that_lists_what_is_not_there_is_noted() -> None:
    found = package.read(
        guide({"package/.index.json": {"files": [{"filename": "gone.json"}]}, "package/p.json": PROFILE})
    )
    assert found.notes == (".index.json lists gone.json, which is not in the package.",)


def test_every_package_for_r4_can_be_read_and_the_one_for_r5_is_refused(test_data: Path) -> None:
    read, refused = [], []
    for file in sorted((test_data / "packages").glob("*.tgz")):
        try:
            read.append(package.read(file).key)
        except PackageError as error:
            refused.append(str(error))
    assert len(read) == 16
    assert refused == [
        (
            "org.sql-on-fhir.ig#2.1.0-pre is for FHIR 5.0.0 (fhirVersions in package.json), and this server is for R4 (4.0.1). "
            "Use the package of the same guide for R4."
        )
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no archive", "not a gzipped tar file"),
        (gzip.compress(b"no tar file" * 100), "not a gzipped tar file"),
        (guide()[:-20], "not a gzipped tar file, or damaged"),
        (packed({"package/p.json": PROFILE}), "holds no package/package.json"),
        (packed({"package/package.json": b"{"}), "package.json in The package is not a JSON object"),
        (packed({"package/package.json": {"name": "x"}}), "has no 'version'"),
        (guide(manifest={**MANIFEST, "fhirVersions": ["5.0.0"]}), r"is for FHIR 5\.0\.0"),
        (guide(manifest={**MANIFEST, "fhirVersions": [], "dependencies": {}}), "is for FHIR no version"),
        (guide({"package/p.json": b'{"resourceType": '}), r"package/p\.json in The package is not JSON"),
        (guide({"package/../../etc/cron.d/x": b"x"}), "lies outside its folder"),
        (guide({"/etc/passwd": b"x"}), "lies outside its folder"),
        (guide({"package\\x.json": b"x"}), "lies outside its folder"),
        (packed({"package/package.json": MANIFEST}, links=("package/x.json",)), "is a link or a device"),
    ],
    ids=[
        "no-archive", "no-tar", "cut-short", "no-manifest", "manifest-no-json", "no-version", "another-fhir", "no-fhir",
        "resource-no-json", "traversal", "absolute", "backslash", "link",
    ],
)  # fmt: skip
def test_what_is_no_package_or_no_safe_one_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(PackageError, match=said):
        package.read(data)


def test_a_bomb_is_not_unpacked() -> None:
    data = guide({"package/x.txt": b"\0" * 3_000_000, "package/y.txt": b"\0" * 3_000_000})
    assert len(data) < 10_000
    with pytest.raises(PackageError, match="unpacks to more than 4000000 bytes"):
        package.read(data, Limits(total=4_000_000))
    with pytest.raises(PackageError, match="has 3000000 bytes, and 1000000 are allowed for a file"):
        package.read(data, Limits(file=1_000_000))
    with pytest.raises(PackageError, match="holds more than 2 files"):
        package.read(data, Limits(files=2))
    assert package.read(data).key == "guide#1.0.0"


def test_a_header_that_lies_about_its_size_is_not_believed() -> None:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        member = tarfile.TarInfo("package/package.json")
        member.size = 10_000_000_000
        file.write(member.tobuf())
    with pytest.raises(PackageError, match="has 10000000000 bytes"):
        package.read(out.getvalue())
