"""The token endpoint, and the attacks on it."""

import asyncio
from base64 import b64encode
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from smart_auth import discovery, token_endpoint, tokens
from smart_auth.assertion import TYPE
from smart_auth.exchange import Answer, Request
from smart_auth.key_sets import Document, KeySets, Unfetched
from smart_auth.memory import MemoryStore
from smart_auth.realm import AT_ONCE
from smart_auth.records import Client
from smart_auth.store import R
from tests.smart_auth.apps import assertion, ec, rsa
from tests.smart_auth.house import BASE, CALLBACK, ISSUER, SECRET, VERIFIER, House


def refused(answer: Answer, code: str = "invalid_grant", status: int = 400) -> None:
    assert (answer.status, answer.body["error"]) == (status, code), answer.body
    assert answer.body["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"


def basic(client_id: str = "secret", secret: str = SECRET) -> dict[str, str]:
    text = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return {"authorization": "Basic " + b64encode(text.encode()).decode()}


def code_form(code: str, **more: str) -> dict[str, str]:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return {name: value for name, value in (form | more).items() if value}


async def bearer(house: House, text: str) -> tokens.Bearer | None:
    return await tokens.find(house.realm, text)


async def test_a_code_becomes_a_token_response(house: House) -> None:
    scope = "openid fhirUser launch/patient patient/Patient.read patient/Observation.rs offline_access"
    answer = await house.redeem(await house.code(house.asking(scope=scope, nonce="n-1")))
    assert answer.status == 200
    body = answer.body
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert isinstance(body["expires_in"], int)
    assert body["scope"] == scope
    assert body["patient"] == "ann"
    assert body["access_token"]
    assert body["refresh_token"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    found = await bearer(house, body["access_token"])
    assert found
    assert found.context.patient == "ann"
    assert "token-issued" in house.kinds


async def test_the_id_token_is_signed_with_rs256_and_says_who_and_for_whom(house: House) -> None:
    body = (await house.redeem(await house.code(house.asking(nonce="n-1")))).body
    published = await discovery.key_set(house.realm)
    token = jwt.decode(body["id_token"], KeySet.import_key_set(published), algorithms=["RS256"])  # type: ignore[arg-type]
    assert token.header["kid"] == published["keys"][0]["kid"]
    now = int(house.clock().timestamp())
    claims = token.claims
    assert len(claims.pop("at_hash")) == 22
    assert claims == {
        "iss": ISSUER,
        "sub": "u-ann",
        "aud": "public",
        "iat": now,
        "exp": now + 3600,
        "auth_time": now,
        "nonce": "n-1",
        "fhirUser": f"{BASE}/Patient/ann",
    }


async def test_a_proxy_is_named_as_the_related_person_of_the_patient(house: House) -> None:
    body = (await house.redeem(await house.code(user_id="u-bo", patient="ann"))).body
    found = await bearer(house, body["access_token"])
    assert found
    assert (found.grant.fhir_user, found.context.patient) == ("RelatedPerson/bo-ann", "ann")


async def test_no_refresh_token_without_a_scope_for_it(house: House) -> None:
    assert "refresh_token" not in (await house.redeem(await house.code())).body


@pytest.mark.parametrize("verifier", ["", " ", "w" * 43, "short", "v" * 44, "é" * 43])
@pytest.mark.parametrize("client_id", ["public", "secret"])
async def test_verifier_mismatch_is_refused_with_400(house: House, verifier: str, client_id: str) -> None:
    code = await house.code(house.asking(client_id))
    more = {"client_id": "public"} if client_id == "public" else {}
    answer = await house.token(code_form(code, code_verifier=verifier, **more), basic() if not more else {})
    assert answer.status == 400
    assert answer.body["error"] in {"invalid_grant", "invalid_request"}


async def test_the_challenge_is_no_verifier(house: House) -> None:
    code = await house.code()
    refused(await house.redeem(code, code_verifier=house.asking().one("code_challenge")))


async def test_code_replay_revokes_the_grant(house: House) -> None:
    scope = "patient/*.rs offline_access"
    code = await house.code(house.asking(scope=scope))
    body = (await house.redeem(code)).body
    refused(await house.redeem(code))
    assert await bearer(house, body["access_token"]) is None
    refused(await house.refresh(body["refresh_token"]))
    assert "code-replayed" in house.kinds


async def test_code_replay_under_concurrency_succeeds_once(house: House) -> None:
    code = await house.code()
    answers = await asyncio.gather(*(house.redeem(code) for _ in range(100)))
    assert sum(answer.status == 200 for answer in answers) == 1
    assert {answer.status for answer in answers} == {200, 400}


async def test_foreign_client_with_a_stolen_code_gets_nothing_and_uses_nothing_up(house: House) -> None:
    code = await house.code()
    refused(await house.redeem(code, "thief"))
    refused(await house.redeem(code, "thief", redirect_uri="https://thief.example/callback"))
    assert (await house.redeem(code)).status == 200


async def test_a_code_with_an_unknown_client_is_refused(house: House) -> None:
    refused(await house.redeem(await house.code(), "nobody"), "invalid_client", 401)


@pytest.mark.parametrize("uri", ["", "https://app.example/other", CALLBACK + "/", "com.example.app:/callback"])
async def test_another_redirect_uri_at_the_token_endpoint_is_refused(house: House, uri: str) -> None:
    refused(await house.redeem(await house.code(), redirect_uri=uri))


async def test_a_code_lives_a_minute(house: House) -> None:
    code = await house.code()
    house.clock.pass_(seconds=60)
    refused(await house.redeem(code))


@pytest.mark.parametrize("code", ["made-up", "\ud800", "x" * 60_000])
async def test_a_bad_code_is_refused_with_exactly_400(house: House, code: str) -> None:
    refused(await house.redeem(code))


async def test_a_missing_code_is_an_invalid_request(house: House) -> None:
    refused(await house.redeem(""), "invalid_request")


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", 'x"\\'])
async def test_an_unknown_grant_type_is_refused_with_exactly_400(house: House, grant_type: str) -> None:
    refused(await house.token({"grant_type": grant_type, "client_id": "public"}), "unsupported_grant_type")


async def test_a_missing_grant_type_is_an_invalid_request(house: House) -> None:
    refused(await house.token({"client_id": "public"}), "invalid_request")


async def test_a_secret_comes_by_header_or_form_and_never_both(house: House) -> None:
    asking = house.asking("secret")
    assert (await house.token(code_form(await house.code(asking)), basic())).status == 200
    form = code_form(await house.code(asking), client_id="secret", client_secret=SECRET)
    assert (await house.token(form)).status == 200
    refused(await house.token(form, basic()), "invalid_request")


async def test_two_proofs_at_once_are_refused(house: House) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house)}
    refused(await house.token(form, basic()), "invalid_request")


