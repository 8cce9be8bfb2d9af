"""What all endpoints of one authorization server share: its policy, its store, its clock and its secret."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from smart_auth.audit import SecurityEvent
from smart_auth.exchange import Request
from smart_auth.flood import FROM_ONE, Flood
from smart_auth.key_sets import KeySets
from smart_auth.messages import Messenger, Nowhere
from smart_auth.passwords import Passwords
from smart_auth.records import Client, Grant
from smart_auth.scopes.advice import narrowed
from smart_auth.scopes.coverage import intersect
from smart_auth.scopes.grammar import ANY_TYPE, Checker, Context, ResourceScope, Scopes, parse
from smart_auth.store import AuthStore, PatientDirectory
from smart_auth.style import LOOK
from smart_auth.turns import Turns

AT_ONCE = 32
"""Token requests that one process works on at the same time: fewer than it may have connections to the database."""

EVERYTHING: Mapping[Context, ResourceScope] = {
    "patient": ResourceScope("patient", ANY_TYPE, "cruds"),
    "user": ResourceScope("user", ANY_TYPE, "cruds"),
    "system": ResourceScope("system", ANY_TYPE, "cruds"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a deployment.

    Attributes:
        issuer: URL of this server, without slash at the end; `iss` of id tokens, and the beginning of every endpoint.
        base: The FHIR base; the one value of `aud`.
        name: Name of the deployment, for pages and authenticator apps.
        registration: Who may register a client: nobody, holders of a token (its digest is `registration_token`), everybody.
        registration_token: See there.
        staff_second_factor: Whether staff and administrators need a second factor.
        development: Whether `localhost` counts as a redirect host, and key sets of this machine are fetched.
        code_life: Of an authorization code.
        request_life: Of an authorization request that waits for the person.
        launch_life: Of an EHR launch.
        access_life: Of an access token.
        backend_life: Of an access token of a backend service.
        refresh_life: Of a refresh token, from each use.
        grant_life: Of an offline grant, from its beginning.
        grace: How long the answer to a refresh is repeated for who did not get it.
        session_idle: Of a session that is not used.
        session_life: Of any session.
        retired_keys: How long a retired key is published.
        portal: Page where patients read how to get at their records; with it, brands are published (`smart_auth.brands`).
        style: The look that launched apps may take over, in the variables of SMART App Launch (`smart_auth.style`).
    """

    issuer: str
    base: str
    name: str = "Aquifer"
    registration: Literal["closed", "token", "open"] = "closed"
    registration_token: str = ""
    staff_second_factor: bool = True
    development: bool = False
    code_life: timedelta = timedelta(seconds=60)
    request_life: timedelta = timedelta(minutes=10)
    launch_life: timedelta = timedelta(minutes=5)
    access_life: timedelta = timedelta(hours=1)
    backend_life: timedelta = timedelta(minutes=5)
    refresh_life: timedelta = timedelta(days=100)
    grant_life: timedelta = timedelta(days=730)
    grace: timedelta = timedelta(seconds=30)
    session_idle: timedelta = timedelta(minutes=30)
    session_life: timedelta = timedelta(hours=12)
    retired_keys: timedelta = timedelta(hours=2)
    portal: str = ""
    style: Mapping[str, str] = field(default_factory=lambda: LOOK)

    def url(self, endpoint: str) -> str:
        """Return the URL of an endpoint of this server."""
        return f"{self.issuer}/{endpoint}"


@dataclass(frozen=True, slots=True)
class Realm:
    """One authorization server.

    Attributes:
        policy: Its rules.
        store: Its records.
        clock: Present time.
        secret: 32 bytes that all of its processes share and nobody else knows.
        key_sets: Keys of clients at URLs.
        directory: What the record says of patients.
        passwords: How passwords are hashed.
        types: Resource types that there are.
        check: Says which search criteria a scope may have.
        flood: Keeps the audit trail from being filled.
        line: Lets so many token requests work at once and the others wait, so that none that has begun, and may have used a
            code up, is starved of the database by those who came later.
        messenger: Carries letters to people.
        turns: Lets attempts to sign in wait for each other.
    """

    policy: Policy
    store: AuthStore
    clock: Callable[[], datetime]
    secret: bytes = field(repr=False)
    key_sets: KeySets
    directory: PatientDirectory
    passwords: Passwords
    types: Collection[str]
    check: Checker | None = None
    flood: Flood = field(default_factory=Flood)
    line: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    messenger: Messenger = field(default_factory=Nowhere)
    turns: Turns = field(default_factory=Turns)

    def scopes(self, text: str) -> Scopes:
        """Return what a scope string says."""
        return parse(text, types=self.types, check=self.check)

    def permitted(self, scopes: Scopes, client: Client) -> Scopes:
        """Return what of scopes a client may have at all: what its registration, its policy and its kind allow."""
        kinds: tuple[Context, ...] = ("system",) if client.kind == "backend" else ("patient", "user")
        limits = self.scopes(client.scope).resources if client.scope else ()
        reach = [one for one in limits if one.context in kinds]
        if not client.scope and client.kind != "backend":
            reach = [EVERYTHING[kind] for kind in kinds]
        reach = narrowed(reach, client.types, advisory=client.advisory)
        words = self.scopes(client.scope).words if client.scope else None
        kept = scopes.only(
            lambda one: not isinstance(one.meaning, str) or words is None or one.meaning in words | {"launch"}
        )
        return intersect(kept, reach)

    async def note(
        self,
        kind: str,
        request: Request | None = None,
        *,
        grant: Grant | None = None,
        client_id: str = "",
        user_id: str = "",
        patient: str = "",
        acting_as: str = "",
        **detail: str,
    ) -> None:
        """Write a security event, or let it count for a later one (`flood`)."""
        now = self.clock()
        number = self.flood.number(kind, request.address if request else "", now)
        if number == 0:
            return
        acting = acting_as or (grant.acting_as if grant else "")
        event = SecurityEvent(
            now,
            kind,
            client_id or (grant.client_id if grant else ""),
            user_id or (grant.user_id if grant else ""),
            grant.id if grant else "",
            patient or (grant.context.patient if grant else ""),
            request.address if request else "",
            request.id if request else "",
            acting,
            await self.directory.facility(acting) if acting else "",
            {**detail, "number": str(number)} if number > FROM_ONE else detail,
        )
        await self.store.record(event)
