"""What was allowed, and everything that is issued from it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from smart_auth.records.launch import LaunchContext

Access = Literal["once", "online", "offline"]

NOBODY = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person has allowed a client, or what a backend was given. Everything issued from it dies with it.

    Attributes:
        id: Its id.
        client_id: To whom.
        user_id: By whom; `NOBODY` for a backend.
        scope: What was granted, as the client is told.
        access: once (no refresh), online (as long as the session) or offline.
        created: When.
        expires: When it ends at the latest, or `None`.
        context: Launch context; it stays the same over refreshes.
        session_id: Session in which it was given.
        fhir_user: Reference to the person in the record; empty where it was not granted.
        signed_in: When the person signed in.
        nonce: Of the authorization request.
        used: When a token was last issued from it.
        ended: When it was revoked, or `None`.
        why: Why it was revoked.
        acting_as: Reference to whom the person acted as; it stays, whatever role is chosen later.
    """

    id: str
    client_id: str
    user_id: str
    scope: str
    access: Access
    created: datetime
    expires: datetime | None = None
    context: LaunchContext = field(default_factory=LaunchContext)
    session_id: str = ""
    fhir_user: str = ""
    signed_in: datetime | None = None
    nonce: str = ""
    used: datetime | None = None
    ended: datetime | None = None
    why: str = ""
    acting_as: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code (RFC 6749 4.1.2).

    Attributes:
        id: Digest of the code.
        grant_id: What it is exchanged for.
        client_id: By whom.
        redirect_uri: Of the authorization request.
        challenge: PKCE S256 challenge.
        expires: A minute after it was made.
        used: When it was redeemed, or `None`.
    """

    id: str
    grant_id: str
    client_id: str
    redirect_uri: str
    challenge: str
    expires: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token.

    Attributes:
        id: Digest of the token.
        grant_id: The grant that it belongs to.
        client_id: Who holds it.
        user_id: For whom; `NOBODY` for a backend.
        scope: What it reaches: the grant's scope or less.
        issued: When.
        expires: When it ends.
        ended: When it was revoked, or `None`.
    """

    id: str
    grant_id: str
    client_id: str
    user_id: str
    scope: str
    issued: datetime
    expires: datetime
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token; each is used once, and the tokens of a grant are one family (RFC 9700 4.14.2).

    Attributes:
        id: Digest of the token.
        grant_id: The grant that it belongs to.
        client_id: Who holds it.
        scope: What it can be exchanged for.
        issued: When.
        expires: When it ends, if it is not used.
        used: When it was exchanged, or `None`.
        successor: Digest of the one that took its place.
    """

    id: str
    grant_id: str
    client_id: str
    scope: str
    issued: datetime
    expires: datetime
    used: datetime | None = None
    successor: str = ""
