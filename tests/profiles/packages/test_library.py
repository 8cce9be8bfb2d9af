"""What a canonical means where several guides, and several versions of one, are installed."""

import pytest

from profiles.packages import package, versions
from profiles.packages.library import Library, Missing
from profiles.packages.package import Package
from tests.profiles.packages.test_package import MANIFEST, PROFILE, packed


def guide(name: str, version: str, needs: dict[str, str] | None = None, *, profile: str = "") -> Package:
    manifest = {**MANIFEST, "name": name, "version": version, "dependencies": needs or {}}
    row = {**PROFILE, "version": profile or version}
    return package.read(
        packed({"package/package.json": manifest, **({"package/p.json": row} if profile != "none" else {})})
    )


URL = "http://x.org/p"
OLD, NEW = guide("base", "1.9.0"), guide("base", "1.10.0")
CANDIDATE = guide("base", "2.0.0-ballot")
USER = guide("user", "1.0.0", {"base": "1.9.0"}, profile="none")


def version(library: Library, canonical: str, within: Package | None = None) -> str | None:
    found = library.find(canonical, within)
    return found.entry.version if found else None


def test_a_version_means_that_version_and_no_other() -> None:
    library = Library([OLD, NEW])
    assert version(library, f"{URL}|1.9.0") == "1.9.0"
    assert version(library, f"{URL}|1.8.0") is None
    assert version(library, "http://x.org/q") is None


def test_without_a_version_a_client_gets_the_newest_by_semantic_version() -> None:
    assert version(Library([NEW, OLD]), URL) == "1.10.0"
    assert version(Library([NEW, OLD, CANDIDATE]), URL) == "2.0.0-ballot"
    assert version(Library([NEW, OLD]), f"{URL}#fragment") == "1.10.0"


def test_a_package_gets_what_it_depends_on() -> None:
    library = Library([OLD, NEW, USER])
    assert version(library, URL, USER) == "1.9.0"
    assert version(library, URL, NEW) == "1.10.0"
    assert [one.key for one in library.scope(USER)] == ["user#1.0.0", "base#1.9.0"]
    assert version(library.without("base#1.9.0"), URL, USER) == "1.10.0"


def test_packages_that_depend_on_each_other_are_walked_once() -> None:
    one, two = guide("one", "1.0.0", {"two": "1.0.x"}), guide("two", "1.0.3", {"one": "latest"})
    assert [package.key for package in Library([one, two]).scope(one)] == ["one#1.0.0", "two#1.0.3"]


def test_dependencies_that_are_not_installed_are_told() -> None:
    library = Library([USER, guide("third", "1.0.0", {"hl7.fhir.r4.core": "4.0.1"})])
    assert library.missing() == (Missing("user#1.0.0", "base", "1.9.0"),)
    assert library.with_(NEW).missing() == (Missing("user#1.0.0", "base", "1.9.0", instead="1.10.0"),)
    assert library.with_(OLD).missing() == ()


def test_only_definitions_of_the_type_asked_for_are_found() -> None:
    library = Library([OLD])
    assert library.find(URL, resource_type="ValueSet") is None
    assert [found.canonical for found in library.all("StructureDefinition")] == [f"{URL}|1.9.0"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.9.0", "1.10.0"), ("1.0.0-ballot", "1.0.0"), ("1.0.0-alpha.2", "1.0.0-alpha.10"), ("1.0.0-1", "1.0.0-beta"),
     ("1.0", "1.0.1"), ("3.1.1", "20240101"), ("4.0.1", "STU3")],
)  # fmt: skip
def test_versions_are_ordered(older: str, newer: str) -> None:
    assert versions.order(older) < versions.order(newer)
    assert versions.order(f"{older}+build") == versions.order(older)


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [("5.0.1", "5.0.1", True), ("5.0.1", "5.0.x", True), ("5.1.0", "5.0.x", False), ("5.1.0", "5.x", True),
     ("5.1.0", "latest", True), ("5.1.0", "5.1", False), ("50.1.0", "5.x", False)],
)  # fmt: skip
def test_a_dependency_is_fulfilled(found: str, wanted: str, fits: bool) -> None:
    assert versions.satisfies(found, wanted) is fits
