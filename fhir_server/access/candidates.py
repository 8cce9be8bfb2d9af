"""Who somebody would be who signed in now, as widely as the account or the registration allows: for explaining access.

What an app was granted may be less; what it was never granted, nobody reaches.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fhir_server.access.principal import Principal
from smart_auth.records import NOBODY, Client, User
from smart_auth.scopes.advice import narrowed
from smart_auth.scopes.grammar import ResourceScope, parse
from smart_auth.store import AuthStore

WIDEST = (ResourceScope("user", "*", "rs"),)
KINDS = ("patient", "staff", "administrator")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person in one role, or a service.

    Attributes:
        name: Id of the user, or the client_id.
        principal: As whom that one would ask.
    """

    name: str
    principal: Principal


async def of_user(records: AuthStore, name: str) -> list[Candidate]:
    """Return a person once for each role; nothing where there is no such person or the account is disabled.

    Args:
        records: Where people are kept.
        name: Id or login.
    """
    user = await records.get(User, name) or next(iter(await records.find(User, login=name)), None)
    return _roles(user) if user else []


async def of_client(records: AuthStore, client_id: str) -> list[Candidate]:
    """Return a backend service; nothing where there is none of that id, or it may do nothing."""
    client = await records.get(Client, client_id)
    return [_service(client)] if client and client.usable and client.kind == "backend" else []


async def every(records: AuthStore) -> AsyncIterator[Candidate]:
    """Yield everybody: patients, staff in each of their roles, administrators, services."""
    for kind in KINDS:
        for user in await records.find(User, kind=kind):
            for one in _roles(user):
                yield one
    for client in await records.find(Client, kind="backend"):
        if client.usable:
            yield _service(client)


def _roles(user: User) -> list[Candidate]:
    if user.disabled:
        return []
    own = frozenset(link.patient for link in user.links if link.patient)
    held = [link.reference for link in user.roles] or [user.links[0].reference if user.links else ""]
    found = (
        Principal(user.kind, "", user.id, WIDEST, own=own, fhir_user=user.person(role), acting_as=role) for role in held
    )
    return [Candidate(user.id, who) for who in found]


def _service(client: Client) -> Candidate:
    named = [one for one in parse(client.scope).resources if one.context == "system"]
    scopes = tuple(narrowed(named, client.types, advisory=client.advisory))
    who = Principal(
        audience="system",
        client_id=client.id,
        user_id=NOBODY,
        scopes=scopes,
        facility=client.facility,
        advisory=client.advisory,
        facilities=frozenset(client.facilities),
        types=frozenset(client.types),
        purpose=client.purpose,
    )
    return Candidate(client.id, who)
