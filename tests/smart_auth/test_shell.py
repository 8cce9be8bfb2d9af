"""Tokens for the operator's shell."""

from dataclasses import replace

import pytest

from smart_auth import shell, tokens
from smart_auth.administration import Unacceptable
from smart_auth.records import Client, User
from tests.smart_auth.house import House


async def test_a_token_without_a_person_reaches_what_was_asked_for_an_hour(house: House) -> None:
    response = await shell.token(house.realm, "system/Patient.rs")
    assert (response["scope"], response["expires_in"]) == ("system/Patient.rs", 3600)
    found = await tokens.find(house.realm, response["access_token"])
    assert found
    assert found.user is None
    assert house.kinds[-1] == "token-issued"
    house.clock.pass_(hours=1)
    assert await tokens.find(house.realm, response["access_token"]) is None


async def test_a_token_of_a_person_is_for_a_patient_that_the_person_may_open(house: House) -> None:
    ann = await house.store.get(User, "u-ann")
    assert ann
    found = await tokens.find(house.realm, (await shell.token(house.realm, "patient/*.rs", ann, "ann"))["access_token"])
    assert found
    assert (found.context.patient, found.grant.fhir_user) == ("ann", "Patient/ann")
    with pytest.raises(Unacceptable, match="may not open"):
        await shell.token(house.realm, "patient/*.rs", ann, "bo")


@pytest.mark.parametrize(
    ("scope", "says"),
    [("user/*.rs", "name a person"), ("openid", "ask for system/"), ("system/Nothing.rs", "cannot be granted")],
)
async def test_what_cannot_be_granted_is_said(house: House, scope: str, says: str) -> None:
    with pytest.raises(Unacceptable, match=says):
        await shell.token(house.realm, scope)


async def test_patient_scopes_need_a_patient(house: House) -> None:
    with pytest.raises(Unacceptable, match="Name the patient"):
        await shell.token(house.realm, "patient/*.rs", await house.store.get(User, "u-ann"))


async def test_the_client_of_these_tokens_can_be_disabled_and_can_do_nothing_over_the_network(house: House) -> None:
    await shell.token(house.realm, "system/*.rs")
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_id": shell.CLIENT}
    assert (await house.token(form)).status in {400, 401}
    client = await house.store.get(Client, shell.CLIENT)
    assert client
    await house.store.swap(client, replace(client, disabled=True), felt=True)
    with pytest.raises(Unacceptable, match="is disabled"):
        await shell.token(house.realm, "system/*.rs")
