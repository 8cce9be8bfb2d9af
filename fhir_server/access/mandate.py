"""What outlives a request keeps who asked for it, and reaches at each moment what that one reaches then.

A mandate is the plain record of a principal. It is not a token: nobody can show it, and it does not expire with the token of the
kick-off. Whoever acts under it asks `Mandates.scope` again and again: a grant that was revoked, a client or person that was
disabled, a registration that was narrowed and a standing that has changed hold from then on.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fhir_server.access import principal
from fhir_server.access.grants import Grants
from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import ScopeFilter, Unrestricted
from fhir_server.model.errors import Forbidden
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, AccessToken, Client, Grant, User
from smart_auth.tokens import Bearer, alive

FOREIGN_LIFE = timedelta(hours=24)
"""For so long a mandate holds that somebody else's token gave, of whose end nobody here is told."""

BACKEND_GRANT = timedelta(minutes=1)

OPEN = "a job that was asked for in open mode, or by this program"


def mandate(scope: ScopeFilter) -> dict[str, Any]:
    """Return the mandate that somebody gives with a request."""
    who = scope.principal
    return {
        "audience": who.audience,
        "client": who.client_id,
        "user": who.user_id,
        "grant": who.grant_id,
        "scope": " ".join(one.text for one in who.scopes),
        "patient": who.patient,
        "own": sorted(who.own),
        "fhir_user": who.fhir_user,
        "facility": who.facility or scope.facility,
        "acting_as": who.acting_as,
        "advisory": who.advisory,
        "facilities": sorted(who.facilities),
        "types": sorted(who.types),
        "purpose": who.purpose,
    }


def same(one: Mapping[str, Any], scope: ScopeFilter) -> bool:
    """Return whether a mandate is of the client, and of the person where there is one, who asks now."""
    who = scope.principal
    return (one["audience"], one["client"], one["user"]) == (who.audience, who.client_id, who.user_id)


class Mandates:
    """Says what mandates reach.

    Args:
        realm: The authorization server.
        grants: Compiles what principals reach.
        clock: The time.
    """

    def __init__(self, realm: Realm, grants: Grants, clock: Callable[[], datetime]) -> None:
        self._realm = realm
        self._grants = grants
        self._clock = clock

    async def scope(self, given: Mapping[str, Any], since: datetime) -> ScopeFilter:
        """Return what a mandate reaches now.

        Args:
            given: The mandate.
            since: When it was given.

        Raises:
            Forbidden: It reaches nothing any more: its grant is over, or who gave it may no longer ask for anything.
            Unavailable: The database cannot be reached.
        """
        if given["audience"] == "server":
            return Unrestricted(OPEN, given["facility"])
        who = await self._own(given) if given["grant"] else self._foreign(given, since)
        return await self._grants.of(replace(who, facility=given["facility"]))

    async def _own(self, given: Mapping[str, Any]) -> Principal:
        records, realm = self._realm.store, self._realm
        grant, client = await records.get(Grant, given["grant"]), await records.get(Client, given["client"])
        now = self._clock()
        backend = given["audience"] == "system"
        if backend and client and (grant is None or not grant.ended):
            # The grant of a service ends minutes after each of its tokens; what it may go on doing its registration says.
            grant = Grant(given["grant"], client.id, NOBODY, given["scope"], "once", now, now + BACKEND_GRANT)
        if grant is None or client is None:
            raise _over("The grant that it was asked under is not there any more.")
        # It goes on when the person signs out, as the access token does.
        if why := await alive(realm, replace(grant, access="once"), client):
            raise _over(why)
        user = None if backend else await records.get(User, given["user"])
        token = AccessToken("", grant.id, client.id, grant.user_id, given["scope"], now, now)
        scopes = realm.permitted(realm.scopes(given["scope"]), client)
        return principal.of(Bearer(token, grant, scopes, user, given["acting_as"], client))

    def _foreign(self, given: Mapping[str, Any], since: datetime) -> Principal:
        if since + FOREIGN_LIFE <= self._clock():
            raise _over("It was asked with a token of another issuer more than a day ago.")
        return Principal(
            given["audience"],
            given["client"],
            given["user"],
            self._realm.scopes(given["scope"]).resources,
            patient=given["patient"],
            own=frozenset(given["own"]),
            fhir_user=given["fhir_user"],
            acting_as=given["acting_as"],
            advisory=given["advisory"],
            facilities=frozenset(given["facilities"]),
            types=frozenset(given["types"]),
            purpose=given["purpose"],
        )


def _over(why: str) -> Forbidden:
    return Forbidden(f"What was asked for may not go on. {why}")
