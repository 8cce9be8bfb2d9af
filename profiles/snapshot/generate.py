"""The snapshot of a profile: the base's with the differential laid over it (R4 StructureDefinition §5.1.0.12).

Snapshots are always made, all the way from the R4 types: published ones differ by the tool that made them. A type is
unfolded where the differential goes into it, a content reference likewise. A new slice starts as the base has the
element, so that what the profile says about the element as a whole holds besides what it says about the slice.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from profiles.issue import Issue
from profiles.snapshot import merge
from profiles.snapshot.messages import issue
from profiles.snapshot.slices import close, slice_of
from profiles.snapshot.source import CORE, Origin, Source
from profiles.snapshot.tree import CHOICE, Change, Node, changes, read, write

Json = dict[str, Any]

MOST_ELEMENTS = 50_000
MOST_KEPT = 60_000
"""Elements of the snapshots that are kept, at some 3 KB each with what is made of them; the profiles of six large guides have a half."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What became of a profile.

    Attributes:
        origin: The profile.
        type: The type that it constrains, such as `Patient`.
        rows: ElementDefinitions in order, each with its id; empty where none could be made. Nobody changes them.
        issues: What is wrong with the profile. Where it would widen its base, the base stays; what it says about an
            element that is not there is left out.
        tree: The same as a tree, or `None`.
    """

    origin: Origin
    type: str
    rows: tuple[Json, ...]
    issues: tuple[Issue, ...]
    tree: Node | None = field(default=None, repr=False)

    @property
    def fails(self) -> bool:
        """Whether there is none."""
        return not self.rows


class Snapshots:
    """Makes snapshots, and keeps those that it has made: profiles are based on profiles."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._made: OrderedDict[str, Snapshot] = OrderedDict()
        self._held = 0
        self._types: dict[str, Node | None] = {}

    def find(self, canonical: str, within: Origin | None = None) -> Snapshot | None:
        """Return the snapshot of what a canonical means, or `None` where it is not known."""
        origin = self.source.find(canonical, within)
        return None if origin is None else self.of(origin)

    def make(self, structure: Json) -> Snapshot:
        """Return the snapshot of a StructureDefinition that is not (yet) in the source."""
        return self._make(Origin(structure), ())

    def of(self, origin: Origin, making: tuple[str, ...] = ()) -> Snapshot:
        """Return the snapshot of a StructureDefinition.

        Args:
            origin: The structure and its package.
            making: Keys of those that wait for this one.
        """
        made = self._made.get(origin.key)
        if made is not None:
            self._made.move_to_end(origin.key)
        else:
            made = self._make(origin, making)
            if not making or not any(found.message_id == "profile-cycle" for found in made.issues):
                self._keep(origin.key, made)
        return made

    @property
    def kept(self) -> int:
        """How many elements the snapshots that are kept have."""
        return self._held

    def _keep(self, key: str, made: Snapshot) -> None:
        """Keep a snapshot, and let go of those that were not asked for longest where there are too many."""
        self._made[key] = made
        self._held += len(made.rows)
        while self._held > MOST_KEPT and len(self._made) > 1:
            self._held -= len(self._made.popitem(last=False)[1].rows)

    def type_tree(self, name: str) -> Node | None:
        """Return the tree of an R4 type, not to be changed, or `None`."""
        if name not in self._types:
            origin = self.source.type(name)
            rows = origin.structure.get("snapshot", {}).get("element") if origin else None
            self._types[name] = read(rows, name) if rows else None
        return self._types[name]

    def _make(self, origin: Origin, making: tuple[str, ...]) -> Snapshot:
        structure = origin.structure
        name = str(structure.get("type", ""))
        # Some profiles say by mistake that they specialize the type that they constrain.
        of_type = origin.url != CORE + name and structure.get("baseDefinition") == CORE + name
        if structure.get("derivation") != "constraint" and not (of_type and "differential" in structure):
            tree = self.type_tree(name) if self.source.type(name) is not None else None
            if tree is not None and structure.get("kind") != "logical":
                return Snapshot(origin, name, tuple(write(tree)), (), tree)
            return _failed(origin, name, issue("profile-kind", profile=origin.url, kind=_kind(structure)))
        differential = structure.get("differential", {})
        rows = differential.get("element", []) if isinstance(differential, dict) else None
        if not isinstance(rows, list):
            return _failed(origin, name, issue("profile-row", profile=origin.url, type=name, reason="there is no list"))
        broken = next((reason for row in rows if (reason := _broken(row, name))), "")
        if broken:
            return _failed(origin, name, issue("profile-row", profile=origin.url, type=name, reason=broken))
        base_url = str(structure.get("baseDefinition", ""))
        base_origin = self.source.find(base_url, origin)
        if base_origin is None:
            return _published(origin, name, base_url)
        if base_origin.key in (*making, origin.key):
            return _failed(origin, name, issue("profile-cycle", profile=origin.url, url=base_url))
        base = self.of(base_origin, (*making, origin.key))
        if base.tree is None:
            return _failed(origin, name, *base.issues)
        try:
            return _Making(self, origin, base, (*making, origin.key)).snapshot(rows)
        except RecursionError:
            return _failed(origin, name, issue("profile-too-deep", profile=origin.url))


