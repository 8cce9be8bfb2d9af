"""Slices of an element (R4 Profiling §5.1.0.15): which values belong to which, how many there are, in which order.

A value belongs to the first slice of which it meets what the discriminators point to. Re-slices (`a/b`) sort the values of
their slice again. Choices are sliced by their type, which their JSON key says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from profiles.snapshot.merge import limit
from profiles.snapshot.tree import Node
from profiles.validate.profile.discriminator import Test, kinds, tests, undecided, url_of
from profiles.validate.profile.items import Item
from profiles.validate.profile.visit import Visit
from profiles.validate.walk import Place

if TYPE_CHECKING:
    from profiles.validate.profile.plan import Check, Planner

Json = dict[str, Any]
Group = Callable[[list[Item], Place, Visit], None]


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice, ready to sort and check values.

    Attributes:
        name: Its name.
        matches: Whether a value belongs to it.
        low: Least number of values.
        high: Greatest number.
        check: What each of its values must be, beyond what the element as a whole must.
        again: Its own slices.
    """

    name: str
    matches: Test
    low: int
    high: int
    check: "Check | None"
    again: Group | None


@dataclass(frozen=True, slots=True)
class Sorter:
    """The slices of one element, or of one of its slices.

    Where the profile does not say how a slice is told apart, nobody can say that it lacks values, or that a value is in none.

    Attributes:
        slices: In the order of the profile.
        rules: ElementDefinition.slicing.rules.
        ordered: Whether the values must be in the order of their slices.
        path: The element, for messages.
        url: The profile, for messages.
        by_url: Of extensions, the position of the slice by URL.
        typed: Where the types of slices are told, if they all are: the member, empty for the value itself; else `None`.
        by_type: Positions of the slices that a type may belong to.
    """

    slices: tuple[Slice, ...]
    rules: str
    ordered: bool
    path: str
    url: str
    by_url: dict[str, int]
    typed: str | None
    by_type: dict[str, tuple[int, ...]]

    def __call__(self, items: list[Item], place: Place, visit: Visit) -> None:
        """Sort the values, and check each slice."""
        own: dict[int, list[Item]] = {}
        last, ended = 0, False
        for item in items:
            position = self._position(item, visit)
            if position is None:
                ended = True
                self._unmatched(item, visit)
                continue
            own.setdefault(position, []).append(item)
            if self.ordered and position < last:
                name, before = self.slices[position].name, self.slices[last].name
                visit.report("slice-order", item.where, slice=name, before=before, url=self.url, path=self.path)
            if self.rules == "openAtEnd" and ended:
                visit.report("slice-end", item.where, path=self.path, url=self.url)
            last = max(last, position)
        for position, one in enumerate(self.slices):
            if position in own or one.low:
                self._slice(one, own.get(position, []), place, visit, empty=not items)

    def _position(self, item: Item, visit: Visit) -> int | None:
        if self.by_url:
            url = item.value.get("url") if type(item.value) is dict else item.part("url")
            return self.by_url.get(url) if isinstance(url, str) else None
        slices, steps = self.slices, 0
        for index in range(len(slices)) if self.typed is None else self._fitting(item):
            steps += 1
            if slices[index].matches(item, visit):
                visit.shared.spend(steps)
                return index
        visit.shared.spend(steps)
        return None

    def _fitting(self, item: Item) -> tuple[int, ...]:
        if not self.typed:
            return self.by_type.get(item.type, ())
        inner = item.part(self.typed)
        kind = inner.get("resourceType") if type(inner) is dict else None
        return self.by_type.get(kind, ()) if type(kind) is str else ()

    def _unmatched(self, item: Item, visit: Visit) -> None:
        # Which types a choice may have is said at the choice.
        decided = all(one.matches is not undecided for one in self.slices)
        if self.rules == "closed" and decided and not self.path.endswith("[x]"):
            names = ", ".join(one.name for one in self.slices)
            visit.report("slice-closed", item.where, url=self.url, path=self.path, slices=names)

    def _slice(self, one: Slice, values: list[Item], place: Place, visit: Visit, *, empty: bool) -> None:
        found = len(values)
        if found < one.low and (empty or one.matches is not undecided):
            visit.report(
                "slice-minimum", place, slice=f"{self.path}:{one.name}", min=one.low, found=found, url=self.url
            )
        elif found > one.high:
            name = f"{self.path}:{one.name}"
            visit.report("slice-maximum", values[one.high].where, slice=name, max=one.high, found=found, url=self.url)
        if one.check is not None:
            for item in values:
                one.check(item, visit)
        if one.again is not None:
            one.again(values, place, visit)


def compile(node: Node, planner: "Planner", path: str, owner: Node | None = None) -> Group | None:  # noqa: A001 - the word for it
    """Return the check of all values of a sliced element, `None` where it has no slices.

    Args:
        node: The element.
        planner: Whose profile it is.
        path: What it is called in messages.
        owner: One of its slices, of which the re-slices are meant.
    """
    prefix = str(owner.row.get("sliceName", "")) if owner is not None else ""
    names = [name for name in node.slices if name.rpartition("/")[0] == prefix]
    if not names:
        return None
    whole = owner or node
    slicing = whole.row.get("slicing") or node.row.get("slicing", {})
    slices = tuple(_slice(node, name, whole, slicing, planner, path) for name in names)  # fmt: skip
    urls = [url_of(node.slices[name], slicing, planner) for name in names]
    by_url = {url: index for index, url in enumerate(urls)} if all(urls) and len(set(urls)) == len(urls) else {}
    told = [kinds(node.slices[name], slicing, planner) for name in names]
    where = {row[0] for row in told if row is not None}
    typed = where.pop() if None not in told and len(where) == 1 else None
    by_type: dict[str, tuple[int, ...]] = {}
    for index, row in enumerate(told if typed is not None else ()):
        for kind in row[1] if row is not None else ():
            by_type[kind] = (*by_type.get(kind, ()), index)
    rules, ordered = str(slicing.get("rules", "open")), bool(slicing.get("ordered"))
    return Sorter(slices, rules, ordered, path, planner.url, by_url, typed, by_type)


def _slice(node: Node, name: str, whole: Node, slicing: Json, planner: "Planner", path: str) -> Slice:  # noqa: PLR0917 - one place calls it
    one = node.slices[name]
    return Slice(
        name=name,
        matches=tests(one, slicing, planner),
        low=one.row.get("min", 0),
        high=limit(one.row.get("max", "*")),
        check=planner.element(one, whole, path),
        again=compile(node, planner, path, one),
    )
