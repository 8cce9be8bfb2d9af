"""Join a network and leave it: an invitation, the word of both sides, and what is looked at before somebody goes (product.md 9).

Nothing of this touches a clinical document. What is written is one OrganizationAffiliation, who has accepted it, and a Task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.facilities import joining, nodes
from fhir_server.facilities.agreement import OWN
from fhir_server.facilities.nodes import FOREVER, MEMBER, ROLE, Affiliation
from fhir_server.facilities.tree import Tree
from fhir_server.model import ids, instant, json
from fhir_server.model.errors import Conflict, FhirError, Unprocessable
from fhir_server.model.stored import Stored
from fhir_server.repository import hierarchy
from fhir_server.repository.door import Repository
from fhir_server.repository.inpatients import shared_inpatients
from fhir_server.repository.sides import is_sovereign, refusal, refuse_strangers, speaks_for
from fhir_server.store.acceptances import Acceptance, Side
from profiles.issue import Issue

AFFILIATION, TASK = "OrganizationAffiliation", "Task"
REQUESTS = f"{OWN}/CodeSystem/request-kind"
INVITATION = "network-invitation"
SIDES: tuple[Side, Side] = ("network", "member")

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation: the membership, which is not in force, and the task of the facility."""

    affiliation: Stored
    task: Stored


async def invite(repository: Repository, wanted: Affiliation) -> Invited:
    """Offer a membership; whoever does so speaks for the network, and accepts for it.

    Args:
        repository: Of the caller.
        wanted: The membership, without an id.

    Raises:
        NotFound: The caller sees one of the two organizations not.
        Forbidden: The caller does not speak for the network.
        Conflict: The organization is a member already, or invited; or the agreement contradicts another one.
        Unprocessable: The membership would break a rule of the hierarchy.
    """
    for side in (wanted.network, wanted.member):
        await repository.read("Organization", side)
    tree, now = await repository.house.now(), repository.store.clock.now()
    refuse_strangers(repository.scope, tree, wanted.network)
    _refuse_second(tree, wanted, now)
    if found := joining.conflicts(tree, wanted):
        raise hierarchy.refusal(found, AFFILIATION)
    affiliation, task = ids.new(), ids.new()
    resource = _affiliation(wanted)
    one = nodes.affiliation({**resource, "id": affiliation}, repository.intake.reading.zone)

    async def work(bound: Repository) -> Invited:
        await bound.create(AFFILIATION, affiliation, resource)
        await bound.create(TASK, task, _task(one, now))
        sides: Mapping[Side, Acceptance] = {"network": _word(repository, now)}
        await repository.store.acceptances.write(affiliation, joining.terms(one), sides, _session(bound))
        await bound.flush()
        return Invited(await bound.read(AFFILIATION, affiliation), await bound.read(TASK, task))

    free = _free(repository, "an invitation to a network", wanted.member)
    return await free.exclusively([f"{AFFILIATION}/{affiliation}"], [AFFILIATION, TASK], work)


async def accept(repository: Repository, affiliation: str, side: Side | None = None) -> Stored:
    """Accept a membership for one side; with the word of the second person, of the other side, it is in force.

    Args:
        repository: Of the caller.
        affiliation: Id of the OrganizationAffiliation.
        side: For which side, where the caller speaks for both.

    Raises:
        NotFound: The caller sees it not.
        Forbidden: The caller speaks for no side, or has spoken for the other one.
        Conflict: It has ended, or contradicts another agreement.
        Unprocessable: It is no membership, or would break a rule of the hierarchy.
    """
    await repository.read(AFFILIATION, affiliation)
    tree, now = await repository.house.now(), repository.store.clock.now()
    reading, store = repository.intake.reading, repository.store

    async def work(bound: Repository) -> Stored:
        live = await bound.read(AFFILIATION, affiliation)
        resource = json.decode(live.body)
        one = nodes.affiliation(resource, reading.zone, reading.base)
        _refuse_unjoinable(one, now)
        if one.active:
            return live
        mine = [each for each in SIDES if speaks_for(repository.scope, tree, getattr(one, each))]
        if not mine:
            refuse_strangers(repository.scope, tree, one.network, one.member)
        said, word = joining.terms(one), _word(repository, now)
        sides = dict(await store.acceptances.read(affiliation, said, _session(bound)))
        chosen = _chosen(mine, side, sides, one)
        if any(each.is_of(word.user, word.person) for each in sides.values()) and word.user:
            raise _self_accepted(getattr(one, chosen))
        sides[chosen] = word
        await store.acceptances.write(affiliation, said, sides, _session(bound))
        if len(sides) == len(SIDES) or not word.user:
            await bound.update(AFFILIATION, affiliation, _in_force(resource, now))
            await _close(bound, affiliation)
            await bound.flush()
        return await bound.read(AFFILIATION, affiliation)

    free = _free(repository, "a membership that both sides accept")
    return await free.exclusively([f"{AFFILIATION}/{affiliation}"], [AFFILIATION, TASK], work)


