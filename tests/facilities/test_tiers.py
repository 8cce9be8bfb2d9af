"""HI-1: a single clinic, a network and a sovereign are the same server; only what is configured in the record differs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from fhir_server.facilities.agreement import Agreement
from fhir_server.facilities.nodes import Affiliation
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.model.request import FhirRequest
from fhir_server.repository.membership import accept, invite
from fhir_server.settings import Auth, Mongo, Server, Settings
from tests.repository.test_hierarchy import organization, put

Json = dict[str, Any]
BASE = "http://x/fhir"

TIERS: dict[str, Sequence[Json]] = {
    "single": [organization("root", level="facility")],
    "network": [organization("net", level="network"), organization("a", level="facility"), organization("b", level="facility")],
    "sovereign": [
        organization("land", level="sovereign"),
        organization("east", "land", "region"),
        organization("net", "east", "network"),
        organization("a", "east", "facility"),
        organization("b", "east", "facility"),
        organization("a-ward", "a", "department"),
    ],
}  # fmt: skip


async def test_HI_1_every_tier_states_and_stores_the_same(data_dir: Path, mongo_url: SecretStr) -> None:
    stated, stored = {}, {}
    for tier, organizations in TIERS.items():
        settings = Settings(
            data_dir=data_dir,
            auth=Auth(mode="smart", name=tier.title()),
            server=Server(base_url=f"https://{tier}.example/fhir"),
            mongo=Mongo(database=f"tier_{tier}_{uuid4().hex[:8]}", cache_gb=0.25),
        )
        async with running(settings) as service:
            for one in organizations:
                await put(service, one)
            if tier != "single":
                await _join(service, "a", "b")
            for kind in ("Patient", "Encounter"):
                await service.repository.create(kind, f"{kind.lower()}-1", RESOURCES[kind])
            assert (await service.repository.house.now()).is_single == (tier == "single")
            stated[tier] = await _statement(service, settings.service_base)
            stored[tier] = await _schema(service)
    for one in (stated, stored):
        assert one["single"] == one["network"] == one["sovereign"]
    assert len(stated["single"]["rest"][0]["resource"]) > 100
    assert {"Patient", "Encounter", "Organization"} <= stored["single"].keys()


RESOURCES: dict[str, Json] = {
    "Patient": {"resourceType": "Patient"},
    "Encounter": {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}},
}


async def _join(service: Service, *members: str) -> None:
    for one in members:
        wanted = Affiliation("", "net", one, agreement=Agreement("relationship"))
        invited = await invite(service.repository, wanted)
        assert b'"active":true' in (await accept(service.repository, invited.affiliation.id)).body


async def _statement(service: Service, base: str) -> Json:
    """Return the CapabilityStatement without what names the deployment."""
    answer = await service.dispatch(FhirRequest("GET", ("metadata",), base))
    place = base.removesuffix("/fhir")
    text = answer.body.decode().replace(base, BASE).replace(place, "http://x")
    found: Json = json.decode(text.encode())
    for name in ("name", "url", "date", "implementation", "title"):
        found.pop(name, None)
    return found


async def _schema(service: Service) -> dict[str, list[Json]]:
    """Return the indexes of every collection of resources that all tiers have."""
    database = service.store._database
    found = {}
    for name in await service.store.types():
        if name not in {"OrganizationAffiliation", "Task"}:  # a single clinic has no memberships
            found[name] = [dict(index) for index in await (await database[name].list_indexes()).to_list()]
    return found
