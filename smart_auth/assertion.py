"""`private_key_jwt`: a client proves who it is by signing a short statement (RFC 7523 3, SMART App Launch 2.2, 5.2).

The order of the checks matters. Nothing is remembered of a statement before its signature is right, or anybody could use
up the ids of somebody else; and nothing but one sentence is told to one who names no client.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import JWSRegistry

from smart_auth.errors import OAuthError
from smart_auth.key_sets import SHAPES, KeySets, Unfetched, candidates
from smart_auth.records import Client
from smart_auth.store import AuthStore

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE = timedelta(minutes=5)
SKEW = timedelta(seconds=60)
MOST_CHARACTERS = 16_384
MOST_JTI = 256

_LATEST = 253_402_300_800  # the year 10000, in which no datetime is


@dataclass(frozen=True, slots=True)
class Assertion:
    """A statement as it was read, before anything of it is believed.

    Attributes:
        text: The compact JWS.
        header: Its header.
        claims: Its claims.
    """

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def client_id(self) -> str:
        """Whom it is about, empty where `iss` and `sub` do not agree."""
        issuer, subject = self.claims.get("iss"), self.claims.get("sub")
        return issuer if isinstance(issuer, str) and issuer == subject else ""


def read(text: str) -> Assertion:
    """Return the parts of a compact JWS.

    Raises:
        OAuthError: `invalid_client`, it is none.
    """
    parts = text.split(".")
    if len(text) > MOST_CHARACTERS or len(parts) != 3:
        raise _refused("The client_assertion is not a signed JWT in compact form.")
    header, claims = (_object(part) for part in parts[:2])
    return Assertion(text, header, claims)


async def verify(
    assertion: Assertion,
    client: Client,
    *,
    audiences: Collection[str],
    now: datetime,
    key_sets: KeySets,
    store: AuthStore,
) -> None:
    """Return when the assertion proves that the client sent it, now, for the first time.

    Args:
        assertion: From `read`.
        client: The client that its claims name.
        audiences: Accepted values of `aud`: the token endpoint, and the issuer.
        now: Present time.
        key_sets: Keys of clients at URLs.
        store: Remembers what was seen.

    Raises:
        OAuthError: `invalid_client` with what to change; status 400.
    """
    kid, algorithm = _headers(assertion.header)
    key = await _key(client, assertion.header, kid, algorithm, key_sets)
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MOST_CHARACTERS
    try:
        jwt.decode(assertion.text, key, registry=registry)
    except (JoseError, ValueError, TypeError) as error:
        raise _refused("The signature of the client_assertion is not right for the registered key.") from error
    expires = _times(assertion.claims, now)
    _check_audience(assertion.claims.get("aud"), audiences)
    jti = assertion.claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MOST_JTI:
        raise _refused(f"The client_assertion needs a 'jti' of at most {MOST_JTI} characters, another one each time.")
    if not await store.once(f"jti {client.id} {jti}", expires + SKEW):
        raise Replayed


class Replayed(OAuthError):
    """An assertion that was used before."""

    def __init__(self) -> None:
        super().__init__(
            "invalid_client", "This client_assertion was used before. Make a new one, with a new 'jti'.", status=400
        )


def _headers(header: Mapping[str, Any]) -> tuple[str, str]:
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in SHAPES:
        raise _refused(
            f"The 'alg' of the client_assertion must be one of {', '.join(sorted(SHAPES))}; use RS384 or ES384."
        )
    if not isinstance(kid, str) or not kid:
        raise _refused("The header of the client_assertion needs the 'kid' of the key that signed it.")
    typ = header.get("typ", "JWT")  # clients must write it, but some libraries cannot, and RFC 7523 does not want it
    if not isinstance(typ, str) or typ.upper() != "JWT":
        raise _refused("The 'typ' in the header of the client_assertion must be JWT.")
    return kid, algorithm


async def _key(
    client: Client, header: Mapping[str, Any], kid: str, algorithm: str, key_sets: KeySets
) -> RSAKey | ECKey:
    """Return the one registered key that is meant (smart.md 1.8: key resolution)."""
    if "jku" in header and (not client.jwks_uri or header["jku"] != client.jwks_uri):
        raise _refused("The 'jku' of the client_assertion is not the jwks_uri that was registered.")
    if client.jwks_uri:
        try:
            found = await key_sets.find(client.jwks_uri, kid, algorithm)
        except Unfetched as error:
            raise _refused(f"The key set at the registered jwks_uri cannot be used. {error}") from error
    else:
        found = candidates(client.jwks, kid, algorithm)
    if len(found) != 1:
        raise _refused(
            f"The registered key set has not exactly one {SHAPES[algorithm][0]} key with this 'kid' for {algorithm}."
        )
    return found[0]


def _times(claims: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the assertion expires."""
    expires = _moment(claims, "exp")
    if expires is None:
        raise _refused("The client_assertion needs an 'exp', at most five minutes ahead.")
    if expires + SKEW <= now:
        raise _refused("The client_assertion has expired. Make a new one for each request.")
    if expires > now + LONGEST_LIFE + SKEW:
        raise _refused("The 'exp' of the client_assertion is more than five minutes ahead.")
    for name in ("nbf", "iat"):
        moment = _moment(claims, name)
        if moment is not None and moment > now + SKEW:
            raise _refused(f"The '{name}' of the client_assertion is in the future. Check the clock of the client.")
    return expires


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LATEST:
        return datetime.fromtimestamp(value, UTC)
    raise _refused(f"The '{name}' of the client_assertion is not a number of seconds since 1970.")


def _check_audience(value: Any, audiences: Collection[str]) -> None:
    named = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not any(one in audiences for one in named if isinstance(one, str)):
        raise _refused("The 'aud' of the client_assertion must be the URL of the token endpoint.")


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _refused("The client_assertion is not a signed JWT in compact form.")
    return value


def _refused(text: str) -> OAuthError:
    return OAuthError("invalid_client", text, status=400)
