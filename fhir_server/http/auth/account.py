"""What people do with their account: see connected apps and take access back, change the role, sign out, choose a password."""

from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth import connections, wire
from fhir_server.http.auth.afterwards import afterwards
from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from smart_auth import letters, openid, people, recovery, revoke, sessions
from smart_auth.people import SignInFailed
from smart_auth.protocol import Refused


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
            route("/auth/role", self._role, "GET", "POST"),
            route("/auth/end-session", self._end_session, "GET", "POST"),
            route("/auth/sign-out", self._sign_out, "POST"),
            route("/auth/password", self._password, "GET", "POST"),
            route("/auth/forgot", self._forgot, "GET", "POST"),
        ]

    async def _apps(self, request: Request, browser: Browser) -> Response:
        realm, found = self._realm_of(), browser.complete
        if found is None:
            return self._journey.entry(self._visit(browser))
        if back := browsers.back(request):
            return back
        session, user = found
        shown = {
            "person": user.name,
            "apps": await connections.shown(realm, user, session.acting_as, self._visit(browser).language),
            "out": browser.token(realm, "sign-out"),
            "launches": user.kind != "patient",
            "curates": user.kind == "administrator",
            "roles": len(user.roles) > 1,
        }
        return self._show(browser, "apps", "revoke", shown, back="/auth/apps")

    async def _revoke(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "revoke")
        if found := browser.complete:
            await revoke.by_person(realm, found[1], asked.one("client"), asked)
        return browsers.go("/auth/apps")

    async def _role(self, request: Request, browser: Browser) -> Response:
        """Let a person work in another role; what was granted in the one of before keeps it."""
        realm, found = self._realm_of(), browser.complete
        if found is None:
            return self._journey.entry(self._visit(browser))
        session, user = found
        # Who is about to open an app for a patient has to say first as whom.
        place, then = (
            ("/auth/role?then=launch", "/auth/launch")
            if request.query_params.get("then") == "launch"
            else ("/auth/role", "/auth/apps")
        )
        if request.method == "GET":
            charts = [*await realm.directory.roles(user)]
            shown = {"what": "role", "charts": charts, "searches": False, "words": "", "action": place}
            shown |= {"request": "", "client": "", "person": user.name}
            return self._show(browser, "choose", "choose", shown, back=place)
        asked = await browsers.submitted(realm, request, browser, "choose")
        try:
            await sessions.act_as(realm, session, user, asked.one("role"), asked)
        except ValueError:
            raise Refused("access_denied", "This is not one of your roles.") from None
        return browsers.go(then)

    async def _end_session(self, request: Request, browser: Browser) -> Response:
        """Sign out at the wish of an app; ask first where it has not shown that the person uses it."""
        realm = self._realm_of()
        data = request.url.query.encode() if request.method == "GET" else await wire.body(request)
        asked = wire.taken(request, data)
        out = await openid.end_session(realm, asked, browser.session)
        if out.must_ask and browser.session:
            return self._show(browser, "signed_out", "sign-out", {"done": False}, back="/auth/end-session")
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        return browsers.signed_out(browsers.go(out.redirect) if out.redirect else self._is_out(browser))

    async def _sign_out(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "sign-out")
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        return browsers.signed_out(self._is_out(browser))

    def _is_out(self, browser: Browser) -> Response:
        return self._show(browser, "signed_out", "sign-out", {"done": True})

    async def _password(self, request: Request, browser: Browser) -> Response:
        """Let a person choose a password with the link of an invitation."""
        realm = self._realm_of()
        if request.method == "GET":
            link = request.query_params.get("link", "")
            shown = {"link": link, "error": "", "done": False}
            back = f"/auth/password?link={quote(link, safe='')}"
            return self._show(browser, "password", "password", shown, back=back)
        asked = await browsers.submitted(realm, request, browser, "password")
        link, language = asked.one("link"), self._visit(browser).language
        try:
            user = await people.choose_password(realm, asked, link, asked.one("password"))
        except SignInFailed as error:
            said = language.say(error.args[0])
            return self._show(browser, "password", "password", {"link": link, "error": said, "done": False}, status=400)
        response = self._show(browser, "password", "password", {"link": "", "error": "", "done": True})
        return afterwards(response, partial(recovery.tell, realm, user, letters.password_set(realm, user, language)))

    async def _forgot(self, request: Request, browser: Browser) -> Response:
        """Promise a letter to whoever has a login. Only after the answer somebody looks whether there is such a person."""
        realm = self._realm_of()
        if request.method == "GET":
            return self._show(browser, "forgot", "forgot", {"done": False}, back="/auth/forgot")
        asked = await browsers.submitted(realm, request, browser, "forgot")
        await recovery.admit(realm, asked)
        response = self._show(browser, "forgot", "forgot", {"done": True})
        language = self._visit(browser).language
        return afterwards(response, partial(recovery.send_link, realm, asked, asked.one("login"), language))

    def _visit(self, browser: Browser) -> Visit:
        return Visit(self._realm_of(), browser, self._pages.languages)

    def _show(
        self,
        browser: Browser,
        template: str,
        purpose: str,
        shown: dict[str, Any],
        *,
        status: int = 200,
        back: str = "",
    ) -> Response:
        """Return a page whose form is for a purpose."""
        realm = self._realm_of()
        values = {"name": realm.policy.name, "form": browser.token(realm, purpose), **shown}
        return self._pages.show(template, values, self._visit(browser).language, status=status, back=back)
