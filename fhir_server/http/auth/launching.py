"""Opening an app from the pages here: staff choose an app, a patient and what the app is told (EHR launch, docs/ehr-launch.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhir_server.http.auth import browser as browsers
from fhir_server.http.auth.browser import Browser
from fhir_server.http.auth.journey import Journey
from fhir_server.http.auth.pages import Pages
from fhir_server.http.auth.views import Visit
from fhir_server.http.auth.wire import RealmOf
from fhir_server.model import json
from fhir_server.model.errors import FhirError
from smart_auth import exchange, launch
from smart_auth.protocol import Refused
from smart_auth.realm import Realm
from smart_auth.records import Client, User
from smart_auth.store import MOST_CHARTS

KINDS = ("public", "confidential", "asymmetric")


@dataclass(frozen=True, slots=True)
class Filled:
    """What a person has filled in, to be shown again beside what is wrong with it.

    Attributes:
        launch_uri: Where the app begins.
        encounter: Id of the visit.
        banner: Whether the app is to show who the patient is.
        intent: What it is opened for.
        context: Further resources: references, one a line, or a JSON list.
    """

    launch_uri: str = ""
    encounter: str = ""
    banner: bool = False
    intent: str = ""
    context: str = ""

    @classmethod
    def of(cls, asked: exchange.Request) -> "Filled":
        """Return what a form says."""
        one = asked.one
        return cls(one("launch_uri"), one("encounter"), one("banner") == "yes", one("intent")[:200], one("context"))

    def resources(self) -> Any:
        """Return the value of fhirContext.

        Raises:
            NotLaunchable: The text begins as JSON and is none.
        """
        if not self.context.lstrip().startswith("["):
            return [{"reference": line.strip()} for line in self.context.splitlines() if line.strip()]
        try:
            return json.parse(self.context.encode())
        except FhirError as error:
            raise launch.NotLaunchable(str(error)) from error


class Launching:
    """The pages on which an app is opened.

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
        return [self._journey.route("/auth/launch", self._launch, "GET", "POST")]

    async def _launch(self, request: Request, browser: Browser) -> Response:
        realm, visit = self._realm_of(), Visit(self._realm_of(), browser, self._pages.languages)
        if browser.complete is None:
            return self._journey.entry(visit)
        session, user = browser.complete
        if user.kind == "patient":
            raise Refused("access_denied", "Apps are opened from here by those who work with records.")
        if user.roles and not user.role(session.acting_as):
            return browsers.go("/auth/role?then=launch")
        if request.method == "GET":
            return await self._start(visit, user, "", [])
        asked = await browsers.submitted(realm, request, browser, "launch")
        words, patient, act = asked.one("words")[:100], asked.one("patient"), asked.one("act")
        if act == "search" or not (patient or act):
            found = await realm.directory.patients(user, session.acting_as, words)
            return await self._start(visit, user, asked.one("app"), found, words)
        app = await realm.store.get(Client, asked.one("app"))
        if app is None or not app.usable or not app.launch_uris:
            raise Refused("access_denied", "This app cannot be opened from here any more.")
        if act != "open":
            return await self._details(visit, app, patient, Filled())
        return await self._open(request, asked, visit, app)

    async def _start(self, visit: Visit, user: User, app: str, charts: Sequence[object], words: str = "") -> Response:
        """Show the choice of an app and a patient."""
        shown = {
            "person": user.name,
            "apps": await _launchable(visit.realm),
            "app": app,
            "words": words,
            "charts": charts,
            "more": len(charts) >= MOST_CHARTS,
        }
        return self._pages.show("launch", {**visit.values("launch"), **shown}, visit.language, back="/auth/launch")

    async def _details(self, visit: Visit, app: Client, patient: str, filled: Filled, error: str = "") -> Response:
        """Show what the app can be told beside the patient."""
        session, user = visit.complete
        directory = visit.realm.directory
        chart = await directory.patient(user, session.acting_as, patient) if patient else None
        if patient and chart is None:
            raise Refused("access_denied", "You cannot open the record of this patient.")
        shown = {
            "person": user.name,
            "app": app,
            "patient": chart,
            "encounters": await directory.encounters(user, session.acting_as, patient) if patient else [],
            "filled": filled,
            "error": visit.language.say(error),
            "field": "context",
        }
        leads_to = " ".join((*app.launch_uris, *app.redirect_uris))
        values, status = {**visit.values("launch"), **shown}, 400 if error else 200
        return self._pages.show("launch_details", values, visit.language, status=status, leads_to=leads_to)

    async def _open(self, request: Request, asked: exchange.Request, visit: Visit, app: Client) -> Response:
        """Make the launch, and send the person to the app with it."""
        realm, filled, patient = visit.realm, Filled.of(asked), asked.one("patient")
        session, user = visit.complete
        said = {
            "patient": patient,
            "encounter": filled.encounter,
            "intent": filled.intent,
            "need_patient_banner": filled.banner,
        }
        try:
            context = launch.read({**said, "fhirContext": filled.resources()})
            await launch.check(realm, user, session.acting_as, context)
            uri, role = filled.launch_uri, session.acting_as
            opened = await launch.mint(realm, app, user, context, launch_uri=uri, request=asked, acting_as=role)
        except launch.NotLaunchable as error:
            return await self._details(visit, app, patient, filled, str(error))
        return self._pages.leave(request, opened.url, app.name, realm.policy.name, visit.language)


async def _launchable(realm: Realm) -> list[Client]:
    """Return the apps that can be opened, by name."""
    found = [client for kind in KINDS for client in await realm.store.find(Client, kind=kind)]
    return sorted((one for one in found if one.usable and one.launch_uris), key=lambda one: (one.name, one.id))
