"""The pages: templates that escape whatever they are given, and headers under which nothing foreign runs or frames them.

No page needs a script. `form-action` names where a form may lead, redirects included, for browsers apply it to those as well.
No other site gets a referrer. Under `no-referrer`, though, browsers send `Origin: null` with our own forms too, and the check of
where a form comes from could not tell ours from a stranger's.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import Response

CSS = "auth.css"


class Pages:
    """The templates, read once."""

    def __init__(self) -> None:
        loader = PackageLoader("fhir_server.http.auth", "templates")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def show(self, template: str, values: Mapping[str, Any], *, status: int = 200, leads_to: str = "") -> Response:
        """Return a page.

        Args:
            template: Its name without ending.
            values: What it shows.
            status: HTTP status.
            leads_to: The URI to which a form of the page may redirect in the end.
        """
        found: Template = self._templates.get_template(f"{template}.html")
        return Response(found.render(values), status, headers(leads_to), "text/html; charset=utf-8")


def headers(leads_to: str = "") -> dict[str, str]:
    """Return the headers of a page."""
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{_source(leads_to)}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Pragma": "no-cache",
        "Permissions-Policy": "interest-cohort=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
    }


def stylesheet() -> Response:
    """Return the style of the pages."""
    content = files("fhir_server.http.auth").joinpath("templates", CSS).read_bytes()
    return Response(content, headers={"Cache-Control": "public, max-age=3600"}, media_type="text/css; charset=utf-8")


def _source(uri: str) -> str:
    """Return a redirect URI as a CSP source: its origin, or its scheme where that is a native app's own."""
    parts = urlsplit(uri)
    if not parts.scheme:
        return ""
    return f" {parts.scheme}://{parts.netloc}" if parts.scheme in {"https", "http"} else f" {parts.scheme}:"
