"""What clients learn before they ask for anything: smart-configuration, OpenID configuration, JWKS (smart.md 1.1)."""

from typing import Any

from smart_auth import brands, keys, language, rotation
from smart_auth.key_sets import SHAPES
from smart_auth.protocol import GRANT_TYPES
from smart_auth.realm import Policy, Realm

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
"""What this server does of SMART App Launch 2.2, 2.1.1.3; nothing stands here that is not served."""

AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
SCOPES = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "patient/*.rs",
    "patient/*.read",
    "user/*.cruds",
    "user/*.rs",
    "user/*.read",
    "system/*.cruds",
    "system/*.rs",
    "system/*.read",
)


def smart_configuration(policy: Policy) -> dict[str, Any]:
    """Return the document at `{base}/.well-known/smart-configuration` (SMART App Launch 2.2, 2.1.1)."""
    shown = {"capabilities": list(CAPABILITIES), "management_endpoint": policy.url("apps")}
    return {**_common(policy), **shown, **brands.announced(policy)}


def openid_configuration(policy: Policy) -> dict[str, Any]:
    """Return the document at `{issuer}/.well-known/openid-configuration` (OIDC Discovery 3, RFC 8414)."""
    return {
        **_common(policy),
        "userinfo_endpoint": policy.url("userinfo"),
        "end_session_endpoint": policy.url("end-session"),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [keys.ALGORITHM],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "auth_time", "at_hash", "fhirUser", "name"],
        "ui_locales_supported": language.tags(),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def oauth_uris(policy: Policy) -> dict[str, str]:
    """Return the endpoints that a CapabilityStatement names (SMART App Launch 1.0, extension `oauth-uris`)."""
    names = {
        "authorize": "authorize",
        "token": "token",
        "manage": "apps",
        "introspect": "introspect",
        "revoke": "revoke",
    }
    if policy.registration != "closed":
        names["register"] = "register"
    return {name: policy.url(endpoint) for name, endpoint in names.items()}


async def key_set(realm: Realm) -> dict[str, Any]:
    """Return the JWKS document."""
    return keys.published(await rotation.ring(realm), realm.clock())


def _common(policy: Policy) -> dict[str, Any]:
    common: dict[str, Any] = {
        "issuer": policy.issuer,
        "jwks_uri": policy.url("jwks"),
        "authorization_endpoint": policy.url("authorize"),
        "token_endpoint": policy.url("token"),
        "introspection_endpoint": policy.url("introspect"),
        "revocation_endpoint": policy.url("revoke"),
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*AUTH_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": sorted(SHAPES),
        "introspection_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": [*AUTH_METHODS, "none"],
        "scopes_supported": list(SCOPES),
        "authorization_response_iss_parameter_supported": True,
    }
    if policy.registration != "closed":
        common["registration_endpoint"] = policy.url("register")
    return common
