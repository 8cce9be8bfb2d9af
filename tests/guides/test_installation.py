"""Packages are installed whole or not at all, several versions side by side, and leave nothing behind."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from fhir_server.guides import Parameter
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.errors import Conflict, NotFound
from fhir_server.model.request import FhirRequest
from fhir_server.repository import Repository
from fhir_server.settings import Server, Settings
from profiles.own.package import BASE as CANONICAL
from profiles.own.package import package
from profiles.packages.package import read as read_package
from tests.conftest import dropped
from tests.guides.packages import Publisher
from tests.profiles.packages.test_package import packed
from tests.serving import own

Json = dict[str, Any]
BASE = "http://localhost/fhir"


async def asked(service: Service, *path: str, **query: str) -> tuple[int, Json]:
    answer = await service.dispatch(FhirRequest("GET", path, BASE, tuple(query.items())))
    return answer.status, json.decode(answer.body) if answer.body else answer.resource


async def ids(service: Service, resource_type: str, **query: str) -> list[str]:
    status, found = await asked(service, resource_type, **query, _sort="_id")
    assert status == 200, found
    return [entry["resource"]["id"] for entry in found.get("entry", ())]


async def states(service: Service) -> dict[str, str]:
    return {row.key: row.state for row in await service.packages.rows()}


async def test_versions_stand_side_by_side_and_are_found_by_url_version_and_name(service: Service) -> None:
    one = Publisher("beside")
    first, second = await service.packages.install(one.whole()), await service.packages.install(one.whole("2.0.0"))
    assert not first.was_there
    assert first.resources == {"ImplementationGuide": 1, "SearchParameter": 1, "StructureDefinition": 1}
    assert first.resources == second.resources
    both, kind = ["beside-patient", "beside-patient-2.0.0"], "StructureDefinition"
    assert await ids(service, kind, url=one.profile_url) == both
    assert await ids(service, kind, url=one.profile_url, version="2.0.0") == both[1:]
    assert await ids(service, kind, url=f"{one.profile_url}|1.0.0") == both[:1]
    assert await ids(service, kind, name="PatientBeside") == both
    status, read = await asked(service, kind, "beside-patient-2.0.0")
    assert status == 200
    del read["meta"]
    assert read == {**one.profile("2.0.0"), "id": "beside-patient-2.0.0"}


async def test_references_of_a_guide_lead_to_its_own_version_or_to_the_publisher(service: Service) -> None:
    one = Publisher("leads")
    for version in ("1.0.0", "2.0.0"):
        await service.packages.install(one.whole(version))
    _, read = await asked(service, "ImplementationGuide", "leads-2.0.0")
    assert [row["reference"]["reference"] for row in read["definition"]["resource"]] == [
        "StructureDefinition/leads-patient-2.0.0",
        f"{one.canonical}/Patient/an-example",
        f"{one.canonical}/ValueSet/an-example",
    ]


async def test_installing_again_changes_nothing_and_another_content_of_the_version_is_refused(service: Service) -> None:
    one = Publisher("again")
    await service.packages.install(one.whole())
    version = service.shelf.version
    assert (await service.packages.install(one.whole())).was_there
    assert service.shelf.version == version
    _, read = await asked(service, "StructureDefinition", "again-patient")
    assert read["meta"]["versionId"] == "1"
    with pytest.raises(Conflict, match=r"with other content.*package remove again@1\.0\.0"):
        await service.packages.install(one.package("1.0.0", one.profile(title="Another")))


async def test_a_parameter_of_two_versions_is_added_once_and_stays_with_the_last_of_them(service: Service) -> None:
    one = Publisher("shared")
    url, code = one.parameter()["url"], "nick-shared"
    first = await service.packages.install(one.whole())
    second = await service.packages.install(one.whole("2.0.0"))
    assert first.parameters == [Parameter(url, code, "building")]
    assert second.parameters == [Parameter(url, code, "same")]
    assert (await service.packages.remove("shared", "1.0.0")).key == "shared#1.0.0"
    assert {"shared#1.0.0", "shared#2.0.0"} & {*service.shelf.library.packages} == {"shared#2.0.0"}
    assert (await asked(service, "StructureDefinition", "shared-patient"))[0] == 410
    assert await ids(service, "SearchParameter", code=code) == ["shared-nick-2.0.0"]
    told = await service.packages.told("shared#2.0.0", was_there=True)
    assert told.parameters == [Parameter(url, code, "building")]
    await service.packages.install(one.whole())
    assert await ids(service, "StructureDefinition", url=one.profile_url) == ["shared-patient", "shared-patient-2.0.0"]


async def test_what_is_installed_is_in_the_audit_trail_and_has_a_history(service: Service) -> None:
    await service.packages.install(Publisher("trailed").whole())
    status, trail = await asked(service, "AuditEvent", entity="StructureDefinition/trailed-patient")
    assert status == 200, trail
    assert trail["entry"][0]["resource"]["agent"]
    status, history = await asked(service, "StructureDefinition", "trailed-patient", "_history")
    assert (status, len(history["entry"])) == (200, 1)


async def test_what_another_guide_needs_stays_unless_it_is_forced(service: Service) -> None:
    await service.packages.install(Publisher("needed").whole())
    user = Publisher("needing").package("1.0.0", needed="1.0.x")
    assert (await service.packages.install(user)).missing == []
    with pytest.raises(Conflict, match=r"needing#1\.0\.0 depends on needed#1\.0\.0"):
        await service.packages.remove("needed", "1.0.0")
    await service.packages.remove("needed", "1.0.0", force=True)
    (lacking,) = (await service.packages.told("needing#1.0.0", was_there=True)).missing
    assert (lacking.key, lacking.instead) == ("needed#1.0.x", "")
    await service.packages.remove("needing")
    with pytest.raises(NotFound, match="The package needing is not there"):
        await service.packages.remove("needing")


async def test_several_versions_are_not_removed_by_one_name(service: Service) -> None:
    one = Publisher("several")
    for version in ("1.10.0", "1.9.0"):
        await service.packages.install(one.package(version, one.profile(version)))
    with pytest.raises(Conflict, match=r"Say which one: several@1\.9\.0, several@1\.10\.0\."):
        await service.packages.remove("several")


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_an_installation_that_is_cut_off_does_not_count_and_is_taken_up(
    service: Service, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Cut off after each transaction but the last: no process works by it, and the same command makes it whole."""
    one = Publisher(f"cut{written}")
    cut = one.package("1.0.0", one.profile(), one.guide())
    monkeypatch.setattr("fhir_server.guides.installation.MOST", 1)
    whole_unit, units = Repository.exclusively, 0

    async def dies(self: Repository, *given: Any) -> Any:
        nonlocal units
        units += 1
        if units > written + 1:
            raise ConnectionAbortedError
        return await whole_unit(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Repository, "exclusively", dies)
        with pytest.raises(ConnectionAbortedError):
            await service.packages.install(cut)
    assert (await states(service))[cut.key] == "installing"
    await service.shelf.refresh()
    assert cut.key not in service.shelf.library.packages
    kinds = ("ImplementationGuide", "StructureDefinition")
    stored = [each for kind in kinds for each in await ids(service, kind, version="1.0.0")]
    assert sum(each.startswith(one.name) for each in stored) == written
    done = await service.packages.install(cut)
    assert (done.was_there, sum(done.resources.values())) == (False, 2)
    assert cut.key in service.shelf.library.packages
    _, read = await asked(service, "StructureDefinition", f"{one.name}-patient")
    assert read["meta"]["versionId"] == "1"


