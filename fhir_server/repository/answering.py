"""Questionnaires that responses answer: found as far as the caller may see them, and held against the answers (docs/questionnaires.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from fhir_server.checks import Asked, Checks
from fhir_server.intake import Draft
from fhir_server.model import json
from fhir_server.model.errors import Forbidden, Gone, InvalidParameter, NotFound, Unprocessable
from fhir_server.model.reference import local
from fhir_server.model.stored import Stored
from fhir_server.repository.holdings import Holdings
from fhir_server.repository.pending import Key
from profiles.issue import Issue
from profiles.packages import versions
from profiles.validate.questionnaire.expressions import RESPONSE
from profiles.validate.questionnaire.form import objects
from profiles.validate.questionnaire.response import COMPLETE
from profiles.validate.questionnaire.validator import QUESTIONNAIRE, canonicals, value_sets

Json = dict[str, Any]

NOWHERE: Mapping[Key, str] = MappingProxyType({})

MOST_QUESTIONNAIRES = 20
"""Questionnaires of one Bundle that are looked for."""

MOST_SETS = 100
MOST_VERSIONS = 50

UNSEEN = (NotFound, Gone, Forbidden, InvalidParameter)
"""Not there, not to be seen, not to be searched: all the same to the caller."""


@dataclass(frozen=True, slots=True)
class Answering:
    """Finds and holds against, for one caller.

    Attributes:
        holdings: What the caller may see; what is found here does not count as seen.
        checks: What finds what is wrong.
    """

    holdings: Holdings
    checks: Checks

    async def asked(self, resource: Json) -> Asked:
        """Return what the answers in a resource are held against: stored, in the same Bundle, or of an installed guide.

        One query for each Questionnaire that the resource does not have itself, and one for value sets.
        """
        try:
            wanted = canonicals(resource)
        except RecursionError:
            return Asked()  # What is nested so deeply is refused when it is checked.
        own = _entries(resource)
        found: dict[str, Json] = {}
        for canonical in wanted[:MOST_QUESTIONNAIRES]:
            questionnaire = own.get(canonical) or await self._questionnaire(canonical)
            questionnaire = questionnaire or self.checks.questionnaire(canonical)
            if questionnaire is not None:
                found[canonical] = questionnaire
        sets = [one for questionnaire in found.values() for one in value_sets(questionnaire)]
        return Asked(found, await self._value_sets(list(dict.fromkeys(sets))[:MOST_SETS]) if sets else {})

    async def checked(self, draft: Draft, way: str, places: Mapping[Key, str] = NOWHERE) -> Draft:
        """Return a draft with what is wrong with its questions or answers among its warnings.

        Args:
            draft: What is about to be stored.
            way: What becomes of it: `ignore`, `warn` or `enforce` (`validation.questionnaires`).
            places: FHIRPath location of resources, where that is not simply their type.

        Raises:
            Unprocessable: The way is `enforce`, and the Questionnaire does not allow these answers, or allows none.
        """
        resource = draft.resource
        if way == "ignore" or draft.resource_type not in {QUESTIONNAIRE, RESPONSE}:
            return draft
        answered = draft.resource_type == RESPONSE
        if answered and resource.get("status") not in COMPLETE:
            return draft
        issues = self.checks.answers(resource, await self.asked(resource) if answered else Asked())
        if way == "enforce" and any(one.fails for one in issues):
            where = places.get((draft.resource_type, draft.id))
            told = issues if where is None else [_within(where, one) for one in issues]
            raise Unprocessable(f"The {draft.resource_type} is not valid.", issues=told)
        kept = (replace(one, severity="warning") if one.fails else one for one in issues)
        return replace(draft, warnings=(*draft.warnings, *kept))

    async def _questionnaire(self, canonical: str) -> Json | None:
        """Return the stored Questionnaire that a canonical or a reference means, `None` where the caller sees none."""
        holdings = replace(self.holdings, footprint=None)
        base = holdings.intake.reading.base
        try:
            if (place := local(canonical, base)) is not None:
                return (
                    _decoded(await holdings.read(QUESTIONNAIRE, place.id))
                    if place.resource_type == QUESTIONNAIRE
                    else None
                )
            found = await holdings.meant(QUESTIONNAIRE, (("url", _escaped(canonical)),), MOST_VERSIONS)
        except UNSEEN:
            return None
        return max(map(_decoded, found), key=_rank, default=None)

    async def _value_sets(self, urls: list[str]) -> dict[str, Json]:
        holdings = replace(self.holdings, footprint=None)
        asked = ",".join(_escaped(one) for one in urls)
        try:
            found = await holdings.meant("ValueSet", (("url", asked),), MOST_SETS)
        except UNSEEN:
            return {}
        known: dict[str, Json] = {}
        for one in sorted(map(_decoded, found), key=_rank):
            known |= {str(one.get("url")): one, f"{one.get('url')}|{one.get('version', '')}": one}
        return {url: known[url] for url in urls if url in known}


def _entries(resource: Json) -> dict[str, Json]:
    """Return the Questionnaires of a Bundle by each canonical that means them."""
    found: dict[str, Json] = {}
    for entry in objects(resource, "entry") if resource.get("resourceType") == "Bundle" else ():
        one = entry.get("resource")
        if isinstance(one, dict) and one.get("resourceType") == QUESTIONNAIRE:
            url, version = one.get("url"), one.get("version")
            for name in (url, f"{url}|{version}", entry.get("fullUrl"), f"{QUESTIONNAIRE}/{one.get('id')}"):
                if isinstance(name, str):
                    found.setdefault(name, one)
    return found


def _within(where: str, issue: Issue) -> Issue:
    """Return a finding with the place of the resource in its bundle before its own."""
    return replace(issue, expression=where + issue.expression[len(RESPONSE) :])


def _escaped(canonical: str) -> str:
    """Return a canonical as a value of a search, in which `|` stands before the version."""
    return canonical.replace("\\", r"\\").replace(",", r"\,").replace("$", r"\$")


def _decoded(stored: Stored) -> Json:
    resource: Json = json.decode(stored.body)
    return resource


def _rank(resource: Json) -> tuple[bool, Any, str]:
    """Return which of several versions a canonical without version means: the active one, and of those the newest."""
    updated = str(resource.get("meta", {}).get("lastUpdated", ""))
    return resource.get("status") == "active", versions.order(str(resource.get("version", ""))), updated
