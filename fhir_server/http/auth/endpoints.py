"""The endpoints for programs: discovery, token, introspection, revocation, registration, keys, userinfo."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import wire
from fhir_server.http.auth.wire import CORS, PREFLIGHT, Handler, RealmOf, guarded
from fhir_server.model import json
from fhir_server.model.errors import FhirError
from smart_auth import discovery, introspect, openid, register, revoke, token_endpoint
from smart_auth.errors import OAuthError
from smart_auth.exchange import Answer

SHORT = {"Cache-Control": "public, max-age=300"}


def routes(realm: RealmOf) -> list[Route]:
    """Return the routes of the endpoints, as they stand below the origin of the server."""

    async def token(request: Request) -> Response:
        return wire.respond(await token_endpoint.respond(realm(), await wire.form(request)))

    async def introspection(request: Request) -> Response:
        return wire.respond(await introspect.respond(realm(), await wire.form(request)))

    async def revocation(request: Request) -> Response:
        return wire.respond(await revoke.respond(realm(), await wire.form(request)))

    async def userinfo(request: Request) -> Response:
        return wire.respond(await openid.userinfo(realm(), wire.taken(request, b"")))

    async def registration(request: Request) -> Response:
        asked = wire.taken(request, b"")
        return wire.respond(await register.respond(realm(), asked, await _metadata(request)))

    async def registered(request: Request) -> Response:
        asked, client_id = wire.taken(request, b""), str(request.path_params["client_id"])
        if request.method == "PUT":
            return wire.respond(await register.update(realm(), asked, client_id, await _metadata(request)))
        act = register.remove if request.method == "DELETE" else register.read
        return wire.respond(await act(realm(), asked, client_id))

    return [
        *_documents(realm),
        _route("/auth/token", token, "POST"),
        _route("/auth/introspect", introspection, "POST"),
        _route("/auth/revoke", revocation, "POST"),
        _route("/auth/userinfo", userinfo, "GET", "POST"),
        _route("/auth/register", registration, "POST"),
        _route("/auth/register/{client_id}", registered, "GET", "PUT", "DELETE"),
    ]


def _documents(realm: RealmOf) -> list[Route]:
    """Return the routes of what clients read before they ask."""

    async def smart(_: Request) -> Response:
        return _document(discovery.smart_configuration(realm().policy))

    async def oidc(_: Request) -> Response:
        return _document(discovery.openid_configuration(realm().policy))

    async def jwks(_: Request) -> Response:
        return _document(await discovery.key_set(realm()))

    return [
        _route("/fhir/.well-known/smart-configuration", smart, "GET"),
        _route("/auth/.well-known/openid-configuration", oidc, "GET"),
        _route("/.well-known/oauth-authorization-server/auth", oidc, "GET"),
        _route("/auth/jwks", jwks, "GET"),
    ]


def _route(path: str, handler: Handler, *methods: str) -> Route:
    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT)
        if request.method not in {*methods, *(("HEAD",) if "GET" in methods else ())}:
            body = {"error": "invalid_request", "error_description": f"Use {' or '.join(methods)} at this URL."}
            return wire.respond(Answer(body, 405, {"Allow": ", ".join((*methods, "OPTIONS"))}))
        return await guarded(handler)(request)

    return Route(path, answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


def _document(value: object) -> Response:
    return Response(json.encode(value), headers={**SHORT, **CORS}, media_type="application/json")


async def _metadata(request: Request) -> object:
    if "json" not in request.headers.get("content-type", "").lower():
        raise OAuthError("invalid_client_metadata", "The Content-Type must be application/json.")
    try:
        return json.parse(await wire.body(request))
    except FhirError as error:
        raise OAuthError("invalid_client_metadata", str(error)) from error
