"""How slices are told apart (ElementDefinition.slicing.discriminator): by value, pattern, existence, type or profile.

A discriminator names a path. What the slice says at its end (fixed values, patterns, required bindings, also those further
below) is what a value must have there to belong to the slice.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from profiles.snapshot.merge import fhir_type, limit
from profiles.snapshot.tree import Node
from profiles.validate.profile import binding, values
from profiles.validate.profile.items import Item, Member, member
from profiles.validate.profile.path import Step, steps
from profiles.validate.profile.reference import target_type
from profiles.validate.profile.visit import Visit

if TYPE_CHECKING:
    from profiles.validate.profile.plan import Planner

Json = dict[str, Any]
Test = Callable[[Item, Visit], bool]


def tests(node: Node, slicing: Json, planner: "Planner") -> Test:
    """Return whether a value belongs to a slice; where the profile does not say how that is told, `undecided`."""
    # Types are told apart at a glance, profiles after long thought.
    rows = sorted(slicing.get("discriminator", ()), key=lambda row: _COST.get(str(row.get("type")), 1))
    found: list[Test] = []
    for row in rows:
        kind, path = str(row.get("type", "")), steps(str(row.get("path", "")))
        maker = _KINDS.get(kind)
        test = maker(node, path, planner) if maker is not None and path is not None else None
        if test is not None:
            found.append(test)
        elif kind in {"value", "pattern"} and (by_url := _extension_url(node, path, planner)) is not None:
            found.append(by_url)
    if not found:
        return undecided
    return _every(found)


def kinds(node: Node, slicing: Json, planner: "Planner") -> tuple[str, frozenset[str]] | None:
    """Return where the types of a slice are told and which they are, if it is by the value itself or by a resource in it.

    What else tells slices apart is asked only of those whose types fit: a document has dozens of slices of entries.
    """
    for row in slicing.get("discriminator", ()):
        path = steps(str(row.get("path", "")))
        if row.get("type") == "type" and path is not None and [step.name for step in path] in ([], ["resource"]):
            target = node if not path else _child(node, path[0], planner)[0]
            names = (
                frozenset(fhir_type(option) for option in target.row.get("type", ())) if target is not None else None
            )
            return (path[0].name if path else "", names) if names and not (target and target.slices) else None
    return None


def undecided(item: Item, visit: Visit) -> bool:
    """Put no value into a slice that nothing tells apart."""
    return False


def url_of(node: Node, slicing: Json, planner: "Planner") -> str:
    """Return the URL that tells a slice of extensions from the others, nothing where something else does too."""
    rows = [(row.get("type"), row.get("path")) for row in slicing.get("discriminator", ())]
    if rows not in ([("value", "url")], [("pattern", "url")]):
        return ""
    child = planner.children(node).get("url")
    fixed = values.stated(child.row, "fixed") if child is not None else None
    profiles = [str(url) for option in node.row.get("type", ()) for url in option.get("profile", ())]
    return fixed if isinstance(fixed, str) else (profiles[0].partition("|")[0] if len(profiles) == 1 else "")


def _extension_url(node: Node, path: tuple[Step, ...] | None, planner: "Planner") -> Test | None:
    """Slices of extensions whose definition is not installed go by its URL."""
    profiles = [url for option in node.row.get("type", ()) for url in option.get("profile", ())]
    if path is None or [step.name for step in path] != ["url"] or not profiles:
        return None
    urls = {url.partition("|")[0] for url in profiles}
    return lambda item, _: item.part("url") in urls


def _by_value(node: Node, path: tuple[Step, ...], planner: "Planner") -> Test | None:
    return _at(node, path, planner, lambda target: _criteria(target, planner, 0))


def _by_existence(node: Node, path: tuple[Step, ...], planner: "Planner") -> Test | None:
    """An element that is forbidden in the slice must be absent; any other must be there."""
    if not path:
        return None
    owner, last = path[:-1], path[-1:]

    def forbidden(target: Node) -> Test | None:
        child, where = _child(target, last[0], planner)
        if child is None or where is None:
            return None
        absent = limit(child.row.get("max", "*")) == 0
        return lambda item, _: where.present(item.object) is not absent

    return _at(node, owner, planner, forbidden)


def _by_type(node: Node, path: tuple[Step, ...], planner: "Planner") -> Test | None:
    def of(target: Node) -> Test | None:
        names = {fhir_type(option) for option in target.row.get("type", ())}
        if "Reference" in names and path and path[-1].name == "resolve()":
            targets = [url for option in target.row["type"] for url in option.get("targetProfile", ())]
            types = {planner.validator.type_of(url, planner.origin) for url in targets}
            return lambda item, _: item.type in types
        return (lambda item, _: item.type in names) if names else None

    return _at(node, path, planner, of)


def _by_profile(node: Node, path: tuple[Step, ...], planner: "Planner") -> Test | None:
    def of(target: Node) -> Test | None:
        member_ = "targetProfile" if path and path[-1].name == "resolve()" else "profile"
        profiles = [url for option in target.row.get("type", ()) for url in option.get(member_, ())]
        if not profiles:
            return None

        def conforms(item: Item, visit: Visit) -> bool:
            outcomes = (planner.validator.outcome(item, url, planner.origin, visit) for url in profiles)
            return any(found is not None and not any(one.fails for one in found) for found in outcomes)

        return conforms

    return _at(node, path, planner, of)


_COST = {"type": 0, "profile": 2}
_KINDS: dict[str, Callable[[Node, tuple[Step, ...], "Planner"], Test | None]] = {
    "value": _by_value,
    "pattern": _by_value,
    "exists": _by_existence,
    "type": _by_type,
    "profile": _by_profile,
}


def _at(node: Node, path: tuple[Step, ...], planner: "Planner", make: Callable[[Node], Test | None]) -> Test | None:
    """Return whether some value at the end of a path, from the value given, meets what is made of the element there.

    The element may be within a slice of an element on the way: then a value in that slice must be there.
    """
    if not path:
        return make(node)
    step, rest = path[0], path[1:]
    if step.name == "resolve()":
        return _resolved(node, rest, planner, make)
    child, where = _child(node, step, planner)
    if child is None or where is None:
        return None
    child = _with(child, node, step)
    found = [test for one in _slices(child, step) if (test := _at(one, rest, planner, make)) is not None]
    if not found:
        return None

    def check(item: Item, visit: Visit) -> bool:
        value = item.value
        parts = where.items(value if type(value) is dict else item.object, item.where)
        if step.url or step.type:
            parts = [part for part in parts if step.keeps(part)]
        if len(parts) == 1 and len(found) == 1:
            return found[0](parts[0], visit)
        return all(any(test(part, visit) for part in parts) for test in found)

    return check


def _with(child: Node, node: Node, step: Step) -> Node:
    """Return an element with what a fixed value or pattern of the one above it says about it."""
    for prefix in ("fixed", "pattern"):
        whole = values.stated(node.row, prefix)
        said = whole.get(step.name) if isinstance(whole, dict) else None
        said = said[0] if isinstance(said, list) and said else said
        if said is not None:
            return Node(child.name, {**child.row, f"{prefix}Value": said}, child.home, child.children, child.slices)
    return child


def _resolved(
    node: Node, rest: tuple[Step, ...], planner: "Planner", make: Callable[[Node], Test | None]
) -> Test | None:
    test = make(node) if not rest else None
    if test is None:
        return None

    def check(item: Item, visit: Visit) -> bool:
        met = visit.resolve(item.part("reference"))
        name = target_type(item, met, planner.validator)
        value, where = met or ({}, item.where)
        return bool(name) and test(Item(value, None, where, name), visit)

    return check


def _slices(child: Node, step: Step) -> Iterator[Node]:
    """Yield the element itself, and those of its slices that must be there or that the step names."""
    if step.type:
        named = [
            one for one in child.slices.values() if step.type in {fhir_type(row) for row in one.row.get("type", ())}
        ]
        yield from named or [child]
        return
    if step.url:
        return
    yield child
    yield from (one for one in child.slices.values() if one.row.get("min", 0))


def _child(node: Node, step: Step, planner: "Planner") -> tuple[Node | None, Member | None]:
    """Return the element that a step leads to, and how it is found in JSON."""
    children = planner.children(node)
    child = children.get(step.name) or children.get(f"{step.name}[x]")
    if child is None:
        return None, None
    types = tuple(dict.fromkeys(fhir_type(option) for option in child.row.get("type", ())))
    where = member(child.name, types, str(child.row.get("base", {}).get("path", "")))
    if step.url:
        named = [one for one in child.slices.values() if step.url in _urls(one)]
        return (named[0] if named else None), where
    return child, where


def _urls(node: Node) -> set[str]:
    return {str(url).partition("|")[0] for option in node.row.get("type", ()) for url in option.get("profile", ())}


def _criteria(node: Node, planner: "Planner", depth: int) -> Test | None:
    """Return whether a value has what an element states: its fixed value, pattern, required binding, or those below."""
    found: list[Test] = []
    fixed, pattern = values.stated(node.row, "fixed"), values.stated(node.row, "pattern")
    if fixed is not None:
        found.append(lambda item, _: values.equal(item.value, fixed))
    if pattern is not None:
        holds = values.pattern(pattern)
        found.append(lambda item, _: holds(item.value))
    row = node.row.get("binding", {})
    if not found and row.get("strength") == "required" and isinstance(row.get("valueSet"), str):
        found.append(_bound(row["valueSet"], planner))
    if not found and depth < 4:
        found += _below(node, planner, depth)
    if not found:
        return None
    return _every(found)


def _every(found: list[Test]) -> Test:
    """Return whether a value passes all tests."""

    def check(item: Item, visit: Visit) -> bool:
        for test in found:  # noqa: SIM110 - a generator costs more than the tests
            if not test(item, visit):
                return False
        return True

    return found[0] if len(found) == 1 else check


def _below(node: Node, planner: "Planner", depth: int) -> Iterator[Test]:
    profiled = any(option.get("profile") for option in node.row.get("type", ()))
    children = planner.children(node) if profiled else node.children
    for child in children.values():
        types = tuple(dict.fromkeys(fhir_type(option) for option in child.row.get("type", ())))
        where = member(child.name, types, str(child.row.get("base", {}).get("path", "")))
        for one in (child, *(part for part in child.slices.values() if part.row.get("min", 0))):
            test = _stated(one, planner, depth + 1)
            if test is not None:
                yield _some(test, where)


def _stated(node: Node, planner: "Planner", depth: int) -> Test | None:
    """As `_criteria`, but without bindings: below the end of the path they tell slices apart too seldom."""
    plain = Node(
        node.name, {key: value for key, value in node.row.items() if key != "binding"}, node.home, node.children
    )
    return _criteria(plain, planner, depth)


def _some(test: Test, where: Member) -> Test:
    def check(item: Item, visit: Visit) -> bool:
        value = item.value
        for part in where.items(value if type(value) is dict else item.object, item.where):  # noqa: SIM110 - likewise
            if test(part, visit):
                return True
        return False

    return check


def _bound(value_set: str, planner: "Planner") -> Test:
    codes = planner.validator.codes

    def check(item: Item, visit: Visit) -> bool:
        found = binding.codings(item) or []
        answers = [codes.member(value_set, system, code) for system, code in found]
        asking = visit.shared.asking
        if asking is not None and None in answers and True not in answers:
            visit.shared.outside += 1
            answers = asking.answers(value_set, found, answers)
        # A code that nobody knows may be in the set: then the slice gets the benefit of the doubt.
        return any(answer is not False for answer in answers)

    return check
