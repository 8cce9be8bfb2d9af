"""Apps and services."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

ClientKind = Literal["public", "confidential", "asymmetric", "backend"]
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]

Json = Any


@dataclass(frozen=True, slots=True)
class Client:
    """An app or service that may ask for tokens (RFC 7591 2).

    Attributes:
        id: The client_id; never the id of a user.
        name: What people read on the consent page.
        kind: public (no secret), confidential (a secret), asymmetric (own keys) or backend (own keys, nobody signs in).
        auth_method: The one way in which it proves who it is.
        secret: Digest of its secret; empty without one.
        redirect_uris: Where answers may be sent, compared as written.
        launch_uris: Where an EHR launch may begin.
        scope: The most that it may ask for; empty for everything that its kind allows. A backend has what stands here.
        grant_types: Grant types that it may use.
        jwks: Its public keys, or `None`.
        jwks_uri: Where its public keys are, or empty.
        origins: Origins of its pages, for CORS.
        uri: Its web page.
        logo_uri: Its picture.
        policy_uri: Its privacy policy.
        tos_uri: Its terms of service.
        contacts: Addresses of those who keep it.
        verified: Whether an administrator has checked who is behind it.
        pending: Whether it waits for an administrator's approval.
        disabled: Whether it may do nothing.
        registered: When.
        management: Digest of its registration access token (RFC 7592); empty for clients that administrators keep.
        facility: Organization whose client it is, and that keeps what it creates; empty for none.
        facilities: Organizations whose records, and those of what is below them, it is registered for; empty for all.
        types: Resource types that it is registered for; empty for all that its scope names.
        purpose: What it works for: a code of v3 PurposeOfUse such as `TREAT`; empty where nothing was said.
        advisory: Whether it is a reasoning service: it reads, and creates advice, which changes nothing.
    """

    id: str
    name: str
    kind: ClientKind
    auth_method: AuthMethod
    registered: datetime
    secret: str = field(default="", repr=False)
    redirect_uris: tuple[str, ...] = ()
    launch_uris: tuple[str, ...] = ()
    scope: str = ""
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    jwks: Json = None
    jwks_uri: str = ""
    origins: tuple[str, ...] = ()
    uri: str = ""
    logo_uri: str = ""
    policy_uri: str = ""
    tos_uri: str = ""
    contacts: tuple[str, ...] = ()
    verified: bool = False
    pending: bool = False
    disabled: bool = False
    management: str = ""
    facility: str = ""
    facilities: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    purpose: str = ""
    advisory: bool = False

    @property
    def usable(self) -> bool:
        """Whether it may ask for anything now."""
        return not (self.disabled or self.pending)
