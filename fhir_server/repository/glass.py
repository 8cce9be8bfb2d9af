"""Breaking the glass: who treats somebody in an emergency reads the record of one patient without a relationship (product.md 9).

What is written goes together or not at all: the row that access goes by, the privacy officer's Task, the notice to the patient,
and the epoch, so that every process knows at its next request.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.audit.footprint import BROKEN_GLASS
from fhir_server.model import ids, instant
from fhir_server.model.errors import Conflict, Forbidden, NotFound
from fhir_server.repository.absence import may_break, opens
from fhir_server.repository.door import Repository
from fhir_server.store import Broken

OWN = "https://aquifer.example/fhir/CodeSystem"
TASK_CODE = f"{OWN}/task-code"
STAFF_ROLE = f"{OWN}/staff-role"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
CATEGORY = "http://terminology.hl7.org/CodeSystem/communication-category"

REVIEW = "break-glass-review"
NOBODY = "Breaking the glass is for staff who are signed in and work in a role that treats patients."

MOST_AT_ONCE = 20
"""Patients whom one user has open so at the same time: an emergency is no way to work."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """What somebody states who breaks the glass.

    Attributes:
        patient: The one patient.
        reason: Why, in words.
        code: Purpose, a code of v3 ActReason.
        life: How long it holds.
    """

    patient: str
    reason: str
    code: str
    life: timedelta


async def break_glass(repository: Repository, emergency: Emergency) -> Broken:
    """Let the caller read the record of one patient for some time.

    In the custody of the own facility it opens what labels restrict; it does not tell whether there is any such thing.

    Args:
        repository: Bound to the caller, a member of the staff.
        emergency: What the caller states.

    Returns:
        What is kept of it.

    Raises:
        Forbidden: The caller is nobody who could.
        NotFound: There is no such patient there.
        Conflict: The caller has opened too many records so.
    """
    scope = repository.scope
    who, standing = scope.principal, scope.standing
    if not may_break(scope):
        raise Forbidden(NOBODY)
    keeper = (await repository.store.keepers("Patient", [emergency.patient])).get(emergency.patient)
    if keeper is None or not opens(standing, keeper.custodian):
        raise NotFound(f"There is no Patient/{emergency.patient}.")
    task, now = ids.new(), repository.store.clock.now()
    opened = {one.patient for one in await repository.store.glass.of(who.user_id, who.acting_as, now)}
    if len(opened - {emergency.patient}) >= MOST_AT_ONCE:
        raise Conflict(
            f"You have opened the records of {MOST_AT_ONCE} patients in an emergency. End one with $end-break-glass, or ask the "
            "privacy officer."
        )
    broken = Broken(
        id=ids.new(),
        patient=emergency.patient,
        custodian=keeper.custodian,
        user=who.user_id,
        role=who.acting_as,
        facility=standing.facility,
        at=now,
        until=now + emergency.life,
        reason=emergency.reason,
        code=emergency.code,
        task=f"Task/{task}",
    )
    if repository.footprint:
        repository.footprint.purpose = BROKEN_GLASS
    own = replace(repository, scope=Unrestricted("the notices of a broken glass", keeper.custodian))

    async def work(bound: Repository) -> None:
        await bound.create("Task", task, _task(broken))
        await bound.create("Communication", ids.new(), _notice(broken))
        if bound.pending:
            session = bound.pending.unit.session
            await bound.store.glass.put(broken, session)
            await bound.store.facilities.raise_epoch(session)

    await own.exclusively([f"glass {who.user_id}"], ["Task", "Communication"], work)
    return broken


async def end_glass(repository: Repository, patient: str) -> bool:
    """End what the caller has broken for a patient in the present role; return whether there was any.

    Raises:
        Forbidden: The caller is nobody who could break the glass.
    """
    scope = repository.scope
    if not may_break(scope):
        raise Forbidden(NOBODY)
    if repository.footprint:
        repository.footprint.purpose = BROKEN_GLASS
    who, now = scope.principal, repository.store.clock.now()

    async def work(bound: Repository) -> bool:
        if not bound.pending:
            return False
        session = bound.pending.unit.session
        ended = await bound.store.glass.end(who.user_id, who.acting_as, patient, now, session)
        if ended:
            await bound.store.facilities.raise_epoch(session)
        return bool(ended)

    return await repository.exclusively([f"glass {who.user_id}"], [], work)


def _task(broken: Broken) -> dict[str, Any]:
    """Return the privacy officer's task."""
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": {"coding": [{"system": TASK_CODE, "code": REVIEW, "display": "Review a broken glass"}]},
        "description": "A record was opened without a relationship. See whether the reason stands.",
        "focus": {"reference": f"Patient/{broken.patient}"},
        "for": {"reference": f"Patient/{broken.patient}"},
        "executionPeriod": {"start": instant.text(broken.at), "end": instant.text(broken.until)},
        "authoredOn": instant.text(broken.at),
        "requester": {"reference": broken.role},
        "performerType": [{"coding": [{"system": STAFF_ROLE, "code": "privacy-officer"}]}],
        "owner": {"reference": f"Organization/{broken.custodian}"},
        "reasonCode": {"coding": [{"system": ACT_REASON, "code": broken.code}], "text": broken.reason},
    }


def _notice(broken: Broken) -> dict[str, Any]:
    """Return what the patient is told: that it was, by whom and when; the words of the reason are the officer's to tell."""
    return {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"coding": [{"system": CATEGORY, "code": "notification"}]}],
        "priority": "urgent",
        "subject": {"reference": f"Patient/{broken.patient}"},
        "about": [{"reference": broken.task}, {"reference": broken.role}],
        "sent": instant.text(broken.at),
        "recipient": [{"reference": f"Patient/{broken.patient}"}],
        "sender": {"reference": f"Organization/{broken.custodian}"},
        "reasonCode": [{"coding": [{"system": ACT_REASON, "code": broken.code}]}],
        "payload": [
            {
                "contentString": "Your record was opened in an emergency by somebody who does not treat you otherwise. "
                f"It could be read until {instant.text(broken.until)}. The privacy officer reviews it."
            }
        ],
    }
