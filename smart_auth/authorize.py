"""The authorization endpoint: from a request that was kept to a code (RFC 6749 4.1, SMART App Launch 2.2, 2.0.9).

`authorization_request.begin` has taken the request in. `step` says what the person has to do next: sign in, choose a role, a
patient, an encounter, agree. `agree` and `refuse` end it. Nothing that decides what is granted comes from a form, except what
the person leaves out.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from smart_auth import launch, opaque, redirects
from smart_auth.exchange import Request
from smart_auth.protocol import Refused
from smart_auth.realm import Realm
from smart_auth.records import Access, AuthorizationRequest, Client, Code, Grant, Launch, LaunchContext, Session, User
from smart_auth.scopes.choices import Choice, chosen
from smart_auth.scopes.coverage import within
from smart_auth.scopes.grammar import Asked, LaunchScope, Scopes

Step = Literal["sign-in", "role", "patient", "encounter", "consent", "done"]


@dataclass(frozen=True, slots=True)
class Open:
    """A request that waits for the person, with everything that is known about it.

    Attributes:
        asked: The request.
        client: Who asks.
        session: The session of the person, or `None` where nobody has signed in yet.
        user: The person.
        launch: The EHR launch, or `None`.
    """

    asked: AuthorizationRequest
    client: Client
    session: Session | None = None
    user: User | None = None
    launch: Launch | None = None


async def find(realm: Realm, handle: str, session: Session | None, user: User | None) -> Open:
    """Return a request that waits.

    Raises:
        Refused: It is over, was answered, or belongs to another session; a page says so.
    """
    asked = await realm.store.get(AuthorizationRequest, opaque.digest(handle))
    if asked is None or asked.answered or asked.expires <= realm.clock():
        raise Refused(
            "request_over", "This request has been answered or is too old. Go back to the app and begin again."
        )
    if asked.session_id and (session is None or session.id != asked.session_id):
        raise Refused(
            "access_denied", "Somebody else has begun to answer this request. Go back to the app and begin again."
        )
    client = await realm.store.get(Client, asked.client_id)
    if client is None or not client.usable:
        raise Refused("invalid_client", "The app has been disabled.")
    found = await launch.find(realm, asked.launch_id, client.id) if asked.launch_id else None
    return Open(asked, client, session, user, found)


async def step(realm: Realm, open_: Open) -> Step:
    """Return what the person has to do next.

    Raises:
        Refused: It cannot go on: a launch of somebody else, or `prompt=none` where there is something to do.
    """
    return _unprompted(open_, await _needed(realm, open_))


def _unprompted(open_: Open, needed: Step) -> Step:
    """Return a step that may be taken: with `prompt=none`, none that a person would have to take."""
    if "none" in open_.asked.prompt and needed != "done":
        code = {"sign-in": "login_required", "consent": "consent_required"}.get(needed, "interaction_required")
        raise Refused(
            code, "The person would have to do something, and prompt=none forbids it.", open_.asked.redirect_uri
        )
    return needed


async def advance(realm: Realm, open_: Open) -> tuple[Open, Step]:
    """Return a request, tied to its session, and what the person has to do next; what leaves no choice is chosen.

    Raises:
        Refused: As `step` and `bind`.
    """
    bound = await bind(realm, open_)
    needed = await _needed(realm, bound)
    user, session = bound.user, bound.session
    if needed == "patient" and user is not None and session is not None and user.kind == "patient":
        charts = await realm.directory.patients(user, session.acting_as, "")
        if len(charts) == 1:
            bound = await choose(realm, bound, patient=charts[0].id)
            needed = await _needed(realm, bound)
    return bound, _unprompted(bound, needed)


async def bind(realm: Realm, open_: Open) -> Open:
    """Tie a request to the session of the person who answers it; nobody else can answer it from then on.

    Raises:
        Refused: Another session was quicker.
    """
    asked, session = open_.asked, open_.session
    if session is None or asked.session_id or _too_old(realm, asked, session):
        return open_
    launched = open_.launch if open_.launch and open_.launch.user_id == session.user_id else None
    bound = replace(asked, session_id=session.id, context=launched.context if launched else asked.context)
    if not await realm.store.swap(asked, bound):
        raise Refused(
            "access_denied", "Somebody else has begun to answer this request. Go back to the app and begin again."
        )
    return replace(open_, asked=bound)


async def choose(realm: Realm, open_: Open, *, patient: str = "", encounter: str = "") -> Open:
    """Put a patient, or an encounter of the patient, into the context of a standalone launch.

    Raises:
        Refused: The person may not open it, or the context is that of an EHR launch, which does not change.
    """
    asked, user, session = open_.asked, open_.user, open_.session
    fixed = open_.launch is not None and bool(open_.launch.context.patient)
    if user is None or session is None or asked.session_id != session.id or fixed:
        raise Refused("access_denied", "The patient of this launch cannot be chosen here.")
    directory = realm.directory
    if patient and not await directory.may_open(user, session.acting_as, patient):
        raise Refused("access_denied", "You cannot open the record of this patient.")
    if encounter:
        known = await directory.has_encounter(user, session.acting_as, asked.context.patient, encounter)
        if not asked.context.patient or not known:
            raise Refused("access_denied", "This is not an encounter of the patient.")
    context = replace(asked.context, patient=patient or asked.context.patient, encounter="" if patient else encounter)
    changed = replace(asked, context=context)
    if changed != asked and not await realm.store.swap(asked, changed):
        raise Refused("access_denied", "The request was changed in another window. Go back to the app and begin again.")
    return replace(open_, asked=changed)


async def agree(realm: Realm, open_: Open, choice: Choice | None, request: Request | None = None) -> str:
    """Grant what the person allows and return where the browser goes with the code.

    Args:
        realm: The server.
        open_: The request; `step` says `consent` or `done` for it.
        choice: What the person decided; `None` where `step` says `done`, for the same was agreed to before.
        request: For the audit trail.

    Raises:
        Refused: Nothing is left, or the request was answered meanwhile.
    """
    asked, user, session = open_.asked, open_.user, open_.session
    if user is None or session is None or asked.session_id != session.id:
        raise Refused("login_required", "Nobody is signed in.", asked.redirect_uri)
    if await step(realm, open_) not in {"done", "consent" if choice else "done"}:
        raise Refused("interaction_required", "Something is still to be chosen.", asked.redirect_uri)
    before = None if choice else await _agreed(realm, open_, realm.scopes(asked.scope))
    wanted = realm.scopes(asked.scope)
    scopes = chosen(wanted, choice, realm.types) if choice else wanted
    if wanted.resources and not scopes.resources:
        return await refuse(realm, open_, request)
    scopes = _about(scopes, user)
    now = realm.clock()
    answered = replace(asked, answered=now)
    spent = open_.launch is None or await launch.use(realm, open_.launch)
    if not spent or not await realm.store.swap(asked, answered):
        raise Refused("request_over", "This request has been answered. Go back to the app and begin again.")
    access = _access(scopes)
    acting_as = _acting_as(user, session, asked.context)
    grant = Grant(
        opaque.new(),
        asked.client_id,
        user.id,
        scopes.text,
        access,
        now,
        _until(realm, choice, before),
        _told(asked.context, scopes),
        session.id,
        user.person(acting_as) if "fhirUser" in scopes.words else "",
        session.created,
        asked.nonce,
        acting_as=acting_as,
    )
    code = opaque.new()
    life = now + realm.policy.code_life
    await realm.store.add(grant)
    await realm.store.add(
        Code(opaque.digest(code), grant.id, grant.client_id, asked.redirect_uri, asked.challenge, life)
    )
    await realm.note("consent-given", request, grant=grant, scope=grant.scope, asked="no" if choice is None else "yes")
    return redirects.answered(asked.redirect_uri, {"code": code, "state": asked.state, "iss": realm.policy.issuer})


async def refuse(realm: Realm, open_: Open, request: Request | None = None) -> str:
    """Return where the browser goes when the person says no."""
    asked = open_.asked
    await realm.store.swap(asked, replace(asked, answered=realm.clock()))
    user_id = open_.user.id if open_.user else ""
    role = _acting_as(open_.user, open_.session, asked.context) if open_.user and open_.session else ""
    await realm.note("consent-refused", request, client_id=asked.client_id, user_id=user_id, acting_as=role)
    return denied(realm, Refused("access_denied", "The person did not agree.", asked.redirect_uri), asked.state)


def denied(realm: Realm, error: Refused, state: str) -> str:
    """Return the redirect for a refusal that has somewhere to go, with `iss` against mix-up (RFC 9207)."""
    answer = {"error": error.code, "error_description": error.description, "state": state, "iss": realm.policy.issuer}
    return redirects.answered(error.redirect_uri, answer)


def may_be_sent(client: Client) -> bool:
    """Return whether a browser may be sent on to a client without its person having done anything here.

    Whoever can register a client would otherwise have an open redirector on this site's name (RFC 9700 4.11.2).
    """
    return client.verified or not client.management


async def _needed(realm: Realm, open_: Open) -> Step:
    asked, session, user = open_.asked, open_.session, open_.user
    if session is None or user is None or _too_old(realm, asked, session):
        return "sign-in"
    if asked.launch_id and (open_.launch is None or open_.launch.user_id != user.id):
        raise Refused("access_denied", "The app was opened by somebody else, or too long ago.", asked.redirect_uri)
    if len(user.roles) > 1 and not user.role(session.acting_as):
        return "role"
    scopes = realm.scopes(asked.scope)
    if "patient" in scopes.contexts() or scopes.wants("patient"):
        if not asked.context.patient:
            return "patient"
        if not await realm.directory.may_open(user, session.acting_as, asked.context.patient):
            raise Refused("access_denied", "The person may not open the record of this patient.", asked.redirect_uri)
    if scopes.wants("encounter") and not asked.context.encounter and not asked.launch_id:
        shown = await realm.directory.encounters(user, session.acting_as, asked.context.patient)
        if shown:
            return "encounter"
    return "consent" if await _agreed(realm, open_, scopes) is None else "done"


def _until(realm: Realm, choice: Choice | None, before: Grant | None) -> datetime:
    """Return when a grant ends: as the person chose, now or when the same was agreed to before."""
    now, longest = realm.clock(), realm.policy.grant_life
    chosen_life = timedelta(days=choice.days) if choice and choice.days is not None else longest
    until = now + min(max(chosen_life, timedelta()), longest)
    return min(until, before.expires) if before and before.expires else until


def _too_old(realm: Realm, asked: AuthorizationRequest, session: Session) -> bool:
    """Return whether the app wants a newer sign-in than this session's (OIDC Core 3.1.2.1)."""
    if session.created >= asked.created:
        return False  # whoever signs in for this request is not asked again, however long the pages take
    if {"login", "select_account"} & set(asked.prompt):
        return True
    return asked.max_age is not None and (realm.clock() - session.created).total_seconds() > asked.max_age


