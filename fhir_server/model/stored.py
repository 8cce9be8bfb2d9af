"""Resources as the store gives them back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec


class Hit(msgspec.Struct, frozen=True):
    """A resource that a search found: as much of its current version as the entry of a page says.

    A page makes fifty of them; as a frozen dataclass each would take five times as long.

    Attributes:
        resource_type: Its type.
        id: Logical id.
        body: The exact JSON that a read returns.
        envelope: The envelope fields that the query asked for (`s`, `p`, `d`, `o`, …) and maybe others. An instant among
            them is in UTC and does not say so.
    """

    resource_type: str
    id: str
    body: bytes
    envelope: Mapping[str, Any]


class Stored(msgspec.Struct, frozen=True):
    """One version of one instance.

    Attributes:
        resource_type: Its type.
        id: Logical id.
        vid: Version number, from 1.
        lu: When this version was written, in UTC, whether it says so or not.
        body: The exact JSON that a read returns; empty for a deletion.
        method: The HTTP method that made this version (for history entries): POST, PUT, PATCH or DELETE.
        deleted: Whether this version is the deletion.
        envelope: The envelope fields that the query asked for (`s`, `p`, `d`, `o`, …) and maybe others. An instant among
            them is in UTC and does not say so.
    """

    resource_type: str
    id: str
    vid: int
    lu: datetime
    body: bytes
    method: str = "PUT"
    deleted: bool = False
    envelope: Mapping[str, Any] = msgspec.field(default_factory=dict)

    @property
    def last_updated(self) -> datetime:
        """When this version was written, UTC, whole milliseconds."""
        return self.lu.replace(tzinfo=UTC)
