"""The browser of a person: its cookies, and proof that a form was one of ours (smart.md 4.8)."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fhir_server.http.auth import wire
from fhir_server.http.auth.pages import headers
from smart_auth import exchange, opaque, people, sessions
from smart_auth.realm import Realm
from smart_auth.records import Session, User

SESSION = sessions.COOKIE
VISIT = "__Host-aquifer-visit"
DEVICE = "__Host-aquifer-device"
LANGUAGE = "__Host-aquifer-language"
COMING_BACK = "__Host-aquifer-then"
PLACES = frozenset({"/admin/terminology"})
"""Pages behind the sign-in to which a browser comes back after it; nowhere else is gone to at the word of a cookie."""

BACK_SECONDS = 15 * 60
DEVICE_SECONDS = LANGUAGE_SECONDS = 180 * 24 * 3600


class Forged(Exception):
    """A form that was not one of ours, or of another session."""


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser shows of itself.

    Attributes:
        visit: A random name of this browser, from before anybody signs in.
        session: The session, or `None`.
        user: Its person, or `None`.
        missing: What the session lacks before it counts.
        language: The language that the person has chosen here.
        accepts: The languages that the browser wishes, as in `Accept-Language`.
    """

    visit: str
    session: Session | None = None
    user: User | None = None
    missing: sessions.Missing = ""
    language: str = ""
    accepts: str = ""

    @property
    def complete(self) -> tuple[Session, User] | None:
        """Session and person, where somebody is signed in with all that is needed."""
        return (self.session, self.user) if self.session and self.user and not self.missing else None

    def token(self, realm: Realm, purpose: str) -> str:
        """Return what a form on a page for this browser carries."""
        if self.session:
            return sessions.form_token(self.session, purpose)
        return opaque.derived(realm.secret, "", "form", self.visit, purpose)


async def of(realm: Realm, request: Request) -> Browser:
    """Return the browser that sent a request."""
    visit = request.cookies.get(VISIT, "")[: opaque.MOST] or opaque.new()
    language, accepts = request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", "")
    found = await sessions.unfinished(realm, request.cookies.get(SESSION, ""))
    if found is None:
        return Browser(visit, language=language, accepts=accepts)
    return Browser(visit, *found, sessions.missing(realm, *found), language, accepts)


def from_here(realm: Realm, request: Request) -> bool:
    """Return whether a browser says that a page of this site has sent a request; programs say nothing."""
    ours = urlsplit(realm.policy.issuer)
    return request.headers.get("origin") == f"{ours.scheme}://{ours.netloc}"


async def submitted(realm: Realm, request: Request, browser: Browser, purpose: str) -> exchange.Request:
    """Return a form that came from one of our pages, shown to this browser for this purpose.

    Raises:
        Forged: It did not.
        OAuthError: It is no form.
    """
    if "origin" in request.headers and not from_here(realm, request):
        raise Forged
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Forged
    asked = wire.taken(request, await wire.body(request))
    shown = asked.one("form")
    if VISIT not in request.cookies or not opaque.matches(shown, opaque.digest(browser.token(realm, purpose))):
        raise Forged
    return asked


def keep(response: Response, browser: Browser) -> Response:
    """Return a page that gives the browser its name, against which forms before the sign-in are checked."""
    response.set_cookie(VISIT, browser.visit, path="/", secure=True, httponly=True, samesite="lax")
    return response


def half_signed_in(response: Response, secret: str) -> Response:
    """Return a response that gives the browser a session in which the second factor is still to come."""
    response.set_cookie(SESSION, secret, path="/", secure=True, httponly=True, samesite="lax")
    return response


def signed_in(realm: Realm, response: Response, secret: str, user: User) -> Response:
    """Return a response that gives the browser a session, and marks it as one in which this person has signed in."""
    half_signed_in(response, secret)
    device = people.device(realm, user)
    response.set_cookie(DEVICE, device, DEVICE_SECONDS, path="/", secure=True, httponly=True, samesite="strict")
    return response


def signed_out(response: Response) -> Response:
    """Return a response that takes the session from the browser."""
    response.delete_cookie(SESSION, path="/", secure=True, httponly=True, samesite="lax")
    return response


def spoken_to(response: Response, tag: str) -> Response:
    """Return a response after which the pages are in the language that the person chose."""
    response.set_cookie(LANGUAGE, tag, LANGUAGE_SECONDS, path="/", secure=True, httponly=True, samesite="lax")
    return response


def coming_back(response: Response, place: str) -> Response:
    """Return a response that lets the browser come back to a page when its person is signed in."""
    response.set_cookie(COMING_BACK, place, BACK_SECONDS, path="/", secure=True, httponly=True, samesite="lax")
    return response


def back(request: Request) -> Response | None:
    """Return what leads a browser to the page that it was to come back to, once; `None` where there is none."""
    place = request.cookies.get(COMING_BACK, "")
    if place not in PLACES:
        return None
    response = go(place)
    response.delete_cookie(COMING_BACK, path="/", secure=True, httponly=True, samesite="lax")
    return response


def go(url: str) -> Response:
    """Return a redirect that a browser follows with GET (RFC 9700 4.12)."""
    return Response(status_code=303, headers={**headers(url), "Location": url})
