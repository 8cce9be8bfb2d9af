"""What patients may write: what they have said themselves, what they manage themselves, and nothing else (product.md 2.3, 3).

The list is closed. A patient or proxy creates contributions of the own, and changes or deletes only those: the version that is
stored has to be one, and the version that comes to be as well. Nobody can thus take a result over by writing oneself into it, nor
leave a contribution as if a clinician had written it, nor order what only clinicians order.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fhir_server.access.principal import Principal
from fhir_server.model.errors import Forbidden
from fhir_server.search import gates
from profiles.issue import Issue

DENIED = "patient-write-not-allowed"

MANAGED = frozenset({"Appointment", "AppointmentResponse", "Consent", "Coverage", "Patient", "RelatedPerson"})
"""Types of which patients write whatever their scopes reach: who they are, who helps them, when they come, what they consent to."""

FREE = MANAGED | {"Binary", "Medication", "Subscription", "Substance"}
"""The same, with what belongs to nobody, to whoever created it, and what its `securityContext` decides about (`Rights.require_own`)."""

AUTHORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **gates.AUTHORS,
        "AdverseEvent": ("recorder",),
        "Basic": ("author",),
        "Composition": ("author", "attester.party"),
        "DeviceUseStatement": ("source",),
        "DocumentReference": ("author", "authenticator"),
        "List": ("source",),
        "Media": ("operator",),
        "Procedure": ("recorder", "asserter", "performer.actor"),
        "Provenance": ("agent.who",),
        "QuestionnaireResponse": ("author", "source"),
    }
)
"""Elements that say who has said it or stands for it, by type: the types in which patients have something to say."""

PROPOSED = frozenset({"CarePlan", "MedicationRequest", "ServiceRequest"})
"""Requests: patients propose, and do not order."""

ASKED = frozenset({"draft", "requested", "cancelled", "entered-in-error"})
"""Statuses that patients give to tasks that they ask others to do."""

DOING = frozenset(
    {"meta", "text", "status", "statusReason", "businessStatus", "executionPeriod", "lastModified", "note", "output"}
)
"""Elements of a Task that patients change where it was given to them."""

Resource = Mapping[str, Any]


def applies(who: Principal) -> bool:
    """Return whether a caller writes own contributions only."""
    return who.audience == "patient"


def require_stored(who: Principal, resource_type: str, resource: Resource, letter: str) -> None:
    """Refuse a patient or proxy to change or delete what the patient has not said.

    Args:
        who: Who writes.
        resource_type: Type.
        resource: The version that is stored; one that the caller may see.
        letter: `u` or `d`.

    Raises:
        Forbidden: `patient-write-not-allowed`.
    """
    if not applies(who) or resource_type in FREE:
        return
    if resource_type == "Task" and _is_given(resource):
        if letter == "d":
            raise _denied(
                "Patients and their proxies do not delete a Task that the care team has given to them.", "Task"
            )
        return
    _require_own(resource_type, resource)


def require_next(who: Principal, resource_type: str, resource: Resource, before: Resource | None) -> None:
    """Refuse a patient or proxy to come to write what the patient has not said.

    Args:
        who: Who writes.
        resource_type: Type.
        resource: The version that would be.
        before: The version that it follows; `None` for the first one.

    Raises:
        Forbidden: `patient-write-not-allowed`.
    """
    if not applies(who) or resource_type in FREE:
        return
    if resource_type == "Task" and before and _is_given(before):
        _require_doing(resource, before)
        return
    _require_own(resource_type, resource)


def require_revival(who: Principal, resource_type: str, resource: Resource) -> None:
    """Refuse a patient or proxy to bring back what was deleted, unless it is the patient's own saying.

    Who has deleted it is not asked: what the care team manages with the patient stays deleted when they have deleted it.

    Args:
        who: Who writes.
        resource_type: Type.
        resource: The last version before the deletion; one that the caller might see.

    Raises:
        Forbidden: `patient-write-not-allowed`.
    """
    if not applies(who):
        return
    if resource_type in FREE:
        raise _denied(
            f"Patients and their proxies do not bring back a {resource_type} that was deleted. Create a new one, or ask the care team.",
            resource_type,
        )
    _require_own(resource_type, resource)


def _require_own(resource_type: str, resource: Resource) -> None:
    authors = AUTHORS.get(resource_type, ())
    if not authors:
        raise _denied(
            f"Patients and their proxies do not write a {resource_type}: that is for the care team. Ask them to change it.",
            resource_type,
        )
    if not is_own(resource):
        raise _denied(
            f"Patients and their proxies write a {resource_type} only where they have said all of it: {' or '.join(authors)} has "
            "to name the patient whom it is about, or a RelatedPerson, and nobody else, before a change and after it. What the "
            "care team has written, ask them to change; what you have to add, create as your own.",
            f"{resource_type}.{authors[0]}",
        )
    if resource_type in PROPOSED and resource.get("intent") != "proposal":
        raise _denied(
            f"Patients and their proxies write a {resource_type} with the intent 'proposal' only, not "
            f"'{resource.get('intent')}': the care team orders. Propose it, or ask by a Task.",
            f"{resource_type}.intent",
        )
    if resource_type == "Task" and resource.get("status") not in ASKED:
        raise _denied(
            f"Patients and their proxies ask for a Task: its status is {', '.join(sorted(ASKED))}. Who does it says how far it is.",
            "Task.status",
        )


def is_own(resource: Resource) -> bool:
    """Return whether the patient, or who acts for the patient, has said all of a resource and stands alone for it."""
    about = {
        one["reference"] for name in gates.SUBJECTS for one in _walk(resource, name.split(".")) if "reference" in one
    }
    authors = [one for path in AUTHORS.get(resource["resourceType"], ()) for one in _walk(resource, path.split("."))]
    # An author without a literal reference (a name, an identifier) is somebody else.
    texts = [one.get("reference", "") for one in authors]
    return bool(texts) and all(text in about or "RelatedPerson/" in text for text in texts)


def _is_given(task: Resource) -> bool:
    """Return whether a Task is for the patient to do, and somebody else asked for it."""
    patient, owner = (task.get(name, {}).get("reference", "") for name in ("for", "owner"))
    return not is_own(task) and bool(owner) and (owner == patient or "RelatedPerson/" in owner)


def _require_doing(task: Resource, before: Resource) -> None:
    changed = sorted(name for name in {*task, *before} - DOING if task.get(name) != before.get(name))
    if changed:
        raise _denied(
            f"Patients and their proxies say of a Task that was given to them how far it is ({', '.join(sorted(DOING))}); its "
            f"{', '.join(changed)} the care team has set. Leave that as it was.",
            f"Task.{changed[0].lstrip('_')}",
        )


def _denied(text: str, expression: str) -> Forbidden:
    return Forbidden(text, issues=[Issue("error", "forbidden", text, expression, DENIED)])


def _walk(value: Any, path: list[str]) -> Iterator[Resource]:
    """Yield what stands at a path, and nothing for a part that is not there but at its end: that yields an empty one."""
    if isinstance(value, list):
        for one in value:
            yield from _walk(one, path)
    elif not path:
        yield value
    elif path[0] in value:
        yield from _walk(value[path[0]], path[1:])
    elif value.get("resourceType") is None:
        yield {}