class TooLarge(Exception):
    """The snapshot would have more elements than any profile needs."""


class _Making:
    """One snapshot on its way."""

    def __init__(self, snapshots: Snapshots, origin: Origin, base: Snapshot, making: tuple[str, ...]) -> None:
        self.snapshots = snapshots
        self.origin = origin
        self.base = base
        self.making = making
        self.of_r4 = origin.package is None and self.snapshots.source.type(origin.url) is origin
        self.issues: list[Issue] = list(base.issues)
        self.size = 0
        self.merge = merge.Merge(origin.url, self._lineage, self.issues.append)

    def snapshot(self, rows: list[Json]) -> Snapshot:
        name = self.base.type
        if self.base.tree is None:
            return _failed(self.origin, name, *self.issues)
        try:
            tree = self.counted(self.base.tree.copy())
            self.apply(tree, changes(rows), tree.name)
        except TooLarge:
            self.report("profile-too-large", limit=MOST_ELEMENTS)
            return _failed(self.origin, name, *self.issues)
        except ValueError as error:
            self.report("profile-row", type=name, reason=str(error))
            return _failed(self.origin, name, *self.issues)
        return Snapshot(self.origin, name, tuple(write(tree)), tuple(self.issues), tree)

    def counted(self, node: Node) -> Node:
        """Return a node that has become part of the snapshot."""
        self.size += node.size()
        if self.size > MOST_ELEMENTS:
            raise TooLarge
        return node

    def report(self, message_id: str, element_id: str = "", **places: object) -> None:
        self.issues.append(issue(message_id, element_id, profile=self.origin.url, **places))

    def apply(self, node: Node, change: Change, element_id: str) -> None:
        """Lay a change and all below it over a node."""
        if change.row is not None:
            before = node.row
            node.row = self.merge.row(before, change.row, element_id)
            self._type_profile(node, before, change.row, element_id)
        for (name, slice_name), below in change.children.items():
            self._child(node, name, slice_name, below, element_id)
        for child in node.children.values():
            close(child, self, f"{element_id}.{child.name}")

    def _child(self, node: Node, name: str, slice_name: str, change: Change, element_id: str) -> None:
        self.unfold(node, element_id)
        child, kind = node.children.get(name), ""
        if child is None:
            child, kind = _choice(node, name), name
            slice_name = slice_name or name if child is not None else slice_name
        here = f"{element_id}.{child.name if child else name}{f':{slice_name}' if slice_name else ''}"
        if child is None:
            parent = _types(node.row) or [node.name]
            self.report("profile-unknown-element", here, id=here, name=name, parent=" or ".join(parent))
            return
        if child.origin is None:
            child.origin = child.copy()
        if not slice_name:
            self.apply(child, change, here)
            return
        one = slice_of(child, slice_name, kind or slice_name, self, here)
        if one is not None:
            self.apply(one, change, here)

    def _type_profile(self, node: Node, before: Json, change: Json, element_id: str) -> None:
        """Take over what the root of a new type profile says."""
        url = _profile(node.row)
        if not url or url == _profile(before) or node.children:
            return
        found = self._profile_tree(url, element_id)
        if found is None:
            return
        code = _types(node.row)[0]
        if code not in self._lineage(found.name):
            self.report("profile-wrong-profile", element_id, id=element_id, url=url, found=found.name, allowed=code)
        if found.name in self.snapshots.source.definitions.resource_types:
            return
        said = self.merge.row(merge.root(before, found.row), change, element_id)
        node.row = {**node.row, **{key: said[key] for key in said if key not in {"min", "max"}}}
        if code == "Extension" and "max" not in change:
            most = min(str(found.row.get("max", "*")), str(node.row.get("max", "*")), key=merge.limit)
            node.row = {**node.row, "max": most}

    def unfold(self, node: Node, element_id: str) -> None:
        """Give a node the children of its type, its type profile or the element that it refers to."""
        if node.children:
            return
        source: Node | None = None
        if "contentReference" in node.row:
            source = self._referred(node)
            if source is not None:
                for one in filter(None, (node, node.origin)):
                    one.row = {key: value for key, value in one.row.items() if key != "contentReference"}
                    one.row["type"] = source.row.get("type", [])
        else:
            url = _profile(node.row)
            names = _types(node.row)
            if url:
                source = self._profile_tree(url, element_id)
            if source is None and names:
                source = self.snapshots.type_tree(names[0] if len(set(names)) == 1 else "Element")
        if source is not None:
            node.children = {name: self.counted(child.copy()) for name, child in source.children.items()}

    def _referred(self, node: Node) -> Node | None:
        """Return the element that a content reference such as `#Bundle.link` names, as the type defines it."""
        found = self.snapshots.type_tree(node.home)
        for name in str(node.row["contentReference"]).partition("#")[2].split(".")[1:]:
            found = found.children.get(name) if found is not None else None
        return found

    def _profile_tree(self, url: str, element_id: str) -> Node | None:
        """Return the tree of a type profile, or `None` where it is not known or is being made."""
        origin = self.snapshots.source.find(url, self.origin)
        if origin is None:
            self.report("profile-type-profile", element_id, id=element_id, url=url)
            return None
        if origin.key in self.making:
            return None
        return self.snapshots.of(origin, self.making).tree

    def _lineage(self, name: str) -> tuple[str, ...]:
        found = [name]
        types = self.snapshots.source.definitions.types
        while name in types and types[name].base:
            name = types[name].base
            found.append(name)
        return tuple(found)