async def test_a_removal_that_is_cut_off_is_taken_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Publisher("leaving")
    await service.packages.install(one.whole())
    whole_unit, units = Repository.exclusively, 0

    async def dies(self: Repository, *given: Any) -> Any:
        nonlocal units
        units += 1
        if units == 2:
            raise ConnectionAbortedError
        return await whole_unit(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Repository, "exclusively", dies)
        with pytest.raises(ConnectionAbortedError):
            await service.packages.remove("leaving")
    await service.shelf.refresh()
    assert "leaving#1.0.0" not in service.shelf.library.packages
    assert (await states(service))["leaving#1.0.0"] == "removing"
    await service.packages.remove("leaving")
    assert "leaving#1.0.0" not in await states(service)
    assert await ids(service, "StructureDefinition", url=one.profile_url) == []


async def test_ids_are_of_the_publisher_where_they_are_free_and_never_too_long(service: Service) -> None:
    one = Publisher("ids")
    body = json.encode({**one.profile(), "id": "taken", "url": "http://somebody.example/taken"})
    answer = await service.dispatch(FhirRequest("PUT", ("StructureDefinition", "taken"), BASE, body=body))
    assert answer.status == 201, answer.body
    long, version = "x" * 64, "3.0.0-ballot"
    made = one.package(
        version,
        one.profile(version, id="taken", url="http://ids.example/taken"),
        one.profile(version, id=long, url="http://ids.example/long"),
        one.profile("3.0.1", id=long, url="http://ids.example/long"),
        one.profile("1", id="not_an_id", url="http://ids.example/odd"),
    )
    await service.packages.install(made)
    assert await ids(service, "StructureDefinition", url="http://ids.example/taken") == ["taken-3.0.0-ballot"]
    both = await ids(service, "StructureDefinition", url="http://ids.example/long")
    assert long in both
    assert sorted(map(len, both)) == [64, 64]
    assert await ids(service, "StructureDefinition", url="http://ids.example/odd") == ["not-an-id"]
    assert (await asked(service, "StructureDefinition", "taken"))[1]["url"] == "http://somebody.example/taken"


