"""Writes of some types make, change or end the relationship of a facility with a patient; that follows in the same unit of work.

Most writes of these types make none: an Encounter that has ended, an appointment that is proposed. One that does is asked of
whom it is, and leaves a row only where the patient is another facility's. What a writer cannot see makes no relationship,
whether references are checked or not: nobody opens a record by naming it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

from fhir_server.access import consent
from fhir_server.access.relationship import ACCEPTED, CLAIMS, Claim, claim, patients
from fhir_server.model import reference
from fhir_server.model.errors import Unprocessable
from fhir_server.model.query import Where
from fhir_server.repository.pending import Key
from fhir_server.store import EVERYBODY, Change, Create, Delete, Extra, Objection, Store, Tie, Unit, Update
from profiles.issue import Issue

REFERRAL = "ServiceRequest"
CONSENT = "Consent"
TYPES = frozenset({*CLAIMS, REFERRAL, CONSENT})
"""Types whose changes may concern relationships."""


def relates(change: Change) -> bool:
    """Return whether a change makes, changes or ends something that concerns relationships."""
    if isinstance(change, Extra) or change.resource_type not in TYPES:
        return False
    before, after = _documents(change)
    if change.resource_type == REFERRAL:
        return before is not None and _is_active(before) != _is_active(after)
    if change.resource_type == CONSENT:
        return any(one is not None and consent.is_enforced(one["r"]) for one in (before, after))
    sides = [claim(change.resource_type, one) if one is not None else None for one in (before, after)]
    return sides[0] != sides[1]


async def crosses(store: Store, changes: Iterable[Change]) -> bool:
    """Return whether any of the changes concerns the relationship of a facility with a patient whom another one keeps.

    What a facility does for its own patients, which is nearly everything, does not: it then needs no unit of work. The keeper
    of a patient never changes, so what is asked here still holds when it is written.

    Raises:
        Unavailable: The database cannot be reached.
    """
    claims: list[Claim] = []
    for change in changes:
        if relates(change) and not isinstance(change, Extra):
            if change.resource_type not in CLAIMS:
                return True
            sides = [claim(change.resource_type, one) for one in _documents(change) if one is not None]
            claims += [one for one in sides if one]
    if any(one.via for one in claims):
        return True
    keepers = await store.keepers("Patient", {each for one in claims for each in one.patients})
    for one in claims:
        who = await _organizations(store, one.actors, None)
        if any(who - {f"Organization/{keepers[each].custodian}"} for each in one.patients if each in keepers):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Relating:
    """Follows the changes of a unit of work, which are written in it already.

    Attributes:
        store: The database.
        unit: The unit.
        seen: Resource type to what the writer may see, and so refer to.
        zone: Time zone of dates that have none.
        places: FHIRPath location of each resource in its bundle.
        root: Organization that keeps what no facility keeps.
        strict: Whether a Consent that cannot be enforced is refused.
    """

    store: Store
    unit: Unit
    seen: Callable[[str], Where]
    zone: tzinfo
    places: Mapping[Key, str]
    root: str
    strict: bool

    async def follow(self, changes: Iterable[Change]) -> None:
        """Bring the relationships and objections up to what these changes say.

        Raises:
            Unprocessable: A Consent says what cannot be enforced.
        """
        own = [change for change in changes if not isinstance(change, Extra) and relates(change)]
        said = {index: self._claims(change) for index, change in enumerate(own) if change.resource_type in CLAIMS}
        about = {one for _, after in said.values() if after for one in after.patients}
        keepers = await self._keepers(about)
        issues: list[Issue] = []
        # Referrals first: what ends with them ends before what depends on them is looked at.
        for index, change in sorted(enumerate(own), key=lambda one: one[1].resource_type != REFERRAL):
            before, after = _documents(change)
            document = after if after is not None else before or {}
            if change.resource_type == REFERRAL:
                await self._referral(document["_id"], ended=not _is_active(after))
            elif change.resource_type == CONSENT:
                issues += await self._consent(document["_id"], after)
            else:
                was, found = said[index]
                await self._claim(f"{change.resource_type}/{document['_id']}", found, keepers, there=was is not None)
        if issues:
            raise Unprocessable(f"{len(issues)} findings refuse a Consent.", issues=issues)

    def _claims(self, change: Create | Update | Delete) -> tuple[Claim | None, Claim | None]:
        before, after = _documents(change)
        kind = change.resource_type
        return (
            claim(kind, before, self.zone) if before is not None else None,
            claim(kind, after, self.zone) if after is not None else None,
        )

    async def _claim(self, source: str, found: Claim | None, keepers: Mapping[str, str], *, there: bool = True) -> None:
        """Keep what a resource says of relationships, as far as it is about patients of others that the writer sees.

        Args:
            source: `Type/id`.
            found: What it says, `None` for nothing.
            keepers: Facilities that keep the records of its patients.
            there: Whether it has said something before.
        """
        if found and found.via:
            found = await self._through(found)
            keepers = await self._keepers(found.patients) if found else {}
        ties: list[Tie] = []
        about: list[str] = []
        if found:
            kept = {one: f"Organization/{keepers[one]}" for one in found.patients if one in keepers}
            who = await _organizations(self.store, found.actors, self.unit.session)
            about = [one for one, keeper in kept.items() if who - {keeper}]
            others = {each for one in about for each in who - {kept[one]}}
            ties = [Tie(each, found.start, found.end) for each in sorted(others)]
        if ties or there:
            via = found.via if found else ""
            await self.store.relations.relate(source, about, ties, self.unit.session, via)

    async def _through(self, found: Claim) -> Claim | None:
        """Return the claim with the patients of the referral that it depends on, `None` where that does not hold."""
        await self.unit.lock([f"referral {found.via}"])
        _, _, referral = found.via.partition("/")
        for one in await self.store.relations.documents(REFERRAL, {"_id": referral}, self.unit.session):
            if _is_active(one):
                return replace(found, patients=patients(one))
        return None

    async def _referral(self, referral: str, *, ended: bool) -> None:
        """End what depends on a referral, or begin it again."""
        via = f"{REFERRAL}/{referral}"
        await self.unit.lock([f"referral {via}"])
        if ended:
            await self.store.relations.end_via(via, self.unit.session)
            return
        accepted = {"rf": via, "r.status": {"$in": sorted(ACCEPTED)}}
        for task in await self.store.relations.documents("Task", accepted, self.unit.session):
            await self._claim(f"Task/{task['_id']}", claim("Task", task, self.zone), {})

    async def _consent(self, consent_id: str, document: Mapping[str, Any] | None) -> list[Issue]:
        """Keep what a Consent grants or denies; return what of it cannot be enforced, and is refused."""
        resource = document["r"] if document is not None else {}
        issues = consent.findings(resource, self.places.get((CONSENT, consent_id), CONSENT))
        if issues and self.strict:
            return issues
        said = consent.strictest(resource) if issues else consent.provision(resource, self.zone)
        patient = (
            reference.plain(str(resource.get("patient", {}).get("reference", ""))).partition("/")[2] if said else ""
        )
        keeper = (await self._keepers([patient])).get(patient) if patient else None
        if said and document is not None and (refused := self._refused(consent_id, document, said, keeper)):
            if self.strict:
                return [refused]
            said = None if said.permits or keeper is None else consent.strictest(resource)
        await self._keep(consent_id, patient, keeper or "", said)
        return []

    def _refused(
        self, consent_id: str, document: Mapping[str, Any], said: consent.Provision, keeper: str | None
    ) -> Issue | None:
        """Return why what a Consent says is not enforced: for whom it is, and who wrote it."""
        place = self.places.get((CONSENT, consent_id), CONSENT)
        if keeper is None:
            return consent.refusal("The patient is not here, so nothing could be enforced.", f"{place}.patient")
        if said.permits and document.get("f") not in {keeper, self.root}:
            return consent.refusal(
                "A facility cannot open a record of another one to itself or to others: the patient does, or the facility "
                "that keeps the record.",
                place,
            )
        if not said.permits and f"Organization/{keeper}" in said.recipients:
            number = [*said.recipients].index(f"Organization/{keeper}")
            return consent.refusal(
                "The facility that keeps the record cannot be denied it here; only sharing with others can.",
                f"{place}.provision.actor[{number}]",
            )
        return None

    async def _keep(self, consent_id: str, patient: str, keeper: str, said: consent.Provision | None) -> None:
        relations, session = self.store.relations, self.unit.session
        source = f"{CONSENT}/{consent_id}"
        ties: list[Tie] = []
        denial: Objection | None = None
        if said and said.permits:
            ties = [Tie(each, said.start, said.end, said.purposes) for each in said.recipients]
        elif said:
            who = said.recipients or (EVERYBODY,)
            denial = Objection(patient, keeper, who, said.start, said.end, said.purposes)
        await relations.relate(source, [patient] if ties else [], ties, session)
        await relations.object(source, denial, session)
        await self.store.facilities.raise_epoch(session)

    async def _keepers(self, found: Collection[str]) -> Mapping[str, str]:
        """Return the facilities that keep the records of patients, of those that the writer sees."""
        rows = await self.store.keepers("Patient", found, self.seen("Patient"), self.unit.session)
        return {one: row.custodian for one, row in rows.items()}


async def _organizations(store: Store, actors: Iterable[str], session: Any) -> set[str]:
    """Return the organizations, as references, that actors are or belong to."""
    found: set[str] = set()
    places: dict[str, list[str]] = {}
    for actor in actors:
        kind, _, one = actor.partition("/")
        if kind == "Organization":
            found.add(actor)
        else:
            places.setdefault(kind, []).append(one)
    for kind, ids in places.items():
        rows = await store.keepers(kind, ids, session=session)
        found |= {f"Organization/{row.organization or row.custodian}" for row in rows.values()}
    return found


def _documents(change: Change) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the document before and after a change, `None` where there is none."""
    match change:
        case Create(_, doc):
            return None, doc
        case Update(_, doc, _, superseded):
            return superseded, doc
        case Delete(_, _, superseded, _):
            return superseded, None
    return None, None


def _is_active(document: Mapping[str, Any] | None) -> bool:
    return document is not None and document["r"].get("status") == "active"