async def _agreed(realm: Realm, open_: Open, scopes: Scopes) -> Grant | None:
    """Return what the person has agreed to before, if it was all of this and nothing speaks against taking it for granted.

    A redirect to anything but an https URL may reach an app that only pretends to be this one (RFC 8252 8.6).
    """
    asked = open_.asked
    if (
        "consent" in asked.prompt
        or urlsplit(asked.redirect_uri).scheme != "https"
        or not (open_.user and open_.session)
    ):
        return None
    now, wanted = realm.clock(), _about(scopes, open_.user)
    role = _acting_as(open_.user, open_.session, asked.context)
    found = []
    for grant in await realm.store.find(Grant, user_id=open_.user.id, client_id=asked.client_id):
        lives = grant.ended is None and (grant.expires is None or grant.expires > now) and grant.used is not None
        same = (grant.context.patient, grant.acting_as) == (asked.context.patient, role)
        if lives and same and not within(wanted, realm.scopes(grant.scope)):
            found.append(grant)
    return max(found, key=lambda one: one.expires or one.created, default=None)


def _about(scopes: Scopes, user: User) -> Scopes:
    """Return scopes without fhirUser for a person who is nobody in the record, and with the context that patient/ needs."""
    kept = scopes if user.links else scopes.only(lambda one: one.meaning != "fhirUser")
    if "patient" in kept.contexts() and not kept.wants("patient") and "launch" not in kept.words:
        return Scopes((*kept.asked, Asked("launch/patient", LaunchScope("patient"))), kept.refused)
    return kept


def _access(scopes: Scopes) -> Access:
    if "offline_access" in scopes.words:
        return "offline"
    return "online" if "online_access" in scopes.words else "once"


def _told(context: LaunchContext, scopes: Scopes) -> LaunchContext:
    """Return the context that an app is told: of a standalone launch only what it asked for."""
    if "launch" in scopes.words:
        return context
    patient = context.patient if scopes.wants("patient") else ""
    return LaunchContext(patient, context.encounter if scopes.wants("encounter") else "")


def _acting_as(user: User, session: Session, context: LaunchContext) -> str:
    """Return whom the person acts as: for a patient's proxy whoever acts for the patient in context."""
    proxy = next((link.reference for link in user.links if context.patient and link.patient == context.patient), "")
    return user.role(session.acting_as) or proxy or (user.links[0].reference if user.links else "")
