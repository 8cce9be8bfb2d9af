"""Versions: what fits what is wanted, what is newest, and what the parameters of a request make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology.versions import (
    ConflictingVersions,
    Rule,
    UnreadableVersion,
    VersionRules,
    algorithm,
    enumerated,
    matches,
    newest,
    ordered,
)

URL = "http://example.org/cs"
EDITION = "http://snomed.info/sct/900000000000207008"


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [
        ("1.0.0", "1.0.0", True),
        ("", "1.0.0", True),
        ("1.0.x", "1.0.7", True),
        ("1.0.x", "1.1.0", False),
        ("1.x.x", "1.2.0", True),
        ("1.x", "1.2.0", True),
        ("1.*", "2.0.0", False),
        ("*", "2.0.0", True),
        ("1.x.0", "1.2.0", True),
        ("1.x.0", "1.2.1", False),
        ("1.0.0.x", "1.0.0", False),
        ("1.0?", "1.0.4", True),
        ("1", "1.0.0", False),
        ("1.0", "1.0.0", False),
        ("2023", "2023-05-01", True),
        ("2023-05", "2023-05-01", True),
        ("2023-06", "2023-05-01", False),
        ("202", "2023-05-01", False),
        (EDITION, f"{EDITION}/version/20250201", True),
        (EDITION, f"{EDITION}9/version/20250201", False),
        ("1.0.0", "", False),
    ],
)
def test_what_fits_what_is_wanted(wanted: str, version: str, fits: bool) -> None:
    assert matches(wanted, version) is fits


@pytest.mark.parametrize(
    ("versions", "stated", "expected"),
    [
        (["1.10.0", "1.9.0", "1.9.0-rc.1", "1.9.0-rc.10", "1.9.0-rc.2"], "semver", None),
        (["9", "10", "1"], "integer", ["1", "9", "10"]),
        (["9", "10", "1"], "alpha", ["1", "10", "9"]),
        (["2023-05-01", "2023", "2022-12-31"], "date", ["2022-12-31", "2023", "2023-05-01"]),
        (["20230501", "2022-12-31"], "", ["2022-12-31", "20230501"]),
        (["R10", "R9", "R9a"], "natural", ["R9", "R9a", "R10"]),
        (["2.77", "2.8", ""], "", ["", "2.8", "2.77"]),
        (["x", "1.2.0"], "semver", ["1.2.0", "x"]),
    ],
)
def test_versions_are_ordered_by_their_algorithm(versions: list[str], stated: str, expected: list[str] | None) -> None:
    wanted = expected or ["1.9.0-rc.1", "1.9.0-rc.2", "1.9.0-rc.10", "1.9.0", "1.10.0"]
    assert ordered(versions, stated) == wanted


@given(
    st.lists(st.text(max_size=12), max_size=8),
    st.sampled_from(["", "semver", "integer", "date", "alpha", "natural", "?"]),
)
def test_anything_can_be_ordered(versions: list[str], stated: str) -> None:
    assert sorted(ordered(versions, stated)) == sorted(versions)


def chosen(versions: list[str], wanted: str) -> str | None:
    return newest(versions, wanted, lambda version: (version, ""))


def test_the_newest_that_fits_is_meant() -> None:
    assert chosen(["1.0.0", "1.2.0", "1.10.0", "2.0.0"], "1.x") == "1.10.0"
    assert chosen(["1.0.0", "1.2.0"], "") == "1.2.0"
    assert chosen(["1.0.0", "1.2.0"], "1") is None
    assert chosen([], "") is None
    assert chosen(["", "1.0.0"], "") == "1.0.0"


def test_a_forced_version_wins_over_a_stated_one_and_a_default_does_not() -> None:
    forced = VersionRules.read({"force-system-version": [f"{URL}|1.0.x"]})
    assert forced.wanted(URL, "1.2.0").version == "1.0.x"
    default = VersionRules.read({"system-version": [f"{URL}|1.0.0"]})
    assert default.wanted(URL, "1.2.0").version == "1.2.0"
    assert default.wanted(URL).version == "1.0.0"
    assert default.wanted("http://example.org/other").version == ""


def test_a_version_to_be_checked_is_wanted_where_nothing_is_said_and_refuses_others() -> None:
    rules = VersionRules.read({"check-system-version": [f"{URL}|1.0.x"]})
    assert rules.wanted(URL).version == "1.0.x"
    assert rules.wanted(URL, "1.2.0").version == "1.2.0"
    assert rules.broken(URL, "1.2.0") == [Rule("check-system-version", URL, "1.0.x")]
    assert rules.broken(URL, "1.0.3") == []


def test_two_versions_of_one_system_are_refused() -> None:
    rules = VersionRules.read({"system-version": [f"{URL}|1", f"{URL}|2"]})
    with pytest.raises(ConflictingVersions, match="'1' and '2' of"):
        rules.wanted(URL)
    assert VersionRules.read({"system-version": [f"{URL}|1", f"{URL}|1"]}).wanted(URL).version == "1"


def test_a_parameter_without_a_version_is_refused() -> None:
    with pytest.raises(UnreadableVersion, match="system-version is 'http"):
        VersionRules.read({"system-version": [URL]})


def test_the_algorithm_is_an_element_or_an_extension() -> None:
    coding = {"system": "http://hl7.org/fhir/version-algorithm", "code": "semver"}
    assert algorithm({"versionAlgorithmCoding": coding}) == "semver"
    url = "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm"
    assert algorithm({"extension": [{"url": url, "valueCoding": coding}]}) == "semver"
    assert algorithm({"extension": [{"url": "http://example.org", "valueCoding": coding}]}) == ""


def test_versions_read_as_a_phrase() -> None:
    assert [enumerated(["1"]), enumerated(["1", "2"]), enumerated(["1", "2", "3"])] == ["1", "1 or 2", "1, 2 and 3"]
