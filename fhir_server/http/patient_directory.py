"""What the pages of the authorization server ask of the record, as the person before them: by requests, hence filtered.

Implements `smart_auth.store.PatientDirectory`. A patient user sees who the account is linked to; staff see whom they search.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fhir_server.access.granted import Granted
from fhir_server.access.principal import Audience, Principal
from fhir_server.access.scope_filter import ScopeFilter
from fhir_server.model import ids
from fhir_server.model.request import FhirRequest, FhirResponse, Pairs
from fhir_server.settings import Search
from profiles.definitions.registry import Definitions
from smart_auth.records import User
from smart_auth.scopes.grammar import ResourceScope
from smart_auth.store import Chart

Answer = Callable[[FhirRequest, ScopeFilter], Awaitable[FhirResponse]]

MOST = "20"
CLIENT = "authorization-server"
SCOPES = (ResourceScope("user", "Patient", "rs"), ResourceScope("user", "Encounter", "rs"))

_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?", re.ASCII)
_NUMBER = re.compile(r"\S*\d\S*", re.ASCII)


class Directory:
    """Patients and encounters.

    Args:
        answer: Answers a request within a scope.
        definitions: FHIR definitions of now.
        search: How searches are read.
        base: The FHIR base.
    """

    def __init__(self, answer: Answer, definitions: Callable[[], Definitions], search: Search, base: str) -> None:
        self._answer = answer
        self._definitions = definitions
        self._search = search
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
        found = await self._found(user, "Patient", (*query, ("_sort", "family"), ("_count", MOST)))
        return [Chart(one["id"], _name(one), one.get("birthDate", "")) for one in found]

    async def may_open(self, user: User, acting_as: str, patient: str) -> bool:
        """Return whether the person may open the record of this patient."""
        if not ids.valid(patient) or (user.kind == "patient" and patient not in _own(user)):
            return False
        return (await self._ask(user, ("Patient", patient), ())).status == 200

    async def encounters(self, user: User, acting_as: str, patient: str) -> Sequence[Chart]:
        """Return the encounters of a patient that the person may open, the newest first."""
        if not ids.valid(patient):
            return []
        query = (("patient", f"Patient/{patient}"), ("_sort", "-date"), ("_count", MOST))
        found = await self._found(user, "Encounter", query)
        return [Chart(one["id"], _kind(one), one.get("period", {}).get("start", "")[:10]) for one in found]

    async def has_encounter(self, user: User, acting_as: str, patient: str, encounter: str) -> bool:
        """Return whether this is an encounter of the patient that the person may open."""
        if not ids.valid(patient) or not ids.valid(encounter):
            return False
        query = (("patient", f"Patient/{patient}"), ("_id", encounter), ("_count", "1"))
        return bool(await self._found(user, "Encounter", query))

    async def _found(self, user: User, resource_type: str, query: Pairs) -> list[dict[str, Any]]:
        response = await self._ask(user, (resource_type,), query)
        if response.status != 200:
            return []
        return [one["resource"] for one in response.resource.get("entry", []) if one["search"]["mode"] == "match"]

    async def _ask(self, user: User, path: tuple[str, ...], query: Pairs) -> FhirResponse:
        audience: Audience = "patient" if user.kind == "patient" else "staff"
        who = Principal(audience, CLIENT, user.id, SCOPES, own=_own(user))
        scope = Granted(who, self._definitions(), self._search)
        return await self._answer(FhirRequest("GET", path, self._base, query), scope)


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
    return text.strip() or f"Patient {patient['id']}"


def _kind(encounter: dict[str, Any]) -> str:
    """Return what an encounter is called."""
    concepts = [*encounter.get("type", []), *encounter.get("reasonCode", [])]
    texts = (
        concept.get("text") or next((c.get("display", "") for c in concept.get("coding", [])), "")
        for concept in concepts
    )
    return next((text for text in texts if text), "") or encounter.get("class", {}).get("display", "") or "Visit"