def _failed(origin: Origin, name: str, *issues: Issue) -> Snapshot:
    return Snapshot(origin, name, (), issues)


def _published(origin: Origin, name: str, base_url: str) -> Snapshot:
    """Return the snapshot that a profile without a known base was published with, if it was with a usable one."""
    snapshot = origin.structure.get("snapshot", {})
    rows = snapshot.get("element") if isinstance(snapshot, dict) else None
    if not isinstance(rows, list) or not rows or any(_broken(row, name) for row in rows):
        return _failed(origin, name, issue("profile-base-missing", profile=origin.url, url=base_url))
    try:
        tree = read(rows, name)
    except ValueError as error:
        return _failed(origin, name, issue("profile-row", profile=origin.url, type=name, reason=str(error)))
    found = issue("profile-base-published", profile=origin.url, url=base_url)
    return Snapshot(origin, name, tuple(write(tree)), (found,), tree)


def _kind(structure: Json) -> str:
    return f"{structure.get('kind', 'structure')} (derivation {structure.get('derivation', 'none')})"


def _broken(row: object, name: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get("path"), str):
        return "there is one without a path"
    path = str(row["path"])
    if path.split(".", maxsplit=1)[0] != name or not all(path.split(".")):
        return f"there is '{path[:60]}'"
    if not all(isinstance(row.get(key, ""), str) for key in ("id", "sliceName")):
        return f"id or sliceName of '{path[:60]}' is no text"
    for key in ("type", "constraint", "condition", "mapping", "alias", "example"):
        if not isinstance(row.get(key, []), list):
            return f"'{key}' of '{path[:60]}' is no list"
    for key in ("binding", "slicing"):
        if not isinstance(row.get(key, {}), dict):
            return f"'{key}' of '{path[:60]}' is no object"
    if not all(isinstance(one, dict) for key in ("type", "constraint") for one in row.get(key, ())):
        return f"'type' or 'constraint' of '{path[:60]}' holds what is no object"
    return ""


def _choice(node: Node, name: str) -> Node | None:
    """Return the choice element that a name such as `valueQuantity` is one type of."""
    for stem, child in node.children.items():
        if stem.endswith(CHOICE) and name.startswith(stem.removesuffix(CHOICE)):
            kind = name.removeprefix(stem.removesuffix(CHOICE)).lower()
            origin = child.origin or child
            if kind in {code.lower() for code in _types(origin.row)} or kind == "[x]":
                return child
    return None


def _types(row: Json) -> list[str]:
    """Names of the types of an element."""
    return [merge.fhir_type(option) for option in row.get("type", ())]


def _profile(row: Json) -> str:
    """Return the type profile of an element if it has one type with one profile, else nothing."""
    options: list[Json] = row.get("type", [])
    profiles = options[0].get("profile", []) if len(options) == 1 else []
    return str(profiles[0]) if len(profiles) == 1 else ""
