"""The pages for people: a landing page and the API's documentation, without anything from another host."""

from importlib.resources import files

from fastapi import FastAPI
from jinja2 import Environment, StrictUndefined
from starlette.responses import Response

from fhir_server.http import sample
from fhir_server.settings import Settings

# Only this server's own files, no inline code: a resource that is shown on the page can run nothing.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
PAGES: dict[str, tuple[str, str]] = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/static/style.css": ("style.css", "text/css; charset=utf-8"),
    "/static/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
    "/favicon.ico": ("drop.svg", "image/svg+xml"),
}
TEMPLATES = frozenset({"index.html"})


def mount(app: FastAPI, settings: Settings) -> None:
    """Add the pages to the application.

    Args:
        app: The application.
        settings: Effective settings, by which some pages differ.
    """
    shown = {"mode": settings.auth.mode, "has_sample": sample.is_served(settings)}
    templates = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    for path, (name, media_type) in PAGES.items():
        content = files("fhir_server.http").joinpath("static", name).read_bytes()
        if name in TEMPLATES:
            content = templates.from_string(content.decode()).render(shown).encode()
        _add(app, path, content, media_type)


def _add(app: FastAPI, path: str, content: bytes, media_type: str) -> None:
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def page() -> Response:
        return Response(content, headers=headers, media_type=media_type)

    app.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False)
