"""Every setting, as one tree of frozen models.

Order: environment (`FHIR_SERVER__PORT`) over secret files (`/run/secrets/fhir_server__port`) over `fhir.toml` over the
default. Unknown keys are refused at every level.
"""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from fhir_server.settings.bulk import Bulk
from fhir_server.settings.channels import Channels
from fhir_server.settings.outbound import Outbound
from fhir_server.settings.section import Section as Section
from fhir_server.settings.subscriptions import Subscriptions


class Server(Section):
    """Where the server listens and what it takes in."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    workers: int = Field(
        default=1, ge=1, le=64, description="Server processes. One is best when the database shares the machine."
    )
    base_url: str = Field(
        default="", description="Public service base such as https://example.org/fhir; empty: from the request."
    )
    max_body: int = Field(
        default=64 * 2**20, ge=1024, description="Greatest size of a request body in bytes (after decompression)."
    )
    max_entries: int = Field(
        default=10_000, ge=1, description="Greatest number of entries in a batch or transaction bundle."
    )
    proxies: tuple[IPvAnyNetwork, ...] = Field(
        default=(),
        description="Addresses or networks of reverse proxies, whose X-Forwarded-For and X-Forwarded-Proto are believed; of nobody else.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=("*",), description="Origins that browsers may call from; in open mode `*` means those of this machine."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line written."
    )
    log_requests: Literal["off", "errors", "all"] = Field(
        default="errors", description="Which requests get a log line: none, those answered with 4xx or 5xx, or all."
    )


class Mongo(Section):
    """Which MongoDB holds the record."""

    url: SecretStr | None = Field(
        default=None, description="Connection string of a replica set or sharded cluster; unset: the embedded mongod."
    )
    database: str = Field(default="fhir", pattern=r"^[A-Za-z0-9_-]{1,38}$", description="Database of the record.")
    binary: Path | None = Field(
        default=None, description="mongod to embed; unset: found on PATH, else the one of the `embedded` extra."
    )
    cache_gb: float = Field(default=0.5, ge=0.25, description="Cache of the embedded mongod in GB.")
    pool: int = Field(default=64, ge=4, description="Greatest number of connections of one process.")


class TrustedIssuer(Section):
    """Another authorization server whose signed access tokens are accepted beside those of this one (RFC 9068)."""

    issuer: str = Field(min_length=1, description="The `iss` of its tokens, as it is written there.")
    jwks_uri: str = Field(pattern=r"^https?://", description="Where its public keys are.")
    algorithms: tuple[Literal["RS256", "RS384", "PS384", "ES256", "ES384"], ...] = Field(
        default=("RS256", "RS384", "ES256", "ES384"), min_length=1, description="What it signs with."
    )


class Auth(Section):
    """How callers prove who they are."""

    mode: Literal["smart", "open"] = Field(
        default="smart",
        description="`smart`: callers show access tokens; `open`: everybody may do everything, on loopback addresses only.",
    )
    name: str = Field(default="Aquifer", min_length=1, max_length=80, description="Name on the sign-in pages.")
    registration: Literal["closed", "token", "open"] = Field(
        default="closed",
        description="Who may register an app over the network: nobody, holders of `registration_token`, everybody.",
    )
    registration_token: SecretStr | None = Field(
        default=None, description="What an app's developer shows to register it, where `registration` is `token`."
    )
    portal: str = Field(
        default="",
        pattern=r"^(https://[^\s]+)?$",
        description="Page where patients read how to get at their records; set, the deployment's brands are published.",
    )
    staff_second_factor: bool = Field(
        default=True, description="Whether staff and administrators need a second factor to sign in."
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Closes signing keys and second factors in the database; `openssl rand -hex 32`. Once set, keep it.",
    )
    access_minutes: int = Field(default=60, ge=1, le=60, description="Life of an access token of an app.")
    refresh_days: int = Field(
        default=100, ge=1, le=400, description="Life of a refresh token, anew from each use; ONC asks for 3 months."
    )
    grant_days: int = Field(
        default=730, ge=1, le=3650, description="Greatest age of a grant, after which the person is asked again."
    )
    session_idle_minutes: int = Field(default=30, ge=1, le=1440, description="Life of a sign-in that is not used.")
    session_hours: int = Field(default=12, ge=1, le=168, description="Greatest age of a sign-in.")
    issuers: tuple[TrustedIssuer, ...] = Field(
        default=(), description="Other authorization servers whose access tokens are accepted."
    )

    @model_validator(mode="after")
    def _registration(self) -> Self:
        if self.registration == "token" and not (
            self.registration_token and len(self.registration_token.get_secret_value()) >= 16
        ):
            raise ValueError("registration is 'token', so registration_token must be set, with 16 characters or more")
        return self


class Messages(Section):
    """How letters to people leave: invitations, links to a new password, notices."""

    way: Literal["folder", "smtp"] = Field(
        default="folder", description="`folder`: a file for each letter; `smtp`: to a mail server."
    )
    folder: Path | None = Field(
        default=None,
        description="Where the files go, which hold secret links; unset: `messages` in the data directory.",
    )
    sender: str = Field(
        default="no-reply@localhost",
        pattern=r"^[^\s@<>,\"]+@[^\s@<>,\"]+$",
        description="E-mail address that the letters are from.",
    )
    host: str = Field(default="localhost", description="Mail server.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port: 587 with starttls, 465 with tls.")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="Encryption of the way to the mail server; `none` only on one machine."
    )
    user: str = Field(default="", description="Login at the mail server; empty: none.")
    password: SecretStr | None = Field(default=None, description="Its password.")


class Record(Section):
    """Rules of the stored record."""

    references: Literal["enforce", "off"] = Field(
        default="enforce", description="Whether literal local references must exist, and referenced resources stay."
    )
    facility: str = Field(
        default="", description="Organization id of the custodian of new resources; empty: the root Organization."
    )
    zone: str = Field(default="home", description="Residency zone stamped on new resources.")
    fill_displays: Literal["off", "on"] = Field(
        default="off",
        description="Whether a code that is written without `display` is stored with the one that its code system has, where that is "
        "known here. A display that is given is never changed.",
    )
    consent: Literal["refuse", "keep"] = Field(
        default="refuse",
        description="What becomes of a Consent on privacy that cannot be enforced as it says: `refuse` it, or `keep` it, a denial as one to everybody.",
    )


SENSITIVITIES = frozenset(
    {
        "ADOL", "B", "BH", "CEL", "COGN", "DEMO", "DIA", "DOB", "DRGIS", "DVD", "EMOTDIS", "EMP", "EMPL", "ETH",
        "ETHUD", "GDIS", "GENDER", "HIV", "LIVARG", "LOCIS", "MARST", "MH", "MST", "OPIOIDUD", "PDS", "PHY", "PRS", "PSY",
        "PSYTHPN", "R", "RACE", "REL", "SCA", "SDV", "SEX", "SICKLE", "SPI", "SSP", "STD", "SUD", "TBOO", "V",
        "VIO",
    }
)  # fmt: skip
"""Sensitivities of v3-ActCode (InformationSensitivityPolicy) and the confidentialities R and V."""


class Access(Section):
    """Who may see and do what, beyond scopes."""

    roles: dict[str, str] = Field(
        default={},
        description="What codes of PractitionerRole mean that are neither HL7's nor ours: code, or system|code, to a role of "
        "docs/access.md.",
    )
    labels: tuple[str, ...] = Field(
        default=("PSY", "ETH", "HIV", "SDV", "R", "V"),
        description="Security labels that restrict: sensitivities of v3-ActCode, and R and V of v3-Confidentiality.",
    )
    labelling: Literal["on", "off"] = Field(
        default="on",
        description="Whether the server adds labels to resources with sensitive codes when they are written.",
    )
    sensitive: Path | None = Field(
        default=None,
        description="JSON file of sensitive codes by label and code system; unset: the table that is shipped.",
    )
    preliminary: bool = Field(
        default=False, description="Whether patients see preliminary and partial results and documents."
    )
    provisional: bool = Field(default=False, description="Whether patients see provisional and differential diagnoses.")

    @property
    def gates(self) -> frozenset[str]:
        """Gates of what is not final that are open to patients all the same (docs/live-record.md)."""
        switches = {"preliminary": self.preliminary, "provisional": self.provisional}
        return frozenset(gate for gate, is_open in switches.items() if is_open)

    break_glass_minutes: int = Field(
        default=240, ge=1, le=1440, description="How long a broken glass lets somebody read the record of a patient."
    )
    reveal: Literal["generic", "staff"] = Field(
        default="generic",
        description="What staff are told of a patient whom only breaking the glass would open: `generic`: that there is none (404); "
        "`staff`: that the glass can be broken (403).",
    )

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return _known_labels(labels)


def _known_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [label for label in labels if label not in SENSITIVITIES]:
        raise ValueError(
            f"'{unknown[0]}' is not a label that can restrict; those are {', '.join(sorted(SENSITIVITIES))}"
        )
    return labels


Regime = Literal["ignore", "warn", "enforce"]
Bindings = Literal["off", "required", "extensible", "codes"]


class Profiled(Section):
    """What one facility, with all that is part of it, says about profiles."""

    profiles: Regime | None = None
    types: dict[str, Regime] = Field(default={})
    required: dict[str, tuple[str, ...]] = Field(default={})

    @field_validator("types", "required")
    @classmethod
    def _types(cls, by_type: dict[str, Any]) -> dict[str, Any]:
        return _known_types(by_type)


class Validation(Section):
    """What is checked when a resource is written, beyond the base definitions, which hold in any case (docs/validation.md)."""

    profiles: Regime = Field(
        default="warn",
        description="What is done about profiles that a resource claims in `meta.profile`, or that are required of it, and does not conform "
        "to: `ignore`: they are not looked at; `warn`: it is stored, with warnings; `enforce`: it is refused (422).",
    )
    types: dict[str, Regime] = Field(
        default={}, description='The same for single resource types, such as `{Patient = "enforce"}`.'
    )
    required: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Profiles that every resource of a type is to conform to, whether it claims so or not: type to canonical URLs.",
    )
    facilities: dict[str, Profiled] = Field(
        default={},
        description="The same by custodian: Organization id to `profiles`, `types` and `required`. It holds for all that is part of it too; "
        "the nearest one that says something wins.",
    )
    questionnaires: Regime = Field(
        default="warn",
        description="What becomes of a completed QuestionnaireResponse whose answers its Questionnaire does not allow, and of a "
        "Questionnaire that cannot be answered: stored, stored with a warning, or refused (422). Responses cost a query, but for `ignore`.",
    )

    bindings: Bindings = Field(
        default="required",
        description="What the vocabulary is asked about where profiles are enforced, beyond the value sets that R4 and the packages list: "
        "`off`: nothing; `required`: required bindings; `extensible`: others too, which warn, and `$validate` warns of extensible "
        "bindings of R4's own types as well; `codes`: and every code, whether there is such a code and whether its display is right.",
    )
    unknown_codes: Literal["pass", "refuse"] = Field(
        default="pass",
        description="What becomes of a code, where profiles are enforced and it is required to be of a value set, and nobody here knows "
        "what that holds: stored with a warning, or refused (422).",
    )

    @field_validator("types", "required")
    @classmethod
    def _types(cls, by_type: dict[str, Any]) -> dict[str, Any]:
        return _known_types(by_type)


def _known_types(by_type: dict[str, Any]) -> dict[str, Any]:
    from profiles.definitions.registry import load

    known = load().resource_types if by_type else frozenset[str]()
    if unknown := [name for name in by_type if name not in known]:
        near = get_close_matches(unknown[0], sorted(known), n=1)
        raise ValueError(f"'{unknown[0]}' is no resource type{f', did you mean {near[0]}?' if near else ''}")
    return by_type


class Search(Section):
    """Limits and defaults of search."""

    handling: Literal["strict", "lenient"] = Field(
        default="strict", description="What unknown parameters do without a Prefer header."
    )
    count: int = Field(default=50, ge=1, description="Entries of a page when the client does not say.")
    max_count: int = Field(
        default=1000, ge=1, description="Most entries of a page; a greater _count is lowered to this."
    )
    max_includes: int = Field(
        default=1000, ge=1, description="Most included resources of one page; the pages after it bring the rest."
    )
    max_chain: int = Field(
        default=10_000, ge=1, description="Most resources that one step of a chain, of _has or of a hierarchy leads to."
    )
    time_limit_ms: int = Field(default=10_000, ge=10, description="Time after which the database gives up a query.")
    time_zone: str = Field(default="UTC", description="IANA time zone of date values that have none.")
    explain: Literal["off", "on"] = Field(
        default="off", description="Whether `_explain=true` shows how a search was run: index, keys and times."
    )
    text: Literal["off", "on"] = Field(
        default="off",
        description="Whether words are stored, for _text and _content; a load costs up to a third more. `fhir-server reindex` after a change.",
    )
    cursor_hours: int = Field(default=24, ge=1, description="How long a paging link stays usable.")


class Audit(Section):
    """The audit trail: who did what."""

    mode: Literal["auto", "on", "off"] = Field(
        default="auto", description="Whether it is kept; `auto`: yes in the mode `smart`, not in open mode."
    )
    fail: Literal["closed", "open"] = Field(
        default="closed",
        description="What becomes of a read whose row the trail cannot take: `closed`: it is refused (503); `open`: it is answered, "
        "and the row waits on disk. Writes are always refused.",
    )
    identity: Literal["name", "role"] = Field(
        default="role",
        description="How patients are told which staff looked at their record: by `name`, or by the `role` that they work in.",
    )
    seal_seconds: float = Field(
        default=60, ge=1, le=3600, description="Seconds from one signed seal over the trail to the next."
    )


class Jobs(Section):
    """Background work, such as indexing what is stored."""

    concurrency: int = Field(
        default=2,
        ge=0,
        le=64,
        description="Jobs that one server runs at the same time; 0 leaves them to other servers.",
    )
    limits: dict[str, int] = Field(
        default={},
        description='Most jobs of a kind that run at the same time, in all servers together, such as {"export": 4}; 0: any number.',
    )
    reindex_share: float = Field(
        default=0.25, gt=0, le=1, description="Share of the time that indexing works; it rests for the remainder."
    )
    validation_share: float = Field(
        default=0.25, gt=0, le=1, description="Share of the time that the validation of what is stored works."
    )


class Packages(Section):
    """Where implementation guides are installed from, and what is said of them."""

    registry: str = Field(
        default="https://packages.fhir.org",
        pattern=r"^(https?://[^\s]+)?$",
        description="Registry that packages asked for as NAME@VERSION come from; empty: none, packages are files.",
    )
    folder: Path | None = Field(
        default=None, description="Folder with .tgz files, where packages that others depend on are looked for first."
    )
    max_bytes: int = Field(default=128 * 2**20, ge=1024, description="Greatest size of a package file in bytes.")
    timeout_seconds: float = Field(default=120, ge=1, le=3600, description="Time that one download may take.")
    profiles: Literal["listed", "off"] = Field(
        default="listed", description="Whether the CapabilityStatement lists the profiles of installed guides."
    )


class Terminology(Section):
    """Limits of the terminology service."""

    max_expansion: int = Field(
        default=10_000,
        ge=1,
        description="Most concepts of one answer of $expand; larger value sets are asked for by pages.",
    )


class Settings(BaseSettings):
    """All settings. `Settings.load()` also refuses misspelt top-level variables."""

    model_config = SettingsConfigDict(
        env_prefix="FHIR_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        toml_file="fhir.toml",
    )

    data_dir: Path = Field(default=Path("data"), description="Folder of the embedded database, keys and sockets.")
    server: Server = Server()
    mongo: Mongo = Mongo()
    auth: Auth = Auth()
    messages: Messages = Messages()
    record: Record = Record()
    access: Access = Access()
    search: Search = Search()
    audit: Audit = Audit()
    validation: Validation = Validation()
    jobs: Jobs = Jobs()
    bulk: Bulk = Bulk()
    packages: Packages = Packages()
    terminology: Terminology = Terminology()
    outbound: Outbound = Outbound()
    channels: Channels = Channels()
    subscriptions: Subscriptions = Subscriptions()

    @property
    def audited(self) -> bool:
        """Whether the audit trail is kept."""
        return self.audit.mode == "on" or (self.audit.mode == "auto" and self.auth.mode == "smart")

    @property
    def keeps_trail(self) -> bool:
        """Whether anything goes into the audit trail: interactions, or at least the events of sign-in."""
        return self.audited or self.auth.mode == "smart"

    @property
    def service_base(self) -> str:
        """The service base without slash at the end, where no request says it: the configured one, else where it listens."""
        name = self.server.host.strip("[]")
        host = f"[{name}]" if ":" in name else name
        return self.server.base_url.rstrip("/") or f"http://{host}:{self.server.port}/fhir"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is that of pydantic-settings
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the sources in the order that the module's docstring states."""
        toml = TomlConfigSettingsSource(settings_cls, os.environ.get("FHIR_CONFIG", "fhir.toml"))
        secrets = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get("FHIR_SECRETS", "/run/secrets"),
            secrets_dir_missing="ok",
            secrets_prefix="fhir_",
            secrets_nested_delimiter="__",
        )
        return init_settings, env_settings, secrets, toml

    @classmethod
    def load(cls, **overrides: Any) -> "Settings":
        """Return the effective settings.

        Raises:
            ValueError: An unknown key, a value of the wrong form, or an unknown `FHIR_` variable.
        """
        known = {name.upper() for name in cls.model_fields} | {"CONFIG", "SECRETS", "TEST_DATA"}
        for name in os.environ:
            if name.startswith("FHIR_") and name.removeprefix("FHIR_").split("__")[0] not in known:
                raise ValueError(f"unknown environment variable {name}; known are FHIR_{{{', '.join(sorted(known))}}}")
        return cls(**overrides)
