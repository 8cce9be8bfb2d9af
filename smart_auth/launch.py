"""EHR launch: a person opens an app from within the record, with the context in which they are (SMART App Launch 2.2, 2.0.9).

The `launch` parameter stands for a record on this server. It was made for one person and one app, is used once, and says
nothing by itself; who changes or steals it gets no other patient.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from smart_auth import opaque, redirects, style
from smart_auth.exchange import Request
from smart_auth.realm import Policy, Realm
from smart_auth.records import Client, Launch, LaunchContext, User

NAMES = ("reference", "canonical", "identifier")
MOST_RESOURCES = 50
MOST_CHARACTERS = 4_096

_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ALONE = {"Patient": "patient", "Encounter": "encounter"}
_TEXTS = {
    "patient": "patient",
    "encounter": "encounter",
    "intent": "intent",
    "tenant": "tenant",
    "appContext": "app_context",
    "smart_style_url": "smart_style_url",
}


class NotLaunchable(Exception):
    """The app cannot be launched there, or with this context. The text says what to change."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A launch that was made.

    Attributes:
        url: Where the browser of the person goes: the app's launch URI with `iss` and `launch`.
        launch: The `launch` parameter.
    """

    url: str
    launch: str


async def mint(
    realm: Realm,
    client: Client,
    user: User,
    context: LaunchContext,
    *,
    launch_uri: str = "",
    request: Request | None = None,
    by: str = "",
    acting_as: str = "",
) -> Opened:
    """Return the URL that opens an app with a context.

    Args:
        realm: The server.
        client: The app.
        user: The only person who can use the launch.
        context: What the app will be told; `check` has found nothing against it.
        launch_uri: Which of the app's launch URIs; empty for its first.
        request: For the audit trail.
        by: The client that asked for it in the person's place, or empty.
        acting_as: The role that the person works in, where one was chosen.

    Raises:
        NotLaunchable: The client has no such launch URI, or may do nothing.
    """
    uri = launch_uri or next(iter(client.launch_uris), "")
    if not client.usable or not uri or uri not in client.launch_uris:
        raise NotLaunchable("The client has no such launch URI. Register it with --launch-uri.")
    secret = opaque.new()
    shown = context if context.need_patient_banner is not None else replace(context, need_patient_banner=False)
    launch = Launch(opaque.digest(secret), client.id, user.id, shown, realm.clock() + realm.policy.launch_life)
    await realm.store.add(launch)
    await realm.note(
        "launch-made",
        request,
        client_id=client.id,
        user_id=user.id,
        patient=context.patient,
        acting_as=user.role(acting_as),
        by=by or "person",
    )
    return Opened(redirects.answered(uri, {"iss": realm.policy.base, "launch": secret}), secret)


async def find(realm: Realm, launch_id: str, client_id: str) -> Launch | None:
    """Return a launch that can still be used by a client, or `None`."""
    launch = await realm.store.get(Launch, launch_id)
    if launch is None or launch.used or launch.expires <= realm.clock() or launch.client_id != client_id:
        return None
    return launch


async def use(realm: Realm, launch: Launch) -> bool:
    """Return whether this is the one use of a launch."""
    return await realm.store.swap(launch, replace(launch, used=realm.clock()))


def told(policy: Policy, context: LaunchContext) -> dict[str, Any]:
    """Return the launch parameters of a token response: those of an EHR launch include the look of now."""
    parameters = context.parameters()
    if context.need_patient_banner is not None:
        parameters.setdefault("smart_style_url", style.url(policy.issuer, policy.style))
    return parameters


def read(body: Mapping[str, Any]) -> LaunchContext:
    """Return the context that a JSON object describes in the words of a token response.

    Raises:
        NotLaunchable: A member has the wrong type, or what `fhirContext` says is not allowed there.
    """
    texts: dict[str, str] = {}
    for member, name in _TEXTS.items():
        value = body.get(member, "")
        if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
            raise NotLaunchable(f"The member '{member}' is a string of at most {MOST_CHARACTERS} characters.")
        texts[name] = value
    banner = body.get("need_patient_banner", False)
    if not isinstance(banner, bool):
        raise NotLaunchable("The member 'need_patient_banner' is true or false.")
    resources = body.get("fhirContext", [])
    if not isinstance(resources, list) or len(resources) > MOST_RESOURCES:
        raise NotLaunchable(f"The member 'fhirContext' is a list of at most {MOST_RESOURCES} objects.")
    if why := _fault(resources):
        raise NotLaunchable(why)
    if texts["smart_style_url"] and _scheme(texts["smart_style_url"]) != "https":
        raise NotLaunchable("The smart_style_url begins with https://.")
    return LaunchContext(fhir_context=tuple(resources), need_patient_banner=banner, **texts)


async def check(realm: Realm, user: User, acting_as: str, context: LaunchContext) -> None:
    """Check that a context is one in which the person can be.

    Raises:
        NotLaunchable: The person may not open the patient, or the encounter is not one of this patient.
    """
    directory = realm.directory
    if context.patient and not await directory.may_open(user, acting_as, context.patient):
        raise NotLaunchable("The person cannot open the record of this patient, or there is none with this id.")
    if context.encounter and not context.patient:
        raise NotLaunchable("An encounter is launched together with its patient. Say which patient.")
    if context.encounter and not await directory.has_encounter(user, acting_as, context.patient, context.encounter):
        raise NotLaunchable("The encounter is not one of this patient, or the person cannot open it.")


def _fault(resources: Sequence[Any]) -> str:
    """Return what is wrong with a fhirContext, empty where nothing is (SMART App Launch 2.2, 3.0.2.1.2)."""
    for one in resources:
        if not isinstance(one, dict) or not any(one.get(name) for name in NAMES):
            return f"Each entry of fhirContext is an object with at least one of {', '.join(NAMES)}."
        role = one.get("role", "launch")
        if not isinstance(role, str) or not role or (role != "launch" and not _scheme(role)):
            return "The role of an entry of fhirContext is 'launch' or an absolute URI; leave it out for 'launch'."
        reference = one.get("reference")
        found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        if reference is not None and found is None:
            return "The reference of an entry of fhirContext is relative to the FHIR base, such as ImagingStudy/123."
        kind = found[1] if found else str(one.get("type", ""))
        if role == "launch" and kind in _ALONE:
            return f"A {kind} is not an entry of fhirContext. Use the member '{_ALONE[kind]}', or give it another role."
    return ""


def _scheme(url: str) -> str:
    """Return the scheme of a URL, empty where it is none."""
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
