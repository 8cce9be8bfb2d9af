"""Cross-origin requests of browsers (Fetch standard, "HTTP extensions"; R4 3.1.0.1.7)."""

from urllib.parse import urlsplit

from fhir_server.http.bind import is_loopback
from fhir_server.model.errors import Forbidden
from fhir_server.model.request import FhirResponse
from fhir_server.settings import Settings

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED = (
    "Accept-Ranges, Content-Location, Content-Range, ETag, Expires, Last-Modified, Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Progress, "
    "X-Request-Id"
)
ACCEPTED = (
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, "
    "If-Range, Prefer, Range, X-Request-Id, X-Security-Context"
)


class Cors:
    """Which origins may call, and the headers that tell their browsers so.

    Args:
        settings: Effective settings; read are `server.cors_origins` and `auth.mode`.
    """

    def __init__(self, settings: Settings) -> None:
        origins = settings.server.cors_origins
        self._listed = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._all = "*" in origins and settings.auth.mode != "open"
        self._local = "*" in origins and settings.auth.mode == "open"
        self._tells = settings.auth.mode != "open"

    def headers(self, origin: str, *, tells: bool = False) -> list[tuple[bytes, bytes]]:
        """Return the headers for an answer to this origin; none for an origin that may not call.

        Args:
            origin: The Origin header.
            tells: Whether the answer only tells what this server is; then pages of every origin may read it, unless the
                server is for this machine only (SMART App Launch 2.2, 2.0.3.1).
        """
        everybody = self._all or (tells and self._tells)
        if not everybody and not self._permits(origin):
            return []
        allowed = b"*" if everybody else origin.encode("latin-1")
        return [
            (b"access-control-allow-origin", allowed),
            (b"access-control-expose-headers", EXPOSED.encode()),
        ]

    def preflight(self, origin: str, method: str) -> FhirResponse:
        """Return the answer to an OPTIONS request: the methods and headers that may be used.

        Args:
            origin: The Origin header, empty where absent.
            method: The Access-Control-Request-Method header, empty for an OPTIONS request that is no preflight.

        Raises:
            Forbidden: A preflight of an origin that may not call.
        """
        if not (origin and method):
            return FhirResponse(204, {"Allow": METHODS})
        if not self._permits(origin):
            raise Forbidden(
                f"Pages of the origin '{origin[:100]}' may not call this server. Add it to the setting server.cors_origins.",
                expression="http.Origin",
            )
        return FhirResponse(
            204,
            {
                "Allow": METHODS,
                "Access-Control-Allow-Methods": METHODS,
                "Access-Control-Allow-Headers": ACCEPTED,
                "Access-Control-Max-Age": "7200",
            },
        )

    def _permits(self, origin: str) -> bool:
        if self._all or origin.lower() in self._listed:
            return True
        if not self._local:
            return False
        try:
            return is_loopback(urlsplit(origin).hostname or "")
        except ValueError:
            return False
