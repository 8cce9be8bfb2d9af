"""A profile as closures: only what it says beyond the type, which the check of every write has seen to already.

The tree of a snapshot is walked beside the tree of its type. Where both say the same, nothing is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from profiles.fhirpath.scope import Units
from profiles.snapshot.generate import Snapshot
from profiles.snapshot.merge import fhir_type, limit
from profiles.snapshot.source import Origin
from profiles.snapshot.tree import Node
from profiles.validate.messages import home
from profiles.validate.profile import binding, invariant, reference, slicing, stated, values
from profiles.validate.profile.items import Item, Member, member
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.validator import ProfileValidator

Json = dict[str, Any]
Check = Callable[[Item, Visit], None]
MemberCheck = tuple[str, str, Member, int, Callable[[Json, Place, Visit], None]]
"""The keys of an element that is no choice and of what belongs to it, how any element is found, when there is something
to check where it is absent, and the check."""

SELDOM, IF_SUPPORTED, ALWAYS = range(3)
"""When there is something to check about an element that is absent: never, where absent must-support elements are told, always."""

NOTHING = Node("", {}, "")


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes the checks of one profile.

    Attributes:
        validator: What the checks lean on: other profiles, codes, expressions.
        origin: The profile.
        url: Its URL, for messages.
        root: Its tree.
        referred: Checks of elements that content references name, by path; filled when they are first met.
    """

    validator: "ProfileValidator"
    origin: Origin
    url: str
    root: Node
    referred: dict[str, Check | None] = field(default_factory=dict)

    def profile(self, snapshot: Snapshot) -> Check:
        """Return the check of a value against the whole profile."""
        tree = self.root
        base = self.validator.snapshots.type_tree(snapshot.type) or NOTHING
        check = self.element(tree, base, snapshot.type)
        return check or _accept

    def element(self, node: Node, base: Node, path: str) -> Check | None:
        """Return the check of one value of an element, `None` where there is nothing to check.

        Args:
            node: The element in the profile.
            base: What it is compared with: the same element of the type, or for a slice the element as a whole.
            path: What it is called in messages.
        """
        # What a profile leaves alone is the very row of its base.
        said = [] if self._left(node, base) else [*self._values(node, base, path), *self._types(node, base)]
        checks = [*said, *self._referred(node)]
        found = self.children(base) if node.children else {}
        made = (
            self._member(child, found.get(name, NOTHING), f"{path}.{name}") for name, child in node.children.items()
        )
        members = [part for part in made if part is not None]
        if not checks and not members:
            return None

        if node is not self.root and _is_resource(base):
            return self._inside(checks, members)
        if not members:
            return checks[0] if len(checks) == 1 else lambda item, visit: _all(checks, item, visit)
        if not checks:
            return lambda item, visit: _members(members, item, visit)

        def check(item: Item, visit: Visit) -> None:
            for one in checks:
                one(item, visit)
            _members(members, item, visit)

        return check

    def _left(self, node: Node, base: Node) -> bool:
        """Return whether a profile leaves an element alone, and nobody asks what its type says of it."""
        return node.row is base.row and not (self.validator.of_types and "binding" in node.row)

    def _inside(self, checks: list[Check], members: list[MemberCheck]) -> Check:
        """Return the check of a resource in a resource: what is said about its elements, is said in itself (`%resource`)."""

        def check(item: Item, visit: Visit) -> None:
            for one in checks:
                one(item, visit)
            there = self.validator.entered(item, visit)
            _members(members, item, there)
            for found in there.issues:
                visit.add(found)

        return check

    def children(self, node: Node) -> Mapping[str, Node]:
        """Return the parts of an element: as they stand there, or as its type or type profile has them."""
        if node.children or node is NOTHING:
            return node.children
        if "contentReference" in node.row:
            found = self.validator.snapshots.type_tree(node.home)
            for name in str(node.row["contentReference"]).partition("#")[2].split(".")[1:]:
                found = found.children.get(name) if found is not None else None
            return found.children if found is not None else {}
        options = node.row.get("type", [])
        profiles = options[0].get("profile", []) if len(options) == 1 else []
        if len(profiles) == 1:
            made = self.validator.snapshots.find(profiles[0], self.origin)
            if made is not None and made.tree is not None:
                return made.tree.children
        names = {fhir_type(option) for option in options}
        tree = self.validator.snapshots.type_tree(names.pop() if len(names) == 1 else "Element")
        return tree.children if tree is not None else {}

    def _referred(self, node: Node) -> list[Check]:
        """Return the check of what a content reference names: what a profile says of `item` holds for `item.item` too."""
        name = str(node.row.get("contentReference", "")).partition("#")[2]
        if not name or node.children or node.slices or name.partition(".")[0] != self.root.name:
            return []

        def check(item: Item, visit: Visit) -> None:
            if name not in self.referred:
                self.referred[name] = self._element_at(name)
            found = self.referred[name]
            if found is not None:
                found(item, visit)

        return [check]

    def _element_at(self, path: str) -> Check | None:
        """Return the check of an element of the profile by its path."""
        node, base = self.root, self.validator.snapshots.type_tree(self.root.name) or NOTHING
        for name in path.split(".")[1:]:
            node, base = node.children.get(name, NOTHING), base.children.get(name, NOTHING)
        return self.element(node, base, path)

    def _member(  # noqa: C901 - most of it is the closures in it
        self, node: Node, base: Node, path: str
    ) -> MemberCheck | None:
        row = node.row
        if self._left(node, base) and not (node.children or node.slices or "contentReference" in row):
            return None
        types = tuple(dict.fromkeys(fhir_type(option) for option in (base.row or row).get("type", ())))
        where = member(node.name, types, str(row.get("base", {}).get("path", path)))
        checks = [self._count(node, base, where, path), self._allowed(node, base, where, path)]
        each = self.element(node, base, path)
        groups = slicing.compile(node, self, path) if node.slices else None
        tests = [check for check in checks if check is not None]
        if each is None and groups is None and not tests:
            return None

        def check(owner: Json, place: Place, visit: Visit) -> None:
            items = where.items(owner, place)
            for test in tests:
                test(items, place, visit)
            if each is not None:
                for item in items:
                    each(item, visit)
            if groups is not None:
                groups(items, place, visit)

        def plain(owner: Json, place: Place, visit: Visit) -> None:
            for item in where.items(owner, place):
                one(item, visit)

        def counted(owner: Json, place: Place, visit: Visit) -> None:
            value = owner.get(key)
            found = len(value) if type(value) is list else int(key in owner or sibling in owner)
            if not least <= found <= most or (supported and not found and visit.shared.must_support):
                check(owner, place, visit)
            elif each is not None and found:
                for item in where.items(owner, place):
                    each(item, visit)

        one: Check = each or _accept
        key, sibling, *_ = where.only or ("", "")
        most = limit(row.get("max", "*"))
        least, supported = row.get("min", 0), bool(row.get("mustSupport"))
        demanded = ALWAYS if any(one.row.get("min") for one in node.slices.values()) else SELDOM
        if checks[0] is not None and demanded == SELDOM:
            demanded = ALWAYS if row.get("min") else IF_SUPPORTED if supported else SELDOM
        if not tests and groups is None:
            return key, sibling, where, demanded, plain
        # Nearly always the number is right, which can be told without a look at the values.
        quick = key and groups is None and checks[1] is None
        return key, sibling, where, demanded, counted if quick else check

    def _count(self, node: Node, base: Node, where: Member, path: str) -> slicing.Group | None:
        low, high = node.row.get("min", 0), limit(node.row.get("max", "*"))
        needed = bool(node.row.get("mustSupport")) and not base.row.get("mustSupport")
        if low <= base.row.get("min", 0) and high >= limit(base.row.get("max", "*")) and not needed:
            return None
        low = low if low > base.row.get("min", 0) else 0
        url = self.url

        def check(items: list[Item], place: Place, visit: Visit) -> None:
            found = len(items)
            if found < low:
                visit.report("minimum", place, path=path, min=low, found=found, url=url, name=where.name)
            elif found > high:
                visit.report("maximum", items[high].where, path=path, max=high, found=found, url=url)
            elif not found and needed and visit.shared.must_support:
                visit.report("must-support", place, path=path, url=url)

        return check

    def _allowed(self, node: Node, base: Node, where: Member, path: str) -> slicing.Group | None:
        """Return the check that each value is of a type that the profile leaves."""
        said = {fhir_type(option) for option in node.row.get("type", ())}
        before = {fhir_type(option) for option in base.row.get("type", ())}
        if (
            not said
            or not before - said
            or node.row.get("max") == "0"
            or (len(before) == 1 and "Resource" not in before)
        ):
            return None
        lineage, url = self.validator.lineage, self.url

        def check(items: list[Item], place: Place, visit: Visit) -> None:
            for item in items:
                if item.type not in said and said.isdisjoint(lineage(item.type)):
                    allowed = " or ".join(sorted(said))
                    visit.report("type", item.where, path=path, found=item.type, allowed=allowed, url=url)

        return check

    def _values(self, node: Node, base: Node, path: str) -> list[Check]:
        row, before, url = node.row, base.row, self.url
        found: list[Check] = []
        fixed, pattern = values.stated(row, "fixed"), values.stated(row, "pattern")
        holds = values.pattern(pattern)
        if fixed is not None and fixed != values.stated(before, "fixed"):
            found.append(_value("fixed", fixed, values.equal, url))
        if pattern is not None and pattern != values.stated(before, "pattern"):
            found.append(_value("pattern", pattern, lambda value, _: holds(value), url))
        found += stated.compile(row, before, url, path)
        found += _limits(row, before, url, self.validator.engine.units)
        bound, known = row.get("binding"), before.get("binding", {})
        if bound and self.validator.of_types and bound.get("strength") == "extensible":
            known = {}
        if bound and bound != known:
            found += binding.compile(bound, known, self.validator.codes, self.origin)
        keys = {rule.get("key") for rule in before.get("constraint", ())}
        rules = [rule for rule in row.get("constraint", ()) if rule.get("key") not in keys and "expression" in rule]
        found += invariant.compile(rules, self.validator, self.origin, home(str(row.get("base", {}).get("path", ""))))
        return found

    def _types(self, node: Node, base: Node) -> list[Check]:
        """Checks of type profiles and of the targets of references."""
        before = {fhir_type(option): option for option in base.row.get("type", ())}
        found: list[Check] = []
        for option in node.row.get("type", ()):
            code = fhir_type(option)
            known = before.get(code, {})
            if option.get("profile") and option["profile"] != known.get("profile"):
                found.append(self._any_profile(code, tuple(option["profile"])))
            if option.get("targetProfile") and option["targetProfile"] != known.get("targetProfile"):
                targets = tuple(
                    target
                    for other in node.row["type"]
                    if fhir_type(other) == code
                    for target in other["targetProfile"]
                )
                check = reference.compile(targets, self.validator, self.origin, code)
                found.append(check)
        return found

    def _any_profile(self, code: str, profiles: tuple[str, ...]) -> Check:
        validator, origin, url = self.validator, self.origin, self.url

        def only(item: Item, visit: Visit) -> None:
            if item.type == code or anything:
                for one in validator.outcome(item, profiles[0], origin, visit) or ():
                    visit.add(one)

        def check(item: Item, visit: Visit) -> None:
            if item.type != code and not anything:
                return
            outcomes = [validator.outcome(item, profile, origin, visit) for profile in profiles]
            if any(found is not None and not any(one.fails for one in found) for found in outcomes):
                best = next(found for found in outcomes if found is not None and not any(one.fails for one in found))
                for one in best:
                    visit.add(one)
                return
            known = [found for found in outcomes if found is not None]
            if len(known) < len(profiles):
                return  # One of them is not installed: it may fit.
            reason = next(one.text for one in known[0] if one.fails)
            visit.report("no-profile-fits", item.where, allowed=", ".join(profiles), url=url, reason=reason)

        anything = code in {"Resource", "DomainResource"}
        return only if len(profiles) == 1 else check


