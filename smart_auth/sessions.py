"""Browser sessions: begun at sign-in with a new secret, used, and ended on the server (smart.md 4.8, RFC 9700 4.7).

The cookie holds the secret; the record holds its digest. A session never exists before the sign-in, so there is none that an
attacker could have fixed beforehand. What a form carries against forgery is derived from the session and from what the form
is for.
"""

import hmac
from dataclasses import replace
from typing import Literal

from smart_auth import opaque
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from smart_auth.records import Session, User
from smart_auth.tokens import over

COOKIE = "__Host-aquifer"
Missing = Literal["", "digits", "enrolment"]

SEEN_EVERY = 60
"""Seconds after which the use of a session is written down again."""


async def begin(realm: Realm, user: User, factors: tuple[str, ...], acting_as: str = "") -> tuple[str, Session]:
    """Return the secret for the cookie, and the session that it stands for."""
    now = realm.clock()
    secret = opaque.new()
    session = Session(opaque.digest(secret), user.id, opaque.new(), now, now, factors, acting_as)
    await realm.store.add(session)
    return secret, session


async def current(realm: Realm, cookie: str) -> tuple[Session, User] | None:
    """Return the session of a cookie and its person, or `None` where nobody is signed in with all that is needed."""
    found = await unfinished(realm, cookie)
    return found if found and not missing(realm, *found) else None


async def unfinished(realm: Realm, cookie: str) -> tuple[Session, User] | None:
    """Return the session of a cookie and its person, also where the second factor is still to come."""
    session = await realm.store.get(Session, opaque.digest(cookie)) if cookie else None
    if session is None or over(realm, session):
        return None
    user = await realm.store.get(User, session.user_id)
    if user is None or user.disabled or user.credentials_changed > session.created:
        return None
    now = realm.clock()
    if (now - session.seen).total_seconds() >= SEEN_EVERY:
        seen = replace(session, seen=now)
        await realm.store.swap(session, seen)
        return seen, user
    return session, user


def missing(realm: Realm, session: Session, user: User) -> Missing:
    """Return what a session lacks before it counts: digits, a second factor to be set up, or nothing."""
    if user.totp:
        return "" if "otp" in session.factors else "digits"
    return "enrolment" if realm.policy.staff_second_factor and user.kind != "patient" else ""


async def renew(realm: Realm, session: Session, user: User, factor: str) -> tuple[str, Session]:
    """Return a new session with one factor more; the old one, and with it the old cookie, is over."""
    await realm.store.swap(session, replace(session, ended=realm.clock()))
    return await begin(realm, user, (*session.factors, factor), session.acting_as)


async def end(realm: Realm, session: Session, request: Request | None = None) -> None:
    """Sign out: the session is over, and with it what may only be refreshed while somebody is signed in."""
    await realm.store.swap(session, replace(session, ended=realm.clock()), felt=True)
    await realm.store.end_grants(realm.clock(), "sign-out", session_id=session.id, access="online")
    user = await realm.store.get(User, session.user_id)
    role = user.role(session.acting_as) if user else ""
    await realm.note("sign-out", request, user_id=session.user_id, acting_as=role)


async def act_as(realm: Realm, session: Session, user: User, reference: str, request: Request | None = None) -> Session:
    """Return the session in which the person acts as one of the links to the record.

    Raises:
        ValueError: The person has no such link.
    """
    if reference not in {link.reference for link in user.roles}:
        raise ValueError("The person has no such role.")
    changed = replace(session, acting_as=reference)
    await realm.store.swap(session, changed, felt=True)
    await realm.note("role-chosen", request, user_id=user.id, acting_as=reference, role=reference)
    return changed


def form_token(session: Session, purpose: str) -> str:
    """Return what a form of this session carries: nobody can know it who cannot read this session's pages."""
    return opaque.derived(session.csrf.encode(), "", purpose)


def is_form_token(session: Session, purpose: str, shown: str) -> bool:
    """Return whether a form was one of this session, for this purpose."""
    return hmac.compare_digest(form_token(session, purpose).encode(), shown.encode("utf-8", "surrogatepass"))
