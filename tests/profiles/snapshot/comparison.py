"""Two snapshots of one profile compared by what they mean, since tools write the same in several ways."""

from collections.abc import Callable, Iterable
from typing import Any

Json = dict[str, Any]


def differences(made: Iterable[Json], published: Iterable[Json]) -> dict[str, list[str]]:
    """Return, for each kind of difference, the ids of the elements that differ."""
    ours, theirs = _canonical(made), _canonical(published)
    found = {
        "missing": [key for key in theirs if key not in ours],
        "added": [key for key in ours if key not in theirs],
    }
    for name, fact in FACTS.items():
        found[name] = [key for key in ours if key in theirs and fact(ours[key]) != fact(theirs[key])]
    return {name: keys for name, keys in found.items() if keys}


def _types(row: Json) -> list[Any]:
    return sorted(
        (
            option.get("code", "").rpartition("/")[2],
            sorted(_bare(url) for url in option.get("profile", ())),
            sorted(_bare(url) for url in option.get("targetProfile", ())),
        )
        for option in row.get("type", ())
    )


def _slicing(row: Json) -> Any:
    slicing = row.get("slicing")
    if not slicing:
        return None
    by = [(one["type"], one["path"]) for one in slicing.get("discriminator", ())]
    return by, slicing.get("rules"), bool(slicing.get("ordered"))


def _binding(row: Json) -> Any:
    binding = row.get("binding", {})
    return binding.get("strength"), _bare(binding.get("valueSet", ""))


FACTS: dict[str, Callable[[Json], Any]] = {
    "min": lambda row: row.get("min"),
    "max": lambda row: row.get("max"),
    "type": _types,
    "value": lambda row: {key: row[key] for key in row if key.startswith(("fixed", "pattern", "minValue", "maxValue"))},
    "binding": _binding,
    "slicing": _slicing,
    "constraint": lambda row: sorted({rule["key"] for rule in row.get("constraint", ())}),
    "mustSupport": lambda row: bool(row.get("mustSupport")),
}


def _bare(canonical: str) -> str:
    """Publishers pin versions when they publish."""
    return canonical.partition("|")[0]


def _canonical(rows: Iterable[Json]) -> dict[str, Json]:
    """Rows by id, with what follows from slices said on the element, and a choice of one type without its one slice."""
    found = {row["id"]: dict(row) for row in rows}
    slices: dict[str, list[str]] = {}
    for key in found:
        parent, dot, last = key.rpartition(".")
        name, colon, _ = last.partition(":")
        if colon:
            slices.setdefault(f"{parent}{dot}{name}", []).append(key)
    for key, names in slices.items():
        _imply(key, found.get(key, {}), [found[name] for name in names if "/" not in name.rpartition(":")[2]])
    for key, names in slices.items():
        if (
            key in found
            and key.endswith("[x]")
            and len(names) == 1
            and found[key].get("slicing", {}).get("rules") == "closed"
        ):
            found = _folded(found, key, names[0])
    return found


def _imply(key: str, row: Json, slices: list[Json]) -> None:
    row["min"] = max(row.get("min", 0), sum(one.get("min", 0) for one in slices))
    mandatory = [one for one in slices if one.get("min", 0) and one.get("type")]
    if key.endswith("[x]") and row.get("max") == "1" and mandatory:
        row["min"], row["type"] = 1, mandatory[0]["type"]
        row["slicing"] = {**row.get("slicing", {}), "rules": "closed"}


def _folded(found: dict[str, Json], key: str, only: str) -> dict[str, Json]:
    whole, part = found[key], found[only]
    said = {name: whole[name] for name in ("mustSupport", "binding") if whole.get(name)}
    row = {**said, **part, "min": max(whole["min"], part["min"])}
    row["mustSupport"] = bool(whole.get("mustSupport") or part.get("mustSupport"))
    folded = {key: row}
    for name, other in found.items():
        if name in {only, key}:
            folded.setdefault(key, row)
        elif name.startswith(f"{only}."):
            folded[key + name[len(only) :]] = other
        else:
            folded.setdefault(name, other)
    return folded
