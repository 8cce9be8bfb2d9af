"""A request at the authorization endpoint: found in order, or refused; then kept (RFC 6749 4.1.1, SMART App Launch 2.2, 2.0.9).

From here on the browser carries only the handle of the request, and nothing of it can be changed any more.
"""

from urllib.parse import urlsplit

from smart_auth import launch, opaque, protocol, redirects, throttle
from smart_auth.errors import slow_down
from smart_auth.exchange import Request
from smart_auth.protocol import Refused
from smart_auth.realm import Realm
from smart_auth.records import AuthorizationRequest, Client
from smart_auth.scopes.grammar import LaunchScope, Scopes

REQUIRED = ("response_type", "state", "aud", "scope")
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
CONTEXTS = frozenset({"patient", "encounter"})
"""What a person can choose when an app is not opened by an EHR."""

MOST_STATE = 4_096
MOST_WAITING = 1_000


async def begin(realm: Realm, request: Request) -> str:
    """Keep a request and return its handle.

    Raises:
        Refused: It is not in order. With `redirect_uri` the answer is a redirect (`denied`), without it a page.
        OAuthError: `slow_down`.
    """
    client_id, uri = request.one("client_id"), request.one("redirect_uri")
    client = await realm.store.get(Client, client_id) if client_id else None
    if request.repeated() in {"client_id", "redirect_uri"}:
        raise Refused("invalid_request", "client_id or redirect_uri is there more than once.")
    await _admit(realm, request)
    if client is None or not client.usable or client.kind == "backend":
        raise Refused("invalid_client", "There is no client with this client_id that people can sign in to.")
    if not redirects.matches(uri, client.redirect_uris):
        raise Refused(
            "invalid_request", "The redirect_uri is not one that was registered for this client, as it was written."
        )
    _check_form(realm, request, uri)
    protocol.judge_authorization(request, protocol.Known(client, development=realm.policy.development))
    scopes = await _scopes(realm, request, client, uri)
    launch_id = opaque.digest(request.one("launch")) if "launch" in scopes.words else ""
    now = realm.clock()
    handle = opaque.new()
    await realm.store.add(
        AuthorizationRequest(
            opaque.digest(handle),
            client.id,
            uri,
            scopes.text,
            request.one("state"),
            request.one("code_challenge"),
            now,
            now + realm.policy.request_life,
            nonce=request.one("nonce")[:MOST_STATE],
            prompt=tuple(sorted(set(request.one("prompt").split()))),
            max_age=int(request.one("max_age")) if request.one("max_age") else None,
            login_hint=request.one("login_hint")[:200],
            launch_id=launch_id,
            ui_locales=request.one("ui_locales")[:200],
        )
    )
    return handle


async def _admit(realm: Realm, request: Request) -> None:
    """Let a network keep so many requests at a time and no more: each takes a place in the record until it is forgotten."""
    now = realm.clock()
    name = f"authorize {throttle.network(request.address)}"
    if await realm.store.count(name, now, now + realm.policy.request_life) > MOST_WAITING:
        raise slow_down(int(realm.policy.request_life.total_seconds()))


def _check_form(realm: Realm, request: Request, uri: str) -> None:
    """Check what SMART and OpenID Connect ask for beyond OAuth."""
    if name := request.repeated():
        raise Refused("invalid_request", f"The parameter '{name[:60]}' is there more than once.", uri)
    if request.one("response_type") not in {"", "code"}:
        raise Refused("unsupported_response_type", "The response_type must be code.", uri)
    aud = request.one("aud") or request.one("resource")
    missing = [name for name in REQUIRED if not (aud if name == "aud" else request.one(name))]
    if missing:
        raise Refused("invalid_request", f"These parameters are missing: {', '.join(missing)}.", uri)
    if not same_base(aud, realm.policy.base):
        raise Refused(
            "invalid_request", f"The aud must be {realm.policy.base}, the FHIR base that the app will call.", uri
        )
    prompts = set(request.one("prompt").split())
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise Refused("invalid_request", "The prompt is none, or some of login, consent and select_account.", uri)
    age = request.one("max_age")
    if age and not (age.isascii() and age.isdigit() and len(age) < 10):
        raise Refused("invalid_request", "The max_age is not a number of seconds.", uri)
    if len(request.one("state")) > MOST_STATE:
        raise Refused("invalid_request", f"The state is longer than {MOST_STATE} characters.", uri)


async def _scopes(realm: Realm, request: Request, client: Client, uri: str) -> Scopes:
    """Return what of the wanted scopes can be granted at all."""
    scopes = realm.permitted(realm.scopes(request.one("scope")), client)
    if {"online_access", "offline_access"} <= scopes.words:
        scopes = scopes.only(lambda one: one.meaning != "online_access")
    if "openid" not in scopes.words:
        scopes = scopes.only(lambda one: one.meaning not in {"fhirUser", "profile"})
    if "launch" not in scopes.words:  # only an EHR knows more than these
        scopes = scopes.only(lambda one: not isinstance(one.meaning, LaunchScope) or one.meaning.kind in CONTEXTS)
    if not scopes.resources and "openid" not in scopes.words:
        raise Refused("invalid_scope", "Nothing of the scope can be granted to this client.", uri)
    if ("launch" in scopes.words) != request.has("launch"):
        text = "The scope launch and the parameter launch go together; one of them is missing."
        raise Refused("invalid_request", text, uri)
    if request.has("launch") and await launch.find(realm, opaque.digest(request.one("launch")), client.id) is None:
        raise Refused("invalid_request", "The launch is not one of this server for this app, or was used before.", uri)
    return scopes


def same_base(one: str, other: str) -> bool:
    """Return whether two URLs are the same FHIR base: slash at the end and default port do not matter."""
    return _base(one) == _base(other) != ()


def _base(url: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ()
    if parts.username is not None or parts.query or parts.fragment or not parts.hostname:
        return ()
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")
