"""What `init` is told: by a file, or by somebody at the keyboard. Everything is checked before anything is stored."""

import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fhir_server.cli.posts import ADMINISTRATOR, POSTS
from fhir_server.facilities.establishment import KINDS, Establishment
from fhir_server.model import ids
from smart_auth.messages import is_address
from smart_auth.people import folded

MOST_PEOPLE = 500
_TOLD = {"missing": "is missing", "string_too_short": "is empty"}


class Unusable(Exception):
    """Answers that cannot be used: one sentence for each finding, which names its place.

    Args:
        findings: The sentences.
    """

    def __init__(self, findings: list[str]) -> None:
        super().__init__(" ".join(findings))
        self.findings = findings


def _line(text: str) -> str:
    words = " ".join(text.split())
    if not words.isprintable():
        raise ValueError("has characters that cannot be printed")
    return words


def _zone(text: str) -> str:
    if text not in available_timezones():
        raise ValueError(f"'{text}' is no IANA time zone such as Europe/Berlin or UTC")
    return ZoneInfo(text).key


def _id(text: str) -> str:
    if text and not ids.valid(text):
        raise ValueError(f"'{text}' is no logical id: {ids.RULE}")
    return text


def _kind(text: str) -> str:
    if text not in KINDS:
        raise ValueError(f"'{text}' is none of {', '.join(KINDS)}")
    return text


def _role(text: str) -> str:
    if text not in POSTS:
        raise ValueError(f"'{text}' is none of {', '.join(POSTS)}")
    return text


def _login(text: str) -> str:
    if not re.fullmatch(r"\S{1,200}", text) or not text.isprintable():
        raise ValueError("has 1 to 200 characters and no spaces")
    return folded(text)


def _email(text: str) -> str:
    if text and not is_address(text):
        raise ValueError(f"'{text}' is not an e-mail address such as ann@example.org")
    return text


Line = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Needed = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line), Field(min_length=1)]


