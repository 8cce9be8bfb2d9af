"""`ProfileValidator`: what profiles find wrong with a resource, beyond the check that every write passes (`Validator`)."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from profiles.definitions.model import Invariant
from profiles.fhirpath.engine import Engine
from profiles.issue import Issue
from profiles.snapshot.generate import MOST_KEPT, Snapshot, Snapshots
from profiles.snapshot.source import Origin, Source
from profiles.validate import invariant
from profiles.validate.profile import elements, implied, reports, uris
from profiles.validate.profile.asking import Asking
from profiles.validate.profile.codes import Codes
from profiles.validate.profile.items import Item
from profiles.validate.profile.messages import issue
from profiles.validate.profile.plan import NOTHING, Check, Planner
from profiles.validate.profile.settled import Settled
from profiles.validate.profile.systems import Systems
from profiles.validate.profile.visit import Elsewhere, Found, Shared, Told, TooCostlyError, Visit
from profiles.validate.walk import Place

Json = dict[str, Any]

MOST_FOUND = 10_000
STEPS_OF_A_PROFILE = 10

_OPEN = frozenset({"Reference"})
"""Types about which other resources say as much as the value."""

_HOLDERS = frozenset({"contained", "entry", "parameter"})


@dataclass(slots=True)
class _Profile:
    """A profile, and the check of it once somebody asked for one.

    Attributes:
        snapshot: What it says.
        key: What tells it from every other.
        plan: The check, once it is made.
        settles: The data type that it is about, if what is found of an equal value may be told again, else empty.
    """

    snapshot: Snapshot
    key: str
    plan: Check | None = None
    settles: str = ""

    def __post_init__(self) -> None:
        snapshot = self.snapshot
        usual = (
            not snapshot.fails
            and snapshot.origin.structure.get("kind") == "complex-type"
            and snapshot.type not in _OPEN
        )
        self.settles = snapshot.type if usual else ""


class ProfileValidator:
    """Checks resources against profiles. One instance serves a process: what a profile asks is worked out once and kept.

    Args:
        source: Where profiles are looked up.
        engine: For constraints; one of its own where none is given.
        must_support: Whether must-support elements that are absent are told.
        strict: Whether what R4 leaves open is an error as in HL7's own validator: extensions that are not known, displays that
            a code does not have, links in narratives that lead nowhere, vital signs that are not as R4 profiles them.
        of_types: Whether extensible bindings are looked at that a profile has from the type that it constrains.
    """

    def __init__(
        self,
        source: Source,
        engine: Engine | None = None,
        *,
        must_support: bool = False,
        strict: bool = False,
        of_types: bool = False,
    ) -> None:
        self.snapshots = Snapshots(source)
        self.codes = Codes(source)
        self.engine = engine or Engine(source.definitions)
        self.must_support = must_support
        self.strict = strict
        self.of_types = of_types
        self.systems = Systems(source)
        self._origins: dict[tuple[str, Origin | None], Origin | None] = {}
        self._profiles: OrderedDict[str, _Profile] = OrderedDict()
        self._met: dict[tuple[str, Origin | None], _Profile] = {}
        self._held = 0
        self._uris: dict[str, Mapping[str, str]] = {}
        self._parts: dict[str, dict[str, elements.Part]] = {}
        self.placed: set[tuple[str, str, str, bool]] = set()
        self.extended = Settled()
        self.settled = Settled()
        self._lineages: dict[str, tuple[str, ...]] = {}

    def check(
        self,
        resource: Json,
        profiles: Iterable[str] = (),
        *,
        declared: bool = True,
        resolve: Callable[[str], Json | None] | None = None,
        must_support: bool | None = None,
        asking: Asking | None = None,
    ) -> list[Issue]:
        """Return what profiles find: errors in document order of each profile, then warnings and information.

        Args:
            resource: Decoded JSON that the check of every write has let pass; what is of a wrong form is not looked into.
            profiles: Canonicals of profiles that it must conform to.
            declared: Whether it, its entries and contained resources must conform to what their meta.profile says.
            resolve: Finds the resource of a reference that is neither contained nor an entry, `None` where there is none. It
                must be of one of the profiles that the reference allows.
            must_support: Whether must-support elements that are absent are told, by default as the validator was made.
            asking: Who is asked about codes that neither the definitions nor the packages tell; what is not answered is noted there.
        """
        name = str(resource.get("resourceType", ""))
        elsewhere = Elsewhere(resolve) if resolve is not None else None
        told = self.must_support if must_support is None else must_support
        visit = Visit((resource, (None, name, None)), Shared(told, elsewhere, asking=asking))
        try:
            self._resource(resource, visit, tuple(profiles), declared=declared)
        except RecursionError:
            return [issue("too-deep", name)]
        except TooCostlyError:
            visit.issues.append(issue("too-costly", name))
        found = list(dict.fromkeys(one.issue if isinstance(one, Told) else one for one in visit.issues))
        return [one for one in found if one.fails] + [one for one in found if not one.fails]

    def _resource(self, resource: Json, visit: Visit, profiles: tuple[str, ...], *, declared: bool) -> None:
        where = visit.resource[1]
        meta = resource.get("meta") if declared else None
        said = meta.get("profile", ()) if isinstance(meta, dict) else ()
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
        if self.strict and item.type == "MeasureReport":
            reports.check(resource, where, visit, self)
        elements.check(resource, where, visit, self)
        for value, place in () if _HOLDERS.isdisjoint(resource) else _inner(resource, where):
            inner = visit.within(value, place)
            self._resource(value, inner, (), declared=declared)
            for one in inner.issues:
                visit.add(one)

    def outcome(self, item: Item, profile: str, within: Origin | None, visit: Visit) -> list[Found] | None:
        """Return what a profile finds wrong with a value; `None` where it is not known.

        Args:
            item: A resource, an extension or a value of a data type.
            profile: Canonical of the profile.
            within: The profile that says it.
            visit: Where it stands.
        """
        made = self._profile(profile, within)
        if made is None:
            return None
        # Primitive values are shared: their identity says nothing about their place.
        value = item.value
        owner = value if type(value) is dict else item.sibling
        key = (id(owner), made.key) if type(owner) is dict else None
        shared = visit.shared
        known = shared.known
        if key is not None:
            if key in known:
                # A profile that is met again while it is worked out holds as far as it is concerned.
                found = known[key]
                shared.outside += found is None
                return found or []
            known[key] = None
        shared.spend(STEPS_OF_A_PROFILE)
        if item.type == made.settles and item.sibling is None and type(value) is dict and "resourceType" not in value:
            settled = self.settled
            found = settled.find(made.key, value, item.where, shared)
            if found is None:
                found = settled.learn(
                    made.key, value, item.where, shared, partial(self._work, item, profile, made, visit)
                )
        else:
            found = self._work(item, profile, made, visit)
        if key is not None:
            known[key] = found
        return found

    def _work(self, item: Item, profile: str, made: _Profile, visit: Visit) -> list[Found]:
        """Return what a profile finds wrong with a value of which nothing is known."""
        value, snapshot = item.value, made.snapshot
        if type(value) is dict and "resourceType" in value and value is not visit.resource[0]:
            there = self.entered(item, visit)
        else:
            there = visit.aside()
        if snapshot.fails:
            reason = snapshot.issues[0].text if snapshot.issues else ""
            there.report("profile-unusable", item.where, url=profile, reason=reason)
        elif item.type != snapshot.type and snapshot.type not in self.lineage(item.type):
            there.report("profile-type", item.where, url=profile, expected=snapshot.type, found=item.type)
        else:
            if made.plan is None:
                made.plan = Planner(self, snapshot.origin, snapshot.origin.url, snapshot.tree or NOTHING).profile(
                    snapshot
                )
            made.plan(item, there)
        return there.issues

    @property
    def kept(self) -> int:
        """How many elements the profiles that are kept have."""
        return self._held

    def find(self, profile: str, within: Origin | None = None) -> Snapshot | None:
        """Return the snapshot of what a canonical means, or `None` where it is not known."""
        made = self._profile(profile, within)
        return made.snapshot if made is not None else None

    def _profile(self, profile: str, within: Origin | None) -> _Profile | None:
        key = (profile, within)
        made = self._met.get(key)
        if made is not None:
            self._profiles.move_to_end(made.key)
            return made
        if key not in self._origins:
            if len(self._origins) >= MOST_FOUND:
                self._origins.clear()  # Resources may name profiles without end.
                self._met.clear()
            self._origins[key] = self.snapshots.source.find(profile, within)
        origin = self._origins[key]
        if origin is None:
            return None
        made = self._profiles.get(origin.key)
        if made is not None:
            self._profiles.move_to_end(origin.key)
            self._met[key] = made
            return made
        made = self._profiles[origin.key] = self._met[key] = _Profile(self.snapshots.of(origin), origin.key)
        self._held += len(made.snapshot.rows)
        while self._held > MOST_KEPT and len(self._profiles) > 1:
            self._met.clear()
            self._held -= len(self._profiles.popitem(last=False)[1].snapshot.rows)
        return made

    def type_of(self, profile: str, within: Origin) -> str:
        """Return the type that a profile (or the URL of a type) constrains, nothing where it is not known."""
        found = self.snapshots.source.find(profile, within)
        return str(found.structure.get("type", "")) if found else ""

    def lineage(self, name: str) -> tuple[str, ...]:
        """Return a type's name and those of the types that it specializes, the nearest first."""
        known = self._lineages.get(name)
        if known is None:
            types, found = self.snapshots.source.definitions.types, [name]
            while found[-1] in types and types[found[-1]].base:
                found.append(types[found[-1]].base)
            known = self._lineages[name] = tuple(found)
        return known

    def parts(self, kind: str) -> dict[str, elements.Part]:
        """Return the members of a type that are objects (`elements.parts`)."""
        found = self._parts.get(kind)
        if found is None:
            found = self._parts[kind] = elements.parts(kind, self.snapshots.source.definitions)
        return found

    def uris(self, kind: str) -> Mapping[str, str]:
        """Return the members of a type that are URIs (`uris.uris`)."""
        found = self._uris.get(kind)
        if found is None:
            found = self._uris[kind] = uris.uris(kind, self.snapshots.source.definitions)
        return found

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
        visit.shared.outside += 1
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
