"""Which client calls an endpoint that is for programs only: one that proves itself, or shows an access token of its own."""

from smart_auth import client_auth, tokens
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, Client

INTROSPECT = "introspect"
EHR_LAUNCH = "ehr-launch"
RIGHTS = frozenset({INTROSPECT, EHR_LAUNCH})
"""What an administrator may let a client do beside reading and writing, by naming it among its scopes.

`introspect`: ask about tokens of all clients. `ehr-launch`: open apps for people. No app can be given these by a person, nor
take them by registering itself, for they are no scopes that anybody can ask for.
"""


async def of(realm: Realm, request: Request, *, for_people: bool = True) -> Client:
    """Return the client that calls.

    Args:
        realm: The server.
        request: Its request.
        for_people: Whether a token that the client holds for a person will do as well.

    Raises:
        OAuthError: `invalid_client`, `invalid_token`.
    """
    header = request.headers.get("authorization", "")
    if not header.lower().startswith("bearer "):
        client = await client_auth.authenticate(realm, request)
        if client.auth_method == "none":
            raise OAuthError("invalid_client", "A public client cannot call this. Show an access token instead.")
        return client
    bearer = await tokens.find(realm, header[7:].strip())
    if bearer is None or (bearer.token.user_id != NOBODY and not for_people):
        text = "The access token in the Authorization header is not valid (any more)."
        raise OAuthError("invalid_token", text, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    shown = await realm.store.get(Client, bearer.token.client_id)
    if shown is None:
        raise OAuthError("invalid_token", "The client of the access token is gone.")
    return shown
