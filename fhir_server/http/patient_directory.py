"""What the pages of the authorization server ask of the record, as the person before them: by requests, hence filtered.

Implements `smart_auth.store.PatientDirectory`. A patient user sees who the account is linked to; staff see whom they search.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fhir_server.access.grants import Grants
from fhir_server.access.principal import Principal
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model import ids
from fhir_server.model.request import FhirRequest, FhirResponse, Pairs
from smart_auth.records import User
from smart_auth.scopes.grammar import ResourceScope
from smart_auth.store import MOST_CHARTS, Chart

Answer = Callable[[FhirRequest, ScopeFilter], Awaitable[FhirResponse]]

MOST = str(MOST_CHARTS)
MOST_ORGANIZATIONS = "500"
ROOT = "root"
CLIENT = "authorization-server"
SCOPES = tuple(ResourceScope("user", kind, "rs") for kind in ("Patient", "Encounter"))
PUBLIC = (ResourceScope("system", "Organization", "rs"),)
OWN = tuple(
    ResourceScope("user", kind, "r")
    for kind in ("Practitioner", "PractitionerRole", "Organization", "Person", "RelatedPerson", "Patient")
)

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_NUMBER = re.compile(r"\S*\d\S*", re.ASCII)


class Directory:
    """Patients and encounters.

    Args:
        answer: Answers a request within a scope.
        grants: Compiles what the person reaches.
        base: The FHIR base.
    """

    def __init__(self, answer: Answer, grants: Grants, base: str) -> None:
        self._answer = answer
        self._grants = grants
        self._base = base

    async def patients(self, user: User, acting_as: str, words: str) -> Sequence[Chart]:
        """Return patients that the person may open: all of a patient or proxy, those that match the words for others."""
        if user.kind == "patient":
            own = sorted(_own(user))
            query: Pairs = (("_id", ",".join(own)),) if own else ()
        else:
            query = _query(words.strip())
        if not query:
            return []
        found = await self._found(user, acting_as, "Patient", (*query, ("_sort", "family"), ("_count", MOST)))
        return [Chart(one["id"], _name(one), one.get("birthDate", "")) for one in found]

    async def patient(self, user: User, acting_as: str, patient: str) -> Chart | None:
        """Return how a patient is recognized whose record the person may open, or `None`."""
        if not ids.valid(patient) or (user.kind == "patient" and patient not in _own(user)):
            return None
        found = await self._ask(user, ("Patient", patient), (), acting_as=acting_as)
        if found.status != 200:
            return None
        return Chart(patient, _name(found.resource), found.resource.get("birthDate", ""))

    async def facility(self, acting_as: str) -> str:
        """Return the id of the organization that a role is held at, empty for none."""
        return await self._grants.facility(acting_as)

    async def organizations(self) -> Sequence[Mapping[str, Any]]:
        """Return the organization at the root and those that are part of it, as they are stored; the root first."""
        root = await self._public(("Organization", ROOT), ())
        below: Pairs = (("partof:below", f"Organization/{ROOT}"), ("_sort", "name,_id"), ("_count", MOST_ORGANIZATIONS))
        found = await self._public(("Organization",), below)
        parts = [entry["resource"] for entry in found.get("entry", []) if entry["search"]["mode"] == "match"]
        return [root, *(one for one in parts if one["id"] != ROOT and one.get("active", True))] if root else []

    async def _public(self, path: tuple[str, ...], query: Pairs) -> dict[str, Any]:
        """Return what everybody may know: organizations only, asked for as nobody."""
        scope = await self._grants.of(Principal("system", CLIENT, "", PUBLIC))
        response = await self._answer(FhirRequest("GET", path, self._base, query), scope)
        return dict(response.resource) if response.status == 200 else {}

    async def roles(self, user: User) -> Sequence[Chart]:
        """Return the links that staff can work as, each by its reference and by what people call it."""
        return [await self._role(user, link.reference) for link in user.roles]

    async def _role(self, user: User, reference: str) -> Chart:
        found = await self._read(user, reference)
        kind = reference.partition("/")[0]
        if kind != "PractitionerRole":
            return Chart(reference, _name(found) if found else reference)
        titles = [text for one in found.get("code", []) + found.get("specialty", []) if (text := _text(one))]
        house = found.get("organization", {})
        where = house.get("display") or (await self._read(user, house.get("reference", ""))).get("name", "")
        return Chart(reference, ", ".join(titles) or where or reference, where if titles else "")

    async def _read(self, user: User, reference: str) -> dict[str, Any]:
        """Return a resource of those that say who somebody is; empty where there is none."""
        kind, _, resource_id = reference.partition("/")
        if not ids.valid(resource_id) or kind not in {one.resource_type for one in OWN}:
            return {}
        found = await self._ask(user, (kind, resource_id), (), OWN)
        return dict(found.resource) if found.status == 200 else {}

    async def may_open(self, user: User, acting_as: str, patient: str) -> bool:
        """Return whether the person may open the record of this patient."""
        if not ids.valid(patient) or (user.kind == "patient" and patient not in _own(user)):
            return False
        return (await self._ask(user, ("Patient", patient), (), acting_as=acting_as)).status == 200

    async def encounters(self, user: User, acting_as: str, patient: str) -> Sequence[Chart]:
        """Return the encounters of a patient that the person may open, the newest first."""
        if not ids.valid(patient):
            return []
        query = (("patient", f"Patient/{patient}"), ("_sort", "-date"), ("_count", MOST))
        found = await self._found(user, acting_as, "Encounter", query)
        return [Chart(one["id"], _kind(one), one.get("period", {}).get("start", "")[:10]) for one in found]

    async def has_encounter(self, user: User, acting_as: str, patient: str, encounter: str) -> bool:
        """Return whether this is an encounter of the patient that the person may open."""
        if not ids.valid(patient) or not ids.valid(encounter):
            return False
        query = (("patient", f"Patient/{patient}"), ("_id", encounter), ("_count", "1"))
        return bool(await self._found(user, acting_as, "Encounter", query))

    async def _found(self, user: User, acting_as: str, resource_type: str, query: Pairs) -> list[dict[str, Any]]:
        response = await self._ask(user, (resource_type,), query, acting_as=acting_as)
        if response.status != 200:
            return []
        return [one["resource"] for one in response.resource.get("entry", []) if one["search"]["mode"] == "match"]

    async def _ask(
        self,
        user: User,
        path: tuple[str, ...],
        query: Pairs,
        scopes: tuple[ResourceScope, ...] = SCOPES,
        acting_as: str = "",
    ) -> FhirResponse:
        who = Principal(user.kind, CLIENT, user.id, scopes, own=_own(user), acting_as=user.role(acting_as))
        return await self._answer(FhirRequest("GET", path, self._base, query), await self._grants.of(who))


def _own(user: User) -> frozenset[str]:
    return frozenset(link.patient for link in user.links if link.patient)


def _query(words: str) -> Pairs:
    """Return the search for what somebody typed: a birth date, a number, or parts of a name."""
    if not words:
        return ()
    if _DATE.fullmatch(words):
        return (("birthdate", words),)
    escaped = re.sub(r"([\\,$|])", r"\\\1", words)
    if _NUMBER.fullmatch(words):
        return (("identifier", escaped),)
    return tuple(("name", part) for part in escaped.split())


def _name(patient: dict[str, Any]) -> str:
    """Return what a patient is called."""
    names = patient.get("name", [])
    used = next((name for name in names if name.get("use") == "official"), names[0] if names else {})
    text = used.get("text") or " ".join((*used.get("given", []), used.get("family", "")))
    return text.strip() or f"{patient['resourceType']} {patient['id']}"


def _text(concept: dict[str, Any]) -> str:
    """Return what a concept is called."""
    return concept.get("text") or next((coding.get("display", "") for coding in concept.get("coding", [])), "")


def _kind(encounter: dict[str, Any]) -> str:
    """Return what an encounter is called."""
    concepts = [*encounter.get("type", []), *encounter.get("reasonCode", [])]
    return (
        next((text for one in concepts if (text := _text(one))), "")
        or encounter.get("class", {}).get("display", "")
        or "Visit"
    )
