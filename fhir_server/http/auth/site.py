"""All routes of the authorization server, in one list."""

from collections.abc import Callable

from starlette.routing import Route

from fhir_server.http.auth import endpoints
from fhir_server.http.auth.account import Account
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.launching import Launching
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.terminology import Terminology
from fhir_server.http.auth.wire import RealmOf
from fhir_server.http.curators import Curators


def routes(realm: RealmOf, curators: Callable[[], Curators] | None = None) -> list[Route]:
    """Return the routes below the origin of the server: `/auth/…`, the well-known documents, and pages behind the sign-in.

    Args:
        realm: Returns the authorization server; it is asked at each request, for it begins later than the routes.
        curators: Returns what answers the terminology page, likewise; without it there is no such page.
    """
    pages = Pages()
    journey = Journey(realm, pages)
    rooms = (journey, Account(realm, pages, journey), Launching(realm, pages, journey))
    behind = Terminology(realm, pages, journey, curators).routes() if curators else []
    return [*endpoints.routes(realm), *(one for room in rooms for one in room.routes()), *behind]
