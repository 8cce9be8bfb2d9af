"""The sample app: a SMART app of static files, with which a launch can be tried on the machine of a developer.

A script beside the authorization server is more than a deployment needs, so the app is served on a loopback address only.
"""

from importlib.resources import files
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.responses import Response

from fhir_server.http.bind import is_loopback, proper_url
from fhir_server.settings import Settings

PLACE = "/sample-app"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
FILES: dict[str, tuple[str, str]] = {
    "": ("launch.html", "text/html; charset=utf-8"),
    "launch.html": ("launch.html", "text/html; charset=utf-8"),
    "index.html": ("index.html", "text/html; charset=utf-8"),
    "app.js": ("app.js", "text/javascript; charset=utf-8"),
    "app.css": ("app.css", "text/css; charset=utf-8"),
}


def is_served(settings: Settings) -> bool:
    """Return whether a server has the sample app."""
    return settings.auth.mode == "smart" and is_loopback(urlsplit(settings.service_base).hostname or "")


def mount(app: FastAPI, base: str) -> None:
    """Add the sample app to the application.

    Args:
        app: The application.
        base: The service base.
    """
    for path, (name, media_type) in FILES.items():
        _add(app, base, f"{PLACE}/{path}", name, media_type)


def _add(app: FastAPI, base: str, path: str, name: str, media_type: str) -> None:
    content = files("fhir_server.http").joinpath("sample_app", name).read_bytes()
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",  # the page that an answer leads to has the code in its URL
        "Cache-Control": "no-cache",
    }

    async def page(request: Request) -> Response:
        if url := proper_url(str(request.url), base):
            return Response(status_code=303, headers={**headers, "Location": url})
        return Response(content, headers=headers, media_type=media_type)

    app.add_api_route(path, page, methods=["GET", "HEAD"], include_in_schema=False)
