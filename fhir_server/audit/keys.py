"""The key that seals are signed with: one for each data directory, ES384 (RFC 7518 3.4), never in the database.

Whoever gets hold of the database alone can rewrite rows, links and seals, but not sign them. Public keys are published for good,
in the trail's database and at `/.well-known/audit-keys`, so that old seals can be checked when a key was replaced.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fhir_server.store.accounts import write_secret

FILE = "audit.pem"
COORDINATE = 48
"""Bytes of a coordinate of P-384."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key.

    Attributes:
        id: Thumbprint of its public part (RFC 7638).
        public: Its public part as a JWK.
    """

    id: str
    public: Mapping[str, str]
    _private: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def of(cls, data_dir: Path) -> "SigningKey":
        """Return the key of a data directory, which is made where there is none.

        Raises:
            ValueError: The file holds another kind of key.
        """
        folder = data_dir / "secrets"
        file = folder / FILE
        if not file.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = generate_private_key(SECP384R1())
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            write_secret(file, pem.decode("ascii"))
        private = load_pem_private_key(file.read_bytes(), None)
        if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP384R1):
            raise ValueError(  # noqa: TRY004 - it is the file that is wrong
                f"{file} does not hold a private key on the curve P-384; put one there, or remove the file"
            )
        numbers = private.public_key().public_numbers()
        bare = {"crv": "P-384", "kty": "EC", "x": _text(numbers.x), "y": _text(numbers.y)}
        # RFC 7638 3: the required members in the order of their names, without spaces.
        thumbprint = sha256(json.dumps(bare, separators=(",", ":")).encode()).digest()
        name = urlsafe_b64encode(thumbprint).rstrip(b"=").decode("ascii")
        return cls(name, {**bare, "kid": name, "use": "sig", "alg": "ES384"}, private)

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some bytes, `r` and `s` one after the other (RFC 7518 3.4)."""
        r, s = decode_dss_signature(self._private.sign(data, ECDSA(SHA384())))
        return r.to_bytes(COORDINATE, "big") + s.to_bytes(COORDINATE, "big")


def is_signed(public: Mapping[str, Any], data: bytes, signature: bytes) -> bool:
    """Return whether the holder of a public key has signed these bytes."""
    r, s = signature[:COORDINATE], signature[COORDINATE:]
    encoded = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key = EllipticCurvePublicNumbers(_number(public["x"]), _number(public["y"]), SECP384R1()).public_key()
        key.verify(encoded, data, ECDSA(SHA384()))
    except (InvalidSignature, KeyError, ValueError):
        return False
    return True


def _text(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(COORDINATE, "big")).rstrip(b"=").decode("ascii")


def _number(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=="), "big")
