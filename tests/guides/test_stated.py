"""What the capability statement says of installed guides."""

from datetime import UTC, datetime
from typing import Any

from fhir_server.capability.statement import BULK_DATA, statement
from fhir_server.capability.table import OFFERED
from fhir_server.guides.stated import Stated, stated
from fhir_server.main import Service
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.settings import Packages, Settings
from profiles.packages.library import Library
from tests.guides.packages import Publisher

Json = dict[str, Any]
BASE = "http://localhost/fhir"


def requirements(one: Publisher, name: str, **more: Any) -> Json:
    return {
        "resourceType": "CapabilityStatement",
        "id": f"{one.name}-{name}",
        "url": f"{one.canonical}/CapabilityStatement/{name}",
        "status": "active",
        "kind": "requirements",
        "description": "What is asked for.",
        "date": "2026-11-21",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        **more,
    }


async def test_profiles_guides_and_requirements_are_in_the_statement_of_the_next_request(service: Service) -> None:
    one = Publisher("told")
    extension = one.profile(id="e", url=f"{one.canonical}/e", type="Extension", kind="complex-type")
    logical = one.profile(id="l", url=f"{one.canonical}/l", kind="logical", derivation="specialization")
    made = one.package(
        "1.0.0",
        *(one.profile(), extension, logical, one.guide()),
        requirements(one, "server", rest=[{"mode": "server"}]),
        requirements(one, "client", rest=[{"mode": "client"}]),
        requirements(one, "instance", kind="instance", rest=[{"mode": "server"}], software={"name": "x"}),
    )
    await service.packages.install(made)
    answer = await service.dispatch(FhirRequest("GET", ("metadata",), BASE))
    said = json.decode(answer.body)
    (rest,) = said["rest"]
    rows = {row["type"]: row for row in rest["resource"]}
    assert f"{one.profile_url}|1.0.0" in rows["Patient"]["supportedProfile"]
    assert "supportedProfile" not in rows["Observation"]
    assert [url for url in said["implementationGuide"] if "told" in url] == [
        "http://told.example/fhir/ImplementationGuide/told|1.0.0"
    ]
    assert [url for url in said["instantiates"] if "told" in url] == [
        "http://told.example/fhir/CapabilityStatement/server|1.0.0"
    ]
    checked = await service.dispatch(FhirRequest("POST", ("$validate",), BASE, body=answer.body))
    assert [one for one in json.decode(checked.body)["issue"] if one["severity"] in {"error", "fatal"}] == []


async def test_several_versions_are_listed_each_and_nothing_where_the_setting_says_so(service: Service) -> None:
    one = Publisher("several")
    said = stated(Library([one.whole("1.0.0"), one.whole("2.0.0")]))
    assert said == Stated(
        {"Patient": (f"{one.profile_url}|2.0.0", f"{one.profile_url}|1.0.0")},
        tuple(f"{one.canonical}/ImplementationGuide/several|{version}" for version in ("2.0.0", "1.0.0")),
    )
    for packages, there in ((Packages(profiles="listed"), True), (Packages(profiles="off"), False)):
        settings = Settings(packages=packages)
        made = statement(OFFERED, service.definitions, settings, BASE, datetime(2026, 11, 21, tzinfo=UTC), guides=said)
        (patient,) = [row for row in made["rest"][0]["resource"] if row["type"] == "Patient"]
        assert ("supportedProfile" in patient) is there
        assert len(made["implementationGuide"]) == 2
        assert made["instantiates"] == [BULK_DATA], "guides state nothing that is required"
