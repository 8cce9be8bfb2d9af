"""The port to whatever keeps the records, and to what the house knows of patients.

One primitive carries every promise of "only once": `swap` writes a record in place of the one that was read, if what it
changes is still as it was read. A code, a refresh token, a launch, a second factor can thus be used by one of any number of
processes that try at the same moment.
"""

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol, TypeVar

from smart_auth.audit import SecurityEvent
from smart_auth.records import (
    AccessToken,
    AuthorizationRequest,
    Client,
    Code,
    Grant,
    Invitation,
    Key,
    Launch,
    RefreshToken,
    Session,
    User,
)

Record = (
    AccessToken
    | AuthorizationRequest
    | Client
    | Code
    | Grant
    | Invitation
    | Key
    | Launch
    | RefreshToken
    | Session
    | User
)
R = TypeVar(
    "R",
    AccessToken,
    AuthorizationRequest,
    Client,
    Code,
    Grant,
    Invitation,
    Key,
    Launch,
    RefreshToken,
    Session,
    User,
)

KINDS: tuple[type[Record], ...] = (
    AccessToken,
    AuthorizationRequest,
    Client,
    Code,
    Grant,
    Invitation,
    Key,
    Launch,
    RefreshToken,
    Session,
    User,
)

FINDABLE: dict[type[Record], tuple[str, ...]] = {
    Client: ("kind",),
    User: ("login", "kind"),
    Session: ("user_id",),
    Grant: ("user_id", "client_id", "session_id", "access"),
    Key: ("state",),
}
"""The fields, beside the id, by which records are found; `find` knows no others. The login of a user is unique."""


def changed(before: R, after: R) -> tuple[str, ...]:
    """Return the names of the fields in which two records of one id differ.

    Raises:
        ValueError: They are not of one kind and id.
    """
    if type(before) is not type(after) or before.id != after.id:
        raise ValueError("A record is swapped for one of the same kind and id.")
    return tuple(one.name for one in fields(before) if getattr(before, one.name) != getattr(after, one.name))


class AuthStore(Protocol):
    """Keeps records. Everything it confirms is durable, and seen by every later read of every process."""

    async def get(self, kind: type[R], record_id: str) -> R | None:
        """Return the record of a kind, or `None`."""
        ...

    async def find(self, kind: type[R], /, **fields: str) -> Sequence[R]:
        """Return the records of a kind whose fields (of `FINDABLE`) have these values, the oldest id first."""
        ...

    async def add(self, record: Record) -> bool:
        """Keep a new record; return whether there was none of its kind and id, or with its login, before."""
        ...

    async def swap(self, before: R, after: R, *, felt: bool = False, seen: Collection[str] = ()) -> bool:
        """Write a record in place of the one that was read, where nobody has changed the same fields meanwhile.

        Args:
            before: As it was read.
            after: The same with other values.
            felt: Whether tokens that were checked before may no longer be valid: raises the epoch.
            seen: Fields that stay and nobody may have changed meanwhile either: what the change rests on.

        Returns:
            Whether it was written. Of several who swap the same `before`, one is told so.
        """
        ...

    async def end_grants(self, at: datetime, why: str, **fields: str) -> int:
        """Revoke the live grants whose fields (`id` or those of `FINDABLE`) have these values, and return how many.

        Where there were some, the epoch is raised.
        """
        ...

    async def once(self, name: str, until: datetime) -> bool:
        """Return whether this name is heard for the first time; it is remembered until then at least."""
        ...

    async def count(self, name: str, now: datetime, until: datetime) -> int:
        """Count one more under a name and return how many there are; it begins again when `until` of the first has passed."""
        ...

    async def counted(self, name: str, now: datetime) -> tuple[int, datetime | None]:
        """Return how many were counted under a name, and when the last was."""
        ...

    async def forget(self, name: str) -> None:
        """Begin to count anew under a name."""
        ...

    def epoch(self) -> Awaitable[int]:
        """Return a number that grows with everything that can make a checked token invalid."""
        ...

    async def record(self, event: SecurityEvent) -> None:
        """Write an event into the audit trail."""
        ...


@dataclass(frozen=True, slots=True)
class Chart:
    """One row of a picker.

    Attributes:
        id: Logical id of the patient or encounter.
        title: What a person recognizes it by.
        detail: What tells it from others, such as the birth date.
    """

    id: str
    title: str
    detail: str = ""


MOST_CHARTS = 20
"""A picker shows no more rows; who needs another one searches for something longer."""


class PatientDirectory(Protocol):
    """What the pages ask the record, as the person who sits before them: it shows nothing that this person may not see."""

    async def patients(self, user: User, acting_as: str, words: str) -> Sequence[Chart]:
        """Return patients that the person may open: all of a patient or proxy, those that match the words for others."""
        ...

    async def patient(self, user: User, acting_as: str, patient: str) -> Chart | None:
        """Return how a patient is recognized whose record the person may open, or `None`."""
        ...

    async def facility(self, acting_as: str) -> str:
        """Return the id of the organization that a role is held at, empty for none."""
        ...

    async def organizations(self) -> Sequence[Mapping[str, Any]]:
        """Return the organization at the root and those that are part of it, as they are stored; the root first."""
        ...

    async def roles(self, user: User) -> Sequence[Chart]:
        """Return the links that staff can work as, each by its reference and by what people call it."""
        ...

    async def may_open(self, user: User, acting_as: str, patient: str) -> bool:
        """Return whether the person may open the record of this patient."""
        ...

    async def encounters(self, user: User, acting_as: str, patient: str) -> Sequence[Chart]:
        """Return the encounters of a patient that the person may open, the newest first."""
        ...

    async def has_encounter(self, user: User, acting_as: str, patient: str, encounter: str) -> bool:
        """Return whether this is an encounter of the patient that the person may open, however old."""
        ...
