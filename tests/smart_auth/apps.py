"""Keys and assertions of client apps, as their developers make them."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

ALGORITHMS = ["RS256", "RS384", "PS384", "ES256", "ES384", "HS256", "RS512"]


@cache
def rsa(kid: str = "r1", bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid})


@cache
def ec(kid: str = "e1", curve: str = "P-384") -> ECKey:
    return ECKey.generate_key(curve, {"kid": kid})


def key_set(*keys: RSAKey | ECKey, **extra: str) -> dict[str, Any]:
    return {"keys": [{**key.as_dict(private=False), **extra} for key in keys]}


def assertion(
    client_id: str,
    key: RSAKey | ECKey,
    now: datetime,
    /,
    *,
    aud: Any = "https://a.example/auth/token",
    algorithm: str = "",
    header: dict[str, Any] | None = None,
    life: float = 240,
    **claims: Any,
) -> str:
    head = {"alg": algorithm or ("RS384" if isinstance(key, RSAKey) else "ES384"), "kid": key.kid, "typ": "JWT"}
    head = {name: value for name, value in {**head, **(header or {})}.items() if value is not None}
    body = {"iss": client_id, "sub": client_id, "aud": aud, "exp": int(now.timestamp() + life), "jti": uuid4().hex}
    body = {name: value for name, value in {**body, **claims}.items() if value is not None}
    registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
    registry.max_header_length = 100_000
    return jwt.encode(head, body, key, registry=registry, default_type=None)
