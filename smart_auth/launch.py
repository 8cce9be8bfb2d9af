"""EHR launch: a person opens an app from within the record, with the context in which they are (SMART App Launch 2.2, 2.0.9).

The `launch` parameter stands for a record on this server. It was made for one person and one app, is used once, and says
nothing by itself; who changes or steals it gets no other patient.
"""

from dataclasses import replace

from smart_auth import opaque, redirects
from smart_auth.exchange import Request
from smart_auth.realm import Realm
from smart_auth.records import Client, Launch, LaunchContext, User


class NotLaunchable(Exception):
    """The app cannot be launched there. The text says what to change."""


async def mint(
    realm: Realm,
    client: Client,
    user: User,
    context: LaunchContext,
    *,
    launch_uri: str = "",
    request: Request | None = None,
) -> str:
    """Return the URL that opens an app with a context.

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
    await realm.note("launch-made", request, client_id=client.id, user_id=user.id, patient=context.patient)
    return redirects.answered(uri, {"iss": realm.policy.base, "launch": secret})


async def find(realm: Realm, launch_id: str, client_id: str) -> Launch | None:
    """Return a launch that can still be used by a client, or `None`."""
    launch = await realm.store.get(Launch, launch_id)
    if launch is None or launch.used or launch.expires <= realm.clock() or launch.client_id != client_id:
        return None
    return launch


async def use(realm: Realm, launch: Launch) -> bool:
    """Return whether this is the one use of a launch."""
    return await realm.store.swap(launch, replace(launch, used=realm.clock()))
