"""The launch endpoint: an EHR that is not ours opens an app for one of its people (the server side of SMART App Launch 2.2, 2.0.9).

Who may: the person, from a page of this site; or a client with the right `ehr-launch`, for a person whom it names. The right is
its own, and no scope: it reads nothing and nobody can be asked for it. What a launch says is believed only as far as the person
who then signs in reaches, so a client with this right alone can show nobody anything that the person could not open anyway.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from smart_auth import callers, launch, people
from smart_auth.errors import OAuthError, slow_down
from smart_auth.exchange import Answer, Request, refusal
from smart_auth.realm import Realm
from smart_auth.records import Client, Session, User

MOST_A_MINUTE, MINUTE = 600, timedelta(minutes=1)
CREDENTIALS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")


async def respond(realm: Realm, request: Request, body: Any, person: tuple[Session, User] | None = None) -> Answer:
    """Return the answer to a request for a launch.

    Args:
        realm: The server.
        request: Its headers say which client calls; the members `client_…` of the body may say it as well.
        body: JSON: `app` (client_id), `user` (login; for clients), `launch_uri`, and the context as a token response has it.
        person: Session and person of a browser that calls from a page of this site, or `None`.
    """
    try:
        opened = await _opened(realm, request, body, person)
    except launch.NotLaunchable as error:
        return refusal(OAuthError("invalid_request", str(error)))
    except OAuthError as error:
        return refusal(error)
    life = int(realm.policy.launch_life.total_seconds())
    return Answer(
        {"launch": opened.launch, "launch_url": opened.url, "iss": realm.policy.base, "expires_in": life}, 201
    )


async def _opened(realm: Realm, request: Request, body: Any, person: tuple[Session, User] | None) -> launch.Opened:
    if not isinstance(body, dict):
        raise OAuthError("invalid_request", "The body must be a JSON object that names the app to launch.")
    session, user, by = await _who(realm, request, body, person)
    app = await realm.store.get(Client, _text(body, "app"))
    if app is None:
        raise OAuthError("invalid_request", "There is no client with the client_id that 'app' names.")
    context = launch.read(body)
    role = session.acting_as if session else ""
    await launch.check(realm, user, role, context)
    uri = _text(body, "launch_uri")
    return await launch.mint(realm, app, user, context, launch_uri=uri, request=request, by=by, acting_as=role)


async def _who(
    realm: Realm, request: Request, body: Mapping[str, Any], person: tuple[Session, User] | None
) -> tuple[Session | None, User, str]:
    """Return for whom the app is opened, and the client that opens it for somebody else."""
    if person is not None:
        session, user = person
        if user.kind == "patient":
            raise OAuthError("access_denied", "Apps are launched from a record by those who work with it.", status=403)
        return session, user, ""
    proof = tuple((name, value) for name in CREDENTIALS if isinstance(value := body.get(name), str))
    caller = await callers.of(realm, replace(request, parameters=proof), for_people=False)
    if callers.EHR_LAUNCH not in caller.scope.split():
        text = f"The client needs the right {callers.EHR_LAUNCH}; an administrator gives it among its scopes."
        raise OAuthError("access_denied", text, status=403)
    now = realm.clock()
    if await realm.store.count(f"launch {caller.id}", now, now + MINUTE) > MOST_A_MINUTE:
        raise slow_down(int(MINUTE.total_seconds()))
    found = await realm.store.find(User, login=people.folded(_text(body, "user")))
    if not found or found[0].disabled:
        raise OAuthError(
            "invalid_request", "There is nobody with the login that 'user' names, or the account is disabled."
        )
    return None, found[0], caller.id


def _text(body: Mapping[str, Any], member: str) -> str:
    value = body.get(member, "")
    if not isinstance(value, str):
        raise OAuthError("invalid_request", f"The member '{member}' is a string.")
    return value[:2_048]
