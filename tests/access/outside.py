"""The routes outside of the base, none of which the leak harness asks."""

from collections.abc import Mapping

from fhir_server.http.terminology import FILES as TERMINOLOGY_FILES

AS_THE_PERSON = "shows patients and visits that `patient_directory` asks for as the person, see `test_leaks`"
OF_THE_HOUSE = "knows the people and apps of the house, and no resources"
OF_THE_SERVER = "says what the server is, whoever asks"
OUTSIDE: Mapping[str, str] = {
    **dict.fromkeys(
        ("/auth/authorize", "/auth/choose", "/auth/consent", "/auth/continue", "/auth/launch", "/auth/launches",
         "/auth/role", "/auth/token", "/auth/userinfo", "/auth/introspect", "/admin/terminology/fhir/{path:path}"),
        AS_THE_PERSON,
    ),
    **dict.fromkeys(
        ("/auth/apps", "/auth/apps/revoke", "/auth/end-session", "/auth/forgot", "/auth/language", "/auth/password",
         "/auth/register", "/auth/register/{client_id}", "/auth/revoke", "/auth/second-factor", "/auth/sign-in",
         "/auth/sign-out", "/admin/policy", "/admin/terminology"),
        OF_THE_HOUSE,
    ),
    **dict.fromkeys(
        ("/", "/docs", "/favicon.ico", "/openapi.json", "/static/docs.js", "/static/style.css", "/auth/style.css",
         "/auth/styles/{name}.json", "/auth/jwks", "/auth/.well-known/openid-configuration", "/auth/brands",
         "/.well-known/oauth-authorization-server/auth", "/.well-known/audit-keys", "/fhir/.well-known/smart-configuration",
         "/fhir//.well-known/smart-configuration", "/health/live", "/health/ready", "/metrics", "/sample-app/",
         "/sample-app/app.css", "/sample-app/app.js", "/sample-app/index.html", "/sample-app/launch.html",
         *(f"/admin/terminology/{name}" for name in TERMINOLOGY_FILES)),
        OF_THE_SERVER,
    ),
}  # fmt: skip
"""Each route outside of the base, with the reason why it has no probes."""
