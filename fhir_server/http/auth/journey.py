"""The way of a person through an authorization: sign in, second factor, role, patient, encounter, consent, back to the app.

Each page is one step that `authorize.advance` names; each form leads back to `/auth/continue`, which asks for the next one.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth import consent, refusals, views, wire
from fhir_server.http.auth.afterwards import afterwards
from fhir_server.http.auth.browser import Browser, Forged
from fhir_server.http.auth.pages import STYLE_PATH, Pages
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from fhir_server.http.bind import proper_url
from fhir_server.model.errors import FhirError
from smart_auth import authorization_request, authorize, letters, people, recovery, sessions
from smart_auth.authorize import Open
from smart_auth.errors import OAuthError
from smart_auth.language import Language
from smart_auth.people import SignInFailed
from smart_auth.protocol import Refused
from smart_auth.records import Client

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
            return self._pages.style()

        return [
            Route(STYLE_PATH, style, methods=["GET"]),
            self.route("/auth/language", self._language, "GET"),
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
            if request.method == "GET" and (url := proper_url(str(request.url), realm.policy.base)):
                return browsers.go(url)
            try:
                browser = await browsers.of(realm, request)
                response = await step(request, browser)
            except Refused as error:
                response = self.fail(browser, request, 400, error.description, error.code)
            except Forged:
                response = self.fail(browser, request, 403, "", "forged_form")
            except OAuthError as error:
                response = self.fail(browser, request, error.status, error.description, error.code)
                response.headers.update(error.headers)
            except FhirError as error:
                response = self.fail(browser, request, error.status, str(error), "temporarily_unavailable")
            except Exception as error:  # noqa: BLE001 - the last line: a bug must not show its insides
                self._log.exception("page_failed", error=type(error).__name__, path=path)
                response = self.fail(browser, request, 500, "", "server_error")
            return browsers.keep(response, browser) if browser.visit else response

        return Route(path, page, methods=list(methods))

    def fail(self, browser: Browser, request: Request, status: int, text: str, code: str) -> Response:
        """Return a page that says what went wrong, to the person and to the developer of the app."""
        language = self._language_of(browser, request.query_params.get("ui_locales", ""))
        values = {"name": self._realm_of().policy.name, **refusals.values(language, request, code, text)}
        return self._pages.show("error", values, language, status=status)

    async def _language(self, request: Request, _: Browser) -> Response:
        """Take the language that a person chooses at the foot of a page, and show the page again."""
        tag, back = request.query_params.get("to", ""), request.query_params.get("back", "")
        response = browsers.go(back if views.OURS.fullmatch(back) else "/auth/apps")
        return browsers.spoken_to(response, tag) if tag in self._pages.languages.all else response

    async def _begin(self, request: Request, browser: Browser) -> Response:
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
            state = asked.one("state")[: authorization_request.MOST_STATE]
            return self._back(error, client, state, self._language_of(browser, asked.one("ui_locales")))
        return browsers.go(views.onward(handle))

    def _language_of(self, browser: Browser, wished: str) -> Language:
        return self._pages.languages.best(browser.language, wished, browser.accepts)

    def _back(self, error: Refused, client: Client | None, state: str, language: Language) -> Response:
        """Tell the app what was refused: by a redirect, or by a link where nobody has vouched for the app."""
        realm = self._realm_of()
        url = authorize.denied(realm, error, state)
        if client is not None and authorize.may_be_sent(client):
            return browsers.go(url)
        shown = {
            "name": realm.policy.name,
            "lead": refusals.lead(language, error.code, error.description),
            "text": error.description,
            "code": error.code,
            "url": url,
            "client": client.name if client else "",
        }
        return self._pages.show("back", shown, language, status=400)

    async def _continue(self, request: Request, browser: Browser) -> Response:
        """Show the next step, or go back to the app."""
        handle = request.query_params.get("request", "")
        open_ = await self._open(handle, browser)
        return await self._onward(request, handle, open_, browser)

    async def _onward(self, request: Request, handle: str, open_: Open, browser: Browser) -> Response:
        realm = self._realm_of()
        try:
            open_, step = await authorize.advance(realm, open_)
            if step == "done":
                return self._leave(request, await authorize.agree(realm, open_, None), browser, open_)
        except Refused as error:
            if not error.redirect_uri:
                raise
            if open_.session is None:
                language = self._visit_of(browser, handle, open_).language
                return self._back(error, open_.client, open_.asked.state, language)
            return self._leave(request, authorize.denied(realm, error, open_.asked.state), browser, open_)
        visit = self._visit_of(browser, handle, open_)
        if step == "sign-in":
            return self.entry(visit)
        if step == "consent":
            return await consent.page(self._pages, visit, open_)
        return await views.choice(self._pages, visit, open_, step)

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
        return self._visit_of(browser, handle, open_)

    def _visit_of(self, browser: Browser, handle: str = "", open_: Open | None = None) -> Visit:
        return Visit(self._realm_of(), browser, self._pages.languages, handle, open_)

    async def _sign_in(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "sign-in")
        visit, login = await self._visit(asked.one("request"), browser), asked.one("login")
        known = people.is_device(realm, login, request.cookies.get(browsers.DEVICE, ""))
        try:
            proof = await people.sign_in(realm, asked, login, asked.one("password"), known=known)
        except SignInFailed as error:
            return views.sign_in(self._pages, visit, error.args[0], login[:200])
        if browser.session:
            await sessions.end(realm, browser.session, asked)
        secret, session = await sessions.begin(realm, proof.user, ("pwd",))
        response = browsers.go(views.onward(visit.handle))
        if sessions.missing(realm, session, proof.user):
            return browsers.half_signed_in(response, secret)
        await realm.note("sign-in", asked, user_id=proof.user.id, acting_as=proof.user.role(""), factors="pwd")
        return browsers.signed_in(realm, response, secret, proof.user)

    async def _second_factor(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "second-factor")
        visit = await self._visit(asked.one("request"), browser)
        session, user = browser.session, browser.user
        if session is None or user is None or not browser.missing:
            return browsers.go(views.onward(visit.handle))
        digits = asked.one("digits")
        try:
            if browser.missing == "digits":
                user = await people.second_factor(realm, asked, user, digits)
            else:
                user = await people.enrol(realm, asked, user, views.enrolment_secret(realm, session), digits)
        except SignInFailed as error:
            return views.second_factor(self._pages, visit, error.args[0])
        secret, _ = await sessions.renew(realm, session, user, "otp")
        await realm.note("sign-in", asked, user_id=user.id, acting_as=user.role(session.acting_as), factors="pwd otp")
        response = browsers.signed_in(realm, browsers.go(views.onward(visit.handle)), secret, user)
        if browser.missing == "enrolment":
            letter = letters.second_factor_set(realm, user, visit.language)
            afterwards(response, partial(recovery.tell, realm, user, letter))
        return response

    async def _choose(self, request: Request, browser: Browser) -> Response:
        """Take a role, a patient or an encounter."""
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "choose")
        handle = asked.one("request")
        open_ = await self._open(handle, browser)
        if open_.session is None or open_.user is None:
            return browsers.go(views.onward(handle))
        if role := asked.one("role"):
            try:
                await sessions.act_as(realm, open_.session, open_.user, role, asked)
            except ValueError:
                raise Refused("access_denied", "This is not one of your roles.") from None
        elif asked.one("patient") or asked.one("encounter"):
            await authorize.choose(realm, open_, patient=asked.one("patient"), encounter=asked.one("encounter"))
        elif words := asked.one("words"):
            visit = self._visit_of(browser, handle, open_)
            return await views.choice(self._pages, visit, open_, "patient", words[:100])
        return browsers.go(views.onward(handle))

    async def _consent(self, request: Request, browser: Browser) -> Response:
        realm = self._realm_of()
        asked = await browsers.submitted(realm, request, browser, "consent")
        open_ = await self._open(asked.one("request"), browser)
        if open_.session is None:
            return browsers.go(views.onward(asked.one("request")))
        if asked.one("decision") != "allow":
            return self._leave(request, await authorize.refuse(realm, open_, asked), browser, open_)
        try:
            choice = consent.decided(asked, realm.scopes(open_.asked.scope), realm.types)
            url = await authorize.agree(realm, open_, choice, asked)
        except Refused as error:
            if not error.redirect_uri:
                raise
            url = authorize.denied(realm, error, open_.asked.state)
        return self._leave(request, url, browser, open_)

    def _leave(self, request: Request, url: str, browser: Browser, open_: Open) -> Response:
        language = self._visit_of(browser, open_=open_).language
        return self._pages.leave(request, url, open_.client.name, self._realm_of().policy.name, language)
