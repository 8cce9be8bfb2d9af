"""Requests and answers of the endpoints, without any web framework."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from smart_auth.errors import OAuthError

NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""On every answer that holds or refuses a token (RFC 6749 5.1)."""

MOST_PARAMETERS = 200
MOST_CHARACTERS = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """A request at an endpoint.

    Attributes:
        parameters: Name-value pairs of the form, or of the URL where the endpoint reads it; decoded, in order.
        headers: Headers by lower-case name.
        method: HTTP method.
        address: Network address of whoever asks, as far as it can be believed.
        id: The X-Request-Id.
    """

    parameters: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    address: str = ""
    id: str = ""

    def one(self, name: str) -> str:
        """Return the value of a parameter, empty where it is not there."""
        return next((value for key, value in self.parameters if key == name), "")

    def has(self, name: str) -> bool:
        """Return whether a parameter is there, even if it is empty."""
        return any(key == name for key, _ in self.parameters)

    def check(self) -> None:
        """Return when no parameter is repeated and their size is within reason (RFC 6749 3.1, 3.2).

        Raises:
            OAuthError: `invalid_request`.
        """
        if name := self.repeated():
            raise OAuthError("invalid_request", f"The parameter '{name[:60]}' is there more than once. Send it once.")
        size = sum(len(name) + len(value) for name, value in self.parameters)
        if len(self.parameters) > MOST_PARAMETERS or size > MOST_CHARACTERS:
            raise OAuthError("invalid_request", f"The parameters are longer than {MOST_CHARACTERS} characters.")

    def repeated(self) -> str:
        """Return the name of a parameter that is there more than once, or empty."""
        names = [name for name, _ in self.parameters]
        return next((name for name in names if names.count(name) > 1), "") if len(set(names)) < len(names) else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of an endpoint.

    Attributes:
        body: A JSON value; `None` for no body.
        status: HTTP status.
        headers: Headers.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: dict(NO_STORE))


def refusal(error: OAuthError) -> Answer:
    """Return the answer for a refusal (RFC 6749 5.2)."""
    return Answer(error.body, error.status, {**NO_STORE, **error.headers})


def fields(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name; of a repeated one the first."""
    named: dict[str, str] = {}
    for name, value in pairs:
        named.setdefault(name, value)
    return named
