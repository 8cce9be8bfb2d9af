"""A real server with its worker, a record of two facilities, and a backend service that is registered there."""

import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.facilities.nodes import ORG_LEVEL
from fhir_server.main import Service, running
from fhir_server.model import json
from fhir_server.settings import Auth, Mongo, Server, Settings
from smart_auth import administration
from smart_auth.administration import Registration
from tests.conftest import dropped
from tests.processes import Nursery

Json = dict[str, Any]

CLIENT = "warehouse"
SCOPE = "system/*.rs"
PATIENTS = 6
NEVER = "2020-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Registry:
    """A server, and the service that exports from it.

    Attributes:
        base: The FHIR base.
        service: The same record in this process.
        key: The private key of the backend service.
    """

    base: str
    service: Service
    key: ECKey

    async def put(self, facility: str, resource: Json) -> None:
        """Store a resource in the custody of a facility."""
        repository = replace(self.service.repository, scope=Unrestricted("test", facility))
        await repository.update(resource["resourceType"], resource["id"], resource)

    async def token(self, scope: str = SCOPE, client_id: str = CLIENT) -> str:
        """Return an access token of a registered service."""
        async with httpx.AsyncClient() as http:
            endpoint = (await http.get(f"{self.base}/.well-known/smart-configuration")).json()["token_endpoint"]
            claims = {"iss": client_id, "sub": client_id, "aud": endpoint, "exp": int(time.time()) + 240}
            header = {"typ": "JWT", "alg": "ES384", "kid": self.key.kid}
            proof = jwt.encode(header, {**claims, "jti": uuid4().hex}, self.key, algorithms=["ES384"])
            form = {
                "grant_type": "client_credentials",
                "scope": scope,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": proof,
            }
            answer = await http.post(endpoint, data=form)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["access_token"])

    async def register(self, client_id: str, scope: str = SCOPE) -> None:
        """Let in a service with the same key."""
        keys = {"keys": [self.key.as_dict(private=False)]}
        wanted = Registration("backend", client_id.title(), scope=scope, jwks=keys, id=client_id)
        await administration.add_client(self.service.realm, wanted)


@pytest.fixture(scope="session")
def served(
    data_dir: Path, mongo_url: SecretStr, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """URL and database of `fhir-server serve --auth smart`."""
    database = f"bulk_{uuid4().hex[:12]}"
    log = tmp_path_factory.mktemp("registry") / "stderr.log"
    environment = {
        "FHIR_DATA_DIR": str(data_dir),
        "FHIR_MONGO__DATABASE": database,
        "FHIR_MONGO__CACHE_GB": "0.25",
        "FHIR_BULK__EXPORTS": "100",
    }
    with (
        log.open("wb") as errors,
        nursery.serving("--auth", "smart", environment=os.environ | environment, stderr=errors) as (server, said),
    ):
        yield said["url"], database
        server.send(signal.SIGTERM)
        assert server.wait(30) == 0, log.read_text()[-4000:]
    assert "Traceback" not in log.read_text(), log.read_text()[-8000:]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def registry(data_dir: Path, served: tuple[str, str]) -> AsyncIterator[Registry]:
    """The server with its record."""
    url, database = served
    settings = Settings(
        data_dir=data_dir,
        auth=Auth(mode="smart"),
        server=Server(base_url=f"{url}/fhir"),
        mongo=Mongo(database=database, cache_gb=0.25),
    )
    async with running(settings) as service:
        key = ECKey.generate_key("P-384", {"kid": "warehouse", "alg": "ES384", "use": "sig"})
        registry = Registry(f"{url}/fhir", service, key)
        await registry.register(CLIENT)
        for name, parent, level in (("land", "", "region"), ("east", "land", "facility"), ("west", "land", "facility")):
            await registry.put("root", _organization(name, parent, level))
        await registry.put("root", {"resourceType": "Practitioner", "id": "grey", "name": [{"family": "Grey"}]})
        for number in range(PATIENTS):
            facility = ("east", "west")[number % 2]
            for one in record(f"p{number}"):
                await registry.put(facility, one)
        east = [{"entity": {"reference": f"Patient/p{number}"}} for number in (0, 2)]
        await registry.put(
            "east", {"resourceType": "Group", "id": "two", "type": "person", "actual": True, "member": east}
        )
        yield registry
    await dropped(data_dir, database)


def record(patient: str) -> list[Json]:
    """Return the resources of a patient."""
    subject = {"reference": f"Patient/{patient}"}
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}], "text": "Größe"}
    category = [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}
    ]
    observations = [
        {
            "resourceType": "Observation",
            "id": f"{patient}-o{number}",
            "status": "final",
            "category": category,
            "code": code,
            "subject": subject,
            "performer": [{"reference": "Practitioner/grey"}],
            "effectiveDateTime": "2026-01-01",
            "valueInteger": number,
        }
        for number in range(3)
    ]
    condition = {"resourceType": "Condition", "id": f"{patient}-c", "subject": subject, "code": {"text": "Asthma"}}
    return [{"resourceType": "Patient", "id": patient, "active": True}, *observations, condition]


def _organization(name: str, parent: str, level: str) -> Json:
    part = {"partOf": {"reference": f"Organization/{parent}"}} if parent else {}
    kind = {"coding": [{"system": ORG_LEVEL, "code": level}]}
    return {"resourceType": "Organization", "id": name, "active": True, "name": name, "type": [kind], **part}


def lines(path: Path) -> list[Json]:
    """Return the resources of an NDJSON file."""
    return [json.decode(line) for line in path.read_bytes().splitlines()]
