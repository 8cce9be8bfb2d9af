"""Back to a password: the person asks for a letter with a link, and whoever asks for somebody else learns nothing.

The answer is the same, and comes as soon, whether or not there is such an account: it is given before anybody has looked.
"""

from contextlib import suppress
from datetime import timedelta

from smart_auth import letters, people, throttle
from smart_auth.errors import slow_down
from smart_auth.exchange import Request
from smart_auth.language import Language
from smart_auth.messages import Message, Undelivered
from smart_auth.realm import Realm
from smart_auth.records import User

RESET_LIFE = timedelta(minutes=30)
HOUR = timedelta(hours=1)
MOST_FROM_ONE_NETWORK = 20
MOST_TO_ONE_PERSON = 3


async def admit(realm: Realm, request: Request) -> None:
    """Return when this network may ask for a letter now.

    Raises:
        OAuthError: `slow_down`.
    """
    now = realm.clock()
    name = f"forgot {throttle.network(request.address)}"
    if await realm.store.count(name, now, now + HOUR) > MOST_FROM_ONE_NETWORK:
        raise slow_down(int(HOUR.total_seconds()))


async def send_link(realm: Realm, request: Request, login: str, language: Language = letters.IN_ENGLISH) -> None:
    """Send a letter with a link to who has a login and an address. To be called when the answer has been given.

    A person gets three letters an hour at most, so that nobody's mailbox can be filled from here.

    Raises:
        Undelivered: As `tell`.
    """
    user = next(iter(await realm.store.find(User, login=people.folded(login)[:200])), None)
    await realm.note("reset-asked", request, user_id=user.id if user else "")
    if user is None or user.disabled or not user.email:
        return
    now = realm.clock()
    if await realm.store.count(f"letters {user.id}", now, now + HOUR) > MOST_TO_ONE_PERSON:
        return
    secret = await people.invite(realm, user, request, RESET_LIFE)
    await tell(realm, user, letters.reset(realm, user, secret, now + RESET_LIFE, language))


async def tell(realm: Realm, user: User, message: Message) -> None:
    """Send a letter to a person who has an address.

    Raises:
        Undelivered: It was not taken. This is for the operator, not for whoever asked for the letter.
    """
    if not user.email:
        return
    try:
        await realm.messenger.send(message)
    except Undelivered:
        await realm.note("message-failed", user_id=user.id, message=message.kind)
        raise


async def notice(realm: Realm, user: User, message: Message) -> None:
    """Tell a person of what has happened to the account, where that is possible: it has happened either way."""
    with suppress(Undelivered):
        await tell(realm, user, message)
