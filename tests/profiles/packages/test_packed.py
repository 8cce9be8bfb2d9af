"""A package as bytes of our own is the package that it was made of."""

import pytest

from profiles.packages import package, packed
from profiles.packages.archive import PackageError
from tests.profiles.packages.test_package import MANIFEST, PROFILE
from tests.profiles.packages.test_package import packed as archive


def test_what_is_unpacked_is_what_was_packed() -> None:
    manifest = {**MANIFEST, "dependencies": {"hl7.terminology.r4": "5.0.0"}}
    read = package.read(
        archive(
            {
                "package/package.json": manifest,
                "package/a.json": PROFILE,
                "package/b.json": {**PROFILE, "version": "0.9"},
                "package/c.json": {"resourceType": "Basic", "id": "c"},
            }
        )
    )
    again = packed.unpack(packed.pack(read), read.sha256)
    assert again == read
    assert [entry.read() for entry in again.definitions[PROFILE["url"]]] == [
        entry.read() for entry in read.definitions[PROFILE["url"]]
    ]


def test_what_is_damaged_or_of_another_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed.pack(package.read(archive({"package/package.json": MANIFEST, "package/a.json": PROFILE})))
    with pytest.raises(PackageError, match="Remove it and install it"):
        packed.unpack(data[:-5])
    monkeypatch.setattr(packed, "FORM", 2)
    with pytest.raises(PackageError, match="form 1, and this release reads form 2"):
        packed.unpack(data)
