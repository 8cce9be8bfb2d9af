"""Signing keys of this server."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

KeyState = Literal["next", "signing", "retired"]

Json = Any


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key of this server (RFC 7517).

    Attributes:
        id: The `kid`.
        algorithm: What it signs with, `RS256`.
        private: The private JWK.
        state: next (published, not used yet), signing, or retired (published until `until`).
        created: When it was made.
        until: When it is no longer published; `None` until it is retired.
    """

    id: str
    algorithm: str
    private: Mapping[str, Json] = field(repr=False)
    state: KeyState
    created: datetime
    until: datetime | None = None