async def test_small_defects_of_a_publisher_are_told_and_pass_and_what_has_no_form_is_left_out(
    service: Service,
) -> None:
    one = Publisher("defects")
    url = "http://defects.example"
    script = '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'
    made = one.package(
        "1.0.0",
        one.profile(id="small", url=f"{url}/small", status="actve", date="yesterday"),
        one.profile(id="formless", url=f"{url}/formless", contact={"name": "x"}, odd=True),
        one.profile(id="script", url=f"{url}/script", text={"status": "generated", "div": script}),
        {"resourceType": "ActorDefinition", "id": "actor", "url": f"{url}/actor"},
        {"resourceType": "ValueSet", "id": "an-example", "url": f"{url}/v", "status": "active"},
        {
            "resourceType": "NamingSystem",
            "id": "system",
            "name": "S",
            "status": "draft",
            "kind": "root",
            "date": "2026",
            "uniqueId": [{"type": "uri", "value": f"{url}/system"}],
        },
        one.guide(),
        one.parameter(id="mean", code="gender", url=f"{url}/p1"),
        one.parameter(id="draft", code="later", status="draft", url=f"{url}/p2"),
    )
    done = await service.packages.install(made)
    assert await ids(service, "StructureDefinition", url=f"{url}/small") == ["small"]
    assert await ids(service, "StructureDefinition", url=f"{url}/formless") == []
    assert "text" not in (await asked(service, "StructureDefinition", "script"))[1]
    assert await ids(service, "ValueSet", url=f"{url}/v") == []  # the guide says that it is an example
    assert await ids(service, "NamingSystem", value=f"{url}/system") == ["system"]
    said = "\n".join(done.notes)
    assert "package/0.json is served as published, although it is not valid. StructureDefinition.status" in said
    assert "package/1.json is not served. " in said
    assert "package/2.json: its narrative is left out. " in said
    assert "ActorDefinition is no type of definitions in FHIR R4" in said
    fates = {each.code: each for each in done.parameters}
    assert fates["gender"].fate == fates["later"].fate == "impossible"
    assert "Patient has a search parameter 'gender' already" in fates["gender"].reason
    assert fates["later"].reason == "Its status is 'draft', and only what is 'active' is added."
    # All of them are known to the checks.
    assert service.shelf.checks.knows(f"{url}/formless")


