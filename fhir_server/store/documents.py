"""Stored documents and the values made of them (storage.md B1, B3).

The live collection `<Type>` has `_id` = logical id and `v`; a history row of `<Type>_h` has `_id` = `<id>/<version>`, the
version in eight digits so that versions sort as numbers, and of the search values those that scopes may ask for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.model.stored import Stored

# What a page without resources needs of each, one with them, and a read, for which the trail says whose record it was; `jb`
# names the file that holds `j` where it is large.
ID = {"_id": 1}
ENTRY = {"j": 1, "jb": 1}
BODY = {"v": 1, "lu": 1, "m": 1, "p": 1, "ps": 1, "f": 1, **ENTRY}
ROW_BODY = {"lu": 1, "m": 1, "del": 1, "p": 1, "ps": 1, "f": 1, **ENTRY}

# What tells who may see a version: the same filter holds for the current one, a superseded one, and a deletion. The words of
# `_text` and `_content` are no criteria of anybody's access.
_ACCESS = ("rg", "f", "p", "ps", "sl", "held", "hb", "va", "op", "gt", "wd", "adv", "ow", "s", "rf", "d", "dh", "dl")
_WORDS = frozenset({"_words", "_text", "_content"})

# What a superseded version keeps besides. Sort keys and what is found by contained resources are dropped.
_KEPT = ("lu", "o", "m", "sv", "tx", "r", "j", "jb")


@dataclass(frozen=True, slots=True)
class Live:
    """A current version together with its whole document, for those who will supersede it.

    Attributes:
        stored: The version.
        document: The live document; nested values stay undecoded BSON until they are looked at.
    """

    stored: Stored
    document: Mapping[str, Any]


def history_id(resource_id: str, vid: int) -> str:
    """Return the `_id` of a version in the history collection."""
    return f"{resource_id}/{vid:08d}"


def stored(resource_type: str, doc: Mapping[str, Any]) -> Stored:
    """Return the version that a live document holds."""
    return Stored(resource_type, doc["_id"], doc["v"], doc["lu"], doc.get("j", b""), doc["m"], False, doc)


def stored_row(resource_type: str, row: Mapping[str, Any]) -> Stored:
    """Return the version that a history row holds."""
    resource_id, _, version = row["_id"].rpartition("/")
    deleted = row.get("del", False)
    body, method = row.get("j", b""), "DELETE" if deleted else row["m"]
    return Stored(resource_type, resource_id, int(version), row["lu"], body, method, deleted, row)


def access(live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a live document that tell who may see it."""
    kept = {key: live[key] for key in _ACCESS if key in live}
    values = kept.get("s", {})
    if not _WORDS.isdisjoint(values):
        kept["s"] = {key: value for key, value in values.items() if key not in _WORDS}
    return kept


def superseded_row(live: Mapping[str, Any], until: datetime) -> dict[str, Any]:
    """Return the history row of a live document that the next version replaces at `until` (kept as `su`)."""
    row: dict[str, Any] = {"_id": history_id(live["_id"], live["v"])}
    row.update((key, live[key]) for key in _KEPT if key in live)
    row.update(access(live))
    row["su"] = until
    return row
