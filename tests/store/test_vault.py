"""Secrets that must be kept whole, in the database of a deployment with a secret and of one without."""

from dataclasses import replace
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.model.errors import Unavailable
from fhir_server.store.authorization import Authorization
from fhir_server.store.vault import MARK, Vault
from smart_auth import keys
from smart_auth.records import Key, User
from tests.smart_auth.clock import START

SECRET = b"a secret of the deployment, long enough"
KEY = keys.new(START, "signing")
USER = User("u", "ann", "Ann", "patient", START, totp="JBSWY3DPEHPK3PXP")


def test_a_text_is_opened_with_the_same_secret_at_the_same_place_only() -> None:
    vault = Vault.of(SECRET)
    kept = vault.close("text", "Key/1/private")
    assert kept.startswith(MARK)
    assert "text" not in kept
    assert vault.open(kept, "Key/1/private") == "text"
    for other, place in (
        (vault, "Key/2/private"),
        (Vault.of(SECRET + b"!"), "Key/1/private"),
        (Vault(), "Key/1/private"),
    ):
        with pytest.raises(Unavailable, match=r"auth\.secret"):
            other.open(kept, place)
    with pytest.raises(Unavailable):
        vault.open(kept[:-4] + "AAA=", "Key/1/private")


def test_the_same_text_can_be_compared() -> None:
    assert Vault.of(SECRET).close("text", "p") == Vault.of(SECRET).close("text", "p")
    assert Vault.of(SECRET).close("text", "p") != Vault.of(SECRET).close("text", "q")
    assert Vault.of(SECRET).close("", "p") == ""


def test_a_short_secret_is_refused_with_a_reason() -> None:
    with pytest.raises(ValueError, match="32 or more"):
        Vault.of(b"short")


async def test_the_database_holds_neither_private_keys_nor_second_factors(
    database: AsyncDatabase[dict[str, Any]],
) -> None:
    store = Authorization(database, SECRET)
    assert await store.add(KEY)
    assert await store.add(USER)
    text = str([await database[name].find({}).to_list() for name in ("auth_key", "auth_user")])
    assert USER.totp not in text
    for member in ("d", "p", "q"):
        assert KEY.private[member] not in text
    assert await store.get(Key, KEY.id) == KEY
    assert await store.find(Key, state="signing") == [KEY]
    assert await store.get(User, "u") == USER
    with pytest.raises(Unavailable, match=r"auth\.secret"):
        await Authorization(database).get(Key, KEY.id)


async def test_a_second_factor_is_swapped_by_one_whether_it_was_closed_or_not(
    database: AsyncDatabase[dict[str, Any]],
) -> None:
    await Authorization(database).add(USER)
    store = Authorization(database, SECRET)
    there = await store.get(User, "u")
    assert there == USER
    another = replace(USER, totp="KRUGKIDROVUWG2ZA")
    assert await store.swap(USER, another)
    assert not await store.swap(USER, replace(USER, totp="AAAA"))
    assert await store.swap(another, USER)
    assert USER.totp not in str(await database["auth_user"].find({}).to_list())
