"""OpenID Connect beside the id token: userinfo, and signing out at the wish of an app (OIDC Core 5.3, RP-Initiated Logout 1.0)."""

from dataclasses import dataclass

from smart_auth import keys, redirects, tokens
from smart_auth.errors import OAuthError
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import Client, Key, Session


async def userinfo(realm: Realm, request: Request) -> Answer:
    """Return the answer to a request at the userinfo endpoint."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    bearer = await tokens.find(realm, text.strip()) if scheme.lower() == "bearer" else None
    challenge = f'Bearer realm="{realm.policy.issuer}"'
    if bearer is None:
        header = challenge + (', error="invalid_token"' if text else "")
        return refusal(OAuthError("invalid_token", "Show a valid access token.", headers={"WWW-Authenticate": header}))
    if "openid" not in bearer.scopes.words or bearer.user is None:
        header = f'{challenge}, error="insufficient_scope", scope="openid"'
        text = "The access token does not have the scope openid."
        return refusal(OAuthError("insufficient_scope", text, headers={"WWW-Authenticate": header}))
    return Answer(await tokens.person(realm, bearer.grant))


@dataclass(frozen=True, slots=True)
class SignOut:
    """What an app that wants the person signed out may have.

    Attributes:
        must_ask: Whether the person is to be asked first, for the app has not shown that the person uses it.
        redirect: Where the browser goes afterwards; empty to stay here.
    """

    must_ask: bool
    redirect: str = ""


async def end_session(realm: Realm, request: Request, session: Session | None) -> SignOut:
    """Return what follows from a request at the end-session endpoint.

    A redirect is only made to a URI of the client that the id token was for, so that the endpoint is no open redirector.
    """
    claims = None
    if hint := request.one("id_token_hint"):
        ring = [*await realm.store.find(Key, state="signing"), *await realm.store.find(Key, state="retired")]
        claims = keys.read(ring, hint, realm.clock())
    ours = claims is not None and claims.get("iss") == realm.policy.issuer
    client_id = str(claims["aud"]) if ours and claims else ""
    if request.one("client_id") not in {"", client_id}:
        client_id = ""
    client = await realm.store.get(Client, client_id) if client_id else None
    uri = request.one("post_logout_redirect_uri")
    same_person = bool(claims and session and claims.get("sub") == session.user_id)
    if not uri or client is None or uri not in client.redirect_uris:
        return SignOut(must_ask=not (ours and same_person))
    return SignOut(not same_person and session is not None, redirects.answered(uri, {"state": request.one("state")}))