@pytest.mark.parametrize("secret", ["wrong", "\ud800"])
async def test_brute_force_of_a_secret_is_refused_and_slowed_down(house: House, secret: str) -> None:
    code = await house.code(house.asking("secret"))
    for _ in range(5):
        answer = await house.token(code_form(code, client_id="secret", client_secret=secret))
        refused(answer, "invalid_client", 401)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    answer = await house.token(code_form(code, client_id="secret", client_secret=secret))
    refused(answer, "slow_down", 429)
    assert int(answer.headers["Retry-After"]) >= 1
    house.clock.pass_(seconds=3)
    refused(await house.token(code_form(code, client_id="secret", client_secret=secret)), "invalid_client", 401)


async def test_locking_out_an_app_with_wrong_secrets_fails(house: House) -> None:
    code = await house.code(house.asking("secret"))
    for number in range(150):
        address = f"2001:db8:{number}::1" if number % 2 else "192.0.2.1"
        form = tuple(code_form(code, client_id="secret", client_secret="x" * 43).items())
        assert (await token_endpoint.respond(house.realm, Request(form, address=address))).status in {401, 429}
    assert (await house.token(code_form(code), basic())).status == 200


async def test_locking_out_a_backend_with_forged_assertions_fails(house: House) -> None:
    forged = {**signed(house), "client_assertion": signed(house)["client_assertion"][:-8] + "AAAAAAAA"}
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    for number in range(150):
        asked = Request(tuple({**form, **forged}.items()), address=f"2001:db8:{number}::1")
        assert (await token_endpoint.respond(house.realm, asked)).status in {400, 429}
    assert (await house.token({**form, **signed(house)})).status == 200


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic " + b64encode(b"\xff:\xff").decode(), "Digest x", "Bearer x"]
)
async def test_a_broken_authorization_header_is_refused(house: House, header: str) -> None:
    answer = await house.token(code_form("x"), {"authorization": header})
    assert (answer.status, answer.body["error"]) == (401, "invalid_client")


async def test_a_confidential_client_without_its_secret_is_refused(house: House) -> None:
    refused(await house.redeem(await house.code(house.asking("secret")), "secret"), "invalid_client", 401)


async def test_a_public_client_with_a_secret_is_refused(house: House) -> None:
    refused(await house.redeem(await house.code(), client_secret="x"), "invalid_client", 401)


async def test_a_client_with_keys_cannot_fall_back_to_nothing(house: House) -> None:
    refused(await house.redeem(await house.code(house.asking("keyed")), "keyed"), "invalid_client", 401)


async def test_a_repeated_parameter_is_refused(house: House) -> None:
    code = await house.code()
    pairs = (*code_form(code, client_id="public").items(), ("code", code))
    refused(await token_endpoint.respond(house.realm, Request(pairs)), "invalid_request")


async def test_an_oversized_request_is_refused(house: House) -> None:
    refused(await house.redeem(await house.code(), padding="x" * 70_000), "invalid_request")


def signed(house: House, client_id: str = "backend", key: Any = None, **claims: Any) -> dict[str, str]:
    aud = claims.pop("aud", f"{ISSUER}/token")
    text = assertion(client_id, key or rsa(), house.clock(), aud=aud, **claims)
    return {"client_assertion_type": TYPE, "client_assertion": text}


