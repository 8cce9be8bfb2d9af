"""What an administrator does: add, list, change and disable clients and people. Commands and pages stand on it."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from smart_auth import opaque, passwords, people, register
from smart_auth.callers import RIGHTS
from smart_auth.errors import OAuthError
from smart_auth.realm import Realm
from smart_auth.records import Client, ClientKind, Link, PersonKind, User

METHODS: dict[ClientKind, str] = {
    "public": "none",
    "confidential": "client_secret_basic",
    "asymmetric": "private_key_jwt",
    "backend": "private_key_jwt",
}
LINKED = frozenset({"Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Person"})

_LOGIN = re.compile(r"[^\s\x00-\x1f]{1,200}")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}", re.ASCII)


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
    """

    kind: ClientKind
    name: str
    redirect_uris: Sequence[str] = ()
    launch_uris: Sequence[str] = ()
    scope: str = ""
    jwks: Any = None
    jwks_uri: str = ""


async def add_client(realm: Realm, wanted: Registration) -> tuple[Client, str]:
    """Return a new client, and its secret where it has one; the secret is shown this once.

    Raises:
        Unacceptable: It cannot be registered so.
    """
    rights = [word for word in wanted.scope.split() if word in RIGHTS]
    scope = " ".join(word for word in wanted.scope.split() if word not in RIGHTS)
    refused = realm.scopes(scope).refused
    if refused:
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
    secret = opaque.new() if wanted.kind == "confidential" else ""
    reach = " ".join((*draft.scope.split(), *rights))
    client = replace(draft, secret=opaque.digest(secret) if secret else "", scope=reach, verified=True)
    await realm.store.add(client)
    await realm.note("client-registered", client_id=client.id, client_kind=client.kind)
    return client, secret


async def clients(realm: Realm) -> Sequence[Client]:
    """Return all clients."""
    return [client for kind in METHODS for client in await realm.store.find(Client, kind=kind)]


async def approve(realm: Realm, client_id: str) -> Client:
    """Let a client that registered itself do what it asked for."""
    return await _changed(realm, client_id, pending=False, verified=True)


async def rotate_secret(realm: Realm, client_id: str) -> str:
    """Return a new secret of a confidential client; the old one is void at once."""
    client = await _client(realm, client_id)
    if client.kind != "confidential":
        raise Unacceptable(f"The client is {client.kind} and has no secret.")
    secret = opaque.new()
    await _changed(realm, client_id, secret=opaque.digest(secret))
    return secret


async def disable_client(realm: Realm, client_id: str) -> None:
    """Let a client do nothing any more; all that it was granted is taken back."""
    await _changed(realm, client_id, disabled=True)
    await realm.store.end_grants(realm.clock(), "administrator", client_id=client_id)


async def add_user(
    realm: Realm, login: str, name: str, kind: PersonKind, *, links: Sequence[Link] = (), password: str = ""
) -> tuple[User, str]:
    """Return a new person, and the secret of the link to choose a password, where none was given.

    Raises:
        Unacceptable: The login is taken or malformed, a link leads to no person, or the password is weak.
    """
    folded = people.folded(login)
    if not _LOGIN.fullmatch(folded):
        raise Unacceptable("A login has 1 to 200 characters and no spaces.")
    for link in links:
        _check_link(link)
    if password and (why := passwords.weakness(password, login=folded, name=name)):
        raise Unacceptable(why)
    kept = await asyncio.to_thread(realm.passwords.hash, password) if password else ""
    user = User(opaque.new("u-"), folded, name, kind, realm.clock(), kept, links=tuple(links))
    if not await realm.store.add(user):
        raise Unacceptable(f"The login '{folded}' is taken.")
    await realm.note("user-added", user_id=user.id, person=kind)
    return user, "" if password else await people.invite(realm, user)


async def find_user(realm: Realm, login: str) -> User:
    """Return the person with a login.

    Raises:
        Unacceptable: There is none.
    """
    found = await realm.store.find(User, login=people.folded(login))
    if not found:
        raise Unacceptable(f"There is nobody with the login '{login}'.")
    return found[0]


async def link(realm: Realm, login: str, link: Link) -> User:
    """Say who a person is in the record, beside what was said before."""
    _check_link(link)
    user = await find_user(realm, login)
    if link in user.links:
        return user
    return await _swapped(realm, user, replace(user, links=(*user.links, link)))


async def disable_user(realm: Realm, login: str) -> User:
    """Let a person sign in no more; sessions and all that was granted are over."""
    user = await _swapped(realm, found := await find_user(realm, login), replace(found, disabled=True))
    await realm.store.end_grants(realm.clock(), "administrator", user_id=user.id)
    return user


async def reset(realm: Realm, login: str, *, second_factor: bool = False) -> str:
    """Return the secret of a link with which a person chooses another password; also take the second factor away if asked."""
    user = await find_user(realm, login)
    if second_factor and user.totp:
        user = await _swapped(realm, user, replace(user, totp="", totp_last=0))
    return await people.invite(realm, user)


def invitation_url(realm: Realm, secret: str) -> str:
    """Return the link to choose a password."""
    return f"{realm.policy.url('password')}?link={secret}"


async def _client(realm: Realm, client_id: str) -> Client:
    client = await realm.store.get(Client, client_id)
    if client is None:
        raise Unacceptable(f"There is no client '{client_id}'.")
    return client


async def _changed(realm: Realm, client_id: str, **changes: Any) -> Client:
    before = await _client(realm, client_id)
    after = replace(before, **changes)
    if not await realm.store.swap(before, after, felt=True):
        raise Unacceptable("The client was changed by somebody else at this moment. Try again.")
    await realm.note("client-changed", client_id=client_id, changed=" ".join(sorted(changes)))
    return after


async def _swapped(realm: Realm, before: User, after: User) -> User:
    if not await realm.store.swap(before, after, felt=True):
        raise Unacceptable("The account was changed by somebody else at this moment. Try again.")
    await realm.note("user-changed", user_id=before.id)
    return after


def _check_link(link: Link) -> None:
    found = _REFERENCE.fullmatch(link.reference)
    if not found or found[1] not in LINKED:
        raise Unacceptable(f"A person is linked to one of {', '.join(sorted(LINKED))}, written as Patient/123.")
    if found[1] == "RelatedPerson" and not link.patient:
        raise Unacceptable("A RelatedPerson acts for a patient; say for which.")
