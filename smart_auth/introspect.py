"""Introspection: what a token is, for those who may know (RFC 7662; SMART App Launch 2.2, 6).

Who may: a client about its own tokens, a backend service that shows an access token of its own, and resource servers, which
are confidential clients with the scope `introspect` among those they are registered for. To all others every token looks
as if it had never been.
"""

from typing import Any

from smart_auth import callers, launch, opaque, tokens
from smart_auth.errors import OAuthError
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import Client, Grant, RefreshToken

RESOURCE_SERVER = callers.INTROSPECT
INACTIVE: dict[str, Any] = {"active": False}


async def respond(realm: Realm, request: Request) -> Answer:
    """Return the answer to a request at the introspection endpoint."""
    try:
        request.check()
        caller = await callers.of(realm, request)
        found = await _describe(realm, request.one("token"), caller)
    except OAuthError as error:
        await realm.note("introspection-refused", request, error=error.code)
        return refusal(error)
    return Answer(found)


async def _describe(realm: Realm, text: str, caller: Client) -> dict[str, Any]:
    if not text:
        raise OAuthError("invalid_request", "The token is missing.")
    bearer = await tokens.find(realm, text)
    if bearer is not None:
        token, grant = bearer.token, bearer.grant
        if not _may_know(caller, token.client_id):
            return INACTIVE
        return {
            **_common(realm, grant, bearer.scopes.text, token.expires.timestamp(), token.issued.timestamp()),
            "token_type": "Bearer",
            **launch.told(realm.policy, grant.context),
        }
    refresh = await realm.store.get(RefreshToken, opaque.digest(text)) if len(text) <= opaque.MOST else None
    if refresh is None or refresh.used or refresh.expires <= realm.clock() or refresh.client_id != caller.id:
        return INACTIVE
    owner = await realm.store.get(Grant, refresh.grant_id)
    if owner is None or await tokens.alive(realm, owner, caller):
        return INACTIVE
    return _common(realm, owner, refresh.scope, refresh.expires.timestamp(), refresh.issued.timestamp())


def _may_know(caller: Client, client_id: str) -> bool:
    return caller.id == client_id or RESOURCE_SERVER in caller.scope.split()


def _common(realm: Realm, grant: Grant, scope: str, expires: float, issued: float) -> dict[str, Any]:
    found: dict[str, Any] = {
        "active": True,
        "scope": scope,
        "client_id": grant.client_id,
        "iss": realm.policy.issuer,
        "sub": grant.user_id or grant.client_id,
        "aud": realm.policy.base,
        "exp": int(expires),
        "iat": int(issued),
    }
    if grant.fhir_user:
        found["fhirUser"] = f"{realm.policy.base}/{grant.fhir_user}"
    return found
