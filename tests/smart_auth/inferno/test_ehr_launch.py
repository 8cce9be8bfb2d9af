"""What Inferno asks of a launch from an EHR (SMART kit 2.1 to 2.5; (g)(10) 3 and 9.19)."""

import pytest

from tests.smart_auth.house import BASE
from tests.smart_auth.inferno.site import Site, issued, wanted

USER = "launch openid fhirUser offline_access"


@pytest.mark.parametrize("access", ["read", "rs"])
@pytest.mark.parametrize("kind", ["public", "confidential", "asymmetric"])
async def test_a_practitioner_launches_an_app_with_patient_and_visit(site: Site, kind: str, access: str) -> None:
    app = await site.app(kind)
    opened = await site.launched(app, patient="ann", encounter="visit")
    assert opened["iss"] == BASE
    scope = wanted("user", access, USER)
    body = await site.launch_of(app, scope, login="doc", method="POST", launch=opened["launch"])
    assert set(body["scope"].split()) == set(scope.split())
    assert (body["patient"], body["encounter"]) == ("ann", "visit")
    assert body["need_patient_banner"] is False
    style = await site.http.get(body["smart_style_url"])
    assert style.status_code == 200
    assert isinstance(style.json(), dict)
    for place in ("Patient/ann", "Encounter/visit"):
        assert (await site.get(place, body["access_token"])).status_code == 200
        assert (await site.get(place)).status_code == 401
    claims = await site.claims(body["id_token"], app.client.id)
    assert claims["fhirUser"] == f"{BASE}/Practitioner/grey"
    assert (await site.get("Practitioner/grey", body["access_token"])).status_code == 200
    again = issued(await site.refresh(app, body["refresh_token"]))
    assert (again["patient"], again["encounter"]) == ("ann", "visit")
    assert (await site.get("Patient/ann", again["access_token"])).status_code == 200


async def test_an_ehr_launch_with_patient_scopes(site: Site) -> None:
    app = await site.app("confidential")
    opened = await site.launched(app, patient="ann")
    scope = wanted("patient", "rs", USER)
    body = await site.launch_of(app, scope, login="doc", launch=opened["launch"])
    assert body["patient"] == "ann"
    assert (await site.get("Patient/ann", body["access_token"])).status_code == 200
    assert (await site.get("Patient/bo", body["access_token"])).status_code == 404


async def test_the_context_has_objects_as_fhir_context(site: Site) -> None:
    app = await site.app()
    context = (
        {"reference": "Observation/ann-laboratory"},
        {"canonical": "https://a.example/q|1", "type": "Questionnaire"},
    )
    opened = await site.launched(app, patient="ann", fhir_context=context, intent="review")
    body = await site.launch_of(app, "launch patient/*.rs", login="doc", launch=opened["launch"])
    assert body["fhirContext"] == list(context)
    assert body["intent"] == "review"


async def test_a_launch_parameter_that_was_not_made_here_gets_no_code(site: Site) -> None:
    form = site.asking(await site.app(), "launch patient/*.rs", launch="made-up")
    async with site.browser() as client:
        page = await site.asked(client, form)
    assert "error=invalid_request" in page.headers["location"]
    assert "code=" not in page.headers["location"]
