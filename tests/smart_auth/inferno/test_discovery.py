"""What Inferno asks of discovery (SMART App Launch STU 2.2 kit 1.1 and 2.1; (g)(10) 1.8, 3.7)."""

from urllib.parse import urlsplit

import pytest

from tests.smart_auth.house import BASE
from tests.smart_auth.inferno.site import KIT, Site

STANDALONE = [
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "authorize-post",
    "permission-v2",
    "permission-v1",
]
EHR = [
    "launch-ehr",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "permission-offline",
    "permission-user",
    "authorize-post",
    "permission-v2",
    "permission-v1",
]


@pytest.mark.parametrize("accept", ["", "*/*", "application/fhir+xml", "text/html"])
async def test_the_configuration_is_json_without_a_token_whatever_is_accepted(site: Site, accept: str) -> None:
    response = await site.get(".well-known/smart-configuration", **({"Accept": accept} if accept else {}))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["access-control-allow-origin"] in {"*", KIT}


async def test_the_configuration_has_the_required_fields(site: Site) -> None:
    found = (await site.get(".well-known/smart-configuration")).json()
    for name in ("authorization_endpoint", "token_endpoint", "issuer", "jwks_uri"):
        assert isinstance(found[name], str)
        assert found[name]
    assert {"authorization_code", "client_credentials"} <= set(found["grant_types_supported"])
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert all(isinstance(one, str) for one in found["capabilities"])
    assert {*STANDALONE, *EHR} <= set(found["capabilities"])
    assert {"RS384", "ES384"} <= set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]


async def test_every_url_of_the_configuration_is_absolute_and_answers(site: Site) -> None:
    found = (await site.get(".well-known/smart-configuration")).json()
    urls = {name: value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))}
    assert {"introspection_endpoint", "revocation_endpoint", "management_endpoint", "registration_endpoint"} <= set(
        urls
    )
    for name, url in urls.items():
        assert urlsplit(url).scheme == "https", name
        assert (await site.http.get(urlsplit(url).path)).status_code not in {404, 500}, name


async def test_the_capability_statement_is_read_from_any_origin_and_names_the_same_endpoints(site: Site) -> None:
    response = await site.get("metadata")
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] in {"*", KIT}
    security = response.json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    uris = next(one for one in security["extension"] if one["url"].endswith("StructureDefinition/oauth-uris"))
    named = {one["url"]: one["valueUri"] for one in uris["extension"]}
    found = (await site.get(".well-known/smart-configuration")).json()
    assert (named["authorize"], named["token"]) == (found["authorization_endpoint"], found["token_endpoint"])


async def test_the_openid_configuration_belongs_to_the_issuer(site: Site) -> None:
    issuer = (await site.get(".well-known/smart-configuration")).json()["issuer"]
    path = urlsplit(issuer).path
    for place in (f"{path}/.well-known/openid-configuration", f"/.well-known/oauth-authorization-server{path}"):
        response = await site.http.get(place)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        found = response.json()
        assert found["issuer"] == issuer
        assert {"authorization_endpoint", "token_endpoint", "jwks_uri", "subject_types_supported"} <= found.keys()
        assert "RS256" in found["id_token_signing_alg_values_supported"]
        assert found["response_types_supported"] == ["code"]


async def test_the_keys_are_bare_rsa_keys(site: Site) -> None:
    found = (await site.http.get("/auth/jwks")).json()
    assert len(found["keys"]) >= 1
    for key in found["keys"]:
        assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}
        assert key["kty"] == "RSA"


async def test_the_base_is_the_aud_and_the_iss_of_a_launch(site: Site) -> None:
    app = await site.app()
    assert (await site.launched(app, patient="ann"))["iss"] == BASE
