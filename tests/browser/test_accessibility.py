"""Every page of the authorization server in a real browser: WCAG 2.2 AA as far as a program can tell, and by keyboard alone."""

from typing import Any

import pytest
from playwright.async_api import Browser

from smart_auth import people
from smart_auth.records import User
from tests.browser.town import Town
from tests.browser.walker import Walker, walking

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 800}}
LOOKS: list[tuple[dict[str, Any], str]] = [
    ({**PHONE, "color_scheme": "light"}, "en"),
    ({**DESK, "color_scheme": "dark"}, "de"),
    ({**PHONE, "color_scheme": "dark"}, "hi"),
    ({**DESK, "color_scheme": "light", "forced_colors": "active"}, "en"),
]
SCOPE = (
    "openid fhirUser launch/patient patient/Patient.rs patient/Condition.cruds patient/Observation.rs offline_access"
)


@pytest.mark.parametrize(("how", "lang"), LOOKS, ids=["phone", "dark-german", "dark-hindi-phone", "forced-colors"])
async def test_no_page_has_a_violation(chromium: Browser, axe: str, town: Town, how: dict[str, Any], lang: str) -> None:
    looked: set[str] = set()
    for walk in (patient, account, staff, others):
        async with walking(chromium, town, axe, lang, looked, **how) as walker:
            await walk(walker)


async def patient(walker: Walker) -> None:
    """Sign in with a mistake, choose parts, agree; then look at what the app has."""
    page, town = walker.page, walker.town
    await walker.go(town.asking(scope=SCOPE))
    await walker.sign_in(password="wrong")
    await walker.sign_in()
    await page.check("#some-Observation")
    await page.check("#c-Observation-1")
    await page.uncheck("#type-Condition")
    await walker.look()
    await walker.press("button[value=allow]", look=False)
    code = (await walker.arrive())["code"]
    assert (await town.house.redeem(code, redirect_uri=f"{town.app}/callback")).status == 200
    await walker.go(f"{town.site}/auth/apps")
    await walker.press("button[name=client]")
    await walker.go(
        town.asking(client_id="stranger", scope="openid profile launch/patient patient/*.cruds online_access")
    )
    for part in await page.query_selector_all("summary"):
        await part.click()
    await page.check("#type-rest-some")
    await walker.look()
    await walker.go(f"{town.site}/auth/end-session")
    await walker.press()


async def account(walker: Walker) -> None:
    """Be invited, forget the password, choose another one."""
    page, town = walker.page, walker.town
    await walker.go(f"{town.site}/auth/forgot")
    await page.fill("#login", "ann")
    await walker.press()
    user = await town.house.store.get(User, "u-bo")
    assert user
    town.house.clock.pass_(seconds=5)
    await walker.go(f"{town.site}/auth/password?link={await people.invite(town.house.realm, user)}")
    await page.fill("#password", "hospital1234")
    await walker.press()
    await page.fill("#password", "lantern gravel otter eleven")
    await walker.press()


async def staff(walker: Walker) -> None:
    """Sign in with two factors, choose patient and visit, refuse; then open an app with a patient."""
    page, town = walker.page, walker.town
    await walker.go(town.asking(scope="openid launch/patient launch/encounter user/*.rs"))
    await walker.sign_in("nurse")
    await page.fill("#digits", "000000")
    await walker.press()
    await walker.digits()
    await page.fill("#words", "zzz")
    await walker.press()
    await page.fill("#words", "e")
    await walker.press()
    await walker.press(".choices li:nth-child(3) button")
    await walker.press(".choices li:nth-child(2) button")
    await walker.press("button[value=refuse]", look=False)
    assert (await walker.arrive())["error"] == "access_denied"
    await walker.go(f"{town.site}/auth/launch")
    await page.fill("#words", "zzz")
    await walker.press("button[value=search]")
    await page.fill("#words", "e")
    await walker.press("button[value=search]")
    await walker.press(".choices li:nth-child(3) button")
    await page.fill("#context", "Patient/bo")
    await walker.press()
    await page.fill("#context", "ImagingStudy/7")
    await walker.press(look=False)
    assert (await walker.arrive("/launch"))["iss"] == f"{town.site}/fhir"


