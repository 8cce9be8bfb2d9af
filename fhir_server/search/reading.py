"""What the reading of a value depends on besides the value: our own base, the time zone, the definitions."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from profiles.definitions.registry import Definitions


@dataclass(frozen=True, slots=True)
class Reading:
    """How stored values and query texts are read; the index and the queries must use the same one.

    Attributes:
        base: Our own service base without trailing slash; absolute references below it count as local. Empty: none.
        zone: Time zone of dates and times that state none.
        definitions: Code systems of required bindings, for `system|code` on elements of type `code`. `None`: not known.
        now: The present, for the prefix `ap`; `None`: that of the clock.
    """

    base: str = ""
    zone: tzinfo = UTC
    definitions: Definitions | None = None
    now: datetime | None = None


PLAIN = Reading()
