"""Published guides are installed into one server: all of each is served, and what is not added is known by name.

By default three of them; `GUIDES=all` takes every package of the reference data.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server.guides import Installed
from fhir_server.guides.gathering import Gathering
from fhir_server.main import Service
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from profiles.packages.package import Package

Json = dict[str, Any]
BASE = "http://localhost/fhir"
EVERYDAY = ("hl7.fhir.us.core-3.1.1", "hl7.fhir.us.core-6.1.0", "ihe.iti.balp")
R5 = "org.sql-on-fhir.ig"
MIB = 2**20

DRAFTS = "Its status is '"
TAKEN = "which selects something else"
IMPOSSIBLE: Mapping[str, Mapping[str, str]] = {
    "hl7.fhir.us.carin-bb#2.0.0": dict.fromkeys(
        ("payor", "care-team", "coverage", "identifier", "provider", "organization", "practitioner"), DRAFTS
    ),
    # FHIR's own `name` of Location and Organization reads aliases too, its `onset-date` of Condition periods.
    "hl7.fhir.us.core#3.1.1": {"onset-date": TAKEN, "name": TAKEN},
    # Another expression than in 6.1.0.
    "hl7.fhir.us.core#7.0.0": {"asserted-date": TAKEN},
    "hl7.fhir.us.core#8.0.0": {"asserted-date": TAKEN},
    "hl7.fhir.uv.extensions.r4#5.3.0-ballot-tc1": {
        "age": "selects date, which a number parameter cannot search",
        "mothersMaidenName": TAKEN,
        **dict.fromkeys(("genderIdentity", "workflow", "workflow-barrierCode", "workflow-barrierRef"), DRAFTS),
        **dict.fromkeys(("workflow-protectiveFactorCode", "workflow-protectiveFactorRef", "researchStudy"), DRAFTS),
    },
    "hl7.fhir.uv.subscriptions-backport.r4#1.1.0": dict.fromkeys(
        ("custom-channel", "filter-criteria", "payload-type", "topic"), DRAFTS
    ),
}
"""Search parameters that are not added, by package and code, each with a part of the reason."""

ALWAYS = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription"
"""A profile that is stated whatever is installed."""

NOT_OF_R4 = {"hl7.fhir.uv.ipa#1.1.0": "ActorDefinition"}


@dataclass(frozen=True)
class Done:
    """The packages as they are published, and what became of them."""

    packages: Mapping[str, Package]
    results: Mapping[str, Installed]


def chosen(folder: Path) -> list[Path]:
    files = [file for file in sorted(folder.glob("*.tgz")) if not file.name.startswith(R5)]
    return files if os.environ.get("GUIDES") == "all" else [file for file in files if file.name.startswith(EVERYDAY)]


async def _installed(service: Service, test_data: Path) -> Done:
    files = [str(file) for file in chosen(test_data / "packages")]
    gathering = Gathering(128 * MIB, None, None)
    await gathering.find(files)
    found = await gathering.complete()
    results = {package.key: await service.packages.install(package) for package in found.packages}
    assert len(results) == len(files)
    return Done({package.key: package for package in found.packages}, results)


async def test_published_guides_are_installed_beside_each_other_and_served(service: Service, test_data: Path) -> None:
    """One test, for to install them takes its time: whoever shares tests out would do it twice."""
    done = await _installed(service, test_data)
    await _all_definitions_that_r4_has_a_type_for_are_served(service, done)
    await _each_version_of_a_profile_is_read_as_it_was_published(service, done)
    _search_parameters_are_added_but_for_those_that_cannot_be(done)
    _nothing_is_left_out_for_its_defects(done)
    await _all_profiles_are_known_and_stated(service, done)


async def asked(service: Service, *path: str, **query: str) -> Json:
    answer = await service.dispatch(FhirRequest("GET", path, BASE, tuple(query.items())))
    assert answer.status == 200, answer.resource
    found: Json = json.decode(answer.body) if answer.body else answer.resource
    return found


async def _all_definitions_that_r4_has_a_type_for_are_served(service: Service, done: Done) -> None:
    total: Counter[str] = Counter()
    for key, package in done.packages.items():
        entries = [entry for found in package.definitions.values() for entry in found]
        published = {
            (one.resource_type, one.url, one.version) for one in entries if one.resource_type != NOT_OF_R4.get(key)
        }
        counts = Counter(kind for kind, _, _ in published)
        assert done.results[key].resources == counts, key
        total += counts
    for kind, number in total.items():
        assert (await asked(service, kind, _summary="count"))["total"] == number, kind


async def _each_version_of_a_profile_is_read_as_it_was_published(service: Service, done: Done) -> None:
    for package in done.packages.values():
        entry = max(package.of_type("StructureDefinition"), key=lambda one: one.kind == "resource")
        found = await asked(service, "StructureDefinition", url=entry.url, version=entry.version)
        (served,) = [one["resource"] for one in found["entry"]]
        published = entry.read()
        assert served["id"].startswith(entry.id)
        for resource in (served, published):
            resource["meta"] = {**resource.get("meta", {}), "versionId": "", "lastUpdated": ""}
            for name in ("id", "version"):
                resource.pop(name, None)
        assert served == published


def _search_parameters_are_added_but_for_those_that_cannot_be(done: Done) -> None:
    for key, result in done.results.items():
        reasons = {one.code: one.reason for one in result.parameters if one.fate == "impossible"}
        expected = IMPOSSIBLE.get(key, {})
        assert reasons.keys() == expected.keys(), key
        assert [code for code, part in expected.items() if part not in reasons[code]] == [], key
    first, second = [done.results[f"hl7.fhir.us.core#{version}"].parameters for version in ("3.1.1", "6.1.0")]
    added = [{one.code for one in each if one.fate == "building"} for each in (first, second)]
    assert added == [
        {"race", "ethnicity"},
        {"asserted-date", "description", "discharge-disposition", "gender-identity", "role"},
    ]


def _nothing_is_left_out_for_its_defects(done: Done) -> None:
    for key, result in done.results.items():
        left_out = [note for note in result.notes if " is not served" in note or "left out" in note]
        assert left_out == [], key
        assert any("no type of definitions" in note for note in result.notes) is (key in NOT_OF_R4)


async def _all_profiles_are_known_and_stated(service: Service, done: Done) -> None:
    said = await asked(service, "metadata")
    supported = {url for row in said["rest"][0]["resource"] for url in row.get("supportedProfile", ())}
    profiles = [
        f"{entry.url}|{entry.version}"
        for package in done.packages.values()
        for entry in package.of_type("StructureDefinition")
        if entry.kind == "resource" and entry.derivation == "constraint"
    ]
    assert supported - {ALWAYS} == {*profiles} - {ALWAYS}
    assert ALWAYS in supported
    assert [one for one in profiles if not service.shelf.checks.knows(one)] == []
    assert len(said["implementationGuide"]) == len(done.packages)