async def test_a_client_with_keys_redeems_and_refreshes(house: House) -> None:
    code = await house.code(house.asking("keyed", scope="patient/*.rs offline_access"))
    answer = await house.token({**code_form(code), **signed(house, "keyed")})
    assert answer.status == 200
    form = {"grant_type": "refresh_token", "refresh_token": answer.body["refresh_token"]}
    assert (await house.token({**form, **signed(house, "keyed", ec())})).status == 200


@pytest.mark.parametrize("key", [rsa(), ec()], ids=["RS384", "ES384"])
async def test_a_backend_service_gets_what_it_was_registered_for(house: House, key: Any) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.read", **signed(house, key=key)}
    answer = await house.token(form)
    assert answer.status == 200
    assert answer.body["scope"] == "system/*.read"
    assert answer.body["expires_in"] == 300
    assert answer.body.keys() == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("system/*.cruds", "system/*.rs system/Observation.c"),
        ("system/Observation.cud patient/*.rs", "system/Observation.c"),
        ("system/Observation.rs?category=a openid", "system/Observation.rs?category=a"),
    ],
)
async def test_scope_escalation_of_a_backend_is_cut_to_its_registration(house: House, scope: str, granted: str) -> None:
    form = {"grant_type": "client_credentials", "scope": scope, **signed(house)}
    assert (await house.token(form)).body["scope"] == granted


@pytest.mark.parametrize("scope", ["", "patient/*.rs", "user/*.rs openid", "system/Patient.cud", "nonsense"])
async def test_a_backend_scope_of_which_nothing_is_left_is_refused(house: House, scope: str) -> None:
    refused(await house.token({"grant_type": "client_credentials", "scope": scope, **signed(house)}), "invalid_scope")


async def test_a_wrong_assertion_type_is_refused_with_exactly_400(house: House) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house), "client_assertion_type": "x"}
    assert (await house.token(form)).status == 400


async def test_an_assertion_of_an_unknown_client_is_refused_without_detail(house: House) -> None:
    for claims in ({}, {"exp": 1}, {"aud": "x"}):
        form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house, "nobody", **claims)}
        answer = await house.token(form)
        refused(answer, "invalid_client")
        assert answer.body["error_description"] == "The client_assertion is not one of a client of this server."


async def test_jti_replay_at_the_token_endpoint_is_refused_and_noted(house: House) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house)}
    answers = await asyncio.gather(*(house.token(form) for _ in range(10)))
    assert sum(answer.status == 200 for answer in answers) == 1
    assert "assertion-replayed" in house.kinds


async def test_a_launched_client_cannot_use_client_credentials(house: House) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", **signed(house, "keyed")}
    refused(await house.token(form), "unauthorized_client")


async def test_an_access_token_ends_after_an_hour(house: House) -> None:
    body = (await house.redeem(await house.code())).body
    house.clock.pass_(minutes=60)
    assert await bearer(house, body["access_token"]) is None


async def test_a_revocation_holds_from_the_next_check_on(house: House) -> None:
    body = (await house.redeem(await house.code())).body
    check = tokens.TokenCheck(house.realm)
    found = await check.check(body["access_token"], await house.store.epoch())
    assert await check.check(body["access_token"], await house.store.epoch()) is found
    await house.store.end_grants(house.clock(), "person", user_id="u-ann")
    with pytest.raises(Exception, match="not valid"):
        await check.check(body["access_token"], await house.store.epoch())


@pytest.mark.parametrize("text", ["", "x", "aqa_" + "x" * 43, "x" * 100_000, "\ud800"])
async def test_what_is_no_token_is_refused(house: House, text: str) -> None:
    with pytest.raises(Exception, match="not valid"):
        await tokens.TokenCheck(house.realm).check(text, 0)


class SlowStore(MemoryStore):
    """A store whose answers take a moment, and which knows how many wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = self.most = 0

    async def get(self, kind: type[R], record_id: str) -> R | None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        return await super().get(kind, record_id)


async def test_a_request_that_has_begun_is_not_starved_by_those_who_came_later() -> None:
    store = SlowStore()
    house = await House.built(store=store)
    code = await house.code()
    store.most = 0
    answers = await asyncio.gather(*(house.redeem(code) for _ in range(5 * AT_ONCE)))
    assert [answer.status for answer in answers].count(200) == 1
    assert 0 < store.most <= AT_ONCE


async def test_key_sets_that_are_long_in_coming_keep_nobody_else_waiting(house: House) -> None:
    arrived = asyncio.Event()

    async def slow(url: str) -> Document:
        await arrived.wait()
        raise Unfetched("There is nothing.")

    backend = await house.store.get(Client, "backend")
    assert backend
    await house.store.swap(backend, replace(backend, jwks=None, jwks_uri="https://slow.example/jwks"))
    house.realm = replace(house.realm, key_sets=KeySets(slow, house.clock))
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    asked = [asyncio.ensure_future(house.token({**form, **signed(house)})) for _ in range(2 * AT_ONCE)]
    await asyncio.sleep(0)
    assert (await house.redeem(await house.code())).status == 200
    assert not any(one.done() for one in asked)
    arrived.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} <= {400, 429}
