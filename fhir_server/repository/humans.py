"""Who may say that two Patients are one person: a human, whose role has that duty, with the right to write both."""

from dataclasses import replace
from typing import Any

from fhir_server.access.scope_filter import Unrestricted, insufficient
from fhir_server.model.errors import BadRequest, Conflict, FhirError, Forbidden, NotFound, Unprocessable
from fhir_server.repository.door import Repository
from fhir_server.store import Live
from profiles.issue import Issue
from smart_auth.scopes.grammar import ANY_TYPE

DUTY = "identity"
LOCK = "identity"
"""Links and merges come one after the other: what one has looked at holds until it is done."""

Resource = dict[str, Any]


def confirming(repository: Repository) -> Repository:
    """Return the repository that a confirmed link is written through.

    Staff write both Patients by their own right. Administrators of the house, who have no right to records, confirm by the rule
    of the house; what they see of it is that it was done.

    Raises:
        BadRequest: It is asked for in a transaction.
        Forbidden: A program or a patient asks, the role does not have the duty, or the scopes do not cover it.
    """
    scope = repository.scope
    who = scope.principal
    if repository.pending:
        raise BadRequest("Links and merges of Patients are not part of a transaction. Send the operation by itself.")
    if who.audience not in {"staff", "administrator", "server"} or who.advisory:
        raise forbidden(
            "human-confirmation-required",
            "That two Patients are one person is confirmed by a human: somebody of the staff whose role registers patients, or an "
            "administrator.",
        )
    if who.audience == "administrator":
        if not any(
            one.context == "user"
            and "u" in one.letters
            and one.resource_type in {ANY_TYPE, "Patient"}
            and not one.criteria
            for one in who.scopes
        ):
            raise insufficient("The access token has no scope for this: 'u' of Patient.", "user/Patient.u")
        return replace(repository, scope=Unrestricted("links that an administrator confirms", scope.facility))
    repository.rights.require(["Patient"], "u")
    if not scope.has_duty(DUTY):
        raise forbidden(
            "duty-missing",
            "The role that you work in does not link or merge Patients. Doctors, nurses and the front desk do.",
        )
    return repository


def session(bound: Repository) -> Any:
    """Return the session of the unit of work that a repository is bound to."""
    return bound.pending.unit.session if bound.pending else None


async def both(bound: Repository, patients: tuple[str, str]) -> dict[str, Live]:
    """Return the current versions of two Patients that the caller may write.

    Raises:
        NotFound: One is not there, or may not be seen.
        Forbidden: One may be seen, but not be written.
    """
    where = await bound.rights.where("Patient", "u", patients)
    found = await bound.store.current("Patient", patients, where, session(bound))
    for one in patients:
        if one not in found:
            await bound.rights.refuse_seen("Patient", one, "u")
            raise NotFound(f"There is no Patient/{one}.")
    return found


def with_link(patient: Resource, other: str, kind: str) -> Resource:
    """Return a Patient with a link to another one, in place of those that it has to it."""
    links = [*without_link(patient, other).get("link", []), {"other": {"reference": f"Patient/{other}"}, "type": kind}]
    return {**patient, "link": links}


def without_link(patient: Resource, other: str) -> Resource:
    """Return a Patient without links to another one."""
    links = [one for one in patient.get("link", []) if leads_to(one) != other]
    rest = {name: value for name, value in patient.items() if name != "link"}
    return {**rest, "link": links} if links else rest


def leads_to(link: Resource) -> str:
    """Return the id of the Patient that a link leads to, empty for anything else."""
    kind, _, rest = str(link.get("other", {}).get("reference", "")).partition("/")
    return rest.partition("/")[0] if kind == "Patient" else ""


def replaced_by(patient: Resource) -> str:
    """Return the Patient that a duplicate was replaced by, empty for none."""
    return next((leads_to(one) for one in patient.get("link", []) if one.get("type") == "replaced-by"), "")


def forbidden(code: str, text: str) -> FhirError:
    """Return a refusal with its stable code."""
    return Forbidden(text, issues=[Issue("error", "forbidden", text, message_id=code)])


def unprocessable(code: str, text: str, expression: str = "") -> FhirError:
    """Return the refusal of what the rules of identity forbid, with its stable code."""
    return Unprocessable(text, issues=[Issue("error", "business-rule", text, expression, code)])


def conflict(code: str, text: str) -> FhirError:
    """Return the refusal of what is at odds with a confirmed link, with its stable code."""
    return Conflict(text, issues=[Issue("error", "conflict", text, message_id=code)])