class Section(BaseModel):
    """A group of answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class AddressAnswers(Section):
    """Where the facility is."""

    line: tuple[Needed, ...] = Field(default=(), description="Street and number, or other lines.")
    postal_code: Line = Field(default="", description="Postal code.")
    city: Line = Field(default="", description="Town.")
    district: Line = Field(default="", description="District.")
    state: Line = Field(default="", description="State or province.")
    country: Line = Field(default="", description="Country, best as ISO 3166 code.")

    def address(self) -> dict[str, Any]:
        """Return the FHIR Address, empty where nothing was said."""
        names = {"line": "line", "city": "city", "district": "district", "state": "state"}
        names |= {"postal_code": "postalCode", "country": "country"}
        said = {names[name]: value for name, value in self.model_dump(mode="json").items() if value}
        return {"use": "work", **said} if said else {}


class FacilityAnswers(Section):
    """The facility that is founded."""

    name: Needed = Field(description="Its name.")
    kind: Annotated[str, AfterValidator(_kind)] = Field(default="clinic", description="What it is.")
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(default="UTC", description="IANA time zone it is in.")
    phone: Line = Field(default="", description="Telephone number.")
    address: AddressAnswers = Field(default=AddressAnswers(), description="Where it is.")
    id: Annotated[str, AfterValidator(_id)] = Field(default="", description="Id of its Organization; else of the name.")

    @property
    def organization(self) -> str:
        """Logical id of its Organization."""
        return self.id or slug(self.name) or "facility"

    def establishment(self) -> Establishment:
        """Return the facility to found."""
        where = self.address.address()
        return Establishment(self.organization, self.name, self.kind, where, self.phone, self.time_zone)


class PersonAnswers(Section):
    """Somebody who works at the facility."""

    login: Annotated[str, AfterValidator(_login)] = Field(description="What the person types to sign in.")
    given: Needed = Field(description="Given name.")
    family: Needed = Field(description="Family name.")
    prefix: Line = Field(default="", description="Such as Dr.")
    roles: tuple[Annotated[str, AfterValidator(_role)], ...] = Field(description="What the person does.")
    email: Annotated[str, AfterValidator(_email)] = Field(default="", description="Where letters go; else the login.")

    @property
    def kind(self) -> Literal["administrator", "staff"]:
        """What kind of account this is."""
        return "administrator" if ADMINISTRATOR in self.roles else "staff"

    @property
    def letters(self) -> str:
        """Where letters go, empty for nowhere."""
        return self.email or (self.login if is_address(self.login) else "")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if not self.roles or len(set(self.roles)) < len(self.roles):
            raise ValueError(f"has no role, or one twice; roles are {', '.join(POSTS)}")
        if ADMINISTRATOR in self.roles and len(self.roles) > 1:
            raise ValueError(
                "is administrator and something else; administrators do not see clinical data, so give the person a second "
                "login for that work"
            )
        return self


Preset = Literal["baseline", "hipaa", "gdpr", "abdm"]
_COMMON = {"auth.session_idle_minutes": 15, "auth.staff_second_factor": True, "audit.fail": "closed"}
PRESETS: dict[Preset, dict[str, Any]] = {
    "baseline": {**_COMMON, "audit.identity": "role"},
    "hipaa": {**_COMMON, "audit.identity": "name"},
    "gdpr": {**_COMMON, "audit.identity": "role"},
    "abdm": {**_COMMON, "audit.identity": "name"},
}
"""The settings that each preset sets."""


class Answers(Section):
    """Everything that `init` asks."""

    facility: FacilityAnswers
    users: tuple[PersonAnswers, ...] = Field(default=(), max_length=MOST_PEOPLE, description="Who works there.")
    preset: Preset = Field(default="baseline", description="Which rules the settings start from.")

    @model_validator(mode="after")
    def _somebody_administers(self) -> Self:
        logins = [user.login for user in self.users]
        if twice := sorted({login for login in logins if logins.count(login) > 1}):
            raise ValueError(f"users: the login '{twice[0]}' is there twice; people share no login")
        if not any(user.kind == "administrator" for user in self.users):
            raise ValueError(
                f"users: nobody is administrator; give one of them, or another login, the role {ADMINISTRATOR}"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """Return the settings that follow from the answers, by name such as `record.facility`."""
        return {
            "record.facility": self.facility.organization,
            "auth.name": self.facility.name[:80],
            "search.time_zone": self.facility.time_zone,
            **PRESETS[self.preset],
        }


def read(file: Path) -> Answers:
    """Return the answers of a TOML or JSON file.

    Raises:
        Unusable: It cannot be read, is neither, or says something that cannot be.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable([f"{file} cannot be read: {error}."]) from None
    try:
        content = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        kind = "JSON" if file.suffix == ".json" else "TOML"
        raise Unusable([f"{file} is not {kind}: {error}."]) from None
    try:
        return Answers.model_validate(content)
    except ValidationError as error:
        raise Unusable([f"{text}." for _, text in findings(error, Answers)]) from None


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the place of each finding, such as `users.0.login`, and what is wrong there."""
    for found in error.errors(include_url=False):
        path = found["loc"]
        place = ".".join(map(str, path))
        text = _TOLD.get(found["type"], found["msg"].removeprefix("Value error, "))
        if found["type"] == "extra_forbidden":
            text = f"is not known here; known are {', '.join(_names(model, path[:-1]))}"
        yield place, f"{place}: {text}" if place else text


def slug(text: str) -> str:
    """Return a text as part of a logical id: ASCII letters and digits in lower case, joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-")


def _names(model: Any, path: tuple[int | str, ...]) -> list[str]:
    """Return what may be said at a place."""
    for step in path:
        if isinstance(step, str):
            model = model.model_fields[step].annotation
            model = next((one for one in getattr(model, "__args__", ()) if isinstance(one, type)), model)
    return list(model.model_fields)
