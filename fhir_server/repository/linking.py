"""Links between Patients that a human confirms and undoes: the two Patients, the rows that access goes by, and the Person.

All of it commits together, or nothing does. No other resource is touched: what can be seen follows the rows at the next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fhir_server.model import instant
from fhir_server.repository import hub
from fhir_server.repository.door import Repository
from fhir_server.repository.humans import (
    LOCK,
    both,
    confirming,
    replaced_by,
    session,
    unprocessable,
    with_link,
    without_link,
)
from fhir_server.repository.queueing import settle
from fhir_server.store import Confirmed, Live
from fhir_server.store.patient_links import MOST

SEEALSO = "seealso"
TYPES = ("Patient", "Person", "Task")


@dataclass(frozen=True, slots=True)
class Joined:
    """A confirmed link.

    Attributes:
        patients: The two Patients.
        versions: The version of each.
        person: Person that leads to both, empty for none.
        since: When it was confirmed.
        by: User who confirmed it, empty for this program.
        changed: Whether this request has changed anything.
        reached: The Patients that are, or were until now, one person with either.
        is_one: Whether they are one person, by this link or by others.
    """

    patients: tuple[str, str]
    versions: tuple[int, int]
    person: str
    since: datetime
    by: str
    changed: bool
    reached: frozenset[str] = frozenset()
    is_one: bool = True


async def link(repository: Repository, one: str, other: str) -> Joined:
    """Confirm that two Patients are one person.

    Raises:
        Forbidden: See `humans.confirming`; or one of them may be seen, but not be written.
        NotFound: One is not there, or may not be seen.
        Unprocessable: `link-self`, `link-replaced`, `link-merged`, `link-too-many`.
    """
    if one == other:
        raise unprocessable("link-self", f"Patient/{one} cannot be linked to itself. Name another Patient.", "other")
    writing = confirming(repository)

    async def work(bound: Repository) -> Joined:
        pair = (one, other)
        found = await both(bound, pair)
        note(bound, found)
        known = await _known(bound, one, other)
        if known and known.kind == SEEALSO:
            return Joined(pair, _versions(found, pair), known.person, known.at, known.by, changed=False)
        if known:
            raise unprocessable("link-merged", f"Patient/{one} and Patient/{other} are merged already.", "other")
        _refuse_replaced(found)
        store = bound.store
        if len(await store.patient_links.reached(pair, session(bound))) > MOST:
            raise unprocessable(
                "link-too-many",
                f"More than {MOST} Patients would be one person, which cannot be. Look at their links.",
                "other",
            )
        person = await hub.join(bound, pair)
        by, at = repository.scope.principal.user_id, now(bound)
        versions = []
        for mine, theirs in (pair, pair[::-1]):
            confirmed = Confirmed(theirs, SEEALSO, by, at, person, found[mine].stored.vid)
            await store.patient_links.put(mine, confirmed, session(bound))
            written = await bound.patch("Patient", mine, partial(with_link, other=theirs, kind=SEEALSO))
            versions.append(written.stored.vid)
        await settle(bound, pair)
        await store.facilities.raise_epoch(session(bound))
        tell(bound, other=f"Patient/{other}", person=f"Person/{person}")
        return Joined(pair, (versions[0], versions[1]), person, at, by, changed=True)

    return await writing.exclusively([LOCK], TYPES, work)


async def unlink(repository: Repository, one: str, other: str) -> Joined:
    """Undo a confirmed link.

    Raises:
        Forbidden, NotFound: As for `link`.
        Unprocessable: `not-linked`: nobody has confirmed it, or it is a merge.
    """
    writing = confirming(repository)

    async def work(bound: Repository) -> Joined:
        pair = (one, other)
        found = await both(bound, pair)
        note(bound, found)
        known = await _known(bound, one, other)
        if known is None or known.kind != SEEALSO:
            how = "It is a merge; $unmerge undoes it." if known else "Nobody has confirmed that they are one person."
            raise unprocessable("not-linked", f"Patient/{one} and Patient/{other} are not linked. {how}", "other")
        versions = await separate(bound, pair)
        mine, theirs = [await bound.store.patient_links.reached([each], session(bound)) for each in pair]
        if known.person and other not in mine:
            await hub.part(bound, known.person, theirs)
        since = instant.text(known.at)
        tell(bound, other=f"Patient/{other}", person=f"Person/{known.person}", since=since, confirmed=known.by)
        return Joined(
            pair, versions, known.person, known.at, known.by, changed=True, reached=mine | theirs, is_one=other in mine
        )

    return await writing.exclusively([LOCK], TYPES, work)


async def separate(bound: Repository, pair: tuple[str, str]) -> tuple[int, int]:
    """Take a link between two Patients away, on both sides; return their new versions."""
    versions = []
    for mine, theirs in (pair, pair[::-1]):
        await bound.store.patient_links.take(mine, theirs, session(bound))
    for mine, theirs in (pair, pair[::-1]):
        written = await bound.patch("Patient", mine, partial(without_link, other=theirs))
        versions.append(written.stored.vid)
    await bound.store.facilities.raise_epoch(session(bound))
    return versions[0], versions[1]


def tell(bound: Repository, **detail: Any) -> None:
    """Put ids into the row of the trail."""
    if bound.footprint:
        bound.footprint.detail.update({name: value for name, value in detail.items() if value})


async def _known(bound: Repository, one: str, other: str) -> Confirmed | None:
    links: Sequence[Confirmed] = (await bound.store.patient_links.of([one], session(bound))).get(one, ())
    return next((each for each in links if each.other == other), None)


def _refuse_replaced(found: dict[str, Live]) -> None:
    for patient, live in found.items():
        if successor := replaced_by(live.document["r"]):
            raise unprocessable(
                "link-replaced", f"Patient/{patient} was replaced by Patient/{successor}. Link that one.", "other"
            )


def note(bound: Repository, found: dict[str, Live]) -> None:
    """Note whose records this concerns, also where it changes nothing."""
    if bound.footprint:
        for live in found.values():
            bound.footprint.note_patients("Patient", live.document)


def _versions(found: dict[str, Live], pair: tuple[str, str]) -> tuple[int, int]:
    return found[pair[0]].stored.vid, found[pair[1]].stored.vid


def now(bound: Repository) -> datetime:
    """Return the moment of a unit of work."""
    return bound.pending.moment if bound.pending else bound.store.clock.now()
