"""Who the client is: nothing, a secret, or a signed statement, exactly one of them (RFC 6749 2.3, RFC 7523 2.2).

Every client has one registered way to prove itself, and no other is tried for it. Whoever has the right secret is let in,
however many others have tried a wrong one: a secret is too long to be guessed, and an app must not be locked out by them.
"""

import binascii
from base64 import b64decode
from urllib.parse import unquote_plus

from smart_auth import assertion, opaque, throttle
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from smart_auth.records import AuthMethod, Client

_ANY_DIGEST = "0" * 64


async def authenticate(realm: Realm, request: Request) -> Client:
    """Return the client that a request at a token endpoint proves to come from.

    Raises:
        OAuthError: `invalid_client`, `invalid_request` for two proofs at once, `slow_down`.
    """
    method = presented(request)
    if method == "private_key_jwt":
        return await _by_assertion(realm, request)
    client_id, secret = _basic(request) if method == "client_secret_basic" else _posted(request)
    if not client_id:
        raise OAuthError("invalid_client", "The client_id is missing.", headers=_challenge(realm))
    if method == "client_secret_basic" and request.one("client_id") not in {"", client_id}:
        raise OAuthError("invalid_request", "The client_id of the form is not that of the Authorization header.")
    client = await realm.store.get(Client, client_id)
    right = opaque.matches(secret, client.secret if client and client.secret else _ANY_DIGEST)
    if client is None or not client.usable or method not in _accepted(client) or (method != "none" and not right):
        if method != "none":  # who proves nothing guesses nothing
            attempt = throttle.Attempt("client", client_id, request.address)
            await throttle.check(realm.store, attempt, realm.clock())
            await throttle.failed(realm.store, attempt, realm.clock())
        await realm.note("client-refused", request, client_id=client.id if client else "", method=method)
        raise OAuthError("invalid_client", _explain(client, method), headers=_challenge(realm))
    return client


def presented(request: Request) -> AuthMethod:
    """Return in which way a request proves who sent it.

    Raises:
        OAuthError: `invalid_request`, more than one way at once; `invalid_client`, a way that is not known.
    """
    header = request.headers.get("authorization", "")
    ways: list[AuthMethod] = []
    if header.lower().startswith("basic "):
        ways.append("client_secret_basic")
    elif header:
        raise OAuthError("invalid_client", "The Authorization header must be Basic here, or be left out.")
    if request.has("client_secret"):
        ways.append("client_secret_post")
    if request.has("client_assertion") or request.has("client_assertion_type"):
        ways.append("private_key_jwt")
    if len(ways) > 1:
        raise OAuthError("invalid_request", f"The client proves itself in two ways ({', '.join(ways)}). Use one.")
    return ways[0] if ways else "none"


async def has_far_keys(realm: Realm, request: Request) -> bool:
    """Return whether a request can only be looked at after keys were fetched from a URL of the client."""
    if presented(request) != "private_key_jwt":
        return False
    client_id = assertion.read(request.one("client_assertion")).client_id
    client = await realm.store.get(Client, client_id) if client_id else None
    return client is not None and bool(client.jwks_uri)


async def _by_assertion(realm: Realm, request: Request) -> Client:
    if request.one("client_assertion_type") != assertion.TYPE:
        raise OAuthError("invalid_request", f"The client_assertion_type must be {assertion.TYPE}.")
    found = assertion.read(request.one("client_assertion"))
    client_id = found.client_id
    # Nobody guesses a signature. What is slowed down is work that others cause, and only theirs: a client is never kept
    # waiting for what was sent in its name from elsewhere.
    attempt = throttle.Attempt("assertion", client_id, request.address, known=True)
    await throttle.check(realm.store, attempt, realm.clock())
    client = await realm.store.get(Client, client_id) if client_id else None
    try:
        proved = await _verified(realm, request, found, client)
    except OAuthError as error:
        await throttle.failed(realm.store, attempt, realm.clock())
        kind = "assertion-replayed" if isinstance(error, assertion.Replayed) else "client-refused"
        await realm.note(kind, request, client_id=client.id if client else "", method="private_key_jwt")
        raise
    await throttle.succeeded(realm.store, attempt)
    return proved


async def _verified(realm: Realm, request: Request, found: assertion.Assertion, client: Client | None) -> Client:
    if client is None or not client.usable or client.auth_method != "private_key_jwt":
        raise OAuthError("invalid_client", "The client_assertion is not one of a client of this server.", status=400)
    if request.one("client_id") not in {"", client.id}:
        raise OAuthError("invalid_client", "The client_id is not the 'iss' of the client_assertion.", status=400)
    await assertion.verify(
        found,
        client,
        audiences=(realm.policy.url("token"), realm.policy.issuer),
        now=realm.clock(),
        key_sets=realm.key_sets,
        store=realm.store,
    )
    return client


def _accepted(client: Client) -> frozenset[AuthMethod]:
    """Return the ways that a client may use: a secret may come either way, as libraries do not ask (RFC 6749 2.3.1)."""
    if client.auth_method in {"client_secret_basic", "client_secret_post"}:
        return frozenset({"client_secret_basic", "client_secret_post"})
    return frozenset({client.auth_method})


def _basic(request: Request) -> tuple[str, str]:
    """Return client_id and secret of an Authorization header; both are form-encoded inside (RFC 6749 2.3.1)."""
    try:
        text = b64decode(request.headers["authorization"][6:].strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _posted(request: Request) -> tuple[str, str]:
    return request.one("client_id"), request.one("client_secret")


def _explain(client: Client | None, method: AuthMethod) -> str:
    if client is None or method in _accepted(client):
        return "There is no such client, or its secret is another one."
    if client.auth_method == "none":
        return "This client is public and has no secret. Send its client_id only."
    return f"This client is registered for {client.auth_method}. Use that."


def _challenge(realm: Realm) -> dict[str, str]:
    return {"WWW-Authenticate": f'Basic realm="{realm.policy.issuer}"'}
