"""What only a real browser shows: policies on where forms lead, cookies, and pages that need no script."""

from base64 import b64encode
from pathlib import Path

from playwright.async_api import Browser

from tests.browser.town import Town
from tests.browser.walker import walking

READ = """async url => {
  const picture = new Image(); picture.src = url; await picture.decode();
  const canvas = document.createElement('canvas'); canvas.width = picture.width; canvas.height = picture.height;
  const pen = canvas.getContext('2d'); pen.drawImage(picture, 0, 0);
  const read = jsQR(pen.getImageData(0, 0, canvas.width, canvas.height).data, canvas.width, canvas.height);
  return read && read.data;
}"""


async def test_no_page_needs_a_script(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town, java_script_enabled=False) as walker:
        await walker.page.goto(town.asking(scope="openid launch/patient patient/*.rs offline_access"))
        await walker.sign_in(look=False)
        await walker.page.click("button[value=allow]")
        assert "code" in await walker.arrive()


async def test_an_app_may_lead_on_to_another_of_its_hosts(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town) as walker:
        await walker.page.goto(town.asking(redirect_uri=f"{town.app}/hop"))
        await walker.sign_in(look=False)
        await walker.page.click("button[value=allow]")
        await walker.page.wait_for_url(f"{town.app.replace('127.0.0.1', 'localhost')}/callback?*")
        assert "code=" in walker.page.url


async def test_an_app_learns_nothing_of_where_its_person_came_from(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town) as walker:
        await walker.page.goto(town.asking())
        await walker.sign_in(look=False)
        await walker.page.click("button[value=refuse]")
        await walker.arrive()
        assert await walker.page.evaluate("document.referrer") == ""


async def test_clickjacking_a_page_is_not_shown_in_a_frame(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town) as walker:
        await walker.page.goto(f"{town.app}/frame")
        await walker.page.evaluate(
            "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f);"
            " return new Promise(done => { f.onload = done; }).then(() => null); }",
            f"{town.site}/auth/apps",
        )
        shown = walker.page.frames[-1]
        assert "Sign in" not in await shown.content()
        walker.complaints.clear()


async def test_a_language_is_chosen_at_the_foot_of_a_page_and_stays(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town) as walker:
        page = walker.page
        await page.goto(town.asking())
        await page.click("text=Deutsch")
        assert await page.text_content("h1") == "Anmelden"
        await walker.sign_in(look=False)
        assert await page.text_content("h1") == "Growth Charts erlauben?"


async def test_the_picture_of_the_second_factor_is_read_as_its_key(
    chromium: Browser, town: Town, packages: Path
) -> None:
    async with walking(chromium, town, color_scheme="dark") as walker:
        await walker.page.goto(f"{town.site}/auth/apps")
        await walker.sign_in("two", look=False)
        link = await walker.page.get_attribute("a[href^='otpauth:']", "href")
        taken = b64encode(await walker.page.locator("svg.qr").screenshot()).decode()
        await walker.page.goto("about:blank")
        await walker.page.evaluate((packages / "jsqr" / "dist" / "jsQR.js").read_text("utf-8"))
        assert await walker.page.evaluate(READ, f"data:image/png;base64,{taken}") == link
