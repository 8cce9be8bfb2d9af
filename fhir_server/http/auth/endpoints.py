"""The endpoints for programs: discovery, token, introspection, revocation, registration, keys, userinfo."""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth import wire
from fhir_server.http.auth.wire import CORS, PREFLIGHT, Handler, RealmOf, guarded
from fhir_server.model import json
from smart_auth import brands, discovery, introspect, launch_endpoint, openid, register, revoke, style, token_endpoint
from smart_auth.exchange import Answer

SHORT = {"Cache-Control": "public, max-age=300"}
FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


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
        return wire.respond(
            await register.respond(realm(), asked, await wire.json_body(request, "invalid_client_metadata"))
        )

    async def registered(request: Request) -> Response:
        asked, client_id = wire.taken(request, b""), str(request.path_params["client_id"])
        if request.method == "PUT":
            return wire.respond(
                await register.update(
                    realm(), asked, client_id, await wire.json_body(request, "invalid_client_metadata")
                )
            )
        act = register.remove if request.method == "DELETE" else register.read
        return wire.respond(await act(realm(), asked, client_id))

    async def launching(request: Request) -> Response:
        """Open an app for somebody. A cookie counts only from a page of this site; the answer is for that page alone."""
        asked, ours = wire.taken(request, b""), realm()
        person = None
        if "authorization" not in request.headers and browsers.from_here(ours, request):
            person = (await browsers.of(ours, request)).complete
        body = await wire.json_body(request, "invalid_request")
        return wire.respond(await launch_endpoint.respond(ours, asked, body, person), cors=False)

    return [
        *_documents(realm),
        _route("/auth/launches", launching, "POST", cors=False),
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

    async def brand_bundle(request: Request) -> Response:
        ours = realm()
        found = await ours.directory.organizations() if ours.policy.portal else []
        if not found:
            text = "This deployment publishes no brands; the setting auth.portal switches that on."
            return wire.respond(Answer({"error": "not_found", "error_description": text}, 404, SHORT))
        content = json.encode(brands.bundle(ours.policy, found))
        tag = f'W/"{sha256(content).hexdigest()[:16]}"'
        headers = {**SHORT, **CORS, "ETag": tag, "Access-Control-Expose-Headers": "ETag"}
        known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
        if known & {"*", tag.removeprefix("W/")}:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/fhir+json")

    async def look(request: Request) -> Response:
        policy = realm().policy
        if request.path_params["name"] != style.name(policy.style):
            text = "This look has changed. Its new URL is the smart_style_url of the next token response."
            return wire.respond(Answer({"error": "not_found", "error_description": text}, 404, SHORT))
        return Response(style.document(policy.style), headers={**FOREVER, **CORS}, media_type="application/json")

    return [
        _route("/fhir/.well-known/smart-configuration", smart, "GET"),
        _route("/fhir//.well-known/smart-configuration", smart, "GET"),  # of a base that was written with a slash
        _route("/auth/.well-known/openid-configuration", oidc, "GET"),
        _route("/.well-known/oauth-authorization-server/auth", oidc, "GET"),
        _route("/auth/jwks", jwks, "GET"),
        _route("/auth/brands", brand_bundle, "GET"),
        _route("/auth/styles/{name}.json", look, "GET"),
    ]


def _route(path: str, handler: Handler, *methods: str, cors: bool = True) -> Route:
    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=PREFLIGHT if cors else {"Allow": ", ".join(methods)})
        if request.method not in {*methods, *(("HEAD",) if "GET" in methods else ())}:
            body = {"error": "invalid_request", "error_description": f"Use {' or '.join(methods)} at this URL."}
            return wire.respond(Answer(body, 405, {"Allow": ", ".join((*methods, "OPTIONS"))}), cors=cors)
        return await guarded(handler, cors=cors)(request)

    return Route(path, answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])


def _document(value: object) -> Response:
    return Response(json.encode(value), headers={**SHORT, **CORS}, media_type="application/json")
