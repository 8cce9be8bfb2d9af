"""The terminology page in a real browser: searched, walked, expanded and counted; by keyboard, on a phone, in the dark."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr

from tests.browser.library import CHOICE, SYSTEM, Library, opened
from tests.browser.walker import RULES, RUN
from tests.smart_auth.house import PASSWORD

DESK = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
VIEWS = {
    "systems": "#/",
    "system": "#/system?" + urlencode({"url": SYSTEM, "version": "2026"}),
    "concept": "#/system?" + urlencode({"url": SYSTEM, "version": "2026", "code": "E11"}),
    "unknown": "#/system?" + urlencode({"url": "urn:nowhere", "code": "x"}),
    "valuesets": "#/valuesets",
    "valueset": "#/valueset?" + urlencode({"url": CHOICE}),
    "check": "#/check",
}

LOOKS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({**DESK, "color_scheme": "light"}, tuple(VIEWS)),
    ({**PHONE, "color_scheme": "dark"}, ("systems", "concept", "valueset")),
    ({**DESK, "color_scheme": "dark", "forced_colors": "active"}, ("concept", "check")),
]
"""How a page is looked at, and which views."""

Signed = Any
"""Cookies of a browser in which an administrator is signed in."""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def library(data_dir: Path, mongo_url: SecretStr) -> AsyncIterator[Library]:
    async with opened(data_dir) as library:
        yield library


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def signed_in(chromium: Browser, library: Library) -> Signed:
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(library.page)
    await sign_in(page, "adam")
    await expect(page).to_have_url(library.page)
    state = await context.storage_state()
    await context.close()
    return state


async def sign_in(page: Page, login: str) -> None:
    await page.fill("#login", login)
    await page.fill("#password", PASSWORD)
    async with page.expect_navigation():
        await page.click("main form button[type=submit]")


@asynccontextmanager
async def reading(chromium: Browser, library: Library, signed_in: Signed, view: str, **how: Any) -> AsyncIterator[Page]:
    """A view of the page; whatever the browser complains of fails the test."""
    context = await chromium.new_context(storage_state=signed_in, **(how or DESK))
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        await page.goto(f"{library.page}{VIEWS[view]}")
        await expect(page.locator("h1").first).to_be_visible()
        yield page
        assert [text for text in complaints if "status of 4" not in text] == []
    finally:
        await context.close()


async def settled(page: Page) -> None:
    """Wait until everything that was asked for is shown."""
    await expect(page.locator("[aria-busy], .waiting")).to_have_count(0)


async def test_a_clinician_is_refused(chromium: Browser, library: Library) -> None:
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(library.page)
    await sign_in(page, "doc")
    assert "for administrators" in (await page.text_content("main") or "")
    await context.close()


async def test_a_concept_is_found_and_where_it_is_used(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "systems") as page:
        await page.fill("#f-filter", "our clinics")
        await page.click("text=Illnesses of our clinics")
        await expect(page.locator(".head .facts")).to_contain_text("Concepts10")
        await page.fill("#f-text", "diab kidn")
        await page.click(".hits a:has-text('kidney')")
        pane = page.locator(".pane")
        await expect(pane.locator("h2")).to_have_text("Type 2 diabetes with kidney complications")
        await pane.locator("a:has-text('Type 2 diabetes mellitus')").click()
        await expect(pane.locator("h2")).to_have_text("Type 2 diabetes mellitus")
        await expect(pane.locator("table").first).to_contain_text("Diabetes mellitus, Typ 2")
        await pane.locator("button:has-text('Count')").click()
        counts = pane.locator(".use tbody tr")
        await expect(counts.nth(0)).to_contain_text("Harbour Clinic")
        await expect(counts.nth(0)).to_contain_text("23")
        await expect(counts.nth(1)).to_contain_text("Hill Hospital")
        await expect(counts.nth(1)).to_contain_text("7")
        await page.goto(f"{library.page}{VIEWS['system']}&code=E10")
        await expect(pane.locator("h2")).to_have_text("Type 1 diabetes mellitus")
        await pane.locator("button:has-text('Count')").click()
        await expect(counts).to_have_count(1)
        await expect(counts.nth(0)).to_contain_text("fewer than 5")


async def test_the_tree_is_walked_by_keyboard_alone(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "system") as page:
        await settled(page)
        await page.focus("#f-text")
        await page.keyboard.press("Tab")
        walked = []
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowDown", "ArrowLeft", "End", "Home"):
            await page.keyboard.press(key)
            await settled(page)
            walked.append(await page.evaluate("document.activeElement.dataset.code"))
        assert walked == ["E08-E13", "E10", "E11", "E11", "E11.2", "E11", "I20-I25", "E08-E13"]
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            await page.keyboard.press(key)
        await expect(page.locator(".pane h2")).to_have_text("Type 2 diabetes mellitus")
        assert await page.get_attribute('[data-code="E11"]', "aria-selected") == "true"


async def test_a_link_to_a_concept_opens_the_tree_where_it_stands(
    chromium: Browser, library: Library, signed_in: Signed
) -> None:
    async with reading(chromium, library, signed_in, "concept") as page:
        chosen = page.locator('[role=treeitem][aria-selected="true"]')
        await expect(chosen).to_have_attribute("data-code", "E11")
        await expect(page.locator('[role=treeitem][data-code="E14"]')).to_contain_text("inactive")


async def test_a_value_set_is_expanded_and_narrowed(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "valuesets") as page:
        await page.click("text=Diabetes, to choose from")
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(7)
        await page.fill("#f-filter", "eye")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("E11.3")
        await page.fill("#f-filter", "liver")
        await expect(page.locator(".empty")).to_contain_text("There are no codes")
        await page.fill("#f-filter", "typ")
        await page.fill("#f-language", "de")
        await expect(page.locator("tbody")).to_contain_text("Diabetes mellitus, Typ 2")


async def test_a_code_is_checked(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "check") as page:
        for code, url, verdict in (
            ("E11", CHOICE, "is right"),
            ("I21", CHOICE, "is not right"),
            ("Z9", "", "is not right"),
        ):
            await page.fill("#f-system", SYSTEM)
            await page.fill("#f-code", code)
            await page.fill("#f-url", url)
            await page.click("button:has-text('Check')")
            await settled(page)
            await expect(page.locator(".result .title")).to_contain_text(verdict)


async def test_what_is_not_known_is_said_in_sentences(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "unknown") as page:
        await settled(page)
        await expect(page.locator(".pane [role=alert]")).to_contain_text("urn:nowhere")
        await page.goto(f"{library.page}{VIEWS['system']}")
        await page.fill("#f-text", "zzz")
        await expect(page.locator(".hits .empty")).to_contain_text("Nothing has these words")


async def test_who_is_signed_out_meanwhile_is_told(chromium: Browser, library: Library, signed_in: Signed) -> None:
    async with reading(chromium, library, signed_in, "check") as page:
        await page.context.clear_cookies()
        await page.fill("#f-system", SYSTEM)
        await page.fill("#f-code", "E11")
        await page.click("button:has-text('Check')")
        await expect(page.locator("[role=alert]")).to_contain_text("not signed in")
        async with page.expect_navigation():
            await page.click("text=Sign in again")
        await expect(page.locator("#login")).to_be_visible()


@pytest.mark.parametrize(("how", "views"), LOOKS, ids=["desk", "dark-phone", "forced-colors"])
async def test_no_view_has_a_violation(
    chromium: Browser, library: Library, signed_in: Signed, axe: str, how: dict[str, Any], views: tuple[str, ...]
) -> None:
    async with reading(chromium, library, signed_in, views[0], **how) as page:
        await page.evaluate(axe)
        for view in views:
            await page.goto(f"{library.page}{VIEWS[view]}")
            await settled(page)
            if view == "concept":
                await page.click("button:has-text('Count')")
                await settled(page)
            wide, room = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= room, f"{view} scrolls sideways"
            found: list[dict[str, Any]] = await page.evaluate(RUN, RULES)
            told = [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]]) for one in found]
            assert told == [], view
