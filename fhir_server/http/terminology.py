"""The files of the terminology page, and the page itself where nobody signs in (docs/terminology-page.md)."""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from fastapi import FastAPI
from jinja2 import Environment, StrictUndefined
from starlette.responses import Response

from fhir_server.http.pages import POLICY
from fhir_server.settings import Settings

PLACE = "/admin/terminology"
FOLDER = "terminology_page"
FILES: Mapping[str, str] = MappingProxyType(
    {
        "page.css": "text/css; charset=utf-8",
        "page.js": "text/javascript; charset=utf-8",
        "fhir.js": "text/javascript; charset=utf-8",
        "make.js": "text/javascript; charset=utf-8",
        "systems.js": "text/javascript; charset=utf-8",
        "concept.js": "text/javascript; charset=utf-8",
        "tree.js": "text/javascript; charset=utf-8",
        "valueset.js": "text/javascript; charset=utf-8",
    }
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""The pages are scripts and styles of this site only, as the others; they refer to nothing elsewhere."""


def page(base: str, person: str) -> Response:
    """Return the page.

    Args:
        base: Path below which it asks what a client asks below the service base.
        person: Name of who is signed in, empty where nobody signs in.
    """
    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("fhir_server.http").joinpath(FOLDER, "page.html").read_text("utf-8")
    text = templates.from_string(source).render({"base": base, "person": person, "place": PLACE})
    return Response(text, headers={**HEADERS, "Cache-Control": "no-store"}, media_type="text/html; charset=utf-8")


def mount(app: FastAPI, settings: Settings) -> None:
    """Add the files to the application; and the page, where nobody signs in.

    Args:
        app: The application.
        settings: Effective settings.
    """
    for name, media_type in FILES.items():
        _add(app, f"{PLACE}/{name}", files("fhir_server.http").joinpath(FOLDER, name).read_bytes(), media_type)
    if settings.auth.mode != "smart":

        async def open_page() -> Response:
            return page("/fhir", "")

        app.add_api_route(PLACE, open_page, methods=["GET", "HEAD"], include_in_schema=False)


def _add(app: FastAPI, path: str, content: bytes, media_type: str) -> None:
    async def file() -> Response:
        return Response(content, headers={**HEADERS, "Cache-Control": "no-cache"}, media_type=media_type)

    app.add_api_route(path, file, methods=["GET", "HEAD"], include_in_schema=False)
