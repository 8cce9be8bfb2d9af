"""A person in a real browser, who looks at each page on the way."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
from playwright.async_api import Browser, Page

from tests.browser.town import TOTP, Town
from tests.smart_auth.house import PASSWORD

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = "rules => axe.run(document, {runOnly: rules}).then(found => found.violations)"
VARIED = re.compile(r' (?:value|href|action|src)="[^"]*"')
SHAPE = """() => ({
  wide: document.documentElement.scrollWidth, room: innerWidth, lang: document.documentElement.lang, title: document.title,
  scripts: document.scripts.length, headings: document.querySelectorAll('h1').length,
  styled: [...document.querySelectorAll('[style]')].length,
})"""


@dataclass
class Walker:
    """A page of the browser, with what was seen.

    Attributes:
        page: The page.
        town: Where it walks.
        lang: Language that every page is to have.
        axe: Source of axe-core; empty to look at nothing.
        looked: What was examined, without values and targets of links: the same page again has the same violations.
        complaints: What the browser complained of: policies that were violated, errors.
    """

    page: Page
    town: Town
    lang: str = "en"
    axe: str = ""
    looked: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    async def look(self) -> None:
        """Check the page as it is: no violation of WCAG 2.2 AA that a program can find, no script, no overflow."""
        shape = await self.page.evaluate(SHAPE)
        where = f"{shape['title']} ({self.page.url})"
        assert shape["wide"] <= shape["room"], f"{where} scrolls sideways"
        assert shape["lang"] == self.lang, where
        assert (shape["scripts"], shape["styled"], shape["headings"]) == (0, 0, 1), where
        drawn = VARIED.sub("", await self.page.content())
        if drawn in self.looked:
            return
        self.looked.add(drawn)
        await self.page.evaluate(self.axe)
        found: list[dict[str, Any]] = await self.page.evaluate(RUN, RULES)
        told = [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in found]
        assert not told, f"{where}: {told}"

    async def go(self, url: str) -> None:
        await self.page.goto(url)
        await self.look()

    async def press(self, selector: str = "main form button[type=submit]", *, look: bool = True) -> None:
        """Press a button that leads to another page."""
        async with self.page.expect_navigation():
            await self.page.click(selector)
        if look:
            await self.look()

    async def sign_in(self, login: str = "ann", password: str = PASSWORD, *, look: bool = True) -> None:
        await self.page.fill("#login", login)
        await self.page.fill("#password", password)
        await self.press(look=look)

    async def digits(self) -> None:
        """Type the second factor; each is used once, so time passes first."""
        self.town.house.clock.pass_(seconds=60)
        await self.page.fill("#digits", pyotp.TOTP(TOTP).at(self.town.house.clock()))
        await self.press()

    async def arrive(self, where: str = "/callback") -> dict[str, str]:
        """Return what the app was told in the URL."""
        await self.page.wait_for_url(f"{self.town.app}{where}?*")
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}


@asynccontextmanager
async def walking(
    chromium: Browser, town: Town, axe: str = "", lang: str = "en", looked: set[str] | None = None, **how: Any
) -> AsyncIterator[Walker]:
    """A walker with a browser profile of its own; whatever the browser complained of fails the test."""
    context = await chromium.new_context(locale=lang, **how)
    page = await context.new_page()
    walker = Walker(page, town, lang, axe, set() if looked is None else looked)
    page.on("console", lambda said: walker.complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: walker.complaints.append(str(error)))
    try:
        yield walker
        wrong = [text for text in walker.complaints if "status of 4" not in text]
        assert wrong == []
    finally:
        await context.close()
