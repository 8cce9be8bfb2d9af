"""`Conformance`: what becomes of a write that does not conform to profiles, by the settings `validation` (docs/validation.md).

The base definitions hold for every write (`Intake`). Profiles come on top: those that `meta.profile` claims, and those that
are required of a type; whether that is ignored, told or enforced, the nearest facility says that says anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fhir_server.checks import Checks
from fhir_server.facilities.tree import Tree
from fhir_server.intake import Draft
from fhir_server.model.errors import Unprocessable
from fhir_server.settings import Profiled, Regime, Validation
from profiles.issue import Issue
from profiles.validate.profile.asking import Asking

HOLDERS = ("contained", "entry", "parameter")
"""Elements that hold other resources, which may claim profiles of their own."""
CLAIM = b'"profile":['
UNKNOWN = "profile-unknown"
OPEN = "binding-unchecked"
"""Finding that says that it is not known whether a code is one that is required."""
UNCHECKED = frozenset({UNKNOWN, "profile-unusable"})
"""Findings that say that a profile could not be looked at: as good as not conforming, where that is enforced."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for a type at a facility.

    Attributes:
        regime: What is done about resources that do not conform.
        required: Canonicals of profiles that each of them is to conform to.
    """

    regime: Regime
    required: tuple[str, ...] = ()


class Conformance:
    """Judges what is about to be stored. One instance serves a process.

    Args:
        rules: The settings.
        checks: The checks of the packages that are installed.

    Attributes:
        by_facility: Whether any facility has rules of its own, so that the hierarchy is needed.
        enforces: Whether any rule is to refuse what does not conform.
    """

    def __init__(self, rules: Validation, checks: Checks) -> None:
        self.by_facility = bool(rules.facilities)
        regimes = [rules.profiles, *rules.types.values()]
        regimes += [
            regime for one in rules.facilities.values() for regime in (one.profiles, *one.types.values()) if regime
        ]
        self.enforces = "enforce" in regimes
        self._rules = rules
        self._checks = checks
        self._tree: Tree | None = None
        self._found: dict[tuple[str, str], Rule] = {}

    def judged(self, draft: Draft, facility: str, tree: Tree | None, asking: Asking | None = None) -> Draft:
        """Return the draft with what profiles say about it.

        Where they only warn, they are looked at when somebody asks what they say, and most who write do not.

        Args:
            draft: What has passed the base definitions.
            facility: The Organization that keeps it, empty for none.
            tree: The hierarchy, where facilities have rules.
            asking: Who is asked about codes that are not known here, where conformity is enforced.

        Raises:
            Unprocessable: It does not conform, and that is enforced.
        """
        rule = self.rule(draft.resource_type, "", None) if tree is None else self._at(draft, facility, tree)
        if rule.regime == "ignore" or not (rule.required or _claims(draft)):
            return draft
        if rule.regime == "warn":
            return replace(draft, advice=partial(self._warnings, draft, rule))
        unchecked = UNCHECKED | {OPEN} if self._rules.unknown_codes == "refuse" else UNCHECKED
        found = [
            self._raised(one) if one.message_id in unchecked else one for one in self._findings(draft, rule, asking)
        ]
        if any(one.fails for one in found):
            raise Unprocessable("It does not conform to its profiles.", issues=[*found, _reason(draft.resource_type)])
        return replace(draft, warnings=(*draft.warnings, *found)) if found else draft

    def rule(self, resource_type: str, facility: str, tree: Tree | None) -> Rule:
        """Return what holds for a type at a facility: of each setting, what the nearest one says.

        Args:
            resource_type: The type.
            facility: Id of an Organization.
            tree: The hierarchy, `None` where no facility has rules.
        """
        if tree is not self._tree:
            self._tree, self._found = tree, {}
        key = (resource_type, facility)
        found = self._found.get(key)
        if found is None:
            line = (facility, *tree.above(facility)) if tree else ()
            found = self._found[key] = self._nearest(resource_type, line)
        return found

    def unmet(self, tree: Tree) -> list[str]:
        """Return what in the settings leads nowhere: required profiles that are not installed, facilities that are not there."""
        required = [self._rules.required, *(one.required for one in self._rules.facilities.values())]
        asked = dict.fromkeys((kind, url) for by_type in required for kind, urls in by_type.items() for url in urls)
        reasons = [reason for kind, url in asked if (reason := self._unfit(kind, url))]
        strange = [one for one in self._rules.facilities if one not in tree]
        return [*reasons, *(f"there is no Organization/{one}" for one in strange)]

    def _unfit(self, resource_type: str, url: str) -> str:
        """Return why no resource of a type can be shown to conform to a profile, empty where it can."""
        if not self._checks.knows(url):
            return f"the required profile '{url}' is not installed.{self._checks.hint(url)}"
        found = self._checks.type_of(url)
        fits = found in {resource_type, "DomainResource", "Resource"}
        return "" if fits else f"the profile '{url}' is required of every {resource_type}, and is for {found}"

    def _at(self, draft: Draft, facility: str, tree: Tree) -> Rule:
        if draft.resource_type != "Organization" or facility in tree:
            return self.rule(draft.resource_type, facility, tree)
        parent = draft.resource.get("partOf", {}).get("reference", "").rpartition("/")[2]
        return self._nearest(draft.resource_type, (facility, parent, *tree.above(parent)))

    def _nearest(self, resource_type: str, line: Sequence[str]) -> Rule:
        said = [self._rules.facilities[each] for each in line if each in self._rules.facilities]
        regime = next(_regimes(said, resource_type), None)
        required = next((one.required[resource_type] for one in said if resource_type in one.required), None)
        return Rule(
            regime or self._rules.types.get(resource_type, self._rules.profiles),
            self._rules.required.get(resource_type, ()) if required is None else required,
        )

    def _warnings(self, draft: Draft, rule: Rule) -> list[Issue]:
        return [replace(one, severity="warning") if one.fails else one for one in self._findings(draft, rule)]

    def _findings(self, draft: Draft, rule: Rule, asking: Asking | None = None) -> list[Issue]:
        """Return what profiles find; of one that is required and not installed, that it is so."""
        absent = [one for one in rule.required if not self._checks.knows(one)]
        found = self._checks.conformity(draft.resource, [one for one in rule.required if one not in absent], asking)
        return [*(_absent(draft.resource_type, one) for one in absent), *found]

    def _raised(self, issue: Issue) -> Issue:
        """Return a finding that a profile could not be looked at as an error, with what may have been meant."""
        if issue.message_id != UNKNOWN:
            return replace(issue, severity="error")
        return replace(issue, severity="error", text=f"{issue.text}{self._checks.hint(issue.profile)}")


def _regimes(said: Sequence[Profiled], resource_type: str) -> Iterator[Regime]:
    for one in said:
        regime = one.types.get(resource_type, one.profiles)
        if regime is not None:
            yield regime


def _claims(draft: Draft) -> bool:
    """Return whether a resource, or one within it, may claim a profile."""
    resource: Mapping[str, Any] = draft.resource
    if resource["meta"].get("profile"):
        return True
    return any(name in resource for name in HOLDERS) and CLAIM in draft.wire


def _absent(resource_type: str, url: str) -> Issue:
    text = (
        f"The profile '{url}' is required of every {resource_type} here and is not installed, so it has not been checked. Whoever "
        "runs this server installs the package that defines it (fhir-server package install), or takes it out of "
        "validation.required."
    )
    return Issue("warning", "not-found", text, resource_type, UNKNOWN, profile=url)


def _reason(resource_type: str) -> Issue:
    text = (
        f"Nothing was stored: conformity of every {resource_type} to its profiles is enforced here. Correct what is told, or take a "
        "profile that it need not conform to out of meta.profile."
    )
    return Issue("information", "informational", text)
