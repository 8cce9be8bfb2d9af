"""Tokens of another issuer, for deployments that have one: signed access tokens in the manner of RFC 9068.

The operator names the issuer; its tokens must be meant for this FHIR base. What they say of scopes, patient and person is
believed, for that is what naming the issuer means. They cannot be revoked here and end when they say so, within an hour.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from smart_auth import opaque
from smart_auth.authorization_request import same_base
from smart_auth.errors import OAuthError
from smart_auth.key_sets import SHAPES, KeySets, Unfetched
from smart_auth.realm import Realm
from smart_auth.records import NOBODY, AccessToken, Grant, LaunchContext, Link, PersonKind, User
from smart_auth.tokens import Bearer

TYPES = frozenset({"at+jwt", "application/at+jwt", "jwt"})
SKEW = timedelta(seconds=60)
LONGEST_LIFE = timedelta(hours=1)
MOST_CHARACTERS = 16_384

PEOPLE: Mapping[str, PersonKind] = {
    "Patient": "patient",
    "RelatedPerson": "patient",
    "Practitioner": "staff",
    "PractitionerRole": "staff",
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody else's authorization server.

    Attributes:
        issuer: The `iss` of its tokens, as it is written there.
        jwks_uri: Where its keys are.
        algorithms: What it signs with; some of `key_sets.SHAPES`.
    """

    issuer: str
    jwks_uri: str
    algorithms: frozenset[str] = frozenset({"RS256", "RS384", "ES256", "ES384"})


class External:
    """Checks the tokens of one issuer.

    Args:
        issuer: The issuer.
        realm: This server, for its base and its reading of scopes.
        key_sets: Where the issuer's keys are kept.
    """

    def __init__(self, issuer: Issuer, realm: Realm, key_sets: KeySets) -> None:
        unknown = issuer.algorithms - SHAPES.keys()
        if unknown:
            raise ValueError(f"The algorithms {', '.join(sorted(unknown))} are not among {', '.join(sorted(SHAPES))}.")
        self._issuer = issuer
        self._realm = realm
        self._key_sets = key_sets

    def is_theirs(self, text: str) -> bool:
        """Return whether a token claims to be one of this issuer; nothing of it is believed yet."""
        parts = text.split(".")
        claims = _object(parts[1]) if len(parts) == 3 and len(text) <= MOST_CHARACTERS else {}
        return claims.get("iss") == self._issuer.issuer

    async def check(self, text: str) -> Bearer:
        """Return who shows a token.

        Raises:
            OAuthError: `invalid_token`.
        """
        parts = text.split(".")
        if len(parts) != 3 or len(text) > MOST_CHARACTERS:
            raise _invalid("It is not a signed JWT.")
        header = _object(parts[0])
        kid, algorithm, typ = header.get("kid"), header.get("alg"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in self._issuer.algorithms or not isinstance(kid, str):
            raise _invalid("It is not signed as this issuer signs.")
        if not isinstance(typ, str) or typ.lower() not in TYPES:
            raise _invalid("It is not an access token.")
        try:
            found = await self._key_sets.find(self._issuer.jwks_uri, kid, algorithm)
            if len(found) != 1:
                raise _invalid("Its key is not one of the issuer.")
            registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
            claims = jwt.decode(text, found[0], registry=registry).claims
        except Unfetched as error:
            raise _invalid("The keys of its issuer cannot be had now.") from error
        except (JoseError, ValueError, TypeError) as error:
            raise _invalid("Its signature is not right.") from error
        return self._bearer(text, claims)

    def _bearer(self, text: str, claims: Mapping[str, Any]) -> Bearer:
        now = self._realm.clock()
        if claims.get("iss") != self._issuer.issuer:
            raise _invalid("It is of another issuer.")
        audience = claims.get("aud")
        meant = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        if not any(isinstance(one, str) and same_base(one, self._realm.policy.base) for one in meant):
            raise _invalid("It is meant for another server.")
        expires, issued = _moment(claims.get("exp")), _moment(claims.get("iat")) or now
        begins = _moment(claims.get("nbf")) or issued
        if expires is None or expires + SKEW <= now:
            raise _invalid("It has expired.")
        if max(begins, issued) > now + SKEW:
            raise _invalid("It is of the future.")
        scope, client_id = _text(claims, "scope"), _text(claims, "client_id") or _text(claims, "azp")
        named, patient = _text(claims, "fhirUser"), _text(claims, "patient")
        fhir_user = _here(named, self._realm.policy.base)
        person = PEOPLE.get(fhir_user.partition("/")[0])
        subject = _text(claims, "sub")
        user_id = f"{self._issuer.issuer}#{subject}" if person and subject else NOBODY
        ends = min(expires, now + LONGEST_LIFE)
        token = AccessToken(opaque.digest(text), "", client_id, user_id, scope, issued, ends)
        context = LaunchContext(patient, _text(claims, "encounter"))
        grant = Grant(
            "", client_id, user_id, scope, "once", issued, ends, context, fhir_user=fhir_user if person else ""
        )
        own = fhir_user.partition("/")[2] if fhir_user.startswith("Patient/") else ""
        user = User(user_id, user_id, "", person, issued, links=(Link(fhir_user, own),)) if person and user_id else None
        scopes = self._realm.scopes(scope)
        if named and user is None:  # somebody, whom this record does not know, is not a system
            scopes = scopes.only(lambda one: getattr(one.meaning, "context", "") != "system")
        return Bearer(token, grant, scopes, user, fhir_user if person else "")


def _object(part: str) -> Mapping[str, Any]:
    try:
        value = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _moment(value: Any) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253_402_300_800:
        return datetime.fromtimestamp(value, UTC)
    return None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _here(reference: str, base: str) -> str:
    """Return `Type/id` of a reference that may be absolute, empty for one to another server: its ids are other people."""
    if "://" not in reference:
        return reference
    place, _, resource_id = reference.rpartition("/")
    place, _, kind = place.rpartition("/")
    return f"{kind}/{resource_id}" if same_base(place, base) else ""


def _invalid(why: str) -> OAuthError:
    return OAuthError("invalid_token", f"The access token is not valid here. {why}")
