"""IHE BALP profiles as the guide publishes them, and what of an AuditEvent does not conform."""

import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]
PACKAGE = "packages/ihe.iti.balp-1.1.4.sushi.tgz"


class Guide:
    """The profiles and value sets of the guide's package."""

    def __init__(self, data: Path) -> None:
        self.profiles: dict[str, Json] = {}
        self.codes: dict[str, set[str]] = {}
        with tarfile.open(data / PACKAGE) as package:
            for member in package:
                name = Path(member.name).name
                if not name.startswith(("StructureDefinition-", "ValueSet-")):
                    continue
                file = package.extractfile(member)
                assert file
                resource = json.load(file)
                if name.startswith("Structure"):
                    self.profiles[resource["url"]] = resource
                else:
                    included = resource.get("compose", {}).get("include", [])
                    self.codes[resource["url"]] = {one["code"] for part in included for one in part.get("concept", ())}

    def findings(self, event: Json) -> list[str]:
        """Return what of an event its profiles do not allow."""
        return [found for url in event["meta"]["profile"] for found in self._of(self.profiles[url], event)]

    def _of(self, profile: Json, event: Json) -> Iterator[str]:
        rows = {row["id"]: row for row in profile["snapshot"]["element"]}
        for path, row in rows.items():
            parts = path.split(".")
            if ":" not in path and len(parts) == 2:
                yield from self._value(path, row, event.get(parts[1]))
        for name in ("subtype", "agent", "entity"):
            yield from self._slices(name, rows, event.get(name, []))

    def _slices(self, name: str, rows: Mapping[str, Json], items: list[Json]) -> Iterator[str]:
        base = f"AuditEvent.{name}"
        slicing = rows[base].get("slicing")
        if not slicing:
            return
        path = slicing["discriminator"][0]["path"]
        slices = [row for key, row in rows.items() if key.startswith(f"{base}:") and "." not in key[len(base) :]]
        met: set[int] = set()
        for one in slices:
            deciding = one if path == "$this" else rows[f"{one['id']}.{path}"]
            matching = [
                number
                for number, item in enumerate(items)
                if self._fits(deciding, item if path == "$this" else item.get(path))
            ]
            met |= {*matching}
            most = one["max"]
            if len(matching) < one["min"] or (most != "*" and len(matching) > int(most)):
                yield f"{one['id']}: {len(matching)} of them"
            for number in matching:
                for key, row in rows.items():
                    rest = key.removeprefix(f"{one['id']}.")
                    if rest != key and "." not in rest and ":" not in rest:
                        yield from self._value(key, row, items[number].get(rest))
        if slicing["rules"] == "closed" and len(met) < len(items):
            yield f"{base}: some are in no slice"

    def _value(self, path: str, row: Json, value: Any) -> Iterator[str]:
        count = len(value) if isinstance(value, list) else value is not None
        if count < row["min"] or (row["max"] != "*" and count > int(row["max"])):
            yield f"{path}: {count} of them"
        elif value is not None and not self._fits(row, value):
            yield f"{path}: {value}"

    def _fits(self, row: Json, value: Any) -> bool:
        pattern = next((row[key] for key in row if key.startswith("pattern")), None)
        if pattern is not None:
            return all(_contains(one, pattern) for one in (value if isinstance(value, list) else [value]))
        binding = row.get("binding", {})
        codes = self.codes.get(binding.get("valueSet", "").partition("|")[0])
        if not codes or binding["strength"] != "required":
            return True
        if not isinstance(value, dict):
            return False
        return bool({one.get("code") for one in value.get("coding", [value])} & codes)


def _contains(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(_contains(value.get(name), part) for name, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(_contains(one, part) for one in value) for part in pattern)
    return bool(value == pattern)
