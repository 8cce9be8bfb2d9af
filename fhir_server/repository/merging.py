"""Duplicates of one facility merged by a human, and parted again: the duplicate is replaced, nothing else is rewritten.

What belongs to the duplicate stays with it, and is reached by the confirmed link.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fhir_server.model import instant, json
from fhir_server.model.query import ANYTHING
from fhir_server.repository.door import Repository
from fhir_server.repository.humans import (
    LOCK,
    Resource,
    both,
    confirming,
    replaced_by,
    session,
    unprocessable,
    with_link,
    without_link,
)
from fhir_server.repository.linking import note, now, tell
from fhir_server.repository.written import Written
from fhir_server.store import Confirmed, Live

REPLACES, REPLACED = "replaces", "replaced-by"
TYPES = ("Patient",)


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge, or its end.

    Attributes:
        source: The duplicate, as it then is.
        target: The Patient that stays.
        restored: Whether both are again what they were before, as far as that is to be undone.
    """

    source: Written
    target: Written
    restored: bool = True


class _Rehearsed(Exception):
    """Ends a unit of work whose result was only asked for."""

    def __init__(self, merged: Merged) -> None:
        self.merged = merged


async def merge(
    repository: Repository, source: str, target: str, result: Resource | None = None, *, rehearse: bool = False
) -> Merged:
    """Replace a duplicate by the Patient that stays.

    Args:
        repository: What the caller may reach.
        source: The duplicate.
        target: The Patient that stays.
        result: What the latter is to be then; as it is, where that is not said.
        rehearse: Whether only to say what would come of it.

    Raises:
        Forbidden: See `humans.confirming`; or one of them may be seen, but not be written.
        NotFound: One is not there, or may not be seen.
        Unprocessable: `merge-self`, `merge-across-facilities`, `merge-replaced`.
        BadRequest: The result is no valid Patient.
    """
    if source == target:
        raise unprocessable(
            "merge-self", f"Patient/{source} cannot be merged into itself. Name another Patient.", "target-patient"
        )
    writing = confirming(repository)

    async def work(bound: Repository) -> Merged:
        found = await both(bound, (source, target))
        note(bound, found)
        _refuse(found, source, target)
        by, at, links = repository.scope.principal.user_id, now(bound), bound.store.patient_links
        for mine, theirs, kind in ((source, target, REPLACED), (target, source, REPLACES)):
            confirmed = Confirmed(theirs, kind, by, at, before=found[mine].stored.vid)
            await links.put(mine, confirmed, session(bound))
        merged = Merged(
            await bound.patch("Patient", source, partial(_replaced, by=target)),
            await bound.patch("Patient", target, partial(_staying, instead_of=source, result=result)),
        )
        await bound.store.facilities.raise_epoch(session(bound))
        tell(bound, source=f"Patient/{source}", target=f"Patient/{target}")
        if rehearse:
            await bound.flush()
            raise _Rehearsed(merged)
        return merged

    try:
        return await writing.exclusively([LOCK], TYPES, work)
    except _Rehearsed as rehearsed:
        if footprint := repository.footprint:
            footprint.reset()
            footprint.note_patients("Patient", {"ps": [source, target]})
            footprint.detail["preview"] = True
        return rehearsed.merged


async def unmerge(repository: Repository, source: str) -> Merged:
    """Undo a merge: the duplicate is a Patient of its own again.

    Both become what they were before; of what was changed since, only the link and `active` are undone.

    Raises:
        Forbidden, NotFound: As for `merge`.
        Unprocessable: `not-merged`: nobody has merged it by `merge`.
    """
    writing = confirming(repository)

    async def work(bound: Repository) -> Merged:
        links = bound.store.patient_links
        known = (await links.of([source], session(bound))).get(source, ())
        merge = next((one for one in known if one.kind == REPLACED), None)
        target = merge.other if merge else source
        found = await both(bound, (source, target) if merge else (source, source))
        if merge is None:
            raise unprocessable(
                "not-merged",
                f"Patient/{source} was not merged into another one by $merge, so there is nothing to undo.",
            )
        note(bound, found)
        back = next(one for one in (await links.of([target], session(bound)))[target] if one.other == source)
        written: dict[str, Written] = {}
        is_whole = True
        for mine, link in ((source, merge), (target, back)):
            await links.take(mine, link.other, session(bound))
        for mine, link in ((source, merge), (target, back)):
            is_untouched = found[mine].stored.vid == link.before + 1
            is_whole = is_whole and is_untouched
            former = await _version(bound, mine, link.before)
            change = _whole(former) if is_untouched else partial(_parted, former=former, other=link.other)
            written[mine] = await bound.patch("Patient", mine, change)
        await bound.store.facilities.raise_epoch(session(bound))
        tell(
            bound,
            source=f"Patient/{source}",
            target=f"Patient/{target}",
            since=instant.text(merge.at),
            confirmed=merge.by,
        )
        return Merged(written[source], written[target], is_whole)

    return await writing.exclusively([LOCK], TYPES, work)


def _refuse(found: dict[str, Live], source: str, target: str) -> None:
    """Refuse to merge what cannot be.

    Raises:
        Unprocessable: They are kept by two facilities, or one of them was replaced already.
    """
    for patient, name in ((source, "source-patient"), (target, "target-patient")):
        if successor := replaced_by(found[patient].document["r"]):
            raise unprocessable(
                "merge-replaced",
                f"Patient/{patient} was replaced by Patient/{successor} already. Merge that one, or undo that merge first.",
                name,
            )
    if found[source].document.get("f") != found[target].document.get("f"):
        raise unprocessable(
            "merge-across-facilities",
            f"Patient/{source} and Patient/{target} are kept by two facilities. Each keeps its own; $link says that they are one "
            "person.",
            "target-patient",
        )


def _replaced(patient: Resource, *, by: str) -> Resource:
    return {**with_link(patient, by, REPLACED), "active": False}


def _staying(patient: Resource, *, instead_of: str, result: Resource | None) -> Resource:
    return with_link(result or patient, instead_of, REPLACES)


def _whole(former: Resource) -> Callable[[Resource], Resource]:
    return lambda _: former


def _parted(patient: Resource, *, former: Resource, other: str) -> Resource:
    """Return a Patient that was changed since the merge, without what the merge did."""
    parted = {name: value for name, value in without_link(patient, other).items() if name != "active"}
    return {**parted, "active": former["active"]} if "active" in former else parted


async def _version(bound: Repository, patient: str, version: int) -> Resource:
    stored = await bound.store.read_version("Patient", patient, version, ANYTHING, session(bound))
    former: Resource = json.decode(stored.body) if stored else {}
    return former
