"""`private_key_jwt`, and the attacks on it."""

import asyncio
import hmac
import json
from base64 import urlsafe_b64encode
from dataclasses import replace
from typing import Any

import pytest

from smart_auth import assertion
from smart_auth.errors import OAuthError
from smart_auth.key_sets import Document, KeySets, Unfetched
from smart_auth.memory import MemoryStore
from smart_auth.records import Client
from tests.smart_auth.apps import assertion as made
from tests.smart_auth.apps import ec, key_set, rsa
from tests.smart_auth.clock import START, Clock

CLIENT = Client("backend", "Backend", "backend", "private_key_jwt", START, jwks=key_set(rsa(), ec()))
AUDIENCES = ("https://a.example/auth/token", "https://a.example")
JWKS_URI = "https://app.example/jwks"


async def nothing(url: str) -> Document:
    raise Unfetched("There is nothing.")


class Server:
    def __init__(self, client: Client = CLIENT, fetch: Any = nothing) -> None:
        self.clock = Clock()
        self.store = MemoryStore()
        self.client = client
        self.key_sets = KeySets(fetch, self.clock)

    async def check(self, text: str) -> None:
        found = assertion.read(text)
        await assertion.verify(
            found, self.client, audiences=AUDIENCES, now=self.clock(), key_sets=self.key_sets, store=self.store
        )

    async def refusal(self, text: str) -> str:
        with pytest.raises(OAuthError) as caught:
            await self.check(text)
        assert caught.value.code == "invalid_client"
        assert caught.value.status == 400
        return caught.value.description


@pytest.mark.parametrize("key", [rsa(), ec()], ids=["RS384", "ES384"])
async def test_a_signed_assertion_proves_the_client(key: Any) -> None:
    await Server().check(made("backend", key, START))


async def test_the_type_may_be_left_out_but_is_none_but_jwt() -> None:
    await Server().check(made("backend", rsa(), START, header={"typ": None}))
    for typ in ("at+jwt", "dpop+jwt", ""):
        assert "'typ'" in await Server().refusal(made("backend", rsa(), START, header={"typ": typ}))


@pytest.mark.parametrize("aud", [AUDIENCES[1], [AUDIENCES[0], "https://other.example"]])
async def test_the_audience_may_be_the_issuer_or_one_of_several(aud: Any) -> None:
    await Server().check(made("backend", rsa(), START, aud=aud))


@pytest.mark.parametrize("aud", [None, "", "https://evil.example/token", [], [1], {}, "https://a.example/auth/token/"])
async def test_mix_up_an_assertion_for_another_server_is_refused(aud: Any) -> None:
    assert "'aud'" in await Server().refusal(made("backend", rsa(), START, aud=aud))


async def test_algorithm_confusion_with_the_public_key_as_a_secret_is_refused() -> None:
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"r1","typ":"JWT"}').rstrip(b"=")
    signed = head + b"." + made("backend", rsa(), START).split(".")[1].encode()
    mac = urlsafe_b64encode(hmac.digest(rsa().as_pem(private=False), signed, "sha256")).rstrip(b"=")
    assert "'alg'" in await Server().refusal((signed + b"." + mac).decode())


@pytest.mark.parametrize("alg", ["none", "None", "HS384", "RS512", "ES256K", 5, None, ["RS384"]])
async def test_algorithm_confusion_with_another_name_is_refused(alg: Any) -> None:
    parts = made("backend", rsa(), START).split(".")
    header = urlsafe_b64encode(json.dumps({"alg": alg, "kid": "r1", "typ": "JWT"}).encode()).rstrip(b"=").decode()
    assert "'alg'" in await Server().refusal(".".join([header, *parts[1:]]))


async def test_algorithm_confusion_between_key_types_is_refused() -> None:
    assert "not exactly one EC key" in await Server().refusal(made("backend", ec("r1"), START, algorithm="ES384"))


@pytest.mark.parametrize(
    "kid", [None, "", 1, "../../etc/passwd", "r1' or '1'='1", "file:///dev/null", "r2", {"$ne": ""}, "x" * 5000]
)
async def test_kid_injection_finds_no_key(kid: Any) -> None:
    parts = made("backend", rsa(), START).split(".")
    raw = {"alg": "RS384", "typ": "JWT"} | ({} if kid is None else {"kid": kid})
    header = urlsafe_b64encode(json.dumps(raw).encode()).rstrip(b"=").decode()
    assert "kid" in await Server().refusal(".".join([header, *parts[1:]]))


