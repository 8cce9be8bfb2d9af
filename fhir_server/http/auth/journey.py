"""The way of a person through an authorization: sign in, second factor, role, patient, encounter, consent, back to the app.

Each page is one step that `authorize.advance` names; each form leads back to `/auth/continue`, which asks for the next one.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth import views, wire
from fhir_server.http.auth.afterwards import afterwards
from fhir_server.http.auth.browser import Browser, Forged
from fhir_server.http.auth.pages import Pages, stylesheet
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from fhir_server.model.errors import FhirError
from smart_auth import authorization_request, authorize, exchange, letters, people, recovery, sessions
from smart_auth.authorize import Open
from smart_auth.errors import OAuthError
from smart_auth.people import SignInFailed
from smart_auth.protocol import Refused
from smart_auth.records import Client
from smart_auth.scopes.choices import Choice

Step = Callable[[Request, Browser], Awaitable[Response]]


class Journey:
    """The pages of an authorization.

    Args:
        realm: The server.
        pages: The templates.
    """

    def __init__(self, realm: RealmOf, pages: Pages) -> None:
        self._realm_of = realm
        self._pages = pages
        self._log = structlog.get_logger("fhir_server.http.auth")

    def routes(self) -> list[Route]:
        """Return the routes."""

        async def style(_: Request) -> Response:
            return stylesheet()

        return [
            Route("/auth/style.css", style, methods=["GET"]),
            self.route("/auth/authorize", self._begin, "GET", "POST"),
            self.route("/auth/continue", self._continue, "GET"),
            self.route("/auth/sign-in", self._sign_in, "POST"),
            self.route("/auth/second-factor", self._second_factor, "POST"),
            self.route("/auth/choose", self._choose, "POST"),
            self.route("/auth/consent", self._consent, "POST"),
        ]

    def route(self, path: str, step: Step, *methods: str) -> Route:
        """Return a route to a page, on which refusals are pages too."""

        async def page(request: Request) -> Response:
            realm = self._realm_of()
            browser = Browser("")
            try:
                browser = await browsers.of(realm, request)
                response = await step(request, browser)
            except Refused as error:
                response = self.fail(400, error.description, error.code)
            except Forged:
                text = "This form is too old, or did not come from this site. Go back and try again."
                response = self.fail(403, text, "forged_form")
            except OAuthError as error:
                response = self.fail(error.status, error.description, error.code)
                response.headers.update(error.headers)
            except FhirError as error:
                response = self.fail(error.status, str(error), "temporarily_unavailable")
            except Exception as error:  # noqa: BLE001 - the last line: a bug must not show its insides
                self._log.exception("page_failed", error=type(error).__name__, path=path)
                response = self.fail(500, "Something went wrong on our side. It was logged.", "server_error")
            return browsers.keep(response, browser) if browser.visit else response

        return Route(path, page, methods=list(methods))

    def fail(self, status: int, text: str, code: str) -> Response:
        """Return a page that says what went wrong, to the person and to the developer of the app."""
        values = {"name": self._realm_of().policy.name, "text": text, "code": code}
        return self._pages.show("error", values, status=status)

    async def _begin(self, request: Request, _: Browser) -> Response:
        """Take the request of an app in; a posted one comes from a foreign site, without our cookies, hence the redirect."""
        realm = self._realm_of()
        data = request.url.query.encode() if request.method == "GET" else await wire.body(request)
        asked = wire.taken(request, data)
        try:
            handle = await authorization_request.begin(realm, asked)
        except Refused as error:
            if not error.redirect_uri:
                raise
            client = await realm.store.get(Client, asked.one("client_id"))
            return self._back(error, client, asked.one("state")[: authorization_request.MOST_STATE])
        return browsers.go(_next(handle))

    def _back(self, error: Refused, client: Client | None, state: str) -> Response:
        """Tell the app what was refused: by a redirect, or by a link where nobody has vouched for the app."""
        realm = self._realm_of()
        url = authorize.denied(realm, error, state)
        if client is not None and authorize.may_be_sent(client):
            return browsers.go(url)
        values = {"name": realm.policy.name, "text": error.description, "code": error.code, "url": url}
        return self._pages.show("back", {**values, "client": client.name if client else ""}, status=400)

    async def _continue(self, request: Request, browser: Browser) -> Response:
        """Show the next step, or go back to the app."""
        handle = request.query_params.get("request", "")
        open_ = await self._open(handle, browser)
        return await self._onward(handle, open_, browser)

    async def _onward(self, handle: str, open_: Open, browser: Browser) -> Response:
        realm = self._realm_of()
        try:
            open_, step = await authorize.advance(realm, open_)
            if step == "done":
                return browsers.go(await authorize.agree(realm, open_, None))
        except Refused as error:
            if not error.redirect_uri:
                raise
            if open_.session is None:
                return self._back(error, open_.client, open_.asked.state)
            return browsers.go(authorize.denied(realm, error, open_.asked.state))
        if step == "sign-in":
            return self.entry(Visit(realm, browser, handle, open_))
        return await views.step(self._pages, Visit(realm, browser, handle, open_), open_, step)

    def entry(self, visit: Visit, error: str = "", login: str = "") -> Response:
        """Show what is missing before somebody is signed in: the password, the digits, or a second factor."""
        if visit.browser.session and visit.browser.missing:
            return views.second_factor(self._pages, visit, error)
        return views.sign_in(self._pages, visit, error, login)

    async def _open(self, handle: str, browser: Browser) -> Open:
        session, user = browser.complete or (None, None)
        return await authorize.find(self._realm_of(), handle, session, user)

    async def _visit(self, handle: str, browser: Browser) -> Visit:
        open_ = await self._open(handle, browser) if handle else None
        return Visit(self._realm_of(), browser, handle, open_)

    async def _sign_in(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "sign-in")
        visit, login = await self._visit(asked.one("request"), browser), asked.one("login")
        known = people.is_device(realm, login, request.cookies.get(browsers.DEVICE, ""))
        try:
            proof = await people.sign_in(realm, asked, login, asked.one("password"), known=known)
        except SignInFailed as error:
            return views.sign_in(self._pages, visit, str(error), login[:200])
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        secret, session = await sessions.begin(realm, proof.user, ("pwd",))
        response = browsers.go(_next(visit.handle))
        if sessions.missing(realm, session, proof.user):
            return browsers.half_signed_in(response, secret)
        await realm.note("sign-in", asked, user_id=proof.user.id, factors="pwd")
        return browsers.signed_in(realm, response, secret, proof.user)

    async def _second_factor(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "second-factor")
        visit = await self._visit(asked.one("request"), browser)
        session, user = browser.session, browser.user
        if session is None or user is None or not browser.missing:
            return browsers.go(_next(visit.handle))
        digits = asked.one("digits")
        try:
            if browser.missing == "digits":
                user = await people.second_factor(realm, asked, user, digits)
            else:
                user = await people.enrol(realm, asked, user, views.enrolment_secret(realm, session), digits)
        except SignInFailed as error:
            return views.second_factor(self._pages, visit, str(error))
        secret, _ = await sessions.renew(realm, session, user, "otp")
        await realm.note("sign-in", asked, user_id=user.id, factors="pwd otp")
        response = browsers.signed_in(realm, browsers.go(_next(visit.handle)), secret, user)
        if browser.missing == "enrolment":
            afterwards(response, partial(recovery.tell, realm, user, letters.second_factor_set(realm, user)))
        return response

    async def _choose(self, request: Request, browser: Browser) -> Response:
        """Take a role, a patient or an encounter."""
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "choose")
        handle = asked.one("request")
        open_ = await self._open(handle, browser)
        if open_.session is None or open_.user is None:
            return browsers.go(_next(handle))
        if role := asked.one("role"):
            try:
                await sessions.act_as(realm, open_.session, open_.user, role, asked)
            except ValueError:
                raise Refused("access_denied", "This is not one of your roles.") from None
        elif asked.one("patient") or asked.one("encounter"):
            await authorize.choose(realm, open_, patient=asked.one("patient"), encounter=asked.one("encounter"))
        elif words := asked.one("words"):
            return await views.step(self._pages, Visit(realm, browser, handle, open_), open_, "patient", words[:100])
        return browsers.go(_next(handle))

    async def _consent(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "consent")
        open_ = await self._open(asked.one("request"), browser)
        if open_.session is None:
            return browsers.go(_next(asked.one("request")))
        if asked.one("decision") != "allow":
            return browsers.go(await authorize.refuse(realm, open_, asked))
        try:
            return browsers.go(await authorize.agree(realm, open_, decided(asked), asked))
        except Refused as error:
            if not error.redirect_uri:
                raise
            return browsers.go(authorize.denied(realm, error, open_.asked.state))


def decided(asked: exchange.Request) -> Choice:
    """Return what a person has ticked on the consent page."""
    types = [value for name, value in asked.parameters if name == "type"]
    whole = {value for name, value in asked.parameters if name == "whole"}
    categories: dict[str, list[str]] = {}
    for name, value in asked.parameters:
        kind, _, category = value.partition(" ")
        if name == "category" and kind not in whole:
            categories.setdefault(kind, []).append(category)
    parts = {value for name, value in asked.parameters if name == "divided"} - whole
    return Choice(types, {kind: categories.get(kind, []) for kind in parts}, offline=asked.one("offline") == "yes")


def _next(handle: str) -> str:
    return f"/auth/continue?request={quote(handle, safe='')}" if handle else "/auth/apps"
