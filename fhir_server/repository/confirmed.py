"""Links between Patients that a human has confirmed stay in `Patient.link` until a human undoes them.

The rows that access goes by are not written by updates of a Patient. So an update that drops such a link would have the record say
that two people are meant while access still takes them for one; it is refused, and so is deleting a Patient that is linked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.model.errors import Conflict
from fhir_server.repository.ground import Ground
from fhir_server.store import Change, Delete, Unit, Update
from profiles.issue import Issue

TYPES = frozenset({"Patient"})


def loosens(change: Change) -> bool:
    """Return whether a change takes a link of a Patient away."""
    return bool(_dropped(change))


async def check(ground: Ground, changes: Sequence[Change], unit: Unit) -> None:
    """Refuse changes that take a confirmed link away.

    Raises:
        Conflict: `link-confirmed`.
    """
    dropped = {_id(change): _dropped(change) for change in changes if loosens(change)}
    known = await ground.store.patient_links.of(dropped, unit.session)
    for patient, others in dropped.items():
        for link in known.get(patient, ()):
            if link.other in others:
                undo = "$unlink" if link.kind == "seealso" else "$unmerge"
                text = (
                    f"Somebody has confirmed that Patient/{patient} and Patient/{link.other} are one person. Leave that link in "
                    f"Patient.link; {undo} undoes it."
                )
                place = ground.places.get(("Patient", patient), "Patient")
                raise Conflict(text, issues=[Issue("error", "conflict", text, f"{place}.link", "link-confirmed")])


def _dropped(change: Change) -> frozenset[str]:
    """Return the Patients that a change no longer links to."""
    if isinstance(change, Update):
        return _others(change.superseded) - _others(change.doc)
    return _others(change.superseded) if isinstance(change, Delete) else frozenset()


def _others(document: Mapping[str, Any]) -> frozenset[str]:
    links = document["r"].get("link", ())
    texts = (str(one.get("other", {}).get("reference", "")) for one in links)
    return frozenset(text.partition("Patient/")[2].partition("/")[0] for text in texts)


def _id(change: Change) -> str:
    return str(change.doc["_id"]) if isinstance(change, Update) else str(getattr(change, "id", ""))
