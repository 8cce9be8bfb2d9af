"""People: signing in with a password and a second factor, invitations, and passwords chosen anew (smart.md 4.8).

A failure says the same, and takes the same time, whether or not there is such a person.
"""

import asyncio
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from smart_auth import opaque, passwords, throttle, totp
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from smart_auth.records import Invitation, User

WRONG = "The login or the password is not right."
VOID = "This link is not valid any more. Ask for a new one."
WRONG_DIGITS = "These digits are not right. Wait for the next ones and try again."


@dataclass(frozen=True, slots=True)
class Proof:
    """What a person has proved so far.

    Attributes:
        user: Who.
        needs_digits: Whether the second factor is still to come.
        must_enrol: Whether the person needs a second factor and has none yet.
    """

    user: User
    needs_digits: bool
    must_enrol: bool


class SignInFailed(Exception):
    """The proof was not right. The text may be shown."""


def folded(login: str) -> str:
    """Return the one form of a login."""
    return unicodedata.normalize("NFKC", login).strip().casefold()


async def sign_in(realm: Realm, request: Request, login: str, password: str, *, known: bool = False) -> Proof:
    """Return what a password proves.

    Args:
        realm: The server.
        request: For the address, and the audit trail.
        login: What was typed.
        password: What was typed.
        known: Whether this person has signed in from this browser before (`device`).

    Raises:
        SignInFailed: There is no such person, or the password is another one.
        OAuthError: `slow_down`.
    """
    name = folded(login)[:200]
    attempt = throttle.Attempt("password", name, request.address, known)
    async with realm.turns.of(attempt):
        await throttle.check(realm.store, attempt, realm.clock())
        user = next(iter(await realm.store.find(User, login=name)), None)
        kept = user.password if user and not user.disabled else ""
        right = await asyncio.to_thread(
            realm.passwords.check, kept, password
        )  # first: it takes its time for nobody, too
        if user is None or not right:
            await _failed(realm, request, attempt, "sign-in-failed", user)
            raise SignInFailed(WRONG)
        await throttle.succeeded(realm.store, attempt)
        if realm.passwords.outdated(kept):
            again = replace(user, password=await asyncio.to_thread(realm.passwords.hash, password))
            await realm.store.swap(user, again)
            user = again
    required = realm.policy.staff_second_factor and user.kind != "patient"
    return Proof(user, bool(user.totp), required and not user.totp)


async def second_factor(realm: Realm, request: Request, user: User, digits: str) -> User:
    """Return the person whose digits are right, as the record now is.

    Raises:
        SignInFailed: They are not, or were used before.
        OAuthError: `slow_down`.
    """
    attempt = throttle.Attempt("otp", user.id, request.address)
    async with realm.turns.of(attempt):
        await throttle.check(realm.store, attempt, realm.clock())
        counter = totp.accepted(user.totp, digits, realm.clock(), after=user.totp_last) if user.totp else 0
        used = replace(user, totp_last=counter)
        if not counter or not await realm.store.swap(user, used):
            await _failed(realm, request, attempt, "second-factor-failed", user)
            raise SignInFailed(WRONG_DIGITS)
        await throttle.succeeded(realm.store, attempt)
    return used


async def enrol(realm: Realm, request: Request, user: User, secret: str, digits: str) -> User:
    """Give a person a second factor whose digits are right, and return the person.

    Raises:
        SignInFailed: They are not, or the person has one already.
    """
    counter = totp.accepted(secret, digits, realm.clock())
    enrolled = replace(user, totp=secret, totp_last=counter)
    if not counter or user.totp or not await realm.store.swap(user, enrolled):
        raise SignInFailed(WRONG_DIGITS)
    await realm.note("second-factor-set", request, user_id=user.id)
    return enrolled


async def invite(
    realm: Realm, user: User, request: Request | None = None, life: timedelta = passwords.INVITATION_LIFE
) -> str:
    """Return the secret of a link with which a person can choose a password, once, within a day or as long as said."""
    secret, now = opaque.new(), realm.clock()
    await realm.store.add(Invitation(opaque.digest(secret), user.id, now, now + life))
    await realm.note("invited", request, user_id=user.id)
    return secret


async def choose_password(realm: Realm, request: Request, secret: str, password: str) -> User:
    """Set the password of the person who was given a link; sessions and grants from before are over.

    Raises:
        SignInFailed: The link is not valid (any more), or the password is weak; then the link stays valid.
    """
    invitation = await realm.store.get(Invitation, opaque.digest(secret))
    user = await realm.store.get(User, invitation.user_id) if invitation else None
    now = realm.clock()
    if invitation is None or user is None or user.disabled or not _usable(invitation, user, now):
        raise SignInFailed(VOID)
    if why := passwords.weakness(password, login=user.login, name=user.name):
        raise SignInFailed(why)
    kept = await asyncio.to_thread(realm.passwords.hash, password)
    if not await realm.store.swap(invitation, replace(invitation, used=now)):
        raise SignInFailed(VOID)
    changed = replace(user, password=kept, credentials_changed=now)
    if not await realm.store.swap(user, changed, felt=True):
        raise OAuthError("slow_down", "The account is being changed by somebody else. Ask for a new link.")
    await realm.note("password-set", request, user_id=user.id)
    return changed


def _usable(invitation: Invitation, user: User, now: datetime) -> bool:
    return not invitation.used and now < invitation.expires and user.credentials_changed <= invitation.created


def device(realm: Realm, user: User) -> str:
    """Return what the browser of a person keeps after a sign-in, so that attacks from elsewhere do not make it wait."""
    return opaque.derived(realm.secret, "", "device", user.login)


def is_device(realm: Realm, login: str, shown: str) -> bool:
    """Return whether a browser has been given `device` for a login."""
    return bool(shown) and opaque.matches(
        shown, opaque.digest(opaque.derived(realm.secret, "", "device", folded(login)))
    )


async def _failed(realm: Realm, request: Request, attempt: throttle.Attempt, kind: str, user: User | None) -> None:
    user_id = user.id if user else ""
    await realm.note(kind, request, user_id=user_id)
    if await throttle.failed(realm.store, attempt, realm.clock()):
        await realm.note("locked-out", request, user_id=user_id, what=attempt.what)
