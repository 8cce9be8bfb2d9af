"""People, and the browsers in which they have signed in."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

PersonKind = Literal["patient", "staff", "administrator"]


@dataclass(frozen=True, slots=True)
class Link:
    """Who a user is in the record.

    Attributes:
        reference: `Patient/…`, `RelatedPerson/…`, `Practitioner/…`, `PractitionerRole/…` or `Person/…`.
        patient: Id of the patient that this person is or acts for; empty for staff.
    """

    reference: str
    patient: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in.

    Attributes:
        id: Stable and never given to anybody else; the `sub` of tokens.
        login: What the person types, folded; unique.
        name: What is shown.
        kind: patient, staff or administrator.
        password: argon2id hash; empty until the person has chosen one.
        totp: Shared secret of the second factor; empty without one.
        totp_last: Counter of the last digits that were accepted.
        links: Who this is in the record; the first one is the person's own.
        disabled: Whether the person may not sign in.
        credentials_changed: Sessions and offline grants that are older are over.
        email: Where letters go; empty for nowhere.
    """

    id: str
    login: str
    name: str
    kind: PersonKind
    credentials_changed: datetime
    password: str = field(default="", repr=False)
    totp: str = field(default="", repr=False)
    totp_last: int = 0
    links: tuple[Link, ...] = ()
    disabled: bool = False
    email: str = ""

    @property
    def roles(self) -> tuple[Link, ...]:
        """The links among which staff choose one to work as: the roles that are held, without any whoever the person is."""
        if self.kind == "patient":
            return ()
        return tuple(link for link in self.links if link.reference.startswith("PractitionerRole/")) or self.links

    def role(self, chosen: str) -> str:
        """Return the link that the person works as: the chosen one while it is held, else the only one, else nothing."""
        held = [link.reference for link in self.roles]
        return chosen if chosen in held else held[0] if len(held) == 1 else ""

    def person(self, role: str) -> str:
        """Return who the person is in a role: the Practitioner who holds it, where there is a link to that one."""
        held = [link.reference for link in self.links]
        before = held[: held.index(role)] if role.startswith("PractitionerRole/") and role in held else []
        return next((one for one in reversed(before) if one.startswith("Practitioner/")), role)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which somebody has signed in (smart.md 4.8).

    Attributes:
        id: Digest of the cookie's secret.
        user_id: Who.
        csrf: What forms of this session carry.
        created: When the person signed in.
        seen: When the session was last used.
        factors: How: `pwd`, `otp` (RFC 8176).
        acting_as: The role that was chosen among several (`User.role`).
        ended: When it ended, or `None`.
    """

    id: str
    user_id: str
    csrf: str = field(repr=False)
    created: datetime
    seen: datetime
    factors: tuple[str, ...] = ("pwd",)
    acting_as: str = ""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that lets a person choose a password: the first one, or another (smart.md 4.8).

    Attributes:
        id: Digest of the link's secret.
        user_id: Whose.
        created: When; a password that was chosen later makes it void.
        expires: When it can no longer be used.
        used: When it was used, or `None`.
    """

    id: str
    user_id: str
    created: datetime
    expires: datetime
    used: datetime | None = None
