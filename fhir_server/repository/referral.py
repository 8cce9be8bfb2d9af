"""The answer of a facility to a referral that another one has sent it: a Task that the other keeps, and that it may not write itself.

What the answer changes is the status of the Task, along `STEPS`, and nothing else: neither whom it is about nor what it asks for.
So accepting opens the record that the sender has referred, and no other one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fhir_server.access.scope_filter import Unrestricted
from fhir_server.model import json
from fhir_server.model.errors import Conflict, Forbidden, Unprocessable
from fhir_server.repository.door import Repository
from fhir_server.repository.written import Written
from profiles.issue import Issue

TASK, REQUEST = "Task", "ServiceRequest"

STEPS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "requested": frozenset({"received", "accepted", "rejected"}),
        "received": frozenset({"accepted", "rejected"}),
        "accepted": frozenset({"in-progress", "completed", "failed"}),
        "in-progress": frozenset({"completed", "failed"}),
    }
)
"""What the owner of a referral makes of each status (R4 Task, state machine)."""

ANSWERS = tuple(sorted(frozenset().union(*STEPS.values())))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the owner says.

    Attributes:
        status: The new status, one of `ANSWERS`.
        reason: Why, in words; empty for none.
    """

    status: str
    reason: str = ""


async def respond(repository: Repository, task: str, answer: Answer) -> Written:
    """Give a referral the status that the facility that it is addressed to says.

    Args:
        repository: Bound to the caller, a member of its staff.
        task: Id of the Task.
        answer: What is said.

    Raises:
        NotFound: The caller sees no such Task.
        Forbidden: It is not addressed to the caller's facility.
        Conflict: A referral with its present status cannot get this one.
        Unprocessable: It is no referral.
    """
    body = json.decode((await repository.read(TASK, task)).body)
    kind, _, request = str(body.get("focus", {}).get("reference", "")).partition("/")
    if kind != REQUEST:
        raise _refused(f"Task/{task} is no referral: its focus is no {REQUEST}.", "Task.focus")
    if body.get("owner", {}).get("reference", "") not in _addresses(repository):
        raise Forbidden(f"Task/{task} is not addressed to the facility that you work for.")
    await _require_sender(repository, task, request)

    def change(current: dict[str, Any]) -> dict[str, Any]:
        status = current.get("status", "")
        if current.get("owner") != body.get("owner") or answer.status not in STEPS.get(status, ()):
            able = ", ".join(sorted(STEPS.get(status, ()))) or "nothing"
            raise Conflict(f"Task/{task} is {status}; from there it can become {able}, not {answer.status}.")
        said = {"statusReason": {"text": answer.reason}} if answer.reason else {}
        return {
            **{name: value for name, value in current.items() if name != "statusReason"},
            **said,
            "status": answer.status,
        }

    own = replace(repository, scope=Unrestricted("the answer to a referral"))
    return await own.patch(TASK, task, change)


async def _require_sender(repository: Repository, task: str, request: str) -> None:
    """Refuse what another facility has not sent: nobody opens a record by answering oneself.

    Raises:
        Forbidden: The Task is kept here, or elsewhere than its ServiceRequest, or nobody has seen to it that the sender knew
            the patient.
    """
    keepers = repository.store.keepers
    sender = (await keepers(TASK, [task]))[task].custodian
    referred = (await keepers(REQUEST, [request])).get(request)
    patient = referred.patient if referred else ""
    kept = (await keepers("Patient", [patient])).get(patient)
    unchecked = repository.rules.references != "enforce" and (kept is None or kept.custodian != sender)
    if repository.scope.standing.keeps(sender) or referred is None or referred.custodian != sender or unchecked:
        raise Forbidden(
            f"Task/{task} was not sent by another facility together with its {REQUEST}. What is kept here is written as anything else."
        )


def _addresses(repository: Repository) -> set[str]:
    standing = repository.scope.standing
    facilities = standing.where.facilities if standing.where else {standing.facility}
    return {f"Organization/{one}" for one in facilities if one}


def _refused(text: str, place: str) -> Unprocessable:
    return Unprocessable(text, issues=[Issue("error", "business-rule", text, place, "not-a-referral")])
