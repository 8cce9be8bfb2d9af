"""Implicit value sets: what a URL says by itself."""

from typing import Any

import pytest

from terminology.catalogue import Layered
from terminology.codesystem.native import Native
from terminology.collection import Collection
from terminology.complete import Complete
from terminology.valueset.implicit import implicit

COLOURS = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/colours",
    "status": "active",
    "content": "complete",
    "valueSet": "http://example.org/all-colours|1",
    "concept": [{"code": "red", "concept": [{"code": "crimson"}]}],
}
STATED = {"resourceType": "ValueSet", "url": "http://hl7.org/fhir/ValueSet/currencies", "status": "draft"}
CATALOGUE = Layered(Collection([COLOURS]), Native())


def include(system: str, name: str = "", op: str = "", value: str = "", version: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"system": system}
    if version:
        found["version"] = version
    if name:
        found["filter"] = [{"property": name, "op": op, "value": value}]
    return found


SCT = "http://snomed.info/sct"
US = f"{SCT}/731000124108"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (f"{SCT}?fhir_vs", include(SCT)),
        (f"{US}?fhir_vs", include(SCT, version=US)),
        (
            f"{US}/version/20260301?fhir_vs=isa/73211009",
            include(SCT, "concept", "is-a", "73211009", f"{US}/version/20260301"),
        ),
        (f"{SCT}?fhir_vs=refset/723264001", include(SCT, "concept", "in", "723264001")),
        (f"{SCT}?fhir_vs=refset", include(SCT, "concept", "descendent-of", "900000000000455006")),
        (f"{SCT}?fhir_vs=ecl/%3C%20404684003%20MINUS%20*", include(SCT, "constraint", "=", "< 404684003 MINUS *")),
        ("http://loinc.org/vs", include("http://loinc.org")),
        ("http://loinc.org/vs/LL361-7", include("http://loinc.org", "LIST", "=", "LL361-7")),
        ("http://loinc.org/vs/LP14082-9", include("http://loinc.org", "concept", "is-a", "LP14082-9")),
        ("http://loinc.org/vs/LG33055-1", include("http://loinc.org", "LG", "=", "LG33055-1")),
        ("http://unitsofmeasure.org/vs", include("http://unitsofmeasure.org")),
        ("http://unitsofmeasure.org/vs/mg%2FdL", include("http://unitsofmeasure.org", "canonical", "=", "mg/dL")),
        ("http://hl7.org/fhir/ValueSet/all-languages", include("urn:ietf:bcp:47")),
        ("http://hl7.org/fhir/ValueSet/timezones", include("https://www.iana.org/time-zones")),
        ("http://example.org/all-colours", include("http://example.org/colours")),
        ("http://example.org/colours?fhir_vs", include("http://example.org/colours")),
        ("http://example.org/colours?fhir_vs=isa/red", include("http://example.org/colours", "concept", "is-a", "red")),
    ],
)
async def test_a_url_stands_for_a_value_set(url: str, wanted: dict[str, Any]) -> None:
    found = await implicit(url, CATALOGUE)
    assert found is not None
    assert (found["resourceType"], found["url"], found["compose"]) == ("ValueSet", url, {"include": [wanted]})


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/nothing",
        "http://example.org/nothing?fhir_vs",
        f"{SCT}?fhir_vs=isa/diabetes",
        f"{SCT}?fhir_vs=colour/73211009",
        f"{SCT}?fhir_vs=ecl/",
        "http://loinc.org/vs/1234-5",
        "http://unitsofmeasure.org/vs/",
    ],
)
async def test_any_other_url_stands_for_none(url: str) -> None:
    assert await implicit(url, CATALOGUE) is None


async def test_what_is_stated_comes_before_what_is_understood() -> None:
    complete = Complete(Layered(Collection([STATED]), Native()))
    assert await complete.value_sets(str(STATED["url"])) == (STATED,)
    (found,) = await complete.value_sets("http://loinc.org/vs")
    assert found["compose"]["include"] == [{"system": "http://loinc.org"}]
    assert await complete.value_sets("http://example.org/nothing") == ()
    (units,) = await complete.code_systems("http://unitsofmeasure.org")
    assert await units.find("mg/dL") is not None
