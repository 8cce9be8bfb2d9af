"""What an administrator does with people."""

from dataclasses import replace
from typing import Any

import pytest

from smart_auth import accounts, people, sessions, tokens
from smart_auth.accounts import NewUser
from smart_auth.administration import Unacceptable
from smart_auth.messages import Undelivered
from smart_auth.people import SignInFailed
from smart_auth.records import Link, User
from tests.smart_auth.house import PASSWORD, House, posted

HERE = posted({})
NEW = "four quiet owls dancing"


async def person(house: House, user_id: str = "u-ann") -> User:
    found = await house.store.get(User, user_id)
    assert found
    return found


async def test_a_person_is_added_with_a_password(house: House) -> None:
    user = await accounts.add(house.realm, NewUser("New@X.org", " New  Person ", "patient", password=NEW))
    assert (user.login, user.name) == ("new@x.org", "New Person")
    assert await people.sign_in(house.realm, HERE, "new@x.org", NEW)


async def test_a_person_is_invited_by_a_letter_and_chooses_a_password(house: House) -> None:
    await accounts.add(house.realm, NewUser("new", "New", "staff", [Link("Practitioner/1")], "new@x.org"))
    assert await accounts.invite(house.realm, "NEW") == "new@x.org"
    (letter,) = house.letterbox.letters
    assert (letter.kind, letter.to) == ("invitation", "new@x.org")
    assert "Your login is: new\n" in letter.text
    assert "until 22 November 2026, 08:00 UTC" in letter.text
    await people.choose_password(house.realm, HERE, house.letterbox.link(), NEW)
    assert await people.sign_in(house.realm, HERE, "new", NEW)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"login": "ANN"}, "taken"),
        ({"login": ""}, "1 to 200"),
        ({"login": "a b"}, "no spaces"),
        ({"name": " "}, "A name has"),
        ({"name": "x\u202ey"}, "printable"),
        ({"email": "x\r\nBcc: y@z"}, "is not an e-mail address"),
        ({"password": "short"}, "12 or more"),
        ({"links": [Link("Organization/1")]}, "none of Patient, Person, RelatedPerson"),
        ({"links": [Link("Practitioner/1")]}, "person of kind patient"),
        ({"kind": "staff", "links": [Link("Patient/1")]}, "person of kind staff"),
        ({"links": [Link("Patient/../1")]}, "is none of"),
        ({"links": [Link("RelatedPerson/1")]}, "for which"),
    ],
)
async def test_a_person_who_cannot_be_added_is_refused_with_a_reason(
    house: House, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unacceptable, match=says):
        await accounts.add(house.realm, NewUser(**({"login": "x", "name": "X", "kind": "patient"} | more)))


async def test_a_patient_is_linked_to_the_own_record_and_to_those_of_others_once(house: House) -> None:
    for _ in range(2):
        user = await accounts.link(house.realm, "ann", [Link("RelatedPerson/r", "cy"), Link("Patient/x")])
    assert user.links == (Link("Patient/ann", "ann"), Link("RelatedPerson/r", "cy"), Link("Patient/x", "x"))
    with pytest.raises(Unacceptable, match="nobody"):
        await accounts.link(house.realm, "nobody", [])


async def test_a_link_that_is_taken_back_ends_what_was_granted_for_that_patient_alone(house: House) -> None:
    asking = house.asking(scope="patient/*.rs launch/patient openid fhirUser")
    own, other = [
        (await house.redeem(await house.code(asking, "u-bo", patient=patient))).body["access_token"]
        for patient in ("bo", "ann")
    ]
    await accounts.unlink(house.realm, "bo", {"RelatedPerson/bo-ann"})
    assert await tokens.find(house.realm, own)
    assert await tokens.find(house.realm, other) is None
    with pytest.raises(Unacceptable, match="not linked to RelatedPerson/bo-ann, but to Patient/bo"):
        await accounts.unlink(house.realm, "bo", {"RelatedPerson/bo-ann"})


