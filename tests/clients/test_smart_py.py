"""PyPI `fhirclient`, the SMART client for Python."""

import asyncio
import json
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import pytest

from smart_auth.administration import Registration
from tests.clients.conftest import Clinic, Meet
from tests.conftest import missing

SCOPE = "openid fhirUser launch/patient patient/Patient.rs patient/Observation.rs offline_access"


@pytest.fixture(scope="module")
def fhirclient() -> Any:
    """The library; it is one of the extra `test`."""
    if find_spec("fhirclient") is None:
        missing("the package fhirclient is not there; install the extra 'test'")
    from fhirclient import client

    return client


@pytest.mark.parametrize("kind", ["public", "confidential"])
async def test_an_app_in_python_signs_in_reads_and_refreshes(
    clinic: Clinic, meet: Meet, fhirclient: Any, kind: Any
) -> None:
    from fhirclient.models.observation import Observation
    from fhirclient.models.patient import Patient

    redirect, client_id = f"{clinic.app}/callback", f"python-{kind}"
    secret = await clinic.register(Registration(kind, "Python", (redirect,), id=client_id))
    kept: dict[str, Any] = {}
    settings = {"app_id": client_id, "app_secret": secret or None, "api_base": clinic.base, "redirect_uri": redirect}
    app = fhirclient.FHIRClient({**settings, "scope": SCOPE}, save_func=kept.update)
    url = await asyncio.to_thread(lambda: app.authorize_url)

    person = await meet(f"ann.{kind}", "Patient/ann")
    await person.page.goto(url)
    await person.sign_in()
    await person.allow()
    back = await person.back_at(redirect)

    def use() -> list[str]:
        later = fhirclient.FHIRClient(state=json.loads(json.dumps(kept)), save_func=kept.update)
        later.handle_callback(back)
        assert later.ready
        assert later.patient.name[0].given == ["Ann"]
        token = later.server.auth.access_token
        assert later.reauthorize()
        assert later.server.auth.access_token != token
        assert Patient.read("ann", later.server).birthDate.isostring == "1980-02-28"
        found = Observation.where({"code": "http://loinc.org|29463-7"}).perform_resources_iter(later.server)
        return sorted(one.id for one in found)

    assert await asyncio.to_thread(use) == ["ann-0", "ann-1", "ann-2"]
    assert urlsplit(url).path == "/auth/authorize"
