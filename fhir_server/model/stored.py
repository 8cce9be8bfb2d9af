"""A version of a resource as the store gives it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one instance.

    Attributes:
        resource_type: Its type.
        id: Logical id.
        vid: Version number, from 1.
        last_updated: When this version was written, UTC, whole milliseconds.
        body: The exact JSON that a read returns; empty for a deletion.
        method: The HTTP method that made this version (for history entries): POST, PUT, PATCH or DELETE.
        deleted: Whether this version is the deletion.
        envelope: Further envelope fields that the query asked for (`s`, `p`, `d`, `o`, …), else empty.
    """

    resource_type: str
    id: str
    vid: int
    last_updated: datetime
    body: bytes
    method: str = "PUT"
    deleted: bool = False
    envelope: Mapping[str, Any] = field(default_factory=dict)
