"""A person before a real browser: signs in, chooses, allows."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
from playwright.async_api import Browser, Page

PASSWORD = "four words in a row"


@dataclass
class Person:
    """Somebody with a browser of their own.

    Attributes:
        page: The page that is open.
        login: What the person types.
        is_staff: Whether the person works here, and needs a second factor.
        pictures: Folder for pictures of what was seen.
    """

    page: Page
    login: str
    is_staff: bool
    pictures: Path
    _number: int = 0

    @classmethod
    async def before(cls, browser: Browser, login: str, pictures: Path, *, is_staff: bool) -> "Person":
        """Return a person before a browser that has no cookies yet."""
        context = await browser.new_context(viewport={"width": 480, "height": 800})
        context.set_default_timeout(30_000)
        return cls(await context.new_page(), login, is_staff, pictures)

    async def look(self, name: str) -> None:
        """Keep a picture of what is shown."""
        self._number += 1
        await self.page.screenshot(path=self.pictures / f"{self.login}-{self._number}-{name}.png", full_page=True)

    async def sign_in(self, password: str = PASSWORD) -> None:
        """Type login and password, and set a second factor up, for staff need one."""
        await self.page.locator("input[name=login]").wait_for()
        await self.look("sign-in")
        await self.page.fill("input[name=login]", self.login)
        await self.page.fill("input[name=password]", password)
        await self.page.click("main form button[type=submit]")
        if self.is_staff:
            key = "".join((await self.page.locator("code.key").inner_text()).split())
            await self.look("second-factor")
            await self.page.fill("input[name=digits]", pyotp.TOTP(key).now())
            await self.page.click("main form button[type=submit]")

    async def choose_patient(self, words: str, patient: str) -> None:
        """Look for a patient and take the one with this id."""
        await self.page.fill("input[name=words]", words)
        await self.page.click("form:has(input[name=words]) button[type=submit]")
        await self.look("patients")
        await self.page.click(f"button[name=patient][value='{patient}']")

    async def allow(self, decision: str = "allow") -> None:
        """Agree to what the app asks for."""
        button = self.page.locator(f"button[name=decision][value={decision}]")
        await button.wait_for()
        await self.look("consent")
        await button.click()

    async def back_at(self, url: str) -> str:
        """Wait until the browser is at the app again, and return where exactly."""
        await self.page.wait_for_url(lambda found: found.startswith(url))
        return self.page.url

    @property
    def place(self) -> str:
        """Origin and path of the page."""
        parts = urlsplit(self.page.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}"

    async def leave(self) -> None:
        """Close the browser, after a last picture for whoever looks for the reason of a failure."""
        await self.look("last")
        await self.page.context.close()
