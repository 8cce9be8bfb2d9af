"""What people do with their account: see connected apps and take access back, sign out, choose a password."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth import wire
from fhir_server.http.auth.afterwards import afterwards
from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from smart_auth import letters, openid, people, recovery, revoke, sessions
from smart_auth.people import SignInFailed
from smart_auth.records import Client
from smart_auth.scopes.words import lines


class Account:
    """The pages of an account.

    Args:
        realm: The server.
        pages: The templates.
        journey: Shows the sign-in, and makes routes.
    """

    def __init__(self, realm: RealmOf, pages: Pages, journey: Journey) -> None:
        self._realm_of = realm
        self._pages = pages
        self._journey = journey

    def routes(self) -> list[Route]:
        """Return the routes."""
        route = self._journey.route
        return [
            route("/auth/apps", self._apps, "GET"),
            route("/auth/apps/revoke", self._revoke, "POST"),
            route("/auth/end-session", self._end_session, "GET", "POST"),
            route("/auth/sign-out", self._sign_out, "POST"),
            route("/auth/password", self._password, "GET", "POST"),
            route("/auth/forgot", self._forgot, "GET", "POST"),
        ]

    async def _apps(self, request: Request, browser: Browser) -> Response:
        realm, found = self._realm_of(), browser.complete
        if found is None:
            return self._journey.entry(Visit(realm, browser))
        user = found[1]
        shown = []
        for grant in await revoke.connected(realm, user):
            client = await realm.store.get(Client, grant.client_id)
            said = [line.title for line in lines(realm.scopes(grant.scope)) if line.scope != "offline_access"]
            shown.append({"grant": grant, "client": client.name if client else grant.client_id, "said": said})
        values = {
            "name": realm.policy.name,
            "person": user.name,
            "apps": shown,
            "form": browser.token(realm, "revoke"),
            "out": browser.token(realm, "sign-out"),
        }
        return self._pages.show("apps", values)

    async def _revoke(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "revoke")
        if found := browser.complete:
            await revoke.by_person(realm, found[1], asked.one("grant"), asked)
        return browsers.go("/auth/apps")

    async def _end_session(self, request: Request, browser: Browser) -> Response:
        """Sign out at the wish of an app; ask first where it has not shown that the person uses it."""
        realm = self._realm_of()
        data = request.url.query.encode() if request.method == "GET" else await wire.body(request)
        asked = wire.taken(request, data)
        out = await openid.end_session(realm, asked, browser.session)
        if out.must_ask and browser.session:
            values = {"name": realm.policy.name, "form": browser.token(realm, "sign-out"), "done": False}
            return self._pages.show("signed_out", values)
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        if out.redirect:
            return browsers.signed_out(browsers.go(out.redirect))
        return browsers.signed_out(
            self._pages.show("signed_out", {"name": realm.policy.name, "done": True, "form": ""})
        )

    async def _sign_out(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "sign-out")
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        return browsers.signed_out(
            self._pages.show("signed_out", {"name": realm.policy.name, "done": True, "form": ""})
        )

    async def _password(self, request: Request, browser: Browser) -> Response:
        """Let a person choose a password with the link of an invitation."""
        realm = self._realm_of()
        values = {"name": realm.policy.name, "form": browser.token(realm, "password"), "error": "", "done": False}
        if request.method == "GET":
            return self._pages.show("password", {**values, "link": request.query_params.get("link", "")})
        asked = await browsers.submitted(realm, request, browser, "password")
        link = asked.one("link")
        try:
            user = await people.choose_password(realm, asked, link, asked.one("password"))
        except SignInFailed as error:
            return self._pages.show("password", {**values, "link": link, "error": str(error)}, status=400)
        response = self._pages.show("password", {**values, "link": "", "done": True})
        return afterwards(response, partial(recovery.tell, realm, user, letters.password_set(realm, user)))

    async def _forgot(self, request: Request, browser: Browser) -> Response:
        """Promise a letter to whoever has a login. Only after the answer somebody looks whether there is such a person."""
        realm = self._realm_of()
        values = {"name": realm.policy.name, "form": browser.token(realm, "forgot"), "done": False}
        if request.method == "GET":
            return self._pages.show("forgot", values)
        asked = await browsers.submitted(realm, request, browser, "forgot")
        await recovery.admit(realm, asked)
        response = self._pages.show("forgot", {**values, "done": True})
        return afterwards(response, partial(recovery.send_link, realm, asked, asked.one("login")))