async def others(walker: Walker) -> None:
    """See what goes wrong, set up a second factor, and choose a role."""
    town = walker.town
    await walker.go(town.asking(client_id="nobody"))
    await walker.go(town.asking(client_id="stranger", scope="nonsense"))
    await walker.go(f"{town.site}/auth/continue?request=made-up")
    await walker.go(town.asking(scope="openid launch/patient patient/*.rs"))
    await walker.sign_in("two")
    async with walking(walker.page.context.browser, town, walker.axe, walker.lang, walker.looked) as other:  # type: ignore[arg-type]
        await other.go(town.asking(scope="openid user/Patient.rs"))
        await other.sign_in("both")
        await other.digits()
        await other.press(".choices button")


async def test_everything_is_done_by_keyboard_alone(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town, viewport={"width": 1280, "height": 800}) as walker:
        page = walker.page
        await page.goto(town.asking(scope=SCOPE))
        await reach(walker, "login")
        await page.keyboard.type("ann")
        await page.keyboard.press("Tab")
        await page.keyboard.type("lantern gravel otter nine")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        await reach(walker, "type-Condition")
        await page.keyboard.press("Space")
        await reach(walker, "all-Observation")
        await page.keyboard.press("ArrowDown")
        await reach(walker, "c-Observation-1")
        await page.keyboard.press("Space")
        await reach(walker, "keep-long")
        await page.keyboard.press("ArrowUp")
        await reach(walker, "", "allow")
        await page.keyboard.press("Enter")
        code = (await walker.arrive())["code"]
        body = (await town.house.redeem(code, redirect_uri=f"{town.app}/callback")).body
        assert "patient/Condition.cud" in body["scope"]
        assert "category=http" in body["scope"]
        assert "refresh_token" in body


async def reach(walker: Walker, element: str, value: str = "") -> None:
    """Press Tab until an element has the focus; each on the way must show it, and none may trap it."""
    seen = []
    for _ in range(60):
        await walker.page.keyboard.press("Tab")
        found = await walker.page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
            return {id: e.id, value: e.value || '', outline: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
                    tag: e.tagName, inside: r.bottom > 0 && r.top < innerHeight}; }"""
        )
        seen.append(found["id"] or found["tag"])
        if found["tag"] == "BODY":
            continue
        assert found["outline"], f"{found} shows no focus"
        assert found["inside"], f"{found} is out of sight"
        if (element and found["id"] == element) or (value and found["value"] == value):
            return
    pytest.fail(f"{element or value} was not reached: {seen}")


async def test_an_error_is_where_the_reading_begins_and_leads_to_its_field(chromium: Browser, town: Town) -> None:
    async with walking(chromium, town) as walker:
        page = walker.page
        await page.goto(town.asking())
        await walker.sign_in(password="wrong", look=False)
        assert (await page.title()).startswith("Error: ")
        assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "login"
        assert await page.get_attribute("#login", "aria-describedby") == "error"


async def test_allowing_and_refusing_weigh_the_same(chromium: Browser, town: Town) -> None:
    for width in (360, 1280):
        async with walking(chromium, town, viewport={"width": width, "height": 800}) as walker:
            await walker.page.goto(town.asking())
            await walker.sign_in(look=False)
            looks = [
                await walker.page.eval_on_selector(
                    f"button[value={decision}]",
                    """e => { const r = e.getBoundingClientRect(), s = getComputedStyle(e);
                    return [Math.round(r.width), Math.round(r.height), s.color, s.backgroundColor, s.fontSize, s.fontWeight]; }""",
                )
                for decision in ("allow", "refuse")
            ]
            assert looks[0] == looks[1]


async def test_text_of_twice_the_size_still_fits_a_phone(chromium: Browser, town: Town, axe: str) -> None:
    async with walking(chromium, town, axe, viewport={"width": 360, "height": 740}) as walker:
        await walker.page.goto(town.asking(scope=SCOPE))
        await walker.sign_in(look=False)
        wide = await walker.page.evaluate(
            "() => { document.documentElement.style.fontSize = '200%'; return document.documentElement.scrollWidth; }"
        )
        assert wide <= 360
