"""The token endpoint: a code, a refresh token or a client's own word for an access token (RFC 6749 3.2).

Authlib judges the form of each request (`protocol`). What makes a thing usable once is `AuthStore.swap`, here: of any number
of requests with the same code, in any number of processes, one gets tokens, and every other one ends the grant.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from smart_auth import client_auth, opaque, protocol, tokens
from smart_auth.errors import OAuthError
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, Client, Code, Grant, RefreshToken
from smart_auth.scopes.coverage import within
from smart_auth.scopes.grammar import Scopes

INVALID_GRANT = "The code or refresh token is not valid, has expired, was used before, or belongs to another client."


async def respond(realm: Realm, request: Request) -> Answer:
    """Return the answer to a request at the token endpoint."""
    try:
        return Answer(await _grant(realm, request))
    except OAuthError as error:
        await realm.note("token-refused", request, error=error.code, grant_type=request.one("grant_type")[:40])
        return refusal(error)


async def _grant(realm: Realm, request: Request) -> dict[str, Any]:
    request.check()
    if request.one("grant_type") not in protocol.GRANT_TYPES:
        protocol.judge_token(request, protocol.Known(None))
    grant = {
        protocol.AUTHORIZATION_CODE: _redeem,
        protocol.REFRESH_TOKEN: _refresh,
        protocol.CLIENT_CREDENTIALS: _backend,
    }[request.one("grant_type")]
    async with realm.line:
        if not await client_auth.has_far_keys(realm, request):
            client = await _holder(realm, request) or await client_auth.authenticate(realm, request)
            return await grant(realm, request, client)
    client = await client_auth.authenticate(realm, request)  # nobody waits in line for what is fetched from elsewhere
    async with realm.line:
        return await grant(realm, request, client)


async def _holder(realm: Realm, request: Request) -> Client | None:
    """Return the public client of a refresh token that comes without client_id, or `None`.

    The parameter is not required there (RFC 6749 6), says what the token says, and proves nothing; the SMART JS client leaves
    it out.
    """
    if request.one("grant_type") != protocol.REFRESH_TOKEN or request.one("client_id"):
        return None
    if client_auth.presented(request) != "none":
        return None
    token = await realm.store.get(RefreshToken, opaque.digest(request.one("refresh_token")))
    client = await realm.store.get(Client, token.client_id) if token else None
    return client if client and client.usable and client.auth_method == "none" else None


async def _redeem(realm: Realm, request: Request, client: Client) -> dict[str, Any]:
    """Exchange a code (RFC 6749 4.1.3, RFC 7636 4.5)."""
    code = await realm.store.get(Code, opaque.digest(request.one("code")))
    if code and code.client_id == client.id and code.used:
        await _replayed(realm, request, code)
    usable = code if code and code.expires > realm.clock() else None
    protocol.judge_token(request, protocol.Known(client, code=usable))
    grant = await realm.store.get(Grant, usable.grant_id) if usable else None
    if usable is None or grant is None:
        raise OAuthError("invalid_grant", INVALID_GRANT)
    # The grant is looked at before the code is used up: from then on somebody with the same code may end it at any moment.
    # The one whose swap succeeds gets its answer nevertheless; tokens of an ended grant open nothing.
    if why := await tokens.alive(realm, grant, client):
        raise OAuthError("invalid_grant", why)
    if not await realm.store.swap(usable, replace(usable, used=realm.clock())):
        await _replayed(realm, request, usable)
    refresh = ""
    if grant.access != "once" and protocol.REFRESH_TOKEN in client.grant_types:
        refresh = opaque.new(tokens.REFRESH)
        await realm.store.add(await tokens.new_refresh(realm, grant, refresh, grant.scope))
    return await _issued(realm, request, client, grant, refresh=refresh)


async def _replayed(realm: Realm, request: Request, code: Code) -> None:
    """End everything that came of a code that is shown a second time: one of the two who had it is a thief."""
    grant = await realm.store.get(Grant, code.grant_id)
    if grant and not grant.ended:
        await realm.store.end_grants(realm.clock(), "code-replayed", id=grant.id)
    await realm.note("code-replayed", request, grant=grant, client_id=code.client_id)
    raise OAuthError("invalid_grant", INVALID_GRANT)


async def _refresh(realm: Realm, request: Request, client: Client) -> dict[str, Any]:
    """Exchange a refresh token for its successor and an access token (RFC 6749 6, RFC 9700 4.14.2)."""
    shown = request.one("refresh_token")
    token = await realm.store.get(RefreshToken, opaque.digest(shown))
    usable = token if token and (token.expires > realm.clock() or token.used) else None
    protocol.judge_token(request, protocol.Known(client, refresh=usable))
    grant = await realm.store.get(Grant, usable.grant_id) if usable else None
    if usable is None or grant is None:
        raise OAuthError("invalid_grant", INVALID_GRANT)
    if usable.used and not await _repeated(realm, usable):
        await _reused(realm, request, grant)
    if why := await tokens.alive(realm, grant, client):
        raise OAuthError("invalid_grant", why)
    scope = _narrowed(realm, request.one("scope"), usable.scope, client)

    # The successor is derived, so whoever asks again within the grace gets the same one, though only digests are kept.
    refresh = opaque.derived(realm.secret, tokens.REFRESH, "refresh", shown)
    access = opaque.derived(realm.secret, tokens.ACCESS, "access", shown, scope)
    successor = await tokens.new_refresh(realm, grant, refresh, usable.scope)
    if not usable.used:
        await realm.store.add(successor)
        used = replace(usable, used=realm.clock(), successor=successor.id)
        if not await realm.store.swap(usable, used):
            there = await realm.store.get(RefreshToken, usable.id)
            if there is None or not await _repeated(realm, there):
                await _reused(realm, request, grant)
    return await _issued(realm, request, client, grant, scope=scope, access=access, refresh=refresh)


async def _repeated(realm: Realm, token: RefreshToken) -> bool:
    """Return whether a used token may be answered again: a moment ago, and nobody has used the answer yet."""
    if token.used is None or token.used + realm.policy.grace <= realm.clock():
        return False
    successor = await realm.store.get(RefreshToken, token.successor)
    return successor is not None and successor.used is None


async def _reused(realm: Realm, request: Request, grant: Grant) -> None:
    """End the family of a refresh token that is shown a second time."""
    if not grant.ended:
        await realm.store.end_grants(realm.clock(), "refresh-reused", id=grant.id)
    await realm.note("refresh-reused", request, grant=grant)
    raise OAuthError("invalid_grant", INVALID_GRANT)


def _narrowed(realm: Realm, asked: str, had: str, client: Client) -> str:
    """Return the scope of a refreshed access token: what is asked, no more than there was, and what the client may still have."""
    before = realm.scopes(had)
    wanted = realm.scopes(asked) if asked.strip() else before
    if wanted.refused or (wider := within(wanted, before)):
        named = wanted.refused[0][0] if wanted.refused else wider[0]
        raise OAuthError("invalid_scope", f"A refresh cannot reach further than the grant; '{named[:200]}' does.")
    left = realm.permitted(wanted, client)
    if not left.asked:
        raise OAuthError(
            "invalid_scope", "Nothing is left of the scope that this client may have. Ask the person again."
        )
    return left.text


async def _backend(realm: Realm, request: Request, client: Client) -> dict[str, Any]:
    """Give a backend service what it was registered for (SMART App Launch 2.2, 5.3)."""
    protocol.judge_token(request, protocol.Known(client))
    asked = realm.scopes(request.one("scope"))
    granted = realm.permitted(Scopes(tuple(one for one in asked.asked if not isinstance(one.meaning, str))), client)
    if not granted.resources:
        raise OAuthError("invalid_scope", _explain(asked))
    now = realm.clock()
    expires = now + realm.policy.backend_life
    grant = Grant(opaque.new(), client.id, NOBODY, granted.text, "once", now, expires)
    await realm.store.add(grant)
    return await _issued(realm, request, client, grant)


def _explain(asked: Scopes) -> str:
    if asked.refused:
        text, why = asked.refused[0]
        return f"'{text[:200]}' cannot be granted: {why}."
    return "Ask for system/ scopes that this client is registered for, such as system/Patient.rs."


async def _issued(realm: Realm, request: Request, client: Client, grant: Grant, **how: str) -> dict[str, Any]:
    response = await tokens.issue(realm, grant, client, **how)
    await realm.store.swap(grant, replace(grant, used=realm.clock()))
    detail: Mapping[str, str] = {"grant_type": request.one("grant_type"), "scope": response["scope"]}
    await realm.note("token-issued", request, grant=grant, **detail)
    return response
