"""JSON in which every number is the digits that were written, so that comparing two texts compares each decimal too."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Digits:
    """A number as it stands in the text: `1.0` and `1.00` are two."""

    text: str


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text with its numbers as `Digits`."""
    return json.loads(data, parse_float=Digits, parse_int=Digits)


def without_server_owned(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the resource without its id, and without version and time in meta."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in {"versionId", "lastUpdated"}}
    rest = {k: v for k, v in resource.items() if k not in {"id", "meta"}}
    return {**rest, "meta": meta} if meta else rest
