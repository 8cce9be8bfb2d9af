"""A person with a browser: reads forms, fills them in, sends them."""

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.smart_auth.house import PASSWORD, House


@dataclass
class Form:
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert found["method"] == "post"
            self.forms.append(Form(found["action"]))
        elif tag == "input":
            ticked = found.get("type") not in {"checkbox", "radio"} or "checked" in found
            if ticked:
                self.forms[-1].fields.append((found["name"], found.get("value", "")))
        elif tag == "button" and "name" in found:
            self.forms[-1].buttons.append((found["name"], found["value"]))


def forms(response: httpx.Response) -> list[Form]:
    reader = _Reader()
    reader.feed(response.text)
    return reader.forms


def heading(response: httpx.Response) -> str:
    found = re.search(r"<h1>(.*?)</h1>", response.text, re.DOTALL)
    return unescape(found[1]) if found else ""


async def send(
    client: httpx.AsyncClient,
    form: Form,
    *more: tuple[str, str],
    without: tuple[str, ...] = (),
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Send a form as a browser does, and follow where it leads within this site."""
    changed = {name for name, _ in more if name not in {"type", "category"}}
    pairs = [(name, value) for name, value in form.fields if name not in changed and f"{name}={value}" not in without]
    content = str(httpx.QueryParams([*pairs, *more]))
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://a.example", **(headers or {})}
    return await onward(client, await client.post(form.action, content=content, headers=sent))


async def onward(client: httpx.AsyncClient, response: httpx.Response) -> httpx.Response:
    """Follow redirects within this site."""
    while response.status_code == 303 and response.headers["location"].startswith("/"):
        response = await client.get(response.headers["location"])
    return response


async def visit(client: httpx.AsyncClient, house: House, **asking: Any) -> httpx.Response:
    """Open the authorization endpoint as an app does."""
    query = httpx.QueryParams(list(house.asking(**asking).parameters))
    return await onward(client, await client.get("/auth/authorize", params=query))


async def sign_in(
    client: httpx.AsyncClient, page: httpx.Response, login: str = "ann", password: str = PASSWORD
) -> httpx.Response:
    return await send(client, forms(page)[0], ("login", login), ("password", password))