def _all(checks: list[Check], item: Item, visit: Visit) -> None:
    for check in checks:
        check(item, visit)


def _members(members: list[MemberCheck], item: Item, visit: Visit) -> None:
    owner, place = item.value, item.where
    if type(owner) is not dict:
        owner = item.object
    least = IF_SUPPORTED if visit.shared.must_support else ALWAYS
    for key, sibling, where, demanded, part in members:
        if demanded >= least or (key in owner or sibling in owner if key else where.present(owner)):
            part(owner, place, visit)


def _is_resource(base: Node) -> bool:
    return any(fhir_type(option) == "Resource" for option in base.row.get("type", ()))


def _accept(item: Item, visit: Visit) -> None:
    """Accept anything."""


def _value(message_id: str, expected: Any, test: Callable[[Any, Any], bool], url: str) -> Check:
    shown = values.text(expected)

    def check(item: Item, visit: Visit) -> None:
        if item.value is not None and not test(item.value, expected):
            visit.report(message_id, item.where, value=values.text(item.value), expected=shown, url=url)

    return check


def _limits(row: Json, before: Json, url: str, units: Units | None) -> list[Check]:
    found = []
    tests: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
        "minValue": ("least value", lambda value, least: values.below(value, least, units)),
        "maxValue": ("greatest value", lambda value, most: values.below(most, value, units)),
        "maxLength": ("greatest length", lambda value, most: isinstance(value, str) and len(value) > most),
    }
    for prefix, (what, fails) in tests.items():
        said = row.get(prefix) if prefix == "maxLength" else values.stated(row, prefix)
        if said is not None and said != before.get(prefix, values.stated(before, prefix)):
            found.append(_limit(what, said, fails, url))
    return found


def _limit(what: str, said: Any, fails: Callable[[Any, Any], bool], url: str) -> Check:
    def check(item: Item, visit: Visit) -> None:
        if item.value is not None and fails(item.value, said):
            expected, value = values.text(said), values.text(item.value)
            visit.report("range", item.where, value=value, what=what, expected=expected, url=url)

    return check
