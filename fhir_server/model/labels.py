"""Profiles, tags and security labels: the sets in `Resource.meta` that can be added to and taken from (R4 2.38.13).

A Coding is the same label whatever its `display` says; versions of code systems do part labels.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

Meta = Mapping[str, Any]


def _coding(label: Any) -> Hashable:
    return tuple(str(label.get(name, "")) for name in ("system", "version", "code")) if isinstance(label, dict) else ""


SETS: Mapping[str, Callable[[Any], Hashable]] = {"profile": str, "security": _coding, "tag": _coding}
"""The sets by element, each with what tells its members apart."""


def of(meta: Meta) -> dict[str, Any]:
    """Return the sets of a meta without the rest of it; sets that are empty are left out."""
    return {name: list(meta[name]) for name in SETS if meta.get(name)}


def added(meta: Meta, more: Meta) -> dict[str, Any]:
    """Return a meta with the labels of another one that it lacks, behind its own."""
    found = dict(meta)
    for name, key in SETS.items():
        own = list(meta.get(name, ()))
        taken = {key(label) for label in own}
        for label in more.get(name, ()):
            if key(label) not in taken:
                taken.add(key(label))
                own.append(label)
        if own:
            found[name] = own
    return found


def removed(meta: Meta, less: Meta) -> dict[str, Any]:
    """Return a meta without the labels that another one has. What it never had is no error."""
    found = dict(meta)
    for name, key in SETS.items():
        gone = {key(label) for label in less.get(name, ())}
        kept = [label for label in found.pop(name, ()) if key(label) not in gone]
        if kept:
            found[name] = kept
    return found
