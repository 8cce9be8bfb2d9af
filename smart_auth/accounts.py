"""What an administrator does with people: add, list, link, disable them, and help them in again. Commands and pages stand on it."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from smart_auth import letters, opaque, passwords, people, recovery
from smart_auth.administration import Unacceptable
from smart_auth.language import Language
from smart_auth.messages import is_address
from smart_auth.realm import Realm
from smart_auth.records import Grant, Link, PersonKind, User
from smart_auth.store import changed as differing

LINKS: Mapping[PersonKind, frozenset[str]] = {
    "patient": frozenset({"Patient", "RelatedPerson", "Person"}),
    "staff": frozenset({"Practitioner", "PractitionerRole", "Person"}),
    "administrator": frozenset({"Practitioner", "PractitionerRole", "Person"}),
}
"""Who a person of a kind can be in the record. A doctor who is a patient too has two accounts, so that neither reaches what is
the other's."""

MOST_NAME = 200
Help = Literal["letter", "link"]

_LOGIN = re.compile(r"[^\s\x00-\x1f]{1,200}")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person whom an administrator wants to let in.

    Attributes:
        login: What the person types.
        name: What is shown.
        kind: patient, staff or administrator.
        links: Who this is in the record; the first one is the person's own.
        email: Where letters go; empty for nowhere.
        password: A first password; empty where the person chooses one with a link.
    """

    login: str
    name: str
    kind: PersonKind
    links: Sequence[Link] = ()
    email: str = ""
    password: str = ""


async def add(realm: Realm, wanted: NewUser) -> User:
    """Return a new person.

    Raises:
        Unacceptable: The login is taken or malformed, a link leads to nobody of this kind, or the password is weak.
    """
    login, name, email = people.folded(wanted.login), _name(wanted.name), _email(wanted.email)
    if not _LOGIN.fullmatch(login):
        raise Unacceptable("A login has 1 to 200 characters and no spaces.")
    links = tuple(dict.fromkeys(_sound(wanted.kind, link) for link in wanted.links))
    kept = await _hashed(realm, wanted.password, login, name) if wanted.password else ""
    user = User(opaque.new("u-"), login, name, wanted.kind, realm.clock(), kept, links=links, email=email)
    if not await realm.store.add(user):
        raise Unacceptable(f"The login '{login}' is taken.")
    await realm.note("user-added", user_id=user.id, person=user.kind)
    return user


async def find(realm: Realm, login: str) -> User:
    """Return the person with a login.

    Raises:
        Unacceptable: There is none.
    """
    found = await realm.store.find(User, login=people.folded(login))
    if not found:
        raise Unacceptable(f"There is nobody with the login '{login}'.")
    return found[0]


async def every(realm: Realm, kind: PersonKind | None = None) -> Sequence[User]:
    """Return all people, or those of a kind, by login."""
    found = await realm.store.find(User, **({"kind": kind} if kind else {}))
    return sorted(found, key=lambda user: user.login)


async def invite(realm: Realm, login: str, language: Language = letters.IN_ENGLISH) -> str:
    """Write a person a letter with a link to choose the first password, and return the address that it went to.

    Raises:
        Unacceptable: The person is disabled, or has no address.
        Undelivered: The letter was not taken.
    """
    user = await find(realm, login)
    secret = await _link(realm, user, "letter")
    letter = letters.invitation(realm, user, secret, realm.clock() + passwords.INVITATION_LIFE, language)
    await recovery.tell(realm, user, letter)
    return user.email


async def help_in(realm: Realm, login: str, how: Help, language: Language = letters.IN_ENGLISH) -> str:
    """Give a person a link to choose another password, and return it, or the address that a letter with it went to.

    The password of now stays valid until another one is chosen; to keep somebody out at once, disable the account.

    Args:
        realm: The server.
        login: Whose.
        how: `letter`, to the person; `link`, for an administrator to hand over.
        language: Of the letter.

    Raises:
        Unacceptable: The person is disabled, or has no address for a letter.
        Undelivered: The letter was not taken.
    """
    user = await find(realm, login)
    secret = await _link(realm, user, how)
    if how == "link":
        return letters.password_url(realm, secret)
    until = realm.clock() + passwords.INVITATION_LIFE
    await recovery.tell(realm, user, letters.reset(realm, user, secret, until, language))
    return user.email


async def change(realm: Realm, login: str, *, name: str = "", email: str = "") -> User:
    """Change what a person is called, or where letters go; what is empty stays. The address of before is told of another one.

    Raises:
        Unacceptable: The name or the address is malformed.
    """
    user = await find(realm, login)
    changed = replace(user, name=_name(name or user.name), email=_email(email or user.email))
    if changed == user:
        return user
    await _swapped(realm, user, changed)
    if changed.email != user.email:
        await recovery.notice(realm, user, letters.address_changed(realm, user))
    return changed


async def set_password(realm: Realm, login: str, password: str) -> User:
    """Give a person another password; sessions and grants from before are over.

    Raises:
        Unacceptable: It is weak.
    """
    user = await find(realm, login)
    kept = await _hashed(realm, password, user.login, user.name)
    changed = await _swapped(realm, user, replace(user, password=kept, credentials_changed=realm.clock()))
    await realm.note("password-set", user_id=user.id)
    await recovery.notice(realm, changed, letters.password_set(realm, changed))
    return changed


async def remove_second_factor(realm: Realm, login: str) -> User:
    """Take the second factor from a person who has lost it; who is signed in is signed out."""
    user = await find(realm, login)
    if not user.totp:
        return user
    changed = await _swapped(realm, user, replace(user, totp="", totp_last=0, credentials_changed=realm.clock()))
    await recovery.notice(realm, changed, letters.second_factor_removed(realm, changed))
    return changed


async def link(realm: Realm, login: str, links: Sequence[Link]) -> User:
    """Say who a person is in the record, beside what was said before."""
    user = await find(realm, login)
    sound = (_sound(user.kind, link) for link in links)
    after = tuple(dict.fromkeys((*user.links, *sound)))
    return user if after == user.links else await _swapped(realm, user, replace(user, links=after))


async def unlink(realm: Realm, login: str, references: Collection[str]) -> User:
    """Take links back, and with them every grant for a patient whom the person no longer is or acts for.

    Raises:
        Unacceptable: The person has no such link.
    """
    user = await find(realm, login)
    held = {link.reference for link in user.links}
    if strange := sorted(set(references) - held):
        raise Unacceptable(f"The person is not linked to {strange[0]}, but to {', '.join(sorted(held)) or 'nothing'}.")
    kept = tuple(link for link in user.links if link.reference not in references)
    changed = await _swapped(realm, user, replace(user, links=kept))
    lost = {link.patient for link in user.links} - {link.patient for link in kept} - {""}
    for grant in await realm.store.find(Grant, user_id=user.id):
        if grant.context.patient in lost or {grant.fhir_user, grant.acting_as} & set(references):
            await realm.store.end_grants(realm.clock(), "link", id=grant.id)
    return changed


async def disable(realm: Realm, login: str) -> User:
    """Let a person sign in no more; sessions and all that was granted are over, also if the person is let in again."""
    user = await find(realm, login)
    changed = await _swapped(realm, user, replace(user, disabled=True, credentials_changed=realm.clock()))
    await realm.store.end_grants(realm.clock(), "administrator", user_id=user.id)
    return changed


async def enable(realm: Realm, login: str) -> User:
    """Let a person sign in again."""
    user = await find(realm, login)
    return await _swapped(realm, user, replace(user, disabled=False))


async def _link(realm: Realm, user: User, how: Help) -> str:
    if user.disabled:
        raise Unacceptable(f"The account '{user.login}' is disabled. Enable it first.")
    if how == "letter" and not user.email:
        raise Unacceptable(f"The account '{user.login}' has no e-mail address. Hand a link over instead.")
    return await people.invite(realm, user)


async def _hashed(realm: Realm, password: str, login: str, name: str) -> str:
    if why := passwords.weakness(password, login=login, name=name):
        raise Unacceptable(why)
    return await asyncio.to_thread(realm.passwords.hash, password)


async def _swapped(realm: Realm, before: User, after: User) -> User:
    if not await realm.store.swap(before, after, felt=True):
        raise Unacceptable("The account was changed by somebody else at this moment. Try again.")
    await realm.note("user-changed", user_id=before.id, changed=" ".join(differing(before, after)))
    return after


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise Unacceptable(f"A name has 1 to {MOST_NAME} characters, all of them printable.")
    return name


def _email(text: str) -> str:
    if text and not is_address(text):
        raise Unacceptable(f"'{text}' is not an e-mail address such as ann@example.org.")
    return text


def _sound(kind: PersonKind, link: Link) -> Link:
    """Return a link with the patient whom it stands for."""
    found = _REFERENCE.fullmatch(link.reference)
    if not found or found[1] not in LINKS[kind]:
        kinds = ", ".join(sorted(LINKS[kind]))
        raise Unacceptable(f"'{link.reference}' is none of {kinds}, which are who a person of kind {kind} can be.")
    if found[1] == "Patient":
        return Link(link.reference, found[2])
    if found[1] == "RelatedPerson" and not link.patient:
        raise Unacceptable(f"{link.reference} acts for a patient; say for which.")
    return link