async def leave(
    repository: Repository, organization: str, network: str = "", *, override: bool = False
) -> list[Stored]:
    """End the memberships of an Organization, in one network or in all, and return them.

    Args:
        repository: Of the caller.
        organization: The member.
        network: The network, empty for all.
        override: Go although inpatients are shared; only for who speaks for the sovereign.

    Raises:
        NotFound: The caller sees the Organization not.
        Forbidden: The caller speaks for neither side, or may not override.
        Conflict: It is no member, or inpatients are shared; they are listed.
    """
    await repository.read("Organization", organization)
    tree, now = await repository.house.now(), repository.store.clock.now()
    refuse_strangers(repository.scope, tree, organization, *([network] if network else []))
    ended = [
        one.id
        for one in tree.affiliations.values()
        if one.member == organization and MEMBER in one.codes and one.active and one.end > now
        if network in {"", one.network}
    ]
    if not ended:
        where = f"of Organization/{network}" if network else "of any network"
        raise _conflict("not-a-member", f"Organization/{organization} is no member {where}.")
    if override and not is_sovereign(repository.scope, tree, organization):
        raise refusal(
            "override-not-allowed", "Only administrators of the sovereign leave although inpatients are shared."
        )
    if not override:
        await _refuse_shared(repository, tree, organization, {tree.affiliations[one].network for one in ended}, now)

    async def work(bound: Repository) -> list[Stored]:
        for one in ended:
            await bound.patch(AFFILIATION, one, lambda found: _ended(found, now))
        await bound.flush()
        return [await bound.read(AFFILIATION, one) for one in ended]

    free = _free(repository, "a membership that one side ends")
    return await free.exclusively([f"{AFFILIATION}/{one}" for one in sorted(ended)], [AFFILIATION], work)


async def _refuse_shared(
    repository: Repository, tree: Tree, organization: str, networks: set[str], now: datetime
) -> None:
    members = {
        one.member
        for one in tree.affiliations.values()
        if one.network in networks and MEMBER in one.codes and one.holds(now)
    }
    others = frozenset[str]().union(*(tree.below(one) for one in members)) - tree.below(organization)
    found = await shared_inpatients(repository.store, tree.below(organization), others)
    if not found:
        return
    issues = [
        Issue(
            "error",
            "conflict",
            f"Encounter/{one.id} at Organization/{one.facility} is of a patient who is known at both sides."
            if speaks_for(repository.scope, tree, one.facility)
            else f"An inpatient at Organization/{one.facility} is a patient of both sides.",
            message_id="shared-inpatient",
        )
        for one in found
    ]
    text = (
        f"{len(found)} inpatients are shared. Discharge or transfer them first; an administrator of the sovereign may go on with "
        "override."
    )
    raise Conflict(text, issues=[Issue("error", "conflict", text, message_id="shared-inpatients"), *issues])


