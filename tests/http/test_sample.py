"""The sample app is there on a developer's machine, and nowhere else."""

import httpx
import pytest

from fhir_server.http.app import create_app
from fhir_server.main import running
from fhir_server.settings import Auth, Server, Settings


async def status(settings: Settings, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(settings, running))  # pages need no service, and none is started
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path)


@pytest.mark.parametrize("name", ["", "launch.html", "index.html", "app.js", "app.css"])
async def test_on_this_machine_it_is_served_and_runs_no_foreign_script(name: str) -> None:
    shown = await status(Settings(auth=Auth(mode="smart")), f"/sample-app/{name}")
    assert shown.status_code == 200
    assert "script-src 'self';" in shown.headers["content-security-policy"]
    assert shown.headers["referrer-policy"] == "no-referrer"
    assert shown.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(auth=Auth(mode="open")),
        Settings(auth=Auth(mode="smart"), server=Server(base_url="https://fhir.example/fhir")),
    ],
    ids=["open mode", "a public name"],
)
async def test_elsewhere_it_is_not(settings: Settings) -> None:
    assert (await status(settings, "/sample-app/launch.html")).status_code == 404
