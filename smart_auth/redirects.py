"""Redirect URIs: which may be registered, which of them a request means, and how an answer is put on one.

A request's URI must be a registered one, character for character (RFC 9700 2.1). One exception is the port of a loopback
address, which a native app does not know beforehand (RFC 8252 7.3).
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1"})
MOST_CHARACTERS = 2_048
_NEVER = frozenset('"<>\\^`{|}\x7f')
_FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss"})

_PLACE = re.compile(r"[A-Za-z0-9._:\[\]-]+", re.ASCII)


def origin(uri: str) -> str:
    """Return scheme and host of a web URL, empty where it is none.

    Nothing that means something to a header, such as the `;` of a Content-Security-Policy, can stand in what this returns.
    """
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return ""
    web = parts.scheme in {"https", "http"} and bool(host) and _PLACE.fullmatch(parts.netloc) is not None
    return f"{parts.scheme}://{parts.netloc}" if web else ""


def is_plain(uri: str) -> bool:
    """Return whether a URI has only characters that URIs are made of, and not too many."""
    return len(uri) <= MOST_CHARACTERS and uri.isascii() and not any(char <= " " or char in _NEVER for char in uri)


def fault(uri: str, *, development: bool = False) -> str:
    """Return the sentence that says why a URI cannot be registered, empty where it can."""
    if not is_plain(uri):
        return "A redirect URI is ASCII without spaces, at most 2,048 characters."
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "The redirect URI is not a URI."
    if "#" in uri or "*" in parts.netloc or parts.username is not None:
        return "A redirect URI has no fragment, no wildcard in its host and no user name."
    if parts.scheme == "https" and host and origin(uri):
        return ""
    if parts.scheme == "http":
        if host in LOOPBACK or (development and host == "localhost"):
            return ""
        return "A redirect URI begins with https://; http:// is for 127.0.0.1 and [::1] only."
    if "." in parts.scheme and parts.scheme not in _FORBIDDEN_SCHEMES:
        return ""  # a native app's own scheme is a domain name of its maker, backwards (RFC 8252 7.1)
    return "A redirect URI begins with https://, or with a native app's own scheme such as com.example.app:/."


def matches(uri: str, registered: Iterable[str]) -> bool:
    """Return whether a redirect URI is a registered one."""
    return any(uri == one or _same_but_port(uri, one) for one in registered)


def _same_but_port(uri: str, registered: str) -> bool:
    try:
        one, other = urlsplit(uri), urlsplit(registered)
        loopback = one.scheme == "http" and one.hostname in LOOPBACK and one.port is not None
    except ValueError:
        return False
    if not loopback or one.username is not None or "#" in uri:
        return False
    return (one.scheme, one.hostname, one.path, one.query) == (other.scheme, other.hostname, other.path, other.query)


def answered(uri: str, parameters: Mapping[str, str]) -> str:
    """Return a redirect URI with the answer in its query, after whatever query it had (RFC 6749 4.1.2)."""
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items() if value)
    return f"{uri}{'&' if '?' in uri else '?'}{query}"
