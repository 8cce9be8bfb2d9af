"""All routes of the authorization server, in one list."""

from starlette.routing import Route

from fhir_server.http.auth import endpoints
from fhir_server.http.auth.account import Account
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.launching import Launching
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.wire import RealmOf


def routes(realm: RealmOf) -> list[Route]:
    """Return the routes below the origin of the server: `/auth/…` and the well-known documents.

    Args:
        realm: Returns the authorization server; it is asked at each request, for it begins later than the routes.
    """
    pages = Pages()
    journey = Journey(realm, pages)
    rooms = (journey, Account(realm, pages, journey), Launching(realm, pages, journey))
    return [*endpoints.routes(realm), *(one for room in rooms for one in room.routes())]
