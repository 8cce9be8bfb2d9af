"""The languages of the pages: complete, chosen by wish, and no way to make the server say something else."""

import json
import re
from importlib.resources import files
from string import Formatter

import httpx
import pytest

from smart_auth.language import Language, Languages, Sentence, tags
from tests.http.auth.phrases import spoken
from tests.http.auth.surfing import forms, heading, send, sign_in, visit
from tests.smart_auth.house import House

OTHERS = tags()[1:]


def catalogue(tag: str) -> dict[str, str]:
    read: dict[str, str] = json.loads(files("smart_auth").joinpath("languages", f"{tag}.json").read_text("utf-8"))
    return read


def holes(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("tag", OTHERS)
def test_a_catalogue_has_every_text_and_nothing_else(tag: str) -> None:
    found = catalogue(tag).keys() - {"English"}
    assert spoken() - found == set(), "not translated"
    assert found - spoken() == set(), "said nowhere"


@pytest.mark.parametrize("tag", OTHERS)
def test_a_translation_has_the_holes_of_its_text(tag: str) -> None:
    for text, said in catalogue(tag).items():
        assert holes(text) == holes(said), text
        assert said.strip() == said


@pytest.mark.parametrize(
    ("wishes", "tag"),
    [
        (("", "", "de-CH,fr;q=0.8"), "de"),
        (("", "", "fr, hi;q=0.5, en;q=0.4"), "hi"),
        (("", "", "de;q=0.1, en;q=0.9"), "en"),
        (("", "", "de;q=0, en"), "en"),
        (("", "fr-CA de en", "hi"), "de"),
        (("hi", "de", "en"), "hi"),
        (("", "", ""), "en"),
        (("", "", "*"), "en"),
        (("", "", "zz;q=x, ,;;;=,de"), "de"),
        (("", "", "../../etc/passwd"), "en"),
        (("", "", "de," * 10_000), "de"),
    ],
)
def test_the_language_is_the_one_that_is_wished_for(wishes: tuple[str, str, str], tag: str) -> None:
    assert Languages().best(*wishes).tag == tag


def test_braces_of_others_are_text() -> None:
    assert Language().say("{0.__class__} {x}") == "{0.__class__} {x}"
    assert Language().say("born {date}", date="{year}") == "born {year}"


def test_a_sentence_keeps_its_values_in_every_language() -> None:
    said = Sentence("The password is longer than {most} characters. Choose a shorter one.", most=256)
    assert "256 Zeichen" in Languages().best("de").say(said)
    assert str(said) == "The password is longer than 256 characters. Choose a shorter one."


async def test_an_app_wishes_a_language_for_its_person(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house, ui_locales="de")
    assert heading(page) == "Anmelden"
    assert '<html lang="de">' in page.text
    page = await sign_in(client, page)
    assert heading(page) == "Public App erlauben?"
    assert "Messwerte und Untersuchungsergebnisse" in page.text


async def test_the_browser_says_a_language_and_errors_are_in_it(client: httpx.AsyncClient, house: House) -> None:
    client.headers["Accept-Language"] = "hi-IN,en;q=0.5"
    page = await visit(client, house)
    assert '<html lang="hi">' in page.text
    page = await sign_in(client, page, password="wrong")
    assert "लॉगिन या पासवर्ड सही नहीं है।" in page.text
    page = await visit(client, house, client_id="nobody")
    assert "यह नहीं हो सका" in page.text
    assert "There is no client" in page.text


async def test_a_person_chooses_a_language_at_the_foot_of_a_page(client: httpx.AsyncClient, house: House) -> None:
    page = await visit(client, house, ui_locales="hi")
    links = dict(re.findall(r'href="(/auth/language\?to=(?:[a-z]+)[^"]*)" lang="([a-z]+)"', page.text))
    (german,) = [url for url, tag in links.items() if tag == "de"]
    response = await client.get(german.replace("&amp;", "&"))
    assert response.headers["Location"].startswith("/auth/continue?request=")
    page = await client.get(response.headers["Location"])
    assert heading(page) == "Anmelden"
    assert (
        "code="
        in (await send(client, forms(await sign_in(client, page))[0], ("decision", "allow"))).headers["location"]
    )


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/auth//evil.example", "/\\evil.example", "/auth/apps\r\nX: y", ""],
)
async def test_open_redirect_by_the_choice_of_a_language_is_refused(client: httpx.AsyncClient, back: str) -> None:
    response = await client.get("/auth/language", params={"to": "de", "back": back})
    assert response.headers["Location"] == "/auth/apps"


async def test_a_language_that_there_is_not_is_not_kept(client: httpx.AsyncClient) -> None:
    response = await client.get("/auth/language", params={"to": "xx", "back": "/auth/apps"})
    assert "language" not in response.headers.get("set-cookie", "")
