"""What an OAuth endpoint answers when it refuses: one error with the codes of the RFCs, drawn here as a table.

code                        status  says                                                             from
invalid_request             400     a parameter is missing, repeated, or malformed                   RFC 6749 5.2
invalid_client              401     no such client, or it did not prove who it is (400 for keys)     RFC 6749 5.2
invalid_grant               400     the code or refresh token is not usable (any more)               RFC 6749 5.2
unauthorized_client         400     this client may not use this grant type                          RFC 6749 5.2
unsupported_grant_type      400     no grant type of this name                                       RFC 6749 5.2
unsupported_response_type   400     anything but `code`                                              RFC 6749 4.1.2.1
invalid_scope               400     nothing that was asked for can be granted                        RFC 6749 5.2
access_denied               400     the person said no                                               RFC 6749 4.1.2.1
login_required              400     `prompt=none`, and nobody is signed in                           OIDC Core 3.1.2.6
consent_required            400     `prompt=none`, and the person has not agreed yet                 OIDC Core 3.1.2.6
interaction_required        400     `prompt=none`, and a choice is to be made                        OIDC Core 3.1.2.6
invalid_token               401     the bearer token is not valid here                               RFC 6750 3.1
insufficient_scope          403     the bearer token is valid, and does not reach that far           RFC 6750 3.1
invalid_redirect_uri        400     a redirect URI that cannot be registered                         RFC 7591 3.2.2
invalid_client_metadata     400     anything else that cannot be registered                          RFC 7591 3.2.2
slow_down                   429     too many attempts; `Retry-After` says when                       ours
"""

from collections.abc import Mapping
from types import MappingProxyType

STATUS: Mapping[str, int] = MappingProxyType(
    {"invalid_client": 401, "invalid_token": 401, "insufficient_scope": 403, "slow_down": 429}
)
"""Status of the codes that are not answered with 400."""

_FORBIDDEN = str.maketrans({'"': "'", "\\": "/"})


class OAuthError(Exception):
    """An expected refusal.

    Args:
        code: One of the table above.
        description: For the developer of the client: what was found and what to change. No secrets, no personal data.
        status: HTTP status, where it is not the one of the table.
        headers: Extra response headers.
    """

    def __init__(
        self, code: str, description: str, *, status: int = 0, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = spoken(description)
        self.status = status or STATUS.get(code, 400)
        self.headers: Mapping[str, str] = headers or {}

    @property
    def body(self) -> dict[str, str]:
        """The JSON body of RFC 6749 5.2."""
        return {"error": self.code, "error_description": self.description}


def spoken(text: str) -> str:
    """Return a description with nothing but the characters that RFC 6749 allows in one."""
    return "".join(char if " " <= char <= "~" else "?" for char in text.translate(_FORBIDDEN))


def slow_down(seconds: int) -> OAuthError:
    """Return the refusal of one who tried too often."""
    return OAuthError(
        "slow_down",
        f"Too many attempts. Try again in {seconds} seconds.",
        headers={"Retry-After": str(seconds)},
    )
