"""What an administrator does with clients: add, list, change and disable them. Commands and pages stand on it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from smart_auth import opaque, register
from smart_auth.callers import RIGHTS
from smart_auth.errors import OAuthError
from smart_auth.realm import Realm
from smart_auth.records import Client, ClientKind

METHODS: dict[ClientKind, str] = {
    "public": "none",
    "confidential": "client_secret_basic",
    "asymmetric": "private_key_jwt",
    "backend": "private_key_jwt",
}


class Unacceptable(Exception):
    """What was asked for cannot be done. The text says what to change."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A client that an administrator wants.

    Attributes:
        kind: public, confidential, asymmetric or backend.
        name: What people read.
        redirect_uris: Where answers may be sent.
        launch_uris: Where an EHR launch may begin.
        scope: The most that it may ask for; a backend has just this. May also name rights (`callers.RIGHTS`).
        jwks: Its public keys, or `None`.
        jwks_uri: Where they are, or empty.
        id: The client_id; empty for one that is made up.
        facilities: Organizations whose records it is for; the first keeps what it creates. For backends only.
        types: Resource types that it is for. For backends only.
        purpose: Code of what it works for.
        advisory: Whether it only advises. For backends only.
    """

    kind: ClientKind
    name: str
    redirect_uris: Sequence[str] = ()
    launch_uris: Sequence[str] = ()
    scope: str = ""
    jwks: Any = None
    jwks_uri: str = ""
    id: str = ""
    facilities: Sequence[str] = ()
    types: Sequence[str] = ()
    purpose: str = ""
    advisory: bool = False


async def add_client(realm: Realm, wanted: Registration) -> tuple[Client, str]:
    """Return a new client, and its secret where it has one; the secret is shown this once.

    Raises:
        Unacceptable: It cannot be registered so.
    """
    draft = _drafted(realm, wanted)
    secret = opaque.new() if wanted.kind == "confidential" else ""
    client = replace(draft, secret=opaque.digest(secret) if secret else "", verified=True)
    if not await realm.store.add(client):
        raise Unacceptable(f"There is a client '{client.id}' already.")
    await realm.note("client-registered", client_id=client.id, client_kind=client.kind)
    return client, secret


async def clients(realm: Realm) -> Sequence[Client]:
    """Return all clients."""
    return [client for kind in METHODS for client in await realm.store.find(Client, kind=kind)]


async def enable_client(realm: Realm, client_id: str, scope: str = "") -> Client:
    """Let a client work: one that was disabled, or one that registered itself and waits.

    Args:
        realm: The server.
        client_id: Which.
        scope: The most that it may ask for from now on; empty for what it has asked for, or had.
    """
    client = await find_client(realm, client_id)
    reach = _drafted(realm, replace(_wanted(client), scope=scope)).scope if scope else client.scope
    seen = ("scope", "redirect_uris", "jwks", "jwks_uri", "name")  # nothing else is approved than what was there
    return await _changed(realm, client, seen, disabled=False, pending=False, verified=True, scope=reach)


async def disable_client(realm: Realm, client_id: str) -> Client:
    """Let a client do nothing any more; all that it was granted is taken back."""
    changed = await _changed(realm, await find_client(realm, client_id), disabled=True)
    await realm.store.end_grants(realm.clock(), "administrator", client_id=client_id)
    return changed


async def rotate_secret(realm: Realm, client_id: str) -> str:
    """Return a new secret of a confidential client; the old one is void at once."""
    client = await find_client(realm, client_id)
    if client.kind != "confidential":
        hint = " Give its new keys." if client.auth_method == "private_key_jwt" else ""
        raise Unacceptable(f"The client is {client.kind} and has no secret.{hint}")
    secret = opaque.new()
    await _changed(realm, client, secret=opaque.digest(secret))
    return secret


async def replace_keys(realm: Realm, client_id: str, *, jwks: Any = None, jwks_uri: str = "") -> Client:
    """Give a client that proves itself by keys other ones; the old ones are void at once."""
    client = await find_client(realm, client_id)
    if client.auth_method != "private_key_jwt":
        raise Unacceptable(f"The client is {client.kind} and has no keys.")
    draft = _drafted(realm, replace(_wanted(client), jwks=jwks, jwks_uri=jwks_uri))
    return await _changed(realm, client, jwks=draft.jwks, jwks_uri=draft.jwks_uri)


async def find_client(realm: Realm, client_id: str) -> Client:
    """Return a client.

    Raises:
        Unacceptable: There is none.
    """
    client = await realm.store.get(Client, client_id)
    if client is None:
        raise Unacceptable(f"There is no client '{client_id}'.")
    return client


def _drafted(realm: Realm, wanted: Registration) -> Client:
    rights = [word for word in wanted.scope.split() if word in RIGHTS]
    if wanted.kind != "backend" and (wanted.facilities or wanted.types or wanted.advisory):
        raise Unacceptable(
            "Facilities, types and advice are said of backend services; what an app reaches for people is for them to grant."
        )
    if wanted.advisory and rights:
        raise Unacceptable(f"A client that only advises cannot have the right '{rights[0]}'.")
    scope = " ".join(word for word in wanted.scope.split() if word not in RIGHTS)
    if refused := realm.scopes(scope).refused:
        raise Unacceptable(f"The scope '{refused[0][0]}' cannot be granted: {refused[0][1]}.")
    grant_types = ["client_credentials"] if wanted.kind == "backend" else ["authorization_code", "refresh_token"]
    metadata = {
        "client_name": wanted.name,
        "redirect_uris": list(wanted.redirect_uris),
        "launch_uris": list(wanted.launch_uris),
        "scope": scope,
        "grant_types": grant_types,
        "token_endpoint_auth_method": METHODS[wanted.kind],
        "jwks": wanted.jwks,
        "jwks_uri": wanted.jwks_uri,
    }
    try:
        named = {name: value for name, value in metadata.items() if value}
        draft = register.drafted(realm, named, has_rights=bool(rights))
    except OAuthError as error:
        raise Unacceptable(error.description) from error
    return replace(
        draft,
        id=wanted.id or draft.id,
        scope=" ".join((*draft.scope.split(), *rights)),
        facility=wanted.facilities[0] if wanted.facilities else "",
        facilities=tuple(dict.fromkeys(wanted.facilities)),
        types=tuple(dict.fromkeys(wanted.types)),
        purpose=wanted.purpose,
        advisory=wanted.advisory,
    )


def _wanted(client: Client) -> Registration:
    """Return what an administrator would have asked for to get this client."""
    return Registration(
        client.kind, client.name, client.redirect_uris, client.launch_uris, client.scope, client.jwks, client.jwks_uri
    )


async def _changed(realm: Realm, before: Client, seen: Sequence[str] = (), **changes: Any) -> Client:
    after = replace(before, **changes)
    if not await realm.store.swap(before, after, felt=True, seen=seen):
        raise Unacceptable("The client was changed by somebody else at this moment. Try again.")
    await realm.note("client-changed", client_id=before.id, changed=" ".join(sorted(changes)))
    return after
