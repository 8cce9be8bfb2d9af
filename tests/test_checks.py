"""What `Checks` goes by: packages side by side, and definitions that are given for one question."""

from pathlib import Path

import pytest

from fhir_server.checks import Checks
from profiles.definitions.registry import load
from profiles.packages import package
from profiles.packages.library import Library

VITALS = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"


@pytest.fixture(scope="module")
def checks(test_data: Path) -> Checks:
    found = Checks(load())
    names = ("hl7.fhir.us.core-6.1.0.tgz", "hl7.fhir.us.core-8.0.0.tgz")
    found.adopt(Library(package.read(test_data / "packages" / name) for name in names))
    return found


def test_a_snapshot_of_a_package_is_based_on_what_the_package_means(checks: Checks) -> None:
    for version in ("6.1.0", "8.0.0"):
        structure = checks.structure(f"{VITALS}|{version}")
        assert structure is not None
        made = checks.packaged(structure)
        assert made is not None
        assert made.origin.package is not None
        assert made.origin.package.version == version
        assert not made.fails
    older = checks.structure(f"{VITALS}|6.1.0")
    assert older is not None
    changed = {**older, "differential": {"element": [{"id": "Observation", "path": "Observation"}]}}
    assert checks.packaged(changed) is None
    assert checks.packaged({**older, "version": "6.1.0-mine"}) is None


def test_what_is_given_for_one_question_is_not_known_afterwards(checks: Checks) -> None:
    own = {**(checks.structure(f"{VITALS}|6.1.0") or {}), "url": "urn:own"}
    assert checks.knowing([own]).knows("urn:own")
    assert not checks.knows("urn:own")
    assert checks.knowing([own]).library.packages.keys() == checks.library.packages.keys()
    assert checks.knowing([]) is checks


@pytest.mark.parametrize(
    ("canonical", "meant"),
    [
        (f"{VITALS}s", VITALS),
        (f"{VITALS}|7.7.7", f"{VITALS}|8.0.0"),
        (VITALS.replace("us-core", "us_core"), VITALS),
        ("urn:nothing-like-it", ""),
        ("x" * 5_000, ""),
    ],
)
def test_what_was_probably_meant_is_named(checks: Checks, canonical: str, meant: str) -> None:
    assert checks.hint(canonical) == (f" Did you mean '{meant}'?" if meant else "")
