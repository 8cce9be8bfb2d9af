"""Slices of an element in a snapshot (R4 Profiling §5.1.0.15).

Extensions are sliced by their url and choices by their type even where a profile does not say so. A new slice is the
element as the base has it, but optional, with the parts that this profile gave it. A re-slice `a/b` is the slice `a`.

A choice has one type. Where one of its types is a mandatory slice there can be no other, and the choice says so too, as
tools of HL7 have it.
"""

from typing import TYPE_CHECKING, Any

from profiles.snapshot.tree import CHOICE, Node

if TYPE_CHECKING:
    from profiles.snapshot.generate import _Making

Json = dict[str, Any]

EXTENSIONS = frozenset({"extension", "modifierExtension"})
BY_URL: Json = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}
_SLICED = frozenset({"slicing", "sliceName"})
_RESLICED = _SLICED | {"mustSupport"}
BY_TYPE: Json = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}


def slice_of(node: Node, name: str, kind: str, making: "_Making", element_id: str) -> Node | None:
    """Return a slice of an element, a new one if need be, or `None` where there can be none, which is reported.

    Args:
        node: The element.
        name: Name of the slice.
        kind: For a choice, what says its type: `valueQuantity`.
        making: The snapshot that it is for.
        element_id: Id of the slice.
    """
    known = node.slices.get(name)
    if known is not None:
        return known
    parent = node.slices.get(name.rpartition("/")[0])
    if "slicing" not in node.row and node.row.get("max") == "1" and node.name not in EXTENSIONS and not _choice(node):
        # Old profiles give a name to what occurs once.
        return node
    if not _sliced(node, name, making, element_id):
        return None
    made = making.counted((parent or node).plain())
    row = parent.row if parent else (node.origin or node).row
    kept = {key: value for key, value in row.items() if key not in (_RESLICED if parent else _SLICED)}
    if "contentReference" in kept and made.children:
        kept = {key: value for key, value in kept.items() if key != "contentReference"}
        kept["type"] = node.row.get("type", [])
    made.row = {"sliceName": name, **kept, "min": 0}
    if _choice(node):
        _narrow(made, kind.removeprefix(node.name.removesuffix(CHOICE)))
    _insert(node, name, made)
    return made


def close(node: Node, making: "_Making", element_id: str) -> None:
    """Let a choice of which one type is mandatory, or which is closed, have the types of its slices and no other."""
    slicing = node.row.get("slicing", {})
    if not _choice(node) or [row.get("type") for row in slicing.get("discriminator", ())] != ["type"]:
        return
    typed = [one.row for one in node.slices.values() if one.row.get("type")]
    mandatory = [row for row in typed if row.get("min", 0)] if node.row.get("max") == "1" else []
    if len({str(row["type"]) for row in mandatory}) > 1:
        making.report("profile-mandatory-types", element_id, id=element_id)
    if mandatory:
        slicing = {**slicing, "rules": "closed"}
        node.row = {**node.row, "min": 1, "type": _of(node, mandatory[:1]), "slicing": slicing}
    elif typed and slicing.get("rules") == "closed":
        nothing = all(row.get("max") == "0" for row in typed)
        node.row = {**node.row, **({"max": "0"} if nothing else {"type": _of(node, typed)})}


def _of(node: Node, slices: list[Json]) -> list[Json]:
    """The types of a choice that slices of it have."""
    codes = {option.get("code") for row in slices for option in row["type"]}
    return [option for option in node.row.get("type", ()) if option.get("code") in codes] or slices[0]["type"]


def _sliced(node: Node, name: str, making: "_Making", element_id: str) -> bool:
    slicing = node.row.get("slicing")
    if slicing is not None and _choice(node) and not slicing.get("discriminator"):
        node.row = {**node.row, "slicing": {**BY_TYPE, **slicing}}
    if slicing is None:
        if node.name in EXTENSIONS:
            node.row = {**node.row, "slicing": dict(BY_URL)}
        elif _choice(node):
            # `component:systolic.valueQuantity`: within a slice, tools of HL7 take the name for the one type allowed.
            # So do the profiles of R4 itself, which were made when they always did.
            within = ":" in element_id.rpartition(".")[0]
            rules = "closed" if within or making.of_r4 else "open"
            node.row = {**node.row, "slicing": {**BY_TYPE, "rules": rules}}
        elif "/" not in name:
            making.report("profile-no-slicing", element_id, id=element_id, name=node.name)
            return False
    base = node.origin.row.get("slicing", {}) if node.origin else {}
    if base.get("rules") == "closed" and "/" not in name and not _choice(node):
        making.report("profile-closed", element_id, id=element_id, name=node.name)
        return False
    return True


def _narrow(node: Node, kind: str) -> None:
    """Give the slice `valueQuantity` of `value[x]` the type Quantity alone."""
    fitting = [option for option in node.row.get("type", ()) if str(option.get("code", "")).lower() == kind.lower()]
    if fitting:
        node.row = {**node.row, "type": fitting}


def _insert(node: Node, name: str, made: Node) -> None:
    """Put a slice at the end, a re-slice after the slice that it is one of and its other re-slices."""
    parent = name.rpartition("/")[0]
    after = [other for other in node.slices if parent and (other == parent or other.startswith(f"{parent}/"))]
    if not after:
        node.slices[name] = made
        return
    ordered: dict[str, Node] = {}
    for other, one in node.slices.items():
        ordered[other] = one
        if other == after[-1]:
            ordered[name] = made
    node.slices = ordered


def _choice(node: Node) -> bool:
    return node.name.endswith(CHOICE)
