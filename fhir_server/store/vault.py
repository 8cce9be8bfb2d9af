"""Secrets that the record must keep whole, under a key that does not lie in the record.

Most secrets are kept as digests. Two cannot be: the private keys that sign id tokens, and what second factors are computed
from. Where the deployment has a secret of its own, they are encrypted by AES-256-SIV (RFC 5297) under a key derived from it
(RFC 5869): whoever gets hold of the database alone, or of a backup of it, can neither sign tokens nor compute digits. The
same text at the same place always gives the same result, so that a record can still be compared with what was read.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fhir_server.model.errors import Unavailable

MARK = "sealed:"
SHORTEST = 32
"""Bytes that a deployment's secret has at least."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Closes and opens texts.

    Attributes:
        key: 64 bytes, or empty where the deployment has no secret: then texts are kept as they are.
    """

    key: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, secret: bytes) -> "Vault":
        """Return the vault of a deployment's secret, an open one where that is empty.

        Raises:
            ValueError: The secret is too short to be one.
        """
        if not secret:
            return cls()
        if len(secret) < SHORTEST:
            raise ValueError(
                f"The secret has {len(secret)} bytes. Use {SHORTEST} or more, such as `openssl rand -hex 32`."
            )
        return cls(HKDF(SHA256(), 64, None, b"aquifer records at rest").derive(secret))

    def close(self, text: str, place: str) -> str:
        """Return what is kept of a text at a place; elsewhere it cannot be opened."""
        if not self.key or not text:
            return text
        return MARK + b64encode(AESSIV(self.key).encrypt(text.encode(), [place.encode()])).decode("ascii")

    def open(self, kept: str, place: str) -> str:
        """Return the text; one that was kept before the deployment had a secret is returned as it is.

        Raises:
            Unavailable: It was closed with another secret, or altered.
        """
        if not kept.startswith(MARK):
            return kept
        try:
            if self.key:
                return AESSIV(self.key).decrypt(b64decode(kept[len(MARK) :]), [place.encode()]).decode()
        except (InvalidTag, ValueError):
            pass
        raise Unavailable(
            "A secret in the record was closed with another deployment secret than the one that is set. "
            "Set auth.secret to the one that was used when it was stored."
        )


OPEN = Vault()
"""The vault of a deployment without a secret."""
