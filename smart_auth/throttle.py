"""Slowing down whoever guesses, without letting them lock out others (OWASP Authentication Cheat Sheet; smart.md 4.8).

Failures are counted for an account from one site, and for a network over all accounts. Only the first makes the account
wait, and only there: the person at another site is not touched. An account that is attacked from very many sites waits too,
except in browsers in which the person has signed in before; so an attacker needs many sites, for as long as the attack goes
on, and still locks nobody out of a known browser. No wait is longer than fifteen minutes. Of IPv6, who has one address may
have 65,536 networks; hence sites.

A client is another thing: its secret has 256 random bits, which nobody guesses. Slowing down spares the machine there, and
whoever has the right secret is let in without looking at the failures of others (`client_auth`).
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
        account = opaque.digest(self.account)
        here = (f"fail {self.what} {account} {site(self.address)}", HERE)
        everywhere = (f"fail {self.what} {account}", EVERYWHERE)
        place = (f"fail {self.what} from {network(self.address)}", NETWORK)
        return (here, place, *(() if self.known else (everywhere,)))


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
    """Return the network of an address: an IPv4 address itself, of IPv6 the /64 in which one machine chooses freely."""
    return _prefix(address, 64)


def site(address: str) -> str:
    """Return the site of an address: an IPv4 address itself, of IPv6 the /48 that one subscriber may have at most."""
    return _prefix(address, 48)


def _prefix(address: str, bits: int) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(IPv6Address(int(found) >> (128 - bits) << (128 - bits)))
    return str(found)
