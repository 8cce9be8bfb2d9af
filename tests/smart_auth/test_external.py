"""Tokens of another issuer, and the attacks on them."""

from datetime import timedelta
from typing import Any

import pytest

from smart_auth.errors import OAuthError
from smart_auth.external import External, Issuer
from smart_auth.key_sets import Document, KeySets, Unfetched
from tests.smart_auth.apps import assertion, ec, key_set, rsa
from tests.smart_auth.clock import START
from tests.smart_auth.house import BASE, House

ISSUER = "https://idp.example/realms/a"


class Idp:
    def __init__(self, house: House) -> None:
        self.house = house
        self.fetched = 0
        self.keys: Any = key_set(rsa(), ec())
        sets = KeySets(self.fetch, house.clock, timedelta(minutes=5))
        self.external = External(Issuer(ISSUER, f"{ISSUER}/certs"), house.realm, sets)

    async def fetch(self, url: str) -> Document:
        self.fetched += 1
        if self.keys is None:
            raise Unfetched("gone")
        return Document(self.keys)

    def token(self, key: Any = None, **more: Any) -> str:
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "42",
            "aud": BASE,
            "client_id": "app",
            "scope": "openid patient/*.rs",
            "patient": "ann",
            "fhirUser": f"{BASE}/Patient/ann",
            "iat": int(START.timestamp()),
        }
        return assertion("", key or rsa(), START, **(claims | more))

    async def refused(self, text: str) -> str:
        with pytest.raises(OAuthError) as caught:
            await self.external.check(text)
        assert caught.value.code == "invalid_token"
        return caught.value.description


@pytest.fixture
def idp(house: House) -> Idp:
    return Idp(house)


async def test_a_token_of_the_issuer_is_believed(idp: Idp) -> None:
    for key in (rsa(), ec()):
        bearer = await idp.external.check(idp.token(key))
        assert bearer.user
        assert (bearer.user.kind, bearer.user.id) == ("patient", f"{ISSUER}#42")
        assert [link.patient for link in bearer.user.links] == ["ann"]
        assert (bearer.context.patient, bearer.grant.fhir_user, bearer.token.client_id) == ("ann", "Patient/ann", "app")
        assert bearer.scopes.text == "openid patient/*.rs"
    assert idp.fetched == 1


async def test_staff_and_systems_are_told_apart(idp: Idp) -> None:
    staff = await idp.external.check(idp.token(fhirUser="Practitioner/grey"))
    assert staff.user
    assert staff.user.kind == "staff"
    system = await idp.external.check(idp.token(fhirUser=None, scope="system/*.rs", patient=None))
    assert system.user is None


async def test_a_token_claims_an_issuer_before_it_is_believed(idp: Idp) -> None:
    assert idp.external.is_theirs(idp.token())
    for text in (idp.token(iss="https://other.example"), "aqa_opaque", "a.b.c", "", "." * 20_000):
        assert not idp.external.is_theirs(text)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": ISSUER + "/"}, "another issuer"),
        ({"aud": "https://other.example/fhir"}, "another server"),
        ({"aud": "app"}, "another server"),
        ({"aud": None}, "another server"),
        ({"aud": [1, {}]}, "another server"),
        ({"exp": None}, "expired"),
        ({"exp": int(START.timestamp()) - 61}, "expired"),
        ({"exp": "later"}, "expired"),
        ({"iat": int(START.timestamp()) + 120}, "future"),
        ({"nbf": int(START.timestamp()) + 120}, "future"),
        ({"header": {"typ": "logout+jwt"}}, "not an access token"),
        ({"header": {"kid": "unknown"}}, "not one of the issuer"),
        ({"header": {"kid": None}}, "signs"),
        ({"algorithm": "PS384"}, "signs"),
    ],
)
async def test_mix_up_a_token_that_is_not_meant_for_now_and_here_is_refused(
    idp: Idp, more: dict[str, Any], says: str
) -> None:
    assert says in await idp.refused(idp.token(**more))


async def test_algorithm_confusion_and_forged_keys_are_refused(idp: Idp) -> None:
    head, body, signature = idp.token().split(".")
    none = "eyJhbGciOiJub25lIiwia2lkIjoicjEifQ"
    assert "signs" in await idp.refused(f"{none}.{body}.")
    assert "signature" in await idp.refused(idp.token(rsa("thief"), header={"kid": "r1"}))
    assert "signature" in await idp.refused(f"{head}.{body[:-2]}AA.{signature}")


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "." * 20_000, "\ud800.\ud800.\ud800"])
async def test_what_is_no_token_is_refused(idp: Idp, text: str) -> None:
    await idp.refused(text)


async def test_keys_that_cannot_be_had_refuse_and_do_not_fail(idp: Idp) -> None:
    idp.keys = None
    assert "cannot be had" in await idp.refused(idp.token())


async def test_a_token_of_years_is_looked_at_again_within_an_hour(idp: Idp) -> None:
    bearer = await idp.external.check(idp.token(exp=int(START.timestamp()) + 10**8))
    assert bearer.token.expires == START + timedelta(hours=1)


async def test_an_issuer_that_signs_with_secrets_cannot_be_named(house: House) -> None:
    with pytest.raises(ValueError, match="HS256"):
        External(Issuer(ISSUER, ISSUER, frozenset({"HS256"})), house.realm, house.realm.key_sets)


@pytest.mark.parametrize("where", ["https://other.example/fhir", "https://evil.example/x?https:", f"{BASE}/nested"])
async def test_somebody_of_another_server_with_the_id_of_somebody_here(idp: Idp, where: str) -> None:
    for person in ("Patient/ann", "Practitioner/grey"):
        bearer = await idp.external.check(idp.token(fhirUser=f"{where}/{person}", scope="user/*.rs system/*.rs"))
        assert bearer.user is None
        assert bearer.grant.fhir_user == ""
        assert "system" not in bearer.scopes.contexts()


async def test_a_person_without_subject_is_no_system(idp: Idp) -> None:
    bearer = await idp.external.check(idp.token(sub=None, scope="system/*.rs patient/*.rs"))
    assert bearer.scopes.contexts() == {"patient"}
