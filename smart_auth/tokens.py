"""Issuing tokens from a grant, and knowing them again when they are shown.

Access and refresh tokens are opaque: nothing can be read from them, and every check asks the record, so that a revocation
holds from the next request on (docs/decisions/opaque-tokens.md). The id token is a signed JWT, as OpenID Connect wants it.
"""

from base64 import urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from smart_auth import keys, launch, opaque
from smart_auth.errors import OAuthError
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, AccessToken, Client, Grant, Key, LaunchContext, RefreshToken, Session, User
from smart_auth.scopes.grammar import Scopes

ACCESS = "aqa_"
REFRESH = "aqr_"
KEPT = 10_000
STALE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whoever shows a valid access token: everything that decides what it reaches.

    Attributes:
        token: The record of the token.
        grant: The grant that it belongs to.
        scopes: What it reaches.
        user: The person, or `None` for a backend.
        acting_as: The link to the record that the person acts as.
        client: The app or service, `None` where another issuer keeps it.
    """

    token: AccessToken
    grant: Grant
    scopes: Scopes
    user: User | None = None
    acting_as: str = ""
    client: Client | None = None

    @property
    def context(self) -> LaunchContext:
        """The launch context."""
        return self.grant.context


async def issue(
    realm: Realm, grant: Grant, client: Client, *, scope: str = "", access: str = "", refresh: str = ""
) -> dict[str, Any]:
    """Keep an access token of a grant and return the token response (SMART App Launch 2.2, 2.1.4).

    Args:
        realm: The server.
        grant: A live grant.
        client: Whose it is.
        scope: Less than the grant's scope; empty for all of it.
        access: The token, where it was derived; a token that is there already is answered again.
        refresh: The refresh token to hand out; the caller keeps its record.
    """
    now = realm.clock()
    text = access or opaque.new(ACCESS)
    life = realm.policy.backend_life if client.kind == "backend" else realm.policy.access_life
    expires = min(now + life, grant.expires) if grant.expires else now + life
    given = scope or grant.scope
    token = AccessToken(opaque.digest(text), grant.id, client.id, grant.user_id, given, now, expires)
    if not await realm.store.add(token):
        token = await realm.store.get(AccessToken, token.id) or token
    response: dict[str, Any] = {
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": max(int((token.expires - now).total_seconds()), 1),
        "scope": token.scope,
        **launch.told(realm.policy, grant.context),
    }
    if refresh:
        response["refresh_token"] = refresh
    if grant.user_id != NOBODY and "openid" in realm.scopes(given).words:
        response["id_token"] = await id_token(realm, grant, text)
    return response


async def id_token(realm: Realm, grant: Grant, access_token: str) -> str:
    """Return a signed id token (OIDC Core 2, SMART App Launch 2.2, 3.0.4)."""
    now = realm.clock()
    half = sha256(access_token.encode()).digest()[:16]
    claims: dict[str, Any] = {
        "iss": realm.policy.issuer,
        "aud": grant.client_id,
        "iat": int(now.timestamp()),
        "exp": int((now + realm.policy.access_life).timestamp()),
        "at_hash": urlsafe_b64encode(half).rstrip(b"=").decode("ascii"),
        **await person(realm, grant),
    }
    if grant.nonce:
        claims["nonce"] = grant.nonce
    if grant.signed_in:
        claims["auth_time"] = int(grant.signed_in.timestamp())
    ring = [*await realm.store.find(Key, state="signing")]
    return keys.sign(ring, claims)


async def person(realm: Realm, grant: Grant) -> dict[str, Any]:
    """Return the claims about the person, for the id token and for userinfo alike (OIDC Core 5.3.2)."""
    words = realm.scopes(grant.scope).words
    claims = {"sub": grant.user_id}
    if grant.fhir_user and "fhirUser" in words:
        claims["fhirUser"] = f"{realm.policy.base}/{grant.fhir_user}"
    if "profile" in words:
        user = await realm.store.get(User, grant.user_id)
        claims |= {"name": user.name} if user else {}
    return claims


async def new_refresh(realm: Realm, grant: Grant, text: str, scope: str) -> RefreshToken:
    """Return the record of a refresh token, not kept yet."""
    now = realm.clock()
    expires = now + realm.policy.refresh_life
    return RefreshToken(
        opaque.digest(text),
        grant.id,
        grant.client_id,
        scope,
        now,
        min(expires, grant.expires) if grant.expires else expires,
    )


async def alive(realm: Realm, grant: Grant, client: Client | None) -> str:
    """Return why a grant is over for whoever holds tokens of it, empty where it is not."""
    now = realm.clock()
    if grant.ended or (grant.expires and grant.expires <= now):
        return "The grant has ended. Ask the person again."
    if client is None or not client.usable:
        return "The client is disabled."
    if grant.user_id == NOBODY:
        return ""
    user = await realm.store.get(User, grant.user_id)
    if user is None or user.disabled:
        return "The person can no longer sign in here."
    if user.credentials_changed > grant.created:
        return "The person has changed the password since. Ask the person again."
    if grant.access == "online" and not await session_alive(realm, grant.session_id):
        return "The person has signed out. Ask the person again."
    return ""


async def session_alive(realm: Realm, session_id: str) -> bool:
    """Return whether a session goes on."""
    session = await realm.store.get(Session, session_id) if session_id else None
    return session is not None and not over(realm, session)


def over(realm: Realm, session: Session) -> bool:
    """Return whether a session has ended, was not used too long, or is too old."""
    now, policy = realm.clock(), realm.policy
    return (
        bool(session.ended) or session.seen + policy.session_idle <= now or session.created + policy.session_life <= now
    )


class TokenCheck:
    """Checks the access tokens that requests show, quickly: what was found stays as long as the epoch does.

    Args:
        realm: The server.
    """

    def __init__(self, realm: Realm) -> None:
        self._realm = realm
        self._epoch = -1
        self._found: OrderedDict[str, tuple[Bearer, datetime]] = OrderedDict()

    def kept(self, text: str) -> tuple[Bearer, int] | None:
        """Return who showed a token before, and the epoch in which that was so: it is so still, if the epoch is the same."""
        kept = self._found.get(opaque.digest(text))
        return (kept[0], self._epoch) if kept and self._realm.clock() < kept[1] else None

    async def check(self, text: str, epoch: int) -> Bearer:
        """Return who shows a token.

        Args:
            text: The token.
            epoch: `AuthStore.epoch` as this request has read it.

        Raises:
            OAuthError: `invalid_token`; expired, revoked and never issued look the same.
        """
        now = self._realm.clock()
        if epoch != self._epoch:
            self._found.clear()
            self._epoch = epoch
        token_id = opaque.digest(text)
        kept = self._found.get(token_id)
        if kept and now < kept[1]:
            self._found.move_to_end(token_id)
            return kept[0]
        bearer = await find(self._realm, text)
        if bearer is None:
            raise OAuthError("invalid_token", "The access token is not valid (any more). Get a new one.")
        if epoch == self._epoch:
            self._found[token_id] = bearer, min(bearer.token.expires, now + STALE)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return bearer


async def find(realm: Realm, text: str) -> Bearer | None:
    """Return who shows an access token, or `None` where it is not valid."""
    token = await realm.store.get(AccessToken, opaque.digest(text)) if len(text) <= opaque.MOST else None
    if token is None or token.ended or token.expires <= realm.clock():
        return None
    grant = await realm.store.get(Grant, token.grant_id)
    client = await realm.store.get(Client, token.client_id)
    if grant is None or client is None or await alive(realm, replace(grant, access="once"), client):
        return None
    given = realm.scopes(token.scope)
    # What was taken from the registration since is taken from the token as well. Without limits there is nothing to take.
    scopes = realm.permitted(given, client) if client.scope or client.types or client.advisory else given
    user = await realm.store.get(User, token.user_id) if token.user_id != NOBODY else None
    return Bearer(token, grant, scopes, user, grant.acting_as or grant.fhir_user, client)
