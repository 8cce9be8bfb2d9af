"""What each page shows: the values of its template."""

from base64 import b32encode
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.pages import Pages
from smart_auth import opaque, totp
from smart_auth.authorize import Open, Step
from smart_auth.realm import Realm
from smart_auth.records import Session
from smart_auth.scopes.choices import Category, divisible, offered
from smart_auth.scopes.words import lines, noun
from smart_auth.store import Chart


@dataclass(frozen=True, slots=True)
class Row:
    """A resource type on the consent page.

    Attributes:
        type: The type.
        title: What people call it.
        categories: Parts that can be allowed by themselves.
    """

    type: str
    title: str
    categories: tuple[Category, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser at a step of an authorization.

    Attributes:
        realm: The server.
        browser: The browser.
        handle: Of the request; empty for a sign-in to the pages here.
        open: The request, or `None`.
    """

    realm: Realm
    browser: Browser
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
    def leads_to(self) -> str:
        """Where the browser goes in the end."""
        return self.open.asked.redirect_uri if self.open else ""


def sign_in(pages: Pages, visit: Visit, error: str = "", login: str = "") -> Response:
    """Return the page with login and password."""
    hint = visit.open.asked.login_hint if visit.open else ""
    shown = {"login": login or hint, "error": error}
    status = 401 if error else 200
    return pages.show("sign_in", {**visit.values("sign-in"), **shown}, status=status, leads_to=visit.leads_to)


def second_factor(pages: Pages, visit: Visit, error: str = "") -> Response:
    """Return the page that asks for digits, or sets the second factor up."""
    realm, browser = visit.realm, visit.browser
    secret = enrolment_secret(realm, browser.session) if browser.session and browser.missing == "enrolment" else ""
    login = browser.user.login if browser.user else ""
    shown = {
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "uri": totp.enrolment(secret, login=login, issuer=realm.policy.name) if secret else "",
        "error": error,
    }
    values = {**visit.values("second-factor"), **shown}
    return pages.show("second_factor", values, status=401 if error else 200, leads_to=visit.leads_to)


def enrolment_secret(realm: Realm, session: Session) -> str:
    """Return the second factor that a session offers; the same for the session, and kept nowhere until it is accepted."""
    made = opaque.derived(realm.secret, "", "totp", session.id)
    return b32encode(made.encode()[:20]).decode("ascii")


async def step(pages: Pages, visit: Visit, open_: Open, step: Step, words: str = "") -> Response:
    """Return the page of a step after the sign-in.

    Args:
        pages: The templates.
        visit: The browser.
        open_: Its request.
        step: Which step.
        words: What staff look for among the patients.
    """
    asked, user, session = open_.asked, open_.user, open_.session
    if user is None or session is None:
        raise ValueError(f"The step {step} needs somebody who is signed in.")
    directory = visit.realm.directory
    if step == "consent":
        return await _consent(pages, visit, open_)
    if step == "role":
        charts = [Chart(link.reference, link.reference) for link in user.links]
    elif step == "patient":
        charts = [*await directory.patients(user, session.acting_as, words)]
    else:
        charts = [*await directory.encounters(user, session.acting_as, asked.context.patient)]
    searches = step == "patient" and user.kind != "patient"
    shown = {"what": step, "charts": charts, "searches": searches, "words": words}
    return pages.show("choose", {**visit.values("choose"), **shown}, leads_to=visit.leads_to)


async def _consent(pages: Pages, visit: Visit, open_: Open) -> Response:
    realm = visit.realm
    scopes = realm.scopes(open_.asked.scope)
    said = lines(scopes)
    patient = open_.asked.context.patient
    if patient and open_.user and open_.session:
        charts = await realm.directory.patients(open_.user, open_.session.acting_as, "")
        patient = next((one.title for one in charts if one.id == patient), patient)
    shown = {
        "reads": [line for line in said if line.resource_type and not line.writes],
        "writes": [line for line in said if line.writes],
        "others": [line for line in said if not line.resource_type and line.scope != "offline_access"],
        "everything": any(line.everything for line in said),
        "offline": "offline_access" in scopes.words,
        "rows": [Row(kind, noun(kind), tuple(divisible(scopes, kind))) for kind in offered(scopes, realm.types)],
        "patient": patient,
        "verified": open_.client.verified,
        "policy_uri": open_.client.policy_uri,
    }
    return pages.show("consent", {**visit.values("consent"), **shown}, leads_to=visit.leads_to)
