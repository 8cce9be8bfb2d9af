"""Slowing down whoever guesses, without letting them lock out others (OWASP Authentication Cheat Sheet; smart.md 4.8).

Failures are counted for an account from one network, and for a network over all accounts. Only the first makes the account
wait, and only there: the person in another network is not touched. An account that is attacked from very many networks
waits too, except in browsers in which the person has signed in before; so an attacker needs many networks, for as long as
the attack goes on, and still locks nobody out of a known browser. No wait is longer than fifteen minutes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from smart_auth import opaque
from smart_auth.errors import slow_down
from smart_auth.store import AuthStore

MEMORY = timedelta(hours=1)
LONGEST = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many failures pass freely before each further one makes the next attempt wait, twice as long every time."""

    free: int
    first: timedelta


HERE = Limit(5, timedelta(seconds=2))
NETWORK = Limit(50, timedelta(seconds=2))
EVERYWHERE = Limit(100, timedelta(seconds=2))


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to prove something.

    Attributes:
        what: Kind of proof: `password`, `otp`, `client`, `registration`.
        account: Whose; what was typed, known or not.
        address: From where.
        known: Whether this browser or client has proved it before.
    """

    what: str
    account: str
    address: str
    known: bool = False

    def counters(self) -> tuple[tuple[str, Limit], ...]:
        """Return the names under which a failure is counted, each with its limit. Accounts are counted by their digest."""
        account, place = opaque.digest(self.account), network(self.address)
        here = (f"fail {self.what} {account} {place}", HERE)
        everywhere = (f"fail {self.what} {account}", EVERYWHERE)
        return (here, (f"fail {self.what} from {place}", NETWORK), *(() if self.known else (everywhere,)))


async def check(store: AuthStore, attempt: Attempt, now: datetime) -> None:
    """Return when the attempt may be made.

    Raises:
        OAuthError: `slow_down`; the proof was not looked at.
    """
    for name, limit in attempt.counters():
        number, last = await store.counted(name, now)
        if last is not None and (left := last + wait(limit, number) - now) > timedelta():
            raise slow_down(int(left.total_seconds()) + 1)


async def failed(store: AuthStore, attempt: Attempt, now: datetime) -> bool:
    """Count a failure; return whether it is the one that begins to make the account wait."""
    numbers = [(await store.count(name, now, now + MEMORY), limit) for name, limit in attempt.counters()]
    return any(number == limit.free for number, limit in numbers)


async def succeeded(store: AuthStore, attempt: Attempt) -> None:
    """Forget the failures of this account from this network. Those of the network stay: one success excuses no guessing."""
    await store.forget(attempt.counters()[0][0])


def wait(limit: Limit, number: int) -> timedelta:
    """Return how long after the last of so many failures the next attempt must wait."""
    over = number - limit.free
    return min(limit.first * 2 ** min(over, 20), LONGEST) if over >= 0 else timedelta()


def network(address: str) -> str:
    """Return the network of an address: an IPv4 address itself, of IPv6 the /64 that one subscriber has."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)
