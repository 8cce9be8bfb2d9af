"""The pages: templates that escape whatever they are given, and headers under which nothing foreign runs or frames them.

No page needs a script. `form-action` names where a form may lead, redirects included, for browsers apply it to those as well.
No other site gets a referrer. Under `no-referrer`, though, browsers send `Origin: null` with our own forms too, and the check of
where a form comes from could not tell ours from a stranger's.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from smart_auth import redirects
from smart_auth.language import Language, Languages

CSS = "auth.css"
STYLE_PATH = "/auth/style.css"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
WEB = frozenset({"https", "http"})


class Pages:
    """The templates and languages, read once.

    Attributes:
        languages: In which the pages are.
    """

    def __init__(self) -> None:
        loader = PackageLoader("fhir_server.http.auth", "templates")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.languages = Languages()
        self._style = files("fhir_server.http.auth").joinpath("templates", CSS).read_bytes()
        self._style_url = f"{STYLE_PATH}?{sha256(self._style).hexdigest()[:12]}"

    def show(
        self,
        template: str,
        values: Mapping[str, Any],
        language: Language,
        *,
        status: int = 200,
        leads_to: str = "",
        picture: str = "",
        back: str = "",
    ) -> Response:
        """Return a page.

        Args:
            template: Its name without ending.
            values: What it shows.
            language: In which language.
            status: HTTP status.
            leads_to: The URIs, separated by spaces, to which a form of the page may redirect in the end.
            picture: URL of a picture of somebody else that the page shows.
            back: Where the page can be seen again in another language; empty where it cannot.
        """
        found: Template = self._templates.get_template(f"{template}.html")

        def rich(text: str, **named: object) -> Markup:
            """Return a text of ours, in which the values stand out."""
            strong = {name: Markup("<strong>{}</strong>").format(value) for name, value in named.items()}
            return escape(language.say(text)).format(**strong)

        common = {
            "say": language.say,
            "day": language.day,
            "rich": rich,
            "language": language,
            "languages": [*self.languages.all.values()],
            "stylesheet": self._style_url,
            "back": back,
        }
        text = found.render({**common, **values})
        return Response(text, status, headers(leads_to, picture), "text/html; charset=utf-8")

    def leave(self, request: Request, url: str, client: str, name: str, language: Language) -> Response:
        """Return what leads a browser to an app, with an answer or a launch.

        Browsers hold every redirect that follows a form against `form-action`, those of the app to its other hosts too. So
        what comes from a page of ours ends in a page, from which the browser goes on by itself; anything else is a redirect.
        """
        ours = request.headers.get("sec-fetch-site") == "same-origin"
        whole = request.headers.get("sec-fetch-dest") == "document"
        if not (ours and whole and urlsplit(url).scheme in WEB):
            return Response(status_code=303, headers={**headers(url), "Location": url})
        return self.show("leave", {"url": url, "client": client, "name": name}, language)

    def style(self) -> Response:
        """Return the style of the pages. Its URL changes with it."""
        cached = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(self._style, headers=cached, media_type="text/css; charset=utf-8")


def headers(leads_to: str = "", picture: str = "") -> dict[str, str]:
    """Return the headers of a page."""
    policy = (
        f"default-src 'none'; style-src 'self'; img-src 'self'{_source(picture)}; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self'{_source(leads_to)}"
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


def _source(uris: str) -> str:
    """Return redirect URIs as CSP sources: their origins, or their schemes where those are native apps' own."""
    found = dict.fromkeys(filter(None, (_place(uri) for uri in uris.split())))
    return "".join(f" {place}" for place in found)


def _place(uri: str) -> str:
    scheme = uri.partition(":")[0].lower()
    if scheme in WEB:
        return redirects.origin(uri)
    return f"{scheme}:" if _SCHEME.fullmatch(scheme) and ":" in uri else ""
