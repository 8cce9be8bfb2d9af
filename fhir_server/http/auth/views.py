"""What each page shows: the values of its template."""

import re
from base64 import b32encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.pages import Pages
from smart_auth import opaque, qr, totp
from smart_auth.authorize import Open, Step
from smart_auth.language import Language, Languages
from smart_auth.protocol import Refused
from smart_auth.realm import Realm
from smart_auth.records import Session, User
from smart_auth.store import MOST_CHARTS

OURS = re.compile(r"/auth/(continue|apps|password|forgot|launch|role|end-session)(\?[A-Za-z0-9_.~%=&+-]*)?", re.ASCII)
"""The pages that can be seen again in another language; nothing else is gone to at the word of a URL."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser at a step of an authorization.

    Attributes:
        realm: The server.
        browser: The browser.
        languages: In which the pages are.
        handle: Of the request; empty for a sign-in to the pages here.
        open: The request, or `None`.
    """

    realm: Realm
    browser: Browser
    languages: Languages
    handle: str = ""
    open: Open | None = None

    def values(self, purpose: str) -> dict[str, Any]:
        """Return what every page of an authorization has."""
        return {
            "name": self.realm.policy.name,
            "form": self.browser.token(self.realm, purpose),
            "request": self.handle,
            "client": self.open.client.name if self.open else "",
            "person": self.browser.user.name if self.browser.user else "",
        }

    @property
    def language(self) -> Language:
        """The language that the person chose here, that the app wishes, or that the browser does."""
        asked = self.open.asked.ui_locales if self.open else ""
        return self.languages.best(self.browser.language, asked, self.browser.accepts)

    @property
    def complete(self) -> tuple[Session, User]:
        """Session and person, on pages that are for people who are signed in.

        Raises:
            Refused: Nobody is.
        """
        if self.browser.complete is None:
            raise Refused("login_required", "Nobody is signed in.")
        return self.browser.complete

    @property
    def leads_to(self) -> str:
        """Where the browser goes in the end."""
        return self.open.asked.redirect_uri if self.open else ""

    @property
    def back(self) -> str:
        """The URL of this step."""
        return onward(self.handle)


def onward(handle: str) -> str:
    """Return the URL of the next step of a request, and without a request of the account."""
    return f"/auth/continue?request={quote(handle, safe='')}" if handle else "/auth/apps"


def sign_in(pages: Pages, visit: Visit, error: str = "", login: str = "") -> Response:
    """Return the page with login and password."""
    hint = visit.open.asked.login_hint if visit.open else ""
    shown = {"login": login or hint, "error": visit.language.say(error)}
    status = 401 if error else 200
    values = {**visit.values("sign-in"), **shown}
    return pages.show("sign_in", values, visit.language, status=status, leads_to=visit.leads_to, back=visit.back)


def second_factor(pages: Pages, visit: Visit, error: str = "") -> Response:
    """Return the page that asks for digits, or sets the second factor up."""
    realm, browser = visit.realm, visit.browser
    secret = enrolment_secret(realm, browser.session) if browser.session and browser.missing == "enrolment" else ""
    login = browser.user.login if browser.user else ""
    uri = totp.enrolment(secret, login=login, issuer=realm.policy.name) if secret else ""
    shown = {
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "uri": uri,
        "picture": qr.rows(uri) if uri else (),
        "error": visit.language.say(error),
    }
    values, status = {**visit.values("second-factor"), **shown}, 401 if error else 200
    return pages.show("second_factor", values, visit.language, status=status, leads_to=visit.leads_to, back=visit.back)


def enrolment_secret(realm: Realm, session: Session) -> str:
    """Return the second factor that a session offers; the same for the session, and kept nowhere until it is accepted."""
    made = opaque.derived(realm.secret, "", "totp", session.id)
    return b32encode(made.encode()[:20]).decode("ascii")


async def choice(pages: Pages, visit: Visit, open_: Open, step: Step, words: str = "") -> Response:
    """Return the page on which a role, a patient or an encounter is chosen.

    Args:
        pages: The templates.
        visit: The browser.
        open_: Its request.
        step: Which step.
        words: What staff look for among the patients.
    """
    asked, (session, user) = open_.asked, visit.complete
    directory = visit.realm.directory
    if step == "role":
        charts = [*await directory.roles(user)]
    elif step == "patient":
        charts = [*await directory.patients(user, session.acting_as, words)]
    else:
        charts = [*await directory.encounters(user, session.acting_as, asked.context.patient)]
    shown = {
        "what": step,
        "charts": charts,
        "more": len(charts) >= MOST_CHARTS,
        "searches": step == "patient" and user.kind != "patient",
        "words": words,
        "action": "/auth/choose",
    }
    values = {**visit.values("choose"), **shown}
    return pages.show("choose", values, visit.language, leads_to=visit.leads_to, back=visit.back)
