"""npm `openid-client`, a certified OpenID Connect client for Node.js, as the server of an app."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_server.model import json
from smart_auth.administration import Registration
from tests.clients.conftest import REGISTRATION_TOKEN, Clinic, Meet
from tests.clients.test_backend import KEYS

HERE = Path(__file__).parent

SCOPE = "openid fhirUser profile launch/patient patient/Patient.rs offline_access"


@asynccontextmanager
async def node(packages: Path, script: str) -> AsyncIterator[Process]:
    """A process of Node.js that runs a script."""
    assert packages.parent == HERE, "Node.js looks for packages beside the script"
    process = await asyncio.create_subprocess_exec("node", str(HERE / script), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ask(process: Process, value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the script says to this."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(json.encode(value) + b"\n")
    await process.stdin.drain()
    said = await asyncio.wait_for(process.stdout.readline(), 30)
    assert said, (await process.stderr.read()).decode()
    found: dict[str, Any] = json.decode(said)
    return found


async def test_an_app_registers_itself_signs_in_refreshes_introspects_revokes_and_signs_out(
    clinic: Clinic, meet: Meet, packages: Path
) -> None:
    redirect = f"{clinic.app}/callback"
    person = await meet("ann.portal", "Patient/ann")
    async with node(packages, "openid.mjs") as app:
        settings = {"issuer": f"{clinic.url}/auth", "initialAccessToken": REGISTRATION_TOKEN}
        url = (await ask(app, {**settings, "redirect_uri": redirect, "scope": SCOPE, "aud": clinic.base}))["url"]
        await person.page.goto(url)
        await person.sign_in()
        await person.allow()
        found = await ask(app, {"url": await person.back_at(redirect)})

    claims = found["claims"]
    assert claims["iss"] == f"{clinic.url}/auth"
    assert claims["aud"] == found["client_id"]
    assert claims["fhirUser"] == f"{clinic.base}/Patient/ann"
    assert found["userinfo"]["sub"] == claims["sub"]
    assert found["userinfo"]["fhirUser"] == claims["fhirUser"]
    assert found["read"]["name"][0]["given"] == ["Ann"]

    assert found["second"]["refresh_token"] != found["first"]["refresh_token"]
    assert found["second"]["patient"] == "ann"
    assert found["active"]["active"] is True
    assert found["active"]["client_id"] == found["client_id"]
    assert found["active"]["patient"] == "ann"
    assert found["revoked"] == {"active": False}
    assert found["refused"] == "invalid_grant"
    assert found["refusedCode"] == "invalid_grant"
    assert found["refusedUser"] == "invalid_token"

    await person.page.goto(found["out"])
    await person.page.wait_for_url(f"{redirect}?state=bye")
    await person.page.goto(f"{clinic.url}/auth/apps")
    assert await person.page.locator("input[name=password]").count() == 1


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
async def test_a_service_gets_a_token_reads_introspects_and_revokes(
    clinic: Clinic, packages: Path, algorithm: str
) -> None:
    key = KEYS[algorithm]
    client_id, scope = f"node-{algorithm.lower()}", "system/Patient.rs"
    keys = {"keys": [key.as_dict(private=False)]}
    await clinic.register(Registration("backend", "Service", scope=scope, jwks=keys, id=client_id))
    settings = {"issuer": f"{clinic.url}/auth", "client_id": client_id, "jwk": key.as_dict(private=True)}
    async with node(packages, "openid_backend.mjs") as service:
        asked = json.encode({**settings, "scope": scope, "url": f"{clinic.base}/Patient/bo"})
        said, failed = await asyncio.wait_for(service.communicate(asked), 60)
    assert said, failed.decode()
    found = json.decode(said)
    assert found["token"]["scope"] == scope
    assert found["read"]["birthDate"] == "2016-07-01"
    assert found["active"]["active"] is True
    assert found["active"]["client_id"] == client_id
    assert found["revoked"] == {"active": False}
