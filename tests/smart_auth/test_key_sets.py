"""Public keys of clients."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from smart_auth.key_sets import Document, KeySets, Unfetched, candidates, fault, stay
from tests.smart_auth.apps import ec, key_set, rsa
from tests.smart_auth.clock import Clock

URL = "https://app.example/jwks"


def test_public_keys_can_be_registered() -> None:
    assert fault(key_set(rsa(), ec(), ec("e2", "P-256"))) == ""


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "not empty"),
        ({"keys": []}, "not empty"),
        ({"keys": [1]}, "needs a 'kid'"),
        ({"keys": [{"kty": "RSA"}]}, "needs a 'kid'"),
        (key_set(rsa(), rsa()), "same 'kid'"),
        ({"keys": [dict(rsa().as_dict(private=True))]}, "private or symmetric"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "k"}]}, "private or symmetric"),
        ({"keys": [{"kty": "RSA", "kid": "small", "n": "f" * 171, "e": "AQAB"}]}, "1023 bits"),
        (key_set(ec("e5", "P-521")), "P-256 or P-384"),
        ({"keys": [{"kty": "RSA", "kid": "x", "n": "!", "e": "AQAB"}]}, "is not a public RSA key"),
        ({"keys": [{"kty": "EC", "kid": "x", "crv": "P-256", "x": "AA", "y": "AA"}]}, "is not a public RSA key"),
        ({"keys": [{"kty": "RSA", "kid": f"{number}"} for number in range(21)]}, "more than 20"),
    ],
)
def test_a_key_set_that_cannot_be_registered_is_refused_with_a_reason(value: Any, says: str) -> None:
    assert says in fault(value)


def test_only_keys_that_fit_the_header_are_candidates() -> None:
    keys = key_set(rsa("same"), ec("e1"))
    assert len(candidates(keys, "same", "RS384")) == 1
    assert candidates(keys, "same", "ES384") == []
    assert candidates(keys, "other", "RS384") == []
    assert candidates(key_set(ec("e1", "P-256")), "e1", "ES384") == []
    assert candidates(key_set(rsa(), use="enc"), "r1", "RS384") == []
    assert candidates(key_set(rsa(), alg="RS256"), "r1", "RS384") == []
    assert candidates({"keys": [{**key_set(rsa())["keys"][0], "key_ops": ["encrypt"]}]}, "r1", "RS384") == []


def test_two_keys_with_one_kid_are_two_candidates_so_neither_is_used() -> None:
    keys = {"keys": key_set(rsa())["keys"] + key_set(rsa("r1", 2056))["keys"]}
    assert len(candidates(keys, "r1", "RS384")) == 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("no-store", 0),
        ("max-age=60", 60),
        ("public, max-age=60", 60),
        ("max-age=60, no-store", 0),
        ("s-maxage=60", 0),
        ("MAX-AGE=99999999", 3600),
        ("max-age=junk", 0),
    ],
)
def test_a_key_set_stays_no_longer_than_its_owner_allows(header: str, seconds: int) -> None:
    assert stay(header) == timedelta(seconds=seconds)


class Origin:
    def __init__(self, cache_control: str) -> None:
        self.keys = key_set(rsa())
        self.cache_control = cache_control
        self.fetched = 0

    async def __call__(self, url: str) -> Document:
        self.fetched += 1
        return Document(self.keys, self.cache_control)


async def test_a_key_set_is_fetched_again_when_its_time_is_over() -> None:
    clock, origin = Clock(), Origin("max-age=60")
    sets = KeySets(origin, clock)
    for _ in range(3):
        assert await sets.find(URL, "r1", "RS384")
    assert origin.fetched == 1
    clock.pass_(seconds=60)
    assert await sets.find(URL, "r1", "RS384")
    assert origin.fetched == 2


async def test_a_new_key_is_found_at_once_and_unknown_kids_do_not_hammer_the_client() -> None:
    clock, origin = Clock(), Origin("max-age=3600")
    sets = KeySets(origin, clock)
    await sets.find(URL, "r1", "RS384")
    for number in range(50):
        assert await sets.find(URL, f"made-up-{number}", "RS384") == []
    assert origin.fetched == 1
    origin.keys = key_set(rsa("r2"))
    clock.pass_(seconds=11)
    assert await sets.find(URL, "r2", "RS384")
    assert origin.fetched == 2


async def test_a_withdrawn_key_is_gone_when_the_stay_is_over() -> None:
    clock, origin = Clock(), Origin("max-age=60")
    sets = KeySets(origin, clock)
    await sets.find(URL, "r1", "RS384")
    origin.keys = key_set(rsa("r2"))
    clock.pass_(seconds=61)
    assert await sets.find(URL, "r1", "RS384") == []


async def test_assertions_at_the_same_moment_call_the_client_once() -> None:
    origin, going = Origin("no-store"), asyncio.Event()

    async def slow(url: str) -> Document:
        await going.wait()
        return await origin(url)

    sets = KeySets(slow, Clock())
    asked = [asyncio.ensure_future(sets.find(URL, "r1", "RS384")) for _ in range(20)]
    await asyncio.sleep(0)
    asked[0].cancel()
    going.set()
    assert all(len(found) == 1 for found in await asyncio.gather(*asked[1:]))
    assert origin.fetched == 1
    assert await sets.find(URL, "r1", "RS384")
    assert origin.fetched == 2


async def test_a_fetch_that_failed_fails_for_all_who_waited_and_is_tried_again() -> None:
    async def broken(url: str) -> Document:
        await asyncio.sleep(0)
        raise Unfetched("Nothing there.")

    sets = KeySets(broken, Clock())
    for _ in range(2):
        found = await asyncio.gather(*(sets.find(URL, "r1", "RS384") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(one, Unfetched) for one in found)
