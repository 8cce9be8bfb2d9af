"""Forgotten passwords."""

from dataclasses import replace

import pytest

from smart_auth import letters, people, recovery
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request
from smart_auth.messages import Message, Undelivered
from smart_auth.people import SignInFailed
from smart_auth.records import User
from tests.smart_auth.house import House, posted

HERE = posted({})
NEW = "another four words here"


async def person(house: House, user_id: str = "u-ann") -> User:
    found = await house.store.get(User, user_id)
    assert found
    return found


async def test_a_letter_with_a_link_lets_a_person_choose_another_password_once(house: House) -> None:
    house.clock.pass_(seconds=1)
    await recovery.send_link(house.realm, HERE, " ANN ")
    (letter,) = house.letterbox.letters
    assert (letter.kind, letter.to) == ("reset", "ann@mail.example")
    assert "until 21 November 2026, 08:30 UTC" in letter.text
    link = house.letterbox.link()
    await people.choose_password(house.realm, HERE, link, NEW)
    assert await people.sign_in(house.realm, HERE, "ann", NEW)
    with pytest.raises(SignInFailed, match="not valid"):
        await people.choose_password(house.realm, HERE, link, "yet another four words")
    assert house.kinds.count("reset-asked") == 1


async def test_a_link_of_a_letter_ends_after_half_an_hour(house: House) -> None:
    await recovery.send_link(house.realm, HERE, "ann")
    house.clock.pass_(minutes=30)
    with pytest.raises(SignInFailed, match="not valid"):
        await people.choose_password(house.realm, HERE, house.letterbox.link(), NEW)


async def test_of_several_links_one_is_used_and_the_others_are_void(house: House) -> None:
    await recovery.send_link(house.realm, HERE, "ann")
    first = house.letterbox.link()
    await recovery.send_link(house.realm, HERE, "ann")
    house.clock.pass_(seconds=1)
    await people.choose_password(house.realm, HERE, house.letterbox.link(), NEW)
    with pytest.raises(SignInFailed, match="not valid"):
        await people.choose_password(house.realm, HERE, first, "yet another four words")


async def test_nobody_is_written_who_is_unknown_disabled_or_without_an_address(house: House) -> None:
    ann = await person(house)
    await house.store.swap(ann, replace(ann, disabled=True))
    for login in ("nobody", "ann", "bo", "", "x" * 1000):
        await recovery.send_link(house.realm, HERE, login)
    assert house.letterbox.letters == []
    assert house.kinds.count("reset-asked") == 5


async def test_filling_the_mailbox_of_somebody_ends_after_three_letters_an_hour(house: House) -> None:
    for _ in range(5):
        await recovery.send_link(house.realm, HERE, "ann")
    assert len(house.letterbox.letters) == 3
    house.clock.pass_(hours=1)
    await recovery.send_link(house.realm, HERE, "ann")
    assert len(house.letterbox.letters) == 4


async def test_one_network_asks_for_twenty_letters_an_hour(house: House) -> None:
    for _ in range(20):
        await recovery.admit(house.realm, HERE)
    with pytest.raises(OAuthError, match="slow_down") as caught:
        await recovery.admit(house.realm, HERE)
    assert caught.value.status == 429
    await recovery.admit(house.realm, Request(address="198.51.100.7"))


async def test_a_letter_that_is_not_taken_is_in_the_audit_trail(house: House) -> None:
    house.letterbox.broken = True
    with pytest.raises(Undelivered):
        await recovery.send_link(house.realm, HERE, "ann")
    assert house.kinds[-1] == "message-failed"


async def test_letters_say_what_happened_when_and_what_to_do(house: House) -> None:
    ann = await person(house)
    made: list[Message] = [
        letters.password_set(house.realm, ann),
        letters.second_factor_set(house.realm, ann),
        letters.second_factor_removed(house.realm, ann),
        letters.invitation(house.realm, ann, "s3cret", house.clock()),
    ]
    for letter in made:
        assert letter.text.startswith("Hello Ann Lee,\n\n")
        assert "21 November 2026, 08:00 UTC" in letter.text
        assert "s3cret" not in repr(letter)
    assert all("tell the people who run Aquifer at once" in letter.text for letter in made[:3])
    assert "https://a.example/auth/password?link=s3cret\n" in made[3].text
