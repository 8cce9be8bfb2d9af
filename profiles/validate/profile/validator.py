"""`ProfileValidator`: what profiles find wrong with a resource, beyond the check that every write passes (`Validator`)."""

from collections.abc import Callable, Iterable
from typing import Any

from profiles.definitions.model import Invariant
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.generate import Snapshot, Snapshots
from profiles.snapshot.source import Origin, Source
from profiles.validate import invariant
from profiles.validate.profile import elements, implied
from profiles.validate.profile.codes import Codes, Terminology
from profiles.validate.profile.items import Item
from profiles.validate.profile.plan import NOTHING, Check, Planner
from profiles.validate.profile.systems import Systems
from profiles.validate.profile.visit import Elsewhere, Visit
from profiles.validate.walk import Place

Json = dict[str, Any]

MOST_FOUND = 10_000


class ProfileValidator:
    """Checks resources against profiles. One instance serves a process: what a profile asks is worked out once and kept.

    Args:
        source: Where profiles are looked up.
        terminology: Who is asked about codes that neither the definitions nor the packages tell.
        engine: For constraints; one of its own where none is given.
        must_support: Whether must-support elements that are absent are told.
        strict: Whether what R4 leaves open is an error as in HL7's own validator: extensions that are not known, displays that
            a code does not have, links in narratives that lead nowhere, vital signs that are not as R4 profiles them.
    """

    def __init__(
        self,
        source: Source,
        terminology: Terminology | None = None,
        engine: Engine | None = None,
        *,
        must_support: bool = False,
        strict: bool = False,
    ) -> None:
        self.snapshots = Snapshots(source)
        self.codes = Codes(source, terminology)
        self.engine = engine or Engine(source.definitions)
        self.must_support = must_support
        self.strict = strict
        self.systems = Systems(source)
        self._found: dict[tuple[str, Origin | None], Snapshot | None] = {}
        self._plans: dict[str, Check] = {}
        self._parts: dict[str, dict[str, elements.Part]] = {}
        self._lineages: dict[str, tuple[str, ...]] = {}

    def check(
        self,
        resource: Json,
        profiles: Iterable[str] = (),
        *,
        declared: bool = True,
        resolve: Callable[[str], Json | None] | None = None,
        must_support: bool | None = None,
    ) -> list[Issue]:
        """Return what profiles find: errors in document order of each profile, then warnings and information.

        Args:
            resource: Decoded JSON that the check of every write has let pass; what is of a wrong form is not looked into.
            profiles: Canonicals of profiles that it must conform to.
            declared: Whether it, its entries and contained resources must conform to what their meta.profile says.
            resolve: Finds the resource of a reference that is neither contained nor an entry, `None` where there is none. It
                must be of one of the profiles that the reference allows.
            must_support: Whether must-support elements that are absent are told, by default as the validator was made.
        """
        name = str(resource.get("resourceType", ""))
        elsewhere = Elsewhere(resolve) if resolve is not None else None
        told = self.must_support if must_support is None else must_support
        visit = Visit((resource, (None, name, None)), must_support=told, elsewhere=elsewhere)
        try:
            self._resource(resource, visit, tuple(profiles), declared=declared)
        except RecursionError:
            return [
                Issue(
                    "error",
                    "too-long",
                    "The resource is nested too deeply to be checked. Flatten it.",
                    name,
                    "too-deep",
                )
            ]
        found = list(dict.fromkeys(visit.issues))
        return [one for one in found if one.fails] + [one for one in found if not one.fails]

    def _resource(self, resource: Json, visit: Visit, profiles: tuple[str, ...], *, declared: bool) -> None:
        where = visit.resource[1]
        said = (
            resource.get("meta", {}).get("profile", []) if declared and isinstance(resource.get("meta"), dict) else []
        )
        item = Item(resource, None, where, str(resource.get("resourceType", "")))
        meant = implied.profiles(resource, self.snapshots.source) if self.strict else ()
        for url in dict.fromkeys((*profiles, *(one for one in said if isinstance(one, str)), *meant)):
            found = self.outcome(item, url, None, visit)
            if found is None:
                visit.report("profile-unknown", where, url=url)
            for one in found or ():
                visit.add(one)
        if self.strict and item.type == "StructureDefinition" and resource.get("derivation") == "constraint":
            for one in self.snapshots.make(resource).issues:
                visit.add(one)
        elements.check(resource, where, visit, self)
        for value, place in _inner(resource, where):
            inner = visit.within(value, place)
            self._resource(value, inner, (), declared=declared)
            for one in inner.issues:
                visit.add(one)

    def outcome(self, item: Item, profile: str, within: Origin | None, visit: Visit) -> list[Issue] | None:
        """Return what a profile finds wrong with a value; `None` where it is not known.

        Args:
            item: A resource, an extension or a value of a data type.
            profile: Canonical of the profile.
            within: The profile that says it.
            visit: Where it stands.
        """
        made = self.find(profile, within)
        if made is None:
            return None
        # Primitive values are shared: their identity says nothing about their place.
        owner = item.value if isinstance(item.value, dict) else item.sibling
        key = (id(owner), made.origin.key) if isinstance(owner, dict) else None
        if key is not None and key in visit.known:
            # A profile that is met again while it is worked out holds as far as it is concerned.
            return visit.known[key] or []
        if key is not None:
            visit.known[key] = None
        there = self.entered(item, visit)
        if made.fails:
            reason = made.issues[0].text if made.issues else ""
            there.report("profile-unusable", item.where, url=profile, reason=reason)
        elif item.type not in self._below(made, item.type):
            there.report("profile-type", item.where, url=profile, expected=made.type, found=item.type)
        else:
            self._plan(made)(item, there)
        if key is not None:
            visit.known[key] = there.issues
        return there.issues

    def find(self, profile: str, within: Origin | None = None) -> Snapshot | None:
        """Return the snapshot of what a canonical means, or `None` where it is not known."""
        key = (profile, within)
        if key not in self._found:
            if len(self._found) >= MOST_FOUND:
                self._found.clear()  # Resources may name profiles without end.
            self._found[key] = self.snapshots.find(profile, within)
        return self._found[key]

    def type_of(self, profile: str, within: Origin) -> str:
        """Return the type that a profile (or the URL of a type) constrains, nothing where it is not known."""
        found = self.snapshots.source.find(profile, within)
        return str(found.structure.get("type", "")) if found else ""

    def lineage(self, name: str) -> tuple[str, ...]:
        """Return a type's name and those of the types that it specializes, the nearest first."""
        if name not in self._lineages:
            types, found = self.snapshots.source.definitions.types, [name]
            while found[-1] in types and types[found[-1]].base:
                found.append(types[found[-1]].base)
            self._lineages[name] = tuple(found)
        return self._lineages[name]

    def parts(self, kind: str) -> dict[str, elements.Part]:
        """Return the members of a type that are objects (`elements.parts`)."""
        if kind not in self._parts:
            self._parts[kind] = elements.parts(kind, self.snapshots.source.definitions)
        return self._parts[kind]

    def member_of(self, value: Any, value_set: str) -> bool | None:
        """Return whether a code, Coding or CodeableConcept is in a value set, `None` where that is not known."""
        rows = value.get("coding", [value]) if isinstance(value, dict) else [{"code": value}]
        answers = [self.codes.member(value_set, row.get("system", ""), row.get("code", "")) for row in rows]
        return True if True in answers else (None if None in answers else False)

    def is_native(self, rule: Invariant, home: str) -> bool:
        """Return whether a constraint is one of a type of R4, which the check of every write sees to."""
        name = home.rpartition("/")[2]
        types = self.snapshots.source.definitions.types
        known = types[name].invariants if name in types else ()
        return rule.key in {one.key for one in known} and invariant.native(rule.key, name)

    def _below(self, made: Snapshot, name: str) -> tuple[str, ...]:
        """Return the type itself if a profile is for it or for what it specializes, else nothing."""
        return (name,) if made.type in self.lineage(name) else ()

    def _plan(self, made: Snapshot) -> Check:
        key = made.origin.key
        if key not in self._plans:
            self._plans[key] = Planner(self, made.origin, made.origin.url, made.tree or NOTHING).profile(made)
        return self._plans[key]

    def entered(self, item: Item, visit: Visit) -> Visit:
        """Return a visit of its own for a value: that of the resource, where it is another one."""
        value, where = item.value, item.where
        if not isinstance(value, dict) or "resourceType" not in value or value is visit.resource[0]:
            return visit.aside()
        if isinstance(where[1], dict):
            where = where[0]
        if where[0] is None:
            return visit.apart(value, where)
        owner = visit
        if where[1] != "contained":
            while owner.outer is not None and owner.resource[0].get("resourceType") != "Bundle":
                owner = owner.outer
        return owner.within(value, where)


def _inner(resource: Json, where: Place) -> Iterable[tuple[Json, Place]]:
    """Yield the resources that stand in a resource: contained, and of entries and parameters."""
    contained = resource.get("contained")
    for index, one in enumerate(contained if isinstance(contained, list) else ()):
        if isinstance(one, dict):
            yield one, (where, "contained", index)
    for name in ("entry", "parameter"):
        rows = resource.get(name)
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            one = row.get("resource") if isinstance(row, dict) else None
            if isinstance(one, dict):
                yield one, ((where, name, index), "resource", None)
