"""What the page of an error says: to the person what can be done, to the developer of the app what was found.

Nothing of what is registered for a client is shown, only what the request itself said.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.requests import Request

from smart_auth.language import Language

LEADS: Mapping[str, str] = MappingProxyType(
    {
        "forged_form": "This form is too old, or did not come from this site. Go back and try again.",
        "server_error": "Something went wrong on our side. It was logged.",
        "temporarily_unavailable": "This site cannot answer now. Try again in a moment.",
        "slow_down": "There were too many attempts. Wait a little, then try again.",
        "login_required": "You would have to sign in first, and the app does not want you to be asked.",
    }
)
"""What a person is told for a code."""

SPOKEN = frozenset({"access_denied", "request_over"})
"""Codes whose description is for the person."""

ANY = "The app has asked for something that this site cannot answer. Tell the people who make the app; what they need to know stands below."
SHOWN = ("client_id", "redirect_uri", "response_type", "scope", "aud", "code_challenge_method")
MOST_SHOWN = 300


def lead(language: Language, code: str, text: str) -> str:
    """Return what a person is told."""
    return language.say(text if code in SPOKEN else LEADS.get(code, ANY))


def values(language: Language, request: Request, code: str, text: str) -> dict[str, Any]:
    """Return the values of the page, without anything that was not in the request or is a secret."""
    asked = [(name, request.query_params.get(name, "")[:MOST_SHOWN]) for name in SHOWN]
    facts = [(name, value) for name, value in asked if value and request.url.path == "/auth/authorize"]
    number = request.headers.get("x-request-id", "")[:64]
    return {
        "code": code,
        "text": text,
        "lead": lead(language, code, text),
        "facts": [*facts, *([("X-Request-Id", number)] if number else [])],
    }