async def test_a_disabled_person_is_out_at_once_and_enabled_without_what_was_before(house: House) -> None:
    first = await house.offline()
    secret, _ = await sessions.begin(house.realm, await person(house), ("pwd",))
    house.clock.pass_(seconds=1)
    await accounts.disable(house.realm, "ann")
    assert (await house.refresh(first["refresh_token"])).status == 400
    with pytest.raises(SignInFailed):
        await people.sign_in(house.realm, HERE, "ann", PASSWORD)
    with pytest.raises(Unacceptable, match="Enable it first"):
        await accounts.help_in(house.realm, "ann", "letter")
    await accounts.enable(house.realm, "ann")
    assert await sessions.current(house.realm, secret) is None
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert await people.sign_in(house.realm, HERE, "ann", PASSWORD)


async def test_a_person_is_helped_in_by_a_letter_or_by_a_link_to_hand_over(house: House) -> None:
    assert await accounts.help_in(house.realm, "ann", "letter") == "ann@mail.example"
    assert house.letterbox.letters[-1].kind == "reset"
    url = await accounts.help_in(house.realm, "bo", "link")
    assert url.startswith("https://a.example/auth/password?link=")
    house.clock.pass_(seconds=1)
    await people.choose_password(house.realm, HERE, url.partition("=")[2], NEW)
    assert await people.sign_in(house.realm, HERE, "bo", NEW)
    with pytest.raises(Unacceptable, match="no e-mail address"):
        await accounts.help_in(house.realm, "bo", "letter")


async def test_a_letter_that_is_not_taken_is_said_to_the_administrator(house: House) -> None:
    house.letterbox.broken = True
    with pytest.raises(Undelivered):
        await accounts.invite(house.realm, "ann")


async def test_a_password_that_is_set_ends_what_was_before_and_the_person_is_told(house: House) -> None:
    first = await house.offline()
    house.clock.pass_(seconds=1)
    await accounts.set_password(house.realm, "ann", NEW)
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert await people.sign_in(house.realm, HERE, "ann", NEW)
    assert house.letterbox.letters[-1].kind == "notice"
    house.letterbox.broken = True
    await accounts.set_password(house.realm, "ann", PASSWORD)
    assert await people.sign_in(house.realm, HERE, "ann", PASSWORD)


async def test_a_second_factor_is_removed_by_an_administrator_and_the_person_is_told(house: House) -> None:
    ann = await person(house)
    await house.store.swap(ann, replace(ann, totp="GEZDGNBVGY3TQOJQ", totp_last=5))
    secret, _ = await sessions.begin(house.realm, ann, ("pwd", "otp"))
    house.clock.pass_(seconds=1)
    assert (await accounts.remove_second_factor(house.realm, "ann")).totp == ""
    assert await sessions.current(house.realm, secret) is None
    assert "removed" in house.letterbox.letters[-1].subject
    await accounts.remove_second_factor(house.realm, "ann")
    assert len(house.letterbox.letters) == 1


async def test_another_address_is_told_to_the_one_of_before(house: House) -> None:
    assert (await accounts.change(house.realm, "ann", name="Ann B. Lee")).name == "Ann B. Lee"
    assert house.letterbox.letters == []
    assert (await accounts.change(house.realm, "ann", email="eve@mail.example")).email == "eve@mail.example"
    (letter,) = house.letterbox.letters
    assert (letter.to, letter.subject) == ("ann@mail.example", "Your e-mail address was changed (Aquifer)")
    assert await accounts.change(house.realm, "ann") == await person(house)
    with pytest.raises(Unacceptable, match="is not an e-mail address"):
        await accounts.change(house.realm, "ann", email="x")


async def test_the_audit_trail_says_what_was_changed_and_not_to_what(house: House) -> None:
    await accounts.change(house.realm, "ann", name="Secret Name", email="eve@mail.example")
    (event,) = [one for one in house.store.events if one.kind == "user-changed"]  # type: ignore[attr-defined]
    assert event.detail == {"changed": "name email"}


async def test_people_are_listed_by_kind(house: House) -> None:
    assert [user.login for user in await accounts.every(house.realm, "staff")] == ["doc", "two"]
    assert [user.login for user in await accounts.every(house.realm)] == ["ann", "bo", "doc", "two"]
