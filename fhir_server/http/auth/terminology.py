"""The terminology page where people sign in: for administrators, whose session stands for a token (docs/terminology-page.md).

The session is worth nothing to other sites: its cookie does not come along with what they send, and what the page asks for is
answered to pages of this site only.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http import body, target, terminology
from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from fhir_server.http.curators import Curators
from fhir_server.http.exchange import Exchange
from fhir_server.model.errors import FhirError, Forbidden, Unauthenticated
from fhir_server.model.outcome import refusal
from fhir_server.model.request import FhirRequest, FhirResponse
from smart_auth import sessions
from smart_auth.protocol import Refused

ASKING = f"{terminology.PLACE}/fhir"
"""Below this the page asks what a client asks below the service base."""

MOST_BYTES = 256 * 1024
SITES = frozenset({"same-origin", "none"})
SEALED = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
REFUSAL = Refused("access_denied", "This page is for administrators.")


class Terminology:
    """The page, and the answers to what it asks.

    Args:
        realm: The server.
        pages: The templates.
        journey: Shows the sign-in, and makes routes.
        curators: Returns what answers the page; it is asked at each request.
    """

    def __init__(self, realm: RealmOf, pages: Pages, journey: Journey, curators: Callable[[], Curators]) -> None:
        self._realm_of = realm
        self._pages = pages
        self._journey = journey
        self._curators_of = curators

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            self._journey.route(terminology.PLACE, self._page, "GET"),
            Route(f"{ASKING}/{{path:path}}", self._ask, methods=["GET", "POST"]),
        ]

    async def _page(self, request: Request, browser: Browser) -> Response:
        if browser.complete is None:
            visit = Visit(self._realm_of(), browser, self._pages.languages)
            return browsers.coming_back(self._journey.entry(visit), terminology.PLACE)
        session, user = browser.complete
        if user.roles and not user.role(session.acting_as):
            return browsers.coming_back(browsers.go("/auth/role"), terminology.PLACE)
        if not await self._curators_of().admits(user, session.acting_as):
            return self._journey.fail(browser, request, 403, REFUSAL.description, REFUSAL.code)
        return terminology.page(ASKING, user.name)

    async def _ask(self, request: Request) -> Response:
        exchange = Exchange(request.scope)
        try:
            found = await self._answered(request, exchange)
        except FhirError as error:
            found = refusal(error)
        except body.Disconnected:
            return Response(status_code=499)
        headers = {**SEALED, "X-Request-Id": exchange.id}
        return Response(found.body, found.status, headers, "application/fhir+json; charset=utf-8")

    async def _answered(self, request: Request, exchange: Exchange) -> FhirResponse:
        """Return the answer to the person whose session it is.

        Raises:
            Forbidden: Another site asks.
            Unauthenticated: Nobody is signed in, or not any more.
        """
        realm, headers = self._realm_of(), exchange.headers
        stranger = "origin" in headers and not browsers.from_here(realm, request)
        if stranger or headers.get("sec-fetch-site", "same-origin") not in SITES:
            raise Forbidden("This is for the terminology page of this site. Programs use the FHIR API at /fhir.")
        found = await sessions.current(realm, request.cookies.get(browsers.SESSION, ""))
        if found is None:
            raise Unauthenticated("You are not signed in any more. Load the page again to sign in.")
        session, user = found
        data = await body.read(request.receive, headers, MOST_BYTES) if request.method == "POST" else b""
        asked = FhirRequest(
            request.method,
            tuple(part for part in request.path_params["path"].split("/") if part),
            realm.policy.base,
            target.pairs(request.scope["query_string"]),
            {"content-type": headers.get("content-type", "")},
            data,
            id=exchange.id,
            address=request.client.host if request.client else "",
        )
        return await self._curators_of().ask(user, session.acting_as, asked)