def _refuse_second(tree: Tree, wanted: Affiliation, now: datetime) -> None:
    for one in tree.affiliations.values():
        if (one.network, one.member) != (wanted.network, wanted.member) or MEMBER not in one.codes or one.end <= now:
            continue
        what = "is a member" if one.active else "is invited"
        code = "already-member" if one.active else "already-invited"
        raise _conflict(
            code,
            f"Organization/{wanted.member} {what} of Organization/{wanted.network} already: {AFFILIATION}/{one.id}.",
        )


def _refuse_unjoinable(one: Affiliation, now: datetime) -> None:
    if MEMBER not in one.codes or not one.network or not one.member:
        text = f"{AFFILIATION}/{one.id} is no membership: it has no code '{MEMBER}', or not two organizations."
        issue = Issue("error", "business-rule", text, AFFILIATION, "affiliation-incomplete")
        raise Unprocessable(text, issues=[issue])
    if one.end <= now:
        raise _conflict("membership-ended", f"{AFFILIATION}/{one.id} has ended. Invite again.")


def _chosen(mine: list[Side], side: Side | None, sides: Mapping[Side, Acceptance], one: Affiliation) -> Side:
    """Return the side that a caller accepts for."""
    if side and side not in mine:
        raise refusal("not-a-side", f"You do not speak for the {side}, Organization/{getattr(one, side)}.")
    waiting = [each for each in ([side] if side else mine) if each not in sides]
    if not waiting:
        raise _self_accepted(one.member if (side or mine[0]) == "network" else one.network)
    return waiting[0]


def _self_accepted(awaited: str) -> FhirError:
    return refusal(
        "self-accept",
        "A membership is accepted by two people, one of each side. Now it is for another person, who speaks for "
        f"Organization/{awaited}.",
    )


def _affiliation(one: Affiliation) -> Resource:
    period = {"period": {"end": instant.text(one.end)}} if one.end < FOREVER else {}
    return {
        "resourceType": AFFILIATION,
        "extension": [one.agreement.extension()],
        "active": False,
        **period,
        "organization": {"reference": f"Organization/{one.network}"},
        "participatingOrganization": {"reference": f"Organization/{one.member}"},
        "code": [{"coding": [{"system": ROLE, "code": MEMBER}]}],
    }


def _task(one: Affiliation, now: datetime) -> Resource:
    role = {"system": f"{OWN}/CodeSystem/staff-role", "code": "administrator"}
    return {
        "resourceType": TASK,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": REQUESTS, "code": INVITATION}]},
        "description": f"Organization/{one.network} invites to join. See $join-preview, then $accept.",
        "focus": {"reference": f"{AFFILIATION}/{one.id}"},
        "authoredOn": instant.text(now),
        "requester": {"reference": f"Organization/{one.network}"},
        "performerType": [{"coding": [role]}],
        "owner": {"reference": f"Organization/{one.member}"},
    }


def _in_force(resource: Resource, now: datetime) -> Resource:
    period = {"start": instant.text(now), **resource.get("period", {})}
    return {**resource, "active": True, "period": period}


def _ended(resource: Resource, now: datetime) -> Resource:
    return {**resource, "active": False, "period": {**resource.get("period", {}), "end": instant.text(now)}}


async def _close(bound: Repository, affiliation: str) -> None:
    """Complete the tasks of an invitation."""
    pairs = (("focus", f"{AFFILIATION}/{affiliation}"), ("status", "requested"))
    for task in await bound.matches(TASK, pairs, most=10):
        await bound.patch(TASK, task.id, lambda found: {**found, "status": "completed"})


def _word(repository: Repository, now: datetime) -> Acceptance:
    who = repository.scope.principal
    return Acceptance(who.user_id, who.fhir_user, now)


def _free(repository: Repository, why: str, facility: str = "") -> Repository:
    """Return the repository that what both sides agreed on is written through, whoever of them does so."""
    return replace(repository, scope=Unrestricted(why, facility or repository.scope.facility))


def _session(bound: Repository) -> Any:
    return bound.pending.unit.session if bound.pending else None


def _conflict(code: str, text: str) -> Conflict:
    return Conflict(text, issues=[Issue("error", "conflict", text, message_id=code)])
