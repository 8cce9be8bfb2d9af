"""Element definitions as a tree: the flat list of a snapshot or a differential is read into it and written from it.

An address names one element below the root: (name, slice) for each step, the slice empty for the element as a whole. Ids
say it outright (`Observation.component:systolic.code`); where they are missing or wrong, the order of the list does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Step = tuple[str, str]
Address = tuple[Step, ...]

CHOICE = "[x]"


@dataclass(slots=True, eq=False)
class Node:
    """One element of a snapshot in the making.

    Attributes:
        name: Last part of its path, such as `value[x]`.
        row: Its ElementDefinition, without `id` and `path`, which follow from its place.
        home: URL of the type that a content reference in it is meant within.
        children: By name, in order.
        slices: By slice name, in order; re-slices `a/b` beside `a`.
        origin: What it was before this profile's differential.
    """

    name: str
    row: Json
    home: str
    children: dict[str, "Node"] = field(default_factory=dict)
    slices: dict[str, "Node"] = field(default_factory=dict)
    origin: "Node | None" = None

    def copy(self) -> "Node":
        """Return an equal tree that can be changed by itself; its rows are the same, which nobody changes but puts others in place."""
        return Node(
            self.name,
            self.row,
            self.home,
            {name: child.copy() for name, child in self.children.items()},
            {name: one.copy() for name, one in self.slices.items()},
        )

    def plain(self) -> "Node":
        """Return a copy without its slices."""
        children = {name: child.copy() for name, child in self.children.items()}
        return Node(self.name, self.row, self.home, children)

    def size(self) -> int:
        """Return how many elements there are."""
        return 1 + sum(one.size() for one in (*self.children.values(), *self.slices.values()))


@dataclass(slots=True, eq=False)
class Change:
    """One step of a differential: what it says there (`None` where it only leads further), and what it says below."""

    row: Json | None = None
    children: dict[Step, "Change"] = field(default_factory=dict)


def read(rows: Iterable[Json], home: str) -> Node:
    """Return the tree of a snapshot, which has a row for every element on the way.

    Raises:
        ValueError: It has not.
    """
    root: Node | None = None
    for address, row in addressed(rows):
        name, slice_name = address[-1]
        node = Node(name, {key: value for key, value in row.items() if key not in {"id", "path"}}, home)
        if root is None:
            root = node
            continue
        parent: Node | None = root
        for step in address[1:-1]:
            parent = parent and _step(parent, step)
        if parent is None:
            raise ValueError(f"the snapshot has '{row.get('id', row['path'])}' without the element that it is part of")
        if not slice_name:
            parent.children[name] = node
        elif name in parent.children:
            parent.children[name].slices[slice_name] = node
        else:
            raise ValueError(
                f"the snapshot has '{row.get('id', row['path'])}' without the element that it is a slice of"
            )
    if root is None:
        raise ValueError("the snapshot has no elements")
    return root


def changes(rows: Iterable[Json]) -> Change:
    """Return the tree of a differential, which may leave out what lies between."""
    root = Change()
    for address, row in addressed(rows):
        change = root
        for step in address[1:]:
            change = change.children.setdefault(step, Change())
        change.row = row if change.row is None else {**change.row, **row}
    return root


def write(root: Node) -> Iterator[Json]:
    """Yield the rows of a snapshot: each element, what it consists of, then its slices."""
    yield from _rows(root, root.name, root.name)


def addressed(rows: Iterable[Json]) -> Iterator[tuple[Address, Json]]:
    """Yield each row with its address."""
    previous: Address = ()
    for row in rows:
        names = str(row["path"]).split(".")
        slices = [""] * len(names)
        for index, (name, step) in enumerate(zip(names[:-1], previous, strict=False)):
            if name != step[0] and not stands_for(step, name):
                break
            slices[index] = step[1]
            names[index] = step[0]
        slices[-1] = str(row.get("sliceName", ""))
        previous = _by_id(row, names, slices) or tuple(zip(names, slices, strict=True))
        yield previous, row


def stands_for(step: Step, name: str) -> bool:
    """Return whether a name such as `valueQuantity` means the slice of that name of `value[x]`."""
    return step[0].endswith(CHOICE) and step[1] == name and name.startswith(step[0].removesuffix(CHOICE))


def _by_id(row: Json, names: list[str], slices: list[str]) -> Address | None:
    """Return the address that the id says, if it agrees with the path."""
    parts = str(row.get("id", "")).split(".")
    if len(parts) != len(names):
        return None
    found: list[Step] = []
    for part, name in zip(parts, names, strict=True):
        said, _, slice_name = part.partition(":")
        if said != name and not stands_for((said, slice_name), name):
            return None
        found.append((said, slice_name))
    last, (name, slice_name) = slices[-1], found[-1]
    if last and not slice_name:
        found[-1] = (name, last)
    return tuple(found)


def _step(node: Node, step: Step) -> Node | None:
    child = node.children.get(step[0])
    return child.slices.get(step[1]) if child is not None and step[1] else child


def _rows(node: Node, path: str, element_id: str) -> Iterator[Json]:
    yield {"id": element_id, "path": path, **node.row}
    for name, child in node.children.items():
        yield from _rows(child, f"{path}.{name}", f"{element_id}.{name}")
        for slice_name, one in child.slices.items():
            yield from _rows(one, f"{path}.{name}", f"{element_id}.{name}:{slice_name}")
