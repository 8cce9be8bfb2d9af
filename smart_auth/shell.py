"""Access tokens for the operator's own shell.

Whoever can run commands on the record needs no sign-in to reach it, only a token to try requests with. It comes from a grant
like any other: it is in the audit trail, ends within the hour, and `fhir-server client disable operator-shell` ends them all.
"""

from datetime import timedelta
from typing import Any

from smart_auth import opaque, tokens
from smart_auth.administration import Unacceptable
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, Client, Grant, LaunchContext, User

CLIENT = "operator-shell"
LIFE = timedelta(hours=1)


async def token(
    realm: Realm, scope: str, user: User | None = None, patient: str = "", role: str = ""
) -> dict[str, Any]:
    """Return a token response.

    Args:
        realm: The server.
        scope: `system/` scopes without a person, `user/` and `patient/` scopes with one.
        user: The person as whom requests are made, or `None`.
        patient: Id of the patient in context, for `patient/` scopes.
        role: What the person works as, one of the links such as `PractitionerRole/role24-1`; empty for the only or first one.

    Raises:
        Unacceptable: A scope that cannot be granted, a patient that the person may not open, a role that is not held, or the client is disabled.
    """
    client = await _client(realm)
    asked = realm.scopes(scope)
    if asked.refused:
        text, why = asked.refused[0]
        raise Unacceptable(f"'{text[:200]}' cannot be granted: {why}.")
    kinds = {"user", "patient"} if user else {"system"}
    strange = [one.text for one in asked.resources if one.context not in kinds]
    if strange or not asked.resources:
        hint = "user/ or patient/ scopes for a person" if user else "system/ scopes, or name a person for user/ scopes"
        raise Unacceptable(f"'{(strange or [scope])[0][:200]}' cannot be granted here: ask for {hint}.")
    if any(one.context == "patient" for one in asked.resources) and not patient:
        raise Unacceptable("patient/ scopes are for one patient. Name the patient.")
    held = [link.reference for link in user.roles] if user else []
    if role and role not in held:
        raise Unacceptable(f"'{role[:80]}' is none of the roles that the person holds: {', '.join(held) or 'none'}.")
    acting_as = role or (user.role("") or (user.roles or user.links)[0].reference if user and user.links else "")
    if user and patient and not await realm.directory.may_open(user, acting_as, patient):
        raise Unacceptable(f"{user.login} may not open the record of the patient '{patient[:64]}', or there is none.")
    now = realm.clock()
    grant = Grant(
        opaque.new(),
        CLIENT,
        user.id if user else NOBODY,
        asked.text,
        "once",
        now,
        now + LIFE,
        LaunchContext(patient),
        fhir_user=user.person(acting_as) if user else "",
        acting_as=acting_as,
    )
    await realm.store.add(grant)
    await realm.note("token-issued", grant=grant, grant_type="operator-shell", scope=grant.scope)
    return await tokens.issue(realm, grant, client)


async def _client(realm: Realm) -> Client:
    """Return the client of these grants, which can do nothing over the network by itself."""
    made = Client(CLIENT, "Operator's shell", "confidential", "private_key_jwt", realm.clock(), grant_types=())
    await realm.store.add(made)
    client = await realm.store.get(Client, CLIENT) or made
    if not client.usable:
        raise Unacceptable(f"The client '{CLIENT}' is disabled. Enable it: fhir-server client enable {CLIENT}")
    return client
