"""Dynamic registration of clients, and keeping the registration up to date (RFC 7591, RFC 7592).

The policy says who may register: nobody, holders of an initial access token, or everybody. Nobody gives itself access to
the whole record this way: a backend service waits until an administrator has approved it with the scopes that it may have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unicodedata import category

from smart_auth import fetch, key_sets, opaque, protocol, redirects, throttle
from smart_auth.errors import OAuthError, slow_down
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import AuthMethod, Client, ClientKind

MOST_AN_HOUR = 20
MOST_URIS = 20
MOST_NAME = 100

_JOINERS = "\u200c\u200d"
"""Format characters that words of Indic and Arabic scripts are written with."""

POLICY = ("facility", "facilities", "types", "purpose", "advisory")
"""What only an administrator says of a client."""

KINDS: Mapping[str, ClientKind] = {
    "none": "public",
    "client_secret_basic": "confidential",
    "client_secret_post": "confidential",
    "private_key_jwt": "asymmetric",
}


async def respond(realm: Realm, request: Request, metadata: Any) -> Answer:
    """Return the answer to a registration (RFC 7591 3.2)."""
    try:
        await _admit(realm, request)
        client = drafted(realm, metadata)
        secret = opaque.new() if client.kind == "confidential" else ""
        management = opaque.new()
        kept = replace(
            client,
            secret=opaque.digest(secret) if secret else "",
            management=opaque.digest(management),
            pending=client.kind == "backend",
        )
        await realm.store.add(kept)
    except OAuthError as error:
        return refusal(error)
    await realm.note("client-registered", request, client_id=kept.id, client_kind=kept.kind)
    return Answer({**described(realm, kept), **_secrets(kept, secret), "registration_access_token": management}, 201)


async def read(realm: Realm, request: Request, client_id: str) -> Answer:
    """Return the registration, for who holds its registration access token (RFC 7592 2.1)."""
    client = await _managed(realm, request, client_id)
    return Answer(described(realm, client)) if client else _unauthorized(realm)


async def update(realm: Realm, request: Request, client_id: str, metadata: Any) -> Answer:
    """Replace the registration; kind and secret stay (RFC 7592 2.2)."""
    client = await _managed(realm, request, client_id)
    if client is None:
        return _unauthorized(realm)
    try:
        draft = drafted(realm, metadata)
    except OAuthError as error:
        return refusal(error)
    if (draft.kind, draft.auth_method) != (client.kind, client.auth_method):
        return refusal(
            OAuthError("invalid_client_metadata", "The way of authentication stays. Register another client.")
        )
    changed = replace(
        draft,
        id=client.id,
        secret=client.secret,
        management=client.management,
        registered=client.registered,
        pending=client.pending or client.kind == "backend",
        disabled=client.disabled,
        launch_uris=client.launch_uris,
        **{name: getattr(client, name) for name in POLICY},
    )
    # Whoever approves it at this moment has not seen what it becomes.
    if not await realm.store.swap(client, changed, felt=True, seen=("pending", "verified", "disabled")):
        return refusal(OAuthError("invalid_request", "The registration was changed by somebody else. Read it again."))
    await realm.note("client-changed", request, client_id=client.id)
    return Answer(described(realm, changed))


async def remove(realm: Realm, request: Request, client_id: str) -> Answer:
    """Disable the client and take back what it was granted (RFC 7592 2.3)."""
    client = await _managed(realm, request, client_id)
    if client is None:
        return _unauthorized(realm)
    await realm.store.swap(client, replace(client, disabled=True), felt=True)
    await realm.store.end_grants(realm.clock(), "client", client_id=client.id)
    await realm.note("client-changed", request, client_id=client.id, disabled="yes")
    return Answer(None, 204)


def drafted(realm: Realm, metadata: Any, *, has_rights: bool = False) -> Client:
    """Return the client that metadata describes, without secrets.

    Args:
        realm: The server.
        metadata: Client metadata.
        has_rights: Whether an administrator gives it rights (`callers.RIGHTS`); a backend then needs no scopes beside them.

    Raises:
        OAuthError: `invalid_redirect_uri`, `invalid_client_metadata`, naming what to change.
    """
    if not isinstance(metadata, dict):
        raise OAuthError("invalid_client_metadata", "The body must be a JSON object of client metadata.")
    if said := [name for name in POLICY if name in metadata]:
        raise OAuthError(
            "invalid_client_metadata", f"'{said[0]}' is said by an administrator, never by a registration."
        )
    known = protocol.judge_registration(metadata)
    method = known.get("token_endpoint_auth_method", "client_secret_basic")
    if method not in tuple(KINDS):  # of any shape, also one that is no key
        raise OAuthError("invalid_client_metadata", f"token_endpoint_auth_method must be one of {', '.join(KINDS)}.")
    grant_types = _texts(known, "grant_types") or ("authorization_code",)
    kind = _kind(method, grant_types)
    uris = _texts(known, "redirect_uris")
    _check_redirects(realm, uris, kind)
    jwks, jwks_uri = _keys(realm, known, method)
    launch_uris = _texts({"launch_uris": metadata.get("launch_uris")}, "launch_uris")
    if why := next(
        (why for uri in launch_uris if (why := redirects.fault(uri, development=realm.policy.development))), ""
    ):
        raise OAuthError("invalid_client_metadata", f"A launch URI cannot be registered: {why}")
    return Client(
        id=opaque.new("app-"),
        kind=kind,
        auth_method=method,
        registered=realm.clock(),
        redirect_uris=uris,
        launch_uris=launch_uris,
        scope=_scope(realm, known, kind, has_rights),
        grant_types=tuple(dict.fromkeys(grant_types)),
        jwks=jwks,
        jwks_uri=jwks_uri,
        origins=tuple(dict.fromkeys(place for uri in uris if (place := redirects.origin(uri)))),
        contacts=tuple(_visible(one) for one in _texts(known, "contacts")),
        name=_visible(_text(known, "client_name"))[:MOST_NAME] or "App without a name",
        uri=_text(known, "client_uri"),
        logo_uri=_text(known, "logo_uri"),
        policy_uri=_text(known, "policy_uri"),
        tos_uri=_text(known, "tos_uri"),
    )


def described(realm: Realm, client: Client) -> dict[str, Any]:
    """Return the registration as its owner sees it; no secrets."""
    found: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": int(client.registered.timestamp()),
        "client_name": client.name,
        "token_endpoint_auth_method": client.auth_method,
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if "authorization_code" in client.grant_types else [],
        "redirect_uris": list(client.redirect_uris),
        "launch_uris": list(client.launch_uris),
        "contacts": list(client.contacts),
        "scope": client.scope,
        "jwks": client.jwks,
        "jwks_uri": client.jwks_uri,
        "client_uri": client.uri,
        "logo_uri": client.logo_uri,
        "policy_uri": client.policy_uri,
        "tos_uri": client.tos_uri,
        "registration_client_uri": realm.policy.url(f"register/{client.id}") if client.management else "",
        "pending_approval": client.pending,
        "facilities": list(client.facilities),
        "types": list(client.types),
        "purpose": client.purpose,
        "advisory": client.advisory,
    }
    return {name: value for name, value in found.items() if value}


def _secrets(client: Client, secret: str) -> dict[str, Any]:
    return {"client_secret": secret, "client_secret_expires_at": 0} if client.kind == "confidential" else {}


async def _admit(realm: Realm, request: Request) -> None:
    """Let in who may register now."""
    policy, now = realm.policy, realm.clock()
    if policy.registration == "closed":
        raise OAuthError("access_denied", "Clients are registered by an administrator here.", status=403)
    if policy.registration == "token":
        attempt = throttle.Attempt("registration", "", request.address)
        await throttle.check(realm.store, attempt, now)
        if not policy.registration_token or not opaque.matches(_bearer(request), policy.registration_token):
            await throttle.failed(realm.store, attempt, now)
            text = "Send the initial access token that an administrator gave you: Authorization: Bearer …"
            raise OAuthError("invalid_token", text, headers={"WWW-Authenticate": "Bearer"})
    number = await realm.store.count(f"register {throttle.network(request.address)}", now, now + timedelta(hours=1))
    if number > MOST_AN_HOUR:
        raise slow_down(3600)


async def _managed(realm: Realm, request: Request, client_id: str) -> Client | None:
    client = await realm.store.get(Client, client_id)
    right = opaque.matches(_bearer(request), client.management if client and client.management else "0" * 64)
    return client if client and client.management and right and not client.disabled else None


def _unauthorized(realm: Realm) -> Answer:
    text = "There is no such registration, or the registration access token is another one."
    return refusal(OAuthError("invalid_token", text, headers={"WWW-Authenticate": "Bearer"}))


def _bearer(request: Request) -> str:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else ""


def _kind(method: AuthMethod, grant_types: Sequence[str]) -> ClientKind:
    unknown = set(grant_types) - set(protocol.GRANT_TYPES)
    if unknown:
        raise OAuthError("invalid_client_metadata", f"grant_types may have {', '.join(protocol.GRANT_TYPES)} only.")
    if protocol.CLIENT_CREDENTIALS in grant_types:
        if method != "private_key_jwt" or len(set(grant_types)) > 1:
            text = "A backend service has the grant type client_credentials only, and proves itself by private_key_jwt."
            raise OAuthError("invalid_client_metadata", text)
        return "backend"
    if protocol.AUTHORIZATION_CODE not in grant_types:
        raise OAuthError("invalid_client_metadata", "grant_types needs authorization_code or client_credentials.")
    return KINDS[method]


def _check_redirects(realm: Realm, uris: Sequence[str], kind: ClientKind) -> None:
    if kind == "backend":
        if uris:
            raise OAuthError("invalid_redirect_uri", "A backend service has no redirect URI.")
        return
    if not 0 < len(uris) <= MOST_URIS:
        raise OAuthError("invalid_redirect_uri", f"Register 1 to {MOST_URIS} redirect URIs.")
    if why := next((why for uri in uris if (why := redirects.fault(uri, development=realm.policy.development))), ""):
        raise OAuthError("invalid_redirect_uri", why)


def _keys(realm: Realm, known: Mapping[str, Any], method: AuthMethod) -> tuple[Any, str]:
    jwks, jwks_uri = known.get("jwks"), _text(known, "jwks_uri")
    if method != "private_key_jwt":
        if jwks or jwks_uri:
            raise OAuthError("invalid_client_metadata", "Keys are for private_key_jwt. Leave out jwks and jwks_uri.")
        return None, ""
    if bool(jwks) == bool(jwks_uri):
        raise OAuthError("invalid_client_metadata", "private_key_jwt needs either jwks or jwks_uri, and not both.")
    secure = jwks_uri.startswith("https://") or realm.policy.development
    why = (
        key_sets.fault(jwks)
        if jwks
        else fetch.fault(jwks_uri) or ("" if secure else "The jwks_uri must begin with https://.")
    )
    if why:
        raise OAuthError("invalid_client_metadata", why)
    return jwks, jwks_uri


def _scope(realm: Realm, known: Mapping[str, Any], kind: ClientKind, has_rights: bool) -> str:  # noqa: FBT001 - private
    """Return the scope that a client may ask for: of the kind that it is, whatever it wishes."""
    asked = realm.scopes(_text(known, "scope"))
    context = {"system"} if kind == "backend" else {"patient", "user"}
    kept = asked.only(lambda one: isinstance(one.meaning, str) or getattr(one.meaning, "context", "patient") in context)
    if kind == "backend" and not kept.resources and not has_rights:
        raise OAuthError("invalid_client_metadata", "A backend service says in 'scope' which system/ scopes it needs.")
    return kept.text


def _texts(known: Mapping[str, Any], member: str) -> tuple[str, ...]:
    value = known.get(member)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value) or len(value) > MOST_URIS:
        raise OAuthError("invalid_client_metadata", f"The member '{member}' is a list of at most {MOST_URIS} strings.")
    return tuple(value)


def _visible(text: str) -> str:
    """Return a text without what people do not see: it would turn a page, a terminal or a log around it upside down."""
    kept = (char for char in text if char.isspace() or char in _JOINERS or not category(char).startswith("C"))
    return " ".join("".join(kept).split())


def _text(known: Mapping[str, Any], member: str) -> str:
    value = known.get(member, "")
    if not isinstance(value, str):
        raise OAuthError("invalid_client_metadata", f"The member '{member}' is a string.")
    if member.endswith("_uri") and value and not (redirects.is_plain(value) and redirects.origin(value)):
        raise OAuthError("invalid_client_metadata", f"The member '{member}' is an https URL.")
    return value
