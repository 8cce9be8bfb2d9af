"""The one parser of scope strings: SMART v1 and v2, with search criteria, launch scopes and those of OpenID Connect.

v2: `(patient|user|system)/(Type|*).[c][r][u][d][s][?param=value[&param=value]*]`, letters in this order, at least one.
v1: `.read` is `rs`, `.write` is `cud`, `.*` is `cruds`, without criteria. Whatever is not understood is not granted and never
widened; it is returned with the reason, so that the developer of the app can be told.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote, unquote_to_bytes

Context = Literal["patient", "user", "system"]
Criteria = tuple[tuple[str, str], ...]
Checker = Callable[[str, str, str], str]
"""Resource type, search parameter and value to the reason why they cannot be part of a scope, empty where they can."""

LETTERS = "cruds"
ANY_TYPE = "*"
MOST_SCOPES = 500
MOST_CHARACTERS = 16_384

WORDS = frozenset({"openid", "fhirUser", "profile", "online_access", "offline_access", "launch"})
"""Scopes that are one word."""

URI_PREFIX = "http://smarthealthit.org/fhir/scopes/"

_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_RESOURCE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.([a-z*]{1,5})(?:\?(.+))?", re.ASCII)
_LAUNCH = re.compile(r"launch/([a-z]{1,64})(?:\?role=(.+))?", re.ASCII)
_PARAMETER = re.compile(r"_?[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_KEPT = "!#$'()*,/:;@[]^`{|}~?<>"


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """Access to resources.

    Attributes:
        context: patient (of the launch), user (whatever the person may reach) or system.
        resource_type: A type, or `*` for all, those of the future too.
        letters: Some of `cruds`, in that order: create, read, update, delete, search.
        criteria: Search parameters that a resource must match, all of them; sorted, decoded.
    """

    context: Context
    resource_type: str
    letters: str
    criteria: Criteria = ()

    @property
    def text(self) -> str:
        """The v2 form."""
        query = "&".join(f"{name}={quote(value, safe=_KEPT)}" for name, value in self.criteria)
        return f"{self.context}/{self.resource_type}.{self.letters}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class LaunchScope:
    """A wish for context: `launch/patient` (SMART App Launch 2.2, 3.0.3).

    Attributes:
        kind: Resource type in lower case.
        role: Wanted role of the resource, or empty.
    """

    kind: str
    role: str = ""

    @property
    def text(self) -> str:
        """The scope."""
        return f"launch/{self.kind}" + (f"?role={self.role}" if self.role else "")


@dataclass(frozen=True, slots=True)
class Asked:
    """A scope beside the text in which it was asked for, which is the text in which it is granted."""

    text: str
    meaning: ResourceScope | LaunchScope | str


@dataclass(frozen=True, slots=True)
class Scopes:
    """What a scope string says, in its order, each meaning once.

    Attributes:
        asked: The scopes that were understood.
        refused: The others, each with the reason.
    """

    asked: tuple[Asked, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """The scope string of what was understood."""
        return " ".join(one.text for one in self.asked)

    @property
    def resources(self) -> tuple[ResourceScope, ...]:
        """The scopes that give access to resources."""
        return tuple(one.meaning for one in self.asked if isinstance(one.meaning, ResourceScope))

    @property
    def launches(self) -> tuple[LaunchScope, ...]:
        """The wishes for context."""
        return tuple(one.meaning for one in self.asked if isinstance(one.meaning, LaunchScope))

    @property
    def words(self) -> frozenset[str]:
        """The scopes that are one word."""
        return frozenset(one.meaning for one in self.asked if isinstance(one.meaning, str))

    def wants(self, kind: str) -> bool:
        """Return whether a context of this kind is asked for, `patient` or `encounter`."""
        return any(one.kind == kind for one in self.launches)

    def contexts(self) -> frozenset[Context]:
        """Return which of patient, user and system there is access in."""
        return frozenset(one.context for one in self.resources)

    def only(self, keep: Callable[[Asked], bool]) -> "Scopes":
        """Return those for which a function says yes."""
        return Scopes(tuple(one for one in self.asked if keep(one)), self.refused)


def parse(text: str, *, types: Collection[str] = (), check: Checker | None = None) -> Scopes:
    """Return what a scope string says.

    Args:
        text: Scopes, separated by spaces.
        types: Resource types that there are; empty to believe every name.
        check: Says which search criteria can be enforced; without it none are refused for their meaning.
    """
    asked: list[Asked] = []
    refused: list[tuple[str, str]] = []
    seen: set[ResourceScope | LaunchScope | str] = set()
    parts = text[:MOST_CHARACTERS].split(" ")
    if len(text) > MOST_CHARACTERS:
        refused.append((f"{parts.pop()[:60]}…", f"the scopes are longer than {MOST_CHARACTERS} characters"))
    for part in parts[:MOST_SCOPES]:
        if not part:
            continue
        meaning = _read(part, types, check)
        if isinstance(meaning, _Refusal):
            refused.append((part, meaning.why))
        elif meaning not in seen:
            seen.add(meaning)
            asked.append(Asked(part, meaning))
    refused += [(part, f"more than {MOST_SCOPES} scopes") for part in parts[MOST_SCOPES:] if part]
    return Scopes(tuple(asked), tuple(refused))


def of(meanings: Iterable[ResourceScope | LaunchScope | str]) -> Scopes:
    """Return scopes of these meanings, each written in its v2 form."""
    unique = dict.fromkeys(meanings)
    return Scopes(tuple(Asked(one if isinstance(one, str) else one.text, one) for one in unique))


@dataclass(frozen=True, slots=True)
class _Refusal:
    why: str


def _read(part: str, types: Collection[str], check: Checker | None) -> ResourceScope | LaunchScope | str | _Refusal:
    bare = part.removeprefix(URI_PREFIX)
    if bare in WORDS:
        return bare
    if launch := _LAUNCH.fullmatch(bare):
        return LaunchScope(launch[1], launch[2] or "")
    found = _RESOURCE.fullmatch(bare)
    return _resource(found, types, check) if found else _Refusal("not a scope that this server knows")


def _resource(found: re.Match[str], types: Collection[str], check: Checker | None) -> ResourceScope | _Refusal:
    context, resource_type, rights, query = found.groups()
    if types and resource_type != ANY_TYPE and resource_type not in types:
        return _Refusal(f"{resource_type} is not a resource type that is served")
    letters = _V1.get(rights, rights)
    if not _ordered(letters):
        return _Refusal("the letters after the dot must be some of c, r, u, d, s, in this order")
    if query is None:
        return ResourceScope(cast(Context, context), resource_type, letters)
    if rights in _V1:
        return _Refusal("search criteria need the v2 form, such as .rs")
    criteria = _criteria(query)
    if isinstance(criteria, _Refusal):
        return criteria
    reasons = (check(resource_type, name, value) for name, value in criteria) if check else ()
    why = next((reason for reason in reasons if reason), "")
    return _Refusal(why) if why else ResourceScope(cast(Context, context), resource_type, letters, criteria)


def _ordered(letters: str) -> bool:
    """Return whether these are letters of access, each at most once and in their order."""
    return bool(letters) and "".join(letter for letter in LETTERS if letter in letters) == letters


def _criteria(query: str) -> Criteria | _Refusal:
    pairs: set[tuple[str, str]] = set()
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            return _Refusal("search criteria are written name=value, joined by &")
        if not _PARAMETER.fullmatch(name):
            return _Refusal(f"the search parameter '{name[:60]}' has a modifier, a chain, or no valid name")
        if _BROKEN.search(value):
            return _Refusal("a percent sign in search criteria is not followed by two hexadecimal digits")
        try:
            pairs.add((name, unquote_to_bytes(value).decode("utf-8")))
        except UnicodeDecodeError:
            return _Refusal("the search criteria are not UTF-8")
    return tuple(sorted(pairs))
