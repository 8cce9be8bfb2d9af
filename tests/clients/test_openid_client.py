"""npm `openid-client`, a certified OpenID Connect client for Node.js, as the server of an app."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fhir_server.model import json
from smart_auth.administration import Registration
from tests.clients.conftest import Clinic, Meet
from tests.clients.packages import HERE

SCOPE = "openid fhirUser profile launch/patient patient/Patient.rs offline_access"


@asynccontextmanager
async def node(packages: Path) -> AsyncIterator[Process]:
    """A process of Node.js that runs the script."""
    assert packages.parent == HERE, "Node.js looks for packages beside the script"
    process = await asyncio.create_subprocess_exec(
        "node", str(HERE / "openid.mjs"), stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
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


async def test_an_app_with_a_server_signs_in_refreshes_introspects_revokes_and_signs_out(
    clinic: Clinic, meet: Meet, packages: Path
) -> None:
    redirect = f"{clinic.app}/callback"
    secret = await clinic.register(Registration("confidential", "Portal", (redirect,), id="portal"))
    person = await meet("ann.portal", "Patient/ann")
    async with node(packages) as app:
        settings = {"issuer": f"{clinic.url}/auth", "client_id": "portal", "client_secret": secret}
        url = (await ask(app, {**settings, "redirect_uri": redirect, "scope": SCOPE, "aud": clinic.base}))["url"]
        await person.page.goto(url)
        await person.sign_in()
        await person.allow()
        found = await ask(app, {"url": await person.back_at(redirect)})

    claims = found["claims"]
    assert claims["iss"] == f"{clinic.url}/auth"
    assert claims["aud"] == "portal"
    assert claims["fhirUser"] == f"{clinic.base}/Patient/ann"
    assert found["userinfo"]["sub"] == claims["sub"]
    assert found["userinfo"]["fhirUser"] == claims["fhirUser"]
    assert found["read"]["name"][0]["given"] == ["Ann"]

    assert found["second"]["refresh_token"] != found["first"]["refresh_token"]
    assert found["second"]["patient"] == "ann"
    assert found["active"]["active"] is True
    assert found["active"]["client_id"] == "portal"
    assert found["active"]["patient"] == "ann"
    assert found["revoked"] == {"active": False}
    assert found["refused"] == "invalid_grant"
    assert found["refusedCode"] == "invalid_grant"
    assert found["refusedUser"] == "invalid_token"

    await person.page.goto(found["out"])
    await person.page.wait_for_url(f"{redirect}?state=bye")
    await person.page.goto(f"{clinic.url}/auth/apps")
    assert await person.page.locator("input[name=password]").count() == 1
