"""What people are written: the letters with a link, and notices of what has happened to their account. Plain words only."""

from datetime import datetime

from smart_auth.messages import Message, MessageKind
from smart_auth.realm import Realm
from smart_auth.records import User

NOT_ME = "If you did not do this, tell the people who run {name} at once: somebody else may be using your account."


def password_url(realm: Realm, secret: str) -> str:
    """Return the link to choose a password."""
    return f"{realm.policy.url('password')}?link={secret}"


def invitation(realm: Realm, user: User, secret: str, until: datetime) -> Message:
    """Return the letter that lets a new person choose the first password."""
    name = realm.policy.name
    text = (
        f"You have an account at {name} now. Your login is: {user.login}\n\n"
        f"Choose a password on this page:\n\n{password_url(realm, secret)}\n\n"
        f"The link works once, until {_time(until)}. Give it to nobody.\n"
        f"After that time, ask for another one on {realm.policy.url('forgot')}."
    )
    return _letter("invitation", user, f"Your account at {name}", text)


def reset(realm: Realm, user: User, secret: str, until: datetime) -> Message:
    """Return the letter that lets a person choose another password."""
    name = realm.policy.name
    text = (
        f"Somebody, probably you, wants to choose a new password for your account {user.login} at {name}.\n"
        f"This page lets you do that:\n\n{password_url(realm, secret)}\n\n"
        f"The link works once, until {_time(until)}. Give it to nobody.\n"
        "If it was not you, do nothing: your password stays as it is."
    )
    return _letter("reset", user, f"A new password for {name}", text)


def password_set(realm: Realm, user: User) -> Message:
    """Return the notice that the password is another one now."""
    return _notice(realm, user, "Your password was changed", "A new password was chosen for your account")


def second_factor_set(realm: Realm, user: User) -> Message:
    """Return the notice that an authenticator app is asked for from now on."""
    return _notice(realm, user, "A second factor was set up", "An authenticator app was set up for your account")


def second_factor_removed(realm: Realm, user: User) -> Message:
    """Return the notice that the authenticator app counts no more."""
    return _notice(
        realm,
        user,
        "Your second factor was removed",
        "An administrator has removed the authenticator app of your account",
    )


def address_changed(realm: Realm, user: User) -> Message:
    """Return the notice, to the address of before, that letters go to another one from now on."""
    return _notice(
        realm,
        user,
        "Your e-mail address was changed",
        "An administrator has changed the e-mail address of your account",
    )


def _notice(realm: Realm, user: User, subject: str, what: str) -> Message:
    name = realm.policy.name
    text = f"{what} {user.login} at {name}, on {_time(realm.clock())}.\n\n{NOT_ME.format(name=name)}"
    return _letter("notice", user, f"{subject} ({name})", text)


def _letter(kind: MessageKind, user: User, subject: str, text: str) -> Message:
    return Message(kind, user.email, subject, f"Hello {user.name},\n\n{text}\n")


def _time(when: datetime) -> str:
    return f"{when:%-d %B %Y, %H:%M} UTC"
