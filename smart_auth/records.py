"""What the authorization server remembers: one frozen record for each thing, and no behaviour beyond its own words.

Secrets are never in here, only their digests (`opaque`). Times are aware datetimes. A record is changed by making another
one with `dataclasses.replace` and handing it to the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

ClientKind = Literal["public", "confidential", "asymmetric", "backend"]
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
Access = Literal["once", "online", "offline"]
PersonKind = Literal["patient", "staff", "administrator"]
KeyState = Literal["next", "signing", "retired"]

Json = Any
NOBODY = ""


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
        facility: Organization whose client it is; empty for none.
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

    @property
    def usable(self) -> bool:
        """Whether it may ask for anything now."""
        return not (self.disabled or self.pending)


@dataclass(frozen=True, slots=True)
class Link:
    """Who a user is in the record.

    Attributes:
        reference: `Patient/…`, `RelatedPerson/…`, `Practitioner/…`, `PractitionerRole/…` or `Person/…`.
        patient: For a RelatedPerson: id of the patient that this person acts for.
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
        acting_as: The link that the person has chosen to act as; empty for the only one.
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
class LaunchContext:
    """What an app is told about where it was opened (SMART App Launch 2.2, 2.1.4).

    Attributes:
        patient: Id of the patient in context.
        encounter: Id of the encounter in context.
        fhir_context: Further resources, each an object with at least one of reference, canonical and identifier.
        intent: What the person wants to do.
        need_patient_banner: Whether the app must show who the patient is; `None` outside of an EHR.
        smart_style_url: Where the EHR's look is described.
        tenant: Which customer of the EHR.
        app_context: What a CDS Hooks card handed over.
    """

    patient: str = ""
    encounter: str = ""
    fhir_context: tuple[Mapping[str, Json], ...] = ()
    intent: str = ""
    need_patient_banner: bool | None = None
    smart_style_url: str = ""
    tenant: str = ""
    app_context: str = ""

    def parameters(self) -> dict[str, Json]:
        """Return the launch parameters of a token response; those that are not there are left out."""
        named: dict[str, Json] = {
            "patient": self.patient,
            "encounter": self.encounter,
            "fhirContext": [dict(one) for one in self.fhir_context],
            "intent": self.intent,
            "smart_style_url": self.smart_style_url,
            "tenant": self.tenant,
            "appContext": self.app_context,
        }
        given = {name: value for name, value in named.items() if value}
        if self.need_patient_banner is not None:
            given["need_patient_banner"] = self.need_patient_banner
        return given


@dataclass(frozen=True, slots=True)
class Launch:
    """An EHR launch that waits for its app (SMART App Launch 2.2, 2.0.9).

    Attributes:
        id: Digest of the `launch` parameter.
        client_id: The app that it was made for.
        user_id: The person who opened the app; only that person can use it.
        context: What the app will be told.
        expires: When it can no longer be used.
        used: When an authorization used it, or `None`.
    """

    id: str
    client_id: str
    user_id: str
    context: LaunchContext
    expires: datetime
    used: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request at the authorization endpoint that was found valid and waits for the person (RFC 6749 4.1.1).

    The pages carry only its handle, so nothing of it can be changed between being checked and being granted.

    Attributes:
        id: Digest of the handle.
        client_id: Who asks.
        redirect_uri: Where the answer goes.
        scope: What is asked for, as far as it is understood.
        state: Goes back byte for byte.
        challenge: PKCE S256 challenge.
        created: When it arrived; a session that is older does not satisfy `prompt=login`.
        expires: When it is forgotten.
        nonce: Goes into the id token.
        prompt: Words of `prompt`.
        max_age: Greatest age of the sign-in in seconds, or `None`.
        login_hint: Fills the sign-in form.
        launch_id: Digest of the launch parameter; empty for a standalone launch.
        session_id: Session of the person who answers it; set when the person is known, then nobody else can.
        context: What was chosen so far.
        answered: When the person decided, or `None`.
    """

    id: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    challenge: str
    created: datetime
    expires: datetime
    nonce: str = ""
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str = ""
    launch_id: str = ""
    session_id: str = ""
    context: LaunchContext = LaunchContext()
    answered: datetime | None = None


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
    """

    id: str
    client_id: str
    user_id: str
    scope: str
    access: Access
    created: datetime
    expires: datetime | None = None
    context: LaunchContext = LaunchContext()
    session_id: str = ""
    fhir_user: str = ""
    signed_in: datetime | None = None
    nonce: str = ""
    used: datetime | None = None
    ended: datetime | None = None
    why: str = ""


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


@dataclass(frozen=True, slots=True)
class Invitation:
    """A link that lets a person choose a password: the first one, or another (smart.md 4.8).

    Attributes:
        id: Digest of the link's secret.
        user_id: Whose.
        expires: When it can no longer be used.
        used: When it was used, or `None`.
    """

    id: str
    user_id: str
    expires: datetime
    used: datetime | None = None
