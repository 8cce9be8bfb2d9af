"""A backend service, as one is written with httpx and a JOSE library: it signs an assertion, gets a token, reads and asks about it."""

import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from smart_auth.administration import Registration
from tests.clients.conftest import Clinic

KEYS: dict[str, Any] = {
    "ES384": ECKey.generate_key("P-384", {"kid": "elliptic", "alg": "ES384", "use": "sig"}),
    "RS384": RSAKey.generate_key(2048, {"kid": "plain", "alg": "RS384", "use": "sig"}),
}


class Backend:
    """A service that has read the documentation.

    Args:
        http: How it calls.
        base: The FHIR base.
        client_id: Its client_id.
        algorithm: With what it signs.
    """

    def __init__(self, http: httpx.AsyncClient, base: str, client_id: str, algorithm: str) -> None:
        self.http = http
        self.base = base
        self.client_id = client_id
        self.algorithm = algorithm

    async def found(self) -> dict[str, Any]:
        """Return what the server says of itself."""
        document: dict[str, Any] = (await self.http.get(f"{self.base}/.well-known/smart-configuration")).json()
        return document

    def proof(self, endpoint: str) -> dict[str, str]:
        """Return the parameters with which the service proves who it is."""
        key = KEYS[self.algorithm]
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint,
            "exp": int(time.time()) + 240,
            "jti": uuid4().hex,
        }
        header = {"typ": "JWT", "alg": self.algorithm, "kid": key.kid}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(header, claims, key, algorithms=[self.algorithm]),
        }


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_a_backend_service_gets_a_token_reads_and_introspects(clinic: Clinic, algorithm: str) -> None:
    keys = {"keys": [KEYS[algorithm].as_dict(private=False)]}
    client_id = f"nightly-{algorithm.lower()}"
    scope = "system/Patient.rs system/Observation.rs"
    await clinic.register(Registration("backend", "Nightly report", scope=scope, jwks=keys, id=client_id))
    async with httpx.AsyncClient() as http:
        backend = Backend(http, clinic.base, client_id, algorithm)
        document = await backend.found()
        assert algorithm in document["token_endpoint_auth_signing_alg_values_supported"]
        endpoint = document["token_endpoint"]
        form = {"grant_type": "client_credentials", "scope": "system/Patient.rs", **backend.proof(endpoint)}
        token = (await http.post(endpoint, data=form)).raise_for_status().json()
        assert token["token_type"] == "Bearer"
        assert token["scope"] == "system/Patient.rs"
        assert token["expires_in"] <= 300

        shown = {"Authorization": f"Bearer {token['access_token']}"}
        found = await http.get(f"{clinic.base}/Patient", params={"family": "Lee"}, headers=shown)
        assert sorted(one["resource"]["id"] for one in found.json()["entry"]) == ["ann", "bo"]
        refused = await http.get(f"{clinic.base}/Observation", headers=shown)
        assert refused.status_code == 403
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]

        asked = {"token": token["access_token"], **backend.proof(endpoint)}
        told = (await http.post(document["introspection_endpoint"], data=asked)).raise_for_status().json()
        assert told["active"] is True
        assert told["client_id"] == client_id
        assert told["scope"] == "system/Patient.rs"

        again = await http.post(endpoint, data=form)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_client"), "an assertion works once"
