"""Signing in, and the attacks on it."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pyotp
import pytest

from smart_auth import people, sessions, throttle
from smart_auth.errors import OAuthError
from smart_auth.exchange import Request
from smart_auth.people import SignInFailed
from smart_auth.realm import Policy
from smart_auth.records import User
from tests.smart_auth.house import BASE, ISSUER, PASSWORD, House, posted

HERE, ELSEWHERE = posted({}), Request(address="198.51.100.7")
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


async def user(house: House, user_id: str = "u-ann") -> User:
    found = await house.store.get(User, user_id)
    assert found
    return found


async def wrong(house: House, request: Request = HERE, login: str = "ann", times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(SignInFailed):
            await people.sign_in(house.realm, request, login, "wrong password")


async def test_a_person_signs_in_however_the_login_is_written(house: House) -> None:
    for login in ("ann", "ANN ", "\uff41nn"):
        proof = await people.sign_in(house.realm, HERE, login, PASSWORD)
        assert (proof.user.id, proof.needs_digits, proof.must_enrol) == ("u-ann", False, False)


async def test_user_enumeration_by_text_finds_no_difference(house: House) -> None:
    await house.disable_user("u-bo")
    said = set()
    for login, password in (("nobody", PASSWORD), ("ann", "wrong"), ("bo", PASSWORD)):
        with pytest.raises(SignInFailed) as caught:
            await people.sign_in(house.realm, HERE, login, password)
        said.add(str(caught.value))
    assert said == {people.WRONG}


async def test_user_enumeration_by_lock_out_finds_no_difference(house: House) -> None:
    for login in ("ann", "nobody"):
        await wrong(house, login=login, times=5)
        with pytest.raises(OAuthError, match="slow_down"):
            await people.sign_in(house.realm, HERE, login, PASSWORD)


async def test_brute_force_waits_twice_as_long_each_time(house: House) -> None:
    await wrong(house, times=5)
    for seconds in (2, 4, 8, 16):
        house.clock.pass_(seconds=seconds - 1)
        with pytest.raises(OAuthError) as caught:
            await people.sign_in(house.realm, HERE, "ann", PASSWORD)
        assert caught.value.headers["Retry-After"] in {"1", "2"}
        house.clock.pass_(seconds=1)
        await wrong(house)
    assert "locked-out" in house.kinds


async def test_locking_out_somebody_else_from_another_network_fails(house: House) -> None:
    await wrong(house, ELSEWHERE, times=5)
    assert (await people.sign_in(house.realm, HERE, "ann", PASSWORD)).user.id == "u-ann"


async def test_locking_out_somebody_else_from_many_networks_fails_in_a_known_browser(house: House) -> None:
    for number in range(100):
        await wrong(house, Request(address=f"203.0.113.{number}"))
    with pytest.raises(OAuthError, match="slow_down"):
        await people.sign_in(house.realm, HERE, "ann", PASSWORD)
    cookie = people.device(house.realm, await user(house))
    assert people.is_device(house.realm, "Ann", cookie)
    assert await people.sign_in(house.realm, HERE, "ann", PASSWORD, known=True)


async def test_a_device_cookie_is_of_one_person_and_cannot_be_made_up(house: House) -> None:
    cookie = people.device(house.realm, await user(house))
    assert not people.is_device(house.realm, "bo", cookie)
    assert not people.is_device(house.realm, "ann", "x" * 43)
    assert not people.is_device(house.realm, "ann", "")


async def test_password_spraying_from_one_network_is_slowed_down(house: House) -> None:
    for number in range(50):
        await wrong(house, login=f"user-{number}")
    with pytest.raises(OAuthError, match="slow_down"):
        await people.sign_in(house.realm, HERE, "ann", PASSWORD)
    assert await people.sign_in(house.realm, ELSEWHERE, "ann", PASSWORD)


async def test_locking_out_somebody_else_from_the_many_networks_of_one_ipv6_site_fails(house: House) -> None:
    for number in range(200):
        address = f"2001:db8:1:{number:x}::1"
        with suppress(OAuthError, SignInFailed):
            await people.sign_in(house.realm, Request(address=address), "ann", "wrong wrong wrong")
    assert (await people.sign_in(house.realm, HERE, "ann", PASSWORD)).user.id == "u-ann"


async def test_an_ipv6_subscriber_is_one_network_and_one_site() -> None:
    assert throttle.site("2001:db8::1") == throttle.site("2001:db8:0:ffff::1") != throttle.site("2001:db8:1::1")
    assert throttle.network("2001:db8::1") == throttle.network("2001:db8::ffff:1")
    assert throttle.network("2001:db8:0:1::1") != throttle.network("2001:db8::1")
    assert throttle.network("::ffff:192.0.2.1") == throttle.network("192.0.2.1")
    assert throttle.network("junk") == "unknown"


@pytest.mark.parametrize(("kind", "must"), [("patient", False), ("staff", True), ("administrator", True)])
async def test_staff_must_have_a_second_factor(kind: str, must: bool) -> None:
    house = await House.built(Policy(ISSUER, BASE))
    ann = await user(house)
    await house.store.swap(ann, replace(ann, kind=kind)) if kind != "patient" else None  # type: ignore[arg-type]
    assert (await people.sign_in(house.realm, HERE, "ann", PASSWORD)).must_enrol is must


async def test_a_second_factor_is_enrolled_with_its_first_digits_and_then_asked_for(house: House) -> None:
    digits = pyotp.TOTP(SECRET).at(house.clock())
    with pytest.raises(SignInFailed):
        await people.enrol(house.realm, HERE, await user(house), SECRET, "000000")
    await people.enrol(house.realm, HERE, await user(house), SECRET, digits)
    proof = await people.sign_in(house.realm, HERE, "ann", PASSWORD)
    assert proof.needs_digits
    with pytest.raises(SignInFailed):
        await people.second_factor(house.realm, HERE, proof.user, digits)
    house.clock.pass_(seconds=30)
    assert await people.second_factor(house.realm, HERE, proof.user, pyotp.TOTP(SECRET).at(house.clock()))


async def test_a_second_factor_that_is_there_cannot_be_replaced_by_who_knows_the_password(house: House) -> None:
    await people.enrol(house.realm, HERE, await user(house), SECRET, pyotp.TOTP(SECRET).at(house.clock()))
    other = pyotp.random_base32()
    with pytest.raises(SignInFailed):
        await people.enrol(house.realm, HERE, await user(house), other, pyotp.TOTP(other).at(house.clock()))


async def test_digits_are_accepted_once_even_at_the_same_moment(house: House) -> None:
    ann = await user(house)
    with_factor = replace(ann, totp=SECRET)
    await house.store.swap(ann, with_factor)
    digits = pyotp.TOTP(SECRET).at(house.clock())
    results = await asyncio.gather(
        *(people.second_factor(house.realm, HERE, with_factor, digits) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, User) for result in results) == 1


async def test_brute_force_of_digits_is_slowed_down(house: House) -> None:
    ann = replace(await user(house), totp=SECRET)
    for _ in range(5):
        with pytest.raises(SignInFailed):
            await people.second_factor(house.realm, HERE, ann, "000000")
    with pytest.raises(OAuthError, match="slow_down"):
        await people.second_factor(house.realm, HERE, ann, pyotp.TOTP(SECRET).at(house.clock()))


async def test_an_invitation_sets_a_password_once_and_ends_what_was_before(house: House) -> None:
    session, ann = await house.signed_in()
    first = await house.offline()
    house.clock.pass_(seconds=1)
    link = await people.invite(house.realm, ann)
    with pytest.raises(SignInFailed, match="12 or more"):
        await people.choose_password(house.realm, HERE, link, "short")
    await people.choose_password(house.realm, HERE, link, "another four words here")
    with pytest.raises(SignInFailed, match="not valid"):
        await people.choose_password(house.realm, HERE, link, "another four words here")
    assert await people.sign_in(house.realm, HERE, "ann", "another four words here")
    assert (await house.refresh(first["refresh_token"])).status == 400
    assert session.ended is None


async def test_an_invitation_ends_after_a_day(house: House) -> None:
    link = await people.invite(house.realm, await user(house))
    house.clock.pass_(days=1)
    with pytest.raises(SignInFailed, match="not valid"):
        await people.choose_password(house.realm, HERE, link, "another four words here")


async def test_a_session_ends_by_sign_out_idleness_age_and_new_password(house: House) -> None:
    ann = await user(house)
    secret, session = await sessions.begin(house.realm, ann, ("pwd",))
    found = await sessions.current(house.realm, secret)
    assert found
    await sessions.end(house.realm, found[0])
    assert await sessions.current(house.realm, secret) is None
    idle, _ = await sessions.begin(house.realm, ann, ("pwd",))
    house.clock.pass_(minutes=30)
    assert await sessions.current(house.realm, idle) is None
    old, _ = await sessions.begin(house.realm, ann, ("pwd",))
    for _ in range(25):
        house.clock.pass_(minutes=29)
        last = await sessions.current(house.realm, old)
    assert last is None
    changed, _ = await sessions.begin(house.realm, ann, ("pwd",))
    house.clock.pass_(seconds=1)
    await house.store.swap(ann, replace(ann, credentials_changed=house.clock()))
    assert await sessions.current(house.realm, changed) is None
    assert session.factors == ("pwd",)
