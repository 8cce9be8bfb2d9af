"""Taking access back: by the client (RFC 7009), by the person on the page of connected apps, by an administrator."""

from collections.abc import Sequence
from dataclasses import replace

from smart_auth import client_auth, opaque
from smart_auth.errors import OAuthError
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import AccessToken, Client, Grant, RefreshToken, User


async def respond(realm: Realm, request: Request) -> Answer:
    """Return the answer to a request at the revocation endpoint; a token that is not there is revoked already."""
    try:
        request.check()
        client = await client_auth.authenticate(realm, request)
        await _revoke(realm, request, client)
    except OAuthError as error:
        return refusal(error)
    return Answer({})


async def connected(realm: Realm, user: User) -> Sequence[Grant]:
    """Return the grants that a person can take back, the last used first."""
    now = realm.clock()
    grants = await realm.store.find(Grant, user_id=user.id)
    live = [one for one in grants if one.used and not one.ended and (one.expires is None or one.expires > now)]
    return sorted(live, key=lambda one: one.used or one.created, reverse=True)


async def by_person(realm: Realm, user: User, client_id: str, request: Request | None = None) -> bool:
    """Take everything back that a person has granted a client; return whether there was anything."""
    return await _ended(realm, request, "person", client_id=client_id, user_id=user.id)


async def of_client(realm: Realm, client: Client, request: Request | None = None) -> bool:
    """Take everything back that a client was granted; return whether there was anything."""
    return await _ended(realm, request, "administrator", client_id=client.id)


async def of_user(realm: Realm, user: User, request: Request | None = None) -> bool:
    """Take everything back that a person has granted; return whether there was anything."""
    return await _ended(realm, request, "administrator", user_id=user.id)


async def _ended(realm: Realm, request: Request | None, why: str, **fields: str) -> bool:
    number = await realm.store.end_grants(realm.clock(), why, **fields)
    if number:
        client_id, user_id = fields.get("client_id", ""), fields.get("user_id", "")
        await realm.note("grant-revoked", request, client_id=client_id, user_id=user_id, why=why, number=str(number))
    return bool(number)


async def _revoke(realm: Realm, request: Request, client: Client) -> None:
    if not request.one("token"):
        raise OAuthError("invalid_request", "The token is missing.")
    token_id = opaque.digest(request.one("token"))
    refresh = await realm.store.get(RefreshToken, token_id)
    access = await realm.store.get(AccessToken, token_id)
    found = refresh or access
    if found is None:
        return
    if found.client_id != client.id:
        raise OAuthError("invalid_grant", "The token belongs to another client.")
    if refresh is not None:
        await realm.store.end_grants(realm.clock(), "client", id=refresh.grant_id)
        grant = await realm.store.get(Grant, refresh.grant_id)
        await realm.note("grant-revoked", request, grant=grant, why="client")
    elif access is not None and access.ended is None:
        await realm.store.swap(access, replace(access, ended=realm.clock()), felt=True)
        await realm.note("token-revoked", request, client_id=client.id, user_id=access.user_id)
