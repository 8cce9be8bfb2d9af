"""Between the web and the authorization server: forms in, answers out, and what may not be in a URL."""

from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fhir_server.http import target
from fhir_server.model import json
from fhir_server.model.errors import BadRequest, FhirError
from smart_auth import exchange
from smart_auth.errors import OAuthError
from smart_auth.exchange import NO_STORE, Answer
from smart_auth.realm import Realm

RealmOf = Callable[[], Realm]
FORM = "application/x-www-form-urlencoded"
MOST_BYTES = 128 * 1024
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After, X-Request-Id",
}
PREFLIGHT = {
    **CORS,
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, If-None-Match, X-Request-Id",
    "Access-Control-Max-Age": "600",
}
"""These endpoints read no cookie, so any page may call them: it can do no more than its own server could."""


async def form(request: Request) -> exchange.Request:
    """Return the request with the parameters of its form.

    Raises:
        OAuthError: `invalid_request`: no form, too large, or something in the URL, where proxies and browsers write it down.
    """
    if request.url.query:
        raise OAuthError(
            "invalid_request", "Send the parameters in the form, not in the URL, where they would be logged."
        )
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"The Content-Type must be {FORM}.")
    return taken(request, await body(request))


async def body(request: Request) -> bytes:
    """Return the body.

    Raises:
        OAuthError: `invalid_request`, it is too large or cut off.
    """
    data = b""
    try:
        async for part in request.stream():
            data += part
            if len(data) > MOST_BYTES:
                raise OAuthError("invalid_request", f"The body is larger than {MOST_BYTES:,} bytes.", status=413)
    except ClientDisconnect:
        raise OAuthError("invalid_request", "The body was cut off.") from None
    return data


async def json_body(request: Request, code: str) -> Any:
    """Return the JSON value of a body.

    Raises:
        OAuthError: With this code, it is none.
    """
    if "json" not in request.headers.get("content-type", "").lower():
        raise OAuthError(code, "The Content-Type must be application/json.")
    try:
        return json.parse(await body(request))
    except FhirError as error:
        raise OAuthError(code, str(error)) from error


def taken(request: Request, data: bytes) -> exchange.Request:
    """Return a request with the parameters of a query or form.

    Raises:
        OAuthError: `invalid_request`, it is not UTF-8 or has broken escapes.
    """
    headers = dict(request.headers.items())
    if len(request.headers.getlist("authorization")) > 1:
        raise OAuthError("invalid_request", "The Authorization header is there more than once.")
    try:
        pairs = target.pairs(data, "form")
    except BadRequest as error:
        raise OAuthError("invalid_request", str(error)) from error
    address = request.client.host if request.client else ""
    return exchange.Request(pairs, headers, request.method, address, headers.get("x-request-id", "")[:64])


def respond(answer: Answer, *, cors: bool = True) -> Response:
    """Return an answer as JSON."""
    content = b"" if answer.body is None else json.encode(answer.body)
    headers = {**answer.headers, **(CORS if cors else {}), "X-Content-Type-Options": "nosniff"}
    return Response(content, answer.status, headers, None if answer.body is None else "application/json")


Handler = Callable[[Request], Awaitable[Response]]


def guarded(handler: Handler, *, cors: bool = True) -> Handler:
    """Return a handler of an endpoint for programs, whose refusals and failures are answers too."""

    async def guarded_handler(request: Request) -> Response:
        try:
            return await handler(request)
        except OAuthError as error:
            return respond(exchange.refusal(error), cors=cors)
        except FhirError as error:
            body = {"error": "temporarily_unavailable", "error_description": str(error)}
            return respond(Answer(body, error.status), cors=cors)
        except Exception as error:
            log: Any = structlog.get_logger("fhir_server.http.auth")
            log.exception("endpoint_failed", error=type(error).__name__, path=request.url.path)
            body = {"error": "server_error", "error_description": "The server failed to answer."}
            return respond(Answer(body, 500), cors=cors)

    return guarded_handler


def no_store(response: Response) -> Response:
    """Return a response that nobody keeps."""
    response.headers.update(NO_STORE)
    return response