async def test_the_core_package_needs_no_installation(service: Service) -> None:
    with pytest.raises(Conflict, match="part of this server"):
        await service.packages.install(Publisher("hl7.fhir.r4.core").package("4.0.1"))


async def test_the_servers_own_definitions_are_served_as_they_are(service: Service) -> None:
    done = await service.packages.install(package())
    assert done.notes == ()
    assert sum(done.resources.values()) == len(package().definitions)
    url = f"{CANONICAL}/CodeSystem/org-level"
    assert await ids(service, "CodeSystem", url=url) == ["org-level"]
    await service.packages.remove("aquifer")
    assert await ids(service, "CodeSystem", url=url) == []
    assert service.shelf.checks.knows(f"{CANONICAL}/StructureDefinition/aquifer-patient")


async def test_two_processes_that_install_at_once_do_not_get_in_each_others_way(
    service: Service, own_settings: Settings
) -> None:
    """The same version twice and another one, all at once: each is whole, and no id is taken twice."""
    one = Publisher("meeting")
    async with running(own_settings) as another:
        done = await asyncio.gather(
            service.packages.install(one.whole("1.0.0")),
            another.packages.install(one.whole("1.0.0")),
            another.packages.install(one.whole("2.0.0")),
        )
        assert [sum(each.resources.values()) for each in done] == [3, 3, 3]
        await service.shelf.refresh()
        for each in (service, another):
            assert {"meeting#1.0.0", "meeting#2.0.0"} <= {*each.shelf.library.packages}
    for kind, resource in (("StructureDefinition", one.profile()), ("SearchParameter", one.parameter())):
        found = await ids(service, kind, url=resource["url"])
        assert len(found) == len({*found}) == 2, found


async def test_what_cannot_be_stored_is_left_out_and_the_rest_is_installed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Publisher("unstorable")
    deep = b'{"resourceType":"ValueSet","id":"deep","url":"http://deep.example","status":"active","x":%b%b}'
    unknown = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NOSUCH"}]}
    files: dict[str, object] = {
        "package/package.json": {"name": "unstorable", "version": "1.0.0", "fhirVersions": ["4.0.1"]},
        "package/deep.json": deep % (b"[" * 900, b"]" * 900),
        "package/large.json": one.profile(id="large", url="http://large.example", description="x" * 5000),
        "package/meta.json": one.profile(id="labelled", url="http://labelled.example", meta=unknown),
        "package/fine.json": one.profile(),
    }
    monkeypatch.setattr("fhir_server.guides.serving.MOST_BYTES", 4000)
    done = await service.packages.install(read_package(packed(files)))
    assert await ids(service, "StructureDefinition", url=one.profile_url) == ["unstorable-patient"]
    said = "\n".join(done.notes)
    assert "package/deep.json is not served. " in said
    assert "package/large.json is not served. It has 5" in said
    assert sum(done.resources.values()) in {1, 2}  # whether a label is known, the settings say


async def test_a_guide_whose_base_is_that_of_this_server_refers_to_nothing_that_is_not_here(
    data_dir: Path, mongo_url: SecretStr
) -> None:
    one = Publisher("home")
    settings = own(data_dir, "home", server=Server(base_url=one.canonical))
    rows = [
        f"{one.canonical}/Patient/an-example",
        "Patient/an-example",
        f"{one.canonical}/StructureDefinition/home-patient",
    ]
    definition = {"resource": [{"reference": {"reference": row}} for row in rows]}
    async with running(settings) as here:
        await here.packages.install(one.package("1.0.0", one.profile(), one.guide(definition=definition)))
        _, read = await asked(here, "ImplementationGuide", "home")
    await dropped(data_dir, settings.mongo.database)
    assert [row["reference"]["reference"] for row in read["definition"]["resource"]] == [
        "urn:package:home/Patient/an-example",
        "urn:package:home/Patient/an-example",
        "StructureDefinition/home-patient",
    ]
