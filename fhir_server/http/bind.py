"""Who may reach the server: the address it binds to, and the Host and Origin headers that it answers.

Open mode knows no callers, so it keeps to this machine. Loopback is not enough for that: a web page in a browser on this
machine can send requests to loopback too. Therefore open mode also refuses host names that are not loopback (a foreign name
that was pointed at 127.0.0.1), and takes the CORS setting `*` to mean the origins of this machine.
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from fhir_server.model.errors import BadRequest, Forbidden
from fhir_server.settings import Settings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)


def check_bind(settings: Settings) -> None:
    """Refuse addresses on which the record, or what people type to sign in, could be read by others.

    Raises:
        ValueError: The text says what to change.
    """
    host, base = settings.server.host, urlsplit(settings.service_base)
    if settings.auth.mode == "open":
        if not is_loopback(host):
            raise ValueError(
                f"Open mode lets everybody read and change every record, so it does not listen on '{host}', which other "
                "machines can reach. Use --host 127.0.0.1 (or ::1, or localhost), or --auth smart."
            )
    elif not is_loopback(host) and not settings.server.base_url:
        raise ValueError(
            f"Apps must know under which name they reach this server, and '{host}' does not tell. Set "
            "FHIR_SERVER__BASE_URL to the public URL, such as https://example.org/fhir."
        )
    elif base.scheme != "https" and not is_loopback(base.hostname or ""):
        raise ValueError(
            f"The public URL is {settings.service_base}, and passwords and tokens must not travel in clear. Put a proxy with "
            "TLS before the server and set FHIR_SERVER__BASE_URL to its https:// URL."
        )


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def proper_url(url: str, base: str) -> str:
    """Return a URL of this machine under the name that the base has, empty where it has that name already.

    Cookies, forms and apps know one name only, and people on one machine type `localhost` for 127.0.0.1. A URL with another
    port than the base's stays: a proxy stands there, and may give every request another name.
    """
    try:
        asked, known = urlsplit(url), urlsplit(base)
        same_port = asked.port == known.port
    except ValueError:
        return ""
    if asked.netloc == known.netloc or not same_port or asked.scheme != known.scheme:
        return ""
    if not is_loopback(asked.hostname or "") or not is_loopback(known.hostname or ""):
        return ""
    return asked._replace(netloc=known.netloc).geturl()


class Base:
    """The service base URL that answers name: the configured one, else that of the request.

    Args:
        settings: Effective settings; read are `server.base_url` and `auth.mode`.
    """

    def __init__(self, settings: Settings) -> None:
        self._open = settings.auth.mode == "open"
        # Tokens are meant for one base, so with sign-in there is one, whatever name a request used.
        self._configured = settings.server.base_url.rstrip("/") if self._open else settings.service_base
        self._public = (urlsplit(self._configured).hostname or "").lower()
        self._fallback = f"{settings.server.host}:{settings.server.port}"

    def of(self, scheme: str, host: str) -> str:
        """Return the service base without trailing slash.

        Args:
            scheme: `http` or `https`.
            host: The Host header; empty where the client sent none.

        Raises:
            BadRequest: The Host header is malformed or was sent twice.
            Forbidden: Open mode, and the Host is neither this machine nor the configured base.
        """
        host = host or self._fallback
        found = _HOST.fullmatch(host)
        if not found:
            raise BadRequest("The Host header is not one host name with an optional port.", expression="http.Host")
        if self._open and found[1].lower() != self._public and not is_loopback(found[1]):
            raise Forbidden(
                f"Open mode answers only this machine, and the Host header says '{host[:60]}'. Use localhost or 127.0.0.1, "
                "or set server.base_url where a proxy on this machine gives the server another name.",
                expression="http.Host",
            )
        return self._configured or f"{scheme}://{host}/fhir"
