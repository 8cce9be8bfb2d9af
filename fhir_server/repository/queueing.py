"""Who of a network may be registered at two of its facilities: pairs of Patients as Tasks, for a human to look at.

Nothing is linked by it. The Tasks are kept by the Organization that is asked for, above the facilities: that somebody of one
facility is known at another is nobody's to see who works at one of them.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from fhir_server.access.scope_filter import Letter, Unrestricted
from fhir_server.facilities.agreement import OWN
from fhir_server.facilities.nodes import MEMBER
from fhir_server.facilities.tree import Tree
from fhir_server.identity.evidence import Grade, Verdict
from fhir_server.model import instant, json
from fhir_server.model.query import ANYTHING, Query, Where
from fhir_server.repository.door import Repository
from fhir_server.repository.humans import DUTY, Resource, forbidden, replaced_by
from fhir_server.repository.likely import likely
from fhir_server.repository.sides import speaks_for
from fhir_server.search.expression import Expression, OwnedBy

KIND = "match-queue"
AT_ONCE = 50
SURE = frozenset({Grade.CERTAIN, Grade.PROBABLE})
TASK = "Task"
REQUESTS = f"{OWN}/CodeSystem/request-kind"
REVIEW = "match-review"
_BY_ID = "_id_"


@dataclass(frozen=True, slots=True)
class Step:
    """What going through some Patients came to: the last of them, how many they were, and how many Tasks are new."""

    last: str
    seen: int
    new: int


class _Members(Unrestricted):
    """Everything that some facilities keep."""

    __slots__ = ("_facilities",)

    def __init__(self, facilities: Collection[str]) -> None:
        super().__init__("who of a network may be registered twice")
        self._facilities = frozenset(facilities)

    def expression(self, resource_type: str, letter: Letter) -> Expression:
        """Return what they keep."""
        return OwnedBy(self._facilities)

    def where(self, resource_type: str, letter: Letter) -> Where:
        """Return the filter for what they keep."""
        return Where("clause", {"f": {"$in": sorted(self._facilities)}})

    def shown(self, resource_type: str) -> Where:
        """Return the same."""
        return self.where(resource_type, "r")


def key(organization: str) -> str:
    """Return the key of the job: of one Organization there is one at a time."""
    return f"{KIND} {organization}"


async def permit(repository: Repository, organization: str) -> None:
    """Refuse who may not ask for the queue of an Organization.

    Raises:
        NotFound: The caller does not see it.
        Forbidden: No human, or nobody who registers patients for it.
    """
    await repository.read("Organization", organization)
    if not speaks_for(repository.scope, await repository.house.now(), organization, DUTY):
        raise forbidden(
            "not-a-registrar",
            f"The match queue of Organization/{organization} is for administrators, and for staff of it, or of what it is part of, "
            "whose role links Patients.",
        )


def facilities(tree: Tree, organization: str, now: datetime) -> frozenset[str]:
    """Return the members of an Organization and what is part of it, with all that is part of those."""
    tops = {organization, *tree.children(organization, MEMBER, now)}
    return frozenset[str]().union(*(tree.below(one) for one in tops))


async def step(repository: Repository, organization: str, after: str) -> Step | None:
    """Look for those whom the next Patients, in the order of their ids, may be at another facility; `None` behind the last one.

    Args:
        repository: Everything.
        organization: Whose members are gone through.
        after: Id of the Patient before.
    """
    store = repository.store
    members = facilities(await repository.house.now(), organization, store.clock.now())
    kept = _Members(members)
    where = kept.where("Patient", "r") & Where("clause", {"_id": {"$gt": after}})
    found = await store.find(Query("Patient", where, (("_id", 1),), AT_ONCE, hint=_BY_ID, fields=("f",)))
    if not found:
        return None
    new = 0
    for hit in found:
        patient = json.decode(hit.body)
        if patient.get("active") is not False and not replaced_by(patient):
            new += await _queue(replace(repository, scope=kept), organization, patient, hit.envelope.get("f", ""))
        await asyncio.sleep(0)
    return Step(found[-1].id, len(found), new)


async def settle(bound: Repository, pair: tuple[str, str]) -> None:
    """Complete the Task about two Patients, where there is one, for they are linked now."""
    own = replace(bound, scope=Unrestricted("the task of who linked two Patients"))
    tasks = await own.store.exists(
        [(TASK, _id(pair))], lambda _: ANYTHING, bound.pending.unit.session if bound.pending else None
    )
    for _, task in tasks:
        await own.patch(TASK, task, lambda resource: {**resource, "status": "completed"})


async def _queue(repository: Repository, organization: str, patient: Resource, custodian: str) -> int:
    """Make Tasks for those of other facilities who may be this person; return how many are new."""
    mine = str(patient["id"])
    sure = [(one.id, verdict) for one, verdict in await likely(repository, patient) if verdict.grade in SURE]
    others = {one: verdict for one, verdict in sure if one != mine}
    if not others:
        return 0
    store = repository.store
    live = await store.current("Patient", others, ANYTHING)
    links = (await store.patient_links.of([mine])).get(mine, ())
    linked = {one.other for one in links}
    elsewhere = [
        one for one in others if one in live and live[one].document.get("f") != custodian and one not in linked
    ]
    new = 0
    for other in elsewhere:
        pair = (min(mine, other), max(mine, other))
        task = _id(pair)
        known = await store.exists([(TASK, task)], lambda _: ANYTHING)
        if known or await store.last_version(TASK, task, ANYTHING):
            continue  # somebody has decided, or will
        own = replace(repository, scope=Unrestricted("a task about two Patients", organization))
        await own.update(TASK, task, _task(pair, others[other], organization, store.clock.now()))
        new += 1
    return new


def _task(pair: tuple[str, str], verdict: Verdict, organization: str, now: datetime) -> Resource:
    """Return the Task to look at two Patients. It is `for` neither of them, or that patient would see it."""
    return {
        "resourceType": TASK,
        "id": _id(pair),
        "status": "requested",
        "intent": "proposal",
        "code": _code(REVIEW),
        "description": "Two Patients may be one person. Compare them; $link confirms it, else reject this task.",
        "focus": {"reference": f"Patient/{pair[0]}"},
        "authoredOn": instant.text(now),
        "owner": {"reference": f"Organization/{organization}"},
        "input": list(_inputs(pair, verdict)),
    }


def _inputs(pair: tuple[str, str], verdict: Verdict) -> Iterator[Mapping[str, Any]]:
    yield {"type": _code("match-other"), "valueReference": {"reference": f"Patient/{pair[1]}"}}
    yield {"type": _code("match-grade"), "valueCode": verdict.grade.value}
    yield {"type": _code("match-score"), "valueDecimal": verdict.score}
    for finding in verdict.findings:
        yield {"type": _code("match-finding"), "valueCode": finding}


def _code(code: str) -> Mapping[str, Any]:
    return {"coding": [{"system": REQUESTS, "code": code}]}


def _id(pair: tuple[str, str]) -> str:
    return f"match-{sha256('|'.join(sorted(pair)).encode()).hexdigest()[:32]}"