async def test_an_embedded_key_is_not_believed() -> None:
    thief = rsa("thief")
    forged = made("backend", thief, START, header={"kid": "r1", "jwk": thief.as_dict(private=False)})
    assert "signature" in await Server().refusal(forged)


async def test_a_foreign_jku_is_refused_and_the_registered_one_is_not() -> None:
    async def fetch(url: str) -> Document:
        assert url == JWKS_URI
        return Document(key_set(rsa()), "max-age=60")

    server = Server(replace(CLIENT, jwks=None, jwks_uri=JWKS_URI), fetch)
    await server.check(made("backend", rsa(), START, header={"jku": JWKS_URI}))
    assert "'jku'" in await server.refusal(made("backend", rsa(), START, header={"jku": "https://evil.example/jwks"}))
    assert "'jku'" in await Server().refusal(made("backend", rsa(), START, header={"jku": JWKS_URI}))


async def test_a_key_set_that_cannot_be_fetched_is_said_to_the_client() -> None:
    server = Server(replace(CLIENT, jwks=None, jwks_uri=JWKS_URI))
    assert "There is nothing." in await server.refusal(made("backend", rsa(), START))


@pytest.mark.parametrize(
    ("life", "says"), [(-61, "has expired"), (361, "more than five minutes"), (365 * 86400, "more than five minutes")]
)
async def test_an_expired_or_far_future_assertion_is_refused(life: float, says: str) -> None:
    assert says in await Server().refusal(made("backend", rsa(), START, life=life))


@pytest.mark.parametrize("life", [-59, 359])
async def test_a_minute_of_clock_difference_is_accepted(life: float) -> None:
    await Server().check(made("backend", rsa(), START, life=life))


@pytest.mark.parametrize("exp", [None, "soon", True, 1e400, -1, 1e300, [1]])
async def test_an_expiry_that_is_no_time_is_refused(exp: Any) -> None:
    assert "'exp'" in await Server().refusal(made("backend", rsa(), START, exp=exp))


@pytest.mark.parametrize("name", ["nbf", "iat"])
async def test_an_assertion_of_the_future_is_refused(name: str) -> None:
    claims: dict[str, Any] = {name: START.timestamp() + 120}
    assert "future" in await Server().refusal(made("backend", rsa(), START, **claims))


@pytest.mark.parametrize("jti", [None, "", 1, "x" * 257])
async def test_an_assertion_without_a_usable_jti_is_refused(jti: Any) -> None:
    assert "'jti'" in await Server().refusal(made("backend", rsa(), START, jti=jti))


async def test_jti_replay_is_refused_and_a_jti_of_another_client_is_not() -> None:
    server = Server()
    text = made("backend", rsa(), START, jti="once")
    await server.check(text)
    assert "used before" in await server.refusal(text)
    server.client = replace(CLIENT, id="other")
    await server.check(made("other", rsa(), START, jti="once"))


async def test_jti_replay_under_concurrency_succeeds_once() -> None:
    server, text = Server(), made("backend", rsa(), START)
    results = await asyncio.gather(*(server.check(text) for _ in range(50)), return_exceptions=True)
    assert sum(result is None for result in results) == 1


async def test_a_forged_assertion_does_not_use_up_the_jti_of_the_client() -> None:
    server = Server()
    assert "signature" in await server.refusal(made("backend", rsa("thief"), START, header={"kid": "r1"}, jti="one"))
    await server.check(made("backend", rsa(), START, jti="one"))


@pytest.mark.parametrize(
    "claims", [{"iss": "other"}, {"sub": "other"}, {"sub": None}, {"iss": ["backend"], "sub": ["backend"]}]
)
async def test_an_assertion_whose_issuer_is_not_its_subject_names_no_client(claims: dict[str, Any]) -> None:
    assert assertion.read(made("backend", rsa(), START, **claims)).client_id == ""


@pytest.mark.parametrize(
    "text", ["", "a.b", "a.b.c", "....", "e30.W10.x", "x" * 20_000, "é.é.é", "[" * 9000 + "..", "\ud800.."]
)
def test_what_is_no_jwt_is_refused(text: str) -> None:
    with pytest.raises(OAuthError, match="compact form"):
        assertion.read(text)
