"""What people are written: the letters with a link, and notices of what has happened to their account. Plain words only."""

from datetime import datetime

from smart_auth.language import Language
from smart_auth.messages import Message, MessageKind
from smart_auth.realm import Realm
from smart_auth.records import User

IN_ENGLISH = Language()


def password_url(realm: Realm, secret: str) -> str:
    """Return the link to choose a password."""
    return f"{realm.policy.url('password')}?link={secret}"


def invitation(realm: Realm, user: User, secret: str, until: datetime, language: Language = IN_ENGLISH) -> Message:
    """Return the letter that lets a new person choose the first password."""
    say, name = language.say, realm.policy.name
    paragraphs = (
        say("You have an account at {name} now. Your login is: {login}", name=name, login=user.login),
        say("Choose a password on this page:"),
        password_url(realm, secret),
        say("The link works once, until {time}. Give it to nobody.", time=_time(until, language)),
        say("After that time, ask for another one on {page}.", page=realm.policy.url("forgot")),
    )
    return _letter("invitation", user, say("Your account at {name}", name=name), paragraphs, language)


def reset(realm: Realm, user: User, secret: str, until: datetime, language: Language = IN_ENGLISH) -> Message:
    """Return the letter that lets a person choose another password."""
    say, name = language.say, realm.policy.name
    paragraphs = (
        say(
            "Somebody, probably you, wants to choose a new password for your account {login} at {name}. "
            "This page lets you do that:",
            login=user.login,
            name=name,
        ),
        password_url(realm, secret),
        say("The link works once, until {time}. Give it to nobody.", time=_time(until, language)),
        say("If it was not you, do nothing: your password stays as it is."),
    )
    return _letter("reset", user, say("A new password for {name}", name=name), paragraphs, language)


def password_set(realm: Realm, user: User, language: Language = IN_ENGLISH) -> Message:
    """Return the notice that the password is another one now."""
    say, values = language.say, _values(realm, user, language)
    text = say("A new password was chosen for your account {login} at {name}, on {time}.", **values)
    return _notice(realm, user, say("Your password was changed ({name})", name=realm.policy.name), text, language)


def second_factor_set(realm: Realm, user: User, language: Language = IN_ENGLISH) -> Message:
    """Return the notice that an authenticator app is asked for from now on."""
    say, values = language.say, _values(realm, user, language)
    text = say("An authenticator app was set up for your account {login} at {name}, on {time}.", **values)
    return _notice(realm, user, say("A second factor was set up ({name})", name=realm.policy.name), text, language)


def second_factor_removed(realm: Realm, user: User, language: Language = IN_ENGLISH) -> Message:
    """Return the notice that the authenticator app counts no more."""
    say, values = language.say, _values(realm, user, language)
    text = say(
        "An administrator has removed the authenticator app of your account {login} at {name}, on {time}.", **values
    )
    return _notice(realm, user, say("Your second factor was removed ({name})", name=realm.policy.name), text, language)


def address_changed(realm: Realm, user: User, language: Language = IN_ENGLISH) -> Message:
    """Return the notice, to the address of before, that letters go to another one from now on."""
    say, values = language.say, _values(realm, user, language)
    text = say(
        "An administrator has changed the e-mail address of your account {login} at {name}, on {time}.", **values
    )
    return _notice(realm, user, say("Your e-mail address was changed ({name})", name=realm.policy.name), text, language)


def _values(realm: Realm, user: User, language: Language) -> dict[str, str]:
    return {"login": user.login, "name": realm.policy.name, "time": _time(realm.clock(), language)}


def _notice(realm: Realm, user: User, subject: str, text: str, language: Language) -> Message:
    warning = language.say(
        "If you did not do this or ask for it, tell the people who run {name} at once: somebody else may be using "
        "your account.",
        name=realm.policy.name,
    )
    return _letter("notice", user, subject, (text, warning), language)


def _letter(kind: MessageKind, user: User, subject: str, paragraphs: tuple[str, ...], language: Language) -> Message:
    greeting = language.say("Hello {person},", person=user.name)
    return Message(kind, user.email, subject, "\n\n".join((greeting, *paragraphs)) + "\n")


def _time(when: datetime, language: Language) -> str:
    return language.say("{day}, {time} UTC", day=language.day(when), time=f"{when:%H:%M}")
