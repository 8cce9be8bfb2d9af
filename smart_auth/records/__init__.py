"""What the authorization server remembers: one frozen record for each thing, and no behaviour beyond its own words.

Secrets are never in here, only their digests (`opaque`). Times are aware datetimes. A record is changed by making another
one with `dataclasses.replace` and handing it to the store.
"""

from smart_auth.records.client import AuthMethod, Client, ClientKind
from smart_auth.records.grant import NOBODY, Access, AccessToken, Code, Grant, RefreshToken
from smart_auth.records.key import Key, KeyState
from smart_auth.records.launch import AuthorizationRequest, Launch, LaunchContext
from smart_auth.records.person import Invitation, Link, PersonKind, Session, User

__all__ = [
    "NOBODY",
    "Access",
    "AccessToken",
    "AuthMethod",
    "AuthorizationRequest",
    "Client",
    "ClientKind",
    "Code",
    "Grant",
    "Invitation",
    "Key",
    "KeyState",
    "Launch",
    "LaunchContext",
    "Link",
    "PersonKind",
    "RefreshToken",
    "Session",
    "User",
]
